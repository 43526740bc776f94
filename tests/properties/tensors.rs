//! What is drawn: shapes, places in memory, choices; and how results are compared.

use crate::naive::{Nd, indices};
use crate::row::{eps, rounded};
use ganvil::rng::Stream;
use ganvil::{DType, Generator, Tensor};
use proptest::collection::vec;
use proptest::prelude::*;
use rand::RngExt;
use std::ops::RangeInclusive;

/// The most dimensions that are drawn; one more may be added.
pub const RANK: usize = 5;
/// Elements that a tensor may have: the references are slow.
const ELEMENTS: usize = 1200;

/// Sizes from `least` (0 or 1) to 6; in some shapes one dimension crosses the widths of vectors and the borders of
/// blocks.
pub fn shape(ranks: RangeInclusive<usize>, least: usize) -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![24 => 1..=6usize, 1 => Just(least)];
    let long = prop_oneof![4 => Just(None), 1 => (0..RANK, 7..=70usize).prop_map(Some)];
    (vec(size, ranks), long).prop_map(|(mut shape, long)| {
        if let Some((d, size)) = long
            && d < shape.len()
        {
            shape[d] = size;
        }
        for d in 0..shape.len() {
            if shape.iter().product::<usize>() > ELEMENTS {
                shape[d] = if shape[d] > 6 { shape[d] } else { shape[d].min(2) };
            }
        }
        shape
    })
}

/// How one dimension lies in memory.
#[derive(Clone, Copy, Debug)]
struct Axis {
    /// Entries of the storage before the first and after the last one.
    around: (usize, usize),
    /// Entries of the storage from one to the next.
    step: usize,
    /// One entry, repeated by a stride of 0.
    repeated: bool,
}

const WHOLE: Axis = Axis { around: (0, 0), step: 1, repeated: false };

/// How a tensor of whatever shape lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The dimension with the smallest number is the slowest, equal ones keep their order.
    order: [u8; RANK + 1],
    axes: [Axis; RANK + 1],
}

fn axis() -> impl Strategy<Value = Axis> {
    prop_oneof![
        8 => Just(WHOLE),
        2 => (0..3usize, 0..3usize).prop_map(|around| Axis { around, ..WHOLE }),
        1 => (0..3usize, 0..3usize, 2..4usize).prop_map(|(a, b, step)| Axis { around: (a, b), step, ..WHOLE }),
        1 => Just(Axis { repeated: true, ..WHOLE }),
    ]
}

/// Row-major, dense in another order, or a view of part of a larger storage.
pub fn place() -> impl Strategy<Value = Place> {
    let order = || any::<[u8; RANK + 1]>();
    let axes = [axis(), axis(), axis(), axis(), axis(), axis()];
    prop_oneof![
        1 => Just(Place { order: [0; RANK + 1], axes: [WHOLE; RANK + 1] }),
        2 => order().prop_map(|order| Place { order, axes: [WHOLE; RANK + 1] }),
        4 => (order(), axes).prop_map(|(order, axes)| Place { order, axes }),
    ]
}

/// A tensor, and what is in it.
#[derive(Clone, Debug)]
pub struct Operand {
    pub t: Tensor,
    pub a: Nd,
}

impl Place {
    /// A tensor of these values in this place; what lies between them is junk that shows if it is read. Where an
    /// entry is repeated, its first values hold.
    pub fn lay(&self, values: &Nd, dtype: DType) -> Operand {
        let (shape, rank) = (&values.shape, values.shape.len());
        let own = |d: usize, i: usize| if self.axes[d].repeated { 0 } else { i };
        let a = Nd::from_fn(shape, |i| {
            let first: Vec<usize> = (0..rank).map(|d| own(d, i[d])).collect();
            rounded(values.at(&first), dtype)
        });
        let mut order: Vec<usize> = (0..rank).collect();
        order.sort_by_key(|&d| self.order[d]);
        let (before, after): (Vec<usize>, Vec<usize>) = self.axes[..rank].iter().map(|a| a.around).unzip();
        let length = |d: usize| match shape[d] {
            0 => 0,
            n => (n - 1) * self.axes[d].step + 1,
        };
        let stored: Vec<usize> = (0..rank)
            .map(|d| if self.axes[d].repeated { 1 } else { before[d] + length(d) + after[d] })
            .collect();
        let junk = if dtype.is_float() { f64::NAN } else { 99.0 };
        let mut data = vec![junk; stored.iter().product()];
        for (index, &v) in indices(shape).iter().zip(&a.data) {
            let at = |d: usize| before[d] + own(d, index[d]) * self.axes[d].step;
            data[order.iter().fold(0, |flat, &d| flat * stored[d] + at(d))] = v;
        }
        let mut back = vec![0; rank];
        order.iter().enumerate().for_each(|(i, &d)| back[d] = i as isize);
        let ordered: Vec<usize> = order.iter().map(|&d| stored[d]).collect();
        let mut t = Tensor::new(&data, &ordered).to_dtype(dtype).permute(&back);
        for d in (0..rank).filter(|&d| !self.axes[d].repeated && stored[d] != shape[d]) {
            let start = before[d] as isize;
            t = t.slice(d as isize, start, start + length(d) as isize, self.axes[d].step);
        }
        Operand { t: t.expand(shape), a }
    }
}

fn fill(shape: &[usize], seed: u64, mut draw: impl FnMut(&mut ganvil::rng::Philox) -> f64) -> Nd {
    let mut random = Generator::new(seed, Stream::General).host();
    Nd::from_fn(shape, |_| draw(&mut random))
}

