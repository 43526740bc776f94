//! Drawing from a trained generator.

use super::conditioning::NetworkSpec;
use super::config::TrainConfig;
use super::network::Network;
use crate::checkpoint::{self, Checkpoint};
use crate::nn::{Ctx, LayerSpec, Module, load_state_dict};
use crate::rng::Stream;
use crate::{DType, Device, Error, Generator, Result, Tensor, no_grad};
use serde_json::{Value, json};
use std::path::Path;

/// Samples for latent vectors, in evaluation mode.
pub(super) fn sample(net: &Network, z: &Tensor, labels: Option<&Tensor>) -> Vec<f32> {
    let ctx = Ctx::eval();
    let ctx = labels.map_or(ctx, |labels| ctx.with_condition(labels));
    no_grad(|| net.forward(z, &ctx)).to_dtype(DType::F32).to_vec()
}

/// A trained generator, read back from a checkpoint.
pub struct Sampler {
    net: Network,
    config: TrainConfig,
    classes: usize,
    /// Rows and columns of an image.
    pub size: (usize, usize),
    /// Steps of training.
    pub steps: u64,
}

impl Sampler {
    /// Reads the generator of a checkpoint: its moving average if it has one.
    ///
    /// # Errors
    /// If the file is no checkpoint of ganvil's, or of a recipe that this version does not have.
    pub fn load(path: &Path) -> Result<Sampler> {
        let file = checkpoint::load(path)?;
        let bad = |what: &str| Error::format(path, format!("is no checkpoint of ganvil: {what}"));
        let mut settings = json!(TrainConfig::default());
        let stored = file.meta["config"].as_object().ok_or_else(|| bad("it has no settings"))?;
        for (key, value) in stored {
            settings[key] = value.clone();
        }
        let config: TrainConfig = serde_json::from_value(settings)
            .map_err(|e| bad(&format!("its settings are unreadable: {e}")))?;
        let number = |v: &Value| v.as_u64().ok_or_else(|| bad("a number is missing"));
        let size =
            (number(&file.meta["image_size"][0])? as usize, number(&file.meta["image_size"][1])? as usize);
        let steps = number(&file.meta["step"])?;
        config.check().map_err(|e| bad(&e.to_string()))?;
        let classes = match config.conditioning.is_none() {
            true => 0,
            false => number(&file.meta["classes"])? as usize,
        };
        if classes == 0 && !config.conditioning.is_none() {
            return Err(bad("it takes labels of 0 classes"));
        }
        let prefix = if config.step.ema.is_some() { "G_ema." } else { "G." };
        if size.0.saturating_mul(size.1) == 0 {
            return Err(bad(&format!("its images have the size {} x {}", size.0, size.1)));
        }
        let claims = [config.latent, size.0.saturating_mul(size.1), classes];
        if claims.iter().any(|&n| n > 1 << 48) {
            return Err(bad("its settings claim sizes that no network has, so its file does not have them"));
        }
        let spec = config.architecture([1, size.0, size.1], classes)?.generator;
        // The matrices that the settings claim must be in the file, with all their elements, before any are made.
        if !holds(&file, prefix, &spec) {
            let claim =
                format!("latent {}, image size {} x {} and {classes} classes", config.latent, size.0, size.1);
            return Err(bad(&format!("its generator does not have the {claim} that its settings claim")));
        }
        let random = Generator::new(config.seed, Stream::Init);
        let mut net = Network::build("G", &spec, &config.init, &random);
        load_state_dict(&mut net, &file.tensors, prefix, path)?;
        Ok(Sampler { net, config, classes, size, steps })
    }

    /// The classes that samples can be asked for; None if the generator takes no labels.
    pub fn classes(&self) -> Option<usize> {
        (!self.config.conditioning.is_none()).then_some(self.classes)
    }

    /// `n` samples in [-1, 1] for this seed, `[n, rows * cols]`. Each depends on the seed and its number alone. A
    /// generator that takes labels draws its classes in turn.
    pub fn sample(&self, n: usize, seed: u64) -> Vec<f32> {
        let turn: Option<Vec<usize>> = self.classes().map(|classes| (0..n).map(|i| i % classes).collect());
        self.draw(n, seed, turn.as_deref())
    }

    /// A sample for each of these classes, as [`Sampler::sample`] gives them.
    ///
    /// # Errors
    /// If the generator takes no labels, or has no such class.
    pub fn sample_classes(&self, labels: &[usize], seed: u64) -> Result<Vec<f32>> {
        let bad =
            |value: usize, remedy| Err(Error::Argument { what: "class", value: value.to_string(), remedy });
        let Some(&most) = labels.iter().max() else { return Ok(Vec::new()) };
        match self.classes() {
            None => bad(most, format!("a generator of recipe {} takes no labels", self.config.recipe)),
            Some(n) if most >= n => bad(most, format!("the generator has {n} classes, 0 to {}", n - 1)),
            Some(_) => Ok(self.draw(labels.len(), seed, Some(labels))),
        }
    }

    fn draw(&self, n: usize, seed: u64, labels: Option<&[usize]>) -> Vec<f32> {
        let z = self.config.prior.draw(
            n,
            self.config.latent,
            &Generator::new(seed, Stream::Samples),
            Device::Cpu,
        );
        let labels = labels.map(|l| l.iter().map(|&y| y as i64).collect::<Vec<_>>());
        sample(&self.net, &z, labels.map(|l| Tensor::new(&l, &[n])).as_ref())
    }
}

/// Whether a file has a network's matrices.
fn holds(file: &Checkpoint, prefix: &str, spec: &NetworkSpec) -> bool {
    let has = |shape: [usize; 2]| {
        file.tensors.iter().any(|(name, t)| name.starts_with(prefix) && t.shape() == shape)
    };
    let linear = spec.layers.iter().filter_map(|layer| match *layer {
        LayerSpec::Linear { inputs, outputs, .. } => Some([outputs, inputs]),
        _ => None,
    });
    spec.label_embed.map(|e| [e.num, e.dim]).into_iter().chain(linear).all(has)
}
