//! The one trainer: a game, the data it is played on and its random streams.

use super::config::TrainConfig;
use super::evaluation::Generating;
use super::live::LiveDraws;
use super::network::Network;
use super::probe::{NoProbe, Probe};
use super::sampler::generate;
use super::source::{Pictures, Source};
use super::state::{self, Standing, visit};
use super::step::{Gan, NotFinite, StepLosses};
use crate::atomic::write_atomic;
use crate::backend;
use crate::backend::cpu::with_conv_mode;
use crate::checkpoint::Checkpoint;
use crate::data::{Dataset, Fingerprint, Loader};
use crate::nn::{Ctx, to_device};
use crate::optim::Optimizer;
use crate::rng::Stream;
use crate::{Device, Error, Generator, Result, Tensor};
use std::path::Path;
use std::sync::Arc;

/// A training run in memory.
pub struct Trainer {
    config: TrainConfig,
    gan: Gan,
    draws: LiveDraws,
    /// Channels, rows and columns of an image.
    shape: [usize; 3],
    classes: usize,
    data: Fingerprint,
    steps: u64,
}

/// What a run's sample grids show: the same all through it.
pub struct Preview {
    /// Latent vectors.
    pub z: Tensor,
    /// The class of each, if G is given classes: every row of the grid has one, every column one latent vector.
    pub labels: Option<Tensor>,
    /// Samples in a row.
    pub columns: usize,
}

/// G and D of these settings, as a run begins with them, for images `[channels, rows, columns]` of this many classes.
///
/// ```
/// use ganvil::gan::{TrainConfig, networks};
/// use ganvil::nn::parameter_count;
/// use ganvil::{Generator, rng::Stream};
/// let config = TrainConfig::default();
/// let (g, d) = networks(&config, [1, 28, 28], 10, &Generator::new(config.seed, Stream::Init))?;
/// assert_eq!((g.name(), d.name()), ("G", "D"));
/// assert_eq!(parameter_count(&d), 784 * 512 + 512 + 512 * 256 + 256 + 256 + 1);
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If there is no such recipe.
pub fn networks(
    config: &TrainConfig,
    image: [usize; 3],
    classes: usize,
    random: &Generator,
) -> Result<(Network, Network)> {
    let a = config.architecture(image, classes)?;
    let g = Network::build("G", &a.generator, &config.init, random);
    Ok((g, Network::build("D", &a.discriminator, &config.init, random)))
}

impl Trainer {
    /// A run at its beginning.
    ///
    /// # Errors
    /// If the settings cannot be trained with, or the batch is larger than the data set.
    pub fn new(config: TrainConfig, data: Arc<Dataset>, device: Device) -> Result<Trainer> {
        config.check()?;
        if device == Device::Meta {
            let remedy = "training needs values; use cpu".into();
            return Err(Error::Argument { what: "device", value: device.to_string(), remedy });
        }
        let (image, classes) = (data.shape(), config.classes(&data)?);
        let fingerprint = data.fingerprint();
        let stream = |s| Generator::new(config.seed, s);
        let (mut g, mut d) = networks(&config, image, classes, &stream(Stream::Init))?;
        let a = config.architecture(image, classes)?;
        // The average starts as G: from the same random numbers.
        let same = || Network::build("G", &a.generator, &config.init, &stream(Stream::Init));
        let mut average = config.step.ema.map(|_| same());
        [&mut g, &mut d].into_iter().chain(&mut average).for_each(|n| to_device(n, device));
        let source = Source::Pictures(Pictures::new(Loader::new(data, config.batch, config.seed)?, a.sample));
        let labelled = !config.conditioning.is_none();
        let from = (config.prior, config.latent);
        let draws = LiveDraws::new(source, config.seed, config.batch, from, labelled, device);
        let optimizer_d = config.optimizer_d.lazy(config.step.lazy);
        let mut gan =
            Gan::new(g, d, Optimizer::new(config.optimizer_g), Optimizer::new(optimizer_d), config.step);
        (gan.average, gan.image) = (average, Some(image));
        Ok(Trainer { config, gan, draws, shape: image, classes, data: fingerprint, steps: 0 })
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The networks and optimisers.
    pub fn gan(&self) -> &Gan {
        &self.gan
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Thousands of real images seen.
    pub fn kimg(&self) -> f64 {
        self.gan.images as f64 / 1000.0
    }

    /// Channels, rows and columns of an image.
    pub fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The classes that G can be asked for; None if it takes no labels.
    pub fn classes(&self) -> Option<usize> {
        (!self.config.conditioning.is_none()).then_some(self.classes)
    }

    /// The instruction set of the device's kernels.
    pub fn tier(&self) -> &'static str {
        backend::of(self.draws.device).tier()
    }

    /// One step, at the learning rates that the schedules have for it.
    ///
    /// # Errors
    /// If a loss is not finite, or a gradient that is to be bounded.
    pub fn step(&mut self, probe: &mut dyn Probe) -> Result<StepLosses, NotFinite> {
        let (c, t) = (&self.config, self.steps);
        let rule_d = c.optimizer_d.lazy(c.step.lazy);
        self.gan.opt_d.rule = rule_d.with_lr(rule_d.lr() * c.schedule_d.factor(t));
        self.gan.opt_g.rule = c.optimizer_g.with_lr(c.optimizer_g.lr() * c.schedule_g.factor(t));
        let losses = with_conv_mode(c.conv, || self.gan.step(&mut self.draws, probe))?;
        self.steps += 1;
        Ok(losses)
    }

    /// An update of D by itself, on the next batch: what a critic's step costs.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn update_d(&mut self) -> Result<StepLosses, NotFinite> {
        with_conv_mode(self.config.conv, || self.gan.update_d(0, &mut self.draws, &mut NoProbe))
    }

