//! The weight gradient: sums over pixels of input times upstream gradient.
//!
//! ```text
//! dW[tap, c][o] = sum over images and pixels of x[pixel * stride + tap][c] * g[pixel][o]
//! ```
//!
//! Rows of the product are a patch's elements, terms are the pixels, and a run is a row of output pixels. Images go in
//! groups whose number depends on their size alone; a group's sums are added to those of the groups before it.

use super::correlate::{Out, Source, scratch};
use super::geometry::{Axis, Image, blocks, merged};
use super::pack::{panel, unpack};
use crate::backend::cpu::Buffer;
use crate::backend::cpu::gemm::{Kernels, PatchTile, Real, Run, balanced, cut, fork, wanted};
use std::ops::Range;

/// Pixels a group has, if its images allow: the terms of a sum between two visits to dW.
const GROUP_PIXELS: usize = 256;
/// Row tiles from which on a slice of g is worth a copy of its own.
const COPY_TILES: usize = 8;

/// One group of channels' weight gradient.
pub(super) struct WeightGrad<'a, T: 'static> {
    pub kernels: &'static Kernels<T>,
    /// The larger image, x.
    pub source: Source<'a, T>,
    pub axes: [Axis; 2],
    /// The upstream gradient, from the first image on, dense.
    pub g: &'a [T],
    pub g_image: Image,
    /// First channel of g and number of them.
    pub o0: usize,
    pub outputs: usize,
}

/// What all parts share: the offsets of rows in A and of their sums, and the terms.
struct Tables {
    rows: Vec<usize>,
    outs: Vec<usize>,
    /// Images in a group.
    group: usize,
    /// Stride of A from pixel to pixel.
    aks: usize,
}

