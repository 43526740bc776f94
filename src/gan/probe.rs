//! What a step shows of itself.

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
    /// The gradient penalty without its weight.
    pub penalty: Option<f64>,
    /// The R1 penalty without its weight.
    pub r1: Option<f64>,
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
    /// The adversarial loss, unscaled.
    pub loss: f64,
    /// The auxiliary classifier's cross-entropy on the fakes, without its weight.
    pub class_loss: Option<f64>,
    /// What was differentiated: the scaled sum of loss and weighted cross-entropy.
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
