//! The drift penalty of ProGAN (Karras et al., 2017, arXiv:1710.10196, appendix A.1), on a critic's scores.
//!
//! P = E a(x)^2  at real samples x; the weight in the paper is 0.001.
//!
//! A loss on differences of scores leaves their level free, and it wanders off until floats have no digits left for the
//! differences. Pitfall: it is a nudge; a large weight fights with the loss.

use crate::Tensor;

/// mean(a(x)^2) of D's outputs on real samples; `[]`.
///
/// ```
/// use ganvil::{Tensor, gan::drift};
/// assert_eq!(drift(&Tensor::from([[1.0f64], [-3.0]])).item(), 5.0);
/// ```
pub fn drift(on_real: &Tensor) -> Tensor {
    on_real.square().mean_all()
}
