//! The settings of the experiment.

use super::arms::Arm;
use crate::data::{Dataset, Fingerprint, Jitter};
use crate::gan::config::TrainConfig;
use crate::gan::regularisers::DiffAugment;
use crate::gan::settings::assign;
use crate::gan::zoo;
use crate::metrics::ClassifierConfig;
use crate::sha256::sha256;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Everything but the data, the seed and the number of labels that decides a result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentConfig {
    /// What classifiers learn from, each arm behind those that it is compared with.
    pub arms: Vec<Arm>,
    /// Added images for each labelled one; validation chooses.
    pub ratios: Vec<usize>,
    /// Validation images of each class.
    pub validation: usize,
    /// States of a GAN, at equal distances up to its last step, that validation chooses from.
    pub gan_states: u64,
    /// States of a classifier that validation chooses from, likewise.
    pub classifier_states: u64,
    /// The maps of the arms with jitter.
    pub jitter: Jitter,
    /// How every classifier is trained; its seed is that of the experiment, its jitter that of the arm.
    pub classifier: ClassifierConfig,
    /// How every GAN is trained; its seed is that of the experiment.
    pub gan: TrainConfig,
}

impl Default for AugmentConfig {
    /// The classifier takes 500 steps of 32 images, more images than the largest arm has. The GAN is recipe `acgan` at
    /// half the width, which is enough for so few images, with DiffAugment: after 1000 steps on 100 images it draws the
    /// class that it is asked for, which `cdcgan`'s projection learns much later.
    fn default() -> AugmentConfig {
        let mut gan = (zoo::recipe("acgan").expect("it is one of the recipes").config)();
        gan.recipe = "dcgan28-small".into();
        (gan.batch, gan.steps) = (32, 3000);
        gan.step.augment = Some(DiffAugment { color: false, translation: true, cutout: true });
        AugmentConfig {
            arms: Arm::ALL.to_vec(),
            ratios: vec![1, 5, 10],
            validation: 100,
            gan_states: 3,
            classifier_states: 4,
            jitter: Jitter::default(),
            classifier: ClassifierConfig {
                steps: Some(500),
                batch: 32,
                shift: 0,
                ..ClassifierConfig::default()
            },
            gan,
        }
    }
}

impl AugmentConfig {
    /// Changes settings by their names, `KEY=VALUE` each, as [`TrainConfig::set_all`] does.
    ///
    /// ```
    /// use ganvil::gan::augment::AugmentConfig;
    /// let mut config = AugmentConfig::default();
    /// config.set_all(&["gan.step.augment=none", "classifier.steps=300"])?;
    /// assert_eq!((config.gan.step.augment, config.classifier.steps), (None, Some(300)));
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such setting, or the value is none for it; nothing is changed then.
    pub fn set_all(&mut self, assignments: &[impl AsRef<str>]) -> Result<()> {
        assign(self, assignments, &|key, _| match key {
            "arms" => Some("use --arms"),
            "ratios" => Some("use --ratio"),
            "gan.steps" => Some("use --steps"),
            "gan.seed" | "classifier.seed" => Some("use --seeds; both have the experiment's"),
            "classifier.jitter" => {
                Some("the arm says whether there is any; jitter.shift=1 and so on change it")
            }
            _ => None,
        })
    }

    /// Refuses settings that nothing can be measured with.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        self.jitter.check()?;
        self.classifier.check()?;
        self.gan.check()?;
        let bad = |what, value: &dyn std::fmt::Debug, remedy: &str| {
            Err(Error::Argument { what, value: format!("{value:?}"), remedy: remedy.into() })
        };
        if self.arms.is_empty() || self.arms != Arm::with_references(&self.arms) {
            return bad("arms", &self.arms, "name each once, behind those that it is compared with");
        }
        if self.ratios.is_empty()
            || !self.ratios.is_sorted_by(|a, b| a < b)
            || self.ratios.iter().any(|r| !(1..=1000).contains(r))
        {
            return bad("--ratio", &self.ratios, "use rising whole numbers from 1 to 1000; 1,5,10 is usual");
        }
        if self.validation == 0 {
            return bad("validation", &0, "choices need at least 1 image of each class; 100 is usual");
        }
        let Some(steps) = self.classifier.steps else {
            return bad("classifier.steps", &"none", "arms are equal in steps, not in passes; 500 is usual");
        };
        for (what, states, steps) in [
            ("gan_states", self.gan_states, self.gan.steps),
            ("classifier_states", self.classifier_states, steps),
        ] {
            if states == 0 || states > steps {
                return bad(what, &states, &format!("use 1 to {steps}, the steps that there are"));
            }
        }
        if self.classifier.batch == 0 {
            return bad("classifier.batch", &0, "a step needs at least 1 image; 32 is usual");
        }
        if self.gan.conditioning.is_none() {
            return bad(
                "gan.conditioning",
                &"none",
                "the GAN is asked for classes; use auxiliary-classifier",
            );
        }
        if !self.gan.data.is_default() {
            return bad("gan.data", &"set", "the classifier sees 28 x 28; leave images as they are");
        }
        Ok(())
    }

    /// The most added images for each labelled one.
    pub(super) fn most_ratio(&self) -> usize {
        self.ratios.last().copied().unwrap_or(0)
    }

    /// Whether any arm needs a GAN of the labelled images alone.
    pub(super) fn needs_gan(&self) -> bool {
        self.arms.iter().any(|a| matches!(a, Arm::Gan | Arm::GanJitter | Arm::GanOnly))
    }

    /// What is trained for each number of labels and seed.
    ///
    /// ```
    /// use ganvil::gan::augment::{Arm, AugmentConfig};
    /// let mut config = AugmentConfig::default();
    /// config.arms = vec![Arm::Real, Arm::Gan];
    /// let trainings = config.trainings();
    /// // `real`; three ratios; and by the images alone of each of three states of the GAN, to choose one.
    /// assert_eq!((trainings.gans, trainings.classifiers), (1, 1 + 3 + 3));
    /// ```
    pub fn trainings(&self) -> Trainings {
        let (ratios, states) = (self.ratios.len(), self.gan_states as usize);
        let of = |arm: &Arm| match arm {
            Arm::Real | Arm::Jitter => 1,
            // With the most images it is trained when the GAN's state is chosen.
            Arm::GanOnly => ratios - 1,
            Arm::Gan | Arm::GanJitter | Arm::Pseudo | Arm::Semi => ratios,
        };
        let gans = usize::from(self.needs_gan()) + usize::from(self.arms.contains(&Arm::Semi));
        Trainings { gans, classifiers: gans * states + self.arms.iter().map(of).sum::<usize>() }
    }
}

/// How much is trained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trainings {
    /// GANs.
    pub gans: usize,
    /// Classifiers.
    pub classifiers: usize,
}

/// The settings and the data that they are for: `settings.toml`, and what results are known to belong to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The training images.
    pub train: Fingerprint,
    /// The test images.
    pub test: Fingerprint,
    /// The rest.
    pub config: AugmentConfig,
}

impl Settings {
    pub(super) fn new(config: AugmentConfig, train: &Dataset, test: &Dataset) -> Settings {
        Settings { train: train.fingerprint(), test: test.fingerprint(), config }
    }

    /// Equal for equal settings and data.
    pub fn digest(&self) -> String {
        sha256(&serde_json::to_vec(self).expect("settings have no keys but strings"))
    }
}
