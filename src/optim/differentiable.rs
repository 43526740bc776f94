//! The update rules as functions of tensors: a gradient flows through the step.
//!
//! An unrolled GAN (Metz et al., 2016, arXiv:1611.02163) trains G on a loss of a D that has made k more updates, and
//! differentiates through them. [`step`] maps parameters, gradients and state to new ones and writes to none of them;
//! where the gradients were taken with `create_graph`, the new parameters are functions of whatever the loss was a
//! function of. For the same settings it gives the numbers that [`Optimizer`](super::Optimizer) gives in place, at the
//! price of a tensor for each operation.
//!
//! # Where the square root has no derivative
//!
//! Adam and RMSprop divide by sqrt(v) + eps, and the slope of sqrt is infinite at v = 0: what a unit that has been off
//! in every step has. There v can only have grown from gradients g of exactly 0, so the numerator is 0 too. The step
//! as a function of g is smooth: fresh Adam moves by -lr g / (|g| + eps), with the slope -lr / eps at g = 0. The chain
//! rule would make NaN of it, infinite times 0. Here the slope of the root at 0 counts as 0, which gives exactly that
//! value, and 0 for the derivative by the old v, which is the true one as long as the numerator is 0. What it does not
//! give is the derivative by v = 0 beside a numerator that is not 0: it is infinite, and 0 is returned. (A g so small
//! that g^2 underflows has that, below 1e-22 in f32.) The second derivative by g at 0 does not exist, because of |g|.
//!
//! -lr / eps is large: with Adam's usual settings 1e5. A path that ends in a gradient of exactly 0 that stays 0 adds
//! nothing, but one that only passes through 0 is amplified. Unroll with a larger eps if that matters.
//!
//! AMSGrad's largest v and the centred RMSprop's clamped variance have kinks; the gradient goes to the side that the
//! value comes from, at a tie of AMSGrad's to the old one.

use super::optimizer::check_rule;
use super::rules::Rule;
use crate::Tensor;
use crate::backend::Update;
use crate::error::misuse;

/// The state of one parameter: a value, as a tensor is. Cloning it shares memory.
///
/// ```
/// use ganvil::{Tensor, optim::{Sgd, differentiable}};
/// let rule = Sgd { momentum: 0.9, ..Sgd::default() }.into();
/// let (p, g) = (Tensor::new(&[1.0f64], &[1]), Tensor::new(&[2.0f64], &[1]));
/// let (_, state) = differentiable::step(&rule, &[p], &[Some(g)], &[]);
/// assert_eq!((state[0].steps(), state[0].moments()[0].item()), (1, 2.0));
/// ```
#[derive(Clone, Default)]
pub struct State {
    steps: u64,
    moments: Vec<Tensor>,
}

impl State {
    pub(super) fn new(steps: u64, moments: Vec<Tensor>) -> State {
        State { steps, moments }
    }

    /// Updates so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The rule's moments, in the order of [`Optimizer::state_dict`](super::Optimizer::state_dict); none before the
    /// first update.
    pub fn moments(&self) -> &[Tensor] {
        &self.moments
    }
}

