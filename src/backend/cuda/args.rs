//! What kernels take by value: the structs of kernels/*.cu, field for field.

use crate::DeviceFailure;
use crate::layout::{Layout, coalesce};
use cudarc::driver::DeviceRepr;

/// Dimensions of a [`Nest`]: MAX_RANK in kernels/common.cuh.
const MAX_RANK: usize = 8;

/// Sizes and places are 32-bit in kernels, and a [`Divisor`] takes numerators below 2^31.
pub(super) const MAX_ELEMENTS: usize = 1 << 31;

/// An address in device memory; 0 for no operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub(super) struct Ptr(pub u64);

impl Ptr {
    /// Whether loads of 16 bytes may start here.
    pub fn is_aligned(self) -> bool {
        self.0.is_multiple_of(16)
    }
}

/// Division by a constant d: `n / d = (mulhi(n, mul) + n) >> shift` for n below 2^31.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Divisor {
    pub d: u32,
    mul: u32,
    shift: u32,
}

impl Divisor {
    /// Of a d from 1 to 2^31; 0, of an empty dimension, is never divided by.
    pub fn new(d: usize) -> Divisor {
        let d = narrow(d).max(1);
        let shift = 32 - (d - 1).leading_zeros();
        let mul = ((1u64 << 32) * ((1u64 << shift) - d as u64) / d as u64 + 1) as u32;
        Divisor { d, mul, shift }
    }
}

/// A size as kernels take it.
pub(super) fn narrow(n: usize) -> u32 {
    if n > MAX_ELEMENTS {
        too_large(format!("{n} elements: kernels on a GPU take up to 2^31"));
    }
    n as u32
}

/// Ends an op that no kernel can be launched for.
pub(super) fn too_large(reason: String) -> ! {
    let remedy = "use smaller batches, or the cpu".into();
    DeviceFailure { op: "launch a kernel".into(), reason, wanted: 0, in_use: 0, remedy }.raise()
}

/// A loop nest over N operands; the last dimension is the fastest.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Nest<const N: usize> {
    rank: u32,
    size: [Divisor; MAX_RANK],
    stride: [[u32; MAX_RANK]; N],
}

impl<const N: usize> Nest<N> {
    /// Over layouts of one shape, in the order of the first one's memory; offsets are left to the pointers.
    pub fn of(layouts: [&Layout; N]) -> Nest<N> {
        let (sizes, strides) = coalesce(layouts);
        let strides: [Vec<usize>; N] = std::array::from_fn(|i| strides[i].to_vec());
        Nest::new(&sizes, std::array::from_fn(|i| &strides[i][..]))
    }

    /// From sizes and each operand's strides.
    pub fn new(sizes: &[usize], strides: [&[usize]; N]) -> Nest<N> {
        let mut nest =
            Nest { rank: sizes.len() as u32, size: [Divisor::new(1); MAX_RANK], stride: [[0; MAX_RANK]; N] };
        for (d, &size) in sizes.iter().enumerate() {
            nest.size[d] = Divisor::new(size);
            (0..N).for_each(|i| nest.stride[i][d] = narrow(strides[i][d]));
        }
        nest
    }

    /// Whether every operand lies without gaps in the nest's order.
    pub fn is_flat(&self) -> bool {
        self.rank == 1 && (0..N).all(|i| self.stride[i][0] == 1)
    }

    /// The sizes, slowest first.
    pub fn sizes(&self) -> Vec<usize> {
        self.size[..self.rank as usize].iter().map(|d| d.d as usize).collect()
    }

    /// The strides of one operand, slowest first.
    pub fn strides(&self, operand: usize) -> &[u32] {
        &self.stride[operand][..self.rank as usize]
    }

    /// Operands in another order.
    pub fn reordered(mut self, order: [usize; N]) -> Nest<N> {
        self.stride = order.map(|i| self.stride[i]);
        self
    }
}

/// An elementwise function with its constants.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Function {
    pub id: u32,
    pub constants: [f32; 3],
}

/// How a reduction is cut.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Part {
    pub outputs: u32,
    pub terms: u32,
    /// Terms of a part.
    pub length: u32,
}

/// Batch norm's view of its operand.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Channels {
    pub channels: Divisor,
    pub inner: Divisor,
    pub outer: u32,
}

/// Lines whose neighbours lie side by side: kernels/rows.cuh.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Columns {
    pub inner: Divisor,
    pub n: u32,
    pub count: u32,
}

