//! Dropout (Srivastava et al., JMLR 15, 2014).

use super::state::visits;
use super::{Ctx, Module};
use crate::Tensor;
use crate::error::Scope;

/// In training, each element is 0 with probability p, else divided by 1 - p; in evaluation nothing happens.
///
/// ```
/// use ganvil::nn::{Ctx, Dropout, Module};
/// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
/// let x = Tensor::ones(&[1000], DType::F32, Device::Cpu);
/// let drop = Dropout { p: 0.75 };
/// assert_eq!(drop.forward(&x, &Ctx::eval()).sum_all().item(), 1000.0);
/// let y = drop.forward(&x, &Ctx::train(&Generator::new(0, Stream::Dropout))).to_vec::<f32>();
/// assert!(y.iter().all(|&v| v == 0.0 || v == 4.0) && y.contains(&0.0) && y.contains(&4.0));
/// ```
#[derive(Clone)]
pub struct Dropout {
    /// Drop probability.
    pub p: f64,
}

impl Module for Dropout {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        match (ctx.random, ctx.masks) {
            (None, _) => x.clone(),
            (Some(_), Some(masks)) => x.dropout_with_mask(&masks(&Scope::path(), x.shape()), self.p),
            (Some(random), None) => x.dropout(self.p, random),
        }
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}
