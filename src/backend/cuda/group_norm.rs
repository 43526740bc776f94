//! Normalisation within samples.

use super::args::{self, Divisor, Lanes, Ptr, Sums, narrow};
use super::launch::{self, Grid, Kernel, MAX_GRID};
use super::rows::for_rows;
use super::{BLOCK, Cuda, memory};
use crate::backend::groups::Groups;
use crate::backend::{GroupNormGrads, View, ViewMut};

/// Channels of a group from which on its pieces fill lines of memory, with channels last.
const WHOLE_LINES: usize = 32;
/// Blocks that keep a large GPU busy; a constant, so that the order of a sum is the same on every card.
const ENOUGH_BLOCKS: usize = 512;

/// Whether lanes stand for channels: those of a group alone would be too few neighbours.
fn by_lanes(shape: Groups) -> bool {
    shape.positions > 1 && shape.members < WHOLE_LINES
}

fn lanes(shape: Groups) -> (Lanes, Grid) {
    let width = 32 / shape.members * shape.members;
    let tiles = shape.channels().div_ceil(width);
    let lanes = Lanes {
        tiles: Divisor::new(tiles),
        channels: narrow(shape.channels()),
        positions: narrow(shape.positions),
        members: narrow(shape.members),
        width: narrow(width),
    };
    (lanes, Grid(shape.samples * tiles, 1, 1))
}

fn by_value(shape: Groups) -> args::Groups {
    let rows = shape.positions == 1;
    let piece = if rows { shape.count() } else { shape.members };
    let jump = if rows { piece } else { shape.channels() };
    args::Groups {
        n: narrow(shape.count()),
        count: narrow(shape.samples * shape.groups),
        groups: Divisor::new(shape.groups),
        piece: Divisor::new(piece),
        jump: narrow(jump),
        sample: narrow(shape.sample()),
        inner: Divisor::new(shape.inner),
        members: narrow(shape.members),
        quads: (piece % 4 == 0 && jump % 4 == 0) as u32,
    }
}

/// An operand's address, or none.
fn address(x: Option<View>) -> Ptr {
    x.map_or(Ptr(0), |x| x.ptr())
}

/// out = (x - mean) rstd weight + bias, and mean and rstd of every group.
pub(super) fn forward(
    cuda: &Cuda,
    shape: Groups,
    eps: f64,
    x: View,
    affine: [Option<View>; 2],
    out: ViewMut,
    stats: ViewMut,
) {
    let (d, eps, out, stats) = (cuda.driver(), eps as f32, out.ptr(), stats.ptr());
    let run = |x: View, [w, b]: [Option<View>; 2]| {
        let (x, w, b) = (x.ptr(), address(w), address(b));
        if by_lanes(shape) {
            let (lanes, grid) = lanes(shape);
            let kernel = Kernel::GroupNormLanes;
            return launch::group_norm_lanes(d, kernel, grid, x, w, b, out, stats, lanes, eps);
        }
        let kernels = [
            Kernel::GroupNormWarp128,
            Kernel::GroupNormWarp1024,
            Kernel::GroupNormBlock4096,
            Kernel::GroupNormBlock8192,
            Kernel::GroupNormLong,
        ];
        let (kernel, grid) = for_rows(kernels, shape.samples * shape.groups, shape.count());
        launch::group_norm(d, kernel, grid, x, w, b, out, stats, by_value(shape), eps);
    };
    let [w, b] = affine;
    cuda.aligned(x, |x| cuda.aligned_or(w, |w| cuda.aligned_or(b, |b| run(x, [w, b]))));
}

/// The gradients for the input and, over the batch, for weight and bias.
pub(super) fn gradient(
    cuda: &Cuda,
    shape: Groups,
    [g, x, stats]: [View; 3],
    weight: Option<View>,
    out: GroupNormGrads,
) {
    let (d, dx, stats) = (cuda.driver(), out.x.ptr(), stats.ptr());
    let run = |g: View, x: View, w: Option<View>| {
        let (g, x, w) = (g.ptr(), x.ptr(), address(w));
        if by_lanes(shape) {
            let (lanes, grid) = lanes(shape);
            return launch::group_norm_grad_lanes(
                d,
                Kernel::GroupNormGradLanes,
                grid,
                g,
                x,
                stats,
                w,
                dx,
                lanes,
            );
        }
        let kernels = [
            Kernel::GroupNormGradWarp128,
            Kernel::GroupNormGradWarp1024,
            Kernel::GroupNormGradBlock4096,
            Kernel::GroupNormGradBlock8192,
            Kernel::GroupNormGradLong,
        ];
        let (kernel, grid) = for_rows(kernels, shape.samples * shape.groups, shape.count());
        launch::group_norm_grad(d, kernel, grid, g, x, stats, w, dx, by_value(shape));
    };
    cuda.aligned(g, |g| cuda.aligned(x, |x| cuda.aligned_or(weight, |w| run(g, x, w))));
    if let Some(affine) = out.affine {
        sums(cuda, shape, [g.ptr(), x.ptr(), stats], affine.map(|a| a.ptr()));
    }
}

/// The gradients of weight and bias.
fn sums(cuda: &Cuda, shape: Groups, [g, x, stats]: [Ptr; 3], [dw, db]: [Ptr; 2]) {
    let (d, channels, columns) = (cuda.driver(), shape.channels(), shape.inner == 1);
    let rows = shape.samples * shape.positions;
    let blocks = if columns { channels.div_ceil(32) } else { channels };
    // Rows, or samples, that are worth a block.
    let least = if columns { 64 } else { 2048usize.div_ceil(shape.inner) };
    let parts = (ENOUGH_BLOCKS / blocks).min(rows.div_ceil(least)).clamp(1, MAX_GRID);
    let length = rows.div_ceil(parts);
    let parts = rows.div_ceil(length);
    let partial = cuda.scratch(parts * 2 * channels);
    let to = memory::start(&partial);
    let by_value = Sums {
        rows: narrow(rows),
        channels: narrow(channels),
        length: narrow(length),
        positions: Divisor::new(shape.positions),
        members: Divisor::new(shape.members),
        inner: Divisor::new(shape.inner),
    };
    let kernel = if columns { Kernel::GroupNormSumsColumns } else { Kernel::GroupNormSumsPlanes };
    launch::group_norm_sums(d, kernel, Grid(blocks, parts, 1), g, x, stats, to, by_value);
    let (grid, c) = (Grid::over(channels, BLOCK), narrow(channels));
    launch::bn_combine(d, Kernel::BnCombine, grid, to, db, dw, c, narrow(parts), 1.0);
}
