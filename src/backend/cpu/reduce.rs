//! Reductions in a fixed order.
//!
//! A reduction over any set of dimensions is taken apart, in the order of memory, into steps of two kinds: along
//! contiguous rows (64 running sums, folded in halves) and down columns (rows added in order, in chunks of a fixed
//! number of rows whose results are added in order). What is added to what depends on the shape and strides only,
//! never on threads or SIMD tier; sums of single samples do not depend on the batch.

use super::float::Float;
use super::par;
use super::pool::Buffer;
use super::simd::{Kernel, vectorize};
use crate::backend::Reduce;
use crate::{Dims, Layout};

/// Running sums of a row.
const LANES: usize = 64;
/// Elements of a long row that one task folds.
const ROW_CHUNK: usize = 16 * 1024;
/// Rows of a column sum that one task folds.
const COLUMN_CHUNK: usize = 256;
/// Columns that one task works on: their running sums stay in the L1 cache.
const COLUMN_BLOCK: usize = 1024;

/// How two partial results combine.
pub(super) trait Fold<W>: Copy + Sync {
    const IDENTITY: W;
    fn fold(a: W, b: W) -> W;
}

#[derive(Clone, Copy)]
pub(super) struct Sum;
impl<W: Float> Fold<W> for Sum {
    const IDENTITY: W = W::ZERO;
    #[inline(always)]
    fn fold(a: W, b: W) -> W {
        a + b
    }
}

/// The larger, or NaN if either is.
#[derive(Clone, Copy)]
pub(super) struct Max;
impl<W: Float> Fold<W> for Max {
    const IDENTITY: W = W::NEG_INFINITY;
    #[inline(always)]
    fn fold(a: W, b: W) -> W {
        if a > b || a.is_not_a_number() { a } else { b }
    }
}

/// Folds one row of at most [`ROW_CHUNK`] elements.
struct FoldRow<'a, T, F>(&'a [T], std::marker::PhantomData<F>);
impl<T: Float, F: Fold<T>> Kernel for FoldRow<'_, T, F> {
    type Output = T;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let mut acc = [F::IDENTITY; LANES];
        let (blocks, tail) = self.0.as_chunks::<LANES>();
        for block in blocks {
            for (a, x) in acc.iter_mut().zip(block) {
                *a = F::fold(*a, *x);
            }
        }
        for (a, x) in acc.iter_mut().zip(tail) {
            *a = F::fold(*a, *x);
        }
        let mut n = LANES;
        while n > 1 {
            n /= 2;
            for i in 0..n {
                acc[i] = F::fold(acc[i], acc[i + n]);
            }
        }
        acc[0]
    }
}

/// The fold of a row of any length.
pub(super) fn row<T: Float, F: Fold<T>>(x: &[T]) -> T {
    let fold = |x| vectorize(FoldRow::<T, F>(x, std::marker::PhantomData));
    if x.len() <= ROW_CHUNK {
        return fold(x);
    }
    let mut partial = vec![F::IDENTITY; x.len().div_ceil(ROW_CHUNK)];
    par::split(&mut partial, 1, par::pieces(x.len(), par::GRAIN), &|first, part: &mut [T]| {
        for (i, p) in part.iter_mut().enumerate() {
            let at = (first + i) * ROW_CHUNK;
            *p = fold(&x[at..x.len().min(at + ROW_CHUNK)]);
        }
    });
    partial.into_iter().fold(F::IDENTITY, F::fold)
}

/// Folds rows `[rows, width]` of a matrix with `stride` between rows into one row.
struct FoldColumns<'a, T: Float, F> {
    x: &'a [T],
    rows: usize,
    stride: usize,
    out: &'a mut [T],
    f: std::marker::PhantomData<F>,
}
impl<T: Float, F: Fold<T>> Kernel for FoldColumns<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let n = self.out.len();
        self.out.fill(F::IDENTITY);
        let row = |r: usize| &self.x[r * self.stride..][..n];
        let mut r = 0;
        // Four rows at a time save loads and stores of the running sums; the order is the same.
        while r + 4 <= self.rows {
            let (a, b, c, d) = (row(r), row(r + 1), row(r + 2), row(r + 3));
            for (j, o) in self.out.iter_mut().enumerate() {
                let s = F::fold(F::fold(*o, a[j]), b[j]);
                *o = F::fold(F::fold(s, c[j]), d[j]);
            }
            r += 4;
        }
        while r < self.rows {
            self.out.iter_mut().zip(row(r)).for_each(|(o, x)| *o = F::fold(*o, *x));
            r += 1;
        }
    }
}

/// Folds the rows of a dense matrix `x` [rows, out.len()].
pub(super) fn columns<T: Float, F: Fold<T>>(x: &[T], rows: usize, out: &mut [T]) {
    let width = out.len();
    if rows <= COLUMN_CHUNK {
        return column_chunk::<T, F>(x, rows, out);
    }
    let chunks = rows.div_ceil(COLUMN_CHUNK);
    let mut partial = Buffer::of(T::DTYPE, chunks * width);
    let partial = partial.as_mut_slice::<T>();
    par::split(partial, width, par::pieces(rows * width, par::GRAIN), &|first, part: &mut [T]| {
        for (i, p) in part.chunks_mut(width).enumerate() {
            let at = (first + i) * COLUMN_CHUNK;
            column_chunk::<T, F>(&x[at * width..], COLUMN_CHUNK.min(rows - at), p);
        }
    });
    columns::<T, F>(partial, chunks, out)
}

