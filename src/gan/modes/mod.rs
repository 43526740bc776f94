//! The mode benchmarks: what a generator covers of a mixture in the plane whose truth is known.
//!
//! Data are drawn afresh for each batch, the game is [`Gan::step`], and modes are counted on 2500 samples of the moving
//! average as [`crate::metrics::mode_coverage`] does. A seed decides everything else; a benchmark is ten of them.

mod config;
mod recipes;
mod results;

pub use config::ModesConfig;
pub use recipes::{RECIPES, recipe};
pub use results::{Folder, Published, Score, SeedResult, Spread, ceiling, published};

use super::live::LiveDraws;
use super::probe::NoProbe;
use super::source::{Plane, Source};
use super::step::{Gan, NotFinite};
use crate::backend::cpu::ahead::Ahead;
use crate::metrics::mode_coverage;
use crate::nn::{Ctx, Module, to_device};
use crate::optim::Optimizer;
use crate::rng::Stream;
use crate::{Device, Error, Generator, Result, Tensor, backend, no_grad};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Samples that modes are counted on, as in the literature.
pub const COUNTED: usize = 2500;

/// How a game stands after some of its steps.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// The generator's samples, from the same noise at every step, in the data's unit.
    pub samples: Vec<[f32; 2]>,
    /// What was counted on them.
    pub score: Score,
}

/// The steps after which a game of so many is looked at: close together where much changes, and the last.
///
/// ```
/// assert_eq!(ganvil::gan::modes::snapshot_steps(6000), [120, 480, 1200, 2400, 4200, 6000]);
/// assert_eq!(ganvil::gan::modes::snapshot_steps(2), [1, 2]);
/// ```
pub fn snapshot_steps(steps: u64) -> Vec<u64> {
    let mut at: Vec<u64> =
        [0.02, 0.08, 0.2, 0.4, 0.7, 1.0].iter().map(|part| ((steps as f64 * part) as u64).max(1)).collect();
    at.dedup();
    at
}

/// A game of a benchmark, between two steps.
pub struct Game {
    config: ModesConfig,
    seed: u64,
    gan: Gan,
    draws: LiveDraws,
    steps: u64,
}

impl Game {
    /// The game of a seed at its beginning.
    ///
    /// # Errors
    /// If the settings cannot be trained with.
    pub fn new(config: &ModesConfig, seed: u64, device: Device) -> Result<Game> {
        config.check()?;
        let init = || Generator::new(seed, Stream::Init);
        let (mut g, mut d) = config.networks(&init());
        // The average starts as G: from the same random numbers.
        let mut average = config.step.ema.map(|_| config.generator(&init()));
        [&mut g, &mut d].into_iter().chain(&mut average).for_each(|n| to_device(n, device));
        let rule_d = config.optimizer_d.lazy(config.step.lazy);
        let mut gan = Gan::new(g, d, Optimizer::new(config.optimizer_g), Optimizer::new(rule_d), config.step);
        gan.average = average;
        let (samples, scale) = (config.task.samples(seed), config.scale as f32);
        let source = Source::Plane(Ahead::new(Plane { samples, scale, batch: config.batch }));
        let from = (config.prior, config.latent);
        let draws = LiveDraws::new(source, seed, config.batch, from, false, device);
        Ok(Game { config: config.clone(), seed, gan, draws, steps: 0 })
    }

    /// One step, at the rates and weights that the schedules have for it.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if a loss is not finite.
    pub fn step(&mut self) -> Result<()> {
        let (c, t) = (&self.config, self.steps);
        let rule_d = c.optimizer_d.lazy(c.step.lazy);
        self.gan.opt_d.rule = rule_d.with_lr(rule_d.lr() * c.schedule_d.factor(t));
        self.gan.opt_g.rule = c.optimizer_g.with_lr(c.optimizer_g.lr() * c.schedule_g.factor(t));
        let gamma = c.schedule_gamma.factor(t);
        self.gan.config.r1 = c.step.r1.map(|w| w * gamma);
        self.gan.config.r2 = c.step.r2.map(|w| w * gamma);
        let played = self.gan.step(&mut self.draws, &mut NoProbe);
        played.map_err(|NotFinite { what, tensor }| Error::NonFinite {
            what: format!("seed {}: {what}", self.seed),
            step: t + 1,
            tensor,
            remedy: "A smaller learning rate or a penalty (--set) may help".into(),
        })?;
        self.steps += 1;
        Ok(())
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The networks and optimisers.
    pub fn gan(&self) -> &Gan {
        &self.gan
    }

    /// How it stands.
    ///
    /// # Errors
    /// If the distribution has no modes.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let random = Generator::new(self.seed, Stream::Samples);
        let z = self.config.prior.draw(COUNTED, self.config.latent, &random, self.draws.device);
        let generator = self.gan.average.as_ref().unwrap_or(&self.gan.g);
        let points: Tensor = no_grad(|| generator.forward(&z, &Ctx::eval()));
        let points: Vec<f32> =
            points.to_vec::<f32>().into_iter().map(|v| v * self.config.scale as f32).collect();
        let samples = points.as_chunks::<2>().0.to_vec();
        let score = Score::of(&mode_coverage(&samples, &self.config.mixture()?));
        Ok(Snapshot { step: self.steps, samples, score })
    }
}

/// Plays the game of a seed to its end. `on_snapshot` is shown how it stands after each of [`snapshot_steps`].
///
/// ```
/// use ganvil::{data::Synthetic, gan::modes};
/// use std::sync::atomic::AtomicBool;
/// let config = modes::recipe("r3gan", Synthetic::Ring8)?.lasting(20);
/// let mut seen = Vec::new();
/// # use ganvil::Device;
/// let result = modes::run_seed(&config, 7, Device::Cpu, &AtomicBool::new(false), &mut |s| seen.push(s.step))?;
/// assert_eq!((result.seed, result.score.counts.len()), (7, 8));
/// assert_eq!(seen, modes::snapshot_steps(20));
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If the settings cannot be trained with, a loss is not finite, or `stop` becomes true ([`Error::Stopped`]).
pub fn run_seed(
    config: &ModesConfig,
    seed: u64,
    device: Device,
    stop: &AtomicBool,
    on_snapshot: &mut dyn FnMut(&Snapshot),
) -> Result<SeedResult> {
    let start = Instant::now();
    let mut game = Game::new(config, seed, device)?;
    let due = snapshot_steps(config.steps);
    let mut snapshots = Vec::new();
    while game.steps < config.steps {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped { kept: format!("seed {seed} is lost from its beginning") });
        }
        game.step()?;
        if due.contains(&game.steps) {
            let snapshot = game.snapshot()?;
            on_snapshot(&snapshot);
            snapshots.push((snapshot.step, snapshot.score));
        }
    }
    let (_, score) = snapshots.last().cloned().expect("the last step is looked at");
    Ok(SeedResult {
        task: config.task,
        recipe: config.recipe.clone(),
        settings: config.digest(),
        seed,
        steps: config.steps,
        simd: backend::of(device).tier().into(),
        seconds: start.elapsed().as_secs_f64(),
        score,
        snapshots,
    })
}