/// One step of a rule: the new parameters, and their new state. An empty `state` stands for one that has seen nothing. A
/// parameter without a gradient is handed on with its state.
///
/// # Panics
/// If the lists differ in length, a gradient differs from its parameter in shape, dtype or device, the state is of
/// another rule, or [`Rule::check`] refuses the rule.
///
/// ```
/// use ganvil::optim::{Sgd, differentiable};
/// use ganvil::{Tensor, autograd::grad};
/// // Loss a p^2 / 2: one step gives p - lr a p, whose derivative by a is -lr p.
/// let a = Tensor::new(&[3.0f64], &[1]).requires_grad();
/// let p = Tensor::new(&[2.0f64], &[1]).requires_grad();
/// let loss = a.mul(&p.square()).mul_scalar(0.5).sum_all();
/// let grads = grad(&[&loss], &[&p], &[], true);
/// let rule = Sgd { lr: 0.1, ..Sgd::default() }.into();
/// let (new, _) = differentiable::step(&rule, &[p], &grads, &[]);
/// assert!((new[0].item() - 1.4).abs() < 1e-15);
/// let by_a = grad(&[&new[0]], &[&a], &[], false)[0].clone().unwrap();
/// assert!((by_a.item() - -0.2).abs() < 1e-15);
/// ```
#[track_caller]
pub fn step(
    rule: &Rule,
    params: &[Tensor],
    grads: &[Option<Tensor>],
    state: &[State],
) -> (Vec<Tensor>, Vec<State>) {
    check_rule(STEP, rule);
    let fresh = vec![State::default(); params.len()];
    let state = if state.is_empty() { &fresh } else { state };
    if params.len() != grads.len() || params.len() != state.len() {
        misuse!(
            STEP,
            "{} parameters, {} gradients and {} states; give one of each per parameter, or no state at the first step",
            params.len(),
            grads.len(),
            state.len()
        );
    }
    let (mut new, mut next) = (Vec::with_capacity(params.len()), Vec::with_capacity(params.len()));
    for (i, ((p, g), s)) in params.iter().zip(grads).zip(state).enumerate() {
        let (p, s) = match g {
            Some(g) => {
                check(i, p, g, rule, s);
                one(rule, p, g, s)
            }
            None => (p.clone(), s.clone()),
        };
        new.push(p);
        next.push(s);
    }
    (new, next)
}

const STEP: &str = "differentiable::step";

#[track_caller]
fn check(i: usize, p: &Tensor, g: &Tensor, rule: &Rule, s: &State) {
    let names = rule.moments();
    if s.steps > 0 && s.moments.len() != names.len() {
        misuse!(
            STEP,
            "parameter {i} has a state of {} moments, {rule:?} has {names:?}; begin with no state",
            s.moments.len()
        );
    }
    for (what, t) in std::iter::once(("gradient", g)).chain(s.moments.iter().map(|m| ("state", m))) {
        if (t.shape(), t.dtype(), t.device()) != (p.shape(), p.dtype(), p.device()) {
            misuse!(
                STEP,
                "parameter {i} is {:?} {} on {}, its {what} {:?} {} on {}; they must be alike",
                p.shape(),
                p.dtype(),
                p.device(),
                t.shape(),
                t.dtype(),
                t.device()
            );
        }
    }
}

/// The step of one parameter. Each rule applies the operations of its kernel in the same order.
fn one(rule: &Rule, p: &Tensor, g: &Tensor, s: &State) -> (Tensor, State) {
    let steps = s.steps + 1;
    let moments = match s.steps {
        0 => rule.moments().iter().map(|_| p.zeros_like()).collect(),
        _ => s.moments.clone(),
    };
    let (p, moments) = match rule.update(steps) {
        Update::Sgd { lr, momentum, dampening, nesterov, weight_decay, first } => {
            let g = decayed(g, p, weight_decay);
            let Some(b) = moments.into_iter().next() else {
                return (descend(p, &g, lr), State { steps, moments: Vec::new() });
            };
            let b = if first { g.clone() } else { mix(&b, momentum, &g, 1.0 - dampening) };
            let d = if nesterov { g.add(&b.mul_scalar(momentum)) } else { b.clone() };
            (descend(p, &d, lr), vec![b])
        }
        Update::Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            amsgrad,
            correction1,
            correction2,
        } => {
            let g = decayed(g, p, if decoupled { 0.0 } else { weight_decay });
            let m = mix(&moments[0], beta1, &g, 1.0 - beta1);
            let v = mix(&moments[1], beta2, &g.mul(&g), 1.0 - beta2);
            let max = amsgrad.then(|| moments[2].ge(&v).where_(&moments[2], &v));
            let root = root(max.as_ref().unwrap_or(&v)).mul_scalar(1.0 / correction2.sqrt());
            let d = m.mul_scalar(lr / correction1).div(&root.add_scalar(eps));
            let kept = if decoupled { p.mul_scalar(1.0 - lr * weight_decay) } else { p.clone() };
            (kept.sub(&d), [m, v].into_iter().chain(max).collect())
        }
        Update::RmsProp { lr, alpha, eps, weight_decay, momentum, centered } => {
            let g = decayed(g, p, weight_decay);
            let s = mix(&moments[0], alpha, &g.mul(&g), 1.0 - alpha);
            let mean = centered.then(|| mix(&moments[moments.len() - 1], alpha, &g, 1.0 - alpha));
            let root = match &mean {
                Some(a) => root(&s.sub(&a.mul(a))),
                None => root(&s),
            };
            let d = g.div(&root.add_scalar(eps));
            let b = (momentum != 0.0).then(|| mix(&moments[1], momentum, &d, 1.0));
            let p = descend(p, b.as_ref().unwrap_or(&d), lr);
            (p, std::iter::once(s).chain(b).chain(mean).collect())
        }
    };
    (p, State { steps, moments })
}

