//! Normalisation within samples: layer, group and instance norm.
//!
//! A group (or a sample, where channels are fastest) is done while it is in a cache: mean, then squared deviations from it,
//! then the result; so is its gradient. Sums of a sample do not depend on its batch-mates; the gradients of weight and bias
//! are summed over chunks of a number of samples that depends on the sample's shape alone, which are added in order.

use super::float::Float;
use super::lanes::{BLOCK, LANES, fold_lanes, folded, sum_of};
use super::par;
use super::pool::Buffer;
use super::reduce::{Sum, columns};
use super::simd::{Kernel, vectorize};
use crate::backend::groups::Groups;

/// Channels are worked on in vectors of about so many: several positions at a time where there are fewer channels.
const WIDE: usize = 64;
/// Vectors that are summed before they are added to the rest.
const CHUNK: usize = 128;

/// Weight and bias, each `[groups, members]`.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a, W> {
    pub weight: &'a [W],
    pub bias: &'a [W],
}

/// Groups that lie side by side, `first` and following ones.
struct Rows<'a, W> {
    shape: Groups,
    first: usize,
    eps: W,
    affine: Affine<'a, W>,
    x: &'a [W],
    out: &'a mut [W],
    /// Mean and 1 / deviation, in pairs.
    stats: &'a mut [W],
}
impl<W: Float> Kernel for Rows<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { shape, first, eps, affine, x, out, stats } = self;
        let (n, scale) = (shape.count(), W::ONE / W::c(shape.count() as f64));
        let rows = x.chunks_exact(n).zip(out.chunks_exact_mut(n)).zip(stats.as_chunks_mut::<2>().0);
        for (i, ((x, out), stats)) in rows.enumerate() {
            let mean = sum_of(x, x, |x, _| x) * scale;
            let var = sum_of(x, x, |x, _| (x - mean) * (x - mean)) * scale;
            let rstd = W::ONE / (var + eps).sqrt();
            *stats = [mean, rstd];
            let members = (first + i) % shape.groups * shape.members;
            let weight = &affine.weight[members..][..shape.members];
            let bias = &affine.bias[members..][..shape.members];
            if shape.inner == 1 {
                let each = out.iter_mut().zip(x).zip(weight.iter().zip(bias));
                each.for_each(|((o, &x), (&w, &b))| *o = (x - mean) * rstd * w + b);
                continue;
            }
            let lines = out.chunks_exact_mut(shape.inner).zip(x.chunks_exact(shape.inner));
            for ((out, x), (&w, &b)) in lines.zip(weight.iter().zip(bias)) {
                out.iter_mut().zip(x).for_each(|(o, &x)| *o = (x - mean) * rstd * w + b);
            }
        }
    }
}

/// One number for each place of a vector of several positions' channels.
struct Wide<W> {
    channels: usize,
    width: usize,
    sum: Vec<W>,
    part: Vec<W>,
}

impl<W: Float> Wide<W> {
    fn new(channels: usize) -> Wide<W> {
        let width = channels * (WIDE / channels).max(1);
        Wide { channels, width, sum: vec![W::ZERO; width], part: vec![W::ZERO; width] }
    }

    /// The sums over positions of `f(x, g, known)` by channel, which are left at the start of `self.sum`.
    #[inline(always)]
    fn sums(&mut self, x: &[W], g: &[W], known: &[W], f: impl Fn(W, W, W) -> W) {
        self.sum.fill(W::ZERO);
        let length = self.width * CHUNK;
        for (x, g) in x.chunks(length).zip(g.chunks(length)) {
            self.part.fill(W::ZERO);
            for (x, g) in x.chunks(self.width).zip(g.chunks(self.width)) {
                let each = self.part.iter_mut().zip(x.iter().zip(g)).zip(known);
                each.for_each(|((p, (&x, &g)), &k)| *p += f(x, g, k));
            }
            self.sum.iter_mut().zip(&self.part).for_each(|(s, &p)| *s += p);
        }
        let (sum, others) = self.sum.split_at_mut(self.channels);
        for other in others.chunks_exact(self.channels) {
            sum.iter_mut().zip(other).for_each(|(s, &o)| *s += o);
        }
    }