    /// The data set.
    pub(super) fn data(&self) -> Arc<Dataset> {
        self.draws.pictures().dataset().clone()
    }

    /// The first `n` images of the data set in [-1, 1].
    pub fn reals(&self, n: usize) -> Vec<f32> {
        let images = &self.draws.pictures().dataset().images;
        images.pixels[..n.min(images.count) * images.area()]
            .iter()
            .map(|&v| crate::data::to_unit(v))
            .collect()
    }

    /// The classes of the images that [`Trainer::reals`] gives, if the data has any.
    pub fn labels(&self, n: usize) -> Option<Vec<u32>> {
        let data = self.draws.pictures().dataset();
        Some(data.labels.as_ref()?.iter().take(n).copied().collect())
    }

    /// `n` latent vectors that are the same all through a run.
    pub fn fixed_noise(&self, n: usize) -> Tensor {
        let random = Generator::new(self.config.seed, Stream::Samples);
        self.config.prior.draw(n, self.config.latent, &random, self.draws.device)
    }

    /// The generator that samples are taken from: the moving average if there is one.
    pub fn sampler(&self) -> &Network {
        self.gan.average.as_ref().unwrap_or(&self.gan.g)
    }

    /// What sample grids show: 64 latent vectors, or ten with each class.
    pub fn preview(&self) -> Preview {
        let Some(classes) = self.classes() else {
            return Preview { z: self.fixed_noise(64), labels: None, columns: 8 };
        };
        let columns = 10;
        let of_each = |f: fn(usize, usize) -> usize| {
            let v: Vec<i64> = (0..classes * columns).map(|i| f(i, columns) as i64).collect();
            Tensor::new(&v, &[v.len()]).to_device(self.draws.device)
        };
        let z = self.fixed_noise(columns).index_select(0, &of_each(|i, columns| i % columns));
        Preview { z, labels: Some(of_each(|i, columns| i / columns)), columns }
    }

    /// Samples in [-1, 1] for latent vectors, and their classes if G takes labels, in evaluation mode.
    pub fn sample(&self, z: &Tensor, labels: Option<&Tensor>) -> Vec<f32> {
        with_conv_mode(self.config.conv, || generate(self.sampler(), z, labels, Ctx::eval()))
    }

