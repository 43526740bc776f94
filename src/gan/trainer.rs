//! The one trainer: a game, the data it is played on and its random streams.

use super::config::TrainConfig;
use super::network::Network;
use super::prior::Prior;
use super::sampler::generate;
use super::step::{Draws, Gan, NotFinite, Pass, Probe, StepLosses};
use super::zoo;
use crate::backend;
use crate::checkpoint;
use crate::data::{Dataset, Loader, Position};
use crate::nn::{Ctx, Kind, Module, to_device};
use crate::optim::Optimizer;
use crate::rng::Stream;
use crate::{DType, Device, Error, Generator, Result, Tensor};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Draws of a live run: shuffled data and fresh random numbers.
struct LiveDraws {
    loader: Loader,
    /// One batch as floats, `[batch, pixels]`.
    scratch: Vec<f32>,
    noise: Generator,
    dropout: Generator,
    penalty: Generator,
    prior: Prior,
    latent: usize,
    device: Device,
}

impl Draws for LiveDraws {
    fn real(&mut self) -> Tensor {
        self.loader.next_batch(&mut self.scratch);
        let batch = self.loader.batch();
        Tensor::new(&self.scratch, &[batch, self.scratch.len() / batch]).to_device(self.device)
    }

    fn noise(&mut self, _: Pass) -> Tensor {
        self.prior.draw(self.loader.batch(), self.latent, &self.noise, self.device)
    }

    fn interpolation(&mut self, real: &Tensor) -> Tensor {
        let mut shape = vec![1; real.rank()];
        shape[0] = real.shape()[0];
        self.penalty.uniform(&shape, 0.0, 1.0, DType::F32, self.device)
    }

    fn dropout(&self) -> &Generator {
        &self.dropout
    }
}

/// A training run in memory.
pub struct Trainer {
    config: TrainConfig,
    gan: Gan,
    draws: LiveDraws,
    /// Channels, rows and columns of an image.
    shape: [usize; 3],
    steps: u64,
}

/// A recipe's layers for these settings.
pub(super) fn architecture(config: &TrainConfig, pixels: usize) -> Result<zoo::Architecture> {
    let logits = config.step.loss.get().takes_logits();
    Ok((zoo::recipe(&config.recipe)?.architecture)(config.latent, pixels, logits))
}

pub(super) fn generator(config: &TrainConfig, pixels: usize, random: &Generator) -> Result<Network> {
    Ok(Network::with_init("G", &architecture(config, pixels)?.generator, &config.init, random))
}

