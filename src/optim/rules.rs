//! The update rules and their settings, named and meant as in torch.optim.

use super::{BadSetting, is_amount, require};
use crate::backend::Update;
use serde::{Deserialize, Serialize};

/// Stochastic gradient descent (as torch.optim.SGD): with g' = g + weight_decay p,
/// b <- momentum b + (1 - dampening) g' (the first b is g' itself), p <- p - lr b; Nesterov: p <- p - lr (g' + momentum b).
///
/// ```
/// use ganvil::{Tensor, optim::{Optimizer, Sgd}};
/// let mut sgd = Optimizer::new(Sgd { lr: 0.1, momentum: 0.5, ..Sgd::default() });
/// let (mut p, g) = (Tensor::new(&[1.0f64], &[1]), Tensor::new(&[2.0f64], &[1]));
/// sgd.step(vec![&mut p], vec![Some(g.clone())]); // b = 2
/// sgd.step(vec![&mut p], vec![Some(g)]); // b = 0.5 2 + 2
/// assert!((p.item() - (1.0 - 0.1 * 2.0 - 0.1 * 3.0)).abs() < 1e-15);
/// ```
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

/// Adam (Kingma and Ba, 2014, arXiv:1412.6980): with g' = g + weight_decay p, m <- b1 m + (1-b1) g',
/// v <- b2 v + (1-b2) g'^2, p <- p - lr m/(1-b1^t) / (sqrt(v/(1-b2^t)) + eps).
///
/// AMSGrad (Reddi, Kale and Kumar, 2018, arXiv:1904.09237) divides by the largest v so far. As in PyTorch that is the
/// largest before the bias correction of the current step.
///
/// ```
/// use ganvil::{Tensor, optim::{Adam, Optimizer}};
/// let mut adam = Optimizer::new(Adam { lr: 0.1, ..Adam::default() });
/// let (mut p, g) = (Tensor::new(&[1.0f64, 1.0], &[2]), Tensor::new(&[1e3f64, -1e-3], &[2]));
/// adam.step(vec![&mut p], vec![Some(g)]);
/// // The first step is lr long whatever the gradient's size.
/// assert!(p.to_vec::<f64>().iter().zip([0.9, 1.1]).all(|(a, b)| (a - b).abs() < 1e-5));
/// ```
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
    /// Divides by the largest second moment so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2017, arXiv:1711.05101): p <- (1 - lr weight_decay) p, then
/// [`Adam`]'s step by the gradient alone. The decay so does not pass through the division by sqrt(v), and large and
/// small gradients decay alike.
///
/// ```
/// use ganvil::{Tensor, optim::{AdamW, Optimizer}};
/// let mut adamw = Optimizer::new(AdamW { lr: 0.1, weight_decay: 0.5, ..AdamW::default() });
/// let (mut p, g) = (Tensor::new(&[2.0f64], &[1]), Tensor::new(&[0.0f64], &[1]));
/// adamw.step(vec![&mut p], vec![Some(g)]);
/// assert!((p.item() - 2.0 * (1.0 - 0.1 * 0.5)).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay of first and second moment.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub eps: f64,
    /// Share of the parameter, times lr, that each step takes away.
    pub weight_decay: f64,
    /// Divides by the largest second moment so far; see [`Adam`].
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> AdamW {
        AdamW { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 1e-2, amsgrad: false }
    }
}

