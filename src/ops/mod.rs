//! Operations: forward, derivative rule and documentation side by side, one file per family.
//!
//! An op checks its operands, has its device's backend compute the value, and records a node with its rule. Rules
//! are written in terms of these same ops. Nothing here knows which device it runs on.

mod activation;
mod attention;
mod binary;
mod compare;
mod conditional_norm;
mod conv;
mod dropout;
mod index;
mod interpolate;
mod layer_norm;
mod loss;
mod matmul;
mod matrix;
mod modulated_conv;
mod norm;
pub(crate) mod optim;
mod order;
mod pad;
mod part;
mod pixel_shuffle;
mod pool;
mod progressive;
mod reduce;
mod shape;
mod softmax;
mod spectral_norm;
mod unary;
mod upfirdn;

pub use activation::Activation;
pub use attention::Projection;
pub use interpolate::Interpolation;
pub use loss::Reduction;
pub(crate) use norm::BatchNorm;
pub use pad::PadMode;
pub use spectral_norm::SpectralOrder;

use crate::error::misuse;
use crate::layout::{broadcast_shapes, check_shape};
use crate::{DType, Device, Dims, Layout, Tensor};

/// The gradients of an op with one input.
fn one(g: Tensor) -> Vec<Option<Tensor>> {
    vec![Some(g)]
}

impl Tensor {
    /// A dimension number checked and counted from the start.
    #[track_caller]
    pub(crate) fn dim(&self, op: &str, dim: isize) -> usize {
        resolve_dim(op, self.shape(), self.rank(), dim)
    }

    /// Checked dimension numbers as a mask over the dimensions; none listed means all. As in PyTorch, a scalar may be
    /// reduced over a dimension 0 that it does not have.
    #[track_caller]
    pub(crate) fn dim_mask(&self, op: &str, dims: &[isize]) -> Dims<bool> {
        let mut mask = Dims::filled(self.rank(), dims.is_empty());
        for &d in dims.iter().filter(|d| !self.is_scalar_along(**d)) {
            let i = self.dim(op, d);
            if mask[i] {
                misuse!(op, "dimension {d} is listed twice in {dims:?} (shape {:?})", self.shape());
            }
            mask[i] = true;
        }
        mask
    }

    /// Whether this is a 0-dimensional tensor and `dim` the one dimension it would have as a vector.
    fn is_scalar_along(&self, dim: isize) -> bool {
        self.rank() == 0 && matches!(dim, 0 | -1)
    }

    /// Panics unless the dtype is a float.
    #[track_caller]
    fn check_float(&self, op: &str) {
        if !self.dtype().is_float() {
            misuse!(
                op,
                "takes floats, got {} (shape {:?}); convert with to_dtype(DType::F32) first",
                self.dtype(),
                self.shape()
            );
        }
    }

    /// Panics unless the dtype is f32 or f64.
    #[track_caller]
    fn check_full(&self, op: &str) {
        if !matches!(self.dtype(), DType::F32 | DType::F64) {
            misuse!(
                op,
                "takes f32 or f64, got {} (shape {:?}); convert with to_dtype(DType::F32) first",
                self.dtype(),
                self.shape()
            );
        }
    }

    /// Panics unless both are on one device and of one dtype.
    #[track_caller]
    fn check_with(&self, op: &str, other: &Tensor) {
        check_devices(op, self, other);
        if self.dtype() != other.dtype() {
            misuse!(
                op,
                "dtypes {} (shape {:?}) and {} (shape {:?}) do not mix; convert one of them with to_dtype",
                self.dtype(),
                self.shape(),
                other.dtype(),
                other.shape()
            );
        }
    }

    /// The gradient of a broadcast input: summed over the dimensions in which that input was repeated. The one
    /// place where broadcasting is undone.
    pub(crate) fn sum_to(&self, shape: &[usize]) -> Tensor {
        if self.shape() == shape {
            return self.clone();
        }
        let lead = self.rank() - shape.len();
        let repeated = |d: usize| d < lead || (shape[d - lead] == 1 && self.shape()[d] != 1);
        let dims: Vec<isize> = (0..self.rank()).filter(|&d| repeated(d)).map(|d| d as isize).collect();
        let summed = if dims.is_empty() { self.clone() } else { self.sum(&dims, true) };
        if lead == 0 { summed } else { summed.reshape(shape) }
    }
}

