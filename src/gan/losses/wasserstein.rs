//! The Wasserstein loss (Arjovsky et al., 2017, arXiv:1701.07875, equations 2 and 3), on a critic's unbounded scores.
//!
//! L_D = -E a(x) + E a(G(z)),  L_G = -E a(G(z))
//!
//! Over the critics with slope at most 1 the smallest L_D is minus the earth mover's distance of data and samples, so
//! -L_D is a curve worth watching. Pitfalls: without a bound on the slope (gradient penalty, spectral normalisation) L_D
//! falls forever; the critic has to be near its best, so it takes several updates for each of G's (n_d = 5 in the paper);
//! momentum harms (Adam with beta1 = 0, or RMSprop); adding a number to the critic changes nothing, so neither the sign
//! of a score nor L_G has a meaning, and there is no smoothed target.
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let (real, fake) = (Tensor::from([[1.0f32], [3.0]]), Tensor::from([[-1.0f32], [2.0]]));
//! assert_eq!(Loss::Wasserstein.get().discriminator(&real, &fake, 1.0).item(), 0.5 - 2.0);
//! assert_eq!(Loss::Wasserstein.get().generator(&fake, None).item(), -0.5);
//! ```

use super::{AdversarialLoss, Output, only_target_one};
use crate::Tensor;

/// See the [module's docs](self).
pub struct Wasserstein;

impl AdversarialLoss for Wasserstein {
    fn output(&self) -> Output {
        Output::Difference
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        only_target_one("wasserstein", real_label);
        fake.mean_all().sub(&real.mean_all())
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Tensor {
        fake.mean_all().neg()
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (0.0, None)
    }
}
