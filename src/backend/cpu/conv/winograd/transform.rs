//! The transforms in two dimensions, over as many channels as a vector has lanes: one pass over columns into a buffer of a
//! few kilobytes, one over rows out of it.

use super::points::{MAX_POINTS, Map};
use crate::backend::cpu::gemm::{Real, Vector};

/// Points of the largest tile, in both directions.
pub const MAX_TILE: usize = MAX_POINTS * MAX_POINTS;

/// The first pass: `src` has a row of pointers for each operand of the map and as many columns as it likes; where one is
/// null, the operand is 0. Column c of result i goes to vector `i * columns + c` of `buffer`.
///
/// # Safety
/// The machine has the tier's instructions; `n` (at most a vector's lanes) elements can be read at `at` behind each pointer
/// that is not null, and `buffer` has a vector for each result.
pub type ColumnsFn<A> = unsafe fn(src: &[*const A], at: usize, n: usize, buffer: *mut A);

/// The second pass: `dst` has a row of pointers, one for each result of the map, for every row of operands in `buffer`;
/// where one is null, the result is not wanted.
///
/// # Safety
/// The machine has the tier's instructions; `n` elements can be written at `at` behind each pointer that is not null, which
/// nobody else has, and read if they are added to; those that `add` names can be read.
pub type RowsFn<A> = unsafe fn(buffer: *const A, dst: &[*mut A], at: usize, n: usize, add: Add<A>);

/// What is added to the results.
#[derive(Clone, Copy)]
pub enum Add<A> {
    /// Nothing.
    Nothing,
    /// What is there.
    There,
    /// `n` values.
    Values(*const A),
}

/// Both passes of a map.
pub struct Passes<A: 'static> {
    pub columns: ColumnsFn<A>,
    pub rows: RowsFn<A>,
}

impl<A> Clone for Passes<A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Passes<A> {}

/// A tier's transforms for tiles of 3, 4 and 5 points, and for such tiles of windows of 2 and 3 taps.
pub struct Transforms<A: 'static> {
    pub gather: [Passes<A>; 3],
    pub scatter: [Passes<A>; 3],
    pub read: [[Passes<A>; 3]; 2],
    pub spread: [[Passes<A>; 3]; 2],
    pub taps: [[Passes<A>; 3]; 2],
    pub fold: [[Passes<A>; 3]; 2],
}

/// The body of every [`ColumnsFn`]. Lines are registers only where each index is a constant once loops are unrolled.
///
/// # Safety
/// As [`ColumnsFn`].
#[inline(always)]
#[allow(clippy::needless_range_loop)]
pub unsafe fn columns<V: Vector, M: Map>(src: &[*const V::Elem], at: usize, n: usize, buffer: *mut V::Elem) {
    let count = src.len() / M::IN;
    for c in 0..count {
        // SAFETY: the caller's promise; results are numbered below OUT * count.
        unsafe {
            let mut d = [V::zero(); MAX_POINTS];
            for j in 0..M::IN {
                let p = src[j * count + c];
                if !p.is_null() {
                    d[j] = if n == V::LANES { V::load(p.add(at)) } else { V::load_first(p.add(at), n) };
                }
            }
            let y = line::<V, M>(d);
            for i in 0..M::OUT {
                y[i].store(buffer.add((i * count + c) * V::LANES));
            }
        }
    }
}

/// The body of every [`RowsFn`].
///
/// # Safety
/// As [`RowsFn`].
#[inline(always)]
#[allow(clippy::needless_range_loop)]
pub unsafe fn rows<V: Vector, M: Map>(
    buffer: *const V::Elem,
    dst: &[*mut V::Elem],
    at: usize,
    n: usize,
    add: Add<V::Elem>,
) {
    for (r, dst) in dst.chunks_exact(M::OUT).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let mut d = [V::zero(); MAX_POINTS];
            for j in 0..M::IN {
                d[j] = V::load(buffer.add((r * M::IN + j) * V::LANES));
            }
            let y = line::<V, M>(d);
            for i in 0..M::OUT {
                let p = dst[i];
                if p.is_null() {
                    continue;
                }
                let p = p.add(at);
                let load = |p: *const V::Elem| if n == V::LANES { V::load(p) } else { V::load_first(p, n) };
                let y = match add {
                    Add::Nothing => y[i],
                    Add::There => load(p).add(y[i]),
                    Add::Values(v) => load(v).add(y[i]),
                };
                if n == V::LANES { y.store(p) } else { y.store_first(p, n) }
            }
        }
    }
}

/// The map of one line. Its coefficients are constants of the compiled code, once the loops are unrolled.
///
/// # Safety
/// The machine has the tier's instructions.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn line<V: Vector, M: Map>(d: [V; MAX_POINTS]) -> [V; MAX_POINTS] {
    // SAFETY: the caller's promise; nothing in memory is touched.
    unsafe {
        let mut y = [V::zero(); MAX_POINTS];
        for i in 0..M::OUT {
            for j in 0..M::IN {
                let w = M::M[i][j];
                if w == 1.0 {
                    y[i] = y[i].add(d[j]);
                } else if w != 0.0 {
                    y[i] = d[j].mul_add(V::splat(V::Elem::of(w)), y[i]);
                }
            }
        }
        y
    }
}
