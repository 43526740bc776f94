//! A row of the table: an op, what to feed it and what it should return.

use crate::naive::Nd;
use ganvil::rng::Stream;
use ganvil::{DType, Generator, Tensor};
use rand::RngExt;

/// What values an input has.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Uniform, but no closer than 0.05 to a kink.
    Uniform { lo: f64, hi: f64, kinks: &'static [f64] },
    /// All different, a quarter apart.
    Distinct,
    /// -1, 0, 1 or 2: equal ones occur.
    Steps,
    /// i64 indices below `size`, with repeats.
    Index { size: usize },
    /// u8, 0 or 1.
    Mask,
}

pub struct Input {
    pub shape: Vec<usize>,
    pub kind: Kind,
    /// Whether gradients are checked for it.
    pub differentiable: bool,
}

impl Input {
    pub fn new(shape: &[usize], kind: Kind) -> Input {
        let differentiable = !matches!(kind, Kind::Index { .. } | Kind::Mask);
        Input { shape: shape.to_vec(), kind, differentiable }
    }

    pub fn constant(self) -> Input {
        Input { differentiable: false, ..self }
    }

    /// The dtype, when the row runs in `dtype`.
    fn dtype(&self, dtype: DType) -> DType {
        match self.kind {
            Kind::Index { .. } => DType::I64,
            Kind::Mask => DType::U8,
            _ => dtype,
        }
    }

    pub fn values(&self, seed: u64) -> Vec<f64> {
        let n: usize = self.shape.iter().product();
        let mut r = Generator::new(seed, Stream::General).host();
        match self.kind {
            Kind::Uniform { lo, hi, kinks } => (0..n)
                .map(|_| {
                    loop {
                        let v = r.random_range(lo..hi);
                        if kinks.iter().all(|k| (v - k).abs() > 0.05) {
                            break v;
                        }
                    }
                })
                .collect(),
            Kind::Distinct => {
                let mut v: Vec<f64> = (0..n).map(|i| (i as f64 - n as f64 / 2.0) * 0.25).collect();
                (1..n).for_each(|i| v.swap(i, r.random_range(0..i + 1)));
                v
            }
            Kind::Steps => (0..n).map(|_| r.random_range(-1..3) as f64).collect(),
            Kind::Index { size } => (0..n).map(|_| r.random_range(0..size) as f64).collect(),
            Kind::Mask => (0..n).map(|_| r.random_range(0..2) as f64).collect(),
        }
    }
}

/// Uniform in [-2, 2].
pub fn float(shape: &[usize]) -> Input {
    range(shape, -2.0, 2.0, &[])
}

pub fn range(shape: &[usize], lo: f64, hi: f64, kinks: &'static [f64]) -> Input {
    Input::new(shape, Kind::Uniform { lo, hi, kinks })
}

pub fn index(shape: &[usize], size: usize) -> Input {
    Input::new(shape, Kind::Index { size })
}

/// How close a result must be to the reference on the same, already rounded inputs. `eps` is the distance from 1 to
/// the next number of the dtype.
#[derive(Clone, Copy)]
pub enum Accuracy {
    /// The reference, rounded to the dtype.
    Exact,
    /// k eps of the element.
    Relative(f64),
    /// k eps of the reference on absolute values: the bound on a sum of k terms in any order.
    Condition(f64),
    /// k eps of the largest element, at least of 1.
    Magnitude(f64),
}

/// What a row promises of its derivative.
#[derive(Clone, Copy, PartialEq)]
pub enum Gradient {
    /// First and second order agree with finite differences.
    Checked,
    /// Asking panics, naming this op.
    Refused(&'static str),
    /// The result is NaN, or not part of a graph.
    Unchecked,
}

/// Which dtypes a row runs in; the others are refused.
pub const FULL: &[DType] = &[DType::F64, DType::F32];
pub const FLOATS: &[DType] = &[DType::F64, DType::F32, DType::F16, DType::BF16];
pub const ALL: &[DType] = &[DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::U8];

type Function<T> = Box<dyn Fn(&[T]) -> T + Send + Sync>;

pub struct Row {
    pub name: String,
    pub inputs: Vec<Input>,
    pub op: Function<Tensor>,
    pub naive: Function<Nd>,
    /// Types in src/ops that implement `Op` and run in this row, its derivatives included.
    pub covers: &'static [&'static str],
    pub gradient: Gradient,
    pub accuracy: Accuracy,
    pub dtypes: &'static [DType],
    /// The result's dtype, if not the inputs'.
    pub result: Option<DType>,
}

/// A row with the defaults: all floats, a few roundings, differentiable.
pub fn row(
    name: impl Into<String>,
    inputs: Vec<Input>,
    op: impl Fn(&[Tensor]) -> Tensor + Send + Sync + 'static,
    naive: impl Fn(&[Nd]) -> Nd + Send + Sync + 'static,
) -> Row {
    let shapes: Vec<&Vec<usize>> = inputs.iter().map(|i| &i.shape).collect();
    Row {
        name: format!("{} {shapes:?}", name.into()),
        op: Box::new(op),
        naive: Box::new(naive),
        covers: &[],
        gradient: Gradient::Checked,
        accuracy: Accuracy::Relative(4.0),
        dtypes: FLOATS,
        result: None,
        inputs,
    }
}

