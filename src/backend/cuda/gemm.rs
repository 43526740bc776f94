//! Matrix products: which tile, how many splits.

use super::args::{Gemm, Nest, Operand, Ptr, narrow};
use super::launch::{self, Grid, Kernel, MAX_GRID};
use super::{BLOCK, Cuda, memory};
use crate::Layout;
use crate::backend::{View, ViewMut};

/// Depths of a stage: DEPTH in kernels/tile.cuh.
const DEPTH: usize = 8;
/// Blocks that keep a large GPU busy; a constant, so that the order of a sum is the same on every card.
const ENOUGH_BLOCKS: usize = 264;

/// The sizes of tile that the top rung and the convolutions have: a block of a large one does more for what it reads, of
/// small ones there are more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tile {
    Large,
    Small,
}

impl Tile {
    /// For a result of `m` x `n`, `results` times.
    pub fn of(m: usize, n: usize, results: usize) -> Tile {
        let blocks = m.div_ceil(128) * n.div_ceil(128) * results;
        if m > 64 && n > 64 && blocks >= ENOUGH_BLOCKS / 2 { Tile::Large } else { Tile::Small }
    }

    pub fn size(self) -> usize {
        match self {
            Tile::Large => 128,
            Tile::Small => 64,
        }
    }

    /// The large or the small one.
    pub fn pick(self, large: Kernel, small: Kernel) -> Kernel {
        match self {
            Tile::Large => large,
            Tile::Small => small,
        }
    }
}

/// Into how many sums of which length a depth is cut, where `blocks` alone would leave the GPU idle. Whole stages each.
pub(super) fn splits(depth: usize, blocks: usize) -> (usize, usize) {
    let wanted = (ENOUGH_BLOCKS / blocks.max(1)).min(depth / 128).max(1);
    let length = depth.div_ceil(wanted).next_multiple_of(DEPTH).max(DEPTH);
    (depth.div_ceil(length).max(1), length)
}

/// `out [.., m, n] = a [.., m, k] b [.., k, n] + bias [n]` in f32.
pub(super) fn gemm(cuda: &Cuda, a: View, b: View, bias: Option<View>, out: ViewMut) {
    let d = cuda.driver();
    let rank = out.layout.rank();
    let (batch, m, n) = (rank - 2, out.layout.shape()[rank - 2], out.layout.shape()[rank - 1]);
    let k = a.layout.shape()[rank - 1];
    if out.layout.numel() == 0 {
        return;
    }
    let strides = |l: &Layout| (l.strides()[rank - 2], l.strides()[rank - 1]);
    let ((a_row, a_depth), (b_depth, b_column), (c_row, c_column)) =
        (strides(a.layout), strides(b.layout), strides(out.layout));
    let outer = |l: &Layout| Layout::strided(&l.shape()[..batch], &l.strides()[..batch], 0);
    let starts = Nest::of([&outer(out.layout), &outer(a.layout), &outer(b.layout)]);
    let matrices: usize = out.layout.shape()[..batch].iter().product();
    // Every matrix of a batch starts aligned if the first does and the steps between them are whole quads; a batch of one
    // has a step that is never taken.
    let whole = |operand: usize| starts.strides(operand).iter().all(|s| s % 4 == 0);
    let aligned = |p: Ptr, operand: usize| p.is_aligned() && (matrices == 1 || whole(operand));
    let operand = |p: Ptr, which: usize, line: usize, depth: usize, lines: usize| {
        // A dimension of one element has any stride; the other one then decides.
        let deep = if k == 1 { line != 1 && lines > 1 } else { depth == 1 };
        let across = if deep { line } else { depth };
        let fast = if deep { depth } else { line };
        let vec = fast == 1 && across.is_multiple_of(4) && aligned(p, which);
        (deep, Operand { line_stride: narrow(line), depth_stride: narrow(depth), vec: vec as u32 })
    };
    let (a_deep, a_lines) = operand(a.ptr(), 1, a_row, a_depth, m);
    let (b_deep, b_lines) = operand(b.ptr(), 2, b_column, b_depth, n);
    let tile = Tile::of(m, n, matrices);
    let blocks = m.div_ceil(tile.size()) * n.div_ceil(tile.size()) * matrices;
    let (splits, length) = if matrices > MAX_GRID { (1, k) } else { splits(k, blocks) };
    let kernel = match (a_deep, b_deep) {
        (true, true) => tile.pick(Kernel::GemmKk128, Kernel::GemmKk64),
        (true, false) => tile.pick(Kernel::GemmKl128, Kernel::GemmKl64),
        (false, true) => tile.pick(Kernel::GemmLk128, Kernel::GemmLk64),
        (false, false) => tile.pick(Kernel::GemmLl128, Kernel::GemmLl64),
    };
    let c_vec = c_column == 1 && c_row.is_multiple_of(4) && aligned(out.ptr(), 0);
    let mut problem = Gemm {
        m: narrow(m),
        n: narrow(n),
        k: narrow(k),
        a: a_lines,
        b: b_lines,
        c_row: narrow(c_row),
        c_column: narrow(c_column),
        c_vec: c_vec as u32,
        bias_stride: bias.map_or(0, |b| narrow(b.layout.strides()[0])),
        splits: narrow(splits),
        length: narrow(length),
        first: 0,
        batch: starts,
    };
    let bias_at = bias.map_or(Ptr(0), |b| b.ptr());
    if splits > 1 {
        let partial = cuda.scratch(splits * out.layout.numel());
        let to = memory::start(&partial);
        let grid = Grid(m.div_ceil(tile.size()), n.div_ceil(tile.size()), matrices * splits);
        launch::gemm(d, kernel, grid, a.ptr(), b.ptr(), Ptr(0), to, problem);
        let dense = Layout::contiguous(out.layout.shape());
        return combine(cuda, to, bias, &dense, out, splits);
    }
    // A grid's second and third dimensions are short: more columns or matrices go in runs. Runs start at whole tiles, so
    // what was aligned stays so.
    let run = MAX_GRID * tile.size();
    for column in (0..n).step_by(run) {
        let at =
            |p: Ptr, stride: u32| if p == Ptr(0) { p } else { Ptr(p.0 + 4 * column as u64 * stride as u64) };
        let (b, bias, c) = (
            at(b.ptr(), b_lines.line_stride),
            at(bias_at, problem.bias_stride),
            at(out.ptr(), problem.c_column),
        );
        let columns = (n - column).min(run);
        problem.n = narrow(columns);
        for first in (0..matrices).step_by(MAX_GRID) {
            problem.first = narrow(first);
            let grid = Grid(
                m.div_ceil(tile.size()),
                columns.div_ceil(tile.size()),
                (matrices - first).min(MAX_GRID),
            );
            launch::gemm(d, kernel, grid, a.ptr(), b, bias, c, problem);
        }
    }
}

