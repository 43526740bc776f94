//! The hinge loss (Lim and Ye, 2017, "Geometric GAN", arXiv:1705.02894, section 3.2; Miyato et al., 2018,
//! arXiv:1802.05957, equation 16), on unbounded scores.
//!
//! L_D = E relu(1 - a(x)) + E relu(1 + a(G(z))),  L_G = -E a(G(z))
//!
//! D learns only from samples inside the margin: a real score above 1 and a fake one below -1 have no gradient. Usual
//! settings: spectral normalisation in D, Adam with betas 0 and 0.9. Pitfalls: G's loss has no relu, it is the Wasserstein
//! one, so it may be negative and has no value of its own to converge to; where all scores lie outside of the margin D's
//! gradient is exactly 0. A score is not a probability, so there is no smoothed target.
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let (real, fake) = (Tensor::from([[0.5f32], [3.0]]), Tensor::from([[-2.0f32], [1.0]]));
//! assert_eq!(Loss::Hinge.get().discriminator(&real, &fake, 1.0).item(), (0.5 + 0.0) / 2.0 + (0.0 + 2.0) / 2.0);
//! assert_eq!(Loss::Hinge.get().generator(&fake, None).item(), 0.5);
//! ```

use super::{AdversarialLoss, Output, only_target_one};
use crate::Tensor;

/// See the [module's docs](self).
pub struct Hinge;

impl AdversarialLoss for Hinge {
    fn output(&self) -> Output {
        Output::Score
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        only_target_one("hinge", real_label);
        let on_real = real.neg().add_scalar(1.0).relu().mean_all();
        let on_fake = fake.add_scalar(1.0).relu().mean_all();
        on_real.add(&on_fake)
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Tensor {
        fake.mean_all().neg()
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (2.0, None)
    }
}
