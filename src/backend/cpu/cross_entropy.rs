//! Cross-entropy of logits for true classes, and its gradient.
//!
//! One pass over the logits finds each line's largest and the sum of e^(x - largest), which are kept; the loss is made of
//! them and of one logit a line, the gradient of them in one pass.

use super::float::Float;
use super::lanes::exponentials;
use super::par;
use super::simd::{Kernel, vectorize};
use super::softmax::{StripExponentials, Strips};
use super::vmath::Math;
use crate::backend::lines::Lines;

/// Elements that are worth a thread.
const GRAIN: usize = par::GRAIN / 4;

/// `[largest, sum]` of rows one after the other.
struct RowStats<'a, W> {
    length: usize,
    x: &'a [W],
    stats: &'a mut [W],
}
impl<W: Float> Kernel for RowStats<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (x, s) in self.x.chunks_exact(self.length).zip(self.stats.as_chunks_mut::<2>().0) {
            (s[0], s[1]) = exponentials::<W, FMA>(x);
        }
    }
}

/// ln sum - (x[class] - largest) for each line of a part.
struct Losses<'a, W> {
    lines: Lines,
    first: usize,
    x: &'a [W],
    class: &'a [i64],
    stats: &'a [W],
    loss: &'a mut [W],
}
impl<W: Float> Kernel for Losses<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Losses { lines, first, x, class, stats, loss } = self;
        let known = stats.as_chunks::<2>().0.iter().zip(class).skip(first);
        for (i, (loss, (&[top, sum], &class))) in loss.iter_mut().zip(known).enumerate() {
            let (outer, inner) = ((first + i) / lines.inner, (first + i) % lines.inner);
            let at = x[(outer * lines.length + class as usize) * lines.inner + inner];
            *loss = Math::log::<FMA>(sum) - (at - top);
        }
    }
}

/// The loss of each line and, in pairs, its largest logit and the sum of e^(x - largest). Classes were checked.
pub(super) fn forward<W: Float>(lines: Lines, x: &[W], class: &[i64], loss: &mut [W], stats: &mut [W]) {
    let (length, pieces) = (lines.length, par::pieces(x.len(), GRAIN));
    if lines.inner == 1 {
        par::split(stats, 2, pieces, &|first, stats: &mut [W]| {
            vectorize(RowStats { length, x: &x[first * length..][..stats.len() / 2 * length], stats });
        });
    } else {
        let strips = Strips::of(lines);
        let table = strips.table::<W>(2, |strip, numbers| {
            let (top, sum) = numbers.split_at_mut(numbers.len() / 2);
            vectorize(StripExponentials { strips, strip, x, top, sum });
        });
        for (line, s) in stats.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *s = strips.of_line(table.as_slice(), line);
        }
    }
    let stats = &*stats;
    par::split(loss, 1, par::pieces(lines.count(), par::GRAIN), &|first, loss: &mut [W]| {
        vectorize(Losses { lines, first, x, class, stats, loss });
    });
}

/// What the gradient of single elements is made of, by line.
#[derive(Clone, Copy)]
pub(super) struct Known<'a, W> {
    /// One for each line, or one for all.
    pub g: &'a [W],
    pub class: &'a [i64],
    /// In pairs.
    pub stats: &'a [W],
}

impl<W: Float> Known<'_, W> {
    /// (largest, 1 / sum, class, g) of the lines from `first` on.
    #[inline(always)]
    fn from(&self, first: usize) -> impl Iterator<Item = (W, W, i64, W)> {
        let (one, each) = if self.g.len() == 1 { (self.g[0], &[][..]) } else { (W::ZERO, &self.g[first..]) };
        let stats = self.stats.as_chunks::<2>().0[first..].iter().zip(&self.class[first..]);
        stats.enumerate().map(move |(i, (&[top, sum], &class))| {
            (top, W::ONE / sum, class, if each.is_empty() { one } else { each[i] })
        })
    }
}

/// The gradient of the entries `first ..`: rows, or what columns have in one place along the dimension.
struct Gradient<'a, W> {
    lines: Lines,
    first: usize,
    known: Known<'a, W>,
    x: &'a [W],
    out: &'a mut [W],
}
impl<W: Float> Kernel for Gradient<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Gradient { lines, first, known, x, out } = self;
        let Lines { length, inner, .. } = lines;
        if inner == 1 {
            let rows = x.chunks_exact(length).zip(out.chunks_exact_mut(length));
            for ((x, out), (top, scale, class, g)) in rows.zip(known.from(first)) {
                out.iter_mut().zip(x).for_each(|(o, &x)| *o = Math::exp::<FMA>(x - top) * scale * g);
                let class = class as usize;
                out[class] = (Math::exp::<FMA>(x[class] - top) * scale - W::ONE) * g;
            }
            return;
        }
        for (i, (x, out)) in x.chunks_exact(inner).zip(out.chunks_exact_mut(inner)).enumerate() {
            let (outer, entry) = ((first + i) / length, ((first + i) % length) as i64);
            for ((o, &x), (top, scale, class, g)) in out.iter_mut().zip(x).zip(known.from(outer * inner)) {
                let p = Math::exp::<FMA>(x - top) * scale;
                *o = (if class == entry { p - W::ONE } else { p }) * g;
            }
        }
    }
}

/// out = (softmax(x) - [class]) g.
pub(super) fn gradient<W: Float>(lines: Lines, x: &[W], known: Known<W>, out: &mut [W]) {
    let unit = if lines.inner == 1 { lines.length } else { lines.inner };
    par::split(out, unit, par::pieces(x.len(), GRAIN), &|first, out: &mut [W]| {
        vectorize(Gradient { lines, first, known, x: &x[first * unit..][..out.len()], out });
    });
}
