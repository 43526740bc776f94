//! The kernels' contract: what a device must be able to do, on storages and layouts.
//!
//! Nothing here knows of gradients or graphs. An op checks shapes, dtypes and devices, allocates the result and
//! calls one primitive; a primitive may assume that its operands fit, live on its device and are not aliased by
//! its output. Adding a device means implementing [`Backend`] and one variant of [`Memory`].

mod channels;
pub mod cpu;
pub mod cuda;
mod functions;
mod groups;
mod lines;
mod meta;
pub mod trace;

pub use functions::{
    Binary, Compare, ConvOptions, Epilogue, GradClip, Loss, Random, Reduce, Unary, Update, Upfirdn, Window,
};
pub use groups::Groups;

use crate::{DType, Device, Layout};
use trace::Traced;

/// A flat, typed piece of a device's memory. Immutable while shared: it is written only through a handle that
/// is its single owner.
pub struct Storage {
    dtype: DType,
    len: usize,
    memory: Memory,
    packed: cpu::Packed,
}

/// The memory behind a [`Storage`], by device.
pub enum Memory {
    /// A buffer of the CPU pool.
    Cpu(cpu::Buffer),
    /// Memory of a GPU, or of the simulator that stands in for one.
    Cuda(cuda::Buffer),
    /// Nothing: the tensor has a shape but no values.
    Meta,
}

impl Storage {
    pub(crate) fn new(dtype: DType, len: usize, memory: Memory) -> Storage {
        Storage { dtype, len, memory, packed: cpu::Packed::default() }
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
        match &self.memory {
            Memory::Cpu(_) => Device::Cpu,
            Memory::Cuda(b) => b.device(),
            Memory::Meta => Device::Meta,
        }
    }

    /// The device's memory.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Copies of the elements that the CPU's kernels have made for themselves.
    pub(crate) fn packed(&self) -> &cpu::Packed {
        &self.packed
    }

