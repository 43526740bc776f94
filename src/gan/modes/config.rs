//! The settings of a game in the plane.

use crate::data::{Mixture, Synthetic};
use crate::gan::config::TrainConfig;
use crate::gan::network::Network;
use crate::gan::prior::Prior;
use crate::gan::settings::assign;
use crate::gan::step_config::StepConfig;
use crate::nn::init::{FanMode, Nonlinearity};
use crate::nn::{Init, LayerSpec};
use crate::optim::{BadSetting, Rule, Schedule};
use crate::sha256::sha256;
use crate::{Error, Generator, Result};
use serde::{Deserialize, Serialize};

/// A hidden layer is not wider, a network not deeper.
const MOST_WIDTH: usize = 4096;
const MOST_LAYERS: usize = 16;

/// Everything but the seed that decides a benchmark's result.
///
/// Both networks are fully connected: G has ReLU between its layers, D LeakyReLU 0.2. Hidden weights start as
/// N(0, 2 / fan_in), the last layer's as N(0, 1 / fan_in), biases at 0.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModesConfig {
    /// The distribution: a mixture.
    pub task: Synthetic,
    /// The recipe's name.
    pub recipe: String,
    /// Steps to train.
    pub steps: u64,
    /// Real samples per update of D.
    pub batch: usize,
    /// Size of a latent vector.
    pub latent: usize,
    /// What latent vectors are drawn from.
    pub prior: Prior,
    /// The networks see the data divided by this: a factor s in the data is s^2 in the weights of R1 and R2.
    pub scale: f64,
    /// Widths of G's hidden layers.
    pub hidden_g: Vec<usize>,
    /// Widths of D's hidden layers.
    pub hidden_d: Vec<usize>,
    /// Whether D's layers are spectrally normalised.
    pub spectral_norm: bool,
    /// How steps are played.
    pub step: StepConfig,
    /// D's optimiser.
    pub optimizer_d: Rule,
    /// G's optimiser.
    pub optimizer_g: Rule,
    /// How D's learning rate changes over the steps.
    pub schedule_d: Schedule,
    /// How G's learning rate changes over the steps.
    pub schedule_g: Schedule,
    /// How the weights of R1 and R2 change over the steps.
    pub schedule_gamma: Schedule,
}

impl ModesConfig {
    /// The components that are to be found.
    ///
    /// # Errors
    /// If the distribution has none.
    pub fn mixture(&self) -> Result<Mixture> {
        self.task.mixture().ok_or_else(|| {
            let mixtures: Vec<&str> =
                Synthetic::ALL.iter().filter(|s| s.mixture().is_some()).map(|s| s.name()).collect();
            let remedy = format!("it has no modes to count; use one of {}", mixtures.join(", "));
            Error::Argument { what: "task", value: self.task.name().into(), remedy }
        })
    }

    /// The same game in so many steps: what changes over the steps does so in proportion.
    ///
    /// ```
    /// use ganvil::{data::Synthetic, gan::modes};
    /// let whole = modes::recipe("r3gan", Synthetic::Ring8)?;
    /// let short = whole.clone().lasting(whole.steps / 10);
    /// assert!((short.schedule_g.factor(short.steps / 2) - whole.schedule_g.factor(whole.steps / 2)).abs() < 0.01);
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    pub fn lasting(mut self, steps: u64) -> ModesConfig {
        let part = steps as f64 / self.steps.max(1) as f64;
        let of = |n: u64| (n as f64 * part).round() as u64;
        for schedule in [&mut self.schedule_d, &mut self.schedule_g, &mut self.schedule_gamma] {
            match schedule {
                Schedule::Constant { warmup } => *warmup = of(*warmup),
                Schedule::Linear { horizon, warmup, .. } | Schedule::Cosine { horizon, warmup, .. } => {
                    *warmup = of(*warmup);
                    *horizon = of(*horizon).max(*warmup + 1);
                }
                Schedule::Step { every, warmup, gamma } => {
                    // Fewer changes where they cannot come more often.
                    let new = of(*every).max(1);
                    *gamma = gamma.powf(new as f64 / (*every as f64 * part));
                    (*every, *warmup) = (new, of(*warmup));
                }
                Schedule::Milestones { at, warmup, .. } => {
                    at.iter_mut().for_each(|t| *t = of(*t));
                    at.dedup();
                    *warmup = of(*warmup);
                }
            }
        }
        if let Some(noise) = &mut self.step.instance_noise {
            noise.kimg *= part;
        }
        ModesConfig { steps, ..self }
    }

