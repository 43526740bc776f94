//! What goes along lines and holds them in registers: softmax and cross-entropy.

use super::args::{Columns, Divisor, narrow};
use super::launch::{self, Grid, Kernel};
use super::{BLOCK, Cuda};
use crate::backend::lines::Lines;
use crate::backend::{View, ViewMut};

/// Rows that a block takes where a warp takes one.
const WARPS: usize = BLOCK / 32;
/// The longest rows that a warp holds in one quad a thread and in eight, and a block in four and in eight.
const LENGTHS: [usize; 4] = [128, 1024, 4096, 8192];
/// The longest columns that a block holds: 8 HELD in kernels/rows.cuh.
const HELD_COLUMN: usize = 128;

/// The kernel for rows of a length, of those for [`LENGTHS`] and the one for longer rows, and its grid.
pub(super) fn for_rows(kernels: [Kernel; 5], rows: usize, length: usize) -> (Kernel, Grid) {
    let at = LENGTHS.iter().position(|&most| length <= most).unwrap_or(LENGTHS.len());
    (kernels[at], Grid(if at < 2 { rows.div_ceil(WARPS) } else { rows }, 1, 1))
}

/// The same for columns: the kernel that holds them, or the one that reads them twice.
pub(super) fn for_columns(kernels: [Kernel; 2], lines: Lines) -> (Kernel, Grid) {
    (kernels[(lines.length > HELD_COLUMN) as usize], Grid::over(lines.count(), 32))
}

pub(super) fn by_columns(lines: Lines) -> Columns {
    Columns { inner: Divisor::new(lines.inner), n: narrow(lines.length), count: narrow(lines.count()) }
}

impl Cuda {
    /// The operand, or a copy of it that starts where rows of whole quads may be read: only views into the middle of a
    /// storage do not.
    pub(super) fn aligned<R>(&self, x: View, f: impl FnOnce(View) -> R) -> R {
        if x.ptr().is_aligned() {
            return f(x);
        }
        let layout = x.layout.like();
        let mut own = self.scratch(layout.numel());
        super::copy::copy(self.driver(), x, ViewMut { storage: &mut own, layout: &layout });
        f(View { storage: &own, layout: &layout })
    }

    /// [`Cuda::aligned`] of what may not be there.
    pub(super) fn aligned_or<R>(&self, x: Option<View>, f: impl FnOnce(Option<View>) -> R) -> R {
        match x {
            Some(x) => self.aligned(x, |x| f(Some(x))),
            None => f(None),
        }
    }
}

/// out = softmax of x along the dimension, or its logarithm.
pub(super) fn softmax(cuda: &Cuda, log: bool, x: View, dim: usize, out: ViewMut) {
    let (d, lines) = (cuda.driver(), Lines::of(x.layout, dim));
    if lines.inner > 1 {
        let (kernel, grid) = for_columns([Kernel::SoftmaxColumns128, Kernel::SoftmaxColumns], lines);
        return launch::softmax_columns(d, kernel, grid, x.ptr(), out.ptr(), by_columns(lines), log as u32);
    }
    let kernels = [
        Kernel::SoftmaxWarp128,
        Kernel::SoftmaxWarp1024,
        Kernel::SoftmaxBlock4096,
        Kernel::SoftmaxBlock8192,
        Kernel::SoftmaxLong,
    ];
    let (kernel, grid) = for_rows(kernels, lines.outer, lines.length);
    let (n, rows) = (narrow(lines.length), narrow(lines.outer));
    cuda.aligned(x, |x| launch::softmax(d, kernel, grid, x.ptr(), out.ptr(), n, rows, log as u32));
}

/// out = the gradient of [`softmax`] for its result y.
pub(super) fn softmax_grad(cuda: &Cuda, log: bool, g: View, y: View, dim: usize, out: ViewMut) {
    let (d, lines) = (cuda.driver(), Lines::of(y.layout, dim));
    if lines.inner > 1 {
        let (kernel, grid) = for_columns([Kernel::SoftmaxGradColumns128, Kernel::SoftmaxGradColumns], lines);
        let shape = by_columns(lines);
        return launch::softmax_grad_columns(d, kernel, grid, g.ptr(), y.ptr(), out.ptr(), shape, log as u32);
    }
    let kernels = [
        Kernel::SoftmaxGradWarp128,
        Kernel::SoftmaxGradWarp1024,
        Kernel::SoftmaxGradBlock4096,
        Kernel::SoftmaxGradBlock8192,
        Kernel::SoftmaxGradLong,
    ];
    let (kernel, grid) = for_rows(kernels, lines.outer, lines.length);
    let (n, rows) = (narrow(lines.length), narrow(lines.outer));
    cuda.aligned(g, |g| {
        cuda.aligned(y, |y| {
            launch::softmax_grad(d, kernel, grid, g.ptr(), y.ptr(), out.ptr(), n, rows, log as u32);
        });
    });
}

/// The loss of each line of logits along dimension 1, its largest and its sum.
pub(super) fn cross_entropy(cuda: &Cuda, x: View, class: View, loss: ViewMut, stats: ViewMut) {
    let (d, lines) = (cuda.driver(), Lines::of(x.layout, 1));
    let (loss, stats, bad) = (loss.ptr(), stats.ptr(), d.note_place("cross_entropy"));
    if lines.inner > 1 {
        let (kernel, grid) = (Kernel::CrossEntropyColumns, Grid::over(lines.count(), 32));
        let shape = by_columns(lines);
        return launch::cross_entropy_columns(d, kernel, grid, x.ptr(), class.ptr(), loss, stats, shape, bad);
    }
    let kernels = [
        Kernel::CrossEntropyWarp128,
        Kernel::CrossEntropyWarp1024,
        Kernel::CrossEntropyBlock4096,
        Kernel::CrossEntropyBlock8192,
        Kernel::CrossEntropyLong,
    ];
    let (kernel, grid) = for_rows(kernels, lines.outer, lines.length);
    let (n, rows) = (narrow(lines.length), narrow(lines.outer));
    cuda.aligned(x, |x| {
        launch::cross_entropy(d, kernel, grid, x.ptr(), class.ptr(), loss, stats, n, rows, bad);
    });
}

/// out = (softmax(x) - [class]) g.
pub(super) fn cross_entropy_grad(cuda: &Cuda, g: View, x: View, class: View, stats: View, out: ViewMut) {
    let (d, lines, total) = (cuda.driver(), Lines::of(x.layout, 1), x.layout.numel());
    let (n, step) = (Divisor::new(lines.length), g.layout.is_contiguous() as u32);
    let (g, class, stats, out, count) = (g.ptr(), class.ptr(), stats.ptr(), out.ptr(), narrow(total));
    if lines.inner > 1 {
        let (kernel, grid) = (Kernel::CrossEntropyGradColumns, Grid::over(total, BLOCK));
        let inner = Divisor::new(lines.inner);
        return launch::cross_entropy_grad_columns(
            d,
            kernel,
            grid,
            g,
            x.ptr(),
            class,
            stats,
            out,
            n,
            inner,
            step,
            count,
        );
    }
    let (kernel, grid) = (Kernel::CrossEntropyGradRows, Grid::over(total, 4 * BLOCK));
    cuda.aligned(x, |x| {
        launch::cross_entropy_grad_rows(d, kernel, grid, g, x.ptr(), class, stats, out, n, step, count);
    });
}
