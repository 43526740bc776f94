//! The microkernel: one register tile of C, written once over a vector type and compiled for every tier.
//!
//! ```text
//!            nv vectors of B's row k
//!            [ b0 ][ b1 ]
//!  a(0,k)    [acc ][acc ]     acc(i, v) += a(i, k) * b(v)      one broadcast, nv multiply-adds
//!  a(1,k)    [acc ][acc ]
//!  ...                        mr * nv accumulators stay in registers for the whole block of k
//! ```
//!
//! Each element of the tile has one accumulator, which starts at 0 and takes its products in the order of k. That
//! is so for every number of rows and vectors, hence an element's bits do not depend on the tile it falls into.

use super::dot::DotsFn;
use super::element::Real;
use super::patch::PatchFn;
use super::row::RowFn;

/// A register of `LANES` elements. Methods are `#[inline(always)]` so that they compile to single instructions
/// inside the tier's `target_feature` functions.
///
/// # Safety
/// All methods need the tier's instructions; loads and stores need that many valid elements.
pub(in crate::backend::cpu) trait Vector: Copy {
    /// One lane.
    type Elem: Real;
    /// Number of lanes.
    const LANES: usize;
    /// All lanes 0.
    unsafe fn zero() -> Self;
    /// All lanes x.
    unsafe fn splat(x: Self::Elem) -> Self;
    /// `LANES` elements, unaligned.
    unsafe fn load(p: *const Self::Elem) -> Self;
    /// The first n elements (n <= `LANES`), 0 beyond; touches no more memory than that.
    unsafe fn load_first(p: *const Self::Elem, n: usize) -> Self;
    /// `LANES` elements, unaligned.
    unsafe fn store(self, p: *mut Self::Elem);
    /// The first n lanes (n <= `LANES`); touches no more memory than that.
    unsafe fn store_first(self, p: *mut Self::Elem, n: usize);
    /// Lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// self * b + c lane by lane: fused on tiers with the instruction, two roundings elsewhere.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// Lanes of another vector in place of those that are <= 0. NaN stays.
    unsafe fn or_where_not_positive(self, other: Self) -> Self;
    /// [`Real::rectified`] lane by lane.
    #[inline(always)]
    unsafe fn rectified(self, slope: Self::Elem) -> Self {
        // SAFETY: passed on.
        unsafe {
            // Adding -0 changes no product.
            let scaled = || self.mul_add(Self::splat(slope), Self::splat(Self::Elem::of(-0.0)));
            self.or_where_not_positive(if slope == Self::Elem::ZERO { Self::zero() } else { scaled() })
        }
    }
    /// The sum of all lanes, by halves: lane i and lane i + half, until one is left.
    unsafe fn sum(self) -> Self::Elem;
}

/// What a tile adds to its sums when it writes the last block of k.
#[derive(Clone, Copy)]
pub enum TileBias<A> {
    /// Nothing.
    None,
    /// `cols` values, one per column.
    PerColumn(*const A),
    /// As many values as rows, one per row.
    PerRow(*const A),
}

/// A call of a microkernel: C (mr x cols) = [C +] A (mr x k) B (k x nv*LANES) [+ bias], perhaps rectified.
pub struct Tile<A> {
    /// Terms to sum.
    pub k: usize,
    /// A(i, k) is at a[i * ars + k * aks].
    pub a: *const A,
    /// Stride of A's rows.
    pub ars: usize,
    /// Stride of A along k.
    pub aks: usize,
    /// B(k, j) is at b[k * ldb + j]; all nv*LANES columns can be read, whatever `cols` is.
    pub b: *const A,
    /// Stride of B's rows.
    pub ldb: usize,
    /// C(i, j) is at c[i * ldc + j].
    pub c: *mut A,
    /// Stride of C's rows.
    pub ldc: usize,
    /// Columns of C to write: more than (nv-1)*LANES, at most nv*LANES.
    pub cols: usize,
    /// Whether the sums are added to C; otherwise C is not read.
    pub accumulate: bool,
    /// Added last.
    pub bias: TileBias<A>,
    /// What is written is the sum [`rectified`](Real::rectified) with this slope.
    pub slope: Option<A>,
}

/// A microkernel for a fixed number of rows and vectors.
///
/// # Safety
/// The machine has the tier's instructions; all elements the [`Tile`] names are valid, those of C for writing, and
/// no one else accesses these.
pub type TileFn<A> = unsafe fn(&Tile<A>);

/// dst[k * ldd + j] = src[j * lds + k] for j < rows, k < depth, and 0 for the lanes j >= rows: `rows` runs of
/// contiguous memory become `depth` rows of one vector.
///
/// # Safety
/// The machine has the tier's instructions; `src` is valid for `rows` runs of `depth` elements, `dst` for
/// `depth` rows of `lanes` elements; rows <= lanes.
pub type TransposeFn<A> =
    unsafe fn(src: *const A, lds: usize, rows: usize, depth: usize, dst: *mut A, ldd: usize);

/// A tier's kernels for an element type.
pub struct Kernels<A: 'static> {
    /// Rows of the largest tile.
    pub mr: usize,
    /// Elements of a vector; the widest tile has two vectors.
    pub lanes: usize,
    /// Terms summed before a tile returns to C.
    pub kc: usize,
    /// `tiles[nv - 1][mr - 1]`
    pub tiles: [&'static [TileFn<A>]; 2],
    /// Packs columns that are contiguous along k.
    pub transpose: TransposeFn<A>,
    /// Rows of the largest tile whose rows lie anywhere.
    pub patch_mr: usize,
    /// The kernels of such tiles, for one vector and for two.
    pub patches: [PatchFn<A>; 2],
    /// The kernel of products of few rows or terms.
    pub row: RowFn<A>,
    /// The kernel of products of one column.
    pub dots: DotsFn<A>,
}