    /// Writes `f(channel)` to every place of the channel.
    #[inline(always)]
    fn spread(&self, to: &mut [W], f: impl Fn(usize) -> W) {
        let (own, others) = to.split_at_mut(self.channels);
        own.iter_mut().enumerate().for_each(|(c, t)| *t = f(c));
        others.chunks_exact_mut(self.channels).for_each(|o| o.copy_from_slice(own));
    }
}

/// Samples with channels last.
struct Samples<'a, W> {
    shape: Groups,
    eps: W,
    affine: Affine<'a, W>,
    x: &'a [W],
    out: &'a mut [W],
    stats: &'a mut [W],
}
impl<W: Float> Kernel for Samples<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Samples { shape, eps, affine, x, out, stats } = self;
        let (sample, members, scale) = (shape.sample(), shape.members, W::ONE / W::c(shape.count() as f64));
        let mut wide = Wide::<W>::new(shape.channels());
        let [mut mean, mut factor, mut bias] = [0; 3].map(|_| vec![W::ZERO; wide.width]);
        wide.spread(&mut bias, |c| affine.bias[c]);
        let samples = x.chunks_exact(sample).zip(out.chunks_exact_mut(sample));
        for ((x, out), stats) in samples.zip(stats.chunks_exact_mut(2 * shape.groups)) {
            let stats = stats.as_chunks_mut::<2>().0;
            wide.sums(x, x, &mean, |x, _, _| x);
            for (sums, s) in wide.sum.chunks_exact(members).zip(&mut *stats) {
                s[0] = sums.iter().fold(W::ZERO, |a, &b| a + b) * scale;
            }
            wide.spread(&mut mean, |c| stats[c / members][0]);
            wide.sums(x, x, &mean, |x, _, m| (x - m) * (x - m));
            for (sums, s) in wide.sum.chunks_exact(members).zip(&mut *stats) {
                s[1] = W::ONE / (sums.iter().fold(W::ZERO, |a, &b| a + b) * scale + eps).sqrt();
            }
            wide.spread(&mut factor, |c| stats[c / members][1] * affine.weight[c]);
            for (out, x) in out.chunks_mut(wide.width).zip(x.chunks(wide.width)) {
                let known = mean.iter().zip(&factor).zip(&bias);
                let each = out.iter_mut().zip(x).zip(known);
                each.for_each(|((o, &x), ((&m, &f), &b))| *o = (x - m) * f + b);
            }
        }
    }
}

/// out = (x - mean) rstd weight + bias; stats = mean and rstd of each group of each sample, in pairs.
pub(super) fn forward<W: Float>(
    shape: Groups,
    eps: f64,
    x: &[W],
    affine: Affine<W>,
    out: &mut [W],
    stats: &mut [W],
) {
    let (pieces, eps) = (par::pieces(x.len(), par::GRAIN), W::c(eps));
    let rows = shape.positions == 1;
    let (unit, of_unit) = if rows { (shape.count(), 2) } else { (shape.sample(), 2 * shape.groups) };
    par::split_beside(out, unit, stats, of_unit, pieces, &|first, out: &mut [W], stats: &mut [W]| {
        let x = &x[first * unit..][..out.len()];
        if rows {
            vectorize(Rows { shape, first, eps, affine, x, out, stats });
        } else {
            vectorize(Samples { shape, eps, affine, x, out, stats });
        }
    });
}

/// What the gradient of some samples is made of.
struct Gradient<'a, W> {
    shape: Groups,
    g: &'a [W],
    x: &'a [W],
    stats: &'a [W],
    weight: &'a [W],
    dx: &'a mut [W],
    /// Sums of g x^ and of g over these samples, by channel.
    dw: &'a mut [W],
    db: &'a mut [W],
}

