//! Which kernels ran, with their shapes: what a profile and a test of pruning look at.

use super::{View, ViewMut};
use crate::error::Scope;
use crate::local;
use std::cell::RefCell;

/// One call of a backend primitive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The primitive's name: `gemm`, `unary`, ...
    pub kernel: &'static str,
    /// Its problem size: m, n, k and then the batch dimensions for `gemm`; images, channels, rows and columns of the
    /// smaller image and then channels, rows and columns of the window for convolutions; else the result's shape.
    pub shape: Vec<usize>,
    /// The module whose forward pass called it, as in messages (`D.net.3`); empty outside of any.
    pub module: String,
}

impl Call {
    /// Multiply-adds of a product; 0 for kernels that go over their operands once.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor, backend::trace};
    /// let ones = |shape| Tensor::ones(shape, DType::F32, Device::Meta);
    /// let (_, calls) = trace::record(|| ones(&[8, 2, 3]).matmul(&ones(&[8, 3, 5])).relu());
    /// assert_eq!(calls.iter().map(|c| c.macs()).sum::<u64>(), 8 * 2 * 3 * 5);
    /// ```
    pub fn macs(&self) -> u64 {
        match self.kernel {
            "gemm" | "conv2d" | "conv2d_input_grad" | "conv2d_weight_grad" => {
                self.shape.iter().map(|&n| n as u64).product()
            }
            _ => 0,
        }
    }
}

thread_local! {
    static CALLS: RefCell<Option<Vec<Call>>> = const { RefCell::new(None) };
}

/// Runs `f` and lists the primitives that this thread called meanwhile, in order.
///
/// ```
/// use ganvil::{DType, Device, Tensor, backend::trace};
/// let x = Tensor::ones(&[2, 3], DType::F32, Device::Cpu);
/// let (_, calls) = trace::record(|| x.t().matmul(&x).exp());
/// assert_eq!(calls.iter().map(|c| c.kernel).collect::<Vec<_>>(), ["gemm", "unary"]);
/// ```
pub fn record<R>(f: impl FnOnce() -> R) -> (R, Vec<Call>) {
    let (result, calls) = local::with(&CALLS, Some(Vec::new()), || {
        let result = f();
        (result, CALLS.take().unwrap_or_default())
    });
    CALLS.with_borrow_mut(|c| {
        if let Some(outer) = c {
            outer.extend(calls.iter().cloned());
        }
    });
    (result, calls)
}

/// Runs `f`, which is none of this computation's, out of sight.
pub(crate) fn unseen<R>(f: impl FnOnce() -> R) -> R {
    local::with(&CALLS, None, f)
}

/// A backend's note that it was called.
#[inline]
pub(crate) fn note(kernel: &'static str, shape: &[usize]) {
    CALLS.with_borrow_mut(|c| {
        if let Some(calls) = c {
            calls.push(Call { kernel, shape: shape.to_vec(), module: Scope::path() });
        }
    });
}

/// The note of a matrix product `out [.., m, n] = a [.., m, k] b`.
#[inline]
pub(crate) fn note_gemm(a: &View, out: &ViewMut) {
    if let ([batch @ .., m, n], [.., k], true) =
        (out.layout.shape(), a.layout.shape(), CALLS.with_borrow(Option::is_some))
    {
        note("gemm", &[&[*m, *n, *k], batch].concat());
    }
}

/// The note of a convolution between images and windows of these shapes: of its result (or the gradient of that) and its
/// weight (or the gradient of that).
#[inline]
pub(crate) fn note_conv(kernel: &'static str, y: &[usize], weight: &[usize]) {
    if CALLS.with_borrow(Option::is_some) {
        note(kernel, &[y, &weight[1..]].concat());
    }
}
