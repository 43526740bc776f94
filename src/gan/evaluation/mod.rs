//! A generator's samples measured against real images, after training and on the way.

mod best;
mod config;
mod reals;

pub(super) use best::keep_best;
pub use config::Evaluate;
pub use reals::{RealImages, feature_net};

use super::config::TrainConfig;
use super::network::Network;
use super::run::Run;
use super::sampler::{Latents, Sampler, generate, labelled};
use super::session::METRICS;
use super::walk::slerp_or_lerp;
use crate::atomic::write_atomic;
use crate::backend::cpu::with_conv_mode;
use crate::metrics::{Evaluation, Evaluator, FeatureNet, Measured, Metric, Pair, path_length};
use crate::nn::Ctx;
use crate::report::read_log;
use crate::rng::Stream;
use crate::{Device, Generator, Result, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// Samples made at a time, which bounds the memory that activations take.
const CHUNK: usize = 256;
/// Ways whose steps the path length looks at, and the length of a step.
const WAYS: usize = 1000;
const STEP: f64 = 1e-4;

/// A line of `metrics.jsonl`: what was measured after which step.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationRecord {
    /// Steps done.
    pub step: u64,
    /// Thousands of real images seen.
    pub kimg: f64,
    /// The numbers.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// Adds what was measured of a run's samples to its `metrics.jsonl`: into the record of the same step measured in the same
/// way, if there is one.
///
/// # Errors
/// If a process is training into the run, or the file cannot be written.
pub fn note_evaluation(dir: &Path, sampler: &Sampler, evaluation: &Evaluation) -> Result<()> {
    let run = Run::open(dir)?;
    let path = run.dir().join(METRICS);
    let record = |evaluation| json!(EvaluationRecord { step: sampler.steps, kimg: sampler.kimg, evaluation });
    let mut records = if path.exists() { read_log(&path)? } else { Vec::new() };
    let new = record(evaluation.clone());
    let same = |r: &Value, new: &Value| {
        r["step"] == new["step"] && Evaluation::PROTOCOL.iter().all(|(key, _)| r[*key] == new[*key])
    };
    let mut whole = evaluation.clone();
    for earlier in records.extract_if(.., |r| same(r, &new)) {
        let metrics = earlier["metrics"].as_object().into_iter().flatten();
        // Names that this version does not know go.
        let known =
            metrics.filter_map(|(name, v)| Some((name.parse().ok()?, Measured::deserialize(v).ok()?)));
        whole = whole.with_earlier(known.collect());
    }
    records.push(record(whole));
    records.sort_by_key(|r| r["step"].as_u64());
    let lines: String = records.iter().map(|r| format!("{r}\n")).collect();
    write_atomic(&path, lines.as_bytes())
}

/// A generator that is asked for samples.
pub(super) struct Generating<'a> {
    pub net: &'a Network,
    pub config: &'a TrainConfig,
    /// Channels, rows and columns.
    pub shape: [usize; 3],
    /// Classes that it takes; None if it takes no labels.
    pub classes: Option<usize>,
    pub device: Device,
}

impl Generating<'_> {
    /// Measures its samples of the evaluator's seed: those of `ganvil sample`.
    pub fn evaluate(&self, evaluator: &Evaluator) -> Result<Evaluation> {
        let (net, wanted) = (evaluator.net(), evaluator.wanted());
        let images = net.images(&self.samples(wanted.n, wanted.seed), self.shape, self.config.data.pad)?;
        let asked = self.classes.map(|n| (0..wanted.n).map(|i| (i % n) as u32).collect::<Vec<_>>());
        let mut evaluation = evaluator.evaluate(&images, asked.as_deref())?;
        if wanted.metrics.contains(&Metric::PathLength) {
            let value = self.path_length(net, wanted.seed)?;
            evaluation.metrics.insert(Metric::PathLength, Measured::of(value));
        }
        Ok(evaluation)
    }

    /// `n` samples in [-1, 1] for a seed, `[n, pixels]`; number i has class i modulo the number of classes.
    pub fn samples(&self, n: usize, seed: u64) -> Vec<f32> {
        let random = Generator::new(seed, Stream::Samples);
        let z = self.config.prior.draw(n, self.config.latent, &random, Device::Cpu);
        self.images(&labelled(z, self.classes, |i| i))
    }

    /// The images of latent vectors. Each depends on its vector and class alone.
    pub fn images(&self, latents: &Latents) -> Vec<f32> {
        let n = latents.z.shape()[0];
        let mut images = Vec::with_capacity(n * self.shape.iter().product::<usize>());
        for start in (0..n).step_by(CHUNK) {
            let part = |t: &Tensor| t.narrow(0, start, CHUNK.min(n - start)).to_device(self.device);
            let labels = latents.labels.as_ref().map(part);
            images.extend(with_conv_mode(self.config.conv, || {
                generate(self.net, &part(&latents.z), labels.as_ref(), Ctx::eval())
            }));
        }
        images
    }

    /// The perceptual path length in a network's features, over the whole of ways between pairs of latent vectors: a place
    /// on each is drawn, and one a step behind it.
    fn path_length(&self, net: &FeatureNet, seed: u64) -> Result<f64> {
        let (latent, prior) = (self.config.latent, self.config.prior);
        let random = Generator::new(seed, Stream::Samples);
        let ends = prior.draw(2 * WAYS, latent, &random, Device::Cpu).to_vec::<f32>();
        let places = random.uniform(&[WAYS], 0.0, 1.0 - STEP, crate::DType::F64, Device::Cpu).to_vec::<f64>();
        let features = |further: f64| -> Result<Tensor> {
            let ways = ends.chunks_exact(2 * latent).zip(&places);
            let points: Vec<f32> = ways
                .flat_map(|(pair, place)| {
                    let (a, b) = pair.split_at(latent);
                    slerp_or_lerp(prior, a, b, place + further)
                })
                .collect();
            let z = Tensor::new(&points, &[WAYS, latent]);
            let samples = self.images(&labelled(z, self.classes, |i| i));
            net.smooth_features(&samples, self.shape, self.config.data.pad)
        };
        let (here, there) = (features(0.0)?, features(STEP)?);
        Ok(path_length(Pair { real: &here, fake: &there }, STEP))
    }
}