/// [`Gradient`] of groups that lie side by side.
struct GradRows<'a, W>(Gradient<'a, W>);
impl<W: Float> Kernel for GradRows<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Gradient { shape, g, x, stats, weight, dx, dw, db } = self.0;
        let (n, members, scale) = (shape.count(), shape.members, W::ONE / W::c(shape.count() as f64));
        let rows = g.chunks_exact(n).zip(x.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
        for (i, (((g, x), dx), &[mean, rstd])) in rows.zip(stats.as_chunks::<2>().0).enumerate() {
            let own = i % shape.groups * members;
            let (weight, dw) = (&weight[own..][..members], &mut dw[own..][..members]);
            let db = &mut db[own..][..members];
            let (a, b) = if shape.inner == 1 {
                row_sums(g, x, weight, [mean, rstd], dw, db)
            } else {
                member_sums(shape.inner, g, x, weight, [mean, rstd], dw, db)
            };
            let (a, b) = (a * scale, b * scale);
            let of = |x: W, g: W, w: W| (g * w - a - (x - mean) * rstd * b) * rstd;
            if shape.inner == 1 {
                let each = dx.iter_mut().zip(x).zip(g.iter().zip(weight));
                each.for_each(|((o, &x), (&g, &w))| *o = of(x, g, w));
                continue;
            }
            let lines = dx.chunks_exact_mut(shape.inner).zip(x.chunks_exact(shape.inner));
            for ((dx, x), (g, &w)) in lines.zip(g.chunks_exact(shape.inner).zip(weight)) {
                dx.iter_mut().zip(x).zip(g).for_each(|((o, &x), &g)| *o = of(x, g, w));
            }
        }
    }
}

/// The sums of g w and of g w x^ over a row with a weight for each element; adds g x^ and g to the weights' sums.
#[inline(always)]
fn row_sums<W: Float>(
    g: &[W],
    x: &[W],
    weight: &[W],
    [mean, rstd]: [W; 2],
    dw: &mut [W],
    db: &mut [W],
) -> (W, W) {
    let (mut a, mut b) = ([W::ZERO; LANES], [W::ZERO; LANES]);
    let (mut gw, mut gx) = ([W::ZERO; BLOCK], [W::ZERO; BLOCK]);
    let blocks = g.chunks(BLOCK).zip(x.chunks(BLOCK)).zip(weight.chunks(BLOCK));
    for (((g, x), weight), (dw, db)) in blocks.zip(dw.chunks_mut(BLOCK).zip(db.chunks_mut(BLOCK))) {
        for (d, (&g, &x)) in gx.iter_mut().zip(g.iter().zip(x)) {
            *d = g * ((x - mean) * rstd);
        }
        dw.iter_mut().zip(&gx).for_each(|(d, &t)| *d += t);
        db.iter_mut().zip(g).for_each(|(d, &g)| *d += g);
        gw.iter_mut().zip(g.iter().zip(weight)).for_each(|(d, (&g, &w))| *d = g * w);
        gx.iter_mut().zip(weight).for_each(|(d, &w)| *d = *d * w);
        fold_lanes(&mut a, &gw[..g.len()], |a, b| a + b);
        fold_lanes(&mut b, &gx[..g.len()], |a, b| a + b);
    }
    (folded(a, |a, b| a + b), folded(b, |a, b| a + b))
}

/// The same for a weight for each `inner` elements.
#[inline(always)]
fn member_sums<W: Float>(
    inner: usize,
    g: &[W],
    x: &[W],
    weight: &[W],
    [mean, rstd]: [W; 2],
    dw: &mut [W],
    db: &mut [W],
) -> (W, W) {
    let (mut a, mut b) = (W::ZERO, W::ZERO);
    let lines = g.chunks_exact(inner).zip(x.chunks_exact(inner)).zip(weight);
    for (((g, x), &w), (dw, db)) in lines.zip(dw.iter_mut().zip(db)) {
        let sum = sum_of(g, x, |g, _| g);
        let along = sum_of(g, x, |g, x| g * ((x - mean) * rstd));
        (*dw, *db) = (*dw + along, *db + sum);
        (a, b) = (a + sum * w, b + along * w);
    }
    (a, b)
}