/// A dimension number, negative ones counted from the end, checked against a rank.
#[track_caller]
fn resolve_dim(op: &str, shape: &[usize], rank: usize, dim: isize) -> usize {
    if rank == 0 {
        misuse!(
            op,
            "there is no dimension {dim}: the tensor has shape [] and so none; unsqueeze it or leave dims empty"
        );
    }
    let resolved = if dim < 0 { dim + rank as isize } else { dim };
    if resolved < 0 || resolved >= rank as isize {
        misuse!(
            op,
            "dimension {dim} is out of range for shape {shape:?}; valid are {} to {}",
            -(rank as isize),
            rank as isize - 1
        );
    }
    resolved as usize
}

#[track_caller]
fn check_devices(op: &str, a: &Tensor, b: &Tensor) {
    if a.device() != b.device() {
        misuse!(
            op,
            "the tensors are on different devices, {} (shape {:?}) and {} (shape {:?}); move one with to_device",
            a.device(),
            a.shape(),
            b.device(),
            b.shape()
        );
    }
}

/// The shape two tensors broadcast to.
#[track_caller]
fn broadcast(op: &str, a: &[usize], b: &[usize]) -> Dims {
    let Some(shape) = broadcast_shapes(a, b) else {
        misuse!(
            op,
            "shapes {a:?} and {b:?} do not broadcast; aligned at the last dimension, sizes must be equal or 1"
        )
    };
    check_shape(op, &shape);
    shape
}

/// The layout of an elementwise result: the order in memory of the first operand that is not repeated within a sample.
/// Dimension 0 decides nothing, so that one sample lies as it does in a batch.
fn elementwise_layout<const N: usize>(shape: &[usize], operands: [&Tensor; N]) -> Layout {
    operands
        .iter()
        .find(|t| {
            t.rank() == shape.len() && t.shape().get(1..) == shape.get(1..) && !t.layout().repeats_within()
        })
        .map_or_else(|| Layout::contiguous(shape), |t| expand_layout(t, shape).like())
}

/// A tensor's layout repeated to a shape that it is known to broadcast to.
fn expand_layout(t: &Tensor, shape: &[usize]) -> Layout {
    t.layout().expanded(shape).expect("the shapes were checked to broadcast")
}

/// The scalar 0-dimensional constant beside a tensor.
fn constant(like: &Tensor, value: f64) -> Tensor {
    Tensor::scalar(value, like.dtype(), like.device())
}

/// Zeros beside a tensor, in another shape.
fn zeros_beside(like: &Tensor, shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, like.dtype(), like.device())
}

/// Moves or converts: see [`Tensor::to_dtype`] and [`Tensor::to_device`].
mod convert {
    use super::*;
    use crate::tensor::node::{Context, NonDifferentiable, Op};

    struct ToDtype(DType);
    impl Op for ToDtype {
        fn name(&self) -> &'static str {
            "to_dtype"
        }
        fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
            one(g.to_dtype(self.0))
        }
    }

    struct ToDevice(Device);
    impl Op for ToDevice {
        fn name(&self) -> &'static str {
            "to_device"
        }
        fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
            one(g.to_device(self.0))
        }
    }

    impl Tensor {
        /// The values in another dtype. Floats to integers truncate towards zero and saturate (no derivative);
        /// between floats the derivative is 1.
        ///
        /// ```
        /// use ganvil::{DType, Tensor};
        /// let x = Tensor::from(&[1.75f32, -1.75, 300.0][..]);
        /// assert_eq!(x.to_dtype(DType::U8).to_vec::<u8>(), [1, 0, 255]);
        /// ```
        #[track_caller]
        pub fn to_dtype(&self, dtype: DType) -> Tensor {
            if dtype == self.dtype() {
                return self.clone();
            }
            let out = Tensor::build(self.layout().like(), dtype, self.device(), |out| {
                self.backend().cast(self.view(), out)
            });
            if dtype.is_float() {
                out.record(ToDtype(self.dtype()), &[self], &[])
            } else {
                out.record(NonDifferentiable("to_dtype"), &[self], &[])
            }
        }

        /// The values on another device; derivative 1.
        ///
        /// ```
        /// use ganvil::{Device, Tensor};
        /// let shape_only = Tensor::from([[1.0f32, 2.0]]).to_device(Device::Meta);
        /// assert_eq!((shape_only.shape(), shape_only.device()), (&[1, 2][..], Device::Meta));
        /// ```
        ///
        /// # Panics
        /// If this is on the meta device and is to leave it: it has no values.
        #[track_caller]
        pub fn to_device(&self, device: Device) -> Tensor {
            if device == self.device() {
                return self.clone();
            }
            self.transferred(device).record(ToDevice(self.device()), &[self], &[])
        }
    }
}
