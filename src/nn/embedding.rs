//! Tables of vectors.

use super::state::visits;
use super::{Ctx, Module, init};
use crate::{Generator, Tensor};

/// One row of a table for each index: i64 `[..]` to `[.., width]`.
///
/// ```
/// use ganvil::nn::{Ctx, Embedding, Module};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let table = Embedding::new(10, 3, &Generator::new(0, Stream::Init));
/// let y = table.forward(&Tensor::from(&[7i64, 7][..]), &Ctx::eval());
/// assert_eq!(y.shape(), [2, 3]);
/// assert_eq!(y.to_vec::<f32>()[..3], table.weight.to_vec::<f32>()[21..24]);
/// ```
#[derive(Clone)]
pub struct Embedding {
    /// `[entries, width]`
    pub weight: Tensor,
}

impl Embedding {
    /// PyTorch's initialisation: N(0, 1).
    ///
    /// ```
    /// use ganvil::{Generator, nn::Embedding, rng::Stream};
    /// let table = Embedding::new(1000, 8, &Generator::new(0, Stream::Init));
    /// assert!((table.weight.var(&[], true, false).item() - 1.0).abs() < 0.1);
    /// ```
    pub fn new(entries: usize, width: usize, random: &Generator) -> Embedding {
        Embedding { weight: init::normal(&[entries, width], 0.0, 1.0, random).requires_grad() }
    }
}

impl Module for Embedding {
    fn forward(&self, index: &Tensor, _: &Ctx) -> Tensor {
        Tensor::embedding(index, &self.weight)
    }
    visits!(Parameter weight);

    fn is_per_sample(&self) -> bool {
        true
    }
}