/// RMSprop (Tieleman and Hinton, 2012, Coursera lecture 6.5): with g' = g + weight_decay p,
/// s <- alpha s + (1-alpha) g'^2, d = g' / (sqrt(s) + eps), p <- p - lr d; with momentum b <- momentum b + d,
/// p <- p - lr b.
///
/// Centred (Graves, 2013, arXiv:1308.0850): also a <- alpha a + (1-alpha) g', and d = g' / (sqrt(s - a^2) + eps).
/// Where rounding makes s - a^2 negative, which a gradient that never changes can do, it is taken to be 0.
///
/// ```
/// use ganvil::{Tensor, optim::{Optimizer, RmsProp}};
/// let mut rmsprop = Optimizer::new(RmsProp { lr: 0.1, alpha: 0.75, eps: 0.0, ..RmsProp::default() });
/// let (mut p, g) = (Tensor::new(&[1.0f64], &[1]), Tensor::new(&[4.0f64], &[1]));
/// rmsprop.step(vec![&mut p], vec![Some(g)]); // s = 0.25 4^2, d = 4 / 2
/// assert!((p.item() - 0.8).abs() < 1e-15);
/// ```
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
    /// Divides by the standard deviation of the gradient, not by the root of its mean square.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> RmsProp {
        RmsProp { lr: 1e-2, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

/// Which optimiser, with its settings. In a file, `type` is PyTorch's name of the class.
///
/// ```
/// use ganvil::optim::{AdamW, Rule};
/// let rule: Rule = toml::from_str("type = 'AdamW'\nlr = 2e-4\nbetas = [0.5, 0.9]").unwrap();
/// assert_eq!(rule, AdamW { lr: 2e-4, betas: (0.5, 0.9), ..AdamW::default() }.into());
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Rule {
    /// Stochastic gradient descent.
    #[serde(rename = "SGD")]
    Sgd(Sgd),
    /// Adam, weight decay added to the gradient.
    Adam(Adam),
    /// Adam, weight decay of its own.
    AdamW(AdamW),
    /// RMSprop.
    #[serde(rename = "RMSprop")]
    RmsProp(RmsProp),
}

macro_rules! from {
    ($($rule:ident),*) => { $(
        impl From<$rule> for Rule {
            fn from(r: $rule) -> Rule {
                Rule::$rule(r)
            }
        }
    )* };
}
from!(Sgd, Adam, AdamW, RmsProp);

impl Rule {
    /// The learning rate.
    ///
    /// ```
    /// use ganvil::optim::{RmsProp, Rule};
    /// assert_eq!(Rule::from(RmsProp { lr: 5e-5, ..RmsProp::default() }).lr(), 5e-5);
    /// ```
    pub fn lr(&self) -> f64 {
        match self {
            Rule::Sgd(r) => r.lr,
            Rule::Adam(r) => r.lr,
            Rule::AdamW(r) => r.lr,
            Rule::RmsProp(r) => r.lr,
        }
    }

    /// The same rule with another learning rate.
    ///
    /// ```
    /// use ganvil::optim::{Rule, Sgd};
    /// assert_eq!(Rule::from(Sgd::default()).with_lr(0.5).lr(), 0.5);
    /// ```
    pub fn with_lr(mut self, lr: f64) -> Rule {
        match &mut self {
            Rule::Sgd(r) => r.lr = lr,
            Rule::Adam(r) => r.lr = lr,
            Rule::AdamW(r) => r.lr = lr,
            Rule::RmsProp(r) => r.lr = lr,
        }
        self
    }

    /// The same rule for a parameter whose regulariser is computed in every `every`-th step only: with
    /// c = every / (every + 1), lr c and betas to the power c, so that steps with and without it add up to what one
    /// step with all of it would do (Karras et al., 2020, arXiv:1912.04958, appendix B).
    ///
    /// ```
    /// use ganvil::optim::{Adam, Rule};
    /// let rule = Rule::from(Adam { lr: 0.17, betas: (0.0, 0.99), ..Adam::default() }).lazy(16);
    /// let Rule::Adam(adam) = rule else { unreachable!() };
    /// assert!((adam.lr - 0.16).abs() < 1e-12);
    /// assert_eq!(adam.betas, (0.0, 0.99f64.powf(16.0 / 17.0)));
    /// assert_eq!(Rule::from(Adam::default()).lazy(1), Adam::default().into());
    /// ```
    pub fn lazy(mut self, every: usize) -> Rule {
        if every <= 1 {
            return self;
        }
        let c = every as f64 / (every + 1) as f64;
        match &mut self {
            Rule::Adam(Adam { betas, .. }) | Rule::AdamW(AdamW { betas, .. }) => {
                *betas = (betas.0.powf(c), betas.1.powf(c));
            }
            Rule::Sgd(_) | Rule::RmsProp(_) => {}
        }
        let lr = self.lr();
        self.with_lr(lr * c)
    }

    /// Refuses settings that no training can be done with.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    ///
    /// ```
    /// use ganvil::optim::{Rule, Sgd};
    /// let rule = Rule::from(Sgd { nesterov: true, ..Sgd::default() });
    /// assert_eq!(rule.check().unwrap_err().name, "nesterov");
    /// ```
    pub fn check(&self) -> Result<(), BadSetting> {
        require(is_amount(self.lr()), "lr", self.lr(), "it is a finite number, 0 or more; 2e-4 is usual")?;
        let weight_decay = match self {
            Rule::Sgd(r) => r.weight_decay,
            Rule::Adam(r) => r.weight_decay,
            Rule::AdamW(r) => r.weight_decay,
            Rule::RmsProp(r) => r.weight_decay,
        };
        require(
            is_amount(weight_decay),
            "weight_decay",
            weight_decay,
            "it is a finite number, 0 or more; 0 is usual",
        )?;
        match *self {
            Rule::Sgd(Sgd { momentum, dampening, nesterov, .. }) => {
                momentum_is_amount(momentum)?;
                require(dampening.is_finite(), "dampening", dampening, "it is a finite number; 0 is usual")?;
                require(
                    !nesterov || (momentum > 0.0 && dampening == 0.0),
                    "nesterov",
                    nesterov,
                    "Nesterov's form needs a momentum above 0 and no dampening",
                )
            }
            Rule::Adam(Adam { betas, eps, .. }) | Rule::AdamW(AdamW { betas, eps, .. }) => {
                for beta in [betas.0, betas.1] {
                    require(
                        (0.0..1.0).contains(&beta),
                        "betas",
                        betas,
                        "each lies in [0, 1); 0.9, 0.999 is usual",
                    )?;
                }
                eps_is_amount(eps)
            }
            Rule::RmsProp(RmsProp { alpha, eps, momentum, .. }) => {
                require(
                    (0.0..=1.0).contains(&alpha),
                    "alpha",
                    alpha,
                    "it lies between 0 and 1; 0.99 is usual",
                )?;
                eps_is_amount(eps)?;
                momentum_is_amount(momentum)
            }
        }
    }

    /// The tensors of state for each parameter, in the kernel's order, by PyTorch's names.
    pub(super) fn moments(&self) -> Vec<&'static str> {
        let named = |all: &[(bool, &'static str)]| all.iter().filter(|m| m.0).map(|m| m.1).collect();
        match self {
            Rule::Sgd(r) => named(&[(r.momentum != 0.0, "momentum_buffer")]),
            Rule::Adam(Adam { amsgrad, .. }) | Rule::AdamW(AdamW { amsgrad, .. }) => {
                named(&[(true, "exp_avg"), (true, "exp_avg_sq"), (*amsgrad, "max_exp_avg_sq")])
            }
            Rule::RmsProp(r) => named(&[
                (true, "square_avg"),
                (r.momentum != 0.0, "momentum_buffer"),
                (r.centered, "grad_avg"),
            ]),
        }
    }

    /// The kernel's rule for a parameter's t-th update, counted from 1.
    pub(super) fn update(&self, t: u64) -> Update {
        match *self {
            Rule::Sgd(Sgd { lr, momentum, dampening, nesterov, weight_decay }) => {
                Update::Sgd { lr, momentum, dampening, nesterov, weight_decay, first: t == 1 }
            }
            Rule::Adam(r) => adam(r, false, t),
            Rule::AdamW(AdamW { lr, betas, eps, weight_decay, amsgrad }) => {
                adam(Adam { lr, betas, eps, weight_decay, amsgrad }, true, t)
            }
            Rule::RmsProp(RmsProp { lr, alpha, eps, weight_decay, momentum, centered }) => {
                Update::RmsProp { lr, alpha, eps, weight_decay, momentum, centered }
            }
        }
    }
}

fn eps_is_amount(eps: f64) -> Result<(), BadSetting> {
    require(is_amount(eps), "eps", eps, "it is a finite number, 0 or more; 1e-8 is usual")
}

fn momentum_is_amount(momentum: f64) -> Result<(), BadSetting> {
    require(is_amount(momentum), "momentum", momentum, "it is a finite number, 0 or more; 0 or 0.9 is usual")
}

fn adam(r: Adam, decoupled: bool, t: u64) -> Update {
    let Adam { lr, betas: (beta1, beta2), eps, weight_decay, amsgrad } = r;
    Update::Adam {
        lr,
        beta1,
        beta2,
        eps,
        weight_decay,
        decoupled,
        amsgrad,
        correction1: 1.0 - beta1.powf(t as f64),
        correction2: 1.0 - beta2.powf(t as f64),
    }
}
