//! Where the largest element of each window is, in images in channels-last order.

use super::float::Float;
use super::par;
use super::simd::{Kernel, vectorize};
use crate::backend::Window;
use std::ops::Range;

/// `out [n, oh, ow, c]` = the position `y w + x` of the largest element of each window of `x [n, h, w, c]`, both dense.
pub(super) fn argmax<W: Float>(
    window: Window,
    x: &[W],
    [_, h, w, c]: [usize; 4],
    out: &mut [i64],
    [oh, ow]: [usize; 2],
) {
    if out.is_empty() {
        return;
    }
    let work = out.len().saturating_mul(window.kernel[0] * window.kernel[1]);
    par::split(out, ow * c, par::pieces(work, par::GRAIN), &|first, part: &mut [i64]| {
        let mut best = vec![W::ZERO; c];
        for (i, out) in part.chunks_exact_mut(ow * c).enumerate() {
            let (image, row) = ((first + i) / oh, (first + i) % oh);
            let x = &x[image * h * w * c..(image + 1) * h * w * c];
            for (column, out) in out.chunks_exact_mut(c).enumerate() {
                let (ys, xs) = (covered(window, 0, row, h), covered(window, 1, column, w));
                vectorize(Pixel { x, width: w, ys, xs, best: &mut best, out });
            }
        }
    });
}

/// The part of a window along dimension `d` that lies in the image.
fn covered(window: Window, d: usize, i: usize, size: usize) -> Range<usize> {
    let start = i * window.stride[d];
    start.saturating_sub(window.padding[d])..(start + window.kernel[d] - window.padding[d]).min(size)
}

/// All channels of one window.
struct Pixel<'a, W> {
    x: &'a [W],
    width: usize,
    ys: Range<usize>,
    xs: Range<usize>,
    best: &'a mut [W],
    out: &'a mut [i64],
}

impl<W: Float> Kernel for Pixel<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Pixel { x, width, ys, xs, best, out } = self;
        let c = out.len();
        let first = ys.start * width + xs.start;
        best.copy_from_slice(&x[first * c..(first + 1) * c]);
        out.fill(first as i64);
        for y in ys {
            for at in y * width + xs.start..y * width + xs.end {
                let values = x[at * c..(at + 1) * c].iter();
                for ((o, b), &v) in out.iter_mut().zip(best.iter_mut()).zip(values) {
                    // The first of equal ones stays, and so does the first NaN.
                    let larger = v > *b || (v.is_not_a_number() && !b.is_not_a_number());
                    *o = if larger { at as i64 } else { *o };
                    *b = if larger { v } else { *b };
                }
            }
        }
    }
}
