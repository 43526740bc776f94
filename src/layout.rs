//! Shape, strides and offset: how a flat buffer is read as an n-dimensional array.
//!
//! Element `(i0, i1, ...)` lives at `offset + i0*strides[0] + i1*strides[1] + ...`. Views (permute, narrow,
//! expand, ...) change only this. The logical shape of images is NCHW whatever the order in memory.

use crate::dims::{Dims, MAX_RANK};
use crate::error::misuse;
use std::fmt;

/// Shape, strides (in elements) and offset of a view into a storage.
///
/// Strides are canonical: a dimension of size 1, and every dimension of an empty tensor, has the stride
/// that row-major order would give it, so that layouts which address the same elements compare equal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    shape: Dims,
    strides: Dims,
    offset: usize,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?} strides {:?} offset {}", self.shape, self.strides, self.offset)
    }
}

impl Layout {
    /// Row-major order from offset 0.
    #[track_caller]
    pub fn contiguous(shape: &[usize]) -> Layout {
        let shape = Dims::from_slice(shape);
        let mut strides = Dims::filled(shape.len(), 1);
        let mut step = 1;
        for d in (0..shape.len()).rev() {
            strides[d] = step;
            step *= shape[d].max(1);
        }
        Layout { shape, strides, offset: 0 }
    }

    /// Images `[n, c, h, w]` with the channels of a pixel side by side.
    #[track_caller]
    pub fn channels_last(shape: &[usize]) -> Layout {
        assert_eq!(shape.len(), 4, "channels-last is an order of four dimensions");
        Layout::in_order(&[0, 2, 3, 1], shape)
    }

    /// Dense in the order of [`Layout::channels_last`].
    pub fn is_channels_last(&self) -> bool {
        self.rank() == 4 && self.permuted(&[0, 2, 3, 1]).is_contiguous()
    }

    /// Given strides; those of size-1 dimensions are made canonical.
    pub(crate) fn strided(shape: &[usize], strides: &[usize], offset: usize) -> Layout {
        debug_assert_eq!(shape.len(), strides.len());
        let mut l = Layout { shape: Dims::from_slice(shape), strides: Dims::from_slice(strides), offset };
        if l.numel() == 0 {
            return Layout { offset, ..Layout::contiguous(shape) };
        }
        // The stride a size-1 dimension would have in row-major order is the extent of what follows it.
        let mut step = 1;
        for d in (0..shape.len()).rev() {
            if shape[d] == 1 {
                l.strides[d] = step;
            }
            step = l.strides[d] * shape[d];
            if step == 0 {
                step = 1;
            }
        }
        l
    }

    /// The size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The distance, in elements, between neighbours along each dimension.
    pub fn strides(&self) -> &[usize] {
        &self.strides
    }

