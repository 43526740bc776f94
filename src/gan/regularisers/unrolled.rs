//! Unrolled GAN (Metz et al., 2016, arXiv:1611.02163, section 2): G plays against the D that will have answered.
//!
//! theta_D^0 = theta_D,  theta_D^{i+1} = theta_D^i - step of D's optimiser on its objective,
//! L_G(theta_G) = loss of G against D(theta_D^k)
//!
//! L_G is differentiated through the k steps, which depend on G by the fakes they are made on: G sees what D will do
//! about a move, so it gains nothing by moving all its samples to the mode that D neglects at the moment. D itself makes
//! its ordinary update. Pitfalls: k steps cost about 3 k passes of D and the memory of their graphs; Adam's division by
//! sqrt(v) + eps is steep where v is near 0, see [`crate::optim::differentiable`]; k is 1 to 10.

use crate::autograd::grad;
use crate::gan::Network;
use crate::nn::{Kind, Module, parameters};
use crate::optim::Rule;
use crate::optim::differentiable::{self, State};
use crate::tensor::{is_recording, with_recording};
use crate::{Tensor, error::misuse};

/// D after `k` further steps of `rule` on `objective`, as a function of what the objective is a function of. D itself
/// stays as it is.
///
/// ```
/// use ganvil::gan::{Network, unrolled};
/// use ganvil::nn::{Ctx, LayerSpec, Module};
/// use ganvil::optim::Sgd;
/// use ganvil::{Generator, Tensor, autograd::grad, rng::Stream};
/// // D(x) = w x + b; one step up D's output at x moves w by lr x and b by lr, so D(x) by lr (x^2 + 1).
/// let d = Network::new("D", &[LayerSpec::linear(1, 1)], &Generator::new(0, Stream::Init));
/// let x = Tensor::from([[2.0f32]]).requires_grad();
/// let out = |d: &Network| d.forward(&x, &Ctx::eval());
/// let after = unrolled(&d, &Sgd { lr: 0.5, ..Sgd::default() }.into(), &[], 1, &mut |d| out(d).neg().sum_all());
/// assert!((out(&after).item() - out(&d).item() - 0.5 * 5.0).abs() < 1e-5);
/// let through = |d: &Network| grad(&[&out(d)], &[&x], &[], false)[0].clone().unwrap().item();
/// assert!((through(&after) - through(&d) - 2.0 * 0.5 * 2.0).abs() < 1e-5); // the derivative of lr (x^2 + 1)
/// ```
///
/// # Panics
/// If the objective does not depend on D's parameters.
#[track_caller]
pub fn unrolled(
    d: &Network,
    rule: &Rule,
    state: &[State],
    k: usize,
    objective: &mut dyn FnMut(&Network) -> Tensor,
) -> Network {
    let (mut d, mut state) = (d.clone(), state.to_vec());
    let recording = is_recording();
    for _ in 0..k {
        // The steps are gradients even where the caller only wants their value.
        let (new, next) = with_recording(true, || {
            let params = parameters(&d);
            let grads = grad(&[&objective(&d)], &params.iter().collect::<Vec<_>>(), &[], recording);
            if grads.iter().all(Option::is_none) {
                misuse!(
                    "unrolled",
                    "the objective depends on no parameter of D; compute it with the D that it is given"
                );
            }
            differentiable::step(rule, &params, &grads, &state)
        });
        let mut new = new.into_iter();
        d = d.map(|_, kind, t| match kind {
            Kind::Parameter => {
                let p = new.next().expect("a parameter for each");
                if recording { p } else { p.detach().requires_grad() }
            }
            _ => t.clone(),
        });
        state = next;
    }
    d
}