/// [`Gradient`] of samples with channels last.
struct GradSamples<'a, W>(Gradient<'a, W>);
impl<W: Float> Kernel for GradSamples<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Gradient { shape, g, x, stats, weight, dx, dw, db } = self.0;
        let (sample, members, scale) = (shape.sample(), shape.members, W::ONE / W::c(shape.count() as f64));
        let mut wide = Wide::<W>::new(shape.channels());
        let [mut mean, mut of_g, mut of_x, mut rest] = [0; 4].map(|_| vec![W::ZERO; wide.width]);
        let [mut sum, mut along] = [0; 2].map(|_| vec![W::ZERO; shape.channels()]);
        let samples = g.chunks_exact(sample).zip(x.chunks_exact(sample)).zip(dx.chunks_exact_mut(sample));
        for (((g, x), dx), stats) in samples.zip(stats.chunks_exact(2 * shape.groups)) {
            let stats = stats.as_chunks::<2>().0;
            wide.spread(&mut mean, |c| stats[c / members][0]);
            wide.sums(x, g, &mean, |_, g, _| g);
            sum.copy_from_slice(&wide.sum[..shape.channels()]);
            wide.sums(x, g, &mean, |x, g, m| g * (x - m));
            along.copy_from_slice(&wide.sum[..shape.channels()]);
            along.iter_mut().enumerate().for_each(|(c, a)| *a = *a * stats[c / members][1]);
            dw.iter_mut().zip(&along).for_each(|(d, &a)| *d += a);
            db.iter_mut().zip(&sum).for_each(|(d, &s)| *d += s);
            // Of each group, in the places of its first member.
            for first in (0..sum.len()).step_by(members) {
                let total =
                    |v: &[W]| (first..first + members).fold(W::ZERO, |t, c| t + v[c] * weight[c]) * scale;
                (sum[first], along[first]) = (total(&sum), total(&along));
            }
            // dx = rstd (g w - a - x^ b).
            let of_group = |c: usize| (c - c % members, stats[c / members][1]);
            wide.spread(&mut of_g, |c| of_group(c).1 * weight[c]);
            wide.spread(&mut of_x, |c| -(of_group(c).1 * of_group(c).1 * along[of_group(c).0]));
            wide.spread(&mut rest, |c| -(of_group(c).1 * sum[of_group(c).0]));
            let vectors = dx.chunks_mut(wide.width).zip(x.chunks(wide.width).zip(g.chunks(wide.width)));
            for (dx, (x, g)) in vectors {
                let known = mean.iter().zip(&of_g).zip(of_x.iter().zip(&rest));
                let each = dx.iter_mut().zip(x.iter().zip(g)).zip(known);
                each.for_each(|((o, (&x, &g)), ((&m, &p), (&q, &r)))| *o = p * g + (q * (x - m) + r));
            }
        }
    }
}

/// Samples whose sums for weight and bias are taken together: enough that their own reading outweighs the sums'.
fn chunk(shape: Groups) -> usize {
    par::GRAIN.max(16 * shape.channels()).div_ceil(shape.sample())
}

/// The gradients: dx = rstd (g w - mean(g w) - x^ mean(g w x^)), and over the batch dw = sum g x^, db = sum g.
pub(super) fn gradient<W: Float>(
    shape: Groups,
    [g, x]: [&[W]; 2],
    stats: &[W],
    weight: &[W],
    dx: &mut [W],
    affine: Option<[&mut [W]; 2]>,
) {
    let (channels, chunk) = (shape.channels(), chunk(shape));
    let (unit, of_unit) = (chunk * shape.sample(), 2 * channels);
    let chunks = shape.samples.div_ceil(chunk);
    let mut partial = Buffer::of(W::DTYPE, chunks * of_unit);
    let sums = partial.as_mut_slice::<W>();
    let pieces = par::pieces(x.len(), par::GRAIN);
    par::split_beside(dx, unit, sums, of_unit, pieces, &|first, dx: &mut [W], sums: &mut [W]| {
        for (i, (dx, sums)) in dx.chunks_mut(unit).zip(sums.chunks_exact_mut(of_unit)).enumerate() {
            let at = (first + i) * unit;
            let (dw, db) = sums.split_at_mut(channels);
            dw.fill(W::ZERO);
            db.fill(W::ZERO);
            let range = at..at + dx.len();
            let stats = &stats[(first + i) * chunk * shape.groups * 2..][..dx.len() / shape.count() * 2];
            let part = Gradient { shape, g: &g[range.clone()], x: &x[range], stats, weight, dx, dw, db };
            if shape.positions == 1 {
                vectorize(GradRows(part));
            } else {
                vectorize(GradSamples(part));
            }
        }
    });
    if let Some([dw, db]) = affine {
        let mut total = Buffer::of(W::DTYPE, of_unit);
        let total = total.as_mut_slice::<W>();
        columns::<W, Sum>(partial.as_slice(), chunks, total);
        dw.copy_from_slice(&total[..channels]);
        db.copy_from_slice(&total[channels..]);
    }
}
