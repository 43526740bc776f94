//! Softmax along a dimension, its logarithm, and the gradients of both.
//!
//! Lines that lie side by side are done one after the other, each while it is in a cache: largest, exponentials and their
//! sum, result. Where lines lie next to each other (the dimension is not the fastest), a first pass over memory finds
//! each line's largest and sum, for 64 neighbouring lines at a time, and a second writes the result. A line's sums go over
//! its own elements in an order that depends on its length alone.

use super::float::Float;
use super::lanes::{
    BLOCK, LANES, exponentials, fold_lanes, folded, larger, largest, short_exponentials, sum_of,
};
use super::par;
use super::pool::Buffer;
use super::simd::{Kernel, vectorize};
use super::vmath::Math;
use crate::backend::lines::Lines;

/// Neighbouring lines that are done together where the dimension is not the fastest.
const WIDTH: usize = 64;
/// Entries of a column that are summed before they are added to the rest.
const CHUNK: usize = 256;
/// Elements that are worth a thread: an exponential costs as much as several cheap functions.
const GRAIN: usize = par::GRAIN / 4;

/// Rows one after the other.
struct Rows<'a, W> {
    log: bool,
    length: usize,
    x: &'a [W],
    out: &'a mut [W],
}
impl<W: Float> Kernel for Rows<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rows { log, length, x, out } = self;
        for (x, out) in x.chunks_exact(length).zip(out.chunks_exact_mut(length)) {
            if log {
                let (top, sum) = exponentials::<W, FMA>(x);
                let ln = Math::log::<FMA>(sum);
                out.iter_mut().zip(x).for_each(|(o, &x)| *o = (x - top) - ln);
            } else if length <= LANES {
                let mut padded = [W::ZERO; LANES];
                let (_, sum) = short_exponentials::<W, FMA>(x, &mut padded);
                let scale = W::ONE / sum;
                out.iter_mut().zip(&padded).for_each(|(o, &e)| *o = e * scale);
            } else {
                let (top, mut acc) = (largest(x), [W::ZERO; LANES]);
                for (x, e) in x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
                    e.iter_mut().zip(x).for_each(|(e, &x)| *e = Math::exp::<FMA>(x - top));
                    fold_lanes(&mut acc, e, |a, b| a + b);
                }
                let scale = W::ONE / folded(acc, |a, b| a + b);
                out.iter_mut().for_each(|o| *o = *o * scale);
            }
        }
    }
}

/// Rows of the gradient.
struct GradRows<'a, W> {
    log: bool,
    length: usize,
    g: &'a [W],
    y: &'a [W],
    out: &'a mut [W],
}
impl<W: Float> Kernel for GradRows<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let GradRows { log, length, g, y, out } = self;
        let rows = g.chunks_exact(length).zip(y.chunks_exact(length));
        for ((g, y), out) in rows.zip(out.chunks_exact_mut(length)) {
            let pairs = out.iter_mut().zip(g.iter().zip(y));
            if log {
                let sum = sum_of(g, y, |g, _| g);
                pairs.for_each(|(o, (&g, &y))| *o = g - Math::exp::<FMA>(y) * sum);
            } else {
                let sum = sum_of(g, y, |g, y| g * y);
                pairs.for_each(|(o, (&g, &y))| *o = y * (g - sum));
            }
        }
    }
}

/// Lines that are neighbours in memory, cut into strips of at most [`WIDTH`]. What is known of each strip stands in a table
/// of `strips * numbers * width` numbers.
#[derive(Clone, Copy)]
pub(super) struct Strips {
    lines: Lines,
    width: usize,
    /// Strips of one outer index.
    across: usize,
}

impl Strips {
    pub fn of(lines: Lines) -> Strips {
        let width = lines.inner.min(WIDTH);
        Strips { lines, width, across: lines.inner.div_ceil(width) }
    }

    /// A table with `numbers` of each line, written strip by strip.
    pub fn table<W: Float>(self, numbers: usize, f: impl Fn(usize, &mut [W]) + Sync) -> Buffer {
        let unit = numbers * self.width;
        let mut table = Buffer::of(W::DTYPE, self.lines.outer * self.across * unit);
        let pieces = par::pieces(self.lines.count() * self.lines.length, GRAIN);
        par::split(table.as_mut_slice::<W>(), unit, pieces, &|first, part: &mut [W]| {
            part.chunks_exact_mut(unit).enumerate().for_each(|(i, part)| f(first + i, part));
        });
        table
    }

