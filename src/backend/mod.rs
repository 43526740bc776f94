//! The kernels' contract: what a device must be able to do, on storages and layouts.
//!
//! Nothing here knows of gradients or graphs. An op checks shapes, dtypes and devices, allocates the result and
//! calls one primitive; a primitive may assume that its operands fit, live on its device and are not aliased by
//! its output. Adding a device means implementing [`Backend`] and one variant of [`Memory`].

pub mod cpu;
mod meta;
pub mod trace;

use crate::{DType, Device, Layout};

/// A flat, typed piece of a device's memory. Immutable while shared: it is written only through a handle that
/// is its single owner.
pub struct Storage {
    dtype: DType,
    len: usize,
    memory: Memory,
}

/// The memory behind a [`Storage`], by device.
pub enum Memory {
    /// A buffer of the CPU pool.
    Cpu(cpu::Buffer),
    /// Nothing: the tensor has a shape but no values.
    Meta,
}

impl Storage {
    pub(crate) fn new(dtype: DType, len: usize, memory: Memory) -> Storage {
        Storage { dtype, len, memory }
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The device whose memory this is.
    pub fn device(&self) -> Device {
        match self.memory {
            Memory::Cpu(_) => Device::Cpu,
            Memory::Meta => Device::Meta,
        }
    }

    /// The device's memory.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The device's memory, for writing.
    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

/// An operand: a storage and how to read it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Where the elements are.
    pub storage: &'a Storage,
    /// Which of them, in which order.
    pub layout: &'a Layout,
}

/// A result: a storage and where to write in it.
pub struct ViewMut<'a> {
    /// Where the elements go.
    pub storage: &'a mut Storage,
    /// In which order. Never has a stride of 0 over a dimension larger than 1.
    pub layout: &'a Layout,
}

impl ViewMut<'_> {
    /// The same place, borrowed again.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut { storage: self.storage, layout: self.layout }
    }
}

/// Elementwise functions of one operand.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Unary {
    /// -x
    Neg,
    /// e^x
    Exp,
    /// ln x
    Log,
    /// x^(1/2)
    Sqrt,
    /// |x|
    Abs,
    /// tanh x
    Tanh,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// max(x, 0); NaN stays NaN
    Relu,
    /// x where x > 0, else slope * x
    LeakyRelu(f64),
    /// ln(1 + e^(beta x)) / beta, and x itself where beta x > threshold
    Softplus {
        /// Steepness.
        beta: f64,
        /// Where the function is taken to be linear.
        threshold: f64,
    },
    /// mul * x + add
    Affine {
        /// Factor.
        mul: f64,
        /// Summand.
        add: f64,
    },
    /// x^p for a constant p
    Pow(f64),
    /// min(max(x, lo), hi); NaN stays NaN
    Clamp {
        /// Lower bound, -inf for none.
        lo: f64,
        /// Upper bound, +inf for none.
        hi: f64,
    },
}

/// Elementwise functions of two operands, already broadcast to one shape.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a / b
    Div,
    /// The larger of a and b; NaN if either is
    Maximum,
    /// The smaller of a and b; NaN if either is
    Minimum,
    /// -(t max(ln p, -100) + (1-t) max(ln(1-p), -100)) of (p, t)
    Bce,
    /// max(a, 0) - a t + ln(1 + e^-|a|) of (a, t)
    BceWithLogits,
    /// (g, y): g where y > 0, else slope * g
    LeakyReluGrad(f64),
    /// (g, x): g where lo < x < hi, else 0
    ClampGrad {
        /// Lower bound.
        lo: f64,
        /// Upper bound.
        hi: f64,
    },
    /// (g, x): g where x > 0, -g where x < 0, else 0
    AbsGrad,
    /// (g, y): g (1 - y^2)
    TanhGrad,
    /// (g, y): g y (1 - y)
    SigmoidGrad,
}

/// Comparisons; the result is u8, 1 where true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compare {
    /// a == b
    Eq,
    /// a != b
    Ne,
    /// a < b
    Lt,
    /// a <= b
    Le,
    /// a > b
    Gt,
    /// a >= b
    Ge,
}

/// Reductions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduce {
    /// Sum; 0 for nothing.
    Sum,
    /// Largest element; NaN if any is NaN. Never asked of nothing.
    Max,
}

/// What random numbers to draw.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Random {
    /// Uniform in [lo, hi).
    Uniform {
        /// Lower bound, included.
        lo: f64,
        /// Upper bound, excluded.
        hi: f64,
    },
    /// Normal with this mean and standard deviation.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// `value` with probability `p`, else 0.
    Bernoulli {
        /// Probability of `value`.
        p: f64,
        /// The value that is not zero.
        value: f64,
    },
}

