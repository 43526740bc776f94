//! Which kernels ran, with their shapes and times: what a profile and a test of pruning look at.
//!
//! A thread that watches has its calls go through a backend that notes each and hands it on; one that does not reads a
//! flag of its own and calls the device's kernels themselves.

mod spans;
mod traced;

pub(crate) use spans::{Open, Pieces, is_timed, layer, pieces, slice};
pub use spans::{Part, Span, Timeline};
pub(super) use traced::Traced;

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
    /// The bytes that must move at least: every operand read once and every result written once; one that is repeated by
    /// a stride of 0 counts once.
    pub bytes: u64,
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
    /// let gemm = calls.iter().find(|c| c.kernel == "gemm").unwrap();
    /// assert_eq!(gemm.bytes, 4 * 8 * (2 * 3 + 3 * 5 + 2 * 5));
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

/// What a thread notes.
struct Watching {
    /// The calls so far, if they are to be listed.
    calls: Option<Vec<Call>>,
    /// Where spans go, if they are to be timed.
    timeline: Option<Timeline>,
    /// The innermost open one of them.
    innermost: Option<usize>,
}

thread_local! {
    static WATCHING: RefCell<Option<Box<Watching>>> = const { RefCell::new(None) };
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
    let (timeline, innermost) =
        WATCHING.with_borrow(|w| w.as_ref().map_or((None, None), |w| (w.timeline.clone(), w.innermost)));
    let watching = Watching { calls: Some(Vec::new()), timeline, innermost };
    let (result, calls) = local::with(&WATCHING, Some(Box::new(watching)), || {
        let result = f();
        (result, WATCHING.take().and_then(|w| w.calls).unwrap_or_default())
    });
    WATCHING.with_borrow_mut(|w| {
        if let Some(outer) = w.as_mut().and_then(|w| w.calls.as_mut()) {
            outer.extend(calls.iter().cloned());
        }
    });
    (result, calls)
}

/// Runs `f`, which is none of this computation's, out of sight.
pub(crate) fn unseen<R>(f: impl FnOnce() -> R) -> R {
    local::with(&WATCHING, None, f)
}

/// Whether this thread notes its calls.
#[inline]
pub(super) fn is_on() -> bool {
    WATCHING.with_borrow(Option::is_some)
}

/// Notes a call that is about to be made; its span ends with what is returned.
pub(crate) fn note(kernel: &'static str, shape: &[usize], bytes: u64) -> Open {
    let call = || Call { kernel, shape: shape.to_vec(), bytes, module: Scope::path() };
    WATCHING.with_borrow_mut(|w| {
        if let Some(calls) = w.as_mut().and_then(|w| w.calls.as_mut()) {
            calls.push(call());
        }
    });
    spans::open(Part::Kernel, || (kernel.into(), ""), Some(call))
}
