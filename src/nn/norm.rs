//! Normalisation within a sample: the same in training and in evaluation, and the only kind that goes with a gradient
//! penalty.

use super::state::visits;
use super::{Ctx, Module};
use crate::error::misuse;
use crate::{DType, Device, Tensor};

/// Panics unless x is `[batch, features, ..]` of one of the ranks and with this many features.
pub(super) fn check_input(op: &str, x: &Tensor, features: usize, ranks: &[usize], otherwise: &str) {
    const SHAPES: [&str; 3] =
        ["[batch, features]", "[batch, features, length]", "[batch, features, height, width]"];
    if !ranks.contains(&x.rank()) {
        let shapes: Vec<&str> = ranks.iter().map(|r| SHAPES[r - 2]).collect();
        misuse!(op, "needs x {}, got shape {:?}; {otherwise}", shapes.join(" or "), x.shape());
    }
    if x.shape()[1] != features {
        misuse!(
            op,
            "was made for {features} features, x {:?} has {} in dimension 1; they must be equal",
            x.shape(),
            x.shape()[1]
        );
    }
}

/// A weight of ones and a bias of zeros, if wanted.
fn affine(shape: &[usize], wanted: bool) -> (Option<Tensor>, Option<Tensor>) {
    let full = |v| wanted.then(|| Tensor::full(shape, v, DType::F32, Device::Cpu).requires_grad());
    (full(1.0), full(0.0))
}

