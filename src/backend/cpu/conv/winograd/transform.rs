//! The transforms in two dimensions, over as many channels as a vector has lanes: one pass down the columns into a buffer of a
//! few kilobytes, one along the rows out of it.

use super::points::{MAX_POINTS, Map};
use crate::backend::cpu::gemm::{Real, Vector};

/// Points of the largest tile, in both directions.
pub const MAX_TILE: usize = MAX_POINTS * MAX_POINTS;

/// How far the lines of a tile lie from a first element, along one axis.
pub type Line = [usize; MAX_POINTS];

/// In a [`Line`]: a line that there is not, being padding or beyond the last.
pub const NOWHERE: usize = usize::MAX / 4;

/// Pixels, or taps: the one of row i and column j lies `rows[i] + columns[j]` behind the first.
pub struct Grid<'a, A> {
    pub first: *mut A,
    pub rows: &'a Line,
    pub columns: &'a Line,
}

/// Points: the one of row i and column j of a tile with `across` columns is in row `rows[i * across + j]` of a matrix.
pub struct Points<'a, A> {
    pub first: *mut A,
    pub rows: &'a [usize; MAX_TILE],
    pub across: usize,
    /// From one row to the next.
    pub ld: usize,
}

/// Where a transform reads or writes.
pub trait Places<A>: Copy {
    /// The place of element (i, j), if there is one.
    fn at(self, i: usize, j: usize) -> Option<*mut A>;
}

impl<A> Clone for Grid<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Grid<'_, A> {}
impl<A> Places<A> for Grid<'_, A> {
    #[inline(always)]
    fn at(self, i: usize, j: usize) -> Option<*mut A> {
        let at = self.rows[i] + self.columns[j];
        (at < NOWHERE).then(|| self.first.wrapping_add(at))
    }
}

impl<A> Clone for Points<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Points<'_, A> {}
impl<A> Places<A> for Points<'_, A> {
    #[inline(always)]
    fn at(self, i: usize, j: usize) -> Option<*mut A> {
        Some(self.first.wrapping_add(self.rows[i * self.across + j] * self.ld))
    }
}

/// What is added to the results.
#[derive(Clone, Copy)]
pub enum Add<A> {
    /// Nothing.
    Nothing,
    /// What is there.
    There,
    /// What is there in so many first rows and columns, which an earlier tile has written; nothing elsewhere.
    Overlapping([usize; 2]),
    /// `n` values.
    Values(*const A),
}

/// What is done to the results.
#[derive(Clone, Copy)]
pub struct Then<A> {
    pub add: Add<A>,
    /// What is written is the sum [`rectified`](Real::rectified) with this slope.
    pub slope: Option<A>,
}

impl<A> Then<A> {
    /// Nothing.
    pub const NOTHING: Then<A> = Then { add: Add::Nothing, slope: None };
}

/// The passes of a map to the points: down so many columns of a grid, where result i of column c goes to vector
/// `i * columns + c` of a buffer, and along so many rows of that buffer. Both for `n` channels, at most a vector's lanes.
///
/// # Safety
/// Of calling a pass: the machine has the tier's instructions, `n` elements can be read at each place of the grid or written
/// at each of the points, which nobody else has, and the buffer has a vector for each result of the first pass.
pub struct Inward<A: 'static> {
    pub operands: usize,
    pub results: usize,
    pub down: unsafe fn(from: Grid<A>, columns: usize, n: usize, buffer: *mut A),
    pub along: unsafe fn(buffer: *const A, to: Points<A>, rows: usize, n: usize),
}

/// The passes of a map from the points, whose results are added to something, and perhaps rectified.
///
/// # Safety
/// As for [`Inward`], with points and grid exchanged; what is added to can be read too, and so can `n` values of `then`.
pub struct Outward<A: 'static> {
    pub operands: usize,
    pub results: usize,
    pub down: unsafe fn(from: Points<A>, columns: usize, n: usize, buffer: *mut A),
    pub along: unsafe fn(buffer: *const A, to: Grid<A>, rows: usize, n: usize, then: Then<A>),
}

