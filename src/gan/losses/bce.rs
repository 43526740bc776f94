//! Binary cross-entropy on probabilities: the loss of the classic listings.
//!
//! L_D = -E ln D(x) - E ln(1 - D(G(z))),  L_G = -E ln D(G(z))   (the non-saturating game of Goodfellow et al., 2014,
//! arXiv:1406.2661, section 3)
//!
//! D ends in a sigmoid. Pitfall: a probability that has rounded to 0 or 1 has lost its gradient, and each logarithm is
//! clamped at -100; [`super::NonSaturating`] is the same game on logits without either. Kept because the listings,
//! and the published traces of them, use it.
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let (real, fake) = (Tensor::from([[1.0f64]]), Tensor::from([[0.5f64]]));
//! assert_eq!(Loss::Bce.get().discriminator(&real, &fake, 1.0).item(), 2f64.ln());
//! assert_eq!(Loss::Bce.get().generator(&fake, None).item(), 2f64.ln());
//! ```

use super::{AdversarialLoss, Output};
use crate::{Reduction, Tensor};
use std::f64::consts::LN_2;

/// See the [module's docs](self).
pub struct Bce;

impl AdversarialLoss for Bce {
    fn output(&self) -> Output {
        Output::Probability
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        let on_real = real.bce(&real.full_like(real_label), Reduction::Mean);
        let on_fake = fake.bce(&fake.zeros_like(), Reduction::Mean);
        on_real.add(&on_fake)
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Tensor {
        fake.bce(&fake.ones_like(), Reduction::Mean)
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (2.0 * LN_2, Some(LN_2))
    }
}
