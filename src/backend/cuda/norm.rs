//! Batch normalisation.

use super::args::{self, Divisor, Ptr, narrow};
use super::driver::Driver;
use super::launch::{self, Grid, Kernel, MAX_GRID};
use super::{BLOCK, Cuda, memory};
use crate::Layout;
use crate::backend::channels::Channels;
use crate::backend::{BatchNormGrads, BatchNormStats, Storage, View, ViewMut};

/// Blocks that keep a large GPU busy; a constant, so that the order of a sum is the same on every card.
const ENOUGH_BLOCKS: usize = 512;

fn channels(l: &Layout) -> Channels {
    Channels::of(l).expect("batch_norm makes its operand row-major or channels-last")
}

fn by_value(shape: Channels) -> args::Channels {
    args::Channels {
        channels: Divisor::new(shape.channels),
        inner: Divisor::new(shape.inner),
        outer: narrow(shape.outer),
    }
}

/// What a channel's sums are over.
#[derive(Clone, Copy)]
enum Terms {
    Values,
    SquaredDeviations,
    Gradients,
}

/// `[parts][2][channels]`: the sums of each part of the batch, and how many parts there are.
fn sums(cuda: &Cuda, terms: Terms, shape: Channels, [x, g, mean, rstd]: [Ptr; 4]) -> (Storage, usize) {
    let rows = shape.inner == 1;
    let kernel = match (terms, rows) {
        (Terms::Values, true) => Kernel::BnSumColumns,
        (Terms::Values, false) => Kernel::BnSumPlanes,
        (Terms::SquaredDeviations, true) => Kernel::BnDeviationColumns,
        (Terms::SquaredDeviations, false) => Kernel::BnDeviationPlanes,
        (Terms::Gradients, true) => Kernel::BnGradientColumns,
        (Terms::Gradients, false) => Kernel::BnGradientPlanes,
    };
    let blocks = if rows { shape.channels.div_ceil(32) } else { shape.channels };
    // Rows, or images, that are worth a block.
    let least = if rows { 64 } else { 2048usize.div_ceil(shape.inner) };
    let parts = (ENOUGH_BLOCKS / blocks.max(1)).min(shape.outer.div_ceil(least)).clamp(1, MAX_GRID);
    let length = shape.outer.div_ceil(parts);
    let parts = shape.outer.div_ceil(length.max(1)).max(1);
    let partial = cuda.scratch(parts * 2 * shape.channels);
    let (grid, to) = (Grid(blocks, parts, 1), memory::start(&partial));
    launch::bn_sums(cuda.driver(), kernel, grid, x, g, mean, rstd, to, by_value(shape), narrow(length));
    (partial, parts)
}

fn combined(d: &Driver, (partial, parts): (Storage, usize), out: [Ptr; 2], shape: Channels, scale: f32) {
    let grid = Grid::over(shape.channels, BLOCK);
    let (from, c) = (memory::start(&partial), narrow(shape.channels));
    launch::bn_combine(d, Kernel::BnCombine, grid, from, out[0], out[1], c, narrow(parts), scale);
}

/// Mean and biased variance of every channel, in two passes.
pub(super) fn stats(cuda: &Cuda, x: View, mean: ViewMut, var: ViewMut) {
    let (d, shape, none) = (cuda.driver(), channels(x.layout), Ptr(0));
    let scale = 1.0 / shape.count() as f32;
    combined(
        d,
        sums(cuda, Terms::Values, shape, [x.ptr(), none, none, none]),
        [mean.ptr(), none],
        shape,
        scale,
    );
    let deviations = sums(cuda, Terms::SquaredDeviations, shape, [x.ptr(), none, mean.ptr(), none]);
    combined(d, deviations, [var.ptr(), none], shape, scale);
}

/// out = (x - mean) * rstd * weight + bias.
pub(super) fn apply(d: &Driver, x: View, mean: View, rstd: View, weight: View, bias: View, out: ViewMut) {
    let (shape, n) = (channels(x.layout), x.layout.numel());
    launch::bn_apply(
        d,
        Kernel::BnApply,
        Grid::over(n, BLOCK),
        x.ptr(),
        mean.ptr(),
        rstd.ptr(),
        weight.ptr(),
        bias.ptr(),
        out.ptr(),
        by_value(shape),
        narrow(n),
    );
}

/// The gradients of training-mode batch norm.
pub(super) fn gradient(cuda: &Cuda, g: View, x: View, stats: BatchNormStats, out: BatchNormGrads) {
    let (d, shape, n) = (cuda.driver(), channels(x.layout), x.layout.numel());
    let (mean, rstd, weight) = (stats.mean.ptr(), stats.rstd.ptr(), stats.weight.ptr());
    let (dw, db) = (out.weight.ptr(), out.bias.ptr());
    combined(d, sums(cuda, Terms::Gradients, shape, [x.ptr(), g.ptr(), mean, rstd]), [db, dw], shape, 1.0);
    let (grid, scale) = (Grid::over(n, BLOCK), 1.0 / shape.count() as f32);
    let (dx, shape) = (out.x.ptr(), by_value(shape));
    let kernel = Kernel::BnInputGrad;
    launch::bn_input_grad(
        d,
        kernel,
        grid,
        g.ptr(),
        x.ptr(),
        mean,
        rstd,
        weight,
        dw,
        db,
        dx,
        shape,
        scale,
        narrow(n),
    );
}
