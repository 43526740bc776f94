//! Changes of shape between layers.

use super::state::visits;
use super::{Ctx, Module};
use crate::Tensor;
use crate::error::misuse;

/// All dimensions but the first, the batch's, merged into one, in row-major order.
///
/// ```
/// use ganvil::nn::{Ctx, Flatten, Module};
/// use ganvil::{DType, Device, Tensor};
/// let x = Tensor::ones(&[5, 2, 3, 4], DType::F32, Device::Cpu);
/// assert_eq!(Flatten.forward(&x, &Ctx::eval()).shape(), [5, 24]);
/// ```
#[derive(Clone)]
pub struct Flatten;

impl Module for Flatten {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        let [batch, rest @ ..] = x.shape() else {
            misuse!("flatten", "needs x [batch, ..], got shape []; unsqueeze it");
        };
        x.reshape(&[*batch, rest.iter().product()])
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// What is behind the batch's dimension, as a block of the given shape, in row-major order.
///
/// ```
/// use ganvil::nn::{Ctx, Module, Unflatten};
/// use ganvil::{DType, Device, Tensor};
/// let x = Tensor::ones(&[5, 24], DType::F32, Device::Cpu);
/// assert_eq!(Unflatten { shape: vec![2, 3, 4] }.forward(&x, &Ctx::eval()).shape(), [5, 2, 3, 4]);
/// ```
#[derive(Clone)]
pub struct Unflatten {
    /// The sizes of a sample's dimensions.
    pub shape: Vec<usize>,
}

impl Module for Unflatten {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        let sizes = &self.shape;
        let values = sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        match x.shape() {
            [batch, rest @ ..] if Some(rest.iter().product()) == values => {
                x.reshape(&[&[*batch], &sizes[..]].concat())
            }
            other => misuse!(
                "unflatten",
                "cannot cut x {other:?} into samples of {sizes:?}; a sample must have as many values as that shape"
            ),
        }
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}
