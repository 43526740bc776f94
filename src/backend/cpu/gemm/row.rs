//! Rows of a product, for few rows or few terms: an outer product, or the gradient of a layer with one output.
//!
//! A tile reads a narrow strip of B and writes a narrow strip of C, each of its rows on a page of its own. That is cheap beside
//! many multiply-adds and dear beside few. Here a row of C is written from end to end, from rows of B read from end to end.
//! Terms are added one by one to 0 as in a tile, so that the bits are a tile's.

use super::kernel::Vector;

/// Terms that one pass over a row adds: with a splat each and the sum they fit the registers of every tier.
const TERMS: usize = 8;

/// C(j) = sum over k of s(k) B(k, j), then + bias(j), then rectified, for `n` columns.
pub struct Row<A> {
    /// Terms to sum, at least 1.
    pub k: usize,
    /// s(k) is at s[k * ss].
    pub s: *const A,
    /// From one factor to the next.
    pub ss: usize,
    /// B(k, j) is at b[k * ldb + j].
    pub b: *const A,
    /// Stride of B's rows.
    pub ldb: usize,
    /// Columns.
    pub n: usize,
    /// `n` values, or null.
    pub bias: *const A,
    /// What is written is the sum [`rectified`](super::Real::rectified) with this slope.
    pub slope: Option<A>,
    /// `n` elements.
    pub c: *mut A,
}

/// A kernel of a [`Row`].
///
/// # Safety
/// The machine has the tier's instructions; all elements that the row names are valid, those of C for writing, and no one
/// else accesses these.
pub type RowFn<A> = unsafe fn(&Row<A>);

/// The body of every [`RowFn`].
///
/// # Safety
/// As [`RowFn`].
#[inline(always)]
pub(super) unsafe fn row<V: Vector>(r: &Row<V::Elem>) {
    let mut k = 0;
    // SAFETY: passed on; passes have different terms.
    unsafe {
        while r.k - k > TERMS {
            pass::<V, TERMS>(r, k, false);
            k += TERMS;
        }
        match r.k - k {
            1 => pass::<V, 1>(r, k, true),
            2 => pass::<V, 2>(r, k, true),
            3 => pass::<V, 3>(r, k, true),
            4 => pass::<V, 4>(r, k, true),
            5 => pass::<V, 5>(r, k, true),
            6 => pass::<V, 6>(r, k, true),
            7 => pass::<V, 7>(r, k, true),
            _ => pass::<V, TERMS>(r, k, true),
        }
    }
}

/// Adds the K terms from `first` on to the row, or begins it.
///
/// # Safety
/// As [`RowFn`]; there are so many terms.
#[inline(always)]
unsafe fn pass<V: Vector, const K: usize>(r: &Row<V::Elem>, first: usize, last: bool) {
    // SAFETY: the caller's promise; columns are below n.
    unsafe {
        let s: [V; K] = std::array::from_fn(|i| V::splat(*r.s.add((first + i) * r.ss)));
        let b: [_; K] = std::array::from_fn(|i| r.b.add((first + i) * r.ldb));
        for j in (0..r.n).step_by(V::LANES) {
            let n = (r.n - j).min(V::LANES);
            let load = |p: *const V::Elem| if n == V::LANES { V::load(p) } else { V::load_first(p, n) };
            let mut sum = if first == 0 { V::zero() } else { load(r.c.add(j)) };
            for (s, b) in s.iter().zip(b) {
                sum = s.mul_add(load(b.add(j)), sum);
            }
            if last && !r.bias.is_null() {
                sum = sum.add(load(r.bias.add(j)));
            }
            if let (true, Some(slope)) = (last, r.slope) {
                sum = sum.rectified(slope);
            }
            if n == V::LANES { sum.store(r.c.add(j)) } else { sum.store_first(r.c.add(j), n) }
        }
    }
}