fn column_chunk<T: Float, F: Fold<T>>(x: &[T], rows: usize, out: &mut [T]) {
    let stride = out.len();
    par::split(out, COLUMN_BLOCK, par::pieces(rows * stride, par::GRAIN), &|first, part: &mut [T]| {
        for (i, out) in part.chunks_mut(COLUMN_BLOCK).enumerate() {
            let x = &x[(first + i) * COLUMN_BLOCK..];
            vectorize(FoldColumns { x, rows, stride, out, f: std::marker::PhantomData::<F> });
        }
    });
}

/// One run of neighbouring dimensions, in the order of memory, all reduced or all kept.
struct Group {
    size: usize,
    reduced: bool,
}

/// The dense operand's dimensions from slowest to fastest, neighbours of one kind merged.
fn groups(l: &Layout, over: &[bool]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for &d in l.memory_order().iter().filter(|&&d| l.shape()[d] != 1) {
        match groups.last_mut() {
            Some(g) if g.reduced == over[d] => g.size *= l.shape()[d],
            _ => groups.push(Group { size: l.shape()[d], reduced: over[d] }),
        }
    }
    groups
}

/// Reduces a dense operand over the marked dimensions. The kept ones are left in the order of memory; see
/// [`kept_layout`].
fn reduce_dense<T: Float, F: Fold<T>>(x: &[T], l: &Layout, over: &[bool], out: &mut [T]) {
    let mut groups = groups(l, over);
    let x = &x[l.dense_range()];
    if !groups.iter().any(|g| g.reduced) {
        return out.copy_from_slice(x);
    }
    let mut work = step::<T, F>(x, &mut groups);
    while groups.iter().any(|g| g.reduced) {
        work = step::<T, F>(work.as_slice(), &mut groups);
    }
    out.copy_from_slice(work.as_slice());
}

/// Removes the last reduced group: along rows if it is the last group, else down columns.
fn step<T: Float, F: Fold<T>>(x: &[T], groups: &mut Vec<Group>) -> Buffer {
    let at = groups.iter().rposition(|g| g.reduced).expect("the caller saw a reduced group");
    let n = groups.remove(at).size;
    let inner: usize = groups[at..].iter().map(|g| g.size).product();
    let outer: usize = groups[..at].iter().map(|g| g.size).product();
    if at > 0 && at < groups.len() {
        // The neighbours on either side are kept and now lie next to each other.
        let right = groups.remove(at).size;
        groups[at - 1].size *= right;
    }
    let mut buffer = Buffer::of(T::DTYPE, outer * inner);
    let out = buffer.as_mut_slice::<T>();
    let pieces = par::pieces(x.len(), par::GRAIN).min(outer);
    par::split(out, inner, pieces, &|first, part: &mut [T]| {
        for (i, o) in part.chunks_mut(inner).enumerate() {
            let x = &x[(first + i) * n * inner..][..n * inner];
            if inner == 1 { o[0] = row::<T, F>(x) } else { columns::<T, F>(x, n, o) }
        }
    });
    buffer
}

/// The layout in which [`reduce_dense`] leaves the kept dimensions.
fn kept_layout(l: &Layout, over: &[bool]) -> Layout {
    // Kept dimensions in the order of memory, and where each of them stands in logical order.
    let order: Dims = l.memory_order().iter().copied().filter(|&d| !over[d]).collect();
    let shape: Dims = order.iter().map(|&d| l.shape()[d]).collect();
    let logical: Dims = (0..l.rank()).filter(|&d| !over[d]).collect();
    let back: Dims =
        logical.iter().map(|d| order.iter().position(|o| o == d).expect("the same dimensions")).collect();
    Layout::contiguous(&shape).permuted(&back)
}

/// out = the reduction of x over the marked dimensions; `out` is contiguous.
pub(super) fn reduce<T: Float>(f: Reduce, x: &[T], xl: &Layout, over: &[bool], out: &mut [T], ol: &Layout) {
    match f {
        Reduce::Sum => reduce_by::<T, Sum>(x, xl, over, out, ol),
        Reduce::Max => reduce_by::<T, Max>(x, xl, over, out, ol),
    }
}

fn reduce_by<T: Float, F: Fold<T>>(x: &[T], xl: &Layout, over: &[bool], out: &mut [T], ol: &Layout) {
    debug_assert!(ol.is_contiguous());
    let out = &mut out[ol.dense_range()];
    if xl.numel() == 0 {
        return out.fill(F::IDENTITY);
    }
    if !xl.is_dense() {
        let dense = xl.like();
        let mut copy = Buffer::of(T::DTYPE, xl.numel());
        super::map::copy::<T, T>(x, xl, copy.as_mut_slice(), &dense, |x| x);
        return reduce_by::<T, F>(copy.as_slice(), &dense, over, out, ol);
    }
    let kept = kept_layout(xl, over);
    if kept.is_contiguous() {
        return reduce_dense::<T, F>(x, xl, over, out);
    }
    let mut ordered = Buffer::of(T::DTYPE, out.len());
    reduce_dense::<T, F>(x, xl, over, ordered.as_mut_slice());
    super::map::copy::<T, T>(ordered.as_slice(), &kept, out, &Layout::contiguous(kept.shape()), |x| x);
}
