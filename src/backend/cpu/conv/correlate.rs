//! Products of patches with weights: the forward pass, and the phases of the input gradient.
//!
//! ```text
//! images, cut among threads
//!   group of images               padded copy stays in L2
//!     phase                       one, or stride x stride for the adjoint
//!       panel of nr channels
//!         block of KC terms       panel's slice stays in L2
//!           tile of mr pixels     microkernel
//! ```

use super::Ending;
use super::geometry::{Image, Padded, Phase};
use super::pack::{Panels, pad_image, panel};
use crate::backend::cpu::Buffer;
use crate::backend::cpu::gemm::{Kernels, PatchTile, Real, Run, cut, fork, wanted};
use std::ops::Range;

/// Bytes of padded images a group has at most, unless a single image is larger or it would be too few pixels.
const GROUP_BYTES: usize = 256 << 10;
/// Pixels a group has at least: a panel of weights is read once for each.
const GROUP_PIXELS: usize = 128;

/// Where results go. Threads write disjoint parts.
#[derive(Clone, Copy)]
pub(super) struct Out<T>(pub *mut T);
// SAFETY: parts of one result write distinct elements, and nothing else accesses it meanwhile.
unsafe impl<T: Send> Send for Out<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Out<T> {}

impl<T> Out<T> {
    /// The pointer, taken from the whole so that closures capture what is `Sync`.
    pub fn get(self) -> *mut T {
        self.0
    }
}

/// What is read: images of which one group's channels take part.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, T> {
    /// From the first image on, dense.
    pub data: &'a [T],
    pub count: usize,
    pub image: Image,
    /// First channel and number of them.
    pub c0: usize,
    pub channels: usize,
    pub padded: Padded,
}

impl<'a, T: Real> Source<'a, T> {
    /// Elements of scratch for a group of images.
    pub fn scratch_len(&self, images: usize) -> usize {
        if self.padded.copied { images * self.padded.image } else { 0 }
    }

    /// The images of a range where a kernel reads them: copied into `scratch`, whose borders are 0, or as they are.
    pub fn group(&self, images: Range<usize>, scratch: &mut [T]) -> *const T {
        let len = self.image.len();
        if !self.padded.copied {
            return self.data[images.start * len + self.c0..].as_ptr();
        }
        let of_group = self.data[images.start * len..images.end * len].chunks_exact(len);
        for (x, dst) in of_group.zip(scratch.chunks_exact_mut(self.padded.image)) {
            pad_image(x, self.image, self.c0, self.channels, &self.padded, dst);
        }
        scratch.as_ptr()
    }
}

/// Scratch of so many elements for each of `parts`, requested at once: which parts run at the same time must not decide
/// how much memory there is. Returns the length of a part's piece, which starts on a cache line.
pub(super) fn scratch<T: Real>(parts: usize, len: usize) -> (Buffer, usize) {
    let len = len.next_multiple_of(64 / size_of::<T>());
    (Buffer::of(T::DTYPE, parts * len), len)
}

/// Images of a group, for so many pixels and padded elements an image.
fn group_size<T>(pixels: usize, padded: usize) -> usize {
    (GROUP_BYTES / size_of::<T>() / padded.max(1)).max(GROUP_PIXELS.div_ceil(pixels.max(1))).max(1)
}

/// A whole result: every output pixel of every image, for all columns of the weights.
pub(super) struct Correlation<'a, T: 'static> {
    pub kernels: &'static Kernels<T>,
    pub source: Source<'a, T>,
    pub phases: &'a [Phase],
    pub weights: &'a Panels<T>,
    pub end: Ending<'a, T>,
    /// Of the group's first channel of the first image.
    pub out: Out<T>,
    /// Elements between images of the result.
    pub out_image: usize,
}

/// Where one group's tiles are and go: offsets of all its pixels.
pub(super) struct Tiles<'a, T> {
    pub a: *const T,
    pub rows: &'a [usize],
    pub outs: &'a [usize],
    pub c: *mut T,
}

