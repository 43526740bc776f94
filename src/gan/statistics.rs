//! What is logged about a step.

use super::draws::Pass;
use super::losses::{Loss, Output};
use super::network::Network;
use super::penalties::Penalties;
use super::probe::{DiscriminatorUpdate, GeneratorUpdate, Probe};
use super::regularisers::at_the_bound;
use super::singular::top_singular_values;
use super::step::Gan;
use crate::nn::parameters;
use crate::optim::grad_norm;
use crate::{DType, Device, Tensor, no_grad};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value of a sample beyond this, of 1, is saturated: tanh has a slope below 0.02 there.
const SATURATED: f64 = 0.99;
/// Of a larger batch, distances are taken between the first samples only: they are as many as pairs.
const MOST_DISTANCES: usize = 256;

/// Numbers that show how the game stands.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
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
    /// r_t = E sign(a(x)) over the real batch (Karras et al., 2020, arXiv:2006.06676, equation 1); only where 0 divides
    /// real from fake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_rate: Option<f64>,
    /// ||new - old|| / ||old|| over D's parameters in D's last update, clipping included.
    pub update_ratio_d: f64,
    /// The same of G.
    pub update_ratio_g: f64,
    /// The largest absolute value among D's parameters.
    pub max_weight_d: f64,
    /// The same of G.
    pub max_weight_g: f64,
    /// Share of D's parameters at the bound of weight clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipped: Option<f64>,
    /// What D's learning rate was multiplied by, over the step's updates, where a rule keeps the balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_factor: Option<f64>,
    /// Updates of D that the rule has skipped since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_skipped: Option<u64>,
    /// Mean distance of two fakes over that of two real samples, of the batches of D's last update.
    pub diversity: f64,
    /// Share of the values of those fakes that lie within 0.01 of -1 or 1, or beyond.
    pub saturation: f64,
    /// The same of the real batch: digits on black are mostly -1.
    pub saturation_real: f64,
}

/// The probe that fills [`StepStatistics`].
///
/// It looks at every update of a step, and keeps what it found at the last one of each network. Looking costs about as much
/// as an update.
pub struct Statistics {
    loss: Loss,
    /// Those of the last step seen.
    pub last: StepStatistics,
    /// [`top_singular_values`] of both networks after it.
    pub sigma: BTreeMap<String, f64>,
    /// Whether to keep D's outputs.
    pub keep_outputs: bool,
    /// D's outputs on the real batch and on the fakes of its last update, if they are kept.
    pub outputs: Vec<Vec<f32>>,
    /// Whether to keep the fakes.
    pub keep_fakes: bool,
    /// The values of those of D's last update, if they are kept.
    pub fakes: Vec<f32>,
    /// The parameters of the network whose update is being made.
    before: Vec<Tensor>,
    /// The factors of the step's updates of D.
    factors: Vec<f64>,
}

