//! Batch normalisation: statistics, application and gradient, per channel.
//!
//! Two orders in memory are walked in place: rows of channels (matrices, and images in channels-last order) and
//! planes (images in NCHW order). Each is read twice from memory forward and twice backward: once for sums, once for the
//! result. Sums over the batch are of chunks of a number of rows that depends on the channels alone, or of whole planes, and
//! are added in order, whatever the number of threads.

use super::float::Float;
use super::lanes::{deviations, sum_of};
use super::par;
use super::pool::Buffer;
use super::simd::{Kernel, vectorize};
use crate::backend::channels::Channels;

/// Channels whose constants and sums are kept in registers while rows pass by.
const WIDTH: usize = 32;

/// A function of an element of x, one of g, and the channel's constants, applied to every element.
trait PerElement<W>: Copy + Sync {
    fn call(self, x: W, g: W, k: [W; 4]) -> W;
}
impl<W, F: Fn(W, W, [W; 4]) -> W + Copy + Sync> PerElement<W> for F {
    #[inline(always)]
    fn call(self, x: W, g: W, k: [W; 4]) -> W {
        self(x, g, k)
    }
}

struct Apply<'a, W, F> {
    shape: Channels,
    /// Which rows or planes the slices start with.
    first: usize,
    x: &'a [W],
    g: &'a [W],
    k: [&'a [W]; 4],
    out: &'a mut [W],
    f: F,
}
impl<W: Float, F: PerElement<W>> Kernel for Apply<'_, W, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Apply { shape: Channels { channels, inner, .. }, first, x, g, k, out, f } = self;
        if inner > 1 {
            let planes = out.chunks_exact_mut(inner).zip(x.chunks_exact(inner).zip(g.chunks_exact(inner)));
            for (i, (o, (x, g))) in planes.enumerate() {
                let k = k.map(|k| k[(first + i) % channels]);
                o.iter_mut().zip(x.iter().zip(g)).for_each(|(o, (&x, &g))| *o = f.call(x, g, k));
            }
            return;
        }
        let rows = out.chunks_exact_mut(channels);
        for (o, (x, g)) in rows.zip(x.chunks_exact(channels).zip(g.chunks_exact(channels))) {
            // Blocks of a length that the compiler knows; arrays of their own, as of an array of arrays it makes no vectors.
            let (blocks, rest) = o.as_chunks_mut::<WIDTH>();
            for (i, o) in blocks.iter_mut().enumerate() {
                let at = |v: &[W]| *v[i * WIDTH..].first_chunk::<WIDTH>().expect("as long as a row");
                let (x, g, [k0, k1, k2, k3]) = (at(x), at(g), k.map(at));
                for (j, o) in o.iter_mut().enumerate() {
                    *o = f.call(x[j], g[j], [k0[j], k1[j], k2[j], k3[j]]);
                }
            }
            let first = channels - rest.len();
            for (j, o) in (first..).zip(rest) {
                *o = f.call(x[j], g[j], k.map(|k| k[j]));
            }
        }
    }
}

/// out = f(x, g, the channel's constants) everywhere.
fn apply<W: Float>(shape: Channels, x: &[W], g: &[W], k: [&[W]; 4], out: &mut [W], f: impl PerElement<W>) {
    let unit = if shape.inner == 1 { shape.channels } else { shape.inner };
    par::split(out, unit, par::pieces(shape.numel(), par::GRAIN), &|first, out: &mut [W]| {
        let range = first * unit..first * unit + out.len();
        vectorize(Apply { shape, first, x: &x[range.clone()], g: &g[range], k, out, f });
    });
}

/// Rows of channels that are summed by themselves: they are walked twice, out of the first cache.
fn chunk_rows(channels: usize) -> usize {
    (8192 / channels.max(1)).clamp(16, 256)
}

/// Two numbers for each channel from each part of a batch: of a chunk of rows, or of a plane of each channel.
struct Parts {
    shape: Channels,
    /// Rows of a chunk; 1 where a part is a plane of each channel.
    rows: usize,
    /// `[part][2][channels]`
    both: Buffer,
}

impl Parts {
    /// By `f(first element, what to write)` for some parts that follow each other.
    fn of<W: Float>(shape: Channels, f: &(dyn Fn(usize, &mut [W]) + Sync)) -> Parts {
        let rows = if shape.inner == 1 { chunk_rows(shape.channels) } else { 1 };
        let mut both = Buffer::of(W::DTYPE, shape.outer.div_ceil(rows) * 2 * shape.channels);
        let part = rows * shape.channels * shape.inner;
        let pieces = par::pieces(shape.numel(), par::GRAIN);
        par::split(both.as_mut_slice::<W>(), 2 * shape.channels, pieces, &|first, out| f(first * part, out));
        Parts { shape, rows, both }
    }