/// An optimiser's update rule with this step's scalars.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Update {
    /// See [`crate::optim::Sgd`]. Moments: the momentum buffer, if momentum is not 0.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Factor of the momentum buffer.
        momentum: f64,
        /// The gradient enters the buffer with 1 - dampening.
        dampening: f64,
        /// Nesterov's form.
        nesterov: bool,
        /// Factor of the parameter added to the gradient.
        weight_decay: f64,
        /// The first step fills the momentum buffer.
        first: bool,
    },
    /// See [`crate::optim::Adam`] and [`crate::optim::AdamW`]. Moments: first, second, and the largest second so far if
    /// `amsgrad`.
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        eps: f64,
        /// Factor of the parameter added to the gradient; AdamW's takes it from the parameter.
        weight_decay: f64,
        /// AdamW: p <- (1 - lr weight_decay) p comes first, and nothing is added to the gradient.
        decoupled: bool,
        /// Divides by the largest second moment so far.
        amsgrad: bool,
        /// 1 - beta1^t
        correction1: f64,
        /// 1 - beta2^t
        correction2: f64,
    },
    /// See [`crate::optim::RmsProp`]. Moments: the mean square, the momentum buffer if momentum is not 0, and the mean
    /// if `centered`.
    RmsProp {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean square.
        alpha: f64,
        /// Added to the denominator.
        eps: f64,
        /// Factor of the parameter added to the gradient.
        weight_decay: f64,
        /// Factor of the momentum buffer.
        momentum: f64,
        /// Divides by the standard deviation, not by the root of the mean square.
        centered: bool,
    },
}

/// What a gradient goes through before a rule sees it: clamp(scale g, -limit, limit). NaN stays NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradClip {
    /// Factor of every element.
    pub scale: f64,
    /// Largest magnitude of an element, at least 0; infinite for none.
    pub limit: f64,
}

impl GradClip {
    /// Leaves every gradient as it is, bit for bit.
    pub const NONE: GradClip = GradClip { scale: 1.0, limit: f64::INFINITY };
}

/// One parameter's row in the table that [`Backend::update`] goes through. All are dense, of one length and
/// dtype (f32 or f64).
pub struct UpdateRow<'a> {
    /// Written in place.
    pub param: &'a mut Storage,
    /// Read only.
    pub grad: View<'a>,
    /// What the update makes of the gradient as it reads it.
    pub clip: GradClip,
    /// Written in place; how many there are depends on the rule.
    pub moments: Vec<&'a mut Storage>,
    /// An exponential moving average of the parameter, moved towards it by `1 - decay`.
    pub ema: Option<(&'a mut Storage, f64)>,
}

/// An index tensor holds a value that is not a valid index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadIndex {
    /// The value found.
    pub index: i64,
    /// Valid are `0..size`.
    pub size: usize,
}

/// Memory held by a device's pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolStats {
    /// Requests that found no cached buffer and went to the system.
    pub misses: u64,
    /// Requests served from the cache.
    pub hits: u64,
    /// Bytes in live buffers.
    pub in_use: usize,
    /// Bytes waiting to be used again.
    pub cached: usize,
}

/// A device's kernels. Object safe: user code never sees a backend type.
///
/// Outputs are freshly allocated and hold arbitrary old values: every element must be written (a primitive whose
/// name says it accumulates also reads them). Unless said otherwise all operands have one dtype and kernels for
/// floats take f32, f64, f16 and bf16, the latter two by widening to f32.
pub trait Backend: Send + Sync {
    /// The device these kernels run on.
    fn device(&self) -> Device;
    /// A line for `ganvil info` and run logs.
    fn describe(&self) -> String;
    /// The instruction set the kernels use (`avx512`, ...): bits are promised within one only, so checkpoints record it.
    fn tier(&self) -> &'static str;
    /// Memory with arbitrary content.
    fn alloc(&self, dtype: DType, len: usize) -> Storage;
    /// Memory filled from the host; `bytes` holds `len` elements in native order.
    fn upload(&self, dtype: DType, bytes: &[u8]) -> Storage;
    /// Copies a storage's elements `first..` into host memory, as many as fit.
    fn download(&self, x: &Storage, first: usize, bytes: &mut [u8]);
    /// Waits until every kernel launched so far is done.
    fn synchronize(&self);
    /// What the pool holds.
    fn pool_stats(&self) -> PoolStats;
    /// Gives cached memory back to the system.
    fn trim(&self);

