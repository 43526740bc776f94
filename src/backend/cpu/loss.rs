//! Losses of pairs: the sum in one read of both operands, and the gradient in one pass.
//!
//! The sum is over chunks of a fixed number of pairs in the order of the prediction's memory; a chunk's losses are added
//! to 64 running sums in turn, which are folded in halves, and chunks are added as a row of a reduction is. Nothing of
//! the operands' size is kept.

use super::float::Float;
use super::map::{Map2, Map3, map2, map3};
use super::par;
use super::reduce::{self, Sum};
use super::rows::{BLOCK, Rows, rows};
use super::simd::{Kernel, vectorize};
use crate::backend::Loss;
use crate::layout::Layout;

/// Pairs that one task adds up.
const CHUNK: usize = 4096;
/// Running sums of a chunk.
const LANES: usize = 64;

/// A loss of one pair. `FMA` as in [`Kernel`].
pub(super) trait PairLoss<T: Float>: Copy + Sync {
    fn value<const FMA: bool>(self, p: T, t: T) -> T;
    /// The losses of at most [`BLOCK`] pairs.
    #[inline(always)]
    fn values<const FMA: bool>(self, p: &[T], t: &[T], out: &mut [T]) {
        out.iter_mut().zip(p.iter().zip(t)).for_each(|(l, (&p, &t))| *l = self.value::<FMA>(p, t));
    }
    /// g times the derivative in p.
    fn slope<const FMA: bool>(self, g: T, p: T, t: T) -> T;
}

#[inline(always)]
fn at_least<T: Float>(x: T, floor: T) -> T {
    if x < floor { floor } else { x }
}

#[derive(Clone, Copy)]
pub(super) struct Bce;
impl<T: Float> PairLoss<T> for Bce {
    #[inline(always)]
    fn value<const FMA: bool>(self, p: T, t: T) -> T {
        let floor = T::c(-100.0);
        -(t * at_least(p.log::<FMA>(), floor) + (T::ONE - t) * at_least((-p).log1p::<FMA>(), floor))
    }
    /// A loop with two logarithms is more than the compiler makes vectors of.
    #[inline(always)]
    fn values<const FMA: bool>(self, p: &[T], t: &[T], out: &mut [T]) {
        let (floor, mut other) = (T::c(-100.0), [T::ZERO; BLOCK]);
        let other = &mut other[..p.len()];
        out.iter_mut().zip(p).for_each(|(l, &p)| *l = at_least(p.log::<FMA>(), floor));
        other.iter_mut().zip(p).for_each(|(l, &p)| *l = at_least((-p).log1p::<FMA>(), floor));
        let both = out.iter_mut().zip(other).zip(t);
        both.for_each(|((l, other), &t)| *l = -(t * *l + (T::ONE - t) * *other));
    }
    #[inline(always)]
    fn slope<const FMA: bool>(self, g: T, p: T, t: T) -> T {
        g * (p - t) / at_least(p * (T::ONE - p), T::c(Loss::SMALLEST_VARIANCE))
    }
}

#[derive(Clone, Copy)]
pub(super) struct BceWithLogits;
impl<T: Float> PairLoss<T> for BceWithLogits {
    #[inline(always)]
    fn value<const FMA: bool>(self, p: T, t: T) -> T {
        let positive = if p > T::ZERO { p } else { T::ZERO };
        positive - p * t + (-Float::abs(p)).softplus::<FMA>()
    }
    #[inline(always)]
    fn slope<const FMA: bool>(self, g: T, p: T, t: T) -> T {
        g * (p.sigmoid::<FMA>() - t)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SquaredError;
impl<T: Float> PairLoss<T> for SquaredError {
    #[inline(always)]
    fn value<const FMA: bool>(self, p: T, t: T) -> T {
        (p - t) * (p - t)
    }
    #[inline(always)]
    fn slope<const FMA: bool>(self, g: T, p: T, t: T) -> T {
        T::c(2.0) * (g * (p - t))
    }
}

#[derive(Clone, Copy)]
pub(super) struct AbsoluteError;
impl<T: Float> PairLoss<T> for AbsoluteError {
    #[inline(always)]
    fn value<const FMA: bool>(self, p: T, t: T) -> T {
        Float::abs(p - t)
    }
    #[inline(always)]
    fn slope<const FMA: bool>(self, g: T, p: T, t: T) -> T {
        let below = if p - t < T::ZERO { -g } else { T::ZERO };
        if p - t > T::ZERO { g } else { below }
    }
}

/// Evaluates an expression with the loss that a name stands for.
macro_rules! with_loss {
    ($f:expr, $loss:ident => $body:expr) => {
        match $f {
            Loss::Bce => {
                let $loss = Bce;
                $body
            }
            Loss::BceWithLogits => {
                let $loss = BceWithLogits;
                $body
            }
            Loss::SquaredError => {
                let $loss = SquaredError;
                $body
            }
            Loss::AbsoluteError => {
                let $loss = AbsoluteError;
                $body
            }
        }
    };
}

/// The sum of the losses of one chunk.
struct SumPairs<'a, T, L> {
    p: &'a [T],
    t: &'a [T],
    loss: L,
}
impl<T: Float, L: PairLoss<T>> Kernel for SumPairs<'_, T, L> {
    type Output = T;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> T {
        let (mut lanes, mut losses) = ([T::ZERO; LANES], [T::ZERO; BLOCK]);
        for (p, t) in self.p.chunks(BLOCK).zip(self.t.chunks(BLOCK)) {
            let losses = &mut losses[..p.len()];
            self.loss.values::<FMA>(p, t, losses);
            let (blocks, rest) = losses.as_chunks::<LANES>();
            blocks.iter().for_each(|b| lanes.iter_mut().zip(b).for_each(|(lane, &l)| *lane += l));
            lanes.iter_mut().zip(rest).for_each(|(lane, &l)| *lane += l);
        }
        let mut n = LANES;
        while n > 1 {
            n /= 2;
            for i in 0..n {
                lanes[i] += lanes[i + n];
            }
        }
        lanes[0]
    }
}

