//! The R1 penalty (Mescheder et al., 2018, "Which training methods for GANs do actually converge?", arXiv:1801.04406,
//! equation 9).
//!
//! P = 1/2 E ||grad_x a(x)||_2^2  at real samples x; its weight is the paper's gamma, 10 in its experiments.
//!
//! D may not have a slope where the data are, so it cannot push G away from them: with it the game converges locally.
//! The target is a slope of 0, not of 1 as in WGAN-GP, so there is no root and no infinite derivative. Pitfalls: gamma
//! scales with the number of pixels (StyleGAN2-ADA's rule of thumb is 0.0002 pixels / batch); as for every penalty on a
//! gradient of its own for each sample, D may not have batch statistics; papers differ in whether the 1/2 is part of
//! the weight.
//!
//! ```
//! use ganvil::{Tensor, gan::r1};
//! let w = Tensor::from([[3.0f64], [4.0]]).requires_grad();
//! let p = r1(&|x| x.matmul(&w), &Tensor::from([[1.0f64, 2.0], [5.0, 6.0]]));
//! assert_eq!(p.square_norms.to_vec::<f64>(), [25.0, 25.0]); // a(x) = w x has the slope |w| everywhere
//! assert_eq!(p.penalty.item(), 12.5);
//! ```

use super::square_slopes;
use crate::Tensor;
use crate::tensor::{is_recording, with_recording};

/// An R1 penalty and what it was made of.
pub struct R1 {
    /// mean(square norm) / 2, without gamma; `[]`.
    pub penalty: Tensor,
    /// Squared norm of the gradient of each sample; `[batch]`.
    pub square_norms: Tensor,
    /// The critic's output at the real samples: it can stand in for another pass over them.
    pub output: Tensor,
}

/// The penalty of `critic` for a batch of real samples. The result can be differentiated with respect to the critic's
/// parameters.
#[track_caller]
pub fn r1(critic: &dyn Fn(&Tensor) -> Tensor, real: &Tensor) -> R1 {
    let x = real.detach().requires_grad();
    let recording = is_recording();
    // The gradient inside is taken even where the caller only wants the penalty's value.
    with_recording(true, || {
        let output = critic(&x);
        let square_norms = square_slopes(&output, &x, recording);
        let penalty = square_norms.mean_all().mul_scalar(0.5);
        let kept = |t: Tensor| if recording { t } else { t.detach() };
        R1 { penalty: kept(penalty), square_norms: kept(square_norms), output: kept(output) }
    })
}
