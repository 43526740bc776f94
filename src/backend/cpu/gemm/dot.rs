//! A product of one column: the dot products of rows that lie as they are summed, as of a layer with one output.
//!
//! A tile would turn the rows into lanes first, which costs more than the product. Here lanes are terms: [`SUMS`] running sums
//! for each row on every tier, which are folded by halves at the end. This order differs from a tile's and is that of every
//! row, however many there are.

use super::element::Real;
use super::kernel::Vector;

/// Running sums of a row: term k goes to sum k mod `SUMS`.
pub(super) const SUMS: usize = 32;

/// Terms from which on there are dot products: fewer fill no running sums, and rows of C are written sooner by other kernels.
pub(super) const MIN_TERMS: usize = 16;

/// C(i) = sum over k of A(i, k) b(k), then + bias, then rectified.
pub struct Dots<A> {
    /// Rows.
    pub m: usize,
    /// Terms.
    pub k: usize,
    /// A(i, k) is at a[i * lda + k].
    pub a: *const A,
    /// Stride of A's rows.
    pub lda: usize,
    /// `k` elements.
    pub b: *const A,
    /// Added last.
    pub bias: Option<A>,
    /// What is written is the sum [`rectified`](super::Real::rectified) with this slope.
    pub slope: Option<A>,
    /// C(i) is at c[i * ldc].
    pub c: *mut A,
    /// From one element of C to the next.
    pub ldc: usize,
}

/// A kernel of [`Dots`].
///
/// # Safety
/// The machine has the tier's instructions; all elements that are named are valid, those of C for writing, and no one else
/// accesses these.
pub type DotsFn<A> = unsafe fn(&Dots<A>);

/// The body of every [`DotsFn`], for `SUMS` = `NV` vectors and `MR` rows at a time, whose additions do not wait for each other.
///
/// # Safety
/// As [`DotsFn`].
#[inline(always)]
pub(super) unsafe fn dots<V: Vector, const NV: usize, const MR: usize>(d: &Dots<V::Elem>) {
    const { assert!(NV * V::LANES == SUMS) };
    let whole = d.m - d.m % MR;
    // SAFETY: passed on; i + MR <= whole <= m, and i < m.
    unsafe {
        (0..whole).step_by(MR).for_each(|i| rows::<V, NV, MR>(d, i));
        (whole..d.m).for_each(|i| rows::<V, NV, 1>(d, i));
    }
}

/// Rows `first` to `first` + MR.
///
/// # Safety
/// As [`DotsFn`]; there are so many rows.
#[inline(always)]
unsafe fn rows<V: Vector, const NV: usize, const MR: usize>(d: &Dots<V::Elem>, first: usize) {
    // SAFETY: the caller's promise; terms are below k, and a partial vector reads those that are left.
    unsafe {
        let a: [_; MR] = std::array::from_fn(|i| d.a.add((first + i) * d.lda));
        let mut acc = [[V::zero(); NV]; MR];
        let mut k = 0;
        while k + SUMS <= d.k {
            for v in 0..NV {
                let b = V::load(d.b.add(k + v * V::LANES));
                for (acc, a) in acc.iter_mut().zip(a) {
                    acc[v] = V::load(a.add(k + v * V::LANES)).mul_add(b, acc[v]);
                }
            }
            k += SUMS;
        }
        for v in 0..NV {
            let at = k + v * V::LANES;
            if at >= d.k {
                break;
            }
            let n = (d.k - at).min(V::LANES);
            let b = V::load_first(d.b.add(at), n);
            for (acc, a) in acc.iter_mut().zip(a) {
                acc[v] = V::load_first(a.add(at), n).mul_add(b, acc[v]);
            }
        }
        for (i, acc) in acc.into_iter().enumerate() {
            let sum = folded(acc);
            let sum = d.bias.map_or(sum, |bias| sum + bias);
            *d.c.add((first + i) * d.ldc) = d.slope.map_or(sum, |slope| sum.rectified(slope));
        }
    }
}

/// The sum by halves: of vectors, then of lanes.
///
/// # Safety
/// The machine has the tier's instructions.
#[inline(always)]
unsafe fn folded<V: Vector, const NV: usize>(mut acc: [V; NV]) -> V::Elem {
    let mut n = NV;
    // SAFETY: the caller's promise.
    unsafe {
        while n > 1 {
            n /= 2;
            for v in 0..n {
                acc[v] = acc[v].add(acc[v + n]);
            }
        }
        acc[0].sum()
    }
}
