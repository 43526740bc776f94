//! What is logged about a step.

use super::losses::Loss;
use super::penalties::Penalties;
use super::probe::{DiscriminatorUpdate, GeneratorUpdate, Probe};
use crate::optim::grad_norm;
use crate::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Numbers that show how the game stands.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct StepStatistics {
    /// D's adversarial loss, unscaled.
    pub d_loss: f64,
    /// G's adversarial loss, unscaled.
    pub g_loss: f64,
    /// The penalties without their weights.
    #[serde(flatten)]
    pub penalties: Penalties,
    /// The squared distance of mean features, where G matches features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_distance: Option<f64>,
    /// The orthogonal regulariser of G without its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orthogonal: Option<f64>,
    /// The auxiliary classifier's cross-entropy on real samples plus that on fakes, in D's update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_class_loss: Option<f64>,
    /// The auxiliary classifier's cross-entropy on the fakes of G's update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub g_class_loss: Option<f64>,
    /// Mean D(x) over the real batch: a probability, or a score where the loss is on scores.
    pub d_real: f64,
    /// Mean D(G(z)) over the fakes of D's update.
    pub d_fake: f64,
    /// Mean of D's logits or scores on the real batch; absent where D gives probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_real: Option<f64>,
    /// The same of the fakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_fake: Option<f64>,
    /// Root mean square of D's logits or scores on the real batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_rms_real: Option<f64>,
    /// The same of the fakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_rms_fake: Option<f64>,
    /// Share of real samples that D calls real: see [`AdversarialLoss::accuracy`](super::AdversarialLoss::accuracy).
    pub acc_real: f64,
    /// Share of fakes that D calls fake.
    pub acc_fake: f64,
    /// L2 norm of D's gradient over all parameters, before any bound.
    pub grad_norm_d: f64,
    /// L2 norm of G's gradient over all parameters, before any bound.
    pub grad_norm_g: f64,
}

/// The probe that fills [`StepStatistics`].
pub struct Statistics {
    loss: Loss,
    /// Those of the last step seen.
    pub last: StepStatistics,
    /// Whether to keep D's outputs.
    pub keep_outputs: bool,
    /// D's outputs on the real batch and on the fakes of its last update, if they are kept.
    pub outputs: Vec<Vec<f32>>,
}

impl Statistics {
    /// For games with this loss.
    pub fn new(loss: Loss) -> Statistics {
        Statistics { loss, last: StepStatistics::default(), keep_outputs: false, outputs: Vec::new() }
    }

    /// Mean probability or score.
    fn mean(&self, out: &Tensor) -> f64 {
        let out = out.detach();
        self.loss.get().probability(&out).unwrap_or(out).mean_all().item()
    }

    /// Mean and root mean square of logits or scores.
    fn logits(&self, out: &Tensor) -> Option<(f64, f64)> {
        let out = self.loss.get().takes_logits().then(|| out.detach())?;
        Some((out.mean_all().item(), out.square().mean_all().item().sqrt()))
    }
}

impl Probe for Statistics {
    fn discriminator(&mut self, u: &DiscriminatorUpdate) {
        let [d_real, d_fake] = [u.real, u.fake].map(|out| self.mean(out));
        let [acc_real, acc_fake] = self.loss.get().accuracy(&u.real.detach(), &u.fake.detach());
        let logits = [u.real, u.fake].map(|out| self.logits(out));
        if self.keep_outputs {
            self.outputs = [u.real, u.fake].map(|out| out.to_dtype(DType::F32).to_vec()).into();
        }
        let last = &mut self.last;
        (last.d_loss, last.penalties, last.d_real, last.acc_real) = (u.loss, u.penalties, d_real, acc_real);
        (last.logit_real, last.logit_rms_real) = logits[0].unzip();
        (last.logit_fake, last.logit_rms_fake) = logits[1].unzip();
        last.d_class_loss = u.class_loss;
        (last.d_fake, last.acc_fake, last.grad_norm_d) = (d_fake, acc_fake, grad_norm(u.grads));
    }

    fn generator(&mut self, u: &GeneratorUpdate) {
        let last = &mut self.last;
        (last.g_loss, last.g_class_loss, last.grad_norm_g) = (u.loss, u.class_loss, grad_norm(u.grads));
        (last.feature_distance, last.orthogonal) = (u.feature_distance, u.orthogonal);
    }
}
