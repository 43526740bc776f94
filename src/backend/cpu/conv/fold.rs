//! The adjoint with its taps as columns: `T[pixel][tap, channel] = A[pixel] W`, whose rows are then added up where they
//! overlap. Exact work where phases would waste it: results of one or three channels, which fill no vector, and inputs
//! so small that most taps of a phase fall into the padding.

use super::Ending;
use super::correlate::{Out, Source, Tiles, scratch, tiles};
use super::geometry::{Image, blocks};
use super::pack::Panels;
use crate::backend::cpu::gemm::{Kernels, Real, Run, cut, fork, wanted};

/// Pixels of a group's product at least.
const GROUP_PIXELS: usize = 64;

/// A product with the taps as columns, and where its rows go.
pub(super) struct Fold<'a, T: 'static> {
    pub kernels: &'static Kernels<T>,
    /// Read without padding.
    pub source: Source<'a, T>,
    /// Columns (tap, channel), taps row-major.
    pub weights: Panels<T>,
    /// Channels of a group of the result.
    pub channels: usize,
    pub taps: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub end: Ending<'a, T>,
    pub out: Out<T>,
    /// The result's images, with the channels of all groups.
    pub out_image: Image,
}

impl<T: Real> Fold<'_, T> {
    /// Computes it on as many threads as it is worth.
    ///
    /// # Safety
    /// `out` has `source.count` images, from this group's first channel on.
    pub unsafe fn run(&self) {
        let (count, n) = (self.source.count, self.weights.n());
        let pixels = self.source.image.pixels();
        let parts = wanted(count * pixels * n * self.weights.depth()).min(count).max(1);
        let group = GROUP_PIXELS.div_ceil(pixels).min(count.div_ceil(parts)).max(1);
        let rows: Vec<usize> = (0..group * pixels).map(|p| p * self.source.image.c).collect();
        let outs: Vec<usize> = (0..group * pixels).map(|p| p * n).collect();
        let blocks = blocks(vec![Run { a: 0, b: 0, len: self.weights.depth() }], 1, 1);
        let panels = n.div_ceil(self.kernels.nr());
        let (height, width) = self.extent();
        let (t_len, sum_len) = (group * pixels * n, height * width * self.channels);
        let (mut buffer, len) = scratch::<T>(parts, t_len + sum_len);
        fork(0..parts, buffer.as_mut_slice(), len, &|part, scratch| {
            let images = cut(count, parts, part);
            let (t, rest) = scratch.split_at_mut(t_len);
            let sum = &mut rest[..sum_len];
            for first in images.clone().step_by(group) {
                let images = first..(first + group).min(images.end);
                let a = self.source.group(images.clone(), &mut []);
                let m = images.len() * pixels;
                let c = t.as_mut_ptr();
                let at = Tiles { a, rows: &rows[..m], outs: &outs[..m], c };
                // SAFETY: a row is a pixel of the source, C is t with n columns to each; both are this thread's.
                unsafe { tiles(self.kernels, &at, &blocks, &self.weights, 0..panels, Ending::default()) };
                for (image, t) in images.zip(t.chunks_exact(pixels * n)) {
                    sum.fill(T::ZERO);
                    self.add_up(t, width, sum);
                    // SAFETY: the caller's promise; images of parts are disjoint.
                    unsafe { self.write(sum, width, self.out.get().add(image * self.out_image.len())) };
                }
            }
        });
    }

    /// Rows and columns that taps reach, or that the result has, counted from the padding's start.
    fn extent(&self) -> (usize, usize) {
        let size = [self.source.image.h, self.source.image.w];
        let out = [self.out_image.h, self.out_image.w];
        let of = |d: usize| {
            let reach = (size[d] - 1) * self.stride[d] + (self.taps[d] - 1) * self.dilation[d] + 1;
            reach.max(out[d] + self.padding[d])
        };
        (of(0), of(1))
    }

    /// sum[iy * sh + ky * dh][ix * sw + kx * dw] += t[iy, ix][ky, kx], channels together.
    fn add_up(&self, t: &[T], width: usize, sum: &mut [T]) {
        let (c, [kh, kw]) = (self.channels, self.taps);
        // Neighbouring taps are neighbours in the result too, unless the kernel is dilated.
        let (pieces, len) = if self.dilation[1] == 1 { (1, kw * c) } else { (kw, c) };
        let add = runs::<T>(len);
        // Pixels that are `turns` apart touch different sums: one need not wait for what the other has just written.
        let turns = ((kw - 1) * self.dilation[1] + 1).div_ceil(self.stride[1].max(1));
        let (pixel, step) = (kh * kw * c, self.stride[1] * c);
        for (iy, t) in t.chunks_exact(self.source.image.w * pixel).enumerate() {
            for ky in 0..kh {
                let row = &mut sum[(iy * self.stride[0] + ky * self.dilation[0]) * width * c..][..width * c];
                for piece in 0..pieces {
                    let (from, to) = ((ky * kw + piece * kw / pieces) * c, piece * self.dilation[1] * c);
                    for turn in 0..turns.min(self.source.image.w) {
                        let t = Strided { all: &t[turn * pixel + from..], apart: turns * pixel };
                        add(t, &mut row[turn * step + to..], turns * step, len);
                    }
                }
            }
        }
    }

    /// The sums inside of the padding, with the bias and perhaps rectified, as channels of an image.
    ///
    /// # Safety
    /// `out` is the group's first channel of an image of the result, which no other thread writes.
    unsafe fn write(&self, sum: &[T], width: usize, out: *mut T) {
        let c = self.channels;
        for y in 0..self.out_image.h {
            let row = &sum[((y + self.padding[0]) * width + self.padding[1]) * c..][..self.out_image.w * c];
            if c == self.out_image.c && self.end.is_none() {
                // SAFETY: row y of the image.
                let to = unsafe { std::slice::from_raw_parts_mut(out.add(y * row.len()), row.len()) };
                to.copy_from_slice(row);
                continue;
            }
            for (x, pixel) in row.chunks_exact(c).enumerate() {
                for (j, &s) in pixel.iter().enumerate() {
                    let s = self.end.bias.map_or(s, |b| s + b[j]);
                    let s = self.end.slope.map_or(s, |slope| s.rectified(slope));
                    // SAFETY: pixel (y, x) of the image has the group's c channels.
                    unsafe { *out.add((y * self.out_image.w + x) * self.out_image.c + j) = s };
                }
            }
        }
    }
}

/// Runs of a slice that begin `apart` elements from each other.
struct Strided<'a, T> {
    all: &'a [T],
    apart: usize,
}

/// Adds runs of `len` elements to such that begin `apart` from each other.
type AddRuns<T> = fn(runs: Strided<T>, to: &mut [T], apart: usize, len: usize);

/// For runs of a length: short ones are known to the compiler, which makes vectors of them.
fn runs<T: Real>(len: usize) -> AddRuns<T> {
    fn add<T: Real, const N: usize>(runs: Strided<T>, to: &mut [T], apart: usize, len: usize) {
        let n = if N > 0 { N } else { len };
        for (run, to) in runs.all.chunks(runs.apart).zip(to.chunks_mut(apart)) {
            let (Some(run), Some(to)) = (run.get(..n), to.get_mut(..n)) else { return };
            to.iter_mut().zip(run).for_each(|(s, &t)| *s = *s + t);
        }
    }
    macro_rules! lengths {
        ($($n:literal)*) => {
            match len {
                $($n => add::<T, $n>,)*
                _ => add::<T, 0>,
            }
        };
    }
    lengths!(1 2 3 4 5 6 7 8 9 10 12 15 16 18 20 21 24)
}
