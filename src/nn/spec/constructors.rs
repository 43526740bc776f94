//! Layers with the settings that are usual.

use super::{LayerSpec, batch_norm_momentum, norm_eps, ones};
use crate::error::misuse;

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
}
