//! How the classifier is trained.

use super::super::digits;
use super::ClassifierNet;
use crate::backend::cpu::{ConvMode, with_conv_mode};
use crate::data::{Dataset, Jitter, Loader};
use crate::nn::{Ctx, Module, gradients, parameters_mut, to_device};
use crate::optim::{Adam, Optimizer, Rule, Schedule};
use crate::rng::{Key, Philox, Stream};
use crate::{Device, Error, Generator, Reduction, Result, Tensor};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything that decides the weights. `config.toml` in the run's folder is this.
///
/// ```
/// use ganvil::metrics::ClassifierConfig;
/// let config = ClassifierConfig { epochs: 0, ..ClassifierConfig::default() };
/// assert!(config.check().unwrap_err().to_string().contains("--epochs"));
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// `classifier`.
    pub recipe: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// Passes over the data.
    pub epochs: u64,
    /// Steps in place of passes: as many whatever the number of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Images per step.
    pub batch: usize,
    /// Adam's learning rate in the first step; it falls in a straight line to 0.
    pub lr: f64,
    /// Each image is moved by up to this many pixels in each direction, at random.
    pub shift: usize,
    /// Each image is also turned, scaled, sheared and moved a little, at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
}

impl Default for ClassifierConfig {
    fn default() -> ClassifierConfig {
        ClassifierConfig {
            recipe: Self::RECIPE.into(),
            seed: 0,
            epochs: 5,
            steps: None,
            batch: 128,
            lr: 1e-3,
            shift: 2,
            jitter: None,
        }
    }
}

impl ClassifierConfig {
    /// What `ganvil train` is given.
    pub const RECIPE: &str = "classifier";

    /// Refuses settings that cannot be trained with.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        let bad = |what, value: &dyn ToString, remedy: &str| {
            Err(Error::Argument { what, value: value.to_string(), remedy: remedy.into() })
        };
        if !(1..=10_000).contains(&self.epochs) {
            return bad("--epochs", &self.epochs, "use 1 to 10000 passes over the data");
        }
        if self.steps == Some(0) {
            return bad("steps", &0, "a classifier learns in 1 step or more");
        }
        if !(self.lr.is_finite() && self.lr >= 0.0) {
            return bad("lr", &self.lr, "a learning rate is a finite number, 0 or more; 1e-3 is usual");
        }
        if self.shift >= ClassifierNet::SIDE {
            return bad("shift", &self.shift, "it is less than the side of an image, 28 pixels; 2 is usual");
        }
        self.jitter.map_or(Ok(()), |j| j.check())
    }
}

/// A classifier in training: cross-entropy by Adam, on images moved a little at random.
pub struct ClassifierTrainer {
    net: ClassifierNet,
    config: ClassifierConfig,
    data: Arc<Dataset>,
    loader: Loader,
    rule: Rule,
    schedule: Schedule,
    adam: Optimizer,
    steps: u64,
    device: Device,
}

impl ClassifierTrainer {
    /// Before the first step, on this device.
    ///
    /// # Errors
    /// If the settings cannot be used, or the data is not labelled grey pictures of 28 x 28.
    pub fn new(config: ClassifierConfig, data: Arc<Dataset>, device: Device) -> Result<ClassifierTrainer> {
        config.check()?;
        digits::check(&data.images)?;
        digits::labels(&data)?;
        let loader = Loader::new(data.clone(), config.batch, config.seed)?;
        let rule = Rule::from(Adam { lr: config.lr, ..Adam::default() });
        let mut net = ClassifierNet::new(&Generator::new(config.seed, Stream::Init));
        to_device(&mut net, device);
        let horizon = config.steps.unwrap_or(config.epochs * loader.batches() as u64);
        Ok(ClassifierTrainer {
            net,
            device,
            data,
            loader,
            rule,
            schedule: Schedule::Linear { horizon, end: 0.0, warmup: 0 },
            adam: Optimizer::new(rule),
            steps: 0,
            config,
        })
    }

