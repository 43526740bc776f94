//! Tables of vectors.

use super::state::visits;
use super::{Ctx, Module, init};
use crate::{Generator, Tensor};

/// One row of a table for each index: i64 `[..]` to `[.., width]`.
pub struct Embedding {
    /// `[entries, width]`
    pub weight: Tensor,
}

impl Embedding {
    /// PyTorch's initialisation: N(0, 1).
    pub fn new(entries: usize, width: usize, random: &Generator) -> Embedding {
        Embedding { weight: init::normal(&[entries, width], 0.0, 1.0, random).requires_grad() }
    }
}

impl Module for Embedding {
    fn forward(&self, index: &Tensor, _: &Ctx) -> Tensor {
        Tensor::embedding(index, &self.weight)
    }
    visits!(Parameter weight);
}
