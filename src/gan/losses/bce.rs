//! Binary cross-entropy on probabilities: the loss of the classic listings.
//!
//! L_D = -E ln D(x) - E ln(1 - D(G(z))),  L_G = -E ln D(G(z))   (the non-saturating game of Goodfellow et al., 2014,
//! arXiv:1406.2661, section 3)
//!
//! D ends in a sigmoid. Pitfall: a probability that has rounded to 0 or 1 has lost its gradient, and each logarithm is
//! clamped at -100; [`super::NonSaturating`] is the same game on logits without either. Kept because the listings,
//! and the published traces of them, use it.

use super::AdversarialLoss;
use crate::{Reduction, Tensor};
use std::f64::consts::LN_2;

/// See the [module's docs](self).
pub struct Bce;

impl AdversarialLoss for Bce {
    fn takes_logits(&self) -> bool {
        false
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        let on_real = real.bce(&real.full_like(real_label), Reduction::Mean);
        let on_fake = fake.bce(&fake.zeros_like(), Reduction::Mean);
        on_real.add(&on_fake)
    }

    fn generator(&self, fake: &Tensor) -> Tensor {
        fake.bce(&fake.ones_like(), Reduction::Mean)
    }

    fn equilibrium(&self) -> (f64, f64) {
        (2.0 * LN_2, LN_2)
    }
}
