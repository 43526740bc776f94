//! Losses of pairs: their sum, and their gradient.

use super::args::{Nest, Ptr, narrow};
use super::driver::Driver;
use super::launch::{self, Grid, Kernel};
use super::{BLOCK, Cuda, memory};
use crate::DType;
use crate::backend::{Loss, View, ViewMut};

/// Pairs that a block goes through at a time.
const STEP: usize = 4 * BLOCK;
/// Pairs below which a part is not worth a block of its own.
const LEAST: usize = 4 * STEP;
/// Blocks that keep a large GPU busy; a constant, so that the order of a sum is the same on every card.
const ENOUGH_BLOCKS: usize = 1024;

/// In the order of `LossId` in kernels/losses.cuh.
fn id(f: Loss) -> u32 {
    match f {
        Loss::Bce => 0,
        Loss::BceWithLogits => 1,
        Loss::SquaredError => 2,
        Loss::AbsoluteError => 3,
    }
}

fn by_dtype(kernels: [Kernel; 3], dtype: DType) -> Kernel {
    match dtype {
        DType::F32 => kernels[0],
        DType::F16 => kernels[1],
        DType::BF16 => kernels[2],
        other => unreachable!("ops refuse losses of {other}"),
    }
}

/// out (f32) = scale times the sum of the losses.
pub(super) fn sum(cuda: &Cuda, f: Loss, p: View, t: View, scale: f64, out: ViewMut) {
    let (d, n, scale) = (cuda.driver(), p.layout.numel(), scale as f32);
    let parts = n.div_ceil(LEAST).clamp(1, ENOUGH_BLOCKS);
    let length = n.div_ceil(parts).next_multiple_of(STEP).max(STEP);
    let parts = n.div_ceil(length).max(1);
    if parts == 1 {
        return terms(d, f, p, t, out.ptr(), (parts, length), scale);
    }
    let partial = cuda.scratch(parts);
    terms(d, f, p, t, memory::start(&partial), (parts, length), 1.0);
    let (kernel, grid) = (Kernel::LossTotal, Grid(1, 1, 1));
    launch::loss_total(d, kernel, grid, memory::start(&partial), out.ptr(), scale, narrow(parts));
}

/// out = scale times the sum of each part, a block each.
fn terms(d: &Driver, f: Loss, p: View, t: View, out: Ptr, (parts, length): (usize, usize), scale: f32) {
    let nest = Nest::of([p.layout, t.layout]);
    let (grid, n, length) = (Grid(parts, 1, 1), narrow(p.layout.numel()), narrow(length));
    let (dtype, p, t) = (p.storage.dtype(), p.ptr(), t.ptr());
    if dtype == DType::F32 && nest.is_flat() && p.is_aligned() && t.is_aligned() {
        return launch::loss_dense(d, Kernel::LossDense, grid, id(f), p, t, out, length, scale, n);
    }
    let kernels = [Kernel::LossStridedF32, Kernel::LossStridedF16, Kernel::LossStridedBf16];
    launch::loss_strided(d, by_dtype(kernels, dtype), grid, id(f), p, t, out, nest, length, scale, n);
}

/// out = scale g dl/dp for [g, p, t].
pub(super) fn gradient(d: &Driver, f: Loss, [g, p, t]: [View; 3], scale: f64, out: ViewMut) {
    let pairs = Nest::of([out.layout, p.layout, t.layout]);
    let all = Nest::of([out.layout, g.layout, p.layout, t.layout]);
    let (n, scale, dtype) = (out.layout.numel(), scale as f32, out.storage.dtype());
    let one = g.layout.is_one_number();
    let (g, p, t, to) = (g.ptr(), p.ptr(), t.ptr(), out.ptr());
    let aligned = [p, t, to].iter().all(|x| x.is_aligned()) && (one || g.is_aligned());
    if dtype == DType::F32 && aligned && if one { pairs.is_flat() } else { all.is_flat() } {
        let (kernel, grid, each) = (Kernel::LossGradDense, Grid::over(n, STEP), u32::from(!one));
        return launch::loss_grad_dense(d, kernel, grid, id(f), g, p, t, to, each, scale, narrow(n));
    }
    let kernels = [Kernel::LossGradStridedF32, Kernel::LossGradStridedF16, Kernel::LossGradStridedBf16];
    let (kernel, grid) = (by_dtype(kernels, dtype), Grid::over(n, BLOCK));
    launch::loss_grad_strided(d, kernel, grid, id(f), g, p, t, to, all, scale, narrow(n));
}
