//! Elementwise kernels over strided operands.
//!
//! Results are dense, so every loop runs through the result's memory in order; operands that lie the same way are
//! walked as flat slices, broadcast ones row by row.

use super::par;
use super::simd::{Kernel, vectorize};
use crate::layout::{Dims, Layout, coalesce};

/// An elementwise function of one operand. `FMA` as in [`Kernel`].
pub(super) trait Map1<X, O>: Copy + Sync {
    fn call<const FMA: bool>(self, x: X) -> O;
}

/// An elementwise function of two operands.
pub(super) trait Map2<A, B, O>: Copy + Sync {
    fn call<const FMA: bool>(self, a: A, b: B) -> O;
}

/// Where each row of the loop starts in the operands, and how it goes on.
struct Rows<const N: usize> {
    /// Shape of the loop, innermost last.
    shape: Dims,
    /// Strides of each operand along it.
    strides: [Dims; N],
    offsets: [usize; N],
}

impl<const N: usize> Rows<N> {
    fn inner(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    fn inner_stride(&self, i: usize) -> usize {
        self.strides[i][self.shape.len() - 1]
    }

    /// Operand positions at the start of rows `first..first + count`.
    #[inline(always)]
    fn each(&self, first: usize, count: usize, mut f: impl FnMut(usize, [usize; N])) {
        let outer = self.shape.len() - 1;
        let mut at: Dims = Dims::filled(outer, 0);
        let mut left = first;
        for d in (0..outer).rev() {
            at[d] = left % self.shape[d];
            left /= self.shape[d];
        }
        let mut pos = self.offsets;
        for (p, s) in pos.iter_mut().zip(&self.strides) {
            *p += (0..outer).map(|d| at[d] * s[d]).sum::<usize>();
        }
        for row in 0..count {
            f(row, pos);
            for d in (0..outer).rev() {
                at[d] += 1;
                (0..N).for_each(|i| pos[i] += self.strides[i][d]);
                if at[d] < self.shape[d] {
                    break;
                }
                (0..N).for_each(|i| pos[i] -= self.strides[i][d] * self.shape[d]);
                at[d] = 0;
            }
        }
    }
}

/// The loop over a dense result and its operands, and the result's flat range.
fn rows<const N: usize, const M: usize>(
    out: &Layout,
    operands: [&Layout; N],
) -> (Rows<N>, std::ops::Range<usize>) {
    debug_assert!(M == N + 1 && out.is_dense());
    let mut all = [out; M];
    all[1..].copy_from_slice(&operands);
    let (shape, strides) = coalesce(all);
    let rows = Rows {
        shape,
        strides: std::array::from_fn(|i| strides[i + 1]),
        offsets: operands.map(|l| l.offset()),
    };
    (rows, out.dense_range())
}

struct Loop1<'a, X, O, F> {
    rows: &'a Rows<1>,
    first: usize,
    x: &'a [X],
    out: &'a mut [O],
    f: F,
}

impl<X: Copy, O, F: Map1<X, O>> Kernel for Loop1<'_, X, O, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Loop1 { rows, first, x, out, f } = self;
        let (n, s) = (rows.inner(), rows.inner_stride(0));
        rows.each(first, out.len() / n, |row, [p]| {
            let o = &mut out[row * n..][..n];
            match s {
                1 => o.iter_mut().zip(&x[p..][..n]).for_each(|(o, &x)| *o = f.call::<FMA>(x)),
                0 => o.fill_with(|| f.call::<FMA>(x[p])),
                _ => o.iter_mut().enumerate().for_each(|(i, o)| *o = f.call::<FMA>(x[p + i * s])),
            }
        });
    }
}

/// out = f(x) over a dense result.
pub(super) fn map1<X, O, F>(f: F, x: &[X], xl: &Layout, out: &mut [O], ol: &Layout)
where
    X: Copy + Sync,
    O: Send,
    F: Map1<X, O>,
{
    if ol.numel() == 0 {
        return;
    }
    let (rows, range) = rows::<1, 2>(ol, [xl]);
    let out = &mut out[range];
    let flat = rows.shape.len() == 1 && rows.inner_stride(0) == 1;
    if flat {
        let x = &x[xl.offset()..][..out.len()];
        return par::split(out, 64, par::pieces(out.len(), par::GRAIN), &|unit, out: &mut [O]| {
            let len = out.len();
            let rows = Rows { shape: Dims::filled(1, len), strides: [Dims::filled(1, 1)], offsets: [0] };
            vectorize(Loop1 { rows: &rows, first: 0, x: &x[unit * 64..][..len], out, f });
        });
    }
    par::split(out, rows.inner(), par::pieces(out.len(), par::GRAIN), &|first, out: &mut [O]| {
        vectorize(Loop1 { rows: &rows, first, x, out, f });
    });
}

struct Loop2<'a, A, B, O, F> {
    rows: &'a Rows<2>,
    first: usize,
    a: &'a [A],
    b: &'a [B],
    out: &'a mut [O],
    f: F,
}

