//! A trained generator, and what can be asked of it.

use super::Prior;
use super::conditioning::NetworkSpec;
use super::config::TrainConfig;
use super::evaluation::Generating;
use super::network::Network;
use super::prior::{Truncation, truncated_normal};
use super::walk::{Round, slerp_or_lerp};
use crate::backend::cpu::with_conv_mode;
use crate::checkpoint::{self, Checkpoint};
use crate::data::Fingerprint;
use crate::error::misuse;
use crate::metrics::{Evaluation, Evaluator};
use crate::nn::{Ctx, LayerSpec, Module, load_state_dict, to_device};
use crate::rng::Stream;
use crate::{DType, Device, Error, Generator, Result, Tensor, no_grad};
use serde_json::{Value, json};
use std::path::Path;

/// A trained generator, read back from a checkpoint.
pub struct Sampler {
    net: Network,
    config: TrainConfig,
    /// Channels, rows and columns of an image.
    pub shape: [usize; 3],
    /// Classes that images can be asked of; none of an unconditional generator.
    pub classes: Option<usize>,
    /// Steps of training.
    pub steps: u64,
    /// Thousands of real images that it was trained on.
    pub kimg: f64,
    /// By what these are known; none of networks from elsewhere.
    pub trained_on: Option<Fingerprint>,
    /// Where the network is.
    device: Device,
}

/// Latent vectors, and the class of each for a conditional generator.
#[derive(Clone)]
pub struct Latents {
    /// `[n, latent]`.
    pub z: Tensor,
    /// i64 `[n]`.
    pub labels: Option<Tensor>,
}

/// Whose statistics batch normalisation uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NormStatistics {
    /// The running ones of training: a sample does not depend on the others.
    #[default]
    Running,
    /// Those of the samples at hand, as in a pass of training; dropout, if there is any, drops as there. What a sample
    /// looks like depends on all of them. Of use where latents are not distributed as in training (truncation).
    Batch,
}

/// Samples of a pass that makes statistics.
const OF_A_PASS: usize = 128;

/// A checkpoint's settings. Those that it does not hold, how long and how often, are the defaults.
pub(super) fn settings(path: &Path, meta: &Value) -> Result<TrainConfig> {
    let bad = |what: &str| Error::format(path, format!("is no checkpoint of ganvil: {what}"));
    let mut settings = json!(TrainConfig::default());
    let stored = meta["config"].as_object().ok_or_else(|| bad("it has no settings"))?;
    for (key, value) in stored {
        settings[key] = value.clone();
    }
    let config: TrainConfig =
        serde_json::from_value(settings).map_err(|e| bad(&format!("its settings are unreadable: {e}")))?;
    config.check().map_err(|e| bad(&e.to_string()))?;
    Ok(config)
}

/// Channels, rows and columns of a checkpoint's images.
pub(super) fn image_shape(path: &Path, meta: &Value) -> Result<[usize; 3]> {
    let bad = |what: &str| Error::format(path, format!("is no checkpoint of ganvil: {what}"));
    let mut shape = [0; 3];
    for (i, d) in shape.iter_mut().enumerate() {
        *d = meta["image_shape"][i].as_u64().ok_or_else(|| bad("the shape of its images is missing"))?
            as usize;
    }
    let [channels, rows, cols] = shape;
    if rows == 0 || cols == 0 || !matches!(channels, 1 | 3) {
        return Err(bad(&format!("its images have the shape {channels} x {rows} x {cols}")));
    }
    Ok(shape)
}

/// Classes that a checkpoint's generator takes; None if it takes no labels.
pub(super) fn classes(path: &Path, meta: &Value, config: &TrainConfig) -> Result<Option<usize>> {
    if config.conditioning.is_none() {
        return Ok(None);
    }
    let bad = |what: &str| Error::format(path, format!("is no checkpoint of ganvil: {what}"));
    match meta["classes"].as_u64() {
        None => Err(bad("the number of its classes is missing")),
        Some(0) => Err(bad("it takes labels of 0 classes")),
        Some(n) => Ok(Some(n as usize)),
    }
}

impl Sampler {
    /// Reads the generator of a checkpoint: its moving average if it has one.
    ///
    /// # Errors
    /// If the file is no checkpoint of ganvil's, or of a recipe that this version does not have.
    pub fn load(path: &Path) -> Result<Sampler> {
        Sampler::of(&checkpoint::load(path)?, path)
    }

