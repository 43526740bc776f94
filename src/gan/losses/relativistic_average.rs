//! The relativistic average loss, RaGAN (Jolicoeur-Martineau, 2018, arXiv:1807.00734, section 4.2), on scores.
//!
//! L_D = E sp(-(a(x) - E a(G(z)))) + E sp(a(G(z)) - E a(x)),  L_G: the two roles exchanged   with sp(t) = ln(1 + e^t)
//!
//! A sample is compared with the mean of the other side; ESRGAN (arXiv:1809.00219) trains with it. Pitfalls: as for the
//! [pairing loss](super::relativistic), a score has no meaning by itself; the means are over the batch, so the loss of
//! one sample depends on the others (a gradient penalty does not mind: it is on a(x), not on the loss).
//!
//! ```
//! use ganvil::{Tensor, gan::Loss};
//! let (real, fake) = (Tensor::from([[1.0f64], [3.0]]), Tensor::from([[2.0f64], [2.0]]));
//! let sp = |t: f64| t.exp().ln_1p();
//! let loss = Loss::RelativisticAverage.get().discriminator(&real, &fake, 1.0).item();
//! assert!((loss - ((sp(1.0) + sp(-1.0)) / 2.0 + sp(0.0))).abs() < 1e-12);
//! ```

use super::{AdversarialLoss, Output, mean_softplus, only_target_one, real_scores};
use crate::Tensor;
use std::f64::consts::LN_2;

/// See the [module's docs](self).
pub struct RelativisticAverage;

/// E sp(E b - a) + E sp(b - E a): small where a is above b.
fn above(a: &Tensor, b: &Tensor) -> Tensor {
    let first = mean_softplus(&b.mean_all().sub(a));
    first.add(&mean_softplus(&b.sub(&a.mean_all())))
}

impl AdversarialLoss for RelativisticAverage {
    fn output(&self) -> Output {
        Output::Difference
    }

    fn is_relativistic(&self) -> bool {
        true
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor {
        only_target_one("relativistic-average", real_label);
        above(real, fake)
    }

    fn generator(&self, fake: &Tensor, real: Option<&Tensor>) -> Tensor {
        above(fake, real_scores("relativistic-average", real))
    }

    fn equilibrium(&self) -> (f64, Option<f64>) {
        (2.0 * LN_2, Some(2.0 * LN_2))
    }
}
