//! What a step shows of itself.

use super::penalties::Penalties;
use crate::Tensor;

/// What an update of D was made of.
pub struct DiscriminatorUpdate<'a> {
    /// Which update of the step.
    pub k: usize,
    /// D's outputs on real and fake samples.
    pub real: &'a Tensor,
    /// See `real`.
    pub fake: &'a Tensor,
    /// The adversarial loss, unscaled.
    pub loss: f64,
    /// What D saw: real samples and fakes, altered and packed where they are.
    pub samples: [&'a Tensor; 2],
    /// The penalties without their weights.
    pub penalties: Penalties,
    /// What the learning rate is multiplied by to keep the balance; 0 if the update is not made.
    pub factor: f64,
    /// The auxiliary classifier's cross-entropy on real samples plus that on fakes, without its weight.
    pub class_loss: Option<f64>,
    /// What was differentiated: the scaled sum of loss and weighted cross-entropies, plus weighted penalties.
    pub objective: f64,
    /// Gradients of the objective before any bound, in the order of D's parameters.
    pub grads: &'a [Option<Tensor>],
}

/// What an update of G was made of.
pub struct GeneratorUpdate<'a> {
    /// Which update of the step.
    pub k: usize,
    /// D's output on the fakes.
    pub fake: &'a Tensor,
    /// The fakes, as D saw them.
    pub samples: &'a Tensor,
    /// The adversarial loss, unscaled.
    pub loss: f64,
    /// The auxiliary classifier's cross-entropy on the fakes, without its weight.
    pub class_loss: Option<f64>,
    /// The squared distance of mean features, where G matches features.
    pub feature_distance: Option<f64>,
    /// The orthogonal regulariser of G without its weight.
    pub orthogonal: Option<f64>,
    /// What was differentiated: the scaled sum of loss (or feature distance) and weighted cross-entropy, plus the weighted
    /// regulariser.
    pub objective: f64,
    /// Gradients of the objective before any bound, in the order of G's parameters.
    pub grads: &'a [Option<Tensor>],
}

/// Looks at a step's updates before they are applied.
pub trait Probe {
    /// After the gradients of an update of D.
    fn discriminator(&mut self, _: &DiscriminatorUpdate) {}
    /// After the gradients of an update of G.
    fn generator(&mut self, _: &GeneratorUpdate) {}
}

/// A probe that looks at nothing.
pub struct NoProbe;
impl Probe for NoProbe {}