/// Groups of elements that are normalised together: kernels/group_norm.cu, as the next two.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Groups {
    pub n: u32,
    pub count: u32,
    pub groups: Divisor,
    pub piece: Divisor,
    pub jump: u32,
    pub sample: u32,
    pub inner: Divisor,
    pub members: u32,
    pub quads: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Lanes {
    pub tiles: Divisor,
    pub channels: u32,
    pub positions: u32,
    pub members: u32,
    pub width: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Sums {
    pub rows: u32,
    pub channels: u32,
    pub length: u32,
    pub positions: Divisor,
    pub members: Divisor,
    pub inner: Divisor,
}

/// A GEMM operand as lines with a depth.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Operand {
    pub line_stride: u32,
    pub depth_stride: u32,
    /// Whether quads along the fast dimension are aligned.
    pub vec: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Gemm {
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub a: Operand,
    pub b: Operand,
    pub c_row: u32,
    pub c_column: u32,
    pub c_vec: u32,
    pub bias_stride: u32,
    pub splits: u32,
    /// Depths of a split.
    pub length: u32,
    /// Matrix of the batch that a launch starts with.
    pub first: u32,
    /// Where the matrices C, A, B of the batch start.
    pub batch: Nest<3>,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Conv {
    pub images: u32,
    pub channels: u32,
    pub group_channels: u32,
    pub outputs: u32,
    pub group_outputs: u32,
    pub size: [i32; 2],
    pub out: [i32; 2],
    pub kernel: [i32; 2],
    pub stride: [i32; 2],
    pub padding: [i32; 2],
    pub dilation: [i32; 2],
    /// Taps that a pixel of the input gradient sees are this far apart.
    pub step: [i32; 2],
    pub by_out_rows: Divisor,
    pub by_out_columns: Divisor,
    pub by_kernel_columns: Divisor,
    pub by_group_channels: Divisor,
    pub by_group_outputs: Divisor,
    pub vec_channels: u32,
    pub vec_outputs: u32,
    pub splits: u32,
    pub length: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Window {
    pub kernel: [i32; 2],
    pub stride: [i32; 2],
    pub padding: [i32; 2],
    pub size: [i32; 2],
    pub columns: Divisor,
    pub rows: Divisor,
    pub channels: Divisor,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Resampling {
    pub up: [i32; 2],
    pub down: [i32; 2],
    pub pad: [i32; 2],
    pub taps: [i32; 2],
    pub size: [i32; 2],
    pub columns: Divisor,
    pub rows: Divisor,
    pub channels: Divisor,
    pub flip: u32,
}

/// Distances of neighbours along the dimension that is scattered over.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Steps {
    pub acc: u32,
    pub src: u32,
    pub index: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Draw {
    pub kind: u32,
    pub last: u32,
    pub constants: [f32; 3],
}

/// Parameters of one launch of an optimiser: ROWS in kernels/optim.cu.
pub(super) const ROWS: usize = 32;

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Row {
    pub param: Ptr,
    pub grad: Ptr,
    pub moments: [Ptr; 3],
    pub ema: Ptr,
    pub length: u32,
    pub first_block: u32,
    pub scale: f32,
    pub limit: f32,
    pub ema_keep: f32,
    pub ema_enter: f32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Table {
    pub rows: u32,
    pub row: [Row; ROWS],
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Sgd {
    pub lr: f32,
    pub weight_decay: f32,
    pub momentum: f32,
    pub keep: f32,
    pub enter: f32,
    pub nesterov: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Adam {
    pub step: f32,
    pub rescale: f32,
    pub beta: [f32; 2],
    pub enter: [f32; 2],
    pub eps: f32,
    pub shrink: f32,
    pub weight_decay: f32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct RmsProp {
    pub lr: f32,
    pub alpha: f32,
    pub enter: f32,
    pub eps: f32,
    pub weight_decay: f32,
    pub momentum: f32,
    pub centered: u32,
}

/// Marks structs that kernels take by value.
macro_rules! by_value {
    ($($t:ty),*) => {$(
        // SAFETY: repr(C) or repr(transparent), made of integers, floats and addresses as plain numbers alone, so that
        // its bytes mean on the device what they mean here; launch.rs checks its size against the kernel's parameter.
        unsafe impl DeviceRepr for $t {}
    )*};
}
by_value!(
    Ptr,
    Divisor,
    Nest<1>,
    Nest<2>,
    Nest<3>,
    Nest<4>,
    Function,
    Part,
    Channels,
    Columns,
    Gemm,
    Conv,
    Window,
    Resampling
);
by_value!(Groups, Lanes, Sums, Steps, Draw, Table, Sgd, Adam, RmsProp);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `quotient` of kernels/common.cuh.
    fn quotient(n: u32, by: Divisor) -> u32 {
        (((n as u64 * by.mul as u64) >> 32) as u32).wrapping_add(n) >> by.shift
    }

    proptest! {
        #[test]
        fn divides_exactly(n in 0u32..1 << 31, d in 1u32..=1 << 31, small in 1u32..300) {
            for d in [d, small, n.max(1), (n / 2).max(1)] {
                prop_assert_eq!(quotient(n, Divisor::new(d as usize)), n / d);
                // Around multiples, where a wrong constant would show.
                let near = (n / d * d).saturating_sub(1);
                prop_assert_eq!(quotient(near, Divisor::new(d as usize)), near / d);
            }
        }
    }
}