    /// The two numbers of one line.
    pub fn of_line<W: Float>(self, table: &[W], line: usize) -> [W; 2] {
        let (outer, inner) = (line / self.lines.inner, line % self.lines.inner);
        let strip = outer * self.across + inner / self.width;
        let at = 2 * strip * self.width + inner % self.width;
        [table[at], table[at + self.width]]
    }

    /// How many lines a strip has, and its part of each entry of x along the dimension.
    #[inline(always)]
    pub fn rows<W>(self, strip: usize, x: &[W]) -> (usize, impl Iterator<Item = &[W]>) {
        let (outer, across) = (strip / self.across, strip % self.across);
        let first = across * self.width;
        let width = self.width.min(self.lines.inner - first);
        let x = &x[outer * self.lines.length * self.lines.inner..][..self.lines.length * self.lines.inner];
        (width, x.chunks_exact(self.lines.inner).map(move |row| &row[first..][..width]))
    }

    /// Calls `f(strip's numbers, range of elements)` for the elements `first * inner ..` that are `count` entries.
    #[inline(always)]
    fn each<W>(
        self,
        first: usize,
        count: usize,
        table: &[W],
        mut f: impl FnMut(&[W], std::ops::Range<usize>),
    ) {
        let (inner, unit) = (self.lines.inner, table.len() / (self.lines.outer * self.across));
        for row in 0..count {
            let outer = (first + row) / self.lines.length;
            for across in 0..self.across {
                let at = row * inner + across * self.width;
                let end = (at + self.width).min((row + 1) * inner);
                f(&table[(outer * self.across + across) * unit..][..unit], at..end);
            }
        }
    }
}

/// Largest and sum of e^(x - largest) of a strip's lines.
pub(super) struct StripExponentials<'a, W> {
    pub strips: Strips,
    pub strip: usize,
    pub x: &'a [W],
    pub top: &'a mut [W],
    pub sum: &'a mut [W],
}
impl<W: Float> Kernel for StripExponentials<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let StripExponentials { strips, strip, x, top, sum } = self;
        top.fill(W::NEG_INFINITY);
        let (width, rows) = strips.rows(strip, x);
        rows.for_each(|row| top.iter_mut().zip(row).for_each(|(t, &x)| *t = larger(*t, x)));
        sum.fill(W::ZERO);
        let (_, rows) = strips.rows(strip, x);
        let mut part = [W::ZERO; WIDTH];
        let top = &top[..width];
        for (r, row) in rows.enumerate() {
            if r % CHUNK == 0 {
                sum.iter_mut().zip(&part).for_each(|(s, &p)| *s += p);
                part = [W::ZERO; WIDTH];
            }
            for (p, (&x, &t)) in part[..width].iter_mut().zip(row.iter().zip(top)) {
                *p += Math::exp::<FMA>(x - t);
            }
        }
        sum.iter_mut().zip(&part).for_each(|(s, &p)| *s += p);
    }
}

/// The second pass of lines that are neighbours in memory.
struct StripValues<'a, W> {
    log: bool,
    strips: Strips,
    first: usize,
    table: &'a [W],
    x: &'a [W],
    out: &'a mut [W],
}
impl<W: Float> Kernel for StripValues<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let StripValues { log, strips, first, table, x, out } = self;
        strips.each(first, out.len() / strips.lines.inner, table, |numbers, range| {
            let (top, sum) = numbers.split_at(strips.width);
            let triples = out[range.clone()].iter_mut().zip(&x[range]).zip(top.iter().zip(sum));
            if log {
                triples.for_each(|((o, &x), (&top, &ln))| *o = (x - top) - ln);
            } else {
                triples.for_each(|((o, &x), (&top, &scale))| *o = Math::exp::<FMA>(x - top) * scale);
            }
        });
    }
}