    /// Where element `(0, 0, ...)` lives in the storage.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements: 1 for no dimensions, 0 if any size is 0.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Row-major without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1;
        if self.numel() == 0 {
            return true;
        }
        for d in (0..self.rank()).rev() {
            if self.shape[d] != 1 && self.strides[d] != step {
                return false;
            }
            step *= self.shape[d];
        }
        true
    }

    /// The dimensions from the one with the largest stride to the one with the smallest; equal strides keep
    /// their order. Row-major layouts give `0, 1, 2, ...`.
    pub fn memory_order(&self) -> Dims {
        let mut order: Dims = (0..self.rank()).collect();
        order.sort_by_key(|&d| std::cmp::Reverse(self.strides[d]));
        order
    }

    /// Whether the elements fill a range of memory without gap or repeat, in whatever order of dimensions.
    pub fn is_dense(&self) -> bool {
        self.is_contiguous() || self.permuted(&self.memory_order()).is_contiguous()
    }

    /// Whether an element stands for several, along a dimension with stride 0 that is not the first.
    pub(crate) fn repeats_within(&self) -> bool {
        (1..self.rank()).any(|d| self.strides[d] == 0 && self.shape[d] > 1)
    }

    /// Whether all elements are one number in memory.
    pub(crate) fn is_one_number(&self) -> bool {
        (0..self.rank()).all(|d| self.strides[d] == 0 || self.shape[d] == 1)
    }

    /// The range of storage indices a dense layout covers.
    pub(crate) fn dense_range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.numel()
    }

    /// The layout a fresh result of the same shape gets: without gaps, in the same order of dimensions in memory; what
    /// is repeated, and so has no place there, follows the dimension before it. It depends on the order alone, not on
    /// gaps, so that a part of a batch is treated like the whole.
    pub fn like(&self) -> Layout {
        if self.is_dense() {
            return Layout { offset: 0, ..*self };
        }
        // Sizes of 1 first, where they change no order.
        let (mut order, others): (Vec<usize>, Vec<usize>) =
            self.memory_order().iter().partition(|&&d| self.shape[d] == 1);
        order.extend(others.into_iter().filter(|&d| self.strides[d] != 0));
        for d in (0..self.rank()).filter(|&d| self.strides[d] == 0) {
            let before = (0..d).rfind(|&e| self.shape[e] != 1);
            let ones = self.shape.iter().filter(|&&n| n == 1).count();
            let at = before.map_or(ones, |e| 1 + order.iter().position(|&o| o == e).expect("already placed"));
            order.insert(at, d);
        }
        Layout::in_order(&order, &self.shape)
    }

    /// [`Layout::like`] with dimension 0 outermost. The other dimensions have the order that they have in one sample
    /// alone, so that an algorithm chosen by it does not depend on the size of the batch.
    pub(crate) fn like_with_samples_outermost(&self) -> Layout {
        let own = self.like();
        if self.numel() == 0 || self.shape[0] == 1 || own.strides[0] == self.numel() / self.shape[0] {
            return own;
        }
        let mut order = vec![0];
        order.extend(self.narrowed(0, 0, 1).like().memory_order().iter().filter(|&&d| d != 0));
        Layout::in_order(&order, &self.shape)
    }

    /// [`Layout::like`] for a result of another shape of the same rank. Channels-last stays so, whichever sizes are or
    /// become 1; in any other order dimensions of size 1 stand outermost.
    pub fn like_resized(&self, shape: &[usize]) -> Layout {
        let own = self.like();
        if own.is_contiguous() {
            return Layout::contiguous(shape);
        }
        let last: Dims = std::iter::once(0).chain(2..self.rank()).chain([1]).collect();
        if own.permuted(&last).is_contiguous() {
            return Layout::in_order(&last, shape);
        }
        let (ones, others): (Vec<usize>, Vec<usize>) =
            own.memory_order().iter().partition(|&&d| self.shape[d] == 1);
        Layout::in_order(&ones.into_iter().chain(others).collect::<Dims>(), shape)
    }

    /// Without gaps, with these dimensions from the slowest to the fastest.
    fn in_order(order: &[usize], shape: &[usize]) -> Layout {
        let mut place: Dims = Dims::filled(order.len(), 0);
        order.iter().enumerate().for_each(|(i, &d)| place[d] = i);
        let sizes: Dims = order.iter().map(|&d| shape[d]).collect();
        Layout::contiguous(&sizes).permuted(&place)
    }

    /// Dimensions reordered: dimension `d` of the result is dimension `dims[d]` of this.
    pub fn permuted(&self, dims: &[usize]) -> Layout {
        let shape: Dims = dims.iter().map(|&d| self.shape[d]).collect();
        let strides: Dims = dims.iter().map(|&d| self.strides[d]).collect();
        Layout::strided(&shape, &strides, self.offset)
    }

    /// `length` entries of dimension `dim` from `start`.
    pub fn narrowed(&self, dim: usize, start: usize, length: usize) -> Layout {
        self.sliced(dim, start, length, 1)
    }

    /// `length` entries of dimension `dim` from `start`, `step` apart.
    pub fn sliced(&self, dim: usize, start: usize, length: usize, step: usize) -> Layout {
        let (mut shape, mut strides) = (self.shape, self.strides);
        shape[dim] = length;
        if self.numel() == 0 || length == 0 {
            return Layout::strided(&shape, &strides, self.offset);
        }
        let offset = self.offset + start * strides[dim];
        // The step past the only entry is never taken, and may be too long to express.
        strides[dim] *= if length > 1 { step } else { 1 };
        Layout::strided(&shape, &strides, offset)
    }

    /// The diagonal of the last two dimensions `[.., m, n]` that starts at column `offset`, or at row `-offset`: of
    /// shape `[.., length]`, with no elements if it lies outside.
    pub fn diagonal(&self, offset: isize) -> Layout {
        let (m, n) = (self.rank() - 2, self.rank() - 1);
        let (down, right) = if offset < 0 { (offset.unsigned_abs(), 0) } else { (0, offset as usize) };
        let length = self.shape[m].saturating_sub(down).min(self.shape[n].saturating_sub(right));
        let (mut shape, mut strides) = (self.shape, self.strides);
        (shape[m], strides[m]) = (length, self.strides[m] + self.strides[n]);
        shape.remove(n);
        strides.remove(n);
        let start = if self.numel() == 0 || length == 0 {
            0
        } else {
            down * self.strides[m] + right * self.strides[n]
        };
        Layout::strided(&shape, &strides, self.offset + start)
    }

    /// Size-1 dimensions repeated (stride 0) and new leading ones added, or None if this shape does not
    /// broadcast to the one wanted.
    pub fn expanded(&self, shape: &[usize]) -> Option<Layout> {
        let lead = shape.len().checked_sub(self.rank())?;
        let mut strides: Dims = Dims::filled(shape.len(), 0);
        for d in 0..self.rank() {
            if self.shape[d] == shape[d + lead] {
                strides[d + lead] = self.strides[d];
            } else if self.shape[d] != 1 {
                return None;
            }
        }
        Some(Layout::strided(shape, &strides, self.offset))
    }

    /// The same elements in row-major order under another shape, if strides can express it.
    pub fn reshaped(&self, shape: &[usize]) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { offset: self.offset, ..Layout::contiguous(shape) });
        }
        // Match groups of old dimensions with groups of new ones of the same product.
        let old: Vec<usize> = (0..self.rank()).filter(|&d| self.shape[d] != 1).collect();
        let mut strides: Dims = Dims::filled(shape.len(), 1);
        let (mut o, mut n) = (0, 0);
        while o < old.len() {
            let (o0, n0) = (o, n);
            let mut po = self.shape[old[o]];
            o += 1;
            let mut pn = 1;
            while pn != po {
                if pn < po {
                    pn *= shape[n];
                    n += 1;
                } else {
                    po *= self.shape[old[o]];
                    o += 1;
                }
            }
            for i in o0..o - 1 {
                if self.strides[old[i]] != self.strides[old[i + 1]] * self.shape[old[i + 1]] {
                    return None;
                }
            }
            let mut step = self.strides[old[o - 1]];
            for d in (n0..n).rev() {
                strides[d] = step;
                step *= shape[d];
            }
        }
        Some(Layout::strided(shape, &strides, self.offset))
    }

    /// The storage index of every element in logical row-major order.
    pub fn indices(&self) -> Indices {
        self.indices_from(0)
    }

    /// [`Layout::indices`] without those of the first `start` elements.
    pub(crate) fn indices_from(&self, start: usize) -> Indices {
        let mut at = Dims::filled(self.rank(), 0);
        let (mut index, mut rest) = (self.offset, start);
        for d in (0..self.rank()).rev() {
            let size = self.shape[d].max(1);
            at[d] = rest % size;
            rest /= size;
            index += at[d] * self.strides[d];
        }
        Indices { layout: *self, at, index, left: self.numel().saturating_sub(start) }
    }
}

