//! Penalties on the discriminator's gradient, one file each.

pub mod gradient_penalty;
pub mod r1;

pub use gradient_penalty::{GradientPenalty, gradient_penalty};
pub use r1::{R1, r1};

use crate::Tensor;
use crate::autograd::grad;

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
