//! Layers as data: what a network is made of, in configuration files and recorded traces.

mod build;
mod constructors;

use super::*;
use serde::{Deserialize, Deserializer, Serialize};

/// One layer, named and parametrised as in PyTorch.
///
/// ```
/// use ganvil::nn::LayerSpec;
/// let layer: LayerSpec = serde_json::from_str(r#"{ "type": "Linear", "in": 3, "out": 2 }"#)?;
/// assert_eq!(layer, LayerSpec::linear(3, 2));
/// let text = r#"{ "type": "Residual", "scale": 0.2, "body": [{ "type": "ReLU" }] }"#;
/// let block: LayerSpec = serde_json::from_str(text)?;
/// assert_eq!(block, LayerSpec::Residual { body: vec![LayerSpec::ReLU], shortcut: vec![], scale: 0.2 });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum LayerSpec {
    /// See [`super::Linear`].
    Linear {
        /// Features of the input.
        #[serde(rename = "in")]
        inputs: usize,
        /// Features of the output.
        #[serde(rename = "out")]
        outputs: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
        /// In place of the network's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        init: Option<Init>,
        /// Whether it is under [`super::SpectralNorm`].
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// See [`super::Conv2d`].
    Conv2d {
        /// Channels of the input.
        #[serde(rename = "in")]
        inputs: usize,
        /// Channels of the output.
        #[serde(rename = "out")]
        outputs: usize,
        /// Rows and columns of the window: a list, or one number, as in all that follow.
        #[serde(deserialize_with = "pair::sizes")]
        kernel: [usize; 2],
        /// Pixels the window moves by.
        #[serde(default = "ones", deserialize_with = "pair::sizes")]
        stride: [usize; 2],
        /// Zeros on each side.
        #[serde(default, deserialize_with = "pair::sizes")]
        padding: [usize; 2],
        /// Distance between taps.
        #[serde(default = "ones", deserialize_with = "pair::sizes")]
        dilation: [usize; 2],
        /// Parts the channels are cut into.
        #[serde(default = "one_group")]
        groups: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
        /// In place of the network's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        init: Option<Init>,
        /// Whether it is under [`super::SpectralNorm`].
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// See [`super::ConvTranspose2d`].
    ConvTranspose2d {
        /// Channels of the input.
        #[serde(rename = "in")]
        inputs: usize,
        /// Channels of the output.
        #[serde(rename = "out")]
        outputs: usize,
        /// Rows and columns of the window: a list, or one number, as in all that follow.
        #[serde(deserialize_with = "pair::sizes")]
        kernel: [usize; 2],
        /// Pixels the window moves by.
        #[serde(default = "ones", deserialize_with = "pair::sizes")]
        stride: [usize; 2],
        /// Pixels taken away on each side.
        #[serde(default, deserialize_with = "pair::sizes")]
        padding: [usize; 2],
        /// Added to the size of the result.
        #[serde(default, deserialize_with = "pair::sizes")]
        output_padding: [usize; 2],
        /// Distance between taps.
        #[serde(default = "ones", deserialize_with = "pair::sizes")]
        dilation: [usize; 2],
        /// Parts the channels are cut into.
        #[serde(default = "one_group")]
        groups: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
        /// In place of the network's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        init: Option<Init>,
        /// Whether it is under [`super::SpectralNorm`].
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// See [`super::BatchNorm1d`].
    BatchNorm1d {
        /// Channels.
        num_features: usize,
        /// Added to the variance.
        #[serde(default = "norm_eps")]
        eps: f64,
        /// Share of a batch's statistics in the running ones.
        #[serde(default = "batch_norm_momentum")]
        momentum: f64,
    },
    /// See [`super::BatchNorm2d`].
    BatchNorm2d {
        /// Channels.
        num_features: usize,
        /// Added to the variance.
        #[serde(default = "norm_eps")]
        eps: f64,
        /// Share of a batch's statistics in the running ones.
        #[serde(default = "batch_norm_momentum")]
        momentum: f64,
    },
    /// See [`super::LayerNorm`].
    LayerNorm {
        /// A list, or one number.
        #[serde(deserialize_with = "one_or_many")]
        normalized_shape: Vec<usize>,
        /// Added to the variance.
        #[serde(default = "norm_eps")]
        eps: f64,
        /// Whether there are weight and bias.
        #[serde(default = "yes")]
        elementwise_affine: bool,
    },
    /// See [`super::GroupNorm`].
    GroupNorm {
        /// Groups of channels.
        num_groups: usize,
        /// Channels.
        num_channels: usize,
        /// Added to the variance.
        #[serde(default = "norm_eps")]
        eps: f64,
        /// Whether there are weight and bias.
        #[serde(default = "yes")]
        affine: bool,
    },
    /// See [`super::InstanceNorm1d`].
    InstanceNorm1d {
        /// Channels.
        num_features: usize,
        /// Added to the variance.
        #[serde(default = "norm_eps")]
        eps: f64,
        /// Whether there are weight and bias.
        #[serde(default)]
        affine: bool,
    },
    /// See [`super::InstanceNorm2d`].
    InstanceNorm2d {
        /// Channels.
        num_features: usize,
        /// Added to the variance.
        #[serde(default = "norm_eps")]
        eps: f64,
        /// Whether there are weight and bias.
        #[serde(default)]
        affine: bool,
    },
    /// See [`super::ConditionalBatchNorm2d`].
    ConditionalBatchNorm2d {
        /// Channels.
        num_features: usize,
        /// Classes.
        num_classes: usize,
        /// Added to the variance.
        #[serde(default = "norm_eps")]
        eps: f64,
        /// Share of a batch's statistics in the running ones.
        #[serde(default = "batch_norm_momentum")]
        momentum: f64,
    },
    /// See [`super::PixelNorm`].
    PixelNorm(PixelNorm),
    /// See [`super::AvgPool2d`].
    AvgPool2d(AvgPool2d),
    /// See [`super::MaxPool2d`].
    MaxPool2d(MaxPool2d),
    /// See [`super::AdaptiveAvgPool2d`].
    AdaptiveAvgPool2d(AdaptiveAvgPool2d),
    /// See [`super::GlobalSumPool`].
    GlobalSumPool,
    /// See [`super::Upsample`].
    Upsample(Upsample),
    /// See [`super::PixelShuffle`].
    PixelShuffle(PixelShuffle),
    /// See [`super::SelfAttention`].
    SelfAttention {
        /// Channels; at least 8.
        channels: usize,
        /// Whether its weights are under [`super::SpectralNorm`].
        #[serde(default, skip_serializing_if = "is_false")]
        spectral_norm: bool,
    },
    /// See [`super::MinibatchStdDev`].
    MinibatchStdDev(MinibatchStdDev),
    /// See [`super::MinibatchDiscrimination`].
    MinibatchDiscrimination {
        /// Features of the input.
        #[serde(rename = "in")]
        inputs: usize,
        /// New features.
        kernels: usize,
        /// Comparisons for each of them.
        kernel_dims: usize,
    },
    /// See [`super::LeakyReLU`].
    LeakyReLU {
        /// Slope below 0.
        negative_slope: f64,
    },
    /// max(x, 0).
    ReLU,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// ln(1 + e^x).
    Softplus,
    /// See [`super::Dropout`].
    Dropout {
        /// Drop probability.
        p: f64,
    },
    /// All dimensions but the batch's become one.
    Flatten,
    /// The dimensions behind the batch's get this shape.
    Unflatten {
        /// The new dimensions behind the batch.
        shape: Vec<usize>,
    },
    /// See [`super::Residual`]; without layers the shortcut is the identity.
    Residual {
        /// What is added to the shortcut.
        body: Vec<LayerSpec>,
        /// What the input goes through; nothing for the input itself.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        shortcut: Vec<LayerSpec>,
        /// Factor of the body.
        #[serde(default = "one")]
        scale: f64,
    },
    /// See [`super::Branches`]; each branch is a sequence.
    Branches {
        /// One sequence for each branch.
        branches: Vec<Vec<LayerSpec>>,
        /// How their results become one.
        join: Join,
    },
}

fn yes() -> bool {
    true
}
fn is_false(b: &bool) -> bool {
    !b
}
fn one() -> f64 {
    1.0
}
fn ones() -> [usize; 2] {
    [1, 1]
}
fn one_group() -> usize {
    1
}
fn norm_eps() -> f64 {
    1e-5
}
fn batch_norm_momentum() -> f64 {
    0.1
}

/// PyTorch takes a number for a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sizes {
        One(usize),
        Many(Vec<usize>),
    }
    Ok(match Sizes::deserialize(d)? {
        Sizes::One(n) => vec![n],
        Sizes::Many(all) => all,
    })
}

