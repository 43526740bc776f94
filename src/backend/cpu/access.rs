//! A storage's memory as slices, in the order that a kernel takes.

use crate::backend::channels::Channels;
use crate::backend::{Memory, Storage, View, ViewMut};
use crate::dtype::Element;
use crate::layout::Layout;
use std::borrow::Cow;

/// The elements of a CPU storage.
pub(super) fn slice<T: Element>(s: &Storage) -> &[T] {
    match s.memory() {
        Memory::Cpu(b) => b.as_slice(),
        _ => unreachable!("ops check that operands are on one device"),
    }
}

pub(super) fn slice_mut<T: Element>(s: &mut Storage) -> &mut [T] {
    match s.memory_mut() {
        Memory::Cpu(b) => b.as_mut_slice(),
        _ => unreachable!("ops check that operands are on one device"),
    }
}

/// Unsigned integers that stand for elements of their size where only bits move.
pub(super) trait Word: bytemuck::Pod + Send + Sync {}
impl Word for u8 {}
impl Word for u16 {}
impl Word for u32 {}
impl Word for u64 {}

pub(super) fn words_mut<T: Word>(s: &mut Storage) -> &mut [T] {
    match s.memory_mut() {
        Memory::Cpu(b) => b.as_mut_slice(),
        _ => unreachable!("ops check that operands are on one device"),
    }
}

impl<'a> View<'a> {
    pub(super) fn words<T: Word>(self) -> &'a [T] {
        match self.storage.memory() {
            Memory::Cpu(b) => b.as_slice(),
            _ => unreachable!("ops check that operands are on one device"),
        }
    }

    pub(super) fn slice<T: Element>(self) -> &'a [T] {
        slice(self.storage)
    }

    /// Elements and layout, as the elementwise kernels take them.
    pub(super) fn parts<T: Element>(self) -> (&'a [T], &'a Layout) {
        (self.slice(), self.layout)
    }

    /// The elements in row-major order, copied if they do not lie so.
    pub(super) fn contiguous<T: Element>(self) -> Cow<'a, [T]> {
        let x = self.slice::<T>();
        if self.layout.is_contiguous() {
            return Cow::Borrowed(&x[self.layout.dense_range()]);
        }
        Cow::Owned(self.layout.indices().map(|i| x[i]).collect())
    }
}

/// The elements of a contiguous operand.
pub(super) fn dense<T: Element>(x: View<'_>) -> &[T] {
    debug_assert!(x.layout.is_contiguous());
    &x.slice()[x.layout.dense_range()]
}

/// The elements of a dense operand, in whatever order they lie.
pub(super) fn in_memory<T: Element>(x: View<'_>) -> &[T] {
    debug_assert!(x.layout.is_dense());
    &x.slice()[x.layout.dense_range()]
}

/// The size of the last dimension.
pub(super) fn row_length(x: View) -> usize {
    *x.layout.shape().last().expect("rows are the last dimension")
}

/// The written range of a dense result, in whatever order it lies.
pub(super) fn dense_out<T: Element>(out: ViewMut<'_>) -> &mut [T] {
    let range = out.layout.dense_range();
    &mut slice_mut(out.storage)[range]
}

/// A batch norm operand and its order in memory; the result of an op has the same order.
pub(super) fn channels<T: Element>(x: View<'_>) -> (Channels, &[T]) {
    let shape = Channels::of(x.layout).expect("batch_norm makes its operand row-major or channels-last");
    (shape, &x.slice()[x.layout.dense_range()])
}

/// The sizes `[images, height, width, channels]` of an operand in channels-last order.
pub(super) fn images(l: &Layout) -> [usize; 4] {
    debug_assert!(l.is_channels_last());
    [0, 2, 3, 1].map(|d| l.shape()[d])
}

/// The elements of an operand in channels-last order.
pub(super) fn pixels<T: Element>(x: View<'_>) -> &[T] {
    debug_assert!(x.layout.is_channels_last());
    &x.slice()[x.layout.dense_range()]
}