impl Statistics {
    /// For games with this loss.
    pub fn new(loss: Loss) -> Statistics {
        Statistics {
            loss,
            last: StepStatistics::default(),
            sigma: BTreeMap::new(),
            keep_outputs: false,
            outputs: Vec::new(),
            keep_fakes: false,
            fakes: Vec::new(),
            before: Vec::new(),
            factors: Vec::new(),
        }
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

/// Whether an update is the last one of its network in a step.
pub(super) fn is_last(gan: &Gan, pass: Pass) -> bool {
    match pass {
        Pass::Discriminator(k) => k + 1 >= gan.config.n_d,
        Pass::Generator(k) => k + 1 >= gan.config.n_g,
    }
}

/// The network that an update moves.
pub(super) fn moved(gan: &Gan, pass: Pass) -> &Network {
    match pass {
        Pass::Discriminator(_) => &gan.d,
        Pass::Generator(_) => &gan.g,
    }
}

/// The parameters of a network as they are now.
fn held(net: &Network) -> Vec<Tensor> {
    parameters(net).iter().map(Tensor::detach).collect()
}

/// E sign(a).
fn sign_rate(a: &Tensor) -> f64 {
    let share = |t: Tensor| t.to_device(Device::Cpu).to_dtype(DType::F64).mean_all().item();
    share(a.gt_scalar(0.0)) - share(a.lt_scalar(0.0))
}

fn saturation(x: &Tensor) -> f64 {
    x.detach().abs().gt_scalar(SATURATED).to_device(Device::Cpu).to_dtype(DType::F64).mean_all().item()
}

/// The mean Euclidean distance of two different samples of a batch `[n, ..]`; of the first 256 samples where there are
/// more. With values of about 1 in p dimensions and f32, a distance below 1e-3 sqrt(p) may be rounding.
///
/// ```
/// use ganvil::{Tensor, gan::mean_distance};
/// let corners = Tensor::from([[0.0f64, 0.0], [3.0, 0.0], [0.0, 4.0]]);
/// assert!((mean_distance(&corners) - (3.0 + 4.0 + 5.0) / 3.0).abs() < 1e-12);
/// ```
pub fn mean_distance(x: &Tensor) -> f64 {
    let n = x.shape()[0].min(MOST_DISTANCES);
    if n < 2 {
        return 0.0;
    }
    no_grad(|| {
        let x = x.detach().narrow(0, 0, n);
        let x = x.reshape(&[n, x.numel() / n]);
        // Products of what is left without the mean lose the fewest digits where all are alike.
        let x = x.sub(&x.mean(&[0], true));
        let products = x.matmul(&x.t()).to_f64_vec();
        let square = |i: usize| products[i * n + i];
        let distance =
            |i: usize, j: usize| (square(i) + square(j) - 2.0 * products[i * n + j]).max(0.0).sqrt();
        let sum: f64 = (0..n).map(|i| (0..i).map(|j| distance(i, j)).sum::<f64>()).sum();
        sum / (n * (n - 1) / 2) as f64
    })
}

/// Norm of the difference to earlier parameters, over their norm.
fn update_ratio(before: &[Tensor], now: &[Tensor]) -> f64 {
    let difference = |(old, new): (&Tensor, &Tensor)| Some(new.sub(old));
    let moved: Vec<Option<Tensor>> = before.iter().zip(now).map(difference).collect();
    grad_norm(&moved) / grad_norm(&before.iter().cloned().map(Some).collect::<Vec<_>>())
}

fn max_weight(now: &[Tensor]) -> f64 {
    now.iter().filter(|t| t.numel() > 0).map(|t| t.abs().max(&[], false).item()).fold(0.0, f64::max)
}

impl Probe for Statistics {
    fn begins(&mut self, gan: &Gan, pass: Pass) {
        if pass == Pass::Discriminator(0) {
            self.factors.clear();
            self.sigma.clear();
        }
        if is_last(gan, pass) {
            self.before = held(moved(gan, pass));
        }
    }

    fn discriminator(&mut self, u: &DiscriminatorUpdate) {
        let [d_real, d_fake] = [u.real, u.fake].map(|out| self.mean(out));
        let loss = self.loss.get();
        let [acc_real, acc_fake] = loss.accuracy(&u.real.detach(), &u.fake.detach());
        let logits = [u.real, u.fake].map(|out| self.logits(out));
        if self.keep_outputs {
            self.outputs = [u.real, u.fake].map(|out| out.to_dtype(DType::F32).to_vec()).into();
        }
        if self.keep_fakes {
            self.fakes = u.batch[1].to_dtype(DType::F32).to_vec();
        }
        self.factors.push(u.factor);
        let last = &mut self.last;
        (last.d_loss, last.penalties, last.d_real, last.acc_real) = (u.loss, u.penalties, d_real, acc_real);
        (last.logit_real, last.logit_rms_real) = logits[0].unzip();
        (last.logit_fake, last.logit_rms_fake) = logits[1].unzip();
        last.d_class_loss = u.class_loss;
        (last.d_fake, last.acc_fake, last.grad_norm_d) = (d_fake, acc_fake, grad_norm(u.grads));
        let divides = matches!(loss.output(), Output::Logit | Output::Score);
        last.sign_rate = divides.then(|| sign_rate(&u.real.detach()));
        let [real, fake] = u.batch;
        last.diversity = mean_distance(fake) / mean_distance(real);
        (last.saturation_real, last.saturation) = (saturation(real), saturation(fake));
    }

    fn generator(&mut self, u: &GeneratorUpdate) {
        let last = &mut self.last;
        (last.g_loss, last.g_class_loss, last.grad_norm_g) = (u.loss, u.class_loss, grad_norm(u.grads));
        (last.feature_distance, last.orthogonal) = (u.feature_distance, u.orthogonal);
    }

    fn updated(&mut self, gan: &Gan, pass: Pass) {
        if !is_last(gan, pass) {
            return;
        }
        let net = moved(gan, pass);
        let (before, now) = (std::mem::take(&mut self.before), held(net));
        let (ratio, max) = no_grad(|| (update_ratio(&before, &now), max_weight(&now)));
        self.sigma.extend(top_singular_values(net));
        let last = &mut self.last;
        match pass {
            Pass::Generator(_) => (last.update_ratio_g, last.max_weight_g) = (ratio, max),
            Pass::Discriminator(_) => {
                (last.update_ratio_d, last.max_weight_d) = (ratio, max);
                last.clipped = gan.config.weight_clip.map(|c| at_the_bound(net, c));
                let ruled = !gan.config.balance.is_fixed();
                let mean = self.factors.iter().sum::<f64>() / self.factors.len().max(1) as f64;
                (last.d_factor, last.d_skipped) =
                    (ruled.then_some(mean), ruled.then_some(gan.balance.skipped));
            }
        }
    }
}