impl LayerSpec {
    /// Whether a sample's result depends on the other samples of a training batch, which a gradient penalty cannot do
    /// with.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec as L;
    /// let block = |norm| L::Residual { body: vec![norm, L::ReLU], shortcut: vec![], scale: 1.0 };
    /// assert!(block(L::batch_norm1d(8)).mixes_samples());
    /// assert!(!block(L::layer_norm(&[8])).mixes_samples());
    /// ```
    pub fn mixes_samples(&self) -> bool {
        self.mixer().is_some()
    }

    /// The type of the first layer that makes a sample's result depend on the others.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec as L;
    /// assert_eq!((L::batch_norm2d(8).mixer(), L::Flatten.mixer()), (Some("BatchNorm2d"), None));
    /// ```
    pub fn mixer(&self) -> Option<&'static str> {
        let first = |specs: &[LayerSpec]| specs.iter().find_map(LayerSpec::mixer);
        match self {
            LayerSpec::BatchNorm1d { .. } => Some("BatchNorm1d"),
            LayerSpec::BatchNorm2d { .. } => Some("BatchNorm2d"),
            LayerSpec::ConditionalBatchNorm2d { .. } => Some("ConditionalBatchNorm2d"),
            LayerSpec::MinibatchStdDev(_) => Some("MinibatchStdDev"),
            LayerSpec::MinibatchDiscrimination { .. } => Some("MinibatchDiscrimination"),
            LayerSpec::Residual { body, shortcut, .. } => first(body).or_else(|| first(shortcut)),
            LayerSpec::Branches { branches, .. } => branches.iter().find_map(|b| first(b)),
            _ => None,
        }
    }
}
