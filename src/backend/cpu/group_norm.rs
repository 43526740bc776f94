//! Normalisation within samples: layer, group and instance norm.
//!
//! A group (or a sample, where channels are fastest) is done while it is in a cache: mean, then the deviations from it and
//! their squares, then the result; so is its gradient. The first mean is a rounded sum, whose error a small deviation
//! would blow up: the deviations' own mean corrects it and the variance (Chan, Golub and LeVeque, 1983, Algorithms for
//! computing the sample variance, section 3). Sums of a sample do not depend on its batch-mates; the gradients of weight and bias
//! are summed over chunks of a number of samples that depends on the sample's shape alone, which are added in order.

use super::float::Float;
use super::lanes::{BLOCK, LANES, SPAN, deviations, fold_lanes, folded, sum_of};
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

/// Mean and 1 / deviation of a group, of its rounded mean and the sums of `x - mean` and `(x - mean)^2`; `scale` is 1 / n.
#[inline(always)]
fn corrected<W: Float>(mean: W, [sum, squares]: [W; 2], scale: W, eps: W) -> [W; 2] {
    let delta = sum * scale;
    let var = squares * scale - delta * delta;
    // NaN is not below 0.
    let var = if var < W::ZERO { W::ZERO } else { var };
    [mean + delta, W::ONE / (var + eps).sqrt()]
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
            let [mean, rstd] = corrected(mean, deviations(x, mean), scale, eps);
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
    /// The same of squares, where they are taken too.
    squares: Vec<W>,
    part_squares: Vec<W>,
}

impl<W: Float> Wide<W> {
    fn new(channels: usize) -> Wide<W> {
        let width = channels * (WIDE / channels).max(1);
        let [sum, part, squares, part_squares] = [0; 4].map(|_| vec![W::ZERO; width]);
        Wide { channels, width, sum, part, squares, part_squares }
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
        fold_positions(&mut self.sum, self.channels);
    }

    /// The sums over positions of `x - centre` and, in `self.squares`, of its square, by channel.
    #[inline(always)]
    fn deviations(&mut self, x: &[W], centre: &[W]) {
        self.sum.fill(W::ZERO);
        self.squares.fill(W::ZERO);
        for x in x.chunks(self.width * CHUNK) {
            self.part.fill(W::ZERO);
            self.part_squares.fill(W::ZERO);
            for x in x.chunks(self.width) {
                let parts = self.part.iter_mut().zip(&mut self.part_squares);
                for ((s, q), (&x, &centre)) in parts.zip(x.iter().zip(centre)) {
                    let d = x - centre;
                    *s += d;
                    *q += d * d;
                }
            }
            self.sum.iter_mut().zip(&self.part).for_each(|(s, &p)| *s += p);
            self.squares.iter_mut().zip(&self.part_squares).for_each(|(s, &p)| *s += p);
        }
        fold_positions(&mut self.sum, self.channels);
        fold_positions(&mut self.squares, self.channels);
    }

    /// Writes `f(channel)` to every place of the channel.
    #[inline(always)]
    fn spread(&self, to: &mut [W], f: impl Fn(usize) -> W) {
        let (own, others) = to.split_at_mut(self.channels);
        own.iter_mut().enumerate().for_each(|(c, t)| *t = f(c));
        others.chunks_exact_mut(self.channels).for_each(|o| o.copy_from_slice(own));
    }
}

/// Adds the positions of a vector to its first.
#[inline(always)]
fn fold_positions<W: Float>(sums: &mut [W], channels: usize) {
    let (sum, others) = sums.split_at_mut(channels);
    for other in others.chunks_exact(channels) {
        sum.iter_mut().zip(other).for_each(|(s, &o)| *s += o);
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
        let total = |members: &[W]| members.iter().fold(W::ZERO, |a, &b| a + b);
        let samples = x.chunks_exact(sample).zip(out.chunks_exact_mut(sample));
        for ((x, out), stats) in samples.zip(stats.chunks_exact_mut(2 * shape.groups)) {
            let stats = stats.as_chunks_mut::<2>().0;
            wide.sums(x, x, &mean, |x, _, _| x);
            for (sums, s) in wide.sum.chunks_exact(members).zip(&mut *stats) {
                s[0] = total(sums) * scale;
            }
            wide.spread(&mut mean, |c| stats[c / members][0]);
            wide.deviations(x, &mean);
            let sums = wide.sum.chunks_exact(members).zip(wide.squares.chunks_exact(members));
            for ((sums, squares), s) in sums.zip(&mut *stats) {
                *s = corrected(s[0], [sums, squares].map(total), scale, eps);
            }
            wide.spread(&mut mean, |c| stats[c / members][0]);
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
    let mut all = (W::ZERO, W::ZERO);
    let spans = g.chunks(SPAN).zip(x.chunks(SPAN)).zip(weight.chunks(SPAN));
    for (((g, x), weight), (dw, db)) in spans.zip(dw.chunks_mut(SPAN).zip(db.chunks_mut(SPAN))) {
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
        all.0 += folded(a, |a, b| a + b);
        all.1 += folded(b, |a, b| a + b);
    }
    all
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
