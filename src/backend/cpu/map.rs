//! Elementwise kernels over strided operands.
//!
//! Results are dense, so every loop runs through the result's memory in order; operands that lie the same way are
//! walked as flat slices, broadcast ones row by row.

use super::float::Float;
use super::par;
use super::rows::{BLOCK, Rows, blocks, rows, split, together};
use super::simd::{Kernel, vectorize};
use crate::layout::{Layout, coalesce};

/// An elementwise function of one operand. `FMA` as in [`Kernel`].
pub(super) trait Map1<X, O>: Copy + Sync {
    fn call<const FMA: bool>(self, x: X) -> O;
}

/// An elementwise function of two operands.
pub(super) trait Map2<A, B, O>: Copy + Sync {
    fn call<const FMA: bool>(self, a: A, b: B) -> O;
}

/// An elementwise function of three operands.
pub(super) trait Map3<T>: Copy + Sync {
    fn call<const FMA: bool>(self, a: T, b: T, c: T) -> T;
}

/// A function applied to slices of one length.
struct Flat1<'a, X, O, F> {
    x: &'a [X],
    out: &'a mut [O],
    f: F,
}

impl<X: Copy, O, F: Map1<X, O>> Kernel for Flat1<'_, X, O, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.out.iter_mut().zip(self.x).for_each(|(o, &x)| *o = self.f.call::<FMA>(x));
    }
}

/// out = f(x) over a dense result; f(out) without an operand.
pub(super) fn map1<T: Float, F: Map1<T, T>>(f: F, x: Option<(&[T], &Layout)>, out: &mut [T], ol: &Layout) {
    drive1(x, out, ol, &|x, out| vectorize(Flat1 { x, out, f }));
}

/// Elements that are copied before their place is written: a kernel reads one slice and writes another. They stay in the
/// first cache.
const COPIED: usize = 1024;

/// Calls `f(first element, copy, place)` for pieces of a result that is its own operand.
fn in_place<T: Float>(out: &mut [T], f: &(impl Fn(usize, &[T], &mut [T]) + Sync)) {
    let pieces = par::pieces(out.len(), par::GRAIN);
    par::split(out, COPIED, pieces, &|unit, out: &mut [T]| {
        let mut copy = [T::default(); COPIED];
        for (i, piece) in out.chunks_mut(COPIED).enumerate() {
            let copy = &mut copy[..piece.len()];
            copy.copy_from_slice(piece);
            f((unit + i) * COPIED, copy, piece);
        }
    });
}

/// Runs a kernel over slices piece by piece. Compiled once per type: only the kernel knows the function.
fn drive1<T: Float>(
    x: Option<(&[T], &Layout)>,
    out: &mut [T],
    ol: &Layout,
    kernel: &(dyn Fn(&[T], &mut [T]) + Sync),
) {
    if ol.numel() == 0 {
        return;
    }
    let Some((x, xl)) = x else {
        return in_place(&mut out[ol.dense_range()], &|_, x, out| kernel(x, out));
    };
    let (rows, range) = rows::<1, 2>(ol, [xl]);
    split(&rows, &mut out[range], &|rows, first, out| {
        let mut block = [T::default(); BLOCK];
        blocks(rows, first, out.len(), |at, [p], n| {
            kernel(together(x, p, rows.inner_stride(0), n, &mut block), &mut out[at..at + n]);
        });
    });
}

/// A function applied to pairs from slices of one length.
struct Flat2<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
    f: F,
}

impl<T: Copy, F: Map2<T, T, T>> Kernel for Flat2<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let pairs = self.a.iter().zip(self.b);
        self.out.iter_mut().zip(pairs).for_each(|(o, (&a, &b))| *o = self.f.call::<FMA>(a, b));
    }
}

/// out = f(a, b) over a dense result; f(out, b) without a first operand, b lying as the result does then.
pub(super) fn map2<T: Float, F: Map2<T, T, T>>(
    f: F,
    a: Option<(&[T], &Layout)>,
    b: (&[T], &Layout),
    out: &mut [T],
    ol: &Layout,
) {
    drive2(a, b, out, ol, &|a, b, out| vectorize(Flat2 { a, b, out, f }));
}

/// A kernel over two slices of one length, writing a third.
type PairKernel<'a, T> = dyn Fn(&[T], &[T], &mut [T]) + Sync + 'a;

/// As [`drive1`], for two operands.
fn drive2<T: Float>(
    a: Option<(&[T], &Layout)>,
    b: (&[T], &Layout),
    out: &mut [T],
    ol: &Layout,
    kernel: &PairKernel<'_, T>,
) {
    if ol.numel() == 0 {
        return;
    }
    let Some(a) = a else {
        let b = &b.0[b.1.dense_range()];
        return in_place(&mut out[ol.dense_range()], &|at, a, out| kernel(a, &b[at..at + a.len()], out));
    };
    let (rows, range) = rows::<2, 3>(ol, [a.1, b.1]);
    split(&rows, &mut out[range], &|rows, first, out| {
        let (mut block_a, mut block_b) = ([T::default(); BLOCK], [T::default(); BLOCK]);
        blocks(rows, first, out.len(), |at, [p, q], n| {
            let a = together(a.0, p, rows.inner_stride(0), n, &mut block_a);
            let b = together(b.0, q, rows.inner_stride(1), n, &mut block_b);
            kernel(a, b, &mut out[at..at + n]);
        });
    });
}

