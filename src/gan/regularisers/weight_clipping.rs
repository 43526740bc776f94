//! Weight clipping (Arjovsky et al., 2017, arXiv:1701.07875, algorithm 1): a bound on D's slope, by force.
//!
//! After each update of D, w <- min(max(w, -c), c) for **every** parameter: weights, biases, and the gains of norms; c is
//! 0.01 in the paper.
//!
//! Parameters in a box make D's slope bounded, by some number that nobody knows. Pitfalls: most weights end at the bound
//! (the log has the share as `clipped`) and D becomes too simple a function; with depth, gradients vanish or explode
//! depending on c; momentum fights with the bound, so RMSprop or Adam with beta_1 = 0.

use crate::nn::{Kind, Module};
use crate::no_grad;

/// Puts every parameter of a network within [-c, c].
///
/// ```
/// use ganvil::gan::{at_the_bound, clip_weights};
/// use ganvil::nn::Linear;
/// use ganvil::{Tensor, Generator, rng::Stream};
/// let mut f = Linear::new(2, 1, false, &Generator::new(0, Stream::Init));
/// f.weight = Tensor::from([[0.5f32, -0.005]]).requires_grad();
/// clip_weights(&mut f, 0.01);
/// assert_eq!(f.weight.to_vec::<f32>(), [0.01, -0.005]);
/// assert_eq!(at_the_bound(&f, 0.01), 0.5);
/// ```
pub fn clip_weights(net: &mut dyn Module, c: f64) {
    net.visit_mut("", &mut |_, kind, t| {
        if kind == Kind::Parameter {
            *t = no_grad(|| t.clamp(-c, c)).detach().requires_grad();
        }
    });
}

/// The share of a network's parameters that are at the bound.
pub fn at_the_bound(net: &dyn Module, c: f64) -> f64 {
    let (mut at, mut of) = (0.0, 0);
    net.visit("", &mut |_, kind, t| {
        if kind == Kind::Parameter {
            // In the parameter's own precision, as the bound was applied.
            let bound = t.full_like(c).mean_all().item();
            at += no_grad(|| t.detach().abs().ge_scalar(bound)).to_f64_vec().iter().sum::<f64>();
            of += t.numel();
        }
    });
    at / of.max(1) as f64
}
