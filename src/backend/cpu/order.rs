//! Along rows: the largest element, the order of the elements, running sums. Each row is one task's, so nothing depends
//! on threads.

use super::float::Float;
use super::par;
use std::cmp::Ordering;

/// The order of numbers, with NaN above all of them and equal to itself.
fn order<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    let is_nan = |x: &T| x.partial_cmp(x).is_none();
    a.partial_cmp(b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)))
}

/// `out[r]` = the position of the largest element of row `r` of `x [out.len(), n]`, the first of equal ones.
pub(super) fn argmax<T: PartialOrd + Sync>(x: &[T], n: usize, out: &mut [i64]) {
    par::split(out, 1, par::pieces(x.len(), par::GRAIN), &|first, out: &mut [i64]| {
        for (row, o) in x[first * n..].chunks_exact(n).zip(out) {
            let mut best = 0;
            for (i, v) in row.iter().enumerate().skip(1) {
                if order(v, &row[best]) == Ordering::Greater {
                    best = i;
                }
            }
            *o = best as i64;
        }
    });
}

/// Each row of out = the positions of the row's elements in order, equal ones by position. Rows have `n` elements.
pub(super) fn argsort<T: PartialOrd + Sync>(x: &[T], n: usize, descending: bool, out: &mut [i64]) {
    par::split(out, n, par::pieces(x.len(), par::GRAIN), &|first, out: &mut [i64]| {
        for (row, out) in x[first * n..].chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            out.iter_mut().zip(0..).for_each(|(o, i)| *o = i);
            out.sort_by(|&a, &b| {
                let ascending = order(&row[a as usize], &row[b as usize]);
                if descending { ascending.reverse() } else { ascending }
            });
        }
    });
}

/// Each row of out = the running sums of the row of `x`, both with rows of `n` elements.
pub(super) fn cumsum<T: Float>(x: &[T], n: usize, out: &mut [T]) {
    par::split(out, n, par::pieces(x.len(), par::GRAIN), &|first, out: &mut [T]| {
        for (row, out) in x[first * n..].chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let mut sum = T::ZERO;
            for (o, v) in out.iter_mut().zip(row) {
                sum += *v;
                *o = sum;
            }
        }
    });
}
