//! Copies of blocks of A and panels of B, widened, in the order in which the microkernel reads them.

use super::MatRef;
use super::element::{GemmElement, Real, is_acc};
use super::kernel::Kernels;
use crate::Element;
use crate::backend::cpu::Buffer;
use crate::backend::cpu::par;
use crate::backend::cpu::simd::tier;

/// Floats between the rows of a packed block of A beyond its length: with power-of-two strides the rows of a tile
/// would fall into the same few sets of the cache.
pub(super) const PAD: usize = 16;

/// A block of A as the microkernel reads it: element (i, k) at data[i * rs + k * cs].
#[derive(Clone, Copy)]
pub(super) struct ABlock<A> {
    pub data: *const A,
    pub rs: usize,
    pub cs: usize,
}

/// Whether elements follow each other along the rows rather than along k.
fn k_major<T>(a: &MatRef<T>) -> bool {
    a.rs == 1 && a.cs != 1
}

/// Whether A is better copied than read where it lies, given how many panels of B will pass over it.
pub(super) fn wants_a_copy<T: GemmElement>(a: &MatRef<T>, rows: usize, panels: usize) -> bool {
    if !is_acc::<T>() || (a.rs > 1 && a.cs > 1) {
        return true;
    }
    // A multiple of 2 KiB leaves at most 32 of the L2's sets to a column of the block.
    let stride = a.rs.max(a.cs) * size_of::<T>();
    stride > 0 && stride.is_multiple_of(2048) && rows > 16 && panels > 1
}

/// Elements of scratch that [`pack_a`] needs.
pub(super) fn a_len<T>(a: &MatRef<T>, rows: usize, k: usize) -> usize {
    if k_major(a) { k * (rows + PAD) } else { rows * (k + PAD) }
}

/// Copies A (rows x k) to `dst`, along the dimension in which it is contiguous.
pub(super) fn pack_a<T: GemmElement>(
    a: MatRef<T>,
    rows: usize,
    k: usize,
    dst: &mut [T::Acc],
) -> ABlock<T::Acc> {
    if k_major(&a) {
        let ld = rows + PAD;
        for p in 0..k {
            T::widen_slice(&a.data[p * a.cs..][..rows], &mut dst[p * ld..][..rows]);
        }
        return ABlock { data: dst.as_ptr(), rs: 1, cs: ld };
    }
    let ld = k + PAD;
    for i in 0..rows {
        let dst = &mut dst[i * ld..][..k];
        if a.cs == 1 {
            T::widen_slice(&a.data[i * a.rs..][..k], dst);
        } else {
            for (p, d) in dst.iter_mut().enumerate() {
                *d = a.data[i * a.rs + p * a.cs].widen();
            }
        }
    }
    ABlock { data: dst.as_ptr(), rs: ld, cs: 1 }
}

/// Copies B (k x cols) to a panel of `width` columns: element (p, j) to dst[p * width + j], 0 for j >= cols.
pub(super) fn pack_b<T: GemmElement>(
    b: MatRef<T>,
    k: usize,
    cols: usize,
    width: usize,
    kernels: &Kernels<T::Acc>,
    dst: &mut [T::Acc],
) {
    assert!(cols <= width && dst.len() >= k * width);
    if b.cs == 1 {
        for (p, row) in dst.chunks_exact_mut(width).take(k).enumerate() {
            T::widen_slice(&b.data[p * b.rs..][..cols], &mut row[..cols]);
            row[cols..].fill(T::Acc::ZERO);
        }
    } else if b.rs == 1 {
        pack_columns(b, k, cols, width, kernels, dst);
    } else {
        for (p, row) in dst.chunks_exact_mut(width).take(k).enumerate() {
            for (j, d) in row[..cols].iter_mut().enumerate() {
                *d = b.data[p * b.rs + j * b.cs].widen();
            }
            row[cols..].fill(T::Acc::ZERO);
        }
    }
}

/// B (k x n), whose columns lie side by side, with its rows side by side instead: 0 behind the
/// n-th element, an odd number of cache lines of f32 in all.
pub fn turned<T: GemmElement>(b: MatRef<T>, k: usize, n: usize) -> Buffer {
    let (width, kernels) = ((n.div_ceil(PAD) | 1) * PAD, T::Acc::kernels(tier()));
    let mut buffer = Buffer::of(<T::Acc as Element>::DTYPE, k * width);
    let pieces = par::pieces(k * width, par::GRAIN);
    par::split(buffer.as_mut_slice::<T::Acc>(), width, pieces, &|first, part| {
        pack_b(b.from(first, 0), part.len() / width, n, width, kernels, part);
    });
    buffer
}

/// [`pack_b`] of columns that are contiguous along k, a vector of columns at a time.
fn pack_columns<T: GemmElement>(
    b: MatRef<T>,
    k: usize,
    cols: usize,
    width: usize,
    kernels: &Kernels<T::Acc>,
    dst: &mut [T::Acc],
) {
    /// Terms widened at a time, and the largest number of lanes.
    const DEPTH: usize = 64;
    const LANES: usize = 16;
    let lanes = kernels.lanes;
    assert!(lanes <= LANES && width.is_multiple_of(lanes));
    let mut wide = [[T::Acc::ZERO; DEPTH]; LANES];
    for j0 in (0..width).step_by(lanes) {
        let rows = cols.saturating_sub(j0).min(lanes);
        let column = |j: usize| &b.data[(j0 + j) * b.cs..][..k];
        if is_acc::<T>() && rows > 0 {
            let first = b.data[j0 * b.cs..].as_ptr();
            // The last column's slice shows that all of them are inside the matrix.
            let _ = column(rows - 1);
            // SAFETY: T is T::Acc; `rows` runs of k elements are in bounds, and so are k rows of `lanes` elements
            // at column j0 <= width - lanes of dst. A table of kernels is handed out for tiers the machine has.
            unsafe { (kernels.transpose)(first.cast(), b.cs, rows, k, dst[j0..].as_mut_ptr(), width) };
            continue;
        }
        for p in (0..k).step_by(DEPTH) {
            let depth = (k - p).min(DEPTH);
            for (j, wide) in wide.iter_mut().enumerate().take(rows) {
                T::widen_slice(&column(j)[p..p + depth], &mut wide[..depth]);
            }
            let dst = dst[p * width + j0..].as_mut_ptr();
            // SAFETY: `wide` holds `rows` runs of `depth` elements; dst as above.
            unsafe { (kernels.transpose)(wide.as_ptr().cast(), DEPTH, rows, depth, dst, width) };
        }
    }
}
