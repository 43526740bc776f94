//! Reductions, and what goes along rows.

use super::args::{Nest, Part, narrow};
use super::driver::Driver;
use super::launch::{self, Grid, Kernel};
use super::{BLOCK, Cuda, memory};
use crate::backend::{Reduce, View, ViewMut};
use crate::layout::coalesce;
use crate::{DType, Layout};

/// Blocks that keep a large GPU busy. A constant, so that the order of a sum is the same on every card.
const ENOUGH_BLOCKS: usize = 512;
/// Terms below which a part is not worth a block of its own.
const LEAST_TERMS: usize = 1024;
/// Elements whose squares a block sums: kernels/reduce.cu.
const SQUARES: usize = 16384;

/// Reduces the dimensions marked true, in f32.
pub(super) fn reduce(cuda: &Cuda, f: Reduce, x: View, over: &[bool], out: ViewMut) {
    let d = cuda.driver();
    let pick = |wanted: bool| {
        let dims = (0..over.len()).filter(|&i| over[i] == wanted);
        let (shape, strides): (Vec<usize>, Vec<usize>) =
            dims.map(|i| (x.layout.shape()[i], x.layout.strides()[i])).unzip();
        Layout::strided(&shape, &strides, 0)
    };
    let (kept, reduced) = (pick(false), pick(true));
    let (outputs, terms) = (kept.numel(), reduced.numel());
    if outputs == 0 {
        return;
    }
    if terms == 0 {
        debug_assert_eq!(f, Reduce::Sum, "the largest of nothing");
        return super::copy::fill(d, 0.0, out);
    }
    let (rows, columns) = match f {
        Reduce::Sum => (Kernel::SumRows, Kernel::SumColumns),
        Reduce::Max => (Kernel::MaxRows, Kernel::MaxColumns),
    };
    // Outputs in the order of x, so that neighbouring lanes read neighbouring elements.
    let kept = Nest::of([&kept, out.layout]).reordered([1, 0]);
    let reduced = Nest::of([&reduced]);
    let side_by_side = kept.strides(1).last() == Some(&1) && outputs > 1;
    let (kernel, blocks) = if side_by_side { (columns, outputs.div_ceil(32)) } else { (rows, outputs) };
    let parts =
        (ENOUGH_BLOCKS / blocks).min(terms.div_ceil(if side_by_side { 64 } else { LEAST_TERMS })).max(1);
    // Parts start at whole sectors.
    let length = terms.div_ceil(parts).next_multiple_of(8);
    let parts = terms.div_ceil(length);
    let part = Part { outputs: narrow(outputs), terms: narrow(terms), length: narrow(length) };
    if parts == 1 {
        return launch::reduce(d, kernel, Grid(blocks, 1, 1), x.ptr(), out.ptr(), kept, reduced, part);
    }
    // Each part leaves a dense line of outputs in the nest's order; the lines are then reduced by columns.
    let lines = cuda.scratch(parts * outputs);
    let sizes = kept.sizes();
    let dense = Layout::contiguous(&sizes);
    let x_strides: Vec<usize> = kept.strides(1).iter().map(|&s| s as usize).collect();
    let out_strides: Vec<usize> = kept.strides(0).iter().map(|&s| s as usize).collect();
    let to_lines = Nest::new(&sizes, [dense.strides(), &x_strides]);
    launch::reduce(
        d,
        kernel,
        Grid(blocks, parts, 1),
        x.ptr(),
        memory::start(&lines),
        to_lines,
        reduced,
        part,
    );
    let (sizes, [of_line, of_out]) = coalesce([&dense, &Layout::strided(&sizes, &out_strides, 0)]);
    let kept = Nest::new(&sizes, [&of_out, &of_line]);
    let reduced = Nest::new(&[parts], [&[outputs]]);
    let part = Part { outputs: narrow(outputs), terms: narrow(parts), length: narrow(parts) };
    let grid = Grid(outputs.div_ceil(32), 1, 1);
    launch::reduce(d, columns, grid, memory::start(&lines), out.ptr(), kept, reduced, part);
}

/// The sum of squares of each operand, in f64. The one primitive that has a result on the host: it waits.
pub(super) fn sum_squares(cuda: &Cuda, table: &[View]) -> Vec<f64> {
    let d = cuda.driver();
    // f64 numbers live in pairs of words: f64 tensors are none of this device's.
    let sums = cuda.scratch(2 * table.len().max(1));
    for (i, x) in table.iter().enumerate() {
        let n = x.layout.numel();
        let blocks = n.div_ceil(SQUARES);
        let partial = cuda.scratch(2 * blocks.max(1));
        let at = super::args::Ptr(memory::start(&sums).0 + 8 * i as u64);
        launch::squares_partial(
            d,
            Kernel::SquaresPartial,
            Grid(blocks, 1, 1),
            x.ptr(),
            memory::start(&partial),
            narrow(n),
        );
        let grid = Grid(1, 1, 1);
        launch::squares_total(d, Kernel::SquaresTotal, grid, memory::start(&partial), at, narrow(blocks));
    }
    let mut out = vec![0.0f64; table.len()];
    if !out.is_empty() {
        memory::download(&sums, 0, bytemuck::cast_slice_mut(&mut out));
    }
    out
}

/// The number of rows and their length.
fn rows(x: View) -> (usize, usize) {
    let length = *x.layout.shape().last().expect("rows are the last dimension");
    (x.layout.numel().checked_div(length).unwrap_or(0), length)
}

fn by_dtype(kernels: [Kernel; 5], dtype: DType) -> Kernel {
    match dtype {
        DType::F32 => kernels[0],
        DType::F16 => kernels[1],
        DType::BF16 => kernels[2],
        DType::I64 => kernels[3],
        DType::U8 => kernels[4],
        DType::F64 => unreachable!("there are no f64 tensors on a GPU"),
    }
}

/// The position of the largest element of each row.
pub(super) fn argmax(d: &Driver, x: View, out: ViewMut) {
    let (rows, length) = rows(x);
    let kernels =
        [Kernel::ArgmaxF32, Kernel::ArgmaxF16, Kernel::ArgmaxBf16, Kernel::ArgmaxI64, Kernel::ArgmaxU8];
    launch::argmax(
        d,
        by_dtype(kernels, x.storage.dtype()),
        Grid(rows, 1, 1),
        x.ptr(),
        out.ptr(),
        narrow(length),
    );
}

/// Each row's positions in order of their elements.
pub(super) fn argsort(d: &Driver, x: View, descending: bool, out: ViewMut) {
    let (rows, length) = rows(x);
    let kernels =
        [Kernel::ArgsortF32, Kernel::ArgsortF16, Kernel::ArgsortBf16, Kernel::ArgsortI64, Kernel::ArgsortU8];
    let grid = Grid(rows, length.div_ceil(BLOCK), 1);
    launch::argsort(
        d,
        by_dtype(kernels, x.storage.dtype()),
        grid,
        x.ptr(),
        out.ptr(),
        narrow(length),
        descending as u32,
    );
}

/// The running sums of each row, in f32.
pub(super) fn cumsum(d: &Driver, x: View, out: ViewMut) {
    let (rows, length) = rows(x);
    launch::cumsum(d, Kernel::CumsumF32, Grid(rows, 1, 1), x.ptr(), out.ptr(), narrow(length));
}
