//! The settings of a training run.

use super::alterations::Alterations;
use super::conditioning::Conditioning;
use super::evaluation::Evaluate;
use super::losses::Loss;
use super::prior::Prior;
use super::regularisers::Balance;
use super::step_config::StepConfig;
use super::zoo;
use crate::backend::cpu::ConvMode;
use crate::data::{Dataset, ImageOptions};
use crate::names::unknown;
use crate::nn::Init;
use crate::optim::{Adam, BadSetting, Rule, Schedule};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A latent vector is not longer: sizes that files claim are made before anything refuses them.
pub(super) const MOST_LATENT: usize = 1 << 16;
/// Nor is a step's batch larger.
const MOST_BATCH: usize = 1 << 20;

/// Everything that decides a run's result, and how often it reports. `config.toml` in a run's folder is this.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The recipe's name: it decides the architecture.
    pub recipe: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// Steps to train.
    pub steps: u64,
    /// Real images per update of D.
    pub batch: usize,
    /// Size of a latent vector.
    pub latent: usize,
    /// What latent vectors are drawn from.
    pub prior: Prior,
    /// How labels are used.
    #[serde(default, skip_serializing_if = "Conditioning::is_none")]
    pub conditioning: Conditioning,
    /// How the weights of both networks start.
    #[serde(default, skip_serializing_if = "Init::is_default")]
    pub init: Init,
    /// What is changed about the recipe's networks.
    #[serde(default, skip_serializing_if = "Alterations::is_none")]
    pub networks: Alterations,
    /// What the run's folder is called behind its number, data and recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The folder of the data; where it is not, or not any more, the usual places are searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<PathBuf>,
    /// Whether TensorBoard's event files are written as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tensorboard: bool,
    /// What the images were made into when they were read.
    #[serde(default, skip_serializing_if = "ImageOptions::is_default")]
    pub data: ImageOptions,
    /// Steps between log records.
    pub log_every: u64,
    /// Steps between sample grids.
    pub sample_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// What is measured of samples on the way, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<Evaluate>,
    /// How convolutions are computed on the CPU.
    #[serde(default, skip_serializing_if = "ConvMode::is_fast")]
    pub conv: ConvMode,
    /// How steps are played.
    pub step: StepConfig,
    /// D's optimiser.
    pub optimizer_d: Rule,
    /// G's optimiser.
    pub optimizer_g: Rule,
    /// How D's learning rate changes over the steps.
    #[serde(default)]
    pub schedule_d: Schedule,
    /// How G's learning rate changes over the steps.
    #[serde(default)]
    pub schedule_g: Schedule,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        let adam = Adam { lr: 2e-4, betas: (0.5, 0.999), ..Adam::default() };
        TrainConfig {
            recipe: "mlp".into(),
            seed: 0,
            steps: 30_000,
            batch: 64,
            latent: 100,
            prior: Prior::Normal,
            conditioning: Conditioning::None,
            init: Init::Default,
            networks: Alterations::default(),
            name: None,
            dataset: None,
            tensorboard: false,
            data: ImageOptions::default(),
            log_every: 100,
            sample_every: 2_000,
            checkpoint_every: 5_000,
            evaluate: None,
            conv: ConvMode::default(),
            step: StepConfig::default(),
            optimizer_d: adam.into(),
            optimizer_g: adam.into(),
            schedule_d: Schedule::default(),
            schedule_g: Schedule::default(),
        }
    }
}

impl TrainConfig {
    /// Trains for this many steps; a schedule that ended with the run does so still.
    ///
    /// ```
    /// let mut config = (ganvil::gan::zoo::recipe("best-mnist")?.config)();
    /// config.set_steps(1000);
    /// assert_eq!((config.schedule_d.factor(500), config.schedule_g.factor(1000)), (0.5, 0.0));
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    pub fn set_steps(&mut self, steps: u64) {
        for schedule in [&mut self.schedule_d, &mut self.schedule_g] {
            schedule.follow(self.steps, steps);
        }
        self.steps = steps;
    }

