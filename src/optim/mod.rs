//! Optimisers. Each updates all its parameters in one pass over memory.

mod ema;

pub use ema::Ema;

use crate::Tensor;
use crate::backend::Update;
use crate::ops::optim::{Row, update};
use serde::{Deserialize, Serialize};

/// Stochastic gradient descent (as torch.optim.SGD): with g' = g + weight_decay p,
/// b <- momentum b + (1 - dampening) g' (the first b is g' itself), p <- p - lr b; Nesterov: p <- p - lr (g' + momentum b).
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Factor of the momentum buffer; 0 for none.
    pub momentum: f64,
    /// The gradient enters the buffer with 1 - dampening, from the second step on.
    pub dampening: f64,
    /// Nesterov's form.
    pub nesterov: bool,
    /// Factor of the parameter that is added to the gradient.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Sgd {
        Sgd { lr: 1e-3, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

/// Adam (Kingma and Ba, 2014, arXiv:1412.6980): m <- b1 m + (1-b1) g, v <- b2 v + (1-b2) g^2,
/// p <- p - lr m/(1-b1^t) / (sqrt(v/(1-b2^t)) + eps).
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of first and second moment.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub eps: f64,
    /// Factor of the parameter that is added to the gradient.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0 }
    }
}

/// RMSprop (Tieleman and Hinton, 2012), uncentred: s <- alpha s + (1-alpha) g^2, d = g / (sqrt(s) + eps),
/// p <- p - lr d; with momentum b <- momentum b + d, p <- p - lr b.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean square.
    pub alpha: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Factor of the parameter that is added to the gradient.
    pub weight_decay: f64,
    /// Factor of the momentum buffer; 0 for none.
    pub momentum: f64,
}

impl Default for RmsProp {
    fn default() -> RmsProp {
        RmsProp { lr: 1e-2, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0 }
    }
}

/// Which optimiser, with its settings.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
#[allow(missing_docs)]
pub enum Rule {
    #[serde(rename = "SGD")]
    Sgd(Sgd),
    Adam(Adam),
    #[serde(rename = "RMSprop")]
    RmsProp(RmsProp),
}

impl From<Sgd> for Rule {
    fn from(r: Sgd) -> Rule {
        Rule::Sgd(r)
    }
}
impl From<Adam> for Rule {
    fn from(r: Adam) -> Rule {
        Rule::Adam(r)
    }
}
impl From<RmsProp> for Rule {
    fn from(r: RmsProp) -> Rule {
        Rule::RmsProp(r)
    }
}

impl Rule {
    /// The learning rate.
    pub fn lr(&self) -> f64 {
        match self {
            Rule::Sgd(r) => r.lr,
            Rule::Adam(r) => r.lr,
            Rule::RmsProp(r) => r.lr,
        }
    }

    /// The same rule with another learning rate.
    pub fn with_lr(mut self, lr: f64) -> Rule {
        match &mut self {
            Rule::Sgd(r) => r.lr = lr,
            Rule::Adam(r) => r.lr = lr,
            Rule::RmsProp(r) => r.lr = lr,
        }
        self
    }

    /// Number of tensors of state for each parameter.
    fn moments(&self) -> usize {
        match self {
            Rule::Sgd(r) => (r.momentum != 0.0) as usize,
            Rule::Adam(_) => 2,
            Rule::RmsProp(r) => 1 + (r.momentum != 0.0) as usize,
        }
    }

    /// The kernel's rule for a parameter's t-th update, counted from 1.
    fn update(&self, t: u64) -> Update {
        match *self {
            Rule::Sgd(Sgd { lr, momentum, dampening, nesterov, weight_decay }) => {
                Update::Sgd { lr, momentum, dampening, nesterov, weight_decay, first: t == 1 }
            }
            Rule::Adam(Adam { lr, betas: (beta1, beta2), eps, weight_decay }) => Update::Adam {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
                correction1: 1.0 - beta1.powf(t as f64),
                correction2: 1.0 - beta2.powf(t as f64),
            },
            Rule::RmsProp(RmsProp { lr, alpha, eps, weight_decay, momentum }) => {
                Update::RmsProp { lr, alpha, eps, weight_decay, momentum }
            }
        }
    }
}

/// The state of one parameter.
#[derive(Default)]
struct State {
    /// Updates so far.
    steps: u64,
    moments: Vec<Tensor>,
}

/// A rule with its state for a list of parameters.
pub struct Optimizer {
    /// The rule; its settings may be changed between steps.
    pub rule: Rule,
    state: Vec<State>,
}

impl Optimizer {
    /// An optimiser that has seen nothing.
    pub fn new(rule: impl Into<Rule>) -> Optimizer {
        Optimizer { rule: rule.into(), state: Vec::new() }
    }

    /// One step: updates each parameter by its gradient, where there is one. `params` and `grads` come in the same
    /// order at every step. A parameter whose value a live graph still holds is replaced, not overwritten.
    ///
    /// # Panics
    /// If the lists differ in length, or a gradient in shape or dtype from its parameter.
    #[track_caller]
    pub fn step(&mut self, params: Vec<&mut Tensor>, grads: Vec<Option<Tensor>>) {
        self.step_with_ema(params, grads, None);
    }

    /// [`Optimizer::step`] that also moves an exponential average of each parameter towards its new value, in the
    /// same pass: (averages, decay).
    #[track_caller]
    pub fn step_with_ema(
        &mut self,
        params: Vec<&mut Tensor>,
        grads: Vec<Option<Tensor>>,
        ema: Option<(Vec<&mut Tensor>, f64)>,
    ) {
        assert_eq!(params.len(), grads.len(), "optimiser: as many gradients as parameters");
        self.state.resize_with(params.len(), State::default);
        let (averages, decay) = ema.map_or((Vec::new(), 0.0), |(e, d)| (e, d));
        let mut averages: Vec<Option<&mut Tensor>> = averages.into_iter().map(Some).collect();
        averages.resize_with(params.len(), || None);
        // Parameters that were skipped at some step have an age of their own.
        let mut by_age: Vec<(u64, Vec<Row>)> = Vec::new();
        for (((param, grad), state), ema) in params.into_iter().zip(grads).zip(&mut self.state).zip(averages)
        {
            let Some(grad) = grad else { continue };
            state.steps += 1;
            state.moments.resize_with(self.rule.moments(), || {
                Tensor::zeros(param.shape(), param.dtype(), param.device())
            });
            let row = Row { param, grad, moments: &mut state.moments, ema: ema.map(|e| (e, decay)) };
            match by_age.iter_mut().find(|(t, _)| *t == state.steps) {
                Some((_, rows)) => rows.push(row),
                None => by_age.push((state.steps, vec![row])),
            }
        }
        for (t, rows) in by_age {
            update(self.rule.update(t), rows);
        }
    }

    /// The state as named tensors: `{name}.moment{i}` and the step counts `{name}.steps`, for parameters of these
    /// names.
    pub fn state_dict(&self, names: &[String]) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        for (name, state) in names.iter().zip(&self.state) {
            all.push((format!("{name}.steps"), Tensor::new(&[state.steps as i64], &[])));
            for (i, m) in state.moments.iter().enumerate() {
                all.push((format!("{name}.moment{i}"), m.clone()));
            }
        }
        all
    }
}
