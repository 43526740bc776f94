//! Products with one column: dot products of A's rows with it.

use super::MatRef;
use super::batch::Batch;
use super::block::Out;
use super::element::{GemmElement, Real};
use crate::Element;
use crate::backend::cpu::Buffer;
use crate::backend::cpu::par;
use crate::backend::cpu::simd::{Kernel, Tier, vectorize_on};

/// Running sums of a dot product.
const LANES: usize = 64;
/// Terms whose running sums are folded before they are added to the rest's, in order.
const SPAN: usize = 4096;
/// Dot products of rows `stride` apart with `b`.
struct Dots<'a, T> {
    a: &'a [T],
    stride: usize,
    b: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for Dots<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Dots { a, stride, b, out } = self;
        for (i, o) in out.iter_mut().enumerate() {
            *o = dot(&a[i * stride..][..b.len()], b);
        }
    }
}

#[inline(always)]
fn folded<T: Real>(mut acc: [T; LANES]) -> T {
    let mut n = LANES;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            acc[i] = acc[i] + acc[i + n];
        }
    }
    acc[0]
}

#[inline(always)]
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut sum = T::ZERO;
    for (a, b) in a.chunks(SPAN).zip(b.chunks(SPAN)) {
        let mut acc = [T::ZERO; LANES];
        let ((blocks_a, tail_a), (blocks_b, tail_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in blocks_a.iter().zip(blocks_b) {
            for (s, (&a, &b)) in acc.iter_mut().zip(a.iter().zip(b)) {
                *s = *s + a * b;
            }
        }
        for (s, (&a, &b)) in acc.iter_mut().zip(tail_a.iter().zip(tail_b)) {
            *s = *s + a * b;
        }
        sum = sum + folded(acc);
    }
    sum
}

/// C = A B + bias for a B of one column; T is its own accumulator, and the columns of A and the rows of B are neighbours.
#[allow(clippy::too_many_arguments)] // the operands of a GEMM
pub(super) fn column<T: GemmElement>(
    tier: Tier,
    batch: &Batch,
    m: usize,
    k: usize,
    a: MatRef<T>,
    b: MatRef<T>,
    bias: Option<(&[T], usize)>,
    c: Out<T>,
) {
    let mut sums = Buffer::of(<T::Acc as Element>::DTYPE, m);
    let sums = sums.as_mut_slice::<T::Acc>();
    for p in 0..batch.count() {
        let (at_a, at_b, at_c) = batch.offsets(p);
        let (rows, col) = (&a.data[at_a..], &b.data[at_b..][..k]);
        par::split(sums, 1, par::pieces(m * k, par::GRAIN), &|first, out| {
            let (a, stride) = (bytemuck::cast_slice::<T, T::Acc>(&rows[first * a.rs..]), a.rs);
            vectorize_on(tier, Dots { a, stride, b: bytemuck::cast_slice::<T, T::Acc>(col), out });
        });
        for (i, &x) in sums.iter().enumerate() {
            let x = bias.map_or(x, |(bias, _)| x + bias[0].widen());
            // SAFETY: element (i, 0) of product p is inside C, by `Batch::check`.
            unsafe { *c.data.add(at_c + i * c.rs) = T::narrow(x) };
        }
    }
}
