//! How batch norm sees its operand.

use crate::layout::Layout;

/// The view of a dense operand as `[outer, channels, inner]`.
#[derive(Clone, Copy)]
pub(super) struct Channels {
    /// Images; or all rows, if channels are fastest.
    pub outer: usize,
    pub channels: usize,
    /// Elements of a plane; 1 if channels are fastest.
    pub inner: usize,
}

impl Channels {
    /// None if the operand is dense in some other order.
    pub fn of(l: &Layout) -> Option<Channels> {
        let (n, c) = (l.shape()[0], l.shape()[1]);
        let inner: usize = l.shape()[2..].iter().product();
        let last: Vec<usize> = std::iter::once(0).chain(2..l.rank()).chain([1]).collect();
        if inner == 1 && l.is_contiguous() || l.permuted(&last).is_contiguous() {
            return Some(Channels { outer: n * inner, channels: c, inner: 1 });
        }
        l.is_contiguous().then_some(Channels { outer: n, channels: c, inner })
    }

    /// Elements per channel.
    pub fn count(self) -> usize {
        self.outer * self.inner
    }

    pub fn numel(self) -> usize {
        self.outer * self.channels * self.inner
    }
}
