//! How kernels along one dimension see a dense operand.

use crate::layout::Layout;

/// A dense operand as `[outer, length, inner]` around a dimension, in the order of memory: line `outer * inner + i` has
/// `length` elements, `inner` apart.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub outer: usize,
    pub length: usize,
    /// 1 if the elements of a line lie side by side.
    pub inner: usize,
}

impl Lines {
    /// Of an operand that is dense in any order and not empty.
    pub fn of(l: &Layout, dim: usize) -> Lines {
        debug_assert!(l.is_dense() && l.numel() > 0);
        let length = l.shape()[dim];
        // The stride of a dimension of size 1 says nothing.
        let inner = if length == 1 { 1 } else { l.strides()[dim] };
        Lines { outer: l.numel() / (length * inner), length, inner }
    }

    /// How many lines there are.
    pub fn count(self) -> usize {
        self.outer * self.inner
    }
}