/// Layer normalisation (Ba et al., 2016, arXiv:1607.06450): y = (x - mean) / sqrt(var + eps) * weight + bias, mean and
/// biased variance over the last dimensions of each sample.
///
/// ```
/// use ganvil::nn::{Ctx, LayerNorm, Module};
/// use ganvil::Tensor;
/// let y = LayerNorm::new(&[2], 0.0, true).forward(&Tensor::from([[1.0f32, 3.0], [-8.0, 8.0]]), &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 1.0, -1.0, 1.0]);
/// ```
#[derive(Clone)]
pub struct LayerNorm {
    /// `normalized_shape`, from 1; none without affine.
    pub weight: Option<Tensor>,
    /// `normalized_shape`, from 0; none without affine.
    pub bias: Option<Tensor>,
    /// The sizes of the dimensions that are normalised over: x's last ones.
    pub normalized_shape: Vec<usize>,
    /// Added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// Over the last dimensions, which have these sizes. PyTorch's eps is 1e-5, and `affine` true.
    ///
    /// ```
    /// use ganvil::nn::LayerNorm;
    /// assert_eq!(LayerNorm::new(&[3, 4], 1e-5, true).weight.unwrap().shape(), [3, 4]);
    /// assert!(LayerNorm::new(&[3, 4], 1e-5, false).bias.is_none());
    /// ```
    pub fn new(normalized_shape: &[usize], eps: f64, affine: bool) -> LayerNorm {
        let (weight, bias) = self::affine(normalized_shape, affine);
        LayerNorm { weight, bias, normalized_shape: normalized_shape.to_vec(), eps }
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.layer_norm(&self.normalized_shape, self.weight.as_ref(), self.bias.as_ref(), self.eps)
    }
    visits!(Parameter weight, Parameter bias);

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// Group normalisation (Wu and He, 2018, arXiv:1803.08494): as [`LayerNorm`], over all positions of each group of
/// neighbouring channels; weight and bias are per channel.
///
/// ```
/// use ganvil::nn::{Ctx, GroupNorm, Module};
/// use ganvil::Tensor;
/// let x = Tensor::from([[1.0f32, 3.0, 10.0, 30.0]]);
/// let y = GroupNorm::new(2, 4, 0.0, true).forward(&x, &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 1.0, -1.0, 1.0]);
/// ```
#[derive(Clone)]
pub struct GroupNorm {
    /// `[channels]`, from 1; none without affine.
    pub weight: Option<Tensor>,
    /// `[channels]`, from 0; none without affine.
    pub bias: Option<Tensor>,
    /// Number of groups.
    pub num_groups: usize,
    /// Number of channels.
    pub num_channels: usize,
    /// Added to the variance.
    pub eps: f64,
}

impl GroupNorm {
    /// For `[batch, num_channels, ..]`. PyTorch's eps is 1e-5, and `affine` true.
    ///
    /// ```
    /// use ganvil::nn::GroupNorm;
    /// assert_eq!(GroupNorm::new(2, 8, 1e-5, true).weight.unwrap().shape(), [8]);
    /// ```
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(num_groups: usize, num_channels: usize, eps: f64, affine: bool) -> GroupNorm {
        if num_groups == 0 || !num_channels.is_multiple_of(num_groups) {
            misuse!("group_norm", "{num_groups} groups do not divide {num_channels} channels; use a divisor");
        }
        let (weight, bias) = self::affine(&[num_channels], affine);
        GroupNorm { weight, bias, num_groups, num_channels, eps }
    }
}

impl Module for GroupNorm {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        // Without affine the op alone would take any multiple of the groups.
        if x.rank() >= 2 && x.shape()[1] != self.num_channels {
            misuse!(
                "group_norm",
                "was made for {} channels, x {:?} has {} in dimension 1; they must be equal",
                self.num_channels,
                x.shape(),
                x.shape()[1]
            );
        }
        x.group_norm(self.num_groups, self.weight.as_ref(), self.bias.as_ref(), self.eps)
    }
    visits!(Parameter weight, Parameter bias);

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// Instance normalisation (Ulyanov et al., 2016, arXiv:1607.08022): as [`LayerNorm`], over the positions of each
/// channel of each sample; weight and bias are per channel. It has no running statistics. [`InstanceNorm1d`] takes
/// `[batch, features, length]`, [`InstanceNorm2d`] `[batch, features, height, width]`; other ranks are refused.
///
/// ```
/// use ganvil::nn::{Ctx, InstanceNorm, Module};
/// use ganvil::Tensor;
/// let x = Tensor::new(&[1.0f32, 3.0, 3.0, 1.0], &[1, 1, 2, 2]);
/// let y = InstanceNorm::<2>::new(1, 0.0, true).forward(&x, &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 1.0, 1.0, -1.0]);
/// ```
#[derive(Clone)]
pub struct InstanceNorm<const DIMS: usize> {
    /// `[features]`, from 1; none without affine.
    pub weight: Option<Tensor>,
    /// `[features]`, from 0; none without affine.
    pub bias: Option<Tensor>,
    /// Number of channels.
    pub num_features: usize,
    /// Added to the variance.
    pub eps: f64,
}

/// [`InstanceNorm`] of sequences, `[batch, features, length]`.
///
/// ```
/// use ganvil::nn::{Ctx, InstanceNorm1d, Module};
/// use ganvil::Tensor;
/// let x = Tensor::new(&[1.0f32, 3.0, 10.0, 30.0], &[1, 2, 2]);
/// let y = InstanceNorm1d::new(2, 0.0, false).forward(&x, &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 1.0, -1.0, 1.0]);
/// ```
pub type InstanceNorm1d = InstanceNorm<1>;

/// [`InstanceNorm`] of images, `[batch, features, height, width]`.
///
/// ```
/// use ganvil::nn::{InstanceNorm2d, parameter_count};
/// assert_eq!(parameter_count(&InstanceNorm2d::new(8, 1e-5, false)), 0);
/// assert_eq!(parameter_count(&InstanceNorm2d::new(8, 1e-5, true)), 16);
/// ```
pub type InstanceNorm2d = InstanceNorm<2>;

impl<const DIMS: usize> InstanceNorm<DIMS> {
    const KNOWN: () = assert!(DIMS == 1 || DIMS == 2, "there are InstanceNorm1d and InstanceNorm2d");

    /// PyTorch's eps is 1e-5, and `affine` false.
    ///
    /// ```
    /// use ganvil::nn::InstanceNorm2d;
    /// assert!(InstanceNorm2d::new(8, 1e-5, false).weight.is_none());
    /// ```
    pub fn new(num_features: usize, eps: f64, affine: bool) -> InstanceNorm<DIMS> {
        let () = Self::KNOWN;
        let (weight, bias) = self::affine(&[num_features], affine);
        InstanceNorm { weight, bias, num_features, eps }
    }
}

impl<const DIMS: usize> Module for InstanceNorm<DIMS> {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        match DIMS {
            1 => check_input("instance_norm1d", x, self.num_features, &[3], "use InstanceNorm2d for images"),
            _ => {
                check_input("instance_norm2d", x, self.num_features, &[4], "use InstanceNorm1d for sequences")
            }
        }
        x.instance_norm(self.weight.as_ref(), self.bias.as_ref(), self.eps)
    }
    visits!(Parameter weight, Parameter bias);

    fn is_per_sample(&self) -> bool {
        true
    }

    fn type_name(&self) -> &'static str {
        if DIMS == 1 { "InstanceNorm1d" } else { "InstanceNorm2d" }
    }
}
