//! One number of labels and one seed: every arm.

use super::arms::Arm;
use super::config::{AugmentConfig, Settings};
use super::memory::Memory;
use super::results::{ArmResult, Cell, CellResult, GanResult, TrainedOn};
use super::split::Parts;
use super::training::{Chosen, Trained, Training, first_best};
use crate::backend;
use crate::data::Dataset;
use crate::metrics::{ClassifierConfig, ClassifierNet, ClassifierTrainer};
use crate::{Device, Error, Result};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What has been done of a cell.
pub enum Progress<'a> {
    /// A GAN is trained and its state chosen.
    Gan(&'a GanResult),
    /// An arm is done.
    Arm(&'a ArmResult),
}

/// The settings with the data.
pub struct Experiment {
    settings: Settings,
    train: Dataset,
    test: Dataset,
}

impl Experiment {
    /// With training images, from which labelled and validation images are drawn, and test images.
    ///
    /// # Errors
    /// If the settings make no sense, or the data is not labelled grey pictures of 28 x 28 in at most ten classes.
    pub fn new(config: AugmentConfig, train: Dataset, test: Dataset) -> Result<Experiment> {
        config.check()?;
        let settings = Settings::new(config, &train, &test);
        for data in [&train, &test] {
            // It says what is wrong with data.
            let one = ClassifierConfig { batch: 1, ..ClassifierConfig::default() };
            let first: Vec<u32> = (0..data.images.count.min(1) as u32).collect();
            ClassifierTrainer::new(one, Arc::new(data.pick(&first)), Device::Cpu)?;
        }
        Ok(Experiment { settings, train, test })
    }

    /// What results are known to belong to.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings without the data.
    pub fn config(&self) -> &AugmentConfig {
        &self.settings.config
    }

    /// Test images.
    pub fn test_images(&self) -> usize {
        self.test.images.count
    }

    /// A cell's training images by what they are for.
    ///
    /// # Errors
    /// If there are not enough of them for so many labels, or the labelled ones are too few for a batch.
    pub fn parts(&self, cell: Cell) -> Result<Parts> {
        let (c, n) = (self.config(), cell.per_class);
        let bad = |remedy: String| Err(Error::Argument { what: "--per-class", value: n.to_string(), remedy });
        let parts = Parts::new(&self.train, c.validation, n, cell.seed)?;
        let (labelled, batch) = (parts.labelled.len(), c.classifier.batch.max(c.gan.batch));
        if labelled < batch {
            let least = batch.div_ceil(self.train.classes.len());
            return bad(format!(
                "{labelled} labelled images are no batch of {batch}; use at least {least}, or smaller batches \
                 (--set classifier.batch=N --set gan.batch=N)"
            ));
        }
        let added = labelled.saturating_mul(c.most_ratio());
        if c.arms.contains(&Arm::Pseudo) && added > parts.unlabelled.len() {
            return bad(format!(
                "arm pseudo adds up to {added} unlabelled images, and there are {}; use less, or a smaller --ratio",
                parts.unlabelled.len()
            ));
        }
        Ok(parts)
    }

    /// Runs every arm. The result is a function of settings, data, cell and instruction set alone.
    ///
    /// # Errors
    /// As [`Experiment::parts`]; if a loss is not finite; [`Error::Stopped`] when `stop` becomes true.
    pub fn run(
        &self,
        cell: Cell,
        device: Device,
        stop: &AtomicBool,
        on: &mut dyn FnMut(Progress),
    ) -> Result<CellResult> {
        let (start, parts) = (Instant::now(), self.parts(cell)?);
        let validation = self.train.pick(&parts.validation);
        let mut run = Run {
            training: Training::new(self.config(), cell.seed, &validation, device, stop),
            experiment: self,
            labelled: Arc::new(self.train.pick(&parts.labelled)),
            parts: &parts,
            labeller: None,
            few: None,
            pseudo: None,
            gans: vec![],
            arms: vec![],
            on,
        };
        self.config().arms.iter().try_for_each(|arm| run.arm(*arm))?;
        Ok(CellResult {
            cell,
            settings: self.settings.digest(),
            simd: backend::of(device).tier().into(),
            pseudo_labels: run.pseudo.map(|p| p.right),
            gans: run.gans,
            arms: run.arms,
            trained: run.training.done,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// Images under the labels that a classifier gave them.
struct Pseudo {
    data: Arc<Dataset>,
    /// Share of labels that are right.
    right: f64,
}

/// A cell while it is run.
struct Run<'a> {
    training: Training<'a>,
    experiment: &'a Experiment,
    labelled: Arc<Dataset>,
    parts: &'a Parts,
    /// Arm `real`'s classifier.
    labeller: Option<ClassifierNet>,
    /// The GAN of the labelled images.
    few: Option<Chosen>,
    pseudo: Option<Pseudo>,
    gans: Vec<GanResult>,
    arms: Vec<ArmResult>,
    on: &'a mut dyn FnMut(Progress),
}

impl Run<'_> {
    fn arm(&mut self, arm: Arm) -> Result<()> {
        let extra = self.extra(arm)?;
        let start = Instant::now();
        let mut candidates = self.candidates(arm, extra.as_deref())?;
        let ratios = candidates.iter().map(|(ratio, c)| (*ratio, c.validation)).collect();
        let (ratio, best) = candidates.swap_remove(first_best(candidates.iter().map(|c| c.1.validation)));
        let result = ArmResult {
            arm,
            ratios,
            ratio,
            step: best.step,
            validation: best.validation,
            test: best.net.accuracy(&self.experiment.test)?,
            seconds: start.elapsed().as_secs_f64(),
        };
        (self.on)(Progress::Arm(&result));
        self.arms.push(result);
        if arm == Arm::Real {
            self.labeller = Some(best.net);
        }
        Ok(())
    }

    /// A classifier for each ratio.
    fn candidates(&mut self, arm: Arm, extra: Option<&Dataset>) -> Result<Vec<(Option<usize>, Trained)>> {
        let labelled = self.labelled.clone();
        let Some(extra) = extra else {
            return Ok(vec![(None, self.training.classifier(labelled, arm.has_jitter())?)]);
        };
        let ratios = &self.experiment.config().ratios;
        let each = |ratio: &usize| {
            let most = *ratio == self.experiment.config().most_ratio();
            let trained = match (&self.few, arm) {
                // The state of the GAN was chosen by it.
                (Some(few), Arm::GanOnly) if most => few.alone.clone(),
                _ => {
                    let base = if arm == Arm::GanOnly { &labelled.pick(&[]) } else { &*labelled };
                    let data = Arc::new(added(base, extra, ratio * labelled.images.count));
                    self.training.classifier(data, arm.has_jitter())?
                }
            };
            Ok((Some(*ratio), trained))
        };
        ratios.iter().map(each).collect()
    }

    /// The images that an arm adds, the most of them; what it takes to have them is trained where it is not there yet.
    fn extra(&mut self, arm: Arm) -> Result<Option<Arc<Dataset>>> {
        Ok(match arm {
            Arm::Real | Arm::Jitter => None,
            Arm::Gan | Arm::GanJitter | Arm::GanOnly => {
                if self.few.is_none() {
                    self.few = Some(self.gan(TrainedOn::Labelled, self.labelled.clone())?);
                }
                self.few.as_ref().map(|few| few.fakes.clone())
            }
            Arm::Pseudo => Some(self.pseudo()?),
            Arm::Semi => {
                let pseudo = self.pseudo()?;
                let all = Arc::new(added(&self.labelled, &pseudo, pseudo.images.count));
                Some(self.gan(TrainedOn::All, all)?.fakes)
            }
        })
    }

    fn pseudo(&mut self) -> Result<Arc<Dataset>> {
        if let Some(pseudo) = &self.pseudo {
            return Ok(pseudo.data.clone());
        }
        let mut data = self.experiment.train.pick(&self.parts.unlabelled);
        let labeller = self.labeller.as_ref().expect("arm `real` comes first");
        let given = labeller.classes(&data.images)?;
        let truth = data.labels.replace(given.clone()).unwrap_or_default();
        let right = given.iter().zip(&truth).filter(|(a, b)| a == b).count() as f64 / truth.len() as f64;
        let data = Arc::new(data);
        self.pseudo = Some(Pseudo { data: data.clone(), right });
        Ok(data)
    }

    fn gan(&mut self, on: TrainedOn, data: Arc<Dataset>) -> Result<Chosen> {
        let start = Instant::now();
        let few = (on == TrainedOn::Labelled).then(|| data.clone());
        let fakes = self.labelled.images.count * self.experiment.config().most_ratio();
        let chosen = self.training.gan(data, fakes)?;
        let result = GanResult {
            on,
            states: chosen.states.clone(),
            steps: chosen.steps,
            memory: few.map(|few| Memory::of(&few, &chosen.fakes, self.training.validation)),
            seconds: start.elapsed().as_secs_f64(),
        };
        (self.on)(Progress::Gan(&result));
        self.gans.push(result);
        Ok(chosen)
    }
}

/// Pictures, and the first `n` of others of the same size and classes.
fn added(base: &Dataset, extra: &Dataset, n: usize) -> Dataset {
    let (mut data, area) = (base.clone(), base.images.area());
    data.images.count += n;
    data.images.pixels.extend(&extra.images.pixels[..n * area]);
    if let (Some(labels), Some(more)) = (&mut data.labels, &extra.labels) {
        labels.extend(&more[..n]);
    }
    data
}
