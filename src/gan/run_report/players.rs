//! Both networks of a run, as its newest intact checkpoint has them.

use super::material::Found;
use crate::backend::cpu::with_conv_mode;
use crate::checkpoint::{self, Checkpoint};
use crate::data::Fingerprint;
use crate::gan::network::Network;
use crate::gan::regularisers::pack;
use crate::gan::run::checkpoints;
use crate::gan::sampler::{Sampler, holds};
use crate::nn::{Ctx, Summary, load_state_dict, summary};
use crate::rng::Stream;
use crate::{Error, Generator, Result, Tensor, no_grad};
use std::path::Path;

/// Both networks, on the CPU.
pub(super) struct Players {
    /// G, or its moving average.
    pub sampler: Sampler,
    pub d: Network,
    /// What they were trained on; unknown of networks from elsewhere.
    pub data: Option<Fingerprint>,
    /// What a sample is behind the batch.
    pub sample: Vec<usize>,
    /// What G and D are made of, and what a sample costs.
    pub summaries: [Summary; 2],
}

/// Multiply-adds that a look at many samples may take, about: a second or less.
const WORK: u64 = 8_000_000_000;

impl Players {
    /// Reads them; nothing in the folder is changed, whatever is found.
    pub fn load(dir: &Path) -> Found<Players> {
        let all = checkpoints(dir).map_err(|e| format!("The checkpoints cannot be read: {e}"))?;
        if all.is_empty() {
            return Err("There is no checkpoint: a run writes one every so many steps, and when it ends or is interrupted.".into());
        }
        let mut problem = String::new();
        for path in all.iter().rev() {
            match checkpoint::load(path).and_then(|file| Players::of(&file, path)) {
                Ok(players) => return Ok(players),
                Err(e) if problem.is_empty() => problem = e.to_string(),
                Err(_) => {}
            }
        }
        Err(format!("No checkpoint can be read: {problem}"))
    }

    fn of(file: &Checkpoint, path: &Path) -> Result<Players> {
        let sampler = Sampler::of(file, path)?;
        let config = sampler.config();
        let a = config.architecture(sampler.shape, sampler.classes.unwrap_or(0))?;
        if !holds(file, "D.", &a.discriminator) {
            return Err(Error::format(path, "does not have the discriminator that its settings claim"));
        }
        let random = Generator::new(config.seed, Stream::Init);
        let mut d = Network::build("D", &a.discriminator, &config.init, &random);
        load_state_dict(&mut d, &file.tensors, "D.", path)?;
        let data = serde_json::from_value(file.meta["data"].clone()).ok();
        let mut seen = [&[1], &*a.sample].concat();
        seen[1] *= config.step.pack;
        let summaries = [summary(sampler.network(), &[1, config.latent]), summary(&d, &seen)];
        Ok(Players { data, sample: a.sample, d, sampler, summaries })
    }

    /// How many samples to look at, `most` where that costs little: of a G, and another network of so many multiply-adds.
    pub fn affordable(&self, least: usize, most: usize, other: u64) -> usize {
        ((WORK / (self.summaries[0].macs + other).max(1)) as usize).clamp(least, most)
    }

    /// Samples that D can judge at once, of so many.
    pub fn judged(&self, n: usize) -> usize {
        let c = self.sampler.config();
        let most = if n >= c.batch { n / c.batch * c.batch } else { n };
        most / c.step.pack * c.step.pack
    }

    /// D's outputs on samples in [-1, 1], in batches as in training: with the batches' own statistics and dropout, but
    /// without noise and augmentation on what it sees. Nothing of D changes.
    ///
    /// # Panics
    /// If they are not as many as [`Players::judged`] says.
    pub fn judge(&self, x: &[f32], labels: Option<&[i64]>) -> Vec<f32> {
        let config = self.sampler.config();
        let area: usize = self.sample.iter().product();
        let random = Generator::new(config.seed, Stream::Dropout);
        let ctx = Ctx::train(&random).frozen();
        let mut out = Vec::new();
        for (i, batch) in x.chunks(area * config.batch).enumerate() {
            let n = batch.len() / area;
            let shape: Vec<usize> = [n].iter().chain(&self.sample).copied().collect();
            let samples = pack(&Tensor::new(batch, &shape), config.step.pack);
            let classes = labels.map(|l| Tensor::new(&l[i * config.batch..][..n], &[n]));
            let pass =
                |ctx: &Ctx| with_conv_mode(config.conv, || no_grad(|| self.d.verdict(&samples, ctx).out));
            let judged = match &classes {
                Some(classes) => pass(&ctx.with_condition(classes)),
                None => pass(&ctx),
            };
            out.extend(judged.to_vec::<f32>());
        }
        out
    }
}