    /// Refuses settings that cannot be trained with.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        let bad = |what, value: &dyn ToString, remedy: &str| {
            Err(Error::Argument { what, value: value.to_string(), remedy: remedy.into() })
        };
        zoo::recipe(&self.recipe)?;
        let positive = [
            ("--steps", self.steps),
            ("latent", self.latent as u64),
            ("--n-d", self.step.n_d as u64),
            ("--n-g", self.step.n_g as u64),
            ("--log-every", self.log_every),
            ("--sample-every", self.sample_every),
            ("--checkpoint-every", self.checkpoint_every),
        ];
        for (what, value) in positive {
            if value == 0 {
                return bad(what, &value, "it must be at least 1");
            }
        }
        for (what, value, most) in [("latent", self.latent, MOST_LATENT), ("--batch", self.batch, MOST_BATCH)]
        {
            if value > most {
                return bad(what, &value, &format!("use at most {most}"));
            }
        }
        if i64::try_from(self.seed).is_err() {
            return bad("--seed", &self.seed, "use at most 9223372036854775807, which all TOML files hold");
        }
        if self.batch < 2 {
            return bad(
                "--batch",
                &self.batch,
                "it must be at least 2, or batch normalisation has no variance",
            );
        }
        self.evaluate.as_ref().map_or(Ok(()), Evaluate::check)?;
        self.init.check()?;
        self.data.check()?;
        for (what, lr) in [("--lr-d", self.optimizer_d.lr()), ("--lr-g", self.optimizer_g.lr())] {
            if !(lr.is_finite() && lr >= 0.0) {
                return bad(what, &lr, "a learning rate is a finite number, 0 or more; 2e-4 is usual");
            }
        }
        self.check_optimisers()?;
        self.check_labels()?;
        self.check_step()
    }

    /// The networks for images of this shape and this many classes.
    ///
    /// # Errors
    /// If there is no such recipe, or it has no networks for such images.
    pub(super) fn architecture(&self, image: [usize; 3], classes: usize) -> Result<zoo::Architecture> {
        (zoo::recipe(&self.recipe)?.check)(image)?;
        self.layers(image, classes)
    }

    /// [`TrainConfig::architecture`] of whatever size.
    fn layers(&self, image: [usize; 3], classes: usize) -> Result<zoo::Architecture> {
        let logits = self.step.loss.get().takes_logits();
        let architecture = zoo::recipe(&self.recipe)?.architecture;
        let of = |image| {
            let (latent, conditioning) = (self.latent, self.conditioning);
            architecture(&zoo::Shape { latent, image, classes, logits, conditioning })
        };
        let mut a = of(image);
        if self.step.pack > 1 {
            let [channels, rows, columns] = image;
            a.discriminator = of([channels.saturating_mul(self.step.pack), rows, columns]).discriminator;
        }
        self.networks.apply(&mut a);
        Ok(a)
    }

    /// The classes that networks for this data have; 0 where labels are not used.
    ///
    /// # Errors
    /// If labels are used and the data has none.
    pub(super) fn classes(&self, data: &Dataset) -> Result<usize> {
        match &data.labels {
            _ if self.conditioning.is_none() => Ok(0),
            Some(_) if !data.classes.is_empty() => Ok(data.classes.len()),
            _ => {
                let value = self.conditioning.name().into();
                let remedy = format!(
                    "the data set {} has no labels; sort its pictures into a folder for each class, or use none",
                    data.name
                );
                Err(Error::Argument { what: "--conditioning", value, remedy })
            }
        }
    }

    fn check_labels(&self) -> Result<()> {
        let c = self.conditioning;
        let possible = zoo::recipe(&self.recipe)?.conditionings;
        let bad = |remedy| Err(Error::Argument { what: "--conditioning", value: c.name().into(), remedy });
        if !possible.contains(&c) {
            let names: Vec<&str> = possible.iter().map(|c| c.name()).collect();
            return bad(format!("recipe {} has {}", self.recipe, names.join(", ")));
        }
        if c.head(1).is_some() && !self.step.loss.get().takes_logits() {
            let name = self.step.loss.name();
            return bad(format!(
                "the discriminator has no logit with --loss {name}; non-saturating is the same game on logits"
            ));
        }
        let w = self.step.class_weight;
        if !(w.is_finite() && w >= 0.0) {
            let remedy = "the weight is a finite number, 0 or more; 1 is usual".into();
            return Err(Error::Argument { what: "--class-weight", value: w.to_string(), remedy });
        }
        Ok(())
    }

    fn check_step(&self) -> Result<()> {
        let bad = |what, value: f64, remedy: &str| {
            Err(Error::Argument { what, value: value.to_string(), remedy: remedy.into() })
        };
        let (t, loss) = (self.step.real_label, self.step.loss);
        if !(t > 0.0 && t <= 1.0) {
            return bad("--real-label", t, "the target on real samples lies in (0, 1]; 0.9 is usual");
        }
        if t != 1.0 && !loss.get().has_target() {
            let remedy = format!("--loss {} is on scores and has no target; leave it out", loss.name());
            return bad("--real-label", t, &remedy);
        }
        let weights = [
            ("--gradient-penalty", self.step.gradient_penalty, "10 is usual"),
            ("--dragan", self.step.dragan, "10 is usual"),
            ("--r1", self.step.r1, "10 is usual"),
            ("--r2", self.step.r2, "10 is usual"),
            ("--drift", self.step.drift, "0.001 is usual"),
            ("--orthogonal", self.step.orthogonal, "1e-4 is usual"),
            ("--feature-matching", self.step.feature_matching, "1 is usual"),
        ];
        for (what, weight, usual) in weights {
            if let Some(w) = weight.filter(|w| !(w.is_finite() && *w >= 0.0)) {
                return bad(what, w, &format!("the weight is a finite number, 0 or more; {usual}"));
            }
        }
        for (what, factor) in
            [("--d-loss-scale", self.step.d_loss_scale), ("--g-loss-scale", self.step.g_loss_scale)]
        {
            if !(factor.is_finite() && factor > 0.0) {
                return bad(
                    what,
                    factor,
                    "the factor is a finite number above 0; 1 sums the terms, 0.5 averages them",
                );
            }
        }
        if let Some(c) = self.step.weight_clip.filter(|c| !(c.is_finite() && *c > 0.0)) {
            return bad("--weight-clip", c, "the bound is a finite number above 0; 0.01 is usual");
        }
        if let Some(p) = self.step.flip_labels.filter(|p| !(0.0..0.5).contains(p)) {
            return bad(
                "--flip-labels",
                p,
                "a probability below 0.5, at which labels say nothing; 0.05 is usual",
            );
        }
        self.check_balance()?;
        self.check_groups()?;
        self.check_slope()
    }

    fn check_balance(&self) -> Result<()> {
        let (rule, above, loss) = (self.step.balance, self.step.balance_above, self.step.loss);
        if !(above > 0.0 && above < 1.0) {
            let remedy = "an accuracy between 0 and 1; 0.8 is usual".into();
            return Err(Error::Argument { what: "balance_above", value: above.to_string(), remedy });
        }
        if rule == Balance::LossRatio && loss.get().equilibrium().0 == 0.0 {
            let remedy = format!(
                "at --loss {}'s equilibrium D's loss is 0, so there is no ratio to it; use fixed or accuracy",
                loss.name()
            );
            return Err(Error::Argument { what: "--balance", value: rule.name().into(), remedy });
        }
        Ok(())
    }

    /// What takes samples together.
    fn check_groups(&self) -> Result<()> {
        let (m, batch) = (self.step.pack, self.batch);
        let bad = |what, value: usize, remedy: String| {
            Err(Error::Argument { what, value: value.to_string(), remedy })
        };
        if m == 0 || !batch.is_multiple_of(m) || m > 64 {
            return bad(
                "--pack",
                m,
                format!("packs divide the batch of {batch}, and are at most 64; 2 to 4 are usual"),
            );
        }
        if m > 1 && !self.conditioning.is_none() {
            let remedy =
                "the samples of a pack are of one class, which a batch's are not; leave it out with labels";
            return bad("--pack", m, remedy.into());
        }
        match self.networks.minibatch_stddev {
            Some(g) if g < 2 || !(batch / m).is_multiple_of(g) => {
                let remedy = format!(
                    "groups of 2 or more that divide the {} that D sees at a time; 4 is usual",
                    batch / m
                );
                return bad("--minibatch-stddev", g, remedy);
            }
            _ => {}
        }
        if let Some(n) = self.networks.minibatch_discrimination.filter(|n| !(1..=4096).contains(n)) {
            return bad("--minibatch-discrimination", n, "1 to 4096 features; 16 is usual".into());
        }
        if self.step.lazy == 0 || (self.step.lazy > 1 && self.step.r1.is_none() && self.step.r2.is_none()) {
            let remedy = "the number of D's updates from one to the next with R1 or R2, which there must be; 16 is usual";
            return bad("--lazy", self.step.lazy, remedy.into());
        }
        if self.step.unroll > 100 {
            return bad("--unroll", self.step.unroll, "at most 100, and 1 to 10 are usual".into());
        }
        Ok(())
    }

    /// Penalties on the slope for each sample need a D that treats samples separately.
    fn check_slope(&self) -> Result<()> {
        // Whether samples are mixed depends on no size.
        let Some(mixer) = self.layers([1, 1, 1], 1)?.discriminator.mixer() else { return Ok(()) };
        let s = &self.step;
        let penalties = [
            ("--gradient-penalty", s.gradient_penalty),
            ("--dragan", s.dragan),
            ("--r1", s.r1),
            ("--r2", s.r2),
        ];
        let Some((what, w)) = penalties.into_iter().find_map(|(what, w)| Some((what, w?))) else {
            return Ok(());
        };
        let instead = if mixer.contains("BatchNorm") {
            "it needs a discriminator without batch normalisation: --norm-d layer (or instance, off) takes its place"
        } else {
            "it needs a discriminator without minibatch layers: leave them out"
        };
        let remedy = format!(
            "D's {mixer} makes a sample's score depend on the others, so that there is no slope of one sample; {instead}"
        );
        Err(Error::Argument { what, value: w.to_string(), remedy })
    }

    fn check_optimisers(&self) -> Result<()> {
        let none = Ok(());
        let settings = [
            ("optimizer_d", self.optimizer_d.check()),
            ("optimizer_g", self.optimizer_g.check()),
            ("schedule_d", self.schedule_d.check()),
            ("schedule_g", self.schedule_g.check()),
            ("step.clip_d", self.step.clip_d.map_or_else(|| none.clone(), |c| c.check())),
            ("step.clip_g", self.step.clip_g.map_or_else(|| none.clone(), |c| c.check())),
            ("step.ema", self.step.ema.map_or_else(|| none.clone(), |e| e.check())),
            ("step.instance_noise", self.step.instance_noise.map_or_else(|| none.clone(), |n| n.check())),
        ];
        settings.into_iter().try_for_each(|(what, checked)| {
            checked.map_err(|BadSetting { name, value, remedy }| Error::Argument {
                what,
                value: format!("{name} = {value}"),
                remedy: remedy.into(),
            })
        })
    }
}

impl std::str::FromStr for Loss {
    type Err = Error;
    fn from_str(s: &str) -> Result<Loss> {
        let names = Loss::ALL.map(Loss::name);
        Loss::ALL.into_iter().find(|l| l.name() == s).ok_or_else(|| unknown("loss", s, &names))
    }
}

impl std::str::FromStr for Prior {
    type Err = Error;
    fn from_str(s: &str) -> Result<Prior> {
        let names = Prior::ALL.map(Prior::name);
        Prior::ALL.into_iter().find(|p| p.name() == s).ok_or_else(|| unknown("prior", s, &names))
    }
}
