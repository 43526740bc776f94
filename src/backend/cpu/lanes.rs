//! Folds along rows in running sums, one for each place of a vector of elements, and the exponentials of a row.
//!
//! Everything is inlined into the kernels that use it, so that it is compiled for their tier.

use super::float::Float;
use super::vmath::Math;

/// Running sums of a row; rows of up to so many elements are padded to it.
pub(super) const LANES: usize = 64;
/// Elements of a row that are worked on at a time, where something is done with them twice.
pub(super) const BLOCK: usize = 256;
/// Elements whose running sums are folded before they are added to the rest's, in order.
pub(super) const SPAN: usize = 16 * BLOCK;

/// Folds by halves.
#[inline(always)]
pub(super) fn folded<W: Float>(mut acc: [W; LANES], f: impl Fn(W, W) -> W) -> W {
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            acc[i] = f(acc[i], acc[i + n]);
        }
    }
    acc[0]
}

#[inline(always)]
pub(super) fn larger<W: Float>(a: W, b: W) -> W {
    if a > b || a.is_not_a_number() { a } else { b }
}

/// `acc[i] = f(acc[i], x[j])` for j = i, i + LANES, ..
#[inline(always)]
pub(super) fn fold_lanes<W: Float>(acc: &mut [W; LANES], x: &[W], f: impl Fn(W, W) -> W) {
    let (blocks, tail) = x.as_chunks::<LANES>();
    for block in blocks {
        for (a, &x) in acc.iter_mut().zip(block) {
            *a = f(*a, x);
        }
    }
    for (a, &x) in acc.iter_mut().zip(tail) {
        *a = f(*a, x);
    }
}

/// The sum of `f(a, b)` over two rows.
#[inline(always)]
pub(super) fn sum_of<W: Float>(a: &[W], b: &[W], f: impl Fn(W, W) -> W) -> W {
    let mut sum = W::ZERO;
    for (a, b) in a.chunks(SPAN).zip(b.chunks(SPAN)) {
        let mut acc = [W::ZERO; LANES];
        let ((blocks_a, tail_a), (blocks_b, tail_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in blocks_a.iter().zip(blocks_b) {
            for (s, (&a, &b)) in acc.iter_mut().zip(a.iter().zip(b)) {
                *s += f(a, b);
            }
        }
        for (s, (&a, &b)) in acc.iter_mut().zip(tail_a.iter().zip(tail_b)) {
            *s += f(a, b);
        }
        sum += folded(acc, |a, b| a + b);
    }
    sum
}

/// The sums of `x - centre` and of its square over a row.
#[inline(always)]
pub(super) fn deviations<W: Float>(x: &[W], centre: W) -> [W; 2] {
    let mut all = [W::ZERO; 2];
    for x in x.chunks(SPAN) {
        let (mut sums, mut squares) = ([W::ZERO; LANES], [W::ZERO; LANES]);
        let (blocks, tail) = x.as_chunks::<LANES>();
        for x in blocks.iter().map(|b| &b[..]).chain([tail]) {
            for ((s, q), &x) in sums.iter_mut().zip(&mut squares).zip(x) {
                let d = x - centre;
                *s += d;
                *q += d * d;
            }
        }
        all[0] += folded(sums, |a, b| a + b);
        all[1] += folded(squares, |a, b| a + b);
    }
    all
}

/// The largest of a row.
#[inline(always)]
pub(super) fn largest<W: Float>(x: &[W]) -> W {
    let mut acc = [W::NEG_INFINITY; LANES];
    fold_lanes(&mut acc, x, larger);
    folded(acc, larger)
}

/// Largest of a short row and the sum of e^(x - largest), which are left in `padded`.
#[inline(always)]
pub(super) fn short_exponentials<W: Float, const FMA: bool>(x: &[W], padded: &mut [W; LANES]) -> (W, W) {
    // e^-inf adds nothing.
    *padded = [W::NEG_INFINITY; LANES];
    padded[..x.len()].copy_from_slice(x);
    let top = folded(*padded, larger);
    padded.iter_mut().for_each(|e| *e = Math::exp::<FMA>(*e - top));
    (top, folded(*padded, |a, b| a + b))
}

/// Largest of a row and the sum of e^(x - largest).
#[inline(always)]
pub(super) fn exponentials<W: Float, const FMA: bool>(x: &[W]) -> (W, W) {
    let mut block = [W::ZERO; BLOCK];
    if x.len() <= LANES {
        return short_exponentials::<W, FMA>(x, block.first_chunk_mut().expect("it is longer"));
    }
    let (top, mut sum) = (largest(x), W::ZERO);
    for x in x.chunks(SPAN) {
        let mut acc = [W::ZERO; LANES];
        for x in x.chunks(BLOCK) {
            let e = &mut block[..x.len()];
            e.iter_mut().zip(x).for_each(|(e, &x)| *e = Math::exp::<FMA>(x - top));
            fold_lanes(&mut acc, e, |a, b| a + b);
        }
        sum += folded(acc, |a, b| a + b);
    }
    (top, sum)
}
