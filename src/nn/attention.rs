//! Self-attention (Zhang et al., 2019, arXiv:1805.08318).

use super::{Conv2d, Ctx, Kind, Module, SpectralNorm};
use crate::error::misuse;
use crate::{ConvOptions, DType, Device, Generator, Tensor};

/// What [`SelfAttention`] makes queries, keys and values with: a [`Conv2d`] of 1 x 1 pixels, or one under
/// [`SpectralNorm`].
///
/// ```
/// use ganvil::nn::{Conv2d, Ctx, Projector};
/// use ganvil::{ConvOptions, Generator, rng::Stream};
/// let f = Conv2d::new(8, 1, [1, 1], ConvOptions::new(), false, &Generator::new(0, Stream::Init));
/// let (weight, bias) = f.projection(&Ctx::eval());
/// assert_eq!((weight.shape(), bias.is_none()), (&[1, 8, 1, 1][..], true));
/// ```
pub trait Projector: Module + Clone {
    /// Weight `[out, in, 1, 1]` and bias `[out]`, if any, in this pass.
    fn projection(&self, ctx: &Ctx) -> (Tensor, Option<Tensor>);
}

impl Projector for Conv2d {
    fn projection(&self, _: &Ctx) -> (Tensor, Option<Tensor>) {
        (self.weight.clone(), self.bias.clone())
    }
}

impl Projector for SpectralNorm<Conv2d> {
    fn projection(&self, ctx: &Ctx) -> (Tensor, Option<Tensor>) {
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
pub struct SelfAttention<P = Conv2d> {
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
        let conv = |outputs| Conv2d::new(channels, outputs, [1, 1], ConvOptions::new(), true, random);
        SelfAttention {
            query_conv: conv(narrow),
            key_conv: conv(narrow),
            value_conv: conv(channels),
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
    pub fn spectral(self, random: &Generator) -> SelfAttention<SpectralNorm<Conv2d>> {
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
        x.self_attention((&q.0, q.1.as_ref()), (&k.0, k.1.as_ref()), (&v.0, v.1.as_ref()), &self.gamma)
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

    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        self.query_conv.visit_weights(&format!("{path}query_conv."), f);
        self.key_conv.visit_weights(&format!("{path}key_conv."), f);
        self.value_conv.visit_weights(&format!("{path}value_conv."), f);
    }
}