impl Row {
    pub fn covers(self, covers: &'static [&'static str]) -> Row {
        Row { covers, ..self }
    }
    pub fn within(self, accuracy: Accuracy) -> Row {
        Row { accuracy, ..self }
    }
    pub fn dtypes(self, dtypes: &'static [DType]) -> Row {
        Row { dtypes, ..self }
    }
    pub fn gradient(self, gradient: Gradient) -> Row {
        Row { gradient, ..self }
    }
    pub fn result(self, dtype: DType) -> Row {
        Row { result: Some(dtype), ..self }
    }

    pub fn numel(&self) -> usize {
        self.inputs.iter().map(|i| i.shape.iter().product::<usize>()).sum()
    }

    /// Row-major inputs; floats in `dtype`.
    pub fn tensors(&self, dtype: DType) -> Vec<Tensor> {
        let seed = self.name.bytes().fold(0u64, |h, b| h.wrapping_mul(31).wrapping_add(b as u64));
        let make = |(i, input): (usize, &Input)| {
            let values = input.values(seed.wrapping_add(i as u64));
            Tensor::new(&values, &input.shape).to_dtype(input.dtype(dtype))
        };
        self.inputs.iter().enumerate().map(make).collect()
    }

    /// What the reference makes of these inputs.
    pub fn expect(&self, inputs: &[Tensor]) -> Expected {
        let own = inputs.iter().zip(&self.inputs).find(|(_, i)| i.dtype(DType::F16) == DType::F16);
        let dtype = self.result.unwrap_or_else(|| own.expect("an input in the row's dtype").0.dtype());
        let arrays: Vec<Nd> = inputs.iter().map(array).collect();
        let want = (self.naive)(&arrays);
        let bounds = self.bounds(&arrays, &want, dtype);
        Expected { want, bounds, dtype }
    }

    fn bounds(&self, arrays: &[Nd], want: &Nd, dtype: DType) -> Vec<f64> {
        let e = eps(dtype);
        match self.accuracy {
            Accuracy::Exact => vec![0.0; want.data.len()],
            Accuracy::Relative(k) => want.data.iter().map(|w| k * e * w.abs()).collect(),
            Accuracy::Condition(k) => {
                let absolute: Vec<Nd> = arrays.iter().map(|a| a.map(f64::abs)).collect();
                (self.naive)(&absolute).data.iter().map(|w| k * e * w.abs()).collect()
            }
            Accuracy::Magnitude(k) => {
                let largest = want.data.iter().fold(1.0f64, |m, w| m.max(w.abs()));
                vec![k * e * largest; want.data.len()]
            }
        }
    }
}

/// The reference's result and how far from it each element may be.
pub struct Expected {
    want: Nd,
    bounds: Vec<f64>,
    dtype: DType,
}

impl Expected {
    /// Asserts that a result has the shape, the dtype and, within bounds, the values.
    #[track_caller]
    pub fn check(&self, got: &Tensor, what: &str) {
        let dtype = self.dtype;
        assert_eq!((got.shape(), got.dtype()), (&self.want.shape[..], dtype), "{what}");
        for (i, (g, (&w, &b))) in
            got.to_f64_vec().into_iter().zip(self.want.data.iter().zip(&self.bounds)).enumerate()
        {
            let w = rounded(w, dtype);
            let fits = g == w || (g - w).abs() <= b || g.is_nan() && w.is_nan();
            assert!(fits, "{dtype}, {what}: element {i} is {g}, not {w} (+- {b:e})");
        }
    }
}

/// A tensor's values.
pub fn array(t: &Tensor) -> Nd {
    Nd { shape: t.shape().to_vec(), data: t.to_f64_vec() }
}

/// The distance from 1 to the next number of a float type; 0 for integers.
pub fn eps(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f32::EPSILON as f64,
        DType::F16 => half::f16::EPSILON.to_f64(),
        DType::BF16 => half::bf16::EPSILON.to_f64(),
        DType::I64 | DType::U8 => 0.0,
    }
}

/// The nearest number of a dtype; integers are left alone.
pub fn rounded(v: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F32 => v as f32 as f64,
        DType::F16 => half::f16::from_f64(v).to_f64(),
        DType::BF16 => half::bf16::from_f64(v).to_f64(),
        _ => v,
    }
}

/// The bits of every element, in row-major order.
pub fn bits(t: &Tensor) -> Vec<u64> {
    match t.dtype() {
        DType::F32 => t.to_vec::<f32>().iter().map(|v| v.to_bits() as u64).collect(),
        DType::F64 => t.to_vec::<f64>().iter().map(|v| v.to_bits()).collect(),
        DType::F16 => t.to_vec::<half::f16>().iter().map(|v| v.to_bits() as u64).collect(),
        DType::BF16 => t.to_vec::<half::bf16>().iter().map(|v| v.to_bits() as u64).collect(),
        DType::I64 => t.to_vec::<i64>().iter().map(|&v| v as u64).collect(),
        DType::U8 => t.to_vec::<u8>().iter().map(|&v| v as u64).collect(),
    }
}