impl<A: Copy, B: Copy, O, F: Map2<A, B, O>> Kernel for Loop2<'_, A, B, O, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Loop2 { rows, first, a, b, out, f } = self;
        let n = rows.inner();
        let (sa, sb) = (rows.inner_stride(0), rows.inner_stride(1));
        rows.each(first, out.len() / n, |row, [p, q]| {
            let o = &mut out[row * n..][..n];
            match (sa, sb) {
                (1, 1) => {
                    let ab = a[p..][..n].iter().zip(&b[q..][..n]);
                    o.iter_mut().zip(ab).for_each(|(o, (&a, &b))| *o = f.call::<FMA>(a, b));
                }
                (1, 0) => {
                    let b = b[q];
                    o.iter_mut().zip(&a[p..][..n]).for_each(|(o, &a)| *o = f.call::<FMA>(a, b));
                }
                (0, 1) => {
                    let a = a[p];
                    o.iter_mut().zip(&b[q..][..n]).for_each(|(o, &b)| *o = f.call::<FMA>(a, b));
                }
                _ => o
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, o)| *o = f.call::<FMA>(a[p + i * sa], b[q + i * sb])),
            }
        });
    }
}

/// out = f(a, b) over a dense result.
pub(super) fn map2<A, B, O, F>(f: F, a: &[A], al: &Layout, b: &[B], bl: &Layout, out: &mut [O], ol: &Layout)
where
    A: Copy + Sync,
    B: Copy + Sync,
    O: Send,
    F: Map2<A, B, O>,
{
    if ol.numel() == 0 {
        return;
    }
    let (rows, range) = rows::<2, 3>(ol, [al, bl]);
    let out = &mut out[range];
    let flat = rows.shape.len() == 1 && rows.inner_stride(0) == 1 && rows.inner_stride(1) == 1;
    if flat {
        let (a, b) = (&a[al.offset()..][..out.len()], &b[bl.offset()..][..out.len()]);
        return par::split(out, 64, par::pieces(out.len(), par::GRAIN), &|unit, out: &mut [O]| {
            let (at, len) = (unit * 64, out.len());
            let one = Dims::filled(1, 1);
            let rows = Rows { shape: Dims::filled(1, len), strides: [one, one], offsets: [0, 0] };
            vectorize(Loop2 { rows: &rows, first: 0, a: &a[at..][..len], b: &b[at..][..len], out, f });
        });
    }
    par::split(out, rows.inner(), par::pieces(out.len(), par::GRAIN), &|first, out: &mut [O]| {
        vectorize(Loop2 { rows: &rows, first, a, b, out, f });
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
    let out = &mut out[range];
    let n = rows.inner();
    let [sc, sa, sb] = std::array::from_fn(|i| rows.inner_stride(i));
    par::split(out, n, par::pieces(out.len(), par::GRAIN), &|first, out: &mut [T]| {
        rows.each(first, out.len() / n, |row, [p, q, r]| {
            for (i, o) in out[row * n..][..n].iter_mut().enumerate() {
                *o = if cond.0[p + i * sc] != C::default() { a.0[q + i * sa] } else { b.0[r + i * sb] };
            }
        });
    });
}

/// Copies between any two layouts of one shape, the result's not necessarily dense.
pub(super) fn copy<T: Copy + Sync + Send>(x: &[T], xl: &Layout, out: &mut [T], ol: &Layout) {
    #[derive(Clone, Copy)]
    struct Identity;
    impl<T: Copy> Map1<T, T> for Identity {
        #[inline(always)]
        fn call<const FMA: bool>(self, x: T) -> T {
            x
        }
    }
    if ol.is_dense() {
        return map1(Identity, x, xl, out, ol);
    }
    let (shape, [so, sx]) = coalesce([ol, xl]);
    let rows = Rows { shape, strides: [so, sx], offsets: [ol.offset(), xl.offset()] };
    let n = rows.inner();
    let (so, sx) = (rows.inner_stride(0), rows.inner_stride(1));
    rows.each(0, ol.numel() / n.max(1), |_, [p, q]| {
        if (so, sx) == (1, 1) {
            out[p..][..n].copy_from_slice(&x[q..][..n]);
        } else {
            (0..n).for_each(|i| out[p + i * so] = x[q + i * sx]);
        }
    });
}

struct Accumulate<'a, T, F> {
    rows: &'a Rows<1>,
    first: usize,
    x: &'a [T],
    acc: &'a mut [T],
    f: F,
}

impl<T: Copy, F: Fn(T, T) -> T + Copy> Kernel for Accumulate<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Accumulate { rows, first, x, acc, f } = self;
        let (n, s) = (rows.inner(), rows.inner_stride(0));
        rows.each(first, acc.len() / n, |row, [p]| {
            let a = &mut acc[row * n..][..n];
            match s {
                1 => a.iter_mut().zip(&x[p..][..n]).for_each(|(a, &x)| *a = f(*a, x)),
                _ => a.iter_mut().enumerate().for_each(|(i, a)| *a = f(*a, x[p + i * s])),
            }
        });
    }
}

/// acc = f(acc, x) over a dense accumulator.
pub(super) fn update1<T, F>(x: &[T], xl: &Layout, acc: &mut [T], al: &Layout, f: F)
where
    T: Copy + Send + Sync,
    F: Fn(T, T) -> T + Copy + Sync,
{
    if al.numel() == 0 {
        return;
    }
    let (rows, range) = rows::<1, 2>(al, [xl]);
    let acc = &mut acc[range];
    par::split(acc, rows.inner(), par::pieces(acc.len(), par::GRAIN), &|first, acc: &mut [T]| {
        vectorize(Accumulate { rows: &rows, first, x, acc, f });
    });
}