    /// The device's memory, for writing.
    pub(crate) fn memory_mut(&mut self) -> &mut Memory {
        self.packed.clear();
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
    /// Requests that found no cached buffer, for which the system gives memory.
    pub misses: u64,
    /// Requests served from the cache.
    pub hits: u64,
    /// Bytes in live buffers.
    pub in_use: usize,
    /// Bytes waiting to be used again.
    pub cached: usize,
    /// Bytes of the largest buffer that was ever asked for.
    pub largest: usize,
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
    /// Whether there are [`Backend::unary_in_place`] and [`Backend::binary_in_place`], which only such devices are asked for.
    fn works_in_place(&self) -> bool {
        false
    }
    /// x = f(x), for a dense x of f32 or f64.
    fn unary_in_place(&self, _f: Unary, _x: ViewMut) {
        unreachable!("only devices that work in place are asked")
    }
    /// a = f(a, b), for a and b of f32 or f64 that are dense and lie alike.
    fn binary_in_place(&self, _f: Binary, _a: ViewMut, _b: View) {
        unreachable!("only devices that work in place are asked")
    }
    /// out (u8) = a ? b; all dtypes.
    fn compare(&self, f: Compare, a: View, b: View, out: ViewMut);
    /// out = cond != 0 ? a : b; cond is u8 or i64.
    fn select(&self, cond: View, a: View, b: View, out: ViewMut);
    /// acc += x.
    fn accumulate(&self, x: View, acc: ViewMut);
    /// Reduces the dimensions marked true; `out` has the kept ones, in order.
    fn reduce(&self, f: Reduce, x: View, over: &[bool], out: ViewMut);
    /// out (0-dimensional) = `scale` times the sum of a loss over all pairs of the prediction p and the target t, which have
    /// one shape; each is read once.
    fn loss(&self, f: Loss, p: View, t: View, scale: f64, out: ViewMut);
    /// out = `scale` g dl/dp for the same pairs; g has p's shape, with stride 0 throughout where it is one number.
    fn loss_grad(&self, f: Loss, g: View, p: View, t: View, scale: f64, out: ViewMut);
    /// out (i64, contiguous) = for each row, which is the last dimension of the contiguous x, the position of its
    /// largest element, the first of equal ones; NaN counts as larger than any number. Rows have elements; all dtypes.
    fn argmax(&self, x: View, out: ViewMut);
    /// out (i64, contiguous, of x's shape) = for each row of the contiguous x, its positions in ascending or descending
    /// order of their elements, equal ones in order of position; NaN counts as larger than any number. All dtypes.
    fn argsort(&self, x: View, descending: bool, out: ViewMut);
    /// out (contiguous) = the running sums of each row of the contiguous x, added from the first element on.
    fn cumsum(&self, x: View, out: ViewMut);
    /// out = `e^x / sum e^x` along dimension `dim`, or its logarithm. x and out are dense in one order, whichever it is,
    /// and not empty. f32 and f64, as the gradient.
    fn softmax(&self, log: bool, x: View, dim: usize, out: ViewMut);
    /// The gradient of [`Backend::softmax`] for its result y and the upstream gradient g: `y (g - sum g y)`, or
    /// `g - e^y sum g` of the logarithm. All three are dense in one order.
    fn softmax_grad(&self, log: bool, g: View, y: View, dim: usize, out: ViewMut);
    /// `loss = ln sum e^x - x[class]` along dimension 1 of the logits x, which are not empty and dense in an order that
    /// keeps that of the other dimensions; and, in pairs, what the gradient needs: the largest x and the sum of
    /// e^(x - largest). `class` (i64), `loss` and `stats` are contiguous. f32 and f64, as the gradient.
    fn cross_entropy(&self, x: View, class: View, loss: ViewMut, stats: ViewMut) -> Result<(), BadIndex>;
    /// out = `(softmax(x) - [class]) g`, of x's layout, for classes and stats of [`Backend::cross_entropy`]. g is
    /// contiguous or one number, expanded.
    fn cross_entropy_grad(&self, g: View, x: View, class: View, stats: View, out: ViewMut);
    /// Whether the epilogues of [`Backend::gemm`] and [`Backend::conv2d`] rectify, which only such devices are asked for, in
    /// f32 and f64.
    fn rectifies(&self) -> bool {
        false
    }
    /// `out [.., m, n] = a [.., m, k] b [.., k, n] + bias [n]`, perhaps rectified; the batch dimensions are already broadcast.
    fn gemm(&self, a: View, b: View, end: Epilogue<View>, out: ViewMut);
    /// The cross-correlation `out [n, O, oh, ow] = x [n, C, h, w] * weight [O, C/groups, kh, kw] + bias [O]`, perhaps
    /// rectified. Images are dense channels-last, weight and bias contiguous; none is empty. f32 and f64, as both adjoints.
    fn conv2d(&self, x: View, weight: View, end: Epilogue<View>, options: &ConvOptions, out: ViewMut);
    /// The adjoint of [`Backend::conv2d`] in x, for g of its result's shape: `out [n, C, h, w] = g * weight^T + bias [C]`.
    fn conv2d_input_grad(
        &self,
        g: View,
        weight: View,
        bias: Option<View>,
        options: &ConvOptions,
        out: ViewMut,
    );
    /// The adjoint of [`Backend::conv2d`] in the weight, for g of its result's shape; `out` is contiguous.
    fn conv2d_weight_grad(&self, x: View, g: View, options: &ConvOptions, out: ViewMut);
    // The four primitives below are told on behalf of which `op` they run: a device that finds an invalid index later than
    // they return names it.

    /// out = the entries of dimension `dim` of x listed in the 1-D i64 `index`; all dtypes.
    fn index_select(
        &self,
        op: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> Result<(), BadIndex>;
    /// acc += src at the entries of dimension `dim` listed in `index`, repeats in an order that their number
    /// decides: on the CPU that of the index.
    fn index_add(
        &self,
        op: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> Result<(), BadIndex>;
    /// out[.., j, ..] = x[.., index[.., j, ..], ..] along `dim`; all dtypes.
    fn gather(
        &self,
        op: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> Result<(), BadIndex>;
    /// acc[.., index[.., j, ..], ..] += src[.., j, ..] along `dim`, repeats in an order that their
    /// number decides: on the CPU that of j.
    fn scatter_add(
        &self,
        op: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> Result<(), BadIndex>;
    /// Mean and biased variance of x over all dimensions but 1. f32 and f64.
    fn batch_norm_stats(&self, x: View, mean: ViewMut, var: ViewMut);
    /// out = (x - mean) * rstd * weight + bias, the last four per channel (dimension 1). f32 and f64.
    fn batch_norm_apply(&self, x: View, mean: View, rstd: View, weight: View, bias: View, out: ViewMut);
    /// The gradients of training-mode batch norm for upstream gradient g: for the input, the weight and the
    /// bias. f32 and f64.
    fn batch_norm_grad(&self, g: View, x: View, stats: BatchNormStats, out: BatchNormGrads);
    /// `out = (x - mean) / sqrt(var + eps) * weight + bias` with mean and biased variance over each group of each sample,
    /// and `stats [samples, groups, 2]` = mean and `1 / sqrt(var + eps)`. x and out lie as `shape` says and are not empty;
    /// weight and bias, where given, are contiguous. f32 and f64.
    fn group_norm(
        &self,
        shape: Groups,
        eps: f64,
        x: View,
        affine: [Option<View>; 2],
        out: ViewMut,
        stats: ViewMut,
    );
    /// The gradients of [`Backend::group_norm`] for upstream gradient g, which lies as x: for the input and, if wanted,
    /// for weight and bias. f32 and f64.
    fn group_norm_grad(
        &self,
        shape: Groups,
        g: View,
        x: View,
        stats: View,
        weight: Option<View>,
        out: GroupNormGrads,
    );
    /// `out[n, c, i, j] = sum_{k, l} filter[k, l] z[n, c, i down0 + k - pad0, j down1 + l - pad1]`, where z is x
    /// upsampled by the insertion of zeros, and 0 outside; filter[K-1-k, L-1-l] if it is to be flipped. x and out are
    /// dense in channels-last order. f32 and f64.
    fn upfirdn2d(&self, p: Upfirdn, x: View, filter: View, out: ViewMut);
    /// out (i64) = for each window and channel of the images x, the position `row * width + column` of the largest
    /// element, the first of equal ones; NaN counts as larger than any number. Every window holds a pixel. x and out
    /// are dense in channels-last order. f32 and f64.
    fn argmax_pool2d(&self, window: Window, x: View, out: ViewMut);
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

/// What [`Backend::group_norm_grad`] writes.
pub struct GroupNormGrads<'a> {
    /// The gradient of the input, of its layout.
    pub x: ViewMut<'a>,
    /// Those of weight and bias, `[groups, members]`, contiguous.
    pub affine: Option<[ViewMut<'a>; 2]>,
}

/// The backend of a device; one that notes its calls where this thread watches them, see [`trace`].
pub fn of(device: Device) -> &'static dyn Backend {
    if trace::is_on() {
        return traced(device);
    }
    match device {
        Device::Cpu => &cpu::Cpu,
        Device::Cuda => &cuda::CUDA,
        Device::Ptxsim => &cuda::PTXSIM,
        Device::Meta => &meta::Meta,
    }
}

#[cold]
fn traced(device: Device) -> &'static dyn Backend {
    static CPU: Traced = Traced(&cpu::Cpu);
    static CUDA: Traced = Traced(&cuda::CUDA);
    static PTXSIM: Traced = Traced(&cuda::PTXSIM);
    static META: Traced = Traced(&meta::Meta);
    match device {
        Device::Cpu => &CPU,
        Device::Cuda => &CUDA,
        Device::Ptxsim => &PTXSIM,
        Device::Meta => &META,
    }
}
