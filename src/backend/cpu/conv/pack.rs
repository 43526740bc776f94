//! Weights in panels of one tile's width, padded images, and weight gradients back in PyTorch's order.

use super::geometry::{Image, Padded};
use crate::backend::cpu::gemm::{Kernels, Real};
use crate::backend::cpu::{Buffer, par};

/// Elements below which packing is not worth another thread.
const GRAIN: usize = 1 << 16;

/// One group's weights as products read them: `B[tap][k][n]` is `data[k * sk + n * sn + tap]`.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, T> {
    /// From the group's first element on.
    pub data: &'a [T],
    /// Terms per tap: the channels of A.
    pub k: usize,
    /// Columns: the channels of C.
    pub n: usize,
    pub sk: usize,
    pub sn: usize,
    /// Taps, which are contiguous.
    pub taps: usize,
}

/// The columns of panel p of a matrix of n columns: first column, number, and width of the panel in memory.
pub(super) fn panel<A>(kernels: &Kernels<A>, n: usize, p: usize) -> (usize, usize, usize) {
    let first = p * kernels.nr();
    let cols = (n - first).min(kernels.nr());
    (first, cols, cols.next_multiple_of(kernels.lanes))
}

/// Panels over n columns, each of `depth` rows.
pub(super) struct Panels<T> {
    buffer: Buffer,
    depth: usize,
    n: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: Real> Panels<T> {
    fn new(kernels: &Kernels<T>, depth: usize, n: usize) -> Panels<T> {
        let len = depth * n.next_multiple_of(kernels.lanes);
        Panels { buffer: Buffer::of(T::DTYPE, len), depth, n, element: std::marker::PhantomData }
    }

    /// Columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Rows of each panel.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Panel p's elements: `depth` rows of the panel's width.
    pub fn get(&self, kernels: &Kernels<T>, p: usize) -> &[T] {
        let (first, _, width) = panel(kernels, self.n, p);
        &self.buffer.as_slice()[first * self.depth..][..self.depth * width]
    }

    /// Fills panel after panel by `f(first column, columns, width, panel)`.
    #[allow(clippy::type_complexity)] // what it says above
    fn fill(&mut self, kernels: &Kernels<T>, f: &(dyn Fn(usize, usize, usize, &mut [T]) + Sync)) {
        let (depth, n, nr) = (self.depth, self.n, kernels.nr());
        let all = self.buffer.as_mut_slice::<T>();
        let pieces = par::pieces(all.len(), GRAIN);
        par::split(all, depth * nr, pieces, &|first, mut rest| {
            let mut p = first;
            while !rest.is_empty() {
                let (first, cols, width) = panel(kernels, n, p);
                let (panel, tail) = rest.split_at_mut(depth * width);
                f(first, cols, width, panel);
                (rest, p) = (tail, p + 1);
            }
        });
    }

    /// Row `slots[tap] * k + i` of the panels is `B[tap][i]`.
    pub fn of_taps(kernels: &Kernels<T>, w: Weights<T>, slots: &[usize]) -> Panels<T> {
        let mut panels = Panels::new(kernels, w.taps * w.k, w.n);
        panels.fill(kernels, &|first, cols, width, panel| {
            let lanes = kernels.lanes;
            let mut block = vec![T::ZERO; w.taps * lanes];
            for v in (0..width).step_by(lanes) {
                let rows = cols.saturating_sub(v).min(lanes);
                for i in 0..w.k {
                    let src = &w.data[i * w.sk + (first + v) * w.sn..];
                    assert!(rows > 0 && src.len() >= (rows - 1) * w.sn + w.taps);
                    // SAFETY: `rows` runs of `taps` elements are in bounds, as just checked, and so are `taps` rows of
                    // `lanes` elements in block. A table of kernels is handed out for tiers the machine has.
                    unsafe {
                        (kernels.transpose)(src.as_ptr(), w.sn, rows, w.taps, block.as_mut_ptr(), lanes)
                    };
                    for (row, &slot) in block.chunks_exact(lanes).zip(slots) {
                        panel[(slot * w.k + i) * width + v..][..lanes].copy_from_slice(row);
                    }
                }
            }
        });
        panels
    }

    /// The taps beside each other as columns: row i, column `slots[tap] * n + j` is `B[tap][i][j]`.
    pub fn of_columns(kernels: &Kernels<T>, w: Weights<T>, slots: &[usize]) -> Panels<T> {
        let mut tap_of = vec![0; w.taps];
        slots.iter().enumerate().for_each(|(tap, &slot)| tap_of[slot] = tap);
        let mut panels = Panels::new(kernels, w.k, w.taps * w.n);
        panels.fill(kernels, &|first, cols, width, panel| {
            for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                let (mut slot, mut j) = (first / w.n, first % w.n);
                for x in &mut row[..cols] {
                    *x = w.data[i * w.sk + j * w.sn + tap_of[slot]];
                    j += 1;
                    if j == w.n {
                        (slot, j) = (slot + 1, 0);
                    }
                }
                row[cols..].fill(T::ZERO);
            }
        });
        panels
    }
}