/// g + decay p.
fn decayed(g: &Tensor, p: &Tensor, decay: f64) -> Tensor {
    if decay == 0.0 { g.clone() } else { g.add(&p.mul_scalar(decay)) }
}

/// a x + b y.
fn mix(x: &Tensor, a: f64, y: &Tensor, b: f64) -> Tensor {
    x.mul_scalar(a).add(&y.mul_scalar(b))
}

/// p - lr d.
fn descend(p: &Tensor, d: &Tensor, lr: f64) -> Tensor {
    p.sub(&d.mul_scalar(lr))
}

/// sqrt(max(v, 0)) with the derivative 0 where v is not above 0; NaN stays NaN. The root is taken of 1 there: a mask on
/// the result alone would leave 0 times infinity in the derivative.
fn root(v: &Tensor) -> Tensor {
    let flat = v.le_scalar(0.0);
    flat.where_(&v.zeros_like(), &flat.where_(&v.ones_like(), v).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::{CheckOptions, grad, gradcheck};
    use crate::optim::{Adam, AdamW, RmsProp, Sgd};
    use crate::tensor::with_recording;

    fn rules() -> Vec<Rule> {
        let adam = Adam { lr: 0.1, betas: (0.5, 0.9), eps: 1e-2, weight_decay: 0.1, amsgrad: false };
        let (lr, betas, eps, weight_decay) = (adam.lr, adam.betas, adam.eps, 0.2);
        let rmsprop =
            RmsProp { lr: 0.1, alpha: 0.7, eps: 1e-2, weight_decay: 0.1, momentum: 0.0, centered: false };
        let sgd = Sgd { lr: 0.2, momentum: 0.6, dampening: 0.3, nesterov: false, weight_decay: 0.1 };
        vec![
            Sgd { momentum: 0.0, ..sgd }.into(),
            sgd.into(),
            Sgd { nesterov: true, dampening: 0.0, ..sgd }.into(),
            adam.into(),
            Adam { amsgrad: true, ..adam }.into(),
            AdamW { lr, betas, eps, weight_decay, amsgrad: false }.into(),
            AdamW { lr, betas, eps, weight_decay, amsgrad: true }.into(),
            rmsprop.into(),
            RmsProp { momentum: 0.5, ..rmsprop }.into(),
            RmsProp { centered: true, ..rmsprop }.into(),
            RmsProp { momentum: 0.5, centered: true, ..rmsprop }.into(),
        ]
    }

    /// The parameters w after `steps` updates on a loss of w and x that is not quadratic, as a function of x and the
    /// first w. The graph of each inner gradient is kept, as an unrolled game keeps it.
    fn unrolled(rule: &Rule, steps: usize, x: &Tensor, w: &Tensor) -> Tensor {
        with_recording(true, || {
            let leaf = |t: &Tensor| if t.is_tracked() { t.clone() } else { t.clone().requires_grad() };
            let (x, mut w, mut state) = (leaf(x), leaf(w), Vec::new());
            for _ in 0..steps {
                let loss = x.mul(&w).tanh().add(&w.square()).mul(&x).sum_all();
                let grads = grad(&[&loss], &[&w], &[], true);
                let (mut new, next) = step(rule, &[w], &grads, &state);
                (w, state) = (new.remove(0), next);
            }
            w
        })
    }

    #[test]
    fn gradients_through_unrolled_steps_are_those_of_finite_differences() {
        let x = Tensor::new(&[0.9, -1.3, 0.4, 2.0], &[4]);
        let w = Tensor::new(&[0.5, 0.8, -1.1, 0.3], &[4]);
        for rule in rules() {
            for steps in [1, 2, 3] {
                let f = |xs: &[Tensor]| unrolled(&rule, steps, &xs[0], &xs[1]);
                // A relative tolerance of 1e-6 on values of order 1 is what central differences of step 1e-5 reach.
                let options = CheckOptions { eps: 1e-5, atol: 1e-8, rtol: 1e-6, ..CheckOptions::default() };
                gradcheck(f, &[x.clone(), w.clone()], &options)
                    .unwrap_or_else(|e| panic!("{rule:?}, {steps} steps: {e}"));
            }
        }
    }

    /// Fresh Adam moves by lr g / (|g| + eps), and fresh RMSprop by lr g / (sqrt(1 - alpha) |g| + eps): the slope at g = 0
    /// is lr / eps for both, and for the centred one too.
    #[test]
    fn a_gradient_of_zero_has_the_slope_that_calculus_gives() {
        let (lr, eps) = (0.1, 1e-3);
        let rules: [(Rule, f64); 4] = [
            (Adam { lr, eps, ..Adam::default() }.into(), lr / eps),
            (Adam { lr, eps, amsgrad: true, ..Adam::default() }.into(), lr / eps),
            (RmsProp { lr, eps, ..RmsProp::default() }.into(), lr / eps),
            (RmsProp { lr, eps, centered: true, momentum: 0.9, ..RmsProp::default() }.into(), lr / eps),
        ];
        for (rule, slope) in rules {
            let g = Tensor::new(&[0.0, 1.5], &[2]).requires_grad();
            let p = Tensor::new(&[1.0, 1.0], &[2]);
            let (new, state) = step(&rule, &[p], &[Some(g.clone())], &[]);
            let d = grad(&[&new[0].sum_all()], &[&g], &[], true)[0].clone().unwrap();
            let got = d.to_vec::<f64>();
            assert!((got[0] + slope).abs() < 1e-12 * slope, "{rule:?}: {got:?}");
            assert!(got[1].is_finite());
            // A difference quotient across 0 agrees: the function is odd, with a curvature of lr / eps^2 either side.
            let h = 1e-9;
            let at = |g: f64| {
                let g = Tensor::new(&[g, 1.5], &[2]);
                step(&rule, &[Tensor::new(&[0.0, 1.0], &[2])], &[Some(g)], &[]).0[0].to_vec::<f64>()[0]
            };
            let numeric = (at(h) - at(-h)) / (2.0 * h);
            assert!((numeric + slope).abs() < 2.0 * h / eps * slope, "{rule:?}: {numeric}");
            // A second step with the gradient still 0: nothing becomes NaN, by the state neither.
            let (newer, _) = step(&rule, &new, &[Some(g.clone())], &state);
            let d = grad(&[&newer[0].sum_all()], &[&g], &[], false)[0].clone().unwrap();
            assert!(d.to_vec::<f64>().iter().all(|v| v.is_finite()), "{rule:?}: {d:?}");
        }
    }

    /// By an old v of 0 the derivative is 0 while the numerator is 0.
    #[test]
    fn an_old_square_of_zero_has_no_slope() {
        let zero = || Tensor::new(&[0.0f64], &[1]);
        let v = zero().requires_grad();
        let state = State { steps: 3, moments: vec![zero(), v.clone()] };
        let rule = Adam::default().into();
        let (new, _) = step(&rule, &[zero()], &[Some(zero())], &[state]);
        let d = grad(&[&new[0]], &[&v], &[], false)[0].clone().unwrap();
        assert_eq!(d.item(), 0.0);
    }
}
