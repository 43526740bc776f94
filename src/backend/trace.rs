//! Which kernels ran, with their shapes: what a profile and a test of pruning look at.

use crate::local;
use std::cell::RefCell;

/// One call of a backend primitive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The primitive's name: `gemm`, `unary`, ...
    pub kernel: &'static str,
    /// Its problem size: m, n, k for `gemm`, else the result's shape.
    pub shape: Vec<usize>,
}

thread_local! {
    static CALLS: RefCell<Option<Vec<Call>>> = const { RefCell::new(None) };
}

/// Runs `f` and lists the primitives that this thread called meanwhile, in order.
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
            calls.push(Call { kernel, shape: shape.to_vec() });
        }
    });
}
