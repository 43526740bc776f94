//! Fully connected layers.

use super::state::visits;
use super::{Ctx, Module, init};
use crate::{Activation, Generator, Tensor};

/// Outputs up to which a weight is brought into the order of the images.
const FEW: usize = 16;

/// y = x W^T + b, for x `[.., in]` and W `[out, in]`.
///
/// ```
/// use ganvil::nn::{Ctx, Linear, Module};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let mut f = Linear::new(2, 1, true, &Generator::new(0, Stream::Init));
/// f.weight = Tensor::from([[3.0f32, 4.0]]).requires_grad();
/// f.bias = Some(Tensor::from(&[1.0f32][..]).requires_grad());
/// assert_eq!(f.forward(&Tensor::from([[1.0f32, 10.0]]), &Ctx::eval()).item(), 44.0);
/// ```
#[derive(Clone)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
}

impl Linear {
    /// PyTorch's initialisation: weight and bias uniform in ±1/sqrt(in). For the weight this is
    /// [`init::kaiming_uniform`] with a leaky slope of sqrt(5).
    ///
    /// ```
    /// use ganvil::{Generator, nn::Linear, rng::Stream};
    /// let f = Linear::new(16, 100, true, &Generator::new(0, Stream::Init));
    /// assert!(f.weight.to_vec::<f32>().iter().all(|w| w.abs() <= 0.25));
    /// ```
    pub fn new(inputs: usize, outputs: usize, bias: bool, random: &Generator) -> Linear {
        // In f32, as the values are: stored runs depend on the last bit.
        let bound = (1.0 / (inputs.max(1) as f32).sqrt()) as f64;
        Linear {
            weight: init::uniform(&[outputs, inputs], bound, random).requires_grad(),
            bias: bias.then(|| init::uniform(&[outputs], bound, random).requires_grad()),
        }
    }

    /// Whether images are to be taken as they lie: channels-last, and with so few outputs that the weight in that order is
    /// less to copy than the images in row-major order. Neither the batch nor gaps have a say, so that a sample's sums keep
    /// their order.
    pub(super) fn takes_images(&self, x: &Tensor) -> bool {
        let (&[outputs, inputs], &[_, c, h, w]) = (self.weight.shape(), x.shape()) else { return false };
        let order = x.layout().like_with_samples_outermost();
        outputs <= FEW && c * h * w == inputs && order.is_channels_last() && !order.is_contiguous()
    }

    /// The layer of `x` `[n, c, h, w]` flattened, as a sum over pixels of sums over channels.
    pub(super) fn forward_images(&self, x: &Tensor) -> Tensor {
        let ([batch, c, h, w], outputs) = ([0, 1, 2, 3].map(|d| x.shape()[d]), self.weight.shape()[0]);
        let lines = |t: &Tensor, n| t.permute(&[0, 2, 3, 1]).reshape(&[n, h * w * c]);
        let weight = lines(&self.weight.reshape(&[outputs, c, h, w]), outputs);
        lines(x, batch).linear(&weight, self.bias.as_ref())
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
    fn takes_activation(&self) -> bool {
        true
    }
    fn forward_act(&self, x: &Tensor, _: &Ctx, act: Activation) -> Tensor {
        x.linear_act(&self.weight, self.bias.as_ref(), act)
    }
    visits!(Parameter weight, Parameter bias);
    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        f(&format!("{path}weight"), &self.weight, 0);
    }

    fn is_per_sample(&self) -> bool {
        true
    }
}
