//! Elementwise kernels: which function, and which of two loops.

use super::BLOCK;
use super::args::{Function, Nest, narrow};
use super::driver::Driver;
use super::launch::{self, Grid, Kernel};
use crate::DType;
use crate::backend::{Binary, Compare, Loss, Unary, View, ViewMut};

/// Elements that a thread of a dense kernel takes.
const QUAD: usize = 4;

fn function(id: u32, constants: [f64; 3]) -> Function {
    Function { id, constants: constants.map(|c| c as f32) }
}

/// In the order of `UnaryId` in kernels/elementwise.cu.
fn unary_function(f: Unary) -> Function {
    match f {
        Unary::Neg => function(0, [0.0; 3]),
        Unary::Exp => function(1, [0.0; 3]),
        Unary::Log => function(2, [0.0; 3]),
        Unary::Sqrt | Unary::Pow(0.5) => function(3, [0.0; 3]),
        Unary::Abs => function(4, [0.0; 3]),
        Unary::Tanh => function(5, [0.0; 3]),
        Unary::Sigmoid => function(6, [0.0; 3]),
        Unary::Relu => function(7, [0.0; 3]),
        Unary::LeakyRelu(slope) => function(8, [slope, 0.0, 0.0]),
        Unary::Softplus { beta, threshold } => function(9, [beta, 1.0 / beta, threshold]),
        // Exact, which no general power is.
        Unary::Pow(1.0) => function(10, [1.0, 0.0, 0.0]),
        Unary::Affine { mul, add: 0.0 } => function(10, [mul, 0.0, 0.0]),
        Unary::Affine { mul, add } => function(11, [mul, add, 0.0]),
        Unary::Pow(2.0) => function(12, [0.0; 3]),
        Unary::Pow(3.0) => function(13, [0.0; 3]),
        Unary::Pow(-0.5) => function(14, [0.0; 3]),
        Unary::Pow(-1.0) => function(15, [0.0; 3]),
        Unary::Pow(p) => function(16, [p, 0.0, 0.0]),
        Unary::Clamp { lo, hi } => function(17, [lo, hi, 0.0]),
    }
}

/// In the order of `BinaryId` in kernels/elementwise.cu.
fn binary_function(f: Binary) -> Function {
    match f {
        Binary::Add => function(0, [0.0; 3]),
        Binary::Sub => function(1, [0.0; 3]),
        Binary::Mul => function(2, [0.0; 3]),
        Binary::Div => function(3, [0.0; 3]),
        Binary::Maximum => function(4, [0.0; 3]),
        Binary::Minimum => function(5, [0.0; 3]),
        Binary::Loss(Loss::Bce) => function(6, [0.0; 3]),
        Binary::Loss(Loss::BceWithLogits) => function(7, [0.0; 3]),
        Binary::Loss(Loss::SquaredError) => function(8, [0.0; 3]),
        Binary::Loss(Loss::AbsoluteError) => function(9, [0.0; 3]),
        Binary::LeakyReluGrad(0.0) => function(10, [0.0; 3]),
        Binary::LeakyReluGrad(slope) => function(11, [slope, 0.0, 0.0]),
        Binary::ClampGrad { lo, hi } => function(12, [lo, hi, 0.0]),
        Binary::AbsGrad => function(13, [0.0; 3]),
        Binary::TanhGrad => function(14, [0.0; 3]),
        Binary::SigmoidGrad => function(15, [0.0; 3]),
    }
}

/// out = f(x).
pub(super) fn unary(d: &Driver, f: Unary, x: View, out: ViewMut) {
    let (f, nest, n) = (unary_function(f), Nest::of([out.layout, x.layout]), out.layout.numel());
    let (from, to) = (x.ptr(), out.ptr());
    let kernel = match out.storage.dtype() {
        DType::F32 if nest.is_flat() && from.is_aligned() && to.is_aligned() => {
            return launch::unary_dense(
                d,
                Kernel::UnaryDense,
                Grid::over(n, BLOCK * QUAD),
                f,
                from,
                to,
                narrow(n),
            );
        }
        DType::F32 => Kernel::UnaryStridedF32,
        DType::F16 => Kernel::UnaryStridedF16,
        DType::BF16 => Kernel::UnaryStridedBf16,
        other => unreachable!("ops refuse functions of {other}"),
    };
    launch::unary_strided(d, kernel, Grid::over(n, BLOCK), f, from, to, nest, narrow(n));
}