/// A function applied to triples from slices of one length.
struct Flat3<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    c: &'a [T],
    out: &'a mut [T],
    f: F,
}

impl<T: Copy, F: Map3<T>> Kernel for Flat3<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let triples = self.a.iter().zip(self.b).zip(self.c);
        self.out.iter_mut().zip(triples).for_each(|(o, ((&a, &b), &c))| *o = self.f.call::<FMA>(a, b, c));
    }
}

/// out = f(a, b, c) over a dense result.
pub(super) fn map3<T: Float, F: Map3<T>>(f: F, x: [(&[T], &Layout); 3], out: &mut [T], ol: &Layout) {
    if ol.numel() == 0 {
        return;
    }
    let (rows, range) = rows::<3, 4>(ol, x.map(|x| x.1));
    split(&rows, &mut out[range], &|rows, first, out| {
        let mut block = [[T::default(); BLOCK]; 3];
        blocks(rows, first, out.len(), |at, places, n| {
            let [block_a, block_b, block_c] = &mut block;
            let a = together(x[0].0, places[0], rows.inner_stride(0), n, block_a);
            let b = together(x[1].0, places[1], rows.inner_stride(1), n, block_b);
            let c = together(x[2].0, places[2], rows.inner_stride(2), n, block_c);
            vectorize(Flat3 { a, b, c, out: &mut out[at..at + n], f });
        });
    });
}

/// out = f(a, b) over a dense result, without a version per SIMD tier: for cheap loops over many element types.
pub(super) fn zip<T: Copy + Sync, O: Send>(
    a: (&[T], &Layout),
    b: (&[T], &Layout),
    out: &mut [O],
    ol: &Layout,
    f: impl Fn(T, T) -> O + Sync,
) {
    if ol.numel() == 0 {
        return;
    }
    let (rows, range) = rows::<2, 3>(ol, [a.1, b.1]);
    let (sa, sb) = (rows.inner_stride(0), rows.inner_stride(1));
    split(&rows, &mut out[range], &|rows, first, out: &mut [O]| {
        blocks(rows, first, out.len(), |at, [p, q], n| {
            for (i, o) in out[at..at + n].iter_mut().enumerate() {
                *o = f(a.0[p + i * sa], b.0[q + i * sb]);
            }
        });
    });
}

/// out = cond != 0 ? a : b over a dense result.
pub(super) fn select<C, T>(
    cond: (&[C], &Layout),
    a: (&[T], &Layout),
    b: (&[T], &Layout),
    out: &mut [T],
    ol: &Layout,
) where
    C: Copy + Sync + Default + PartialEq,
    T: Copy + Send + Sync,
{
    if ol.numel() == 0 {
        return;
    }
    let (rows, range) = rows::<3, 4>(ol, [cond.1, a.1, b.1]);
    let [sc, sa, sb] = std::array::from_fn(|i| rows.inner_stride(i));
    split(&rows, &mut out[range], &|rows, first, out: &mut [T]| {
        blocks(rows, first, out.len(), |at, [p, q, r], n| {
            for (i, o) in out[at..at + n].iter_mut().enumerate() {
                *o = if cond.0[p + i * sc] != C::default() { a.0[q + i * sa] } else { b.0[r + i * sb] };
            }
        });
    });
}

/// out = f(x) between any two layouts of one shape, the result's not necessarily dense.
pub(super) fn copy<X: Copy + Sync, O: Send>(
    x: &[X],
    xl: &Layout,
    out: &mut [O],
    ol: &Layout,
    f: impl Fn(X) -> O + Sync,
) {
    if ol.numel() == 0 {
        return;
    }
    if !ol.is_dense() {
        let (shape, [so, sx]) = coalesce([ol, xl]);
        let rows = Rows { shape, strides: [so, sx], offsets: [ol.offset(), xl.offset()] };
        let (n, so, sx) = (rows.inner(), rows.inner_stride(0), rows.inner_stride(1));
        return rows
            .each(0, ol.numel() / n, |_, [p, q]| (0..n).for_each(|i| out[p + i * so] = f(x[q + i * sx])));
    }
    let (rows, range) = rows::<1, 2>(ol, [xl]);
    let s = rows.inner_stride(0);
    split(&rows, &mut out[range], &|rows, first, out: &mut [O]| {
        blocks(rows, first, out.len(), |at, [p], n| {
            let out = &mut out[at..at + n];
            if s == 1 {
                out.iter_mut().zip(&x[p..p + n]).for_each(|(o, &x)| *o = f(x));
            } else {
                out.iter_mut().enumerate().for_each(|(i, o)| *o = f(x[p + i * s]));
            }
        });
    });
}

/// acc += x over a dense accumulator.
pub(super) fn accumulate<T: Float>(x: &[T], xl: &Layout, acc: &mut [T], al: &Layout) {
    if al.numel() == 0 {
        return;
    }
    let (rows, range) = rows::<1, 2>(al, [xl]);
    split(&rows, &mut acc[range], &|rows, first, acc| {
        let mut block = [T::default(); BLOCK];
        blocks(rows, first, acc.len(), |at, [p], n| {
            let x = together(x, p, rows.inner_stride(0), n, &mut block);
            vectorize(AddTo { x, acc: &mut acc[at..at + n] });
        });
    });
}

struct AddTo<'a, T> {
    x: &'a [T],
    acc: &'a mut [T],
}

impl<T: Float> Kernel for AddTo<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.acc.iter_mut().zip(self.x).for_each(|(a, &x)| *a += x);
    }
}