/// A tier's transforms for tiles of 3, 4 and 5 points, and for such tiles of windows of 2 and 3 taps.
pub struct Transforms<A: 'static> {
    pub lanes: usize,
    pub gather: [Inward<A>; 3],
    pub scatter: [Outward<A>; 3],
    pub read: [[Outward<A>; 3]; 2],
    pub spread: [[Inward<A>; 3]; 2],
    pub taps: [[Inward<A>; 3]; 2],
    pub fold: [[Outward<A>; 3]; 2],
}

impl<A: Real> Transforms<A> {
    /// Takes `n` channels of a grid to the points, by a map for each axis.
    ///
    /// # Safety
    /// The machine has the tier; the channels of the grid can be read, those of the points written by this thread alone, and
    /// the buffer has a vector for each point of the largest tile.
    pub unsafe fn inward(
        &self,
        [y, x]: [&Inward<A>; 2],
        from: Grid<A>,
        to: Points<A>,
        n: usize,
        buffer: *mut A,
    ) {
        for c in (0..n).step_by(self.lanes) {
            let n = self.lanes.min(n - c);
            let from = Grid { first: from.first.wrapping_add(c), ..from };
            let to = Points { first: to.first.wrapping_add(c), ..to };
            // SAFETY: the caller's promise.
            unsafe {
                (y.down)(from, x.operands, n, buffer);
                (x.along)(buffer, to, y.results, n);
            }
        }
    }

    /// Takes `n` channels from the points to a grid, by a map for each axis.
    ///
    /// # Safety
    /// As [`Transforms::inward`], with points and grid exchanged; `then` names as many values as there are channels, if any.
    pub unsafe fn outward(
        &self,
        [y, x]: [&Outward<A>; 2],
        from: Points<A>,
        to: Grid<A>,
        n: usize,
        buffer: *mut A,
        then: Then<A>,
    ) {
        for c in (0..n).step_by(self.lanes) {
            let n = self.lanes.min(n - c);
            let from = Points { first: from.first.wrapping_add(c), ..from };
            let to = Grid { first: to.first.wrapping_add(c), ..to };
            let add = match then.add {
                Add::Values(v) => Add::Values(v.wrapping_add(c)),
                other => other,
            };
            // SAFETY: the caller's promise.
            unsafe {
                (y.down)(from, x.operands, n, buffer);
                (x.along)(buffer, to, y.results, n, Then { add, ..then });
            }
        }
    }
}

/// The first pass of a map. Lines are registers only where each index is a constant once loops are unrolled.
///
/// # Safety
/// As [`Inward`] says.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
pub unsafe fn down<V: Vector, M: Map>(
    from: impl Places<V::Elem>,
    columns: usize,
    n: usize,
    buffer: *mut V::Elem,
) {
    for c in 0..columns {
        // SAFETY: the caller's promise; results are numbered below OUT * columns.
        unsafe {
            let mut d = [V::zero(); MAX_POINTS];
            for j in 0..M::IN {
                if let Some(p) = from.at(j, c) {
                    d[j] = if n == V::LANES { V::load(p) } else { V::load_first(p, n) };
                }
            }
            let y = line::<V, M>(d);
            for i in 0..M::OUT {
                y[i].store(buffer.add((i * columns + c) * V::LANES));
            }
        }
    }
}

/// The second pass of a map.
///
/// # Safety
/// As [`Inward`] and [`Outward`] say.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
pub unsafe fn along<V: Vector, M: Map>(
    buffer: *const V::Elem,
    to: impl Places<V::Elem>,
    rows: usize,
    n: usize,
    then: Then<V::Elem>,
) {
    for r in 0..rows {
        // SAFETY: the caller's promise.
        unsafe {
            let mut d = [V::zero(); MAX_POINTS];
            for j in 0..M::IN {
                d[j] = V::load(buffer.add((r * M::IN + j) * V::LANES));
            }
            let y = line::<V, M>(d);
            for i in 0..M::OUT {
                let Some(p) = to.at(r, i) else { continue };
                let load = |p: *const V::Elem| if n == V::LANES { V::load(p) } else { V::load_first(p, n) };
                let y = match then.add {
                    Add::Nothing => y[i],
                    Add::There => load(p).add(y[i]),
                    Add::Overlapping([above, before]) if r < above || i < before => load(p).add(y[i]),
                    Add::Overlapping(_) => y[i],
                    Add::Values(v) => load(v).add(y[i]),
                };
                let y = then.slope.map_or(y, |slope| y.rectified(slope));
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