    pub(super) fn generating(&self) -> Generating<'_> {
        let (config, device) = (&self.config, self.draws.device);
        Generating { net: self.sampler(), config, shape: self.shape, classes: self.classes(), device }
    }

    /// The name of the first tensor of the networks that holds a value that is not finite.
    pub fn first_not_finite(&self) -> Option<String> {
        let mut first = None;
        visit(&self.gan, &mut |name, t| {
            if first.is_none() && t.dtype().is_float() && t.to_f64_vec().iter().any(|v| !v.is_finite()) {
                first = Some(name.to_owned());
            }
        });
        first
    }

    #[cfg(test)]
    pub(super) fn into_draws(self) -> LiveDraws {
        self.draws
    }

    /// Writes everything that decides how the run goes on: weights, buffers, average, optimiser state, random
    /// streams, position in the data. Equal runs write equal bytes: no time, path, host or number of threads.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomic(path, &self.to_bytes(path)?)
    }

    /// What [`Trainer::save`] writes; the path is for messages.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let d = &self.draws;
        let standing = Standing {
            format: 1,
            step: self.steps,
            images: self.gan.images,
            image_shape: self.shape,
            position: d.pictures().position(),
            calls: d.calls(),
            balance: (!self.config.step.balance.is_fixed()).then_some(self.gan.balance),
            classes: self.classes(),
            data: Some(self.data),
            simd: self.tier().into(),
        };
        state::to_bytes(path, &self.gan, &self.config, &standing)
    }

    /// Goes on from a checkpoint of a run with these settings and this data; returns the instruction set that it was
    /// made with. The bits that follow are those of a run that never stopped where that is [`Trainer::tier`].
    ///
    /// ```
    /// use ganvil::data::{Dataset, Images};
    /// use ganvil::gan::{NoProbe, TrainConfig, Trainer};
    /// use ganvil::{Device, checkpoint};
    /// let images = Images { count: 8, channels: 1, rows: 2, cols: 2, pixels: (0..32).collect() };
    /// let data = std::sync::Arc::new(Dataset { images, labels: None, classes: vec![], name: "tiny".into() });
    /// let config = TrainConfig { batch: 4, latent: 2, ..TrainConfig::default() };
    /// let begin = || Trainer::new(config.clone(), data.clone(), Device::Cpu);
    /// let (mut whole, mut resumed) = (begin()?, begin()?);
    /// whole.step(&mut NoProbe).unwrap();
    /// let dir = std::env::temp_dir().join(format!("ganvil-resume-{}", std::process::id()));
    /// std::fs::create_dir(&dir).unwrap();
    /// let file = dir.join("step-1.safetensors");
    /// whole.save(&file)?;
    /// resumed.restore(&checkpoint::load(&file)?, &file)?;
    /// let losses = whole.step(&mut NoProbe).unwrap();
    /// assert_eq!((resumed.step(&mut NoProbe).unwrap(), resumed.steps()), (losses, 2));
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if the file is no checkpoint of such networks, after which the trainer is not to be used;
    /// [`Error::Argument`] if the data is other than the checkpoint's.
    pub fn restore(&mut self, file: &Checkpoint, path: &Path) -> Result<String> {
        let s = state::standing(file, path)?;
        if let Some(data) = s.data.filter(|d| *d != self.data) {
            let remedy = format!(
                "the run was trained on other data, {data}; name its folder with --data (or begin a run of its own)"
            );
            return Err(Error::Argument { what: "data", value: self.data.to_string(), remedy });
        }
        if (s.image_shape, s.classes) != (self.shape, self.classes()) {
            let problem = format!(
                "is of images of {:?} and {:?} classes, the data has {:?} and {:?}",
                s.image_shape,
                s.classes,
                self.shape,
                self.classes()
            );
            return Err(Error::format(path, problem));
        }
        state::load(file, path, &mut self.gan)?;
        self.gan.images = s.images;
        self.steps = s.step;
        self.gan.balance = s.balance.unwrap_or_default();
        let d = &mut self.draws;
        d.seek(self.config.seed, &s.calls);
        let Source::Pictures(pictures) = &mut d.source else {
            unreachable!("a trainer's samples are pictures")
        };
        pictures.seek(s.position).map_err(|e| Error::format(path, e.to_string()))?;
        Ok(s.simd)
    }
}