    /// Every element becomes `value`; all dtypes.
    fn fill(&self, value: f64, out: ViewMut);
    /// Copies between layouts of one shape; all dtypes.
    fn copy(&self, x: View, out: ViewMut);
    /// Converts between any two dtypes.
    fn cast(&self, x: View, out: ViewMut);
    /// out = f(x).
    fn unary(&self, f: Unary, x: View, out: ViewMut);
    /// out = f(a, b).
    fn binary(&self, f: Binary, a: View, b: View, out: ViewMut);
    /// out (u8) = a ? b; all dtypes.
    fn compare(&self, f: Compare, a: View, b: View, out: ViewMut);
    /// out = cond != 0 ? a : b; cond is u8 or i64.
    fn select(&self, cond: View, a: View, b: View, out: ViewMut);
    /// acc += x.
    fn accumulate(&self, x: View, acc: ViewMut);
    /// Reduces the dimensions marked true; `out` has the kept ones, in order.
    fn reduce(&self, f: Reduce, x: View, over: &[bool], out: ViewMut);
    /// out (i64, contiguous) = for each row, which is the last dimension of the contiguous x, the position of its
    /// largest element, the first of equal ones; NaN counts as larger than any number. Rows have elements; all dtypes.
    fn argmax(&self, x: View, out: ViewMut);
    /// out (i64, contiguous, of x's shape) = for each row of the contiguous x, its positions in ascending or descending
    /// order of their elements, equal ones in order of position; NaN counts as larger than any number. All dtypes.
    fn argsort(&self, x: View, descending: bool, out: ViewMut);
    /// out (contiguous) = the running sums of each row of the contiguous x, added from the first element on.
    fn cumsum(&self, x: View, out: ViewMut);
    /// `out [.., m, n] = a [.., m, k] b [.., k, n] + bias [n]`; the batch dimensions are already broadcast.
    fn gemm(&self, a: View, b: View, bias: Option<View>, out: ViewMut);
    /// out = the entries of dimension `dim` of x listed in the 1-D i64 `index`; all dtypes.
    fn index_select(&self, x: View, dim: usize, index: View, out: ViewMut) -> Result<(), BadIndex>;
    /// acc += src at the entries of dimension `dim` listed in `index`, repeats in index order.
    fn index_add(&self, src: View, dim: usize, index: View, acc: ViewMut) -> Result<(), BadIndex>;
    /// out[.., j, ..] = x[.., index[.., j, ..], ..] along `dim`; all dtypes.
    fn gather(&self, x: View, dim: usize, index: View, out: ViewMut) -> Result<(), BadIndex>;
    /// acc[.., index[.., j, ..], ..] += src[.., j, ..] along `dim`, repeats in order of j.
    fn scatter_add(&self, src: View, dim: usize, index: View, acc: ViewMut) -> Result<(), BadIndex>;
    /// Mean and biased variance of x over all dimensions but 1. f32 and f64.
    fn batch_norm_stats(&self, x: View, mean: ViewMut, var: ViewMut);
    /// out = (x - mean) * rstd * weight + bias, the last four per channel (dimension 1). f32 and f64.
    fn batch_norm_apply(&self, x: View, mean: View, rstd: View, weight: View, bias: View, out: ViewMut);
    /// The gradients of training-mode batch norm for upstream gradient g: for the input, the weight and the
    /// bias. f32 and f64.
    fn batch_norm_grad(&self, g: View, x: View, stats: BatchNormStats, out: BatchNormGrads);
    /// Fills `out` (contiguous) with random numbers: element i from Philox block i / 4 of call `call`.
    fn random(&self, what: Random, key: crate::rng::Key, call: u64, out: ViewMut);
    /// The sum of squares of each operand (dense; f32 or f64), in f64: no square of an f32 overflows or vanishes.
    fn sum_squares(&self, table: &[View]) -> Vec<f64>;
    /// One optimiser step over a table of parameters.
    fn update(&self, rule: Update, rows: &mut [UpdateRow]);
}

/// What [`Backend::batch_norm_grad`] reads besides its input: mean, 1/sqrt(var + eps) and weight per channel.
#[derive(Clone, Copy)]
pub struct BatchNormStats<'a> {
    /// `[channels]`
    pub mean: View<'a>,
    /// `[channels]`
    pub rstd: View<'a>,
    /// `[channels]`
    pub weight: View<'a>,
}

/// What [`Backend::batch_norm_grad`] writes.
pub struct BatchNormGrads<'a> {
    /// The gradient of the input, of its shape.
    pub x: ViewMut<'a>,
    /// `[channels]`
    pub weight: ViewMut<'a>,
    /// `[channels]`
    pub bias: ViewMut<'a>,
}

/// The backend of a device.
pub fn of(device: Device) -> &'static dyn Backend {
    match device {
        Device::Cpu => &cpu::Cpu,
        Device::Meta => &meta::Meta,
    }
}