/// out = f(a, b).
pub(super) fn binary(d: &Driver, f: Binary, a: View, b: View, out: ViewMut) {
    let (f, nest, n) = (binary_function(f), Nest::of([out.layout, a.layout, b.layout]), out.layout.numel());
    let (p, q, to) = (a.ptr(), b.ptr(), out.ptr());
    let kernel = match out.storage.dtype() {
        DType::F32 if nest.is_flat() && p.is_aligned() && q.is_aligned() && to.is_aligned() => {
            return launch::binary_dense(
                d,
                Kernel::BinaryDense,
                Grid::over(n, BLOCK * QUAD),
                f,
                p,
                q,
                to,
                narrow(n),
            );
        }
        DType::F32 => Kernel::BinaryStridedF32,
        DType::F16 => Kernel::BinaryStridedF16,
        DType::BF16 => Kernel::BinaryStridedBf16,
        other => unreachable!("ops refuse functions of {other}"),
    };
    launch::binary_strided(d, kernel, Grid::over(n, BLOCK), f, p, q, to, nest, narrow(n));
}

/// acc += x, both f32.
pub(super) fn accumulate(d: &Driver, x: View, acc: ViewMut) {
    let (nest, n) = (Nest::of([acc.layout, x.layout]), acc.layout.numel());
    let (from, to) = (x.ptr(), acc.ptr());
    if nest.is_flat() && from.is_aligned() && to.is_aligned() {
        // The sum of the two in the place of the first.
        let grid = Grid::over(n, BLOCK * QUAD);
        return launch::binary_dense(
            d,
            Kernel::BinaryDense,
            grid,
            binary_function(Binary::Add),
            to,
            from,
            to,
            narrow(n),
        );
    }
    launch::accumulate(d, Kernel::Accumulate, Grid::over(n, BLOCK), from, to, nest, narrow(n));
}

/// out (u8) = a ? b.
pub(super) fn compare(d: &Driver, f: Compare, a: View, b: View, out: ViewMut) {
    // `Case` in kernels/elementwise.cu.
    let (less, equal, greater, unordered) = (1, 2, 4, 8);
    let holds = match f {
        Compare::Eq => equal,
        Compare::Ne => less | greater | unordered,
        Compare::Lt => less,
        Compare::Le => less | equal,
        Compare::Gt => greater,
        Compare::Ge => greater | equal,
    };
    let kernel = match a.storage.dtype() {
        DType::F32 => Kernel::CompareF32,
        DType::F16 => Kernel::CompareF16,
        DType::BF16 => Kernel::CompareBf16,
        DType::I64 => Kernel::CompareI64,
        DType::U8 => Kernel::CompareU8,
        DType::F64 => unreachable!("there are no f64 tensors on a GPU"),
    };
    let (nest, n) = (Nest::of([out.layout, a.layout, b.layout]), out.layout.numel());
    launch::compare(d, kernel, Grid::over(n, BLOCK), holds, a.ptr(), b.ptr(), out.ptr(), nest, narrow(n));
}

/// out = cond != 0 ? a : b.
pub(super) fn select(d: &Driver, cond: View, a: View, b: View, out: ViewMut) {
    let kernel = match (cond.storage.dtype(), out.storage.dtype().size()) {
        (DType::U8, 1) => Kernel::SelectU8B1,
        (DType::U8, 2) => Kernel::SelectU8B2,
        (DType::U8, 4) => Kernel::SelectU8B4,
        (DType::U8, _) => Kernel::SelectU8B8,
        (_, 1) => Kernel::SelectI64B1,
        (_, 2) => Kernel::SelectI64B2,
        (_, 4) => Kernel::SelectI64B4,
        (_, _) => Kernel::SelectI64B8,
    };
    let nest = Nest::of([out.layout, cond.layout, a.layout, b.layout]);
    let n = out.layout.numel();
    launch::select(d, kernel, Grid::over(n, BLOCK), cond.ptr(), a.ptr(), b.ptr(), out.ptr(), nest, narrow(n));
}
