//! Bounds on the gradients of a step.

use super::{BadSetting, require};
use crate::Tensor;
use crate::backend::GradClip;
use crate::ops::optim::sum_squares;
use serde::{Deserialize, Serialize};

/// Added to the norm that is divided by, as in torch.nn.utils.clip_grad_norm_.
const EPS: f64 = 1e-6;

/// A bound on the gradients of all parameters of a step. The gradients themselves stay as they are: the update's one
/// pass over memory scales or clamps each element as it reads it. One reduction goes before it, for the norm.
///
/// In a file: `{ by = "norm", max = 1.0 }`.
///
/// ```
/// use ganvil::{Tensor, optim::{Clip, Optimizer, Sgd, StepOptions}};
/// let mut sgd = Optimizer::new(Sgd { lr: 1.0, ..Sgd::default() });
/// let mut p = Tensor::new(&[0.0f64, 0.0], &[2]);
/// let g = Tensor::new(&[3.0f64, 4.0], &[2]);
/// let options = StepOptions { clip: Some(Clip::Norm { max: 1.0 }), ..StepOptions::default() };
/// let norm = sgd.step_with(vec![&mut p], vec![Some(g)], options).unwrap();
/// assert_eq!(norm, Some(5.0)); // before clipping
/// assert!((p.square().sum_all().item().sqrt() - 1.0).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// By the norm over all parameters (Pascanu, Mikolov and Bengio, 2013, arXiv:1211.5063): g <- g min(1, max / (n + 1e-6))
    /// with n = sqrt(sum of all squares).
    Norm {
        /// Largest norm.
        max: f64,
    },
    /// Each element: g <- min(max(g, -max), max).
    Value {
        /// Largest magnitude.
        max: f64,
    },
}

/// A gradient has an element that the bound cannot mend; nothing was updated.
///
/// By norm that is any element that is not finite: scaling by max / inf would make every other gradient 0, and the
/// infinite ones NaN. By value it is NaN alone: an infinite element becomes the bound.
///
/// ```
/// use ganvil::{Tensor, optim::{Clip, Optimizer, Sgd, StepOptions}};
/// let (mut p, g) = (Tensor::new(&[1.0f32], &[1]), Tensor::new(&[f32::INFINITY], &[1]));
/// let options = StepOptions { clip: Some(Clip::Norm { max: 1.0 }), ema: None };
/// let e = Optimizer::new(Sgd::default()).step_with(vec![&mut p], vec![Some(g)], options).unwrap_err();
/// assert_eq!((e.index, e.norm, p.item()), (0, f64::INFINITY, 1.0));
/// ```
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("the gradients' norm is {norm}: gradient {index} is not finite")]
pub struct NonFiniteGradient {
    /// The norm over all gradients.
    pub norm: f64,
    /// The first gradient with such an element, counted as the parameters are.
    pub index: usize,
}

/// The norm over all gradients, sqrt(sum of all squares): in f64, in an order that does not depend on the number of
/// threads.
///
/// # Panics
/// If a gradient is neither f32 nor f64.
///
/// ```
/// use ganvil::{Tensor, optim::grad_norm};
/// let grads = [Some(Tensor::new(&[3e-30f32], &[1])), None, Some(Tensor::new(&[4e-30f32], &[1]))];
/// assert!((grad_norm(&grads) - 5e-30).abs() < 1e-36); // squares that f32 does not have
/// ```
#[track_caller]
pub fn grad_norm(grads: &[Option<Tensor>]) -> f64 {
    let present: Vec<&Tensor> = grads.iter().flatten().collect();
    sum_squares("grad_norm", &present).iter().sum::<f64>().sqrt()
}

impl Clip {
    /// Refuses a bound that no training can be done with.
    ///
    /// # Errors
    /// If it is not a finite number above 0.
    ///
    /// ```
    /// use ganvil::optim::Clip;
    /// assert!(Clip::Norm { max: 1.0 }.check().is_ok());
    /// assert!(Clip::Value { max: 0.0 }.check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), BadSetting> {
        let (Clip::Norm { max } | Clip::Value { max }) = *self;
        require(max.is_finite() && max > 0.0, "max", max, "a bound is a finite number above 0; 1 is usual")
    }

    /// What the kernel makes of each gradient, and the norm of them all before it.
    pub(super) fn prepare(&self, grads: &[Option<Tensor>]) -> Result<(GradClip, f64), NonFiniteGradient> {
        let present: Vec<(usize, &Tensor)> =
            grads.iter().enumerate().filter_map(|(i, g)| Some((i, g.as_ref()?))).collect();
        let squares = sum_squares("Optimizer::step", &present.iter().map(|(_, g)| *g).collect::<Vec<_>>());
        let norm = squares.iter().sum::<f64>().sqrt();
        let bad = |refused: &dyn Fn(f64) -> bool| {
            let found = present.iter().zip(&squares).find(|(_, s)| refused(**s));
            found.map_or(Ok(()), |((index, _), _)| Err(NonFiniteGradient { norm, index: *index }))
        };
        match *self {
            Clip::Norm { max } => {
                bad(&|s| !s.is_finite())?;
                Ok((GradClip { scale: (max / (norm + EPS)).min(1.0), ..GradClip::NONE }, norm))
            }
            Clip::Value { max } => {
                bad(&|s| s.is_nan())?;
                Ok((GradClip { limit: max, ..GradClip::NONE }, norm))
            }
        }
    }
}
