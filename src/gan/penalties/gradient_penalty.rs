//! The gradient penalty of WGAN-GP (Gulrajani et al., 2017, arXiv:1704.00028, equation 3).
//!
//! P = E (||grad_x^ a(x^)||_2 - 1)^2  at  x^ = eps x + (1 - eps) G(z), eps ~ U[0, 1] for each sample; the paper
//! weights it with lambda = 10.
//!
//! The gradient is taken of the *sum* of a(x^) over the batch, so that each sample gets its own; this is only right if
//! D treats samples separately, so never with batch normalisation or other batch statistics in D. Pitfalls: one eps
//! for the whole batch; a norm over the batch in place of over each sample; the norm's infinite derivative at 0, hence
//! 1e-12 under the root. The one-sided form, E max(0, ||g|| - 1)^2 (the paper's section 4; Petzka et al., 2017,
//! arXiv:1709.08894), lets slopes below 1 be: only steeper ones break the Lipschitz bound.

use super::square_slopes;
use crate::Tensor;
use crate::tensor::{is_recording, with_recording};

/// A gradient penalty and what it was made of.
pub struct GradientPenalty {
    /// mean((norm - 1)^2), without lambda; `[]`.
    pub penalty: Tensor,
    /// Norm of the gradient of each sample; `[batch]`.
    pub norms: Tensor,
    /// The critic's output at the interpolated samples.
    pub output: Tensor,
}

impl GradientPenalty {
    /// mean(max(0, norm - 1)^2): slopes below 1 cost nothing. `[]`.
    ///
    /// ```
    /// use ganvil::{Tensor, gan::gradient_penalty};
    /// let (x, eps) = (Tensor::from([[1.0f64]]), Tensor::from([[0.5f64]]));
    /// let of = |slope: f64| gradient_penalty(&|x| x.mul_scalar(slope), &x, &x, &eps);
    /// assert!((of(0.5).penalty.item() - 0.25).abs() < 1e-9);
    /// assert_eq!(of(0.5).one_sided().item(), 0.0);
    /// assert!((of(3.0).one_sided().item() - 4.0).abs() < 1e-9);
    /// ```
    pub fn one_sided(&self) -> Tensor {
        self.norms.add_scalar(-1.0).relu().square().mean_all()
    }
}

/// The penalty of `critic` for batches of real and fake samples. `eps` holds one number per sample, `[batch, 1, ..]`.
/// The result can be differentiated with respect to the critic's parameters.
#[track_caller]
pub fn gradient_penalty(
    critic: &dyn Fn(&Tensor) -> Tensor,
    real: &Tensor,
    fake: &Tensor,
    eps: &Tensor,
) -> GradientPenalty {
    let (real, fake) = (real.detach(), fake.detach());
    at(critic, &eps.mul(&real).add(&(1.0 - eps).mul(&fake)))
}

/// The penalty at these points.
#[track_caller]
pub(super) fn at(critic: &dyn Fn(&Tensor) -> Tensor, x: &Tensor) -> GradientPenalty {
    let x = x.detach().requires_grad();
    let recording = is_recording();
    // The gradient inside is taken even where the caller only wants the penalty's value.
    with_recording(true, || {
        let output = critic(&x);
        let norms = square_slopes(&output, &x, recording).add_scalar(1e-12).sqrt();
        let penalty = norms.add_scalar(-1.0).square().mean_all();
        let kept = |t: Tensor| if recording { t } else { t.detach() };
        GradientPenalty { penalty: kept(penalty), norms: kept(norms), output: kept(output) }
    })
}
