//! Layers as data: what a network is made of, in configuration files and recorded traces.

use super::*;
use crate::error::misuse;
use crate::{ConvOptions, Generator};
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
    /// A Linear layer with bias.
    ///
    /// ```
    /// use ganvil::nn::{Ctx, LayerSpec};
    /// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
    /// let f = LayerSpec::linear(3, 2).build(&Generator::new(0, Stream::Init));
    /// assert_eq!(f.forward(&Tensor::ones(&[5, 3], DType::F32, Device::Cpu), &Ctx::eval()).shape(), [5, 2]);
    /// ```
    pub fn linear(inputs: usize, outputs: usize) -> LayerSpec {
        LayerSpec::Linear { inputs, outputs, bias: true, init: None, spectral_norm: false }
    }

    /// A square Conv2d layer, without bias if batch normalisation follows.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "Conv2d", "in": 1, "out": 64, "kernel": 4, "stride": [2, 2], "padding": 1, "bias": false }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::conv2d(1, 64, 4, 2, 1, false));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn conv2d(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        bias: bool,
    ) -> LayerSpec {
        let both = |n| [n, n];
        let (kernel, stride, padding) = (both(kernel), both(stride), both(padding));
        LayerSpec::Conv2d {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
            dilation: ones(),
            groups: 1,
            bias,
            init: None,
            spectral_norm: false,
        }
    }

    /// A square ConvTranspose2d layer, without bias if batch normalisation follows.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "ConvTranspose2d", "in": 64, "out": 1, "kernel": 4, "stride": 2, "padding": 1 }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::conv_transpose2d(64, 1, 4, 2, 1, true));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn conv_transpose2d(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        bias: bool,
    ) -> LayerSpec {
        let both = |n| [n, n];
        let (kernel, stride, padding) = (both(kernel), both(stride), both(padding));
        LayerSpec::ConvTranspose2d {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
            output_padding: [0, 0],
            dilation: ones(),
            groups: 1,
            bias,
            init: None,
            spectral_norm: false,
        }
    }

    /// A BatchNorm1d layer with PyTorch's eps and momentum.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "BatchNorm1d", "num_features": 8, "eps": 1e-5, "momentum": 0.1 }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::batch_norm1d(8));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn batch_norm1d(num_features: usize) -> LayerSpec {
        LayerSpec::BatchNorm1d { num_features, eps: norm_eps(), momentum: batch_norm_momentum() }
    }

    /// A BatchNorm2d layer with PyTorch's eps and momentum.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "BatchNorm2d", "num_features": 8, "eps": 1e-5, "momentum": 0.1 }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::batch_norm2d(8));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn batch_norm2d(num_features: usize) -> LayerSpec {
        LayerSpec::BatchNorm2d { num_features, eps: norm_eps(), momentum: batch_norm_momentum() }
    }

    /// A ConditionalBatchNorm2d layer with PyTorch's eps and momentum.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "ConditionalBatchNorm2d", "num_features": 8, "num_classes": 10 }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::conditional_batch_norm2d(10, 8));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn conditional_batch_norm2d(num_classes: usize, num_features: usize) -> LayerSpec {
        let (eps, momentum) = (norm_eps(), batch_norm_momentum());
        LayerSpec::ConditionalBatchNorm2d { num_features, num_classes, eps, momentum }
    }

    /// The layer under spectral normalisation.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "Linear", "in": 3, "out": 2, "spectral_norm": true }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::linear(3, 2).spectral());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Panics
    /// If it has no weight that could be normalised.
    #[track_caller]
    pub fn spectral(mut self) -> LayerSpec {
        match &mut self {
            LayerSpec::Linear { spectral_norm, .. }
            | LayerSpec::Conv2d { spectral_norm, .. }
            | LayerSpec::ConvTranspose2d { spectral_norm, .. }
            | LayerSpec::SelfAttention { spectral_norm, .. } => *spectral_norm = true,
            other => misuse!(
                "spectral",
                "{other:?} has no weight to normalise; linear and convolutional layers and attention have"
            ),
        }
        self
    }

    /// A LayerNorm layer with PyTorch's eps, and weight and bias.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "LayerNorm", "normalized_shape": [4, 4], "eps": 1e-5 }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::layer_norm(&[4, 4]));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn layer_norm(normalized_shape: &[usize]) -> LayerSpec {
        let normalized_shape = normalized_shape.to_vec();
        LayerSpec::LayerNorm { normalized_shape, eps: norm_eps(), elementwise_affine: true }
    }

    /// A LeakyReLU layer.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// let text = r#"{ "type": "LeakyReLU", "negative_slope": 0.2 }"#;
    /// assert_eq!(serde_json::from_str::<LayerSpec>(text)?, LayerSpec::leaky_relu(0.2));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn leaky_relu(negative_slope: f64) -> LayerSpec {
        LayerSpec::LeakyReLU { negative_slope }
    }

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
        let any = |specs: &[LayerSpec]| specs.iter().any(LayerSpec::mixes_samples);
        match self {
            LayerSpec::BatchNorm1d { .. }
            | LayerSpec::BatchNorm2d { .. }
            | LayerSpec::ConditionalBatchNorm2d { .. }
            | LayerSpec::MinibatchStdDev(_)
            | LayerSpec::MinibatchDiscrimination { .. } => true,
            LayerSpec::Residual { body, shortcut, .. } => any(body) || any(shortcut),
            LayerSpec::Branches { branches, .. } => branches.iter().any(|b| any(b)),
            _ => false,
        }
    }

    /// The layer with fresh parameters, PyTorch's unless it has an `init` of its own.
    ///
    /// ```
    /// use ganvil::nn::LayerSpec;
    /// use ganvil::{Generator, rng::Stream};
    /// let module = LayerSpec::layer_norm(&[8]).build(&Generator::new(0, Stream::Init));
    /// assert_eq!(module.type_name(), "LayerNorm");
    /// ```
    pub fn build(&self, random: &Generator) -> Box<dyn Module> {
        self.build_with(&Init::Default, random)
    }

    /// The layer with fresh parameters, drawn by `init` unless it has one of its own.
    ///
    /// ```
    /// use ganvil::nn::{Init, LayerSpec, state_dict};
    /// use ganvil::{Generator, rng::Stream};
    /// let random = Generator::new(0, Stream::Init);
    /// let silent = LayerSpec::linear(3, 2).build_with(&Init::Constant { value: 0.0 }, &random);
    /// assert_eq!(state_dict(&silent)[0].1.to_vec::<f32>(), [0.0; 6]);
    /// ```
    pub fn build_with(&self, init: &Init, random: &Generator) -> Box<dyn Module> {
        let sequence = |specs: &[LayerSpec]| LayerSpec::sequential_with(specs, init, random);
        match self {
            LayerSpec::Residual { body, shortcut, scale } => {
                let block = Residual::new(sequence(body)).scaled(*scale);
                let identity = shortcut.is_empty();
                Box::new(if identity { block } else { block.with_shortcut(sequence(shortcut)) })
            }
            LayerSpec::Branches { branches, join } => {
                Box::new(branches.iter().fold(Branches::new(*join), |all, b| all.with(sequence(b))))
            }
            &LayerSpec::Linear { inputs, outputs, bias, init: own, spectral_norm } => {
                let layer = Linear::new(inputs, outputs, bias, random);
                weighted(layer, &own.unwrap_or(*init), spectral_norm, random)
            }
            &LayerSpec::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
                dilation,
                groups,
                bias,
                init: own,
                spectral_norm,
            } => {
                let options = ConvOptions { stride, padding, dilation, groups };
                let layer = Conv2d::new(inputs, outputs, kernel, options, bias, random);
                weighted(layer, &own.unwrap_or(*init), spectral_norm, random)
            }
            &LayerSpec::ConvTranspose2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
                output_padding,
                dilation,
                groups,
                bias,
                init: own,
                spectral_norm,
            } => {
                let options = ConvOptions { stride, padding, dilation, groups };
                let layer =
                    ConvTranspose2d::new(inputs, outputs, kernel, options, output_padding, bias, random);
                weighted(layer, &own.unwrap_or(*init), spectral_norm, random)
            }
            &LayerSpec::SelfAttention { channels, spectral_norm } => {
                let mut layer = SelfAttention::new(channels, random);
                init::apply(&mut layer, init, random);
                if spectral_norm { Box::new(layer.spectral(random)) } else { Box::new(layer) }
            }
            _ => {
                let mut layer = self.layer(random);
                init::apply(&mut layer, init, random);
                layer
            }
        }
    }

    /// Any other layer, as PyTorch makes it.
    fn layer(&self, random: &Generator) -> Box<dyn Module> {
        match *self {
            LayerSpec::BatchNorm1d { num_features, eps, momentum } => {
                Box::new(BatchNorm1d::new(num_features, eps, momentum))
            }
            LayerSpec::BatchNorm2d { num_features, eps, momentum } => {
                Box::new(BatchNorm2d::new(num_features, eps, momentum))
            }
            LayerSpec::LayerNorm { ref normalized_shape, eps, elementwise_affine } => {
                Box::new(LayerNorm::new(normalized_shape, eps, elementwise_affine))
            }
            LayerSpec::GroupNorm { num_groups, num_channels, eps, affine } => {
                Box::new(GroupNorm::new(num_groups, num_channels, eps, affine))
            }
            LayerSpec::InstanceNorm1d { num_features, eps, affine } => {
                Box::new(InstanceNorm1d::new(num_features, eps, affine))
            }
            LayerSpec::InstanceNorm2d { num_features, eps, affine } => {
                Box::new(InstanceNorm2d::new(num_features, eps, affine))
            }
            LayerSpec::LeakyReLU { negative_slope } => Box::new(LeakyReLU { negative_slope }),
            LayerSpec::ReLU => Box::new(ReLU),
            LayerSpec::Tanh => Box::new(Tanh),
            LayerSpec::Sigmoid => Box::new(Sigmoid),
            LayerSpec::Softplus => Box::new(Softplus),
            LayerSpec::Dropout { p } => Box::new(Dropout { p }),
            LayerSpec::Flatten => Box::new(Flatten),
            LayerSpec::Unflatten { ref shape } => Box::new(Unflatten { shape: shape.clone() }),
            LayerSpec::ConditionalBatchNorm2d { num_features, num_classes, eps, momentum } => {
                Box::new(ConditionalBatchNorm2d::new(num_features, num_classes, eps, momentum))
            }
            LayerSpec::PixelNorm(ref layer) => Box::new(layer.clone()),
            LayerSpec::AvgPool2d(ref layer) => Box::new(layer.clone()),
            LayerSpec::MaxPool2d(ref layer) => Box::new(layer.clone()),
            LayerSpec::AdaptiveAvgPool2d(ref layer) => Box::new(layer.clone()),
            LayerSpec::GlobalSumPool => Box::new(GlobalSumPool),
            LayerSpec::Upsample(ref layer) => Box::new(layer.clone()),
            LayerSpec::PixelShuffle(ref layer) => Box::new(layer.clone()),
            LayerSpec::MinibatchStdDev(ref layer) => Box::new(layer.clone()),
            LayerSpec::MinibatchDiscrimination { inputs, kernels, kernel_dims } => {
                Box::new(MinibatchDiscrimination::new(inputs, kernels, kernel_dims, random))
            }
            LayerSpec::Linear { .. }
            | LayerSpec::Conv2d { .. }
            | LayerSpec::ConvTranspose2d { .. }
            | LayerSpec::SelfAttention { .. }
            | LayerSpec::Residual { .. }
            | LayerSpec::Branches { .. } => unreachable!("built by build_with"),
        }
    }

    /// A sequence of layers with fresh parameters.
    ///
    /// ```
    /// use ganvil::nn::{LayerSpec, parameter_count};
    /// use ganvil::{Generator, rng::Stream};
    /// let layers = [LayerSpec::linear(2, 8), LayerSpec::leaky_relu(0.2), LayerSpec::linear(8, 1)];
    /// let net = LayerSpec::sequential(&layers, &Generator::new(0, Stream::Init));
    /// assert_eq!((net.len(), parameter_count(&net)), (3, 2 * 8 + 8 + 8 + 1));
    /// ```
    pub fn sequential(specs: &[LayerSpec], random: &Generator) -> Sequential {
        LayerSpec::sequential_with(specs, &Init::Default, random)
    }

    /// A sequence of layers with fresh parameters, drawn by `init` where a layer has none of its own.
    ///
    /// ```
    /// use ganvil::nn::{Init, LayerSpec, state_dict};
    /// use ganvil::{Generator, rng::Stream};
    /// let layers = [LayerSpec::linear(8, 8), LayerSpec::batch_norm1d(8)];
    /// let random = Generator::new(0, Stream::Init);
    /// let net = LayerSpec::sequential_with(&layers, &Init::Orthogonal { gain: 1.0 }, &random);
    /// let square_norm = state_dict(&net)[0].1.square().sum_all().item();
    /// assert!((square_norm - 8.0).abs() < 1e-5);
    /// ```
    pub fn sequential_with(specs: &[LayerSpec], init: &Init, random: &Generator) -> Sequential {
        let mut s = Sequential::new();
        specs.iter().for_each(|l| s.push(l.build_with(init, random)));
        s
    }
}

/// A layer with its weight drawn by `init`, and then under spectral normalisation if wanted.
fn weighted<M: Weighted + 'static>(
    mut layer: M,
    init: &Init,
    spectral_norm: bool,
    random: &Generator,
) -> Box<dyn Module> {
    init::apply(&mut layer, init, random);
    if spectral_norm { Box::new(SpectralNorm::new(layer, random)) } else { Box::new(layer) }
}