impl<T: Real> Correlation<'_, T> {
    /// Computes it on as many threads as it is worth.
    ///
    /// # Safety
    /// All elements that phases name are inside the source's padded image and inside the result.
    pub unsafe fn run(&self) {
        let (count, n) = (self.source.count, self.weights.n());
        let pixels: usize = self.phases.iter().map(|p| p.rows.len()).sum();
        let terms: usize = self.phases.iter().map(|p| p.rows.len() * terms(&p.blocks)).sum();
        let parts = wanted(count.saturating_mul(terms).saturating_mul(n));
        let panels = n.div_ceil(self.kernels.nr());
        let across = parts.min(count);
        let along = (parts / across.max(1)).clamp(1, panels.max(1));
        let group = group_size::<T>(pixels, self.source.scratch_len(1)).min(count.div_ceil(across.max(1)));
        let tables: Vec<_> =
            self.phases.iter().map(|p| p.repeated(group, self.source.padded.image, self.out_image)).collect();
        let (mut buffer, len) = scratch::<T>(across * along, self.source.scratch_len(group));
        fork(0..across * along, buffer.as_mut_slice(), len, &|part, scratch| {
            let images = cut(count, across, part / along);
            let panels = cut(panels, along, part % along);
            // Only the insides of images are written from here on.
            scratch.fill(T::ZERO);
            for first in images.clone().step_by(group) {
                let images = first..(first + group).min(images.end);
                let a = self.source.group(images.clone(), scratch);
                for (phase, (rows, outs)) in self.phases.iter().zip(&tables) {
                    let m = images.len() * phase.rows.len();
                    // SAFETY: the first element of image `first`, by the caller's promise.
                    let c = unsafe { self.out.get().add(first * self.out_image) };
                    let at = Tiles { a, rows: &rows[..m], outs: &outs[..m], c };
                    // SAFETY: the caller's promise; images and panels of parts are disjoint.
                    unsafe {
                        tiles(self.kernels, &at, &phase.blocks, self.weights, panels.clone(), self.end)
                    };
                }
            }
        });
    }
}

/// Terms of a sum.
fn terms(blocks: &[Vec<Run>]) -> usize {
    blocks.iter().flatten().map(|r| r.len).sum()
}

/// All tiles of some panels, on this thread.
///
/// # Safety
/// Every row's runs are inside A, every row of C has a place for the panels' columns, and no other thread has these.
pub(super) unsafe fn tiles<T: Real>(
    kernels: &Kernels<T>,
    at: &Tiles<T>,
    blocks: &[Vec<Run>],
    weights: &Panels<T>,
    panels: Range<usize>,
    end: Ending<T>,
) {
    for p in panels {
        let (first, cols, width) = panel(kernels, weights.n(), p);
        let b = weights.get(kernels, p).as_ptr();
        let kernel = kernels.patches[usize::from(cols > kernels.lanes)];
        for (i, runs) in blocks.iter().enumerate() {
            let end = if i + 1 == blocks.len() { end } else { Ending::default() };
            let bias = end.bias.map_or(std::ptr::null(), |bias| bias[first..first + cols].as_ptr());
            // Offsets into B are in rows of the panel.
            let runs: Vec<Run> = runs.iter().map(|r| Run { b: r.b * width, ..*r }).collect();
            for (rows, outs) in at.rows.chunks(kernels.patch_mr).zip(at.outs.chunks(kernels.patch_mr)) {
                let tile = PatchTile {
                    runs: &runs,
                    a: at.a,
                    rows,
                    aks: 1,
                    b,
                    ldb: width,
                    // SAFETY: inside C, by the caller's promise.
                    c: unsafe { at.c.add(first) },
                    outs,
                    cols,
                    accumulate: i > 0,
                    bias,
                    slope: end.slope,
                };
                // SAFETY: the caller's promise, and a panel has `width` columns in each of the runs' rows.
                unsafe { kernel(&tile) };
            }
        }
    }
}
