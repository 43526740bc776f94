//! Fully connected layers.

use super::state::visits;
use super::{Ctx, Module, init};
use crate::{Generator, Tensor};

/// y = x W^T + b, for x `[.., in]` and W `[out, in]`.
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
}

impl Linear {
    /// PyTorch's initialisation: weight and bias uniform in ±1/sqrt(in).
    pub fn new(inputs: usize, outputs: usize, bias: bool, random: &Generator) -> Linear {
        let bound = 1.0 / (inputs.max(1) as f32).sqrt();
        Linear {
            weight: init::kaiming_uniform(&[outputs, inputs], random).requires_grad(),
            bias: bias.then(|| init::uniform(&[outputs], bound, random).requires_grad()),
        }
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
    visits!(Parameter weight, Parameter bias);
}