/// The sum over each of a strip's lines that their gradient needs.
struct StripGradSums<'a, W> {
    log: bool,
    strips: Strips,
    strip: usize,
    g: &'a [W],
    y: &'a [W],
    sum: &'a mut [W],
}
impl<W: Float> Kernel for StripGradSums<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let StripGradSums { log, strips, strip, g, y, sum } = self;
        sum.fill(W::ZERO);
        let ((width, g), (_, y)) = (strips.rows(strip, g), strips.rows(strip, y));
        let mut part = [W::ZERO; WIDTH];
        for (r, (g, y)) in g.zip(y).enumerate() {
            if r % CHUNK == 0 {
                sum.iter_mut().zip(&part).for_each(|(s, &p)| *s += p);
                part = [W::ZERO; WIDTH];
            }
            let terms = part[..width].iter_mut().zip(g.iter().zip(y));
            if log {
                terms.for_each(|(p, (&g, _))| *p += g);
            } else {
                terms.for_each(|(p, (&g, &y))| *p += g * y);
            }
        }
        sum.iter_mut().zip(&part).for_each(|(s, &p)| *s += p);
    }
}

struct StripGrads<'a, W> {
    log: bool,
    strips: Strips,
    first: usize,
    table: &'a [W],
    g: &'a [W],
    y: &'a [W],
    out: &'a mut [W],
}
impl<W: Float> Kernel for StripGrads<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let StripGrads { log, strips, first, table, g, y, out } = self;
        strips.each(first, out.len() / strips.lines.inner, table, |sums, range| {
            let pairs = g[range.clone()].iter().zip(&y[range.clone()]).zip(sums);
            let each = out[range].iter_mut().zip(pairs);
            if log {
                each.for_each(|(o, ((&g, &y), &sum))| *o = g - Math::exp::<FMA>(y) * sum);
            } else {
                each.for_each(|(o, ((&g, &y), &sum))| *o = y * (g - sum));
            }
        });
    }
}

/// What the second pass takes off and multiplies by (softmax) or takes off (its logarithm).
struct Finish<'a, W> {
    log: bool,
    sum: &'a mut [W],
}
impl<W: Float> Kernel for Finish<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        if self.log {
            self.sum.iter_mut().for_each(|s| *s = Math::log::<FMA>(*s));
        } else {
            self.sum.iter_mut().for_each(|s| *s = W::ONE / *s);
        }
    }
}

/// out = softmax(x) along the lines, or its logarithm.
pub(super) fn softmax<W: Float>(log: bool, lines: Lines, x: &[W], out: &mut [W]) {
    let (length, pieces) = (lines.length, par::pieces(x.len(), GRAIN));
    if lines.inner == 1 {
        return par::split(out, length, pieces, &|first, out: &mut [W]| {
            vectorize(Rows { log, length, x: &x[first * length..][..out.len()], out });
        });
    }
    let strips = Strips::of(lines);
    let table = strips.table::<W>(2, |strip, numbers| {
        let (top, sum) = numbers.split_at_mut(strips.width);
        vectorize(StripExponentials { strips, strip, x, top, sum: &mut *sum });
        vectorize(Finish { log, sum });
    });
    par::split(out, lines.inner, pieces, &|first, out: &mut [W]| {
        let x = &x[first * lines.inner..][..out.len()];
        vectorize(StripValues { log, strips, first, table: table.as_slice(), x, out });
    });
}

/// out = the gradient of [`softmax`] for its result y and the upstream gradient g.
pub(super) fn gradient<W: Float>(log: bool, lines: Lines, g: &[W], y: &[W], out: &mut [W]) {
    let (length, pieces) = (lines.length, par::pieces(y.len(), GRAIN));
    if lines.inner == 1 {
        return par::split(out, length, pieces, &|first, out: &mut [W]| {
            let range = first * length..first * length + out.len();
            vectorize(GradRows { log, length, g: &g[range.clone()], y: &y[range], out });
        });
    }
    let strips = Strips::of(lines);
    let table = strips.table::<W>(1, |strip, sum| vectorize(StripGradSums { log, strips, strip, g, y, sum }));
    par::split(out, lines.inner, pieces, &|first, out: &mut [W]| {
        let range = first * lines.inner..first * lines.inner + out.len();
        let (g, y, table) = (&g[range.clone()], &y[range], table.as_slice());
        vectorize(StripGrads { log, strips, first, table, g, y, out });
    });
}