impl<T: Real> WeightGrad<'_, T> {
    /// Writes `out[o * so + c * sc + tap_at[tap]]`, `out` being dense.
    pub fn run(&self, [sc, so]: [usize; 2], tap_at: &[usize], out: &mut [T]) {
        let (channels, n) = (self.source.channels, self.outputs);
        let tables = self.tables();
        let m = tables.rows.len();
        let mut sums = Buffer::of(T::DTYPE, m * n);
        let target = Out(sums.as_mut_slice::<T>().as_mut_ptr());
        let terms = self.source.count.saturating_mul(self.g_image.pixels());
        let parts = wanted(terms.saturating_mul(m).saturating_mul(n));
        let mr = self.kernels.patch_mr;
        let (tiles, panels) = (m.div_ceil(mr), n.div_ceil(self.kernels.nr()));
        let [down, along] = balanced(parts, [(m, mr), (n, self.kernels.nr())]);
        let padded = self.source.scratch_len(tables.group);
        let slice = tables.group * self.g_image.pixels() * self.kernels.nr();
        let (mut buffer, len) = scratch::<T>(down * along, padded + slice);
        fork(0..down * along, buffer.as_mut_slice(), len, &|part, scratch| {
            let tiles = cut(tiles, down, part / along);
            let rows = tiles.start * mr..(tiles.end * mr).min(m);
            // SAFETY: parts have disjoint rows or panels of the sums, which are m rows of n elements.
            unsafe { self.part(&tables, rows, cut(panels, along, part % along), scratch, target) };
        });
        unpack(self.kernels, sums.as_slice(), n, [channels, n], [sc, so], tap_at, out);
    }

    fn tables(&self) -> Tables {
        let ([y, x], padded) = (&self.axes, &self.source.padded);
        let tap = |ky: usize, kx: usize| ky * y.dilation * padded.row + kx * x.dilation * padded.pixel;
        let taps = (0..y.taps).flat_map(|ky| (0..x.taps).map(move |kx| (ky, kx)));
        let rows: Vec<usize> =
            taps.flat_map(|(ky, kx)| (0..self.source.channels).map(move |c| tap(ky, kx) + c)).collect();
        let pixels = self.g_image.pixels();
        Tables {
            outs: (0..rows.len()).map(|i| i * self.outputs).collect(),
            rows,
            group: (GROUP_PIXELS / pixels).clamp(1, self.source.count),
            // A single pixel's run goes over images.
            aks: if pixels == 1 { padded.image } else { x.stride * padded.pixel },
        }
    }

    /// The terms of a group; a run's place in B is the number of its first pixel.
    fn runs(&self, images: usize, aks: usize) -> Vec<Vec<Run>> {
        let (Image { h, w, .. }, padded) = (self.g_image, &self.source.padded);
        let rows = (0..images).flat_map(|i| (0..h).map(move |y| (i, y)));
        let runs = rows.map(|(i, y)| Run {
            a: i * padded.image + y * self.axes[0].stride * padded.row,
            b: (i * h + y) * w,
            len: w,
        });
        blocks(merged(runs, aks, 1), aks, 1)
    }

    /// Some rows and panels of the sums, on this thread.
    ///
    /// # Safety
    /// `target` has a row of `outputs` elements for each row of the tables; no other thread has these rows of these
    /// panels.
    unsafe fn part(
        &self,
        tables: &Tables,
        rows: Range<usize>,
        panels: Range<usize>,
        scratch: &mut [T],
        target: Out<T>,
    ) {
        let (count, pixels, group) = (self.source.count, self.g_image.pixels(), tables.group);
        let mr = self.kernels.patch_mr;
        let (scratch, slice) = scratch.split_at_mut(self.source.scratch_len(group));
        // Only the insides of images are written from here on.
        scratch.fill(T::ZERO);
        let mut runs = self.runs(group, tables.aks);
        for first in (0..count).step_by(group) {
            let images = first..(first + group).min(count);
            if images.len() < group {
                runs = self.runs(images.len(), tables.aks);
            }
            let a = self.source.group(images.clone(), scratch);
            for p in panels.clone() {
                let (column, cols, width) = panel(self.kernels, self.outputs, p);
                let g = &self.g[images.start * pixels * self.g_image.c..images.end * pixels * self.g_image.c];
                let at = self.o0 + column;
                let (b, ldb) = if cols == width && rows.len() < COPY_TILES * mr {
                    (g[at..].as_ptr(), self.g_image.c)
                } else {
                    let slice = &mut slice[..images.len() * pixels * width];
                    copy_columns(g, self.g_image.c, at, cols, width, slice);
                    (slice.as_ptr(), width)
                };
                for (i, runs) in runs.iter().enumerate() {
                    let runs: Vec<Run> = runs.iter().map(|r| Run { b: r.b * ldb, ..*r }).collect();
                    let (a_rows, c_rows) = (&tables.rows[rows.clone()], &tables.outs[rows.clone()]);
                    for (rows, outs) in a_rows.chunks(mr).zip(c_rows.chunks(mr)) {
                        let tile = PatchTile {
                            runs: &runs,
                            a,
                            rows,
                            aks: tables.aks,
                            b,
                            ldb,
                            // SAFETY: inside the sums, by the caller's promise.
                            c: unsafe { target.get().add(column) },
                            outs,
                            cols,
                            accumulate: first > 0 || i > 0,
                            bias: std::ptr::null(),
                            slope: None,
                        };
                        // SAFETY: each row with each run is inside the padded images, whose border covers all windows;
                        // B has `width` columns for each pixel, C by the caller's promise.
                        unsafe { self.kernels.patches[usize::from(cols > self.kernels.lanes)](&tile) };
                    }
                }
            }
        }
    }
}

/// Columns `at..at + cols` of rows of `ld` elements, to rows of `width` with zeros behind.
fn copy_columns<T: Real>(g: &[T], ld: usize, at: usize, cols: usize, width: usize, dst: &mut [T]) {
    for (dst, row) in dst.chunks_exact_mut(width).zip(g.chunks_exact(ld)) {
        dst[..cols].copy_from_slice(&row[at..at + cols]);
        dst[cols..].fill(T::ZERO);
    }
}
