//! What is said of a step that ends in values that are not finite.

use super::Gan;
use crate::Tensor;
use crate::gan::network::Network;
use crate::nn::{Kind, Module};
use crate::optim::NonFiniteGradient;

/// A loss, or a gradient that was to be bounded, was not finite; the update it belonged to was not made.
#[derive(Clone, PartialEq, Debug)]
pub struct NotFinite {
    /// Which loss or norm, with its value.
    pub what: String,
    /// The first tensor on the way to it that is not finite.
    pub tensor: String,
}

impl Gan {
    /// Names the first tensor that is not finite, in the order of computation.
    pub(super) fn not_finite(&self, what: String, seen: &[(&str, &Tensor)]) -> NotFinite {
        let mut first = None;
        let mut look = |name: &str, t: &Tensor| {
            if first.is_none() && t.dtype().is_float() && t.to_f64_vec().iter().any(|v| !v.is_finite()) {
                first = Some(name.to_owned());
            }
        };
        seen.iter().filter(|(name, _)| *name == "real batch").for_each(|(name, t)| look(name, t));
        self.g.visit("G.", &mut |name, _, t| look(name, t));
        seen.iter().filter(|(name, _)| *name == "G(z)").for_each(|(name, t)| look(name, t));
        self.d.visit("D.", &mut |name, _, t| look(name, t));
        seen.iter().for_each(|(name, t)| look(name, t));
        NotFinite {
            what,
            tensor: first.unwrap_or_else(|| "the loss itself (all it was made of is finite)".into()),
        }
    }
}

/// The error for gradients that a network's bound cannot mend.
pub(super) fn refused(net: &Network, e: NonFiniteGradient) -> NotFinite {
    let name = net.name();
    let mut names = Vec::new();
    net.visit(&format!("{name}."), &mut |name, kind, _| {
        if kind == Kind::Parameter {
            names.push(name.to_owned());
        }
    });
    NotFinite {
        what: format!("the norm of {name}'s gradient is {}", e.norm),
        tensor: format!("the gradient of {}", names[e.index]),
    }
}