    /// [`Sampler::load`] of a file that was read; the path is for messages.
    pub(super) fn of(file: &Checkpoint, path: &Path) -> Result<Sampler> {
        let bad = |what: &str| Error::format(path, format!("is no checkpoint of ganvil: {what}"));
        let config = settings(path, &file.meta)?;
        let shape = image_shape(path, &file.meta)?;
        let steps = file.meta["step"].as_u64().ok_or_else(|| bad("the number of its steps is missing"))?;
        let classes = classes(path, &file.meta, &config)?;
        let prefix = if config.step.ema.is_some() { "G_ema." } else { "G." };
        let pixels = shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d));
        if [config.latent, pixels, classes.unwrap_or(0)].iter().any(|&n| n > 1 << 48) {
            return Err(bad("its settings claim sizes that no network has, so its file does not have them"));
        }
        let spec = config.architecture(shape, classes.unwrap_or(0))?.generator;
        // The weights that the settings claim must be in the file, with all their elements, before any are made.
        if !holds(file, prefix, &spec) {
            let claim = format!(
                "latent {}, image shape {shape:?} and {} classes",
                config.latent,
                classes.unwrap_or(0)
            );
            return Err(bad(&format!("its generator does not have the {claim} that its settings claim")));
        }
        let mut net = Network::build("G", &spec, &config.init, &Generator::new(config.seed, Stream::Init));
        load_state_dict(&mut net, &file.tensors, prefix, path)?;
        let kimg = file.meta["images"].as_u64().unwrap_or(0) as f64 / 1000.0;
        let trained_on = serde_json::from_value(file.meta["data"].clone()).ok();
        Ok(Sampler { net, config, shape, classes, steps, kimg, trained_on, device: Device::Cpu })
    }

    /// The same, computing on another device.
    pub fn to_device(mut self, device: Device) -> Sampler {
        to_device(&mut self.net, device);
        self.device = device;
        self
    }

    /// The network.
    pub(super) fn network(&self) -> &Network {
        &self.net
    }

    /// The settings that it was trained with.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// `n` samples in [-1, 1] for this seed, `[n, channels * rows * cols]`. Each depends on the seed and its number
    /// alone; number i has class i modulo the number of classes.
    pub fn sample(&self, n: usize, seed: u64) -> Vec<f32> {
        self.generating().samples(n, seed)
    }

    /// A sample for each of these classes, as [`Sampler::sample`] gives them.
    ///
    /// # Errors
    /// If the generator takes no labels, or has no such class.
    pub fn sample_classes(&self, labels: &[usize], seed: u64) -> Result<Vec<f32>> {
        let bad =
            |value: usize, remedy| Err(Error::Argument { what: "class", value: value.to_string(), remedy });
        let Some(&most) = labels.iter().max() else { return Ok(Vec::new()) };
        match self.classes {
            None => bad(most, format!("a generator of recipe {} takes no labels", self.config.recipe)),
            Some(n) if most >= n => bad(most, format!("the generator has {n} classes, 0 to {}", n - 1)),
            Some(_) => {
                let latents = self.latents(labels.len(), seed, None)?;
                let latents = self.labelled(latents.z, |i| labels[i]);
                Ok(self.generate(&latents, NormStatistics::Running))
            }
        }
    }

    /// `n` latent vectors for this seed, each a function of the seed and its number alone; number i has class i modulo
    /// the number of classes.
    ///
    /// # Errors
    /// If they are to be truncated and the prior is not normal.
    pub fn latents(&self, n: usize, seed: u64, truncation: Option<Truncation>) -> Result<Latents> {
        let prior = self.config.prior;
        let z = match truncation {
            None => prior.draw(n, self.config.latent, &Generator::new(seed, Stream::Samples), Device::Cpu),
            Some(t) => {
                t.check()?;
                if prior != Prior::Normal {
                    let remedy =
                        format!("only a normal prior has tails to cut off, this run's is {}", prior.name());
                    return Err(Error::Argument { what: "--truncation", value: t.tau.to_string(), remedy });
                }
                truncated_normal(n, self.config.latent, t, seed)
            }
        };
        Ok(self.labelled(z, |i| i))
    }

    /// `rows` ways between two latent vectors each, `columns` points from end to end: row r leads from number 2r of
    /// `ends` to number 2r + 1, with the class of r. Points lie on great circles ([`slerp`](super::slerp)), for a
    /// uniform prior on straight lines.
    ///
    /// # Panics
    /// If there are not two ends for a row, or less than two columns.
    #[track_caller]
    pub fn strip(&self, ends: &Latents, columns: usize) -> Latents {
        let [n, latent] = ends.z.shape() else { misuse!("strip", "latents are [n, latent]") };
        if n % 2 != 0 || columns < 2 {
            misuse!(
                "strip",
                "{n} ends and {columns} columns; give two ends for a row and two columns or more"
            );
        }
        let ends = ends.z.to_vec::<f32>();
        let mut points = Vec::with_capacity(n / 2 * columns * latent);
        for pair in ends.chunks_exact(2 * latent) {
            let (a, b) = pair.split_at(*latent);
            for c in 0..columns {
                points.extend(slerp_or_lerp(self.config.prior, a, b, c as f64 / (columns - 1) as f64));
            }
        }
        self.labelled(Tensor::new(&points, &[n / 2 * columns, *latent]), |i| i / columns)
    }

    /// A class-by-noise grid: row = class, column = latent vector, the same in every row. `None` of an unconditional
    /// generator.
    pub fn class_grid(&self, columns: &Latents) -> Option<Latents> {
        let (classes, n) = (self.classes?, columns.z.shape()[0]);
        let z = Tensor::cat(&vec![&columns.z; classes], 0);
        Some(self.labelled(z, |i| i / n))
    }

    /// For `n` samples a closed way each, through `points` latent vectors: sample i goes from number `i * points` of the
    /// seed's over the next ones and back to it. The result gives the latents at a time in [0, 1).
    ///
    /// # Errors
    /// As [`Sampler::latents`].
    pub fn rounds(
        &self,
        n: usize,
        points: usize,
        seed: u64,
        truncation: Option<Truncation>,
    ) -> Result<impl Fn(f64) -> Latents + '_> {
        let all = self.latents(n * points, seed, truncation)?.z.to_vec::<f32>();
        let latent = self.config.latent;
        Ok(move |time: f64| {
            let ways = all.chunks_exact(points * latent).map(|p| Round::new(self.config.prior, p, latent));
            let z: Vec<f32> = ways.flat_map(|way| way.at(time)).collect();
            self.labelled(Tensor::new(&z, &[n, latent]), |i| i)
        })
    }

    /// Standing statistics (Brock et al., 2018, arXiv:1809.11096, appendix): replaces the running statistics of batch
    /// normalisation by those of `batches` training passes, 128 samples each, over noise as it will be sampled, with
    /// every class in turn. Those of training are of untruncated noise, and of weights before they were averaged; after
    /// 50 passes they count for less than a hundredth.
    ///
    /// # Errors
    /// As [`Sampler::latents`].
    pub fn stand(&self, batches: usize, seed: u64, truncation: Option<Truncation>) -> Result<()> {
        let random = Generator::new(self.config.seed, Stream::Dropout);
        let latents = self.latents(batches * OF_A_PASS, seed, truncation)?;
        for pass in 0..batches {
            let part = |t: &Tensor| t.narrow(0, pass * OF_A_PASS, OF_A_PASS).to_device(self.device);
            let labels = latents.labels.as_ref().map(part);
            with_conv_mode(self.config.conv, || {
                generate(&self.net, &part(&latents.z), labels.as_ref(), Ctx::train(&random))
            });
        }
        Ok(())
    }

    fn labelled(&self, z: Tensor, class: impl Fn(usize) -> usize) -> Latents {
        labelled(z, self.classes, class)
    }

    pub(super) fn generating(&self) -> Generating<'_> {
        let (config, device) = (&self.config, self.device);
        Generating { net: &self.net, config, shape: self.shape, classes: self.classes, device }
    }

    /// Measures samples of the evaluator's seed, which are those of [`Sampler::sample`].
    ///
    /// # Errors
    /// If the evaluator's network does not take such pictures.
    pub fn evaluate(&self, evaluator: &Evaluator) -> Result<Evaluation> {
        self.generating().evaluate(evaluator)
    }

    /// The images of latent vectors, in [-1, 1], `[n, channels * rows * cols]`.
    pub fn generate(&self, latents: &Latents, statistics: NormStatistics) -> Vec<f32> {
        match statistics {
            NormStatistics::Running => self.generating().images(latents),
            NormStatistics::Batch => {
                let random = Generator::new(self.config.seed, Stream::Dropout);
                let ctx = Ctx::train(&random).frozen();
                let labels = latents.labels.as_ref().map(|l| l.to_device(self.device));
                with_conv_mode(self.config.conv, || {
                    generate(&self.net, &latents.z.to_device(self.device), labels.as_ref(), ctx)
                })
            }
        }
    }
}

