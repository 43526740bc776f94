//! Self-attention (Zhang et al., 2019, arXiv:1805.08318).

use super::state::visits;
use super::{Ctx, Kind, Module, SpectralNorm, Weighted, init};
use crate::error::misuse;
use crate::{DType, Device, Generator, Tensor};

/// A convolution of single pixels: each pixel's channels multiplied by a matrix.
///
/// ```
/// use ganvil::nn::{Conv1x1, Ctx, Module};
/// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
/// let f = Conv1x1::new(3, 5, &Generator::new(0, Stream::Init));
/// let x = Tensor::ones(&[2, 3, 4, 4], DType::F32, Device::Cpu);
/// assert_eq!(f.forward(&x, &Ctx::eval()).shape(), [2, 5, 4, 4]);
/// ```
#[derive(Clone)]
pub struct Conv1x1 {
    /// `[out, in, 1, 1]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Tensor,
}

impl Conv1x1 {
    /// PyTorch's initialisation of a convolution: weight and bias uniform in ±1/sqrt(in).
    pub fn new(inputs: usize, outputs: usize, random: &Generator) -> Conv1x1 {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        Conv1x1 {
            weight: init::uniform(&[outputs, inputs, 1, 1], bound, random).requires_grad(),
            bias: init::uniform(&[outputs], bound, random).requires_grad(),
        }
    }
}

impl Module for Conv1x1 {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        let [o, c] = [self.weight.size(0), self.weight.size(1)];
        if x.rank() != 4 || x.shape()[1] != c {
            misuse!("conv1x1", "needs images [batch, {c}, height, width], got shape {:?}", x.shape());
        }
        let y = x.permute(&[0, 2, 3, 1]).linear(&self.weight.reshape(&[o, c]), Some(&self.bias));
        y.permute(&[0, 3, 1, 2])
    }
    visits!(Parameter weight, Parameter bias);
}

impl Weighted for Conv1x1 {
    fn weight(&self) -> &Tensor {
        &self.weight
    }
    fn with_weight(&self, weight: Tensor) -> Conv1x1 {
        Conv1x1 { weight, bias: self.bias.clone() }
    }
}

/// What [`SelfAttention`] makes queries, keys and values with: a [`Conv1x1`], or one under [`SpectralNorm`].
///
/// ```
/// use ganvil::nn::{Conv1x1, Ctx, Projector};
/// use ganvil::{Generator, rng::Stream};
/// let f = Conv1x1::new(8, 1, &Generator::new(0, Stream::Init));
/// let (weight, bias) = f.projection(&Ctx::eval());
/// assert_eq!((weight.shape(), bias.shape()), (&[1, 8, 1, 1][..], &[1][..]));
/// ```
pub trait Projector: Module + Clone {
    /// Weight `[out, in, 1, 1]` and bias `[out]` in this pass.
    fn projection(&self, ctx: &Ctx) -> (Tensor, Tensor);
}

impl Projector for Conv1x1 {
    fn projection(&self, _: &Ctx) -> (Tensor, Tensor) {
        (self.weight.clone(), self.bias.clone())
    }
}

impl Projector for SpectralNorm<Conv1x1> {
    fn projection(&self, ctx: &Ctx) -> (Tensor, Tensor) {
        (self.normalised(ctx), self.module.bias.clone())
    }
}

/// Self-attention over an image's pixels: `y = gamma o + x`, see [`Tensor::self_attention`]. With gamma 0, where it
/// starts, it is the identity.
///
/// Queries and keys have an eighth of the channels, values all of them. (The paper's code halves the values' channels
/// and pools keys and values; this is the form of most PyTorch code, whose names the state dict has.)
///
/// ```
/// use ganvil::nn::{Ctx, Module, SelfAttention};
/// use ganvil::{DType, Device, Generator, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let x = random.normal(&[2, 16, 7, 7], 0.0, 1.0, DType::F32, Device::Cpu);
/// let y = SelfAttention::new(16, &random).forward(&x, &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), x.to_vec::<f32>());
/// ```
#[derive(Clone)]
pub struct SelfAttention<P = Conv1x1> {
    /// To `channels / 8`.
    pub query_conv: P,
    /// To `channels / 8`.
    pub key_conv: P,
    /// To all channels.
    pub value_conv: P,
    /// `[1]`, from 0.
    pub gamma: Tensor,
}

impl SelfAttention {
    /// For images with this number of channels.
    ///
    /// # Panics
    /// If there are fewer than 8 channels.
    #[track_caller]
    pub fn new(channels: usize, random: &Generator) -> SelfAttention {
        let narrow = channels / 8;
        if narrow == 0 {
            misuse!(
                "self_attention",
                "needs at least 8 channels, got {channels}: queries have an eighth of them"
            );
        }
        SelfAttention {
            query_conv: Conv1x1::new(channels, narrow, random),
            key_conv: Conv1x1::new(channels, narrow, random),
            value_conv: Conv1x1::new(channels, channels, random),
            gamma: Tensor::zeros(&[1], DType::F32, Device::Cpu).requires_grad(),
        }
    }

    /// With all three weights under spectral normalisation, as in the paper.
    ///
    /// ```
    /// use ganvil::nn::{SelfAttention, state_dict};
    /// use ganvil::{Generator, rng::Stream};
    /// let random = Generator::new(0, Stream::Init);
    /// let attention = SelfAttention::new(16, &random).spectral(&random);
    /// assert_eq!(state_dict(&attention)[2].0, "query_conv.weight_orig");
    /// ```
    pub fn spectral(self, random: &Generator) -> SelfAttention<SpectralNorm<Conv1x1>> {
        SelfAttention {
            query_conv: SpectralNorm::new(self.query_conv, random),
            key_conv: SpectralNorm::new(self.key_conv, random),
            value_conv: SpectralNorm::new(self.value_conv, random),
            gamma: self.gamma,
        }
    }
}

impl<P: Projector + 'static> Module for SelfAttention<P> {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let [q, k, v] = [&self.query_conv, &self.key_conv, &self.value_conv].map(|p| p.projection(ctx));
        x.self_attention((&q.0, Some(&q.1)), (&k.0, Some(&k.1)), (&v.0, Some(&v.1)), &self.gamma)
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        f(&format!("{path}gamma"), Kind::Parameter, &self.gamma);
        self.query_conv.visit(&format!("{path}query_conv."), f);
        self.key_conv.visit(&format!("{path}key_conv."), f);
        self.value_conv.visit(&format!("{path}value_conv."), f);
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        f(&format!("{path}gamma"), Kind::Parameter, &mut self.gamma);
        self.query_conv.visit_mut(&format!("{path}query_conv."), f);
        self.key_conv.visit_mut(&format!("{path}key_conv."), f);
        self.value_conv.visit_mut(&format!("{path}value_conv."), f);
    }
}
