//! The R2 penalty (Mescheder et al., 2018, arXiv:1801.04406, equation 10): [R1](mod@super::r1) where the fakes are.
//!
//! P = 1/2 E ||grad_x a(x)||_2^2  at fakes x = G(z); its weight is the paper's gamma.
//!
//! Together with R1 it bounds D's slope along the whole way of G; for the relativistic pairing loss both are needed to
//! converge (Huang et al., 2024, arXiv:2501.05441, section 3.2, with the same gamma for both). Pitfalls: as for R1; the
//! fakes are constants here, so that only D is pushed.
//!
//! ```
//! use ganvil::{Tensor, gan::r2};
//! let p = r2(&|x| x.square().sum(&[1], true), &Tensor::from([[1.0f64, 2.0]])); // the slope is 2 x
//! assert_eq!(p.penalty.item(), 10.0);
//! ```

use super::{R1, r1};
use crate::Tensor;

/// The penalty of `critic` for a batch of fakes.
#[track_caller]
pub fn r2(critic: &dyn Fn(&Tensor) -> Tensor, fake: &Tensor) -> R1 {
    r1(critic, fake)
}