/// Latent vectors with the class of each, if there are classes.
pub(super) fn labelled(z: Tensor, classes: Option<usize>, class: impl Fn(usize) -> usize) -> Latents {
    let labels = classes.map(|classes| {
        let all: Vec<i64> = (0..z.shape()[0]).map(|i| (class(i) % classes) as i64).collect();
        Tensor::new(&all, &[all.len()])
    });
    Latents { z, labels }
}

/// A network's samples for latent vectors and classes, as f32.
pub(super) fn generate(net: &Network, z: &Tensor, labels: Option<&Tensor>, ctx: Ctx) -> Vec<f32> {
    let pass = |ctx: &Ctx| no_grad(|| net.forward(z, ctx));
    let images = match labels {
        Some(labels) => pass(&ctx.with_condition(labels)),
        None => pass(&ctx),
    };
    images.to_dtype(DType::F32).to_vec()
}

/// Whether a file has a network's weights.
pub(super) fn holds(file: &Checkpoint, prefix: &str, spec: &NetworkSpec) -> bool {
    let has =
        |shape: &[usize]| file.tensors.iter().any(|(name, t)| name.starts_with(prefix) && t.shape() == shape);
    let of_layers = spec.layers.iter().filter_map(|layer| match *layer {
        LayerSpec::Linear { inputs, outputs, .. } => Some(vec![outputs, inputs]),
        LayerSpec::Conv2d { inputs, outputs, kernel: [kh, kw], groups, .. } => {
            Some(vec![outputs, inputs / groups.max(1), kh, kw])
        }
        LayerSpec::ConvTranspose2d { inputs, outputs, kernel: [kh, kw], groups, .. } => {
            Some(vec![inputs, outputs / groups.max(1), kh, kw])
        }
        _ => None,
    });
    spec.label_embed.map(|e| vec![e.num, e.dim]).into_iter().chain(of_layers).all(|shape| has(&shape))
}