/// Uniform in `[lo, hi)`.
pub fn uniform(shape: &[usize], seed: u64, lo: f64, hi: f64) -> Nd {
    fill(shape, seed, |r| r.random_range(lo..hi))
}

/// Whole numbers: sums and products of a few are exact in every dtype, and some are equal.
pub fn whole(shape: &[usize], seed: u64, range: RangeInclusive<i64>) -> Nd {
    fill(shape, seed, |r| r.random_range(range.clone()) as f64)
}

/// Halves from -2 to 2, infinities, NaN and both zeros.
pub fn special(shape: &[usize], seed: u64) -> Nd {
    fill(shape, seed, |r| match r.random_range(0..16) {
        0 => f64::INFINITY,
        1 => f64::NEG_INFINITY,
        2 => f64::NAN,
        3 => -0.0,
        _ => r.random_range(-4..=4i64) as f64 / 2.0,
    })
}

/// Numbers that decide what a property is tried with; small ones choose what is simple.
#[derive(Clone, Debug)]
pub struct Choices {
    numbers: Vec<u16>,
    used: usize,
}

pub fn choices() -> impl Strategy<Value = Choices> {
    vec(any::<u16>(), 48).prop_map(|numbers| Choices { numbers, used: 0 })
}

impl Choices {
    /// Below n, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.used += 1;
        self.numbers.get(self.used - 1).map_or(0, |&v| v as usize % n)
    }

    pub fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn seed(&mut self) -> u64 {
        self.below(1 << 16) as u64
    }

    /// One of a list.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A dimension of a rank that is not 0, counted from either end.
    pub fn dim(&mut self, rank: usize) -> (usize, isize) {
        let d = self.below(rank);
        (d, if self.flag() { d as isize - rank as isize } else { d as isize })
    }

    /// Some dimensions in any order, counted from either end; possibly none.
    pub fn dims(&mut self, rank: usize) -> Vec<isize> {
        let mut dims = Vec::new();
        for d in 0..rank {
            if self.flag() {
                let from_end = self.flag();
                let at = self.below(dims.len() + 1);
                dims.insert(at, d as isize - if from_end { rank as isize } else { 0 });
            }
        }
        dims
    }

    /// A permutation of all dimensions.
    pub fn permutation(&mut self, rank: usize) -> Vec<usize> {
        let mut p: Vec<usize> = (0..rank).collect();
        for i in 0..rank {
            p.swap(i, i + self.below(rank - i));
        }
        p
    }

    /// A shape of as many elements.
    pub fn factors(&mut self, numel: usize) -> Vec<usize> {
        let mut shape = vec![1; self.below(5)];
        if shape.is_empty() && numel != 1 {
            shape.push(1);
        }
        if numel == 0 {
            let d = self.below(shape.len());
            shape.iter_mut().for_each(|n| *n = 1 + self.below(4));
            shape[d] = 0;
            return shape;
        }
        let (mut left, mut p) = (numel, 2);
        while left > 1 {
            if left % p == 0 {
                let d = self.below(shape.len());
                shape[d] *= p;
                left /= p;
            } else {
                p += 1;
            }
        }
        shape
    }
}

pub const FULL: [DType; 2] = [DType::F64, DType::F32];
pub const FLOATS: [DType; 4] = [DType::F64, DType::F32, DType::F16, DType::BF16];

/// Asserts that a tensor holds exactly these values (NaN for NaN), all of its dtype.
#[track_caller]
pub fn assert_same(got: &Tensor, want: &Nd) {
    assert_near(got, want, &want.map(|_| 0.0));
}

/// Asserts that every element is as near to the reference as `errors` says; infinities and NaN are met exactly.
#[track_caller]
pub fn assert_near(got: &Tensor, want: &Nd, errors: &Nd) {
    assert_eq!(got.shape(), want.shape, "the shape");
    assert_eq!(errors.shape, want.shape, "the shape of the errors");
    for (i, (g, (&w, &e))) in got.to_f64_vec().into_iter().zip(want.data.iter().zip(&errors.data)).enumerate()
    {
        let fits = g == w || (g - w).abs() <= e || g.is_nan() && w.is_nan();
        assert!(fits, "element {i} of {:?}: {g}, not {w} (+- {e:e})", want.shape);
    }
}

/// The distance from 1 to the next number in which a dtype is computed: half types are in f32.
pub fn work_eps(dtype: DType) -> f64 {
    eps(dtype).min(eps(DType::F32))
}

/// What rounding adds to an error: half types are rounded once from f32.
pub fn stored_error(want: &Nd, error: &Nd, dtype: DType) -> Nd {
    let smallest = match dtype {
        DType::F16 => 2f64.powi(-25),
        _ => 0.0,
    };
    let half = if matches!(dtype, DType::F16 | DType::BF16) { eps(dtype) / 2.0 } else { 0.0 };
    want.zip(error, |w, e| e + half * (w.abs() + e) + smallest)
}

/// Asserts that a result of dtype `dtype` is off by no more than k roundings of `magnitude`.
#[track_caller]
pub fn assert_rounded(got: &Tensor, want: &Nd, k: f64, magnitude: &Nd) {
    let error = magnitude.map(|m| k * work_eps(got.dtype()) * m.abs());
    assert_near(got, want, &stored_error(want, &error, got.dtype()));
}
