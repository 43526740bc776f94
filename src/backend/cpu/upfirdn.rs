//! Upsampling, filtering and downsampling of images in channels-last order.
//!
//! An output element is the sum of its taps in the filter's row-major order, whatever the batch and the threads. Taps
//! that fall on inserted zeros or on the border are left out. Sums stay in registers while all taps of a block of
//! neighbouring elements are read: channels, and, where neither side is resampled, whole stretches of a row.

use super::float::Float;
use super::par;
use super::simd::{Kernel, vectorize};
use crate::backend::Upfirdn;
use std::ops::Range;

/// The sizes of one axis, and what is done along it.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    taps: usize,
    up: usize,
    down: usize,
    pad: isize,
}

impl Axis {
    /// For output `i`: which taps of the correlation fall on an input, and on which.
    fn taps(self, i: usize) -> impl Iterator<Item = (usize, usize)> {
        let first = (i * self.down) as isize - self.pad;
        (0..self.taps).filter_map(move |k| {
            let at = usize::try_from(first + k as isize).ok()?;
            (at % self.up == 0 && at / self.up < self.input).then_some((k, at / self.up))
        })
    }
}

/// Neighbouring elements of an output row whose taps move along with them.
struct Run {
    /// The elements in the output row.
    out: Range<usize>,
    /// Which of [`Plan::taps`] belong to the first of them.
    taps: Range<usize>,
}

/// What is the same for all rows.
struct Plan {
    rows: Axis,
    channels: usize,
    runs: Vec<Run>,
    /// Tap along the row, and the element of the input row that it falls on.
    taps: Vec<(usize, usize)>,
    flip: bool,
    filter: [usize; 2],
}

impl Plan {
    fn new(rows: Axis, columns: Axis, channels: usize, width: usize, flip: bool) -> Plan {
        let (mut runs, mut taps): (Vec<Run>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
        for i in 0..width {
            let out = i * channels..(i + 1) * channels;
            let own: Vec<(usize, usize)> = columns.taps(i).map(|(k, x)| (k, x * channels)).collect();
            if let Some(run) = runs.last_mut() {
                let along = run.out.len();
                let first = taps[run.taps.clone()].iter().map(|&(k, x)| (k, x + along));
                if !own.is_empty() && first.eq(own.iter().copied()) {
                    run.out.end = out.end;
                    continue;
                }
            }
            let start = taps.len();
            taps.extend(own);
            runs.push(Run { out, taps: start..taps.len() });
        }
        Plan { rows, channels, runs, taps, flip, filter: [rows.taps, columns.taps] }
    }

    /// Where the tap's factor stands in the filter.
    fn factor(&self, ky: usize, kx: usize) -> usize {
        let [h, w] = self.filter;
        if self.flip { (h - 1 - ky) * w + (w - 1 - kx) } else { ky * w + kx }
    }
}

/// `out [n, oh, ow, c]` from `x [n, h, w, c]`, both dense.
pub(super) fn upfirdn2d<W: Float>(
    p: Upfirdn,
    x: (&[W], [usize; 4]),
    filter: (&[W], [usize; 2]),
    out: (&mut [W], [usize; 2]),
) {
    let (x, [_, h, w, c]) = x;
    let (filter, [kh, kw]) = filter;
    let (out, [oh, ow]) = out;
    if out.is_empty() {
        return;
    }
    let axis = |d: usize, input, taps| Axis { input, taps, up: p.up[d], down: p.down[d], pad: p.pad[d] };
    let plan = Plan::new(axis(0, h, kh), axis(1, w, kw), c, ow, p.flip);
    let taps = kh.div_ceil(p.up[0]) * kw.div_ceil(p.up[1]);
    let pieces = par::pieces(out.len().saturating_mul(taps), par::GRAIN);
    par::split(out, ow * c, pieces, &|first, part: &mut [W]| {
        let mut factors = Vec::with_capacity(taps);
        for (i, out) in part.chunks_exact_mut(ow * c).enumerate() {
            let (image, row) = ((first + i) / oh, (first + i) % oh);
            let x = &x[image * h * w * c..(image + 1) * h * w * c];
            vectorize(Row { plan: &plan, row, width: w, x, filter, factors: &mut factors, out });
        }
    });
}

/// One row of the output.
struct Row<'a, W> {
    plan: &'a Plan,
    row: usize,
    width: usize,
    /// The image.
    x: &'a [W],
    filter: &'a [W],
    /// Of the present run: factor and the input element that the run's first element meets.
    factors: &'a mut Vec<(W, usize)>,
    out: &'a mut [W],
}

impl<W: Float> Kernel for Row<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Row { plan, row, width, x, filter, factors, out } = self;
        for run in &plan.runs {
            factors.clear();
            for (ky, y) in plan.rows.taps(row) {
                let start = y * width * plan.channels;
                let taps = plan.taps[run.taps.clone()].iter();
                factors.extend(taps.map(|&(kx, at)| (filter[plan.factor(ky, kx)], start + at)));
            }
            let out = &mut out[run.out.clone()];
            let wide = blocks::<W, 64>(0, factors, x, out);
            let narrow = blocks::<W, 8>(wide, factors, x, out);
            blocks::<W, 1>(narrow, factors, x, out);
        }
    }
}

/// Sums for as many blocks of `N` elements from `first` as there are; returns where it stopped.
#[inline(always)]
fn blocks<W: Float, const N: usize>(first: usize, factors: &[(W, usize)], x: &[W], out: &mut [W]) -> usize {
    let (whole, _) = out[first..].as_chunks_mut::<N>();
    let mut at = first;
    for block in whole {
        let mut sums = [W::ZERO; N];
        for &(f, start) in factors {
            let x = &x[start + at..start + at + N];
            sums.iter_mut().zip(x).for_each(|(s, &x)| *s += f * x);
        }
        *block = sums;
        at += N;
    }
    at
}