/// The kernels of the GEMM ladder in kernels/gemm.cu, from the one that is easiest to read to the one that ops launch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rung {
    /// A thread an element, straight from global memory.
    Naive,
    /// Tiles of 32 x 32 in shared memory.
    Shared,
    /// 4 x 4 sums a thread in registers.
    Register,
    /// Quads, 8 x 8 sums a thread, loads and products overlapped.
    Top,
}

impl Rung {
    /// From the bottom up.
    pub const ALL: [Rung; 4] = [Rung::Naive, Rung::Shared, Rung::Register, Rung::Top];

    /// As in the names of kernels.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Naive => "naive",
            Rung::Shared => "shared",
            Rung::Register => "register",
            Rung::Top => "top",
        }
    }
}

/// `c [m, n] = a [m, k] b [k, n]` by one rung of the ladder; all are f32 and row-major without gaps.
pub(super) fn on_rung(cuda: &Cuda, rung: Rung, a: View, b: View, c: ViewMut) {
    let ([m, k], [_, n]) = ([0, 1].map(|d| a.layout.shape()[d]), [0, 1].map(|d| b.layout.shape()[d]));
    let (kernel, tile) = match rung {
        Rung::Naive => (Kernel::GemmNaive, 16),
        Rung::Shared => (Kernel::GemmShared, 32),
        Rung::Register => (Kernel::GemmRegister, 64),
        Rung::Top => return gemm(cuda, a, b, None, c),
    };
    let one = Layout::contiguous(&[]);
    let problem = Gemm {
        m: narrow(m),
        n: narrow(n),
        k: narrow(k),
        a: Operand { line_stride: narrow(k), depth_stride: 1, vec: 0 },
        b: Operand { line_stride: 1, depth_stride: narrow(n), vec: 0 },
        c_row: narrow(n),
        c_column: 1,
        c_vec: 0,
        bias_stride: 0,
        splits: 1,
        length: narrow(k),
        first: 0,
        batch: Nest::of([&one, &one, &one]),
    };
    let grid = Grid(m.div_ceil(tile), n.div_ceil(tile), 1);
    launch::gemm(cuda.driver(), kernel, grid, a.ptr(), b.ptr(), Ptr(0), c.ptr(), problem);
}

/// out = the sum of dense partial results, whose elements lie as `dense` of out's shape says, plus a bias along the
/// last dimension.
pub(super) fn combine(
    cuda: &Cuda,
    partial: Ptr,
    bias: Option<View>,
    dense: &Layout,
    out: ViewMut,
    splits: usize,
) {
    let n = out.layout.numel();
    let order: Vec<usize> = dense.memory_order().to_vec();
    let sizes: Vec<usize> = order.iter().map(|&d| dense.shape()[d]).collect();
    let of_out: Vec<usize> = order.iter().map(|&d| out.layout.strides()[d]).collect();
    let along = |d: usize| if d + 1 == dense.rank() { bias.map_or(0, |b| b.layout.strides()[0]) } else { 0 };
    let of_bias: Vec<usize> = order.iter().map(|&d| along(d)).collect();
    let nest = Nest::new(&sizes, [&of_out, &of_bias]);
    let bias = bias.map_or(Ptr(0), |b| b.ptr());
    let grid = Grid::over(n, BLOCK);
    launch::combine(
        cuda.driver(),
        Kernel::Combine,
        grid,
        partial,
        bias,
        out.ptr(),
        nest,
        narrow(splits),
        narrow(n),
    );
}