/// scale times the sum of the losses of all pairs.
pub(super) fn sum<T: Float>(f: Loss, p: (&[T], &Layout), t: (&[T], &Layout), scale: f64) -> T {
    let sum = with_loss!(f, loss => sum_pairs(p, t, &|p, t| vectorize(SumPairs { p, t, loss })));
    sum * T::c(scale)
}

/// What a chunk's pairs come to.
type ChunkSum<'a, T> = dyn Fn(&[T], &[T]) -> T + Sync + 'a;

fn sum_pairs<T: Float>(p: (&[T], &Layout), t: (&[T], &Layout), chunk_sum: &ChunkSum<T>) -> T {
    let n = p.1.numel();
    if n == 0 {
        return T::ZERO;
    }
    let (rows, _) = rows::<2, 3>(&p.1.like(), [p.1, t.1]);
    let one = |i: usize| {
        let first = i * CHUNK;
        sum_chunk(&rows, p.0, t.0, first, CHUNK.min(n - first), chunk_sum)
    };
    if n <= CHUNK {
        return one(0);
    }
    let mut partial = vec![T::ZERO; n.div_ceil(CHUNK)];
    par::split(&mut partial, 1, par::pieces(n, par::GRAIN), &|first, part: &mut [T]| {
        part.iter_mut().enumerate().for_each(|(i, s)| *s = one(first + i));
    });
    reduce::row::<T, Sum>(&partial)
}

/// The sum of `len` pairs from the loop's element `first` on; operands that do not lie side by side are brought together.
fn sum_chunk<T: Float>(
    rows: &Rows<2>,
    p: &[T],
    t: &[T],
    first: usize,
    len: usize,
    chunk_sum: &ChunkSum<T>,
) -> T {
    if rows.is_flat() {
        let [a, b] = rows.starts().map(|start| start + first);
        return chunk_sum(&p[a..a + len], &t[b..b + len]);
    }
    let mut together = [[T::ZERO; CHUNK]; 2];
    let mut done = 0;
    rows.stretches(first, len, |at, n| {
        for (i, x) in [p, t].into_iter().enumerate() {
            let (from, step) = (at[i], rows.inner_stride(i));
            let to = &mut together[i][done..done + n];
            match step {
                1 => to.copy_from_slice(&x[from..from + n]),
                0 => to.fill(x[from]),
                _ => to.iter_mut().enumerate().for_each(|(j, o)| *o = x[from + j * step]),
            }
        }
        done += n;
    });
    chunk_sum(&together[0][..len], &together[1][..len])
}

/// The gradient where every pair has the same g.
#[derive(Clone, Copy)]
struct Slope<T, L> {
    g: T,
    loss: L,
}
impl<T: Float, L: PairLoss<T>> Map2<T, T, T> for Slope<T, L> {
    #[inline(always)]
    fn call<const FMA: bool>(self, p: T, t: T) -> T {
        self.loss.slope::<FMA>(self.g, p, t)
    }
}

/// The gradient for a g, p and t of each pair.
#[derive(Clone, Copy)]
struct Slopes<T, L> {
    scale: T,
    loss: L,
}
impl<T: Float, L: PairLoss<T>> Map3<T> for Slopes<T, L> {
    #[inline(always)]
    fn call<const FMA: bool>(self, g: T, p: T, t: T) -> T {
        self.loss.slope::<FMA>(self.scale * g, p, t)
    }
}

/// out = scale g dl/dp over a dense result; scale * g is rounded first.
pub(super) fn gradient<T: Float>(
    f: Loss,
    g: (&[T], &Layout),
    p: (&[T], &Layout),
    t: (&[T], &Layout),
    scale: f64,
    out: &mut [T],
    ol: &Layout,
) {
    let scale = T::c(scale);
    if ol.numel() > 0 && g.1.is_one_number() {
        let g = scale * g.0[g.1.offset()];
        return with_loss!(f, loss => map2(Slope { g, loss }, Some(p), t, out, ol));
    }
    with_loss!(f, loss => map3(Slopes { scale, loss }, [g, p, t], out, ol))
}
