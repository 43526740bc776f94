//! What is trained, and how a state of it is chosen.

use super::config::{AugmentConfig, Trainings};
use crate::data::{Dataset, Images};
use crate::gan::config::TrainConfig;
use crate::gan::probe::NoProbe;
use crate::gan::step::NotFinite;
use crate::gan::trainer::Trainer;
use crate::metrics::{ClassifierConfig, ClassifierNet, ClassifierTrainer, digit_images};
use crate::{Device, Error, Result, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images drawn at a time, which bounds the memory that activations take.
const CHUNK: usize = 256;

/// A classifier in the state that validation chose.
#[derive(Clone)]
pub(super) struct Trained {
    pub net: ClassifierNet,
    /// Steps that it took to be so.
    pub step: u64,
    /// Accuracy on the validation images.
    pub validation: f64,
}

/// A GAN's images, from the state that validation chose.
pub(super) struct Chosen {
    /// Class i modulo the number of classes, so that the first ones have all classes too.
    pub fakes: Arc<Dataset>,
    /// The classifier that learnt from them alone.
    pub alone: Trained,
    /// The state's steps.
    pub steps: u64,
    /// Steps and validation accuracy of every state.
    pub states: Vec<(u64, f64)>,
}

/// Trains and chooses, by one seed.
pub(super) struct Training<'a> {
    config: &'a AugmentConfig,
    seed: u64,
    pub validation: &'a Dataset,
    device: Device,
    stop: &'a AtomicBool,
    /// What was trained so far.
    pub done: Trainings,
}

impl<'a> Training<'a> {
    pub(super) fn new(
        config: &'a AugmentConfig,
        seed: u64,
        validation: &'a Dataset,
        device: Device,
        stop: &'a AtomicBool,
    ) -> Training<'a> {
        Training { config, seed, validation, device, stop, done: Trainings::default() }
    }

    /// The settings' steps on these images, from the weights that the seed begins with; the state is the first of those
    /// with the best validation accuracy.
    pub(super) fn classifier(&mut self, data: Arc<Dataset>, jitter: bool) -> Result<Trained> {
        let jitter = jitter.then_some(self.config.jitter);
        let config = ClassifierConfig { seed: self.seed, jitter, ..self.config.classifier.clone() };
        let steps = config.steps.expect("settings without are refused");
        let mut trainer = ClassifierTrainer::new(config, data, self.device)?;
        let mut best: Option<Trained> = None;
        for step in states(steps, self.config.classifier_states) {
            while trainer.steps() < step {
                self.go_on()?;
                trainer.step()?;
            }
            let validation = trainer.net().accuracy(self.validation)?;
            if best.as_ref().is_none_or(|b| validation > b.validation) {
                best = Some(Trained { net: trainer.net().clone(), step, validation });
            }
        }
        self.done.classifiers += 1;
        Ok(best.expect("there is a state"))
    }

    /// A GAN of these images, and so many fakes of its state whose fakes alone teach a classifier best (the
    /// classification accuracy score of Ravuri and Vinyals, 2019, arXiv:1905.10887, on validation images).
    pub(super) fn gan(&mut self, data: Arc<Dataset>, fakes: usize) -> Result<Chosen> {
        let config = TrainConfig { seed: self.seed, ..self.config.gan.clone() };
        let classes = data.classes.clone();
        let due = states(config.steps, self.config.gan_states);
        let mut trainer = Trainer::new(config, data, self.device)?;
        let mut found: Vec<(u64, Arc<Dataset>, Trained)> = Vec::new();
        for step in due {
            while trainer.steps() < step {
                self.go_on()?;
                trainer.step(&mut NoProbe).map_err(|e| self.not_finite(e, trainer.steps() + 1))?;
            }
            let drawn = Arc::new(self.draw(&trainer, fakes, &classes)?);
            let alone = self.classifier(drawn.clone(), false)?;
            found.push((step, drawn, alone));
        }
        self.done.gans += 1;
        let states = found.iter().map(|(step, _, alone)| (*step, alone.validation)).collect();
        let (steps, fakes, alone) = found.swap_remove(first_best(found.iter().map(|f| f.2.validation)));
        Ok(Chosen { fakes, alone, steps, states })
    }

    /// Fakes of eight bits, as the real images are.
    fn draw(&self, trainer: &Trainer, n: usize, classes: &[String]) -> Result<Dataset> {
        let labels: Vec<u32> = (0..n).map(|i| (i % classes.len()) as u32).collect();
        let z = trainer.fixed_noise(n);
        let [channels, rows, cols] = trainer.image_shape();
        let mut images =
            Images { count: n, channels, rows, cols, pixels: Vec::with_capacity(n * rows * cols) };
        for start in (0..n).step_by(CHUNK) {
            let part = CHUNK.min(n - start);
            let asked: Vec<i64> = labels[start..start + part].iter().map(|c| i64::from(*c)).collect();
            let asked = Tensor::new(&asked, &[part]).to_device(self.device);
            let samples = trainer.sample(&z.narrow(0, start, part), Some(&asked));
            images.pixels.extend(digit_images(&samples, trainer.image_shape(), None)?.pixels);
        }
        Ok(Dataset { images, labels: Some(labels), classes: classes.to_vec(), name: "fakes".into() })
    }

    /// # Errors
    /// If it is to stop.
    fn go_on(&self) -> Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::Stopped { kept: "what was begun is lost".into() }),
            false => Ok(()),
        }
    }

    fn not_finite(&self, NotFinite { what, tensor }: NotFinite, step: u64) -> Error {
        Error::NonFinite {
            what: format!("seed {}: {what}", self.seed),
            step,
            tensor,
            remedy: "A smaller learning rate of the GAN (--set gan.optimizer_d.lr=1e-4) may help".into(),
        }
    }
}

/// The steps of so many states at equal distances, the last step among them.
fn states(steps: u64, count: u64) -> Vec<u64> {
    (1..=count).map(|i| steps * i / count).collect()
}

/// The place of the largest value, the first of equal ones.
///
/// # Panics
/// If there are none.
pub(super) fn first_best(values: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), v: (usize, f64)| if v.1 > best.1 { v } else { best };
    values.enumerate().reduce(better).expect("there is a value").0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_end_with_the_last_step() {
        assert_eq!(states(500, 4), [125, 250, 375, 500]);
        assert_eq!(states(7, 3), [2, 4, 7]);
        assert_eq!(states(3, 1), [3]);
    }

    #[test]
    fn the_first_of_equals_is_taken() {
        assert_eq!(first_best([0.1, 0.5, 0.5, 0.2].into_iter()), 1);
        assert_eq!(first_best([0.3].into_iter()), 0);
    }
}
