//! The non-saturating game (Goodfellow et al., 2014, arXiv:1406.2661, section 3), on logits.
//!
//! L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = E sp(-a(G(z)))   with sp(t) = ln(1 + e^t)
//!
//! The same fixed point as the minimax game, but L_G's gradient with respect to the logit is D(G(z)) - 1, largest
//! when D rejects. With the best D it follows KL(G || data) - 2 JSD (Arjovsky and Bottou, 2017, arXiv:1701.04862),
//! which explains dropped modes. With a smoothed target t on real samples the real term is
//! t sp(-a) + (1 - t) sp(a), smallest at a = ln(t / (1 - t)).
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let fake = Tensor::from([[-1000.0f64]]); // rejected, and yet the gradient is whole
//! assert_eq!(Loss::NonSaturating.get().generator(&fake, None).item(), 1000.0);
//! ```

use super::{AdversarialLoss, Output};
use crate::{Reduction, Tensor};
use std::f64::consts::LN_2;

/// See the [module's docs](self).
pub struct NonSaturating;

impl AdversarialLoss for NonSaturating {
    fn output(&self) -> Output {
        Output::Logit
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        let on_real = real.bce_with_logits(&real.full_like(real_label), Reduction::Mean);
        let on_fake = fake.bce_with_logits(&fake.zeros_like(), Reduction::Mean);
        on_real.add(&on_fake)
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Tensor {
        fake.bce_with_logits(&fake.ones_like(), Reduction::Mean)
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (2.0 * LN_2, Some(LN_2))
    }
}