/// Iterator over storage indices; see [`Layout::indices`].
pub struct Indices {
    layout: Layout,
    at: Dims,
    index: usize,
    left: usize,
}

impl Iterator for Indices {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let index = self.index;
        for d in (0..self.at.len()).rev() {
            self.at[d] += 1;
            self.index += self.layout.strides[d];
            if self.at[d] < self.layout.shape[d] {
                break;
            }
            self.index -= self.layout.strides[d] * self.layout.shape[d];
            self.at[d] = 0;
        }
        Some(index)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Panics if a shape has too many dimensions, or more elements than memory has addresses for.
#[track_caller]
pub(crate) fn check_shape(op: &str, shape: &[usize]) {
    if let Some(problem) = shape_problem(shape) {
        misuse!(op, "{problem}");
    }
}

/// What is wrong with a shape that no tensor can have: too many dimensions, or more elements than memory has addresses
/// for.
pub(crate) fn shape_problem(shape: &[usize]) -> Option<String> {
    if shape.len() > MAX_RANK {
        return Some(format!(
            "shape {shape:?} has {} dimensions, a tensor at most {MAX_RANK}; merge some with reshape",
            shape.len()
        ));
    }
    // Sizes of 0 count as 1: strides are computed from the others.
    let elements = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size.max(1)));
    elements
        .is_none_or(|n| n > isize::MAX as usize / 8)
        .then(|| format!("shape {shape:?} has more elements than any memory holds; make it smaller"))
}

/// The shape two shapes broadcast to (NumPy's rule: aligned at the end, sizes equal or 1), or None.
pub fn broadcast_shapes(a: &[usize], b: &[usize]) -> Option<Dims> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], d: usize| if d + s.len() >= rank { s[d + s.len() - rank] } else { 1 };
    let mut out = Dims::new();
    for d in 0..rank {
        match (at(a, d), at(b, d)) {
            (x, y) if x == y => out.push(x),
            (1, y) => out.push(y),
            (x, 1) => out.push(x),
            _ => return None,
        }
    }
    Some(out)
}

/// The nested loops that visit several operands of one shape, in as few dimensions as their strides allow:
/// neighbouring dimensions that all operands traverse without a gap are merged, size-1 ones dropped, and the
/// order is that of the first operand's memory. The last dimension is the innermost.
pub(crate) fn coalesce<const N: usize>(layouts: [&Layout; N]) -> (Dims, [Dims; N]) {
    let order = layouts[0].memory_order();
    let mut shape: Dims = Dims::new();
    let mut strides = [Dims::new(); N];
    for &d in order.iter() {
        let size = layouts[0].shape[d];
        if size == 1 {
            continue;
        }
        let merges =
            !shape.is_empty() && (0..N).all(|i| strides[i][shape.len() - 1] == layouts[i].strides[d] * size);
        if merges {
            let last = shape.len() - 1;
            shape[last] *= size;
            (0..N).for_each(|i| strides[i][last] = layouts[i].strides[d]);
        } else {
            shape.push(size);
            (0..N).for_each(|i| strides[i].push(layouts[i].strides[d]));
        }
    }
    if shape.is_empty() {
        shape.push(1);
        strides.iter_mut().for_each(|s| s.push(1));
    }
    (shape, strides)
}

#[cfg(test)]
mod tests;
