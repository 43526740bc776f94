//! The minimax game (Goodfellow et al., 2014, arXiv:1406.2661, equation 1), on logits.
//!
//! L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = -E sp(a(G(z)))   with sp(t) = ln(1 + e^t)
//!
//! L_G is E ln(1 - D(G(z))), what the theory is about: with the best D, L_D = ln 4 - 2 JSD(data || G). Pitfalls: its
//! gradient with respect to the logit is -D(G(z)), which vanishes when D rejects the fakes, so early training stalls;
//! and the loss is negative without bound, which is no error.
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let fake = Tensor::from([[0.0f64]]);
//! assert_eq!(Loss::Minimax.get().generator(&fake, None).item(), -2f64.ln());
//! ```

use super::{AdversarialLoss, Output};
use crate::{Reduction, Tensor};
use std::f64::consts::LN_2;

/// See the [module's docs](self).
pub struct Minimax;

impl AdversarialLoss for Minimax {
    fn output(&self) -> Output {
        Output::Logit
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        super::NonSaturating.discriminator(real, fake, real_label)
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Tensor {
        fake.bce_with_logits(&fake.zeros_like(), Reduction::Mean).neg()
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (2.0 * LN_2, Some(-LN_2))
    }
}
