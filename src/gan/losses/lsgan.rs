//! The least-squares loss (Mao et al., 2017, arXiv:1611.04076, equations 2 and 9 with the targets 0, 1, 1), on D's
//! output itself.
//!
//! L_D = E (D(x) - 1)^2 + E D(G(z))^2,  L_G = E (D(G(z)) - 1)^2
//!
//! The best D is p_data / (p_data + p_G), which the output approaches without a sigmoid, so it is read as a probability.
//! The gradient grows with the distance from the target, so fakes that D already calls real are still pulled. With a
//! smoothed target t the real term is E (D(x) - t)^2. Pitfalls: a sigmoid at D's end saturates what the squares are to
//! keep alive; the paper has a factor 1/2 in front of each expectation, which is `d_loss_scale` and `g_loss_scale` 0.5.
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let (real, fake) = (Tensor::from([[1.0f32], [0.5]]), Tensor::from([[0.0f32], [2.0]]));
//! assert_eq!(Loss::Lsgan.get().discriminator(&real, &fake, 1.0).item(), 0.25 / 2.0 + 4.0 / 2.0);
//! assert_eq!(Loss::Lsgan.get().generator(&fake, None).item(), 1.0);
//! ```

use super::{AdversarialLoss, Output};
use crate::{Reduction, Tensor};

/// See the [module's docs](self).
pub struct Lsgan;

impl AdversarialLoss for Lsgan {
    fn output(&self) -> Output {
        Output::Estimate
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        let on_real = real.mse(&real.full_like(real_label), Reduction::Mean);
        on_real.add(&fake.mse(&fake.zeros_like(), Reduction::Mean))
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Tensor {
        fake.mse(&fake.ones_like(), Reduction::Mean)
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (0.5, Some(0.25))
    }
}
