//! Reading and adding at indices.

use super::float::Float;
use super::par;
use crate::backend::BadIndex;
use crate::{Dims, Layout};
use std::ops::Range;

/// Checks every index before anything is read or written.
pub(super) fn check(index: &[i64], il: &Layout, size: usize) -> Result<(), BadIndex> {
    let out_of_range = |i: &i64| *i < 0 || *i as usize >= size;
    let found = if il.is_contiguous() {
        index[il.offset()..][..il.numel()].iter().copied().find(out_of_range)
    } else {
        il.indices().map(|i| index[i]).find(out_of_range)
    };
    match found {
        Some(index) => Err(BadIndex { index, size }),
        None => Ok(()),
    }
}

/// The flat ranges that a dense `[outer, n, inner]` source pairs with in `[outer, size, inner]` when entry j of the
/// middle dimension stands for `index[j]`: (position in the indexed tensor, range in the list-long one).
fn pairs(
    shape: &[usize],
    dim: usize,
    index: &[i64],
    il: &Layout,
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let outer: usize = shape[..dim].iter().product();
    let inner: usize = shape[dim + 1..].iter().product();
    let size = shape[dim];
    let picks: Vec<usize> = il.indices().map(|i| index[i] as usize).collect();
    let n = picks.len();
    (0..outer).flat_map(move |o| {
        let picks = picks.clone();
        (0..n).map(move |j| ((o * size + picks[j]) * inner, (o * n + j) * inner..(o * n + j + 1) * inner))
    })
}

/// out [.., n, ..] = the entries of dimension `dim` of the contiguous `x` (of this shape) listed in `index`.
pub(super) fn index_select<T: Copy>(
    x: &[T],
    shape: &[usize],
    dim: usize,
    index: (&[i64], &Layout),
    out: &mut [T],
) {
    for (at, range) in pairs(shape, dim, index.0, index.1) {
        let n = range.len();
        out[range].copy_from_slice(&x[at..at + n]);
    }
}

/// acc (contiguous, of this shape) += src (contiguous) at the listed entries, repeats in order.
pub(super) fn index_add<T: Float>(
    src: &[T],
    shape: &[usize],
    dim: usize,
    index: (&[i64], &Layout),
    acc: &mut [T],
) {
    for (at, range) in pairs(shape, dim, index.0, index.1) {
        let n = range.len();
        acc[at..at + n].iter_mut().zip(&src[range]).for_each(|(a, &s)| *a += s);
    }
}

/// For every element of the index, in row-major order: the position it stands for in a contiguous tensor of `shape`.
fn positions<'a>(
    shape: &'a [usize],
    dim: usize,
    index: &'a [i64],
    il: &'a Layout,
) -> impl Iterator<Item = usize> + 'a {
    // The index's coordinates address the tensor in every dimension but `dim`.
    let full = Layout::contiguous(shape);
    let mut strides = Dims::from_slice(full.strides());
    let step = strides[dim];
    strides[dim] = 0;
    let base = Layout::strided(il.shape(), &strides, 0);
    il.indices().zip(base.indices()).map(move |(i, at)| at + index[i] as usize * step)
}

/// out (contiguous, of the index's shape) = the indexed elements of the contiguous `x` of this shape.
pub(super) fn gather<T: Copy + Send + Sync>(
    x: &[T],
    shape: &[usize],
    dim: usize,
    index: (&[i64], &Layout),
    out: &mut [T],
) {
    let (numbers, il) = index;
    let columns = il.shape().last().copied().unwrap_or(0);
    if !il.is_contiguous() || columns < 2 {
        out.iter_mut().zip(positions(shape, dim, numbers, il)).for_each(|(o, p)| *o = x[p]);
        return;
    }
    // Row by row of the index: within one only the last coordinate and the index change.
    let last = il.shape().len() - 1;
    let full = Layout::contiguous(shape);
    let mut strides = Dims::from_slice(full.strides());
    let step = strides[dim];
    strides[dim] = 0;
    let along = strides[last];
    let rows = Layout::strided(&il.shape()[..last], &strides[..last], 0);
    let numbers = &numbers[il.offset()..];
    let pieces = par::pieces(out.len(), par::GRAIN);
    par::split(out, columns, pieces, &|first, out| {
        let lines = out.chunks_exact_mut(columns).zip(numbers[first * columns..].chunks_exact(columns));
        for (base, (out, numbers)) in rows.indices_from(first).zip(lines) {
            for (j, (o, i)) in out.iter_mut().zip(numbers).enumerate() {
                *o = x[base + j * along + *i as usize * step];
            }
        }
    });
}

/// acc (contiguous, of this shape) += src (contiguous, of the index's shape) at the indexed elements, in order.
pub(super) fn scatter_add<T: Float>(
    src: &[T],
    shape: &[usize],
    dim: usize,
    index: (&[i64], &Layout),
    acc: &mut [T],
) {
    for (&s, p) in src.iter().zip(positions(shape, dim, index.0, index.1)) {
        acc[p] += s;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a size that is shared among threads, with an index smaller than the tensor beside `dim`.
    #[test]
    fn gather_reads_what_the_index_says() {
        let (shape, index_shape) = ([90, 20, 70], [80, 30, 60]);
        let x: Vec<u32> = (0..shape.iter().product::<usize>() as u32).collect();
        let index: Vec<i64> = (0..index_shape.iter().product::<usize>() as i64).map(|i| i * 7 % 20).collect();
        assert!(index.len() > 4 * par::GRAIN);
        let mut out = vec![0; index.len()];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        pool.install(|| gather(&x, &shape, 1, (&index, &Layout::contiguous(&index_shape)), &mut out));
        for (at, (found, i)) in out.iter().zip(&index).enumerate() {
            let (row, column) = (at / (30 * 60), at % 60);
            assert_eq!(*found as usize, (row * 20 + *i as usize) * 70 + column, "element {at}");
        }
    }
}
