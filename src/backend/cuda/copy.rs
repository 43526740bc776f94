//! Filling, copying, transposing, converting.

use super::BLOCK;
use super::args::{Nest, narrow};
use super::driver::Driver;
use super::launch::{self, Grid, Kernel, MAX_GRID};

use crate::DType;
use crate::backend::{View, ViewMut};
use crate::dtype::{Element, dispatch};

/// Lines and columns of the tile that a block transposes.
const TILE: usize = 32;

/// The kernel of a family for elements of so many bytes.
pub(super) fn by_size(kernels: [Kernel; 4], dtype: DType) -> Kernel {
    kernels[dtype.size().trailing_zeros() as usize]
}

/// Every element becomes `value`.
pub(super) fn fill(d: &Driver, value: f64, out: ViewMut) {
    let mut word = [0u8; 8];
    dispatch!(out.storage.dtype(), all, T => {
        let v = <T as Element>::from_f64(value);
        word[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&v));
    });
    let kernel =
        by_size([Kernel::FillB1, Kernel::FillB2, Kernel::FillB4, Kernel::FillB8], out.storage.dtype());
    let n = out.layout.numel();
    launch::fill(d, kernel, Grid::over(n, BLOCK), u64::from_le_bytes(word), out.ptr(), narrow(n));
}

/// Copies between layouts of one shape and dtype.
pub(super) fn copy(d: &Driver, x: View, out: ViewMut) {
    let (n, dtype) = (out.layout.numel(), out.storage.dtype());
    if n == 0 {
        return;
    }
    let (nest, from, to) = (Nest::of([out.layout, x.layout]), x.ptr(), out.ptr());
    if nest.is_flat() && from.is_aligned() && to.is_aligned() {
        let bytes = n * dtype.size();
        return launch::copy_dense(
            d,
            Kernel::CopyDense,
            Grid::over(bytes, 16 * BLOCK),
            from,
            to,
            bytes as u64,
        );
    }
    if let Some((matrices, rows, columns)) = as_transpose(&nest)
        && matrices <= MAX_GRID
        && rows.div_ceil(TILE) <= MAX_GRID
    {
        let kernels = [Kernel::TransposeB1, Kernel::TransposeB2, Kernel::TransposeB4, Kernel::TransposeB8];
        let grid = Grid(columns.div_ceil(TILE), rows.div_ceil(TILE), matrices);
        return launch::transpose(d, by_size(kernels, dtype), grid, from, to, narrow(rows), narrow(columns));
    }
    let kernel = by_size([Kernel::CopyB1, Kernel::CopyB2, Kernel::CopyB4, Kernel::CopyB8], dtype);
    launch::copy(d, kernel, Grid::over(n, BLOCK), from, to, nest, narrow(n));
}

/// The number of matrices and the rows and columns of the operand, if the copy turns a dense stack of matrices.
fn as_transpose(nest: &Nest<2>) -> Option<(usize, usize, usize)> {
    let sizes = nest.sizes();
    let (matrices, columns, rows) = match sizes[..] {
        [columns, rows] => (1, columns, rows),
        [matrices, columns, rows] => (matrices, columns, rows),
        _ => return None,
    };
    let (outer, one) = ([(rows * columns) as u32], sizes.len() == 2);
    let expected = |inner: [u32; 2]| if one { inner.to_vec() } else { [&outer[..], &inner].concat() };
    let turned =
        nest.strides(0) == expected([rows as u32, 1]) && nest.strides(1) == expected([1, columns as u32]);
    // Thin matrices leave most of a tile empty.
    (turned && rows >= 4 && columns >= 4).then_some((matrices, rows, columns))
}

/// Converts between any two dtypes.
pub(super) fn cast(d: &Driver, x: View, out: ViewMut) {
    // `Dtype` in kernels/copy.cu.
    let code = |dtype: DType| match dtype {
        DType::F32 => 0,
        DType::F16 => 1,
        DType::BF16 => 2,
        DType::I64 => 3,
        DType::U8 => 4,
        DType::F64 => unreachable!("there are no f64 tensors on a GPU"),
    };
    let (nest, n) = (Nest::of([out.layout, x.layout]), out.layout.numel());
    let (from, to) = (code(x.storage.dtype()), code(out.storage.dtype()));
    launch::cast(d, Kernel::Cast, Grid::over(n, BLOCK), x.ptr(), out.ptr(), from, to, nest, narrow(n));
}
