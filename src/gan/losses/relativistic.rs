//! The relativistic pairing loss, RpGAN (Jolicoeur-Martineau, 2018, arXiv:1807.00734, equations 11 and 12), on scores.
//!
//! L_D = E sp(-(a(x) - a(G(z)))),  L_G = E sp(-(a(G(z)) - a(x)))   with sp(t) = ln(1 + e^t)
//!
//! D does not say whether a sample is real but which of a pair is; pairs are made by the place in the batch. G's loss
//! needs a(x) as well, through which nothing of G is reached. Since a fake is only compared with a real sample, G gains
//! nothing from leaving a mode out, which makes the landscape benign (Sun et al., 2020, arXiv:2011.04926); with R1 and R2
//! it also converges locally (Huang et al., 2024, arXiv:2501.05441), with neither or with R1 alone it need not. Pitfalls:
//! adding a number to all scores changes nothing, so a score's sign has no meaning; there is no target to smooth.
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let (real, fake) = (Tensor::from([[5.0f64]]), Tensor::from([[5.0f64]])); // it cannot tell which is which
//! let loss = Loss::RelativisticPairing.get();
//! assert_eq!(loss.discriminator(&real, &fake, 1.0).item(), 2f64.ln());
//! assert_eq!(loss.generator(&fake, Some(&real)).item(), 2f64.ln());
//! ```

use super::{AdversarialLoss, Output, mean_softplus, only_target_one, real_scores};
use crate::Tensor;
use std::f64::consts::LN_2;

/// See the [module's docs](self).
pub struct RelativisticPairing;

impl AdversarialLoss for RelativisticPairing {
    fn output(&self) -> Output {
        Output::Difference
    }

    fn is_relativistic(&self) -> bool {
        true
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        only_target_one("relativistic-pairing", real_label);
        mean_softplus(&fake.sub(real))
    }

    fn generator(&self, fake: &Tensor, real: Option<&Tensor>) -> Tensor {
        mean_softplus(&real_scores("relativistic-pairing", real).sub(fake))
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (LN_2, Some(LN_2))
    }
}
