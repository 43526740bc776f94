//! Optimisers. Each updates all its parameters in one pass over memory.
//!
//! - [`Sgd`], [`Adam`], [`AdamW`], [`RmsProp`]: the rules and their settings; [`Optimizer`] carries one out in place.
//! - [`Clip`]: bounds on a step's gradients, applied by the same pass.
//! - [`Schedule`]: how a learning rate changes over training. [`Ema`]: how an average of the parameters follows them.
//! - [`differentiable`]: the same rules as functions that a gradient flows through.

mod clip;
pub mod differentiable;
mod ema;
mod optimizer;
mod rules;
mod schedule;

pub use clip::{Clip, NonFiniteGradient, grad_norm};
pub use ema::Ema;
pub use optimizer::{Optimizer, StepOptions};
pub use rules::{Adam, AdamW, RmsProp, Rule, Sgd};
pub use schedule::Schedule;

use std::fmt;

/// A setting that no training can be done with. Displayed as "SETTING = VALUE: what it may be".
///
/// ```
/// use ganvil::optim::{Adam, Rule};
/// let e = Rule::from(Adam { eps: -1.0, ..Adam::default() }).check().unwrap_err();
/// assert_eq!(e.to_string(), "eps = -1: it is a finite number, 0 or more; 1e-8 is usual");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadSetting {
    /// The setting's name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub remedy: &'static str,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} = {}: {}", self.name, self.value, self.remedy)
    }
}

impl std::error::Error for BadSetting {}

/// An error unless `holds`.
fn require(
    holds: bool,
    name: &'static str,
    value: impl fmt::Debug,
    remedy: &'static str,
) -> Result<(), BadSetting> {
    if holds {
        return Ok(());
    }
    let value = format!("{value:?}");
    Err(BadSetting { name, value: value.trim_end_matches(".0").into(), remedy })
}

/// Whether a number is finite and not negative.
fn is_amount(v: f64) -> bool {
    v.is_finite() && v >= 0.0
}