impl<A> Kernels<A> {
    /// Columns of the widest tile.
    pub fn nr(&self) -> usize {
        2 * self.lanes
    }
}

/// Rows of the largest tile of any tier.
pub(super) const MAX_MR: usize = 12;

/// Rows of B that are asked for before they are needed, about as long as the third cache takes to answer. Panels that are
/// read where they lie have a page or two to each row, which no hardware looks ahead into.
const AHEAD: usize = 16;

/// Asks for the cache line of an address, which need not be one.
#[inline(always)]
fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which touches nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// The body of every microkernel.
///
/// # Safety
/// As [`TileFn`].
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const MR: usize, const NV: usize>(t: &Tile<V::Elem>) {
    // SAFETY: the caller vouches for the tile's pointers and the instructions; a and b are advanced k times, so
    // they are read within the k rows and columns named there.
    unsafe {
        let mut acc = [[V::zero(); NV]; MR];
        // The tile of C is asked for while the sums are made: its rows are on pages of their own, and often in no cache.
        for i in 0..MR {
            prefetch(t.c.wrapping_add(i * t.ldc));
            prefetch(t.c.wrapping_add(i * t.ldc + t.cols - 1));
        }
        let (ars, aks, ldb) = (t.ars, t.aks, t.ldb);
        // A pointer to every third row: the rows between are one and two strides further, which is an addressing
        // mode. A single pointer that walks down the rows is a chain of additions as long as the multiply-adds.
        let mut a: [_; MAX_MR / 3] = std::array::from_fn(|g| t.a.wrapping_add(3 * g * ars));
        let mut b = t.b;
        for _ in 0..t.k {
            let mut bv = [V::zero(); NV];
            for (v, bv) in bv.iter_mut().enumerate() {
                *bv = V::load(b.add(v * V::LANES));
                prefetch(b.wrapping_add(AHEAD * ldb + v * V::LANES));
            }
            for (i, acc) in acc.iter_mut().enumerate() {
                let x = V::splat(*a[i / 3].add(i % 3 * ars));
                for (acc, bv) in acc.iter_mut().zip(bv) {
                    *acc = x.mul_add(bv, *acc);
                }
            }
            // Past the end after the last step.
            a.iter_mut().for_each(|a| *a = a.wrapping_add(aks));
            b = b.wrapping_add(ldb);
        }
        if t.cols == NV * V::LANES {
            write::<V, MR, NV, true>(t, acc);
        } else {
            write::<V, MR, NV, false>(t, acc);
        }
    }
}

/// C = [C +] acc [+ bias], perhaps rectified. `FULL`: every vector is whole. One short loop per step: they must unroll, as the
/// accumulators are registers only if every index is a constant.
///
/// # Safety
/// As [`TileFn`].
#[inline(always)]
unsafe fn write<V: Vector, const MR: usize, const NV: usize, const FULL: bool>(
    t: &Tile<V::Elem>,
    mut acc: [[V; NV]; MR],
) {
    // SAFETY: only the last vector may be partial, and `last` keeps it within cols.
    unsafe {
        let last = t.cols - (NV - 1) * V::LANES;
        let load = |p, v| if FULL || v < NV - 1 { V::load(p) } else { V::load_first(p, last) };
        if t.accumulate {
            for (i, acc) in acc.iter_mut().enumerate() {
                for (v, x) in acc.iter_mut().enumerate() {
                    *x = load(t.c.add(i * t.ldc + v * V::LANES), v).add(*x);
                }
            }
        }
        match t.bias {
            TileBias::None => {}
            TileBias::PerColumn(p) => {
                for v in 0..NV {
                    let b = load(p.add(v * V::LANES), v);
                    acc.iter_mut().for_each(|acc| acc[v] = acc[v].add(b));
                }
            }
            TileBias::PerRow(p) => {
                for (i, acc) in acc.iter_mut().enumerate() {
                    let b = V::splat(*p.add(i));
                    acc.iter_mut().for_each(|x| *x = x.add(b));
                }
            }
        }
        if let Some(slope) = t.slope {
            acc.as_flattened_mut().iter_mut().for_each(|x| *x = x.rectified(slope));
        }
        for (i, acc) in acc.iter().enumerate() {
            for (v, x) in acc.iter().enumerate() {
                let c = t.c.add(i * t.ldc + v * V::LANES);
                if FULL || v < NV - 1 { x.store(c) } else { x.store_first(c, last) }
            }
        }
    }
}

/// [`TransposeFn`] element by element.
///
/// # Safety
/// As [`TransposeFn`].
#[inline(always)]
pub(super) unsafe fn transpose<A: Real, const LANES: usize>(
    src: *const A,
    lds: usize,
    rows: usize,
    depth: usize,
    dst: *mut A,
    ldd: usize,
) {
    // SAFETY: j < rows and k < depth where src is read, j < LANES where dst is written.
    unsafe {
        for k in 0..depth {
            for j in 0..LANES {
                *dst.add(k * ldd + j) = if j < rows { *src.add(j * lds + k) } else { A::ZERO };
            }
        }
    }
}

/// `[run::<V, 1, NV>, run::<V, 2, NV>, ...]` for the numbers of rows listed.
macro_rules! tiles {
    ($run:ident::<$v:ty, $nv:literal>: $($mr:literal)*) => { &[$($run::<$v, $mr, $nv>),*] };
}
pub(super) use tiles;
