//! Dropout.

use super::state::visits;
use super::{Ctx, Module};
use crate::Tensor;
use crate::error::{Scope, misuse};

/// In training, each element is 0 with probability p, else divided by 1 - p; in evaluation nothing happens.
pub struct Dropout {
    /// Drop probability.
    pub p: f64,
}

impl Module for Dropout {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        match (ctx.train, ctx.masks, ctx.random) {
            (false, ..) => x.clone(),
            (true, Some(masks), _) => x.dropout_with_mask(&masks(&Scope::path(), x.shape()), self.p),
            (true, None, Some(random)) => x.dropout(self.p, random),
            (true, None, None) => {
                misuse!("dropout", "training needs random numbers; make the context with Ctx::train")
            }
        }
    }
    visits!();
}