/// G and D of these settings, as a run begins with them, for images of this many pixels.
///
/// ```
/// use ganvil::gan::{TrainConfig, networks};
/// use ganvil::nn::parameter_count;
/// use ganvil::{Generator, rng::Stream};
/// let config = TrainConfig::default();
/// let (g, d) = networks(&config, 784, &Generator::new(config.seed, Stream::Init))?;
/// assert_eq!((g.name(), d.name()), ("G", "D"));
/// assert_eq!(parameter_count(&d), 784 * 512 + 512 + 512 * 256 + 256 + 256 + 1);
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If there is no such recipe.
pub fn networks(config: &TrainConfig, pixels: usize, random: &Generator) -> Result<(Network, Network)> {
    let g = generator(config, pixels, random)?;
    let d = architecture(config, pixels)?.discriminator;
    Ok((g, Network::with_init("D", &d, &config.init, random)))
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
        let shape = data.shape();
        let pixels = data.images.area();
        let stream = |s| Generator::new(config.seed, s);
        let init = stream(Stream::Init);
        let (mut g, mut d) = networks(&config, pixels, &init)?;
        // The average starts as G: from the same random numbers.
        let mut average = match config.step.ema {
            Some(_) => Some(generator(&config, pixels, &stream(Stream::Init))?),
            None => None,
        };
        [&mut g, &mut d].into_iter().chain(&mut average).for_each(|n| to_device(n, device));
        let loader = Loader::new(data, config.batch, config.seed)?;
        let draws = LiveDraws {
            scratch: vec![0.0; loader.len_of_batch()],
            loader,
            noise: stream(Stream::Noise),
            dropout: stream(Stream::Dropout),
            penalty: stream(Stream::Penalty),
            prior: config.prior,
            latent: config.latent,
            device,
        };
        let gan = Gan {
            g,
            d,
            opt_g: Optimizer::new(config.optimizer_g),
            opt_d: Optimizer::new(config.optimizer_d),
            average,
            config: config.step,
            images: 0,
        };
        Ok(Trainer { config, gan, draws, shape, steps: 0 })
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
        self.gan.opt_d.rule = c.optimizer_d.with_lr(c.optimizer_d.lr() * c.schedule_d.factor(t));
        self.gan.opt_g.rule = c.optimizer_g.with_lr(c.optimizer_g.lr() * c.schedule_g.factor(t));
        let losses = self.gan.step(&mut self.draws, probe)?;
        self.steps += 1;
        Ok(losses)
    }

    /// The first `n` images of the data set in [-1, 1].
    pub fn reals(&self, n: usize) -> Vec<f32> {
        let images = &self.draws.loader.dataset().images;
        images.pixels[..n.min(images.count) * images.area()]
            .iter()
            .map(|&v| crate::data::to_unit(v))
            .collect()
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

    /// Samples in [-1, 1] for latent vectors, in evaluation mode.
    pub fn sample(&self, z: &Tensor) -> Vec<f32> {
        generate(self.sampler(), z, None, Ctx::eval())
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

    /// Writes everything that decides how the run goes on: weights, buffers, average, optimiser state, random
    /// streams, position in the data. Equal runs write equal bytes: no time, path, host or number of threads.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let d = &self.draws;
        let standing = Standing {
            steps: self.steps,
            shape: self.shape,
            position: d.loader.position(),
            calls: [&d.noise, &d.dropout, &d.penalty].map(Generator::calls),
            tier: self.tier(),
        };
        save(path, &self.gan, &self.config, &standing)
    }
}

/// What a checkpoint says of a run beside networks and settings.
pub(super) struct Standing {
    pub steps: u64,
    /// Channels, rows and columns of an image.
    pub shape: [usize; 3],
    pub position: Position,
    /// Draws made for noise, dropout and penalty.
    pub calls: [u64; 3],
    pub tier: &'static str,
}

/// Writes a checkpoint.
pub(super) fn save(path: &Path, gan: &Gan, config: &TrainConfig, s: &Standing) -> Result<()> {
    let mut tensors = Vec::new();
    visit(gan, &mut |name, t| tensors.push((name.to_owned(), t.detach())));
    for (prefix, net, opt) in [("G.", &gan.g, &gan.opt_g), ("D.", &gan.d, &gan.opt_d)] {
        let mut names = Vec::new();
        net.visit(&format!("opt_{prefix}"), &mut |name, kind, _| {
            if kind == Kind::Parameter {
                names.push(name.to_owned());
            }
        });
        tensors.extend(opt.state_dict(&names));
    }
    let mut config = json!(config);
    // How long and how often are the run's business, not the state's.
    if let Some(c) = config.as_object_mut() {
        for key in ["steps", "log_every", "sample_every", "checkpoint_every"] {
            c.remove(key);
        }
    }
    let [noise, dropout, penalty] = s.calls;
    let meta: Value = json!({
        "format": 1,
        "config": config,
        "step": s.steps,
        "images": gan.images,
        "image_shape": s.shape,
        "position": s.position,
        "calls": { "noise": noise, "dropout": dropout, "penalty": penalty },
        "simd": s.tier,
    });
    checkpoint::save(path, &tensors, &meta)
}

fn visit(gan: &Gan, f: &mut dyn FnMut(&str, &Tensor)) {
    gan.g.visit("G.", &mut |name, _, t| f(name, t));
    gan.d.visit("D.", &mut |name, _, t| f(name, t));
    if let Some(average) = &gan.average {
        average.visit("G_ema.", &mut |name, _, t| f(name, t));
    }
}