    /// Changes settings by their names, `KEY=VALUE` each, as [`TrainConfig::set_all`] does.
    ///
    /// ```
    /// use ganvil::{data::Synthetic, gan::modes};
    /// let mut config = modes::recipe("gan", Synthetic::Grid25)?;
    /// config.set_all(&["step.r1=0.1", "hidden_g=[64, 64]"])?;
    /// assert_eq!((config.step.r1, config.hidden_g.len()), (Some(0.1), 2));
    /// let problem = config.set_all(&["step.r=1"]).unwrap_err().to_string();
    /// assert!(problem.contains("did you mean 'r1'?"), "{problem}");
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such setting, or the value is none for it; nothing is changed then.
    pub fn set_all(&mut self, assignments: &[impl AsRef<str>]) -> Result<()> {
        assign(self, assignments, &|key, _| match key {
            "task" | "recipe" => Some("another one has other settings; name it in place of this one"),
            "steps" => Some("use --steps, which shortens the schedules with it"),
            _ => None,
        })
    }

    /// Refuses settings that cannot be trained with.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        self.mixture()?;
        let bad = |what, value: &dyn std::fmt::Debug, remedy: &str| {
            Err(Error::Argument { what, value: format!("{value:?}"), remedy: remedy.into() })
        };
        // What is shared with a run on pictures is checked as that is; `mlp-a` has a D that fits every penalty.
        let shared = TrainConfig {
            recipe: "mlp-a".into(),
            steps: self.steps,
            batch: self.batch,
            latent: self.latent,
            prior: self.prior,
            step: self.step,
            optimizer_d: self.optimizer_d,
            optimizer_g: self.optimizer_g,
            schedule_d: self.schedule_d.clone(),
            schedule_g: self.schedule_g.clone(),
            ..TrainConfig::default()
        };
        shared.check()?;
        if let Err(BadSetting { name, value, remedy }) = self.schedule_gamma.check() {
            return bad("schedule_gamma", &format_args!("{name} = {value}"), remedy);
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return bad("scale", &self.scale, "data are divided by it; it is a finite number above 0");
        }
        for (what, widths) in [("hidden_g", &self.hidden_g), ("hidden_d", &self.hidden_d)] {
            if widths.is_empty()
                || widths.len() > MOST_LAYERS
                || widths.iter().any(|w| !(1..=MOST_WIDTH).contains(w))
            {
                return bad(what, widths, "1 to 16 widths of 1 to 4096; [128, 128, 128] is usual");
            }
        }
        if self.step.augment.is_some() {
            return bad("step.augment", &"on", "it alters pictures, and these are points; use none");
        }
        Ok(())
    }

    /// What results are known to belong to: equal for equal settings.
    pub fn digest(&self) -> String {
        sha256(&serde_json::to_vec(self).expect("settings have no keys but strings"))
    }

    /// G and D as a game begins with them.
    pub(super) fn networks(&self, random: &Generator) -> (Network, Network) {
        let g = self.generator(random);
        let mut layers = layers(2 * self.step.pack, &self.hidden_d, 1, LayerSpec::leaky_relu(0.2));
        if self.spectral_norm {
            let weighted = layers.iter_mut().filter(|l| matches!(l, LayerSpec::Linear { .. }));
            weighted.for_each(|l| *l = l.clone().spectral());
        }
        if !self.step.loss.get().takes_logits() {
            layers.push(LayerSpec::Sigmoid);
        }
        (g, Network::new("D", &layers, random))
    }

    /// G alone, which is drawn first.
    pub(super) fn generator(&self, random: &Generator) -> Network {
        Network::new("G", &layers(self.latent, &self.hidden_g, 2, LayerSpec::ReLU), random)
    }
}

fn layers(inputs: usize, hidden: &[usize], outputs: usize, activation: LayerSpec) -> Vec<LayerSpec> {
    let mut layers = Vec::new();
    let mut width = inputs;
    for &next in hidden {
        layers.extend([linear(width, next, Nonlinearity::Relu), activation.clone()]);
        width = next;
    }
    layers.push(linear(width, outputs, Nonlinearity::Linear));
    layers
}

fn linear(inputs: usize, outputs: usize, before: Nonlinearity) -> LayerSpec {
    let init = Init::KaimingNormal { nonlinearity: before, mode: FanMode::FanIn };
    LayerSpec::Linear { inputs, outputs, bias: true, init: Some(init), spectral_norm: false }
}
