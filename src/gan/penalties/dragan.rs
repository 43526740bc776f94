//! The gradient penalty of DRAGAN (Kodali et al., 2017, arXiv:1705.07215, section 2.3): the slope near the data.
//!
//! P = E (||grad_x^ a(x^)||_2 - 1)^2  at  x^ = x + 0.5 std(X) u, u ~ U[0, 1) for each value; lambda is 10 in the paper.
//!
//! std(X) is the standard deviation of all values of the batch. Unlike WGAN-GP it looks at no fakes, so it is the same
//! whatever G does: the paper's point is that D be smooth where the data are. It goes with the non-saturating loss.
//! Pitfalls: as for [WGAN-GP's](mod@super::gradient_penalty), no batch statistics in D; noise that reaches far into empty
//! space makes D learn about nothing (0.5 is for data in \[-1, 1\]).
//!
//! ```
//! use ganvil::{Tensor, gan::dragan};
//! let w = Tensor::from([[3.0f64], [4.0]]).requires_grad();
//! let (x, u) = (Tensor::from([[1.0f64, -1.0]]), Tensor::from([[0.5f64, 0.0]]));
//! let p = dragan(&|x| x.matmul(&w), &x, &u);
//! assert_eq!(p.output.item(), 3.0 * 1.25 - 4.0); // std(X) is 1
//! assert!((p.penalty.item() - 16.0).abs() < 1e-9); // a(x) = w x has the slope |w| = 5 everywhere
//! ```

use super::gradient_penalty::{GradientPenalty, at};
use crate::Tensor;

/// The penalty of `critic` near a batch of real samples. `noise` has the batch's shape.
#[track_caller]
pub fn dragan(critic: &dyn Fn(&Tensor) -> Tensor, real: &Tensor, noise: &Tensor) -> GradientPenalty {
    let real = real.detach();
    let all: Vec<isize> = (0..real.rank() as isize).collect();
    let std = real.var(&all, false, false).sqrt();
    at(critic, &real.add(&noise.mul(&std).mul_scalar(0.5)))
}
