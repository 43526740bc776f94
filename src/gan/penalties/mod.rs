//! Penalties on the discriminator's gradient, one file each.

pub mod dragan;
pub mod drift;
pub mod gradient_penalty;
pub mod r1;
pub mod r2;

pub use dragan::dragan;
pub use drift::drift;
pub use gradient_penalty::{GradientPenalty, gradient_penalty};
pub use r1::{R1, r1};
pub use r2::r2;

use crate::Tensor;
use crate::autograd::grad;
use serde::{Deserialize, Serialize};

/// The penalties of an update of D, each without its weight; those that were not computed are None.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Penalties {
    /// [`gradient_penalty()`]
    #[serde(rename = "penalty", skip_serializing_if = "Option::is_none")]
    pub gradient: Option<f64>,
    /// Mean norm of the slope where the gradient penalty, or DRAGAN's, looks: both want 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slope: Option<f64>,
    /// [`dragan()`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dragan: Option<f64>,
    /// [`r1()`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r1: Option<f64>,
    /// [`r2()`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// [`drift()`]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<f64>,
}

/// The squared norm of a critic's gradient for each sample, `[batch]`, at points `x` of which `output` is the critic's
/// output. `create_graph` makes it differentiable.
///
/// The gradient is taken of the sum over the batch, so that each sample gets its own. That is only right if the critic
/// treats samples separately.
#[track_caller]
fn square_slopes(output: &Tensor, x: &Tensor, create_graph: bool) -> Tensor {
    let g =
        grad(&[&output.sum_all()], &[x], &[], create_graph).remove(0).expect("a critic depends on its input");
    let sample: Vec<isize> = (1..g.rank() as isize).collect();
    g.square().sum(&sample, false)
}
