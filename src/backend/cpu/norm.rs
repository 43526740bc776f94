//! Batch normalisation: statistics, application and gradient, per channel.
//!
//! Two orders in memory are walked in place: rows of channels (matrices, and images in channels-last order) and
//! planes (images in NCHW order). Sums over the batch go over chunks of a fixed number of rows or over whole
//! planes, in order, whatever the number of threads.

use super::float::Float;
use super::par;
use super::pool::Buffer;
use super::reduce::{Sum, columns};
use super::simd::{Kernel, vectorize};
use crate::backend::channels::Channels;

/// A function of (channel, element of x, element of g), applied to every element.
trait PerElement<W>: Copy + Sync {
    fn call(self, c: usize, x: W, g: W) -> W;
}
impl<W, F: Fn(usize, W, W) -> W + Copy + Sync> PerElement<W> for F {
    #[inline(always)]
    fn call(self, c: usize, x: W, g: W) -> W {
        self(c, x, g)
    }
}

struct Apply<'a, W, F> {
    shape: Channels,
    /// Which rows or planes the slices start with.
    first: usize,
    x: &'a [W],
    g: &'a [W],
    out: &'a mut [W],
    f: F,
}
impl<W: Float, F: PerElement<W>> Kernel for Apply<'_, W, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Apply { shape, first, x, g, out, f } = self;
        let unit = if shape.inner == 1 { shape.channels } else { shape.inner };
        let rows = out.chunks_exact_mut(unit).zip(x.chunks_exact(unit).zip(g.chunks_exact(unit)));
        for (i, (o, (x, g))) in rows.enumerate() {
            let fixed = (first + i) % shape.channels;
            for (j, (o, (&x, &g))) in o.iter_mut().zip(x.iter().zip(g)).enumerate() {
                *o = f.call(if shape.inner == 1 { j } else { fixed }, x, g);
            }
        }
    }
}

/// out = f(channel, x, g) everywhere.
fn apply<W: Float>(shape: Channels, x: &[W], g: &[W], out: &mut [W], f: impl PerElement<W>) {
    let unit = if shape.inner == 1 { shape.channels } else { shape.inner };
    par::split(out, unit, par::pieces(shape.numel(), par::GRAIN), &|first, out: &mut [W]| {
        let range = first * unit..first * unit + out.len();
        vectorize(Apply { shape, first, x: &x[range.clone()], g: &g[range], out, f });
    });
}

/// `out[c]` = the sum of `f(c, x, g)` over channel c.
fn sums<W: Float>(shape: Channels, x: &[W], g: &[W], out: &mut [W], f: impl PerElement<W>) {
    let mut terms = Buffer::of(W::DTYPE, shape.numel());
    let terms = terms.as_mut_slice::<W>();
    apply(shape, x, g, terms, f);
    if shape.inner == 1 {
        return columns::<W, Sum>(terms, shape.outer, out);
    }
    let planes = shape.outer * shape.channels;
    let mut plane = Buffer::of(W::DTYPE, planes);
    let plane = plane.as_mut_slice::<W>();
    par::split(plane, 1, par::pieces(shape.numel(), par::GRAIN), &|first, part: &mut [W]| {
        for (i, p) in part.iter_mut().enumerate() {
            *p = super::reduce::row::<W, Sum>(&terms[(first + i) * shape.inner..][..shape.inner]);
        }
    });
    columns::<W, Sum>(plane, shape.outer, out);
}

/// Mean and biased variance of every channel, in two passes: the second sums squared deviations from the mean.
pub(super) fn stats<W: Float>(shape: Channels, x: &[W], mean: &mut [W], var: &mut [W]) {
    let scale = W::ONE / W::c(shape.count() as f64);
    sums(shape, x, x, mean, |_, x, _| x);
    mean.iter_mut().for_each(|m| *m = *m * scale);
    let mean = &*mean;
    sums(shape, x, x, var, |c: usize, x: W, _| {
        let d = x - mean[c];
        d * d
    });
    var.iter_mut().for_each(|v| *v = *v * scale);
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
    let (mean, scale, bias) = (&p.mean[..shape.channels], &scale[..shape.channels], &bias[..shape.channels]);
    apply(shape, x, x, out, |c: usize, x: W, _| (x - mean[c]) * scale[c] + bias[c]);
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
    sums(shape, x, g, db, |_, _, g| g);
    sums(shape, x, g, dw, |c: usize, x: W, g: W| g * ((x - mean[c]) * rstd[c]));
    let scale = W::ONE / W::c(shape.count() as f64);
    // dx = a g + b (x - mean) + k with per-channel a, b, k.
    let a: Vec<W> = rstd.iter().zip(weight).map(|(&r, &w)| r * w).collect();
    let b: Vec<W> = (0..shape.channels).map(|c| -(a[c] * rstd[c] * dw[c] * scale)).collect();
    let k: Vec<W> = (0..shape.channels).map(|c| -(a[c] * db[c] * scale)).collect();
    let (a, b, k, mean) =
        (&a[..shape.channels], &b[..shape.channels], &k[..shape.channels], &mean[..shape.channels]);
    apply(shape, x, g, dx, |c: usize, x: W, g: W| a[c] * g + (b[c] * (x - mean[c]) + k[c]));
}
