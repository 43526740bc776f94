//! What a step shows of itself.

use super::draws::Pass;
use super::penalties::Penalties;
use super::step::Gan;
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
    /// The real batch and G's samples, as they came.
    pub batch: [&'a Tensor; 2],
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

/// Looks at a step from within. What it does must leave no trace in the game: it gets everything by reference, computes
/// on detached tensors and draws from no stream of the game's.
///
/// An update calls [`Probe::begins`], then [`Probe::note`] and [`Probe::phase`] as it goes, [`Probe::discriminator`] or
/// [`Probe::generator`] when the gradients are there, and [`Probe::updated`] when the network has moved.
pub trait Probe {
    /// Before an update's first draw.
    fn begins(&mut self, _: &Gan, _: Pass) {}
    /// A tensor that the update has just made: its name, and what is to be known of it.
    fn note(&mut self, _name: &'static str, _: &Tensor, _why: &'static str) {}
    /// What was done since the last phase, or since the update began, is called so.
    fn phase(&mut self, _name: &'static str) {}
    /// After the gradients of an update of D, before they are applied.
    fn discriminator(&mut self, _: &DiscriminatorUpdate) {}
    /// After the gradients of an update of G, before they are applied.
    fn generator(&mut self, _: &GeneratorUpdate) {}
    /// After the update, or after it was decided not to make it.
    fn updated(&mut self, _: &Gan, _: Pass) {}
}

/// A probe that looks at nothing.
pub struct NoProbe;
impl Probe for NoProbe {}
