//! Fully connected layers.

use super::state::visits;
use super::{Ctx, Module, init};
use crate::{Generator, Tensor};

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
}

impl Module for Linear {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
    visits!(Parameter weight, Parameter bias);
    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        f(&format!("{path}weight"), &self.weight, 0);
    }

    fn is_per_sample(&self) -> bool {
        true
    }
}
