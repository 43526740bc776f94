//! From a layer's description to its module.

use super::*;
use crate::{ConvOptions, Generator};

impl LayerSpec {
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
