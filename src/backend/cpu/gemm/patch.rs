//! The microkernel of convolutions: a register tile of C whose rows of A lie anywhere.
//!
//! ```text
//! acc(i, v) += a[rows[i] + run.a + k * aks] * b[run.b + k * ldb + v]      for every run, for k < run.len
//! ```
//!
//! With the rows' offsets in a table, a tile is made of any pixels of any images, and the operand is the image itself:
//! a run is a stretch of a patch that is contiguous in memory, such as one row of the kernel's window. As in
//! `kernel.rs`, each element has one accumulator that takes its products in the order of runs and k, so its bits do not
//! depend on the tile it falls into.

use super::kernel::Vector;

/// A stretch of terms whose elements of A follow each other `aks` apart in every row, and those of B `ldb` apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Where it starts in A, behind a row's offset.
    pub a: usize,
    /// Where it starts in B.
    pub b: usize,
    /// Number of terms.
    pub len: usize,
}

/// A call of the kernel: C (count x cols) = [C +] the sums over all runs [+ bias], perhaps rectified.
pub struct PatchTile<'a, A> {
    /// The terms of every sum, in order.
    pub runs: &'a [Run],
    /// A's storage.
    pub a: *const A,
    /// Offset of each row of A; `count` of them, at least 1 and at most the kernel's number.
    pub rows: &'a [usize],
    /// Stride of A along a run.
    pub aks: usize,
    /// B's storage; all nv*LANES columns of a row can be read, whatever `cols` is.
    pub b: *const A,
    /// Stride of B's rows.
    pub ldb: usize,
    /// C's storage.
    pub c: *mut A,
    /// Offset of each row of C, as many as of A.
    pub outs: &'a [usize],
    /// Columns to write: more than (nv-1)*LANES, at most nv*LANES.
    pub cols: usize,
    /// Whether the sums are added to C; otherwise C is not read.
    pub accumulate: bool,
    /// `cols` values that are added last, or null.
    pub bias: *const A,
    /// What is written is the sum [`rectified`](super::Real::rectified) with this slope.
    pub slope: Option<A>,
}

/// A microkernel for a fixed largest number of rows and number of vectors.
///
/// # Safety
/// The machine has the tier's instructions; all elements the [`PatchTile`] names are valid, those of C for writing and
/// distinct, and no one else accesses these.
pub type PatchFn<A> = unsafe fn(&PatchTile<A>);

/// The body of every such kernel. A tile of fewer rows computes its last one several times.
///
/// # Safety
/// As [`PatchFn`].
#[inline(always)]
pub(super) unsafe fn patch<V: Vector, const MR: usize, const NV: usize>(t: &PatchTile<V::Elem>) {
    debug_assert!(!t.rows.is_empty() && t.rows.len() <= MR && t.rows.len() == t.outs.len());
    // SAFETY: the caller vouches for the tile's pointers and the instructions. Rows and columns beyond the tile's are
    // neither read (rows repeat the last, columns of B are readable by the contract of `b`) nor written.
    unsafe {
        let count = t.rows.len();
        let rows: [*const V::Elem; MR] = std::array::from_fn(|i| t.a.wrapping_add(t.rows[i.min(count - 1)]));
        let mut acc = [[V::zero(); NV]; MR];
        for run in t.runs {
            let a: [*const V::Elem; MR] = std::array::from_fn(|i| rows[i].wrapping_add(run.a));
            let mut b = t.b.wrapping_add(run.b);
            let mut at = 0;
            for _ in 0..run.len {
                let mut bv = [V::zero(); NV];
                for (v, bv) in bv.iter_mut().enumerate() {
                    *bv = V::load(b.add(v * V::LANES));
                }
                for (acc, a) in acc.iter_mut().zip(a) {
                    let x = V::splat(*a.add(at));
                    for (acc, bv) in acc.iter_mut().zip(bv) {
                        *acc = x.mul_add(bv, *acc);
                    }
                }
                // Past the end after the last step.
                at += t.aks;
                b = b.wrapping_add(t.ldb);
            }
        }
        if t.cols == NV * V::LANES {
            write::<V, MR, NV, true>(t, acc);
        } else {
            write::<V, MR, NV, false>(t, acc);
        }
    }
}

/// C = [C +] acc [+ bias], perhaps rectified. `FULL`: every vector is whole.
///
/// # Safety
/// As [`PatchFn`].
#[inline(always)]
unsafe fn write<V: Vector, const MR: usize, const NV: usize, const FULL: bool>(
    t: &PatchTile<V::Elem>,
    mut acc: [[V; NV]; MR],
) {
    // SAFETY: only the last vector may be partial, and `last` keeps it within cols; rows beyond `outs` are left out.
    unsafe {
        let last = t.cols - (NV - 1) * V::LANES;
        let load = |p, v| if FULL || v < NV - 1 { V::load(p) } else { V::load_first(p, last) };
        if t.accumulate {
            for (i, acc) in acc.iter_mut().enumerate() {
                for (v, x) in acc.iter_mut().enumerate() {
                    if i < t.outs.len() {
                        *x = load(t.c.add(t.outs[i] + v * V::LANES).cast_const(), v).add(*x);
                    }
                }
            }
        }
        if !t.bias.is_null() {
            for v in 0..NV {
                let b = load(t.bias.add(v * V::LANES), v);
                acc.iter_mut().for_each(|acc| acc[v] = acc[v].add(b));
            }
        }
        if let Some(slope) = t.slope {
            acc.as_flattened_mut().iter_mut().for_each(|x| *x = x.rectified(slope));
        }
        for (i, acc) in acc.into_iter().enumerate() {
            for (v, x) in acc.into_iter().enumerate() {
                if i < t.outs.len() {
                    let c = t.c.add(t.outs[i] + v * V::LANES);
                    if FULL || v < NV - 1 { x.store(c) } else { x.store_first(c, last) }
                }
            }
        }
    }
}