    /// Elements of a channel that a part has, and the two numbers for each channel.
    fn each<W: Float>(&self) -> impl Iterator<Item = (W, &[W], &[W])> {
        let (rows, outer, inner) = (self.rows, self.shape.outer, self.shape.inner);
        self.both.as_slice::<W>().chunks_exact(2 * self.shape.channels).enumerate().map(move |(i, both)| {
            let (a, b) = both.split_at(both.len() / 2);
            (W::c((rows.min(outer - i * rows) * inner) as f64), a, b)
        })
    }
}

/// Of each part and channel: the mean, and the sum of squared deviations from it. A first mean is a rounded sum; the
/// deviations' own mean corrects it and them (Chan, Golub and LeVeque, 1983).
struct Moments<'a, W> {
    shape: Channels,
    x: &'a [W],
    out: &'a mut [W],
}
impl<W: Float> Kernel for Moments<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Moments { shape, x, out } = self;
        let channels = shape.channels;
        if shape.inner > 1 {
            let scale = W::ONE / W::c(shape.inner as f64);
            for (out, x) in out.chunks_exact_mut(2 * channels).zip(x.chunks(channels * shape.inner)) {
                let (mean, squares) = out.split_at_mut(channels);
                for ((m, q), x) in mean.iter_mut().zip(squares).zip(x.chunks_exact(shape.inner)) {
                    let first = sum_of(x, x, |x, _| x) * scale;
                    [*m, *q] = corrected(first, deviations(x, first), scale);
                }
            }
            return;
        }
        let mut sums = vec![W::ZERO; channels];
        let rows = chunk_rows(channels);
        for (out, x) in out.chunks_exact_mut(2 * channels).zip(x.chunks(rows * channels)) {
            let scale = W::ONE / W::c((x.len() / channels) as f64);
            let (mean, squares) = out.split_at_mut(channels);
            mean.fill(W::ZERO);
            squares.fill(W::ZERO);
            down(x, x, &sums, [mean, squares], |m, _, x, _, _| *m += x);
            mean.iter_mut().for_each(|m| *m = *m * scale);
            sums.fill(W::ZERO);
            down(x, x, mean, [&mut sums, squares], |s, q, x, _, centre| {
                let d = x - centre;
                *s += d;
                *q += d * d;
            });
            for ((m, q), &s) in mean.iter_mut().zip(squares).zip(&sums) {
                [*m, *q] = corrected(*m, [s, *q], scale);
            }
        }
    }
}

/// `f(a[c], b[c], x, g, k[c])` for every element of rows of channels, row by row.
#[inline(always)]
fn down<W: Float>(x: &[W], g: &[W], k: &[W], [a, b]: [&mut [W]; 2], f: impl Fn(&mut W, &mut W, W, W, W)) {
    let channels = a.len();
    for c in (0..channels).step_by(WIDTH) {
        let n = WIDTH.min(channels - c);
        let rows = x.chunks_exact(channels).zip(g.chunks_exact(channels));
        let (a, b, k) = (&mut a[c..c + n], &mut b[c..c + n], &k[c..c + n]);
        let [mut s, mut t, mut u] = [[W::ZERO; WIDTH]; 3];
        s[..n].copy_from_slice(a);
        t[..n].copy_from_slice(b);
        u[..n].copy_from_slice(k);
        if n < WIDTH {
            for (x, g) in rows {
                for (j, (&x, &g)) in x[c..].iter().zip(&g[c..]).enumerate() {
                    f(&mut s[j], &mut t[j], x, g, u[j]);
                }
            }
        } else {
            for (x, g) in rows {
                let whole = |x: &[W]| *x[c..].first_chunk::<WIDTH>().expect("a whole block");
                let (x, g) = (whole(x), whole(g));
                (0..WIDTH).for_each(|j| f(&mut s[j], &mut t[j], x[j], g[j], u[j]));
            }
        }
        a.copy_from_slice(&s[..n]);
        b.copy_from_slice(&t[..n]);
    }
}

/// Mean and sum of squared deviations, of a rounded mean and the sums of deviations from it and of their squares; `scale` is
/// 1 / n.
#[inline(always)]
fn corrected<W: Float>(mean: W, [sum, squares]: [W; 2], scale: W) -> [W; 2] {
    let squares = squares - sum * sum * scale;
    // NaN is not below 0.
    [mean + sum * scale, if squares < W::ZERO { W::ZERO } else { squares }]
}

