//! The walk of an elementwise kernel over a dense result, row by row of its operands.

use super::par;
use crate::Dims;
use crate::layout::{Layout, coalesce};

/// Where each row of the loop starts in the operands, and how it goes on.
pub(super) struct Rows<const N: usize> {
    /// Shape of the loop, innermost last.
    pub(super) shape: Dims,
    /// Strides of each operand along it.
    pub(super) strides: [Dims; N],
    pub(super) offsets: [usize; N],
}

impl<const N: usize> Rows<N> {
    pub(super) fn inner(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    pub(super) fn inner_stride(&self, i: usize) -> usize {
        self.strides[i][self.shape.len() - 1]
    }

    /// Whether the operands are one row each, of neighbours.
    pub(super) fn is_flat(&self) -> bool {
        self.shape.len() == 1 && (0..N).all(|i| self.inner_stride(i) == 1)
    }

    /// Where the first row starts in each operand.
    pub(super) fn starts(&self) -> [usize; N] {
        self.offsets
    }

    /// Calls `f(positions, length)` for the stretches of rows that elements `first..first + len` of the loop are made of,
    /// in order.
    pub(super) fn stretches(&self, first: usize, len: usize, mut f: impl FnMut([usize; N], usize)) {
        let n = self.inner();
        let (row, mut skip, mut left) = (first / n, first % n, len);
        self.each(row, (skip + len).div_ceil(n), |_, at| {
            let step = (n - skip).min(left);
            f(std::array::from_fn(|i| at[i] + skip * self.inner_stride(i)), step);
            (skip, left) = (0, left - step);
        });
    }

    /// Operand positions at the start of rows `first..first + count`.
    #[inline(always)]
    pub(super) fn each(&self, first: usize, count: usize, mut f: impl FnMut(usize, [usize; N])) {
        let outer = self.shape.len() - 1;
        let mut at: Dims = Dims::filled(outer, 0);
        let mut left = first;
        for d in (0..outer).rev() {
            at[d] = left % self.shape[d];
            left /= self.shape[d];
        }
        let mut pos = self.offsets;
        for (p, s) in pos.iter_mut().zip(&self.strides) {
            *p += (0..outer).map(|d| at[d] * s[d]).sum::<usize>();
        }
        for row in 0..count {
            f(row, pos);
            for d in (0..outer).rev() {
                at[d] += 1;
                (0..N).for_each(|i| pos[i] += self.strides[i][d]);
                if at[d] < self.shape[d] {
                    break;
                }
                (0..N).for_each(|i| pos[i] -= self.strides[i][d] * self.shape[d]);
                at[d] = 0;
            }
        }
    }
}

/// The loop over a dense result and its operands, and the result's flat range.
pub(super) fn rows<const N: usize, const M: usize>(
    out: &Layout,
    operands: [&Layout; N],
) -> (Rows<N>, std::ops::Range<usize>) {
    debug_assert!(M == N + 1 && out.is_dense());
    let mut all = [out; M];
    all[1..].copy_from_slice(&operands);
    let (shape, strides) = coalesce(all);
    let rows = Rows {
        shape,
        strides: std::array::from_fn(|i| strides[i + 1]),
        offsets: operands.map(|l| l.offset()),
    };
    (rows, out.dense_range())
}

/// Elements of a row that are worked on at a time: operands that do not lie next to each other are first brought
/// together in a block of this size, so that each function needs one vector loop only.
pub(super) const BLOCK: usize = 256;

/// `n` elements from `at` with a stride, as a slice: in place if the stride is 1, else brought together in `block`.
#[inline]
pub(super) fn together<'a, T: Copy>(
    x: &'a [T],
    at: usize,
    stride: usize,
    n: usize,
    block: &'a mut [T; BLOCK],
) -> &'a [T] {
    match stride {
        1 => return &x[at..at + n],
        0 => block[..n].fill(x[at]),
        _ => block[..n].iter_mut().enumerate().for_each(|(i, b)| *b = x[at + i * stride]),
    }
    &block[..n]
}

/// Calls `f(first of the piece in out, positions, length)` for pieces of the rows that start with `first` and fill
/// `len` elements of the result: whole rows where all operands lie next to each other, else at most [`BLOCK`] elements.
#[inline(always)]
pub(super) fn blocks<const N: usize>(
    rows: &Rows<N>,
    first: usize,
    len: usize,
    mut f: impl FnMut(usize, [usize; N], usize),
) {
    let n = rows.inner();
    let strides: [usize; N] = std::array::from_fn(|i| rows.inner_stride(i));
    let block = if strides.iter().all(|&s| s == 1) { n } else { BLOCK };
    rows.each(first, len / n, |row, at| {
        let mut done = 0;
        while done < n {
            let step = block.min(n - done);
            f(row * n + done, std::array::from_fn(|i| at[i] + done * strides[i]), step);
            done += step;
        }
    });
}

/// The pieces of a result that are worth a thread each. Rows of one dense block are cut anywhere.
pub(super) fn split<T: Send, const N: usize>(
    rows: &Rows<N>,
    out: &mut [T],
    f: &(dyn Fn(&Rows<N>, usize, &mut [T]) + Sync),
) {
    let pieces = par::pieces(out.len(), par::GRAIN);
    if rows.shape.len() > 1 || pieces == 1 {
        return par::split(out, rows.inner(), pieces, &|first, out: &mut [T]| f(rows, first, out));
    }
    par::split(out, BLOCK, pieces, &|unit, out: &mut [T]| {
        let offsets = std::array::from_fn(|i| rows.offsets[i] + unit * BLOCK * rows.inner_stride(i));
        f(&Rows { shape: Dims::filled(1, out.len()), strides: rows.strides, offsets }, 0, out);
    });
}