/// Copies the channels `c0..c0 + channels` of an image into the middle of a padded one, whose border it leaves alone.
pub(super) fn pad_image<T: Copy>(
    x: &[T],
    image: Image,
    c0: usize,
    channels: usize,
    padded: &Padded,
    dst: &mut [T],
) {
    for (y, row) in x.chunks_exact(image.w * image.c).enumerate() {
        let dst = &mut dst[(padded.top + y) * padded.row + padded.left * padded.pixel..];
        if channels == image.c && padded.pixel == channels {
            dst[..row.len()].copy_from_slice(row);
        } else {
            for (dst, pixel) in dst.chunks_mut(padded.pixel).zip(row.chunks_exact(image.c)) {
                dst[..channels].copy_from_slice(&pixel[c0..c0 + channels]);
            }
        }
    }
}

/// Writes sums `[tap][k][n]` (rows `ld` apart) as weights: `out[n * sn + k * sk + taps_at[tap]]`, `out` being dense.
/// Of n and k, the one with the larger stride is shared among the threads.
pub(super) fn unpack<T: Real>(
    kernels: &Kernels<T>,
    sums: &[T],
    ld: usize,
    [k, n]: [usize; 2],
    [sk, sn]: [usize; 2],
    tap_at: &[usize],
    out: &mut [T],
) {
    let taps = tap_at.len();
    if sk > sn {
        // Thin results: n is small, so that rows are short.
        return par::split(out, sk, par::pieces(k * n * taps, GRAIN), &|first, out| {
            for (i, out) in out.chunks_exact_mut(sk).enumerate() {
                for (t, &at) in tap_at.iter().enumerate() {
                    let row = &sums[(t * k + first + i) * ld..][..n];
                    row.iter().enumerate().for_each(|(j, &x)| out[j * sn + at] = x);
                }
            }
        });
    }
    let lanes = kernels.lanes;
    par::split(out, sn, par::pieces(k * n * taps, GRAIN), &|first, out| {
        let mut block = vec![T::ZERO; lanes * lanes];
        let count = out.len() / sn;
        // Sums in the order in which they lie: they are as many as the weights and come from far.
        for i in 0..k {
            for t in (0..taps).step_by(lanes) {
                let rows = (taps - t).min(lanes);
                let at = &tap_at[t..t + rows];
                // A whole vector of taps that follow each other goes straight to its place.
                let run = rows == lanes && at.windows(2).all(|w| w[1] == w[0] + 1);
                for j in (0..count).step_by(lanes) {
                    let cols = (count - j).min(lanes);
                    let src = &sums[(t * k + i) * ld + first + j..];
                    let out = &mut out[j * sn + i * sk..];
                    assert!(src.len() >= (rows - 1) * k * ld + cols);
                    assert!(!run || out.len() >= (cols - 1) * sn + at[0] + lanes);
                    let (to, ldd) =
                        if run { (out[at[0]..].as_mut_ptr(), sn) } else { (block.as_mut_ptr(), lanes) };
                    // SAFETY: `rows` runs of `cols` elements are in bounds, and `cols` rows of `lanes` elements in `out`, as
                    // just checked, or in `block`. A table of kernels is handed out for tiers the machine has.
                    unsafe { (kernels.transpose)(src.as_ptr(), k * ld, rows, cols, to, ldd) };
                    if !run {
                        for (col, block) in block.chunks_exact(lanes).enumerate().take(cols) {
                            let out = &mut out[col * sn..];
                            block.iter().zip(at).for_each(|(&x, &at)| out[at] = x);
                        }
                    }
                }
            }
        }
    });
}
