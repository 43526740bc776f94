//! Additions to indexed places by sorting the terms: see kernels/scatter.cu.

use super::args::{Divisor, Nest, Ptr, narrow};
use super::launch::{self, Grid, Kernel};
use super::{BLOCK, Cuda, memory};
use crate::Layout;
use crate::backend::{Storage, View, ViewMut};

/// Keys that a block of the sort takes: TILE in kernels/scatter.cu.
const TILE: usize = 2048;
/// Digits of the sort: 8 bits.
const DIGITS: usize = 256;
/// Terms of a part and of a chunk: PART in kernels/scatter.cu.
const PART: usize = 32;
/// Threads of a block of segment_values.
const VALUE_BLOCK: usize = 128;

/// Terms in the order of their keys, and what goes with each of them.
struct Terms {
    keys: Storage,
    payload: Storage,
    count: usize,
}

impl Terms {
    /// Room for so many. Words of 32 bits, whatever they stand for.
    fn new(cuda: &Cuda, count: usize) -> Terms {
        Terms { keys: cuda.scratch(count), payload: cuda.scratch(count), count }
    }

    fn ptrs(&self) -> (Ptr, Ptr) {
        (memory::start(&self.keys), memory::start(&self.payload))
    }

    fn chunks(&self) -> usize {
        self.count.div_ceil(PART)
    }

    /// The same in the order of their keys, which are at most `last`; equal ones stay in order.
    fn sorted(mut self, cuda: &Cuda, last: usize) -> Terms {
        let (d, blocks) = (cuda.driver(), self.count.div_ceil(TILE));
        let (n, across) = (narrow(self.count), narrow(blocks));
        let (counts, totals) = (cuda.scratch(DIGITS * blocks), cuda.scratch(DIGITS));
        let (counts, totals) = (memory::start(&counts), memory::start(&totals));
        let bits = usize::BITS - last.leading_zeros();
        for shift in (0..bits).step_by(8) {
            let to = Terms::new(cuda, self.count);
            let ((keys, payload), (keys_out, payload_out)) = (self.ptrs(), to.ptrs());
            let grid = Grid(blocks, 1, 1);
            launch::radix_count(d, Kernel::RadixCount, grid, keys, counts, shift, across, n);
            launch::radix_scan(d, Kernel::RadixScan, Grid(DIGITS, 1, 1), counts, totals, across);
            let kernel = Kernel::RadixScatter;
            launch::radix_scatter(
                d,
                kernel,
                grid,
                keys,
                payload,
                counts,
                totals,
                keys_out,
                payload_out,
                shift,
                across,
                n,
            );
            self = to;
        }
        self
    }
}

/// acc += the contiguous src at the entries of dimension `dim` listed in `index`; see [`super::index::index_add`].
pub(super) fn index_add(cuda: &Cuda, src: View, dim: usize, index: View, acc: ViewMut, bad: Ptr) {
    let (d, count) = (cuda.driver(), index.layout.numel());
    let (outer, size, inner) = super::index::around(acc.layout.shape(), dim);
    let columns = outer * inner;
    let terms = Terms::new(cuda, count);
    let (keys, order) = terms.ptrs();
    let (kernel, step) = (Kernel::ScatterRowKeys, narrow(index.layout.strides()[0]));
    let grid = Grid::over(count, BLOCK);
    launch::scatter_row_keys(
        d,
        kernel,
        grid,
        index.ptr(),
        keys,
        order,
        step,
        narrow(size),
        bad,
        narrow(count),
    );
    let terms = terms.sorted(cuda, size);
    let ((keys, order), threads) = (terms.ptrs(), terms.chunks() * columns);
    let (first, next) = (cuda.scratch(threads), cuda.scratch(threads));
    let (first, next) = (memory::start(&first), memory::start(&next));
    let (places, n, by_inner) = (narrow(size), narrow(count), Divisor::new(inner));
    launch::segment_rows(
        d,
        Kernel::SegmentRows,
        Grid::over(threads, BLOCK),
        keys,
        order,
        src.ptr(),
        acc.ptr(),
        first,
        next,
        places,
        n,
        by_inner,
        Divisor::new(columns),
        narrow(threads),
    );
    let strips = columns.div_ceil(32);
    launch::segment_rows_long(
        d,
        Kernel::SegmentRowsLong,
        Grid(terms.chunks() * strips, 1, 1),
        keys,
        first,
        next,
        acc.ptr(),
        places,
        n,
        by_inner,
        narrow(columns),
        Divisor::new(strips),
    );
}

/// `acc[.., index[.., j, ..], ..] += src[.., j, ..]`; see [`super::index::scatter_add`]. acc is contiguous.
pub(super) fn scatter_add(cuda: &Cuda, src: View, dim: usize, index: View, acc: ViewMut, bad: Ptr) {
    debug_assert!(acc.layout.is_contiguous());
    let (d, count, places) = (cuda.driver(), index.layout.numel(), narrow(acc.layout.numel()));
    let mut strides = acc.layout.strides().to_vec();
    let step = narrow(std::mem::replace(&mut strides[dim], 0));
    let base = Layout::strided(index.layout.shape(), &strides, 0);
    let nest = Nest::of([index.layout, src.layout, &base]);
    let size = narrow(acc.layout.shape()[dim]);
    let terms = Terms::new(cuda, count);
    let ((keys, values), n) = (terms.ptrs(), narrow(count));
    let (kernel, grid) = (Kernel::ScatterValueKeys, Grid::over(count, BLOCK));
    let (from, index) = (src.ptr(), index.ptr());
    launch::scatter_value_keys(d, kernel, grid, index, from, keys, values, nest, step, size, places, bad, n);
    let terms = terms.sorted(cuda, places as usize);
    let (keys, values) = terms.ptrs();
    let (first, next) = (cuda.scratch(terms.chunks()), cuda.scratch(terms.chunks()));
    let (first, next, to) = (memory::start(&first), memory::start(&next), acc.ptr());
    let grid = Grid::over(terms.chunks(), VALUE_BLOCK);
    launch::segment_values(d, Kernel::SegmentValues, grid, keys, values, to, first, next, places, n);
    let grid = Grid::over(terms.chunks(), BLOCK / 32);
    launch::segment_values_long(d, Kernel::SegmentValuesLong, grid, keys, first, next, to, places, n);
}