/// Mean and biased variance of every channel.
pub(super) fn stats<W: Float>(shape: Channels, x: &[W], mean: &mut [W], var: &mut [W]) {
    if shape.numel() == 0 {
        // There is no mean of nothing.
        return [mean, var].into_iter().for_each(|to| to.fill(W::c(f64::NAN)));
    }
    let parts = Parts::of::<W>(shape, &|first, out| vectorize(Moments { shape, x: &x[first..], out }));
    let scale = W::ONE / W::c(shape.count() as f64);
    mean.fill(W::ZERO);
    for (n, means, _) in parts.each::<W>() {
        mean.iter_mut().zip(means).for_each(|(m, &p)| *m += n * p);
    }
    mean.iter_mut().for_each(|m| *m = *m * scale);
    let mut sums = vec![W::ZERO; shape.channels];
    var.fill(W::ZERO);
    for (n, means, squares) in parts.each::<W>() {
        let each = sums.iter_mut().zip(var.iter_mut()).zip(&*mean);
        for (((s, v), &m), (&p, &q)) in each.zip(means.iter().zip(squares)) {
            let d = p - m;
            *s += n * d;
            *v += q + n * d * d;
        }
    }
    for ((m, v), &s) in mean.iter_mut().zip(var).zip(&sums) {
        let [mean, squares] = corrected(*m, [s, *v], scale);
        (*m, *v) = (mean, squares * scale);
    }
}

/// The per-channel constants of a normalisation.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a, W> {
    pub mean: &'a [W],
    pub rstd: &'a [W],
    pub weight: &'a [W],
}

/// out = (x - mean) * rstd * weight + bias.
pub(super) fn normalise<W: Float>(shape: Channels, x: &[W], p: Affine<W>, bias: &[W], out: &mut [W]) {
    let scale: Vec<W> = p.rstd.iter().zip(p.weight).map(|(&r, &w)| r * w).collect();
    apply(shape, x, x, [p.mean, &scale, bias, bias], out, |x: W, _: W, [mean, scale, bias, _]: [W; 4]| {
        (x - mean) * scale + bias
    });
}

/// Of each part and channel: the sums of g and of g (x - mean).
struct Products<'a, W> {
    shape: Channels,
    mean: &'a [W],
    x: &'a [W],
    g: &'a [W],
    out: &'a mut [W],
}
impl<W: Float> Kernel for Products<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Products { shape, mean, x, g, out } = self;
        let (channels, inner) = (shape.channels, shape.inner);
        let part = if inner == 1 { chunk_rows(channels) * channels } else { channels * inner };
        for (out, (x, g)) in out.chunks_exact_mut(2 * channels).zip(x.chunks(part).zip(g.chunks(part))) {
            let (sums, products) = out.split_at_mut(channels);
            if inner == 1 {
                sums.fill(W::ZERO);
                products.fill(W::ZERO);
                down(x, g, mean, [sums, products], |s, p, x, g, mean| {
                    *s += g;
                    *p += g * (x - mean);
                });
                continue;
            }
            let planes = x.chunks_exact(inner).zip(g.chunks_exact(inner)).zip(mean);
            for ((s, p), ((x, g), &mean)) in sums.iter_mut().zip(products).zip(planes) {
                *s = sum_of(g, g, |g, _| g);
                *p = sum_of(x, g, |x, g| g * (x - mean));
            }
        }
    }
}

/// The gradients of training-mode batch norm: db = sum g, dw = sum g x^, dx = w rstd (g - db/n - x^ dw/n).
pub(super) fn gradient<W: Float>(
    shape: Channels,
    g: &[W],
    x: &[W],
    p: Affine<W>,
    dx: &mut [W],
    dw: &mut [W],
    db: &mut [W],
) {
    let Affine { mean, rstd, weight } = p;
    if shape.numel() == 0 {
        return [dw, db].into_iter().for_each(|to| to.fill(W::ZERO));
    }
    let parts = Parts::of::<W>(shape, &|first, out| {
        vectorize(Products { shape, mean, x: &x[first..], g: &g[first..], out });
    });
    db.fill(W::ZERO);
    dw.fill(W::ZERO);
    for (_, sums, products) in parts.each::<W>() {
        db.iter_mut().zip(sums).for_each(|(d, &p)| *d += p);
        dw.iter_mut().zip(products).for_each(|(d, &p)| *d += p);
    }
    dw.iter_mut().zip(rstd).for_each(|(d, &r)| *d = *d * r);
    let scale = W::ONE / W::c(shape.count() as f64);
    // dx = a g + b (x - mean) + k with per-channel a, b, k.
    let a: Vec<W> = rstd.iter().zip(weight).map(|(&r, &w)| r * w).collect();
    let b: Vec<W> = (0..shape.channels).map(|c| -(a[c] * rstd[c] * dw[c] * scale)).collect();
    let k: Vec<W> = (0..shape.channels).map(|c| -(a[c] * db[c] * scale)).collect();
    apply(shape, x, g, [&a, &b, &k, mean], dx, |x: W, g: W, [a, b, k, mean]: [W; 4]| {
        a * g + (b * (x - mean) + k)
    });
}
