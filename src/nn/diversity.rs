//! Layers that show a discriminator how samples of a batch differ, against a generator that makes few of them. A
//! sample's result depends on the others: such a layer does not go with a gradient penalty.

use super::{Ctx, Kind, Module, init, state::visits};
use crate::error::misuse;
use crate::{Generator, Tensor};
use serde::{Deserialize, Serialize};

fn one() -> usize {
    1
}
fn small() -> f64 {
    1e-8
}

/// Channels scaled to a mean square of 1 at each pixel: see [`Tensor::pixel_norm`].
///
/// ```
/// use ganvil::nn::{Ctx, Module, PixelNorm};
/// use ganvil::Tensor;
/// let y = PixelNorm { eps: 0.0 }.forward(&Tensor::from([[3.0f32, -3.0]]), &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), [1.0, -1.0]);
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelNorm {
    /// Added to the mean square; the paper's is 1e-8.
    #[serde(default = "small")]
    pub eps: f64,
}

impl Module for PixelNorm {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.pixel_norm(self.eps)
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// Channels with the standard deviation over groups of samples appended: see [`Tensor::minibatch_stddev`].
///
/// ```
/// use ganvil::nn::{Ctx, MinibatchStdDev, Module};
/// use ganvil::{DType, Device, Tensor};
/// let layer = MinibatchStdDev { group_size: Some(4), num_channels: 1, eps: 1e-8 };
/// let x = Tensor::ones(&[8, 16, 4, 4], DType::F32, Device::Cpu);
/// assert_eq!(layer.forward(&x, &Ctx::eval()).shape(), [8, 17, 4, 4]);
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinibatchStdDev {
    /// Samples in a group; None for the whole batch.
    #[serde(default)]
    pub group_size: Option<usize>,
    /// Channels appended.
    #[serde(default = "one")]
    pub num_channels: usize,
    /// Added to the variance.
    #[serde(default = "small")]
    pub eps: f64,
}

impl Module for MinibatchStdDev {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.minibatch_stddev(self.group_size, self.num_channels, self.eps)
    }
    visits!();
}

/// Minibatch discrimination (Salimans et al., 2016, arXiv:1606.03498, section 3.2): features `[n, a]` with `b` more that
/// say how close a sample is to the others of its batch.
///
/// With `M_i = x_i T`, a matrix `[b, c]`, sample i gets `o_ik = sum_{j != i} exp(-|M_ik - M_jk|_1)` for each row k. It
/// costs `n^2 b c`. Real and fake samples go through in batches of their own.
///
/// ```
/// use ganvil::nn::{Ctx, MinibatchDiscrimination, Module};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let mut layer = MinibatchDiscrimination::new(1, 1, 1, &Generator::new(0, Stream::Init));
/// layer.table = Tensor::new(&[1.0f64], &[1, 1, 1]).requires_grad();
/// let y = layer.forward(&Tensor::from([[0.0f64], [0.0], [2.0]]), &Ctx::eval());
/// let near = 1.0 + (-2.0f64).exp();
/// assert!((y.to_vec::<f64>()[1] - near).abs() < 1e-15);
/// ```
#[derive(Clone)]
pub struct MinibatchDiscrimination {
    /// `[a, b, c]`, named `T` in the state dict.
    pub table: Tensor,
}

impl MinibatchDiscrimination {
    /// `b` new features from `c` comparisons each. Columns of T start with a norm of about 1, as the authors' code
    /// keeps them: N(0, 1 / a).
    pub fn new(
        in_features: usize,
        kernels: usize,
        kernel_dims: usize,
        random: &Generator,
    ) -> MinibatchDiscrimination {
        let std = 1.0 / (in_features.max(1) as f64).sqrt();
        let table = init::normal(&[in_features, kernels, kernel_dims], 0.0, std, random);
        MinibatchDiscrimination { table: table.requires_grad() }
    }
}

impl Module for MinibatchDiscrimination {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        let [a, b, c] = [0, 1, 2].map(|d| self.table.size(d));
        if x.rank() != 2 || x.shape()[1] != a {
            misuse!(
                "minibatch_discrimination",
                "needs x [batch, {a}], got shape {:?}; flatten it",
                x.shape()
            );
        }
        let n = x.shape()[0];
        let m = x.matmul(&self.table.reshape(&[a, b * c]));
        let apart = m.reshape(&[n, 1, b, c]).sub(&m.reshape(&[1, n, b, c])).abs().sum(&[3], false);
        // A sample is at distance 0 from itself, which is taken off.
        let close = apart.neg().exp().sum(&[1], false).add_scalar(-1.0);
        Tensor::cat(&[x, &close], 1)
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        f(&format!("{path}T"), Kind::Parameter, &self.table);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        f(&format!("{path}T"), Kind::Parameter, &mut self.table);
    }
}