    /// The settings.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// The network as it is now.
    pub fn net(&self) -> &ClassifierNet {
        &self.net
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step; returns its loss, the mean cross-entropy of the batch.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss is not finite; the weights are those before the step then.
    pub fn step(&mut self) -> Result<f64> {
        // As it is used.
        with_conv_mode(ConvMode::Exact, || self.make_step())
    }

    fn make_step(&mut self) -> Result<f64> {
        let mut pixels = vec![0.0; self.loader.len_of_batch()];
        let (labels, side) = (digits::labels(&self.data)?, ClassifierNet::SIDE);
        let indices = self.loader.next_batch(&mut pixels);
        let classes: Vec<i64> = indices.iter().map(|i| i64::from(labels[*i as usize])).collect();
        self.shift(&mut pixels);
        self.jitter(&mut pixels);
        let images = Tensor::new(&pixels, &[classes.len(), 1, side, side]).to_device(self.device);
        let classes = Tensor::new(&classes, &[classes.len()]).to_device(self.device);

        self.adam.rule = self.rule.with_lr(self.rule.lr() * self.schedule.factor(self.steps));
        let random = Generator::new(self.config.seed, Stream::Dropout);
        let loss = self.net.forward(&images, &Ctx::train(&random)).cross_entropy(&classes, Reduction::Mean);
        let value = loss.item();
        if !value.is_finite() {
            return Err(Error::NonFinite {
                what: format!("the loss is {value}"),
                step: self.steps + 1,
                tensor: "loss".into(),
                remedy: "try another --seed".into(),
            });
        }
        let grads = gradients(&loss, &self.net);
        drop(loss);
        self.adam.step(parameters_mut(&mut self.net), grads);
        self.steps += 1;
        Ok(value)
    }

    /// The rest of a pass over the data, the whole of it if none has begun; returns the mean of its losses.
    ///
    /// # Errors
    /// As [`ClassifierTrainer::step`].
    pub fn epoch(&mut self) -> Result<f64> {
        let batches = self.loader.batches() as u64;
        let rest = batches - self.steps % batches;
        let mut sum = 0.0;
        for _ in 0..rest {
            sum += self.step()?;
        }
        Ok(sum / rest as f64)
    }

    /// Moves each image by whole pixels, drawn for it from the seed and the step alone; background comes in.
    fn shift(&self, pixels: &mut [f32]) {
        let most = self.config.shift as i32;
        let side = ClassifierNet::SIDE;
        let mut random = Philox::new(Key::new(self.config.seed, Stream::General), self.steps);
        let mut moved = vec![0.0; side * side];
        for image in pixels.chunks_exact_mut(side * side) {
            let [down, right] = [(); 2].map(|()| random.random_range(-most..=most));
            let source = |at: usize, by: i32| at.checked_add_signed(-by as isize).filter(|i| *i < side);
            for (row, line) in moved.chunks_exact_mut(side).enumerate() {
                for (col, v) in line.iter_mut().enumerate() {
                    let from = source(row, down).zip(source(col, right));
                    *v = from.map_or(-1.0, |(r, c)| image[r * side + c]);
                }
            }
            image.copy_from_slice(&moved);
        }
    }

    /// Turns, scales, shears and moves each image, drawn for it from the seed and the step alone.
    fn jitter(&self, pixels: &mut [f32]) {
        let Some(jitter) = self.config.jitter else { return };
        let side = ClassifierNet::SIDE;
        let mut random = Philox::new(Key::new(self.config.seed, Stream::Augmentation), self.steps);
        let mut altered = vec![0.0; side * side];
        for image in pixels.chunks_exact_mut(side * side) {
            jitter.draw(&mut random).apply(image, [side, side], -1.0, &mut altered);
            image.copy_from_slice(&altered);
        }
    }
}
