//! One training step: the game's two moves.

use super::losses::Loss;
use super::network::Network;
use super::penalties::gradient_penalty;
use crate::autograd::grad;
use crate::nn::{Ctx, Kind, Module, parameters, parameters_mut};
use crate::optim::{Clip, Ema, NonFiniteGradient, Optimizer, StepOptions};
use crate::{Generator, Tensor, no_grad};
use serde::{Deserialize, Serialize};

/// How a step is played.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// What the two minimise.
    pub loss: Loss,
    /// Updates of D per step.
    pub n_d: usize,
    /// Updates of G per step.
    pub n_g: usize,
    /// Whether G's first update uses the fakes of D's last one in place of fresh noise: saves a pass of G.
    pub reuse_fakes: bool,
    /// D's target on real samples; below 1 for one-sided label smoothing.
    pub real_label: f64,
    /// Factor of D's loss (listings that average the two terms have 0.5). Logged losses are without it.
    pub d_loss_scale: f64,
    /// Factor of G's loss.
    pub g_loss_scale: f64,
    /// Weight of the gradient penalty, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_penalty: Option<f64>,
    /// The bound on D's gradients, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_d: Option<Clip>,
    /// The bound on G's gradients, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_g: Option<Clip>,
    /// The moving average of G that samples are taken from, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<Ema>,
}

impl Default for StepConfig {
    fn default() -> StepConfig {
        StepConfig {
            loss: Loss::NonSaturating,
            n_d: 1,
            n_g: 1,
            reuse_fakes: false,
            real_label: 1.0,
            d_loss_scale: 1.0,
            g_loss_scale: 1.0,
            gradient_penalty: None,
            clip_d: None,
            clip_g: None,
            ema: None,
        }
    }
}

/// Which update of a step something belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// The k-th update of D.
    Discriminator(usize),
    /// The k-th update of G.
    Generator(usize),
}

/// Which samples D looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// Data.
    Real,
    /// G's samples.
    Fake,
    /// Points between them, for the gradient penalty.
    Between,
}

/// Everything a step does not compute: data and random numbers. Training draws them; a recorded run replays them.
pub trait Draws {
    /// The next batch of real samples.
    fn real(&mut self) -> Tensor;
    /// Latent vectors for an update.
    fn noise(&mut self, pass: Pass) -> Tensor;
    /// Interpolation coefficients for the gradient penalty, shaped to broadcast over a batch.
    fn interpolation(&mut self, real: &Tensor) -> Tensor;
    /// The random stream of dropout.
    fn dropout(&self) -> &Generator;
    /// A given dropout mask (1 = kept) for the layer at `path`, if masks are replayed and not drawn.
    fn mask(&self, _pass: Pass, _on: On, _path: &str) -> Option<Tensor> {
        None
    }
    /// Whether [`Draws::mask`] gives every mask.
    fn replays_masks(&self) -> bool {
        false
    }
}

/// What an update of D was made of.
pub struct DiscriminatorUpdate<'a> {
    /// Which update of the step.
    pub k: usize,
    /// D's outputs on real and fake samples.
    pub real: &'a Tensor,
    /// See `real`.
    pub fake: &'a Tensor,
    /// The adversarial loss, unscaled.
    pub loss: f64,
    /// The penalty without its weight.
    pub penalty: Option<f64>,
    /// What was differentiated: scaled loss plus weighted penalty.
    pub objective: f64,
    /// Gradients of the objective before any bound, in the order of D's parameters.
    pub grads: &'a [Option<Tensor>],
}

/// What an update of G was made of.
pub struct GeneratorUpdate<'a> {
    /// Which update of the step.
    pub k: usize,
    /// D's output on the fakes.
    pub fake: &'a Tensor,
    /// The adversarial loss, unscaled.
    pub loss: f64,
    /// What was differentiated: the scaled loss.
    pub objective: f64,
    /// Gradients of the objective before any bound, in the order of G's parameters.
    pub grads: &'a [Option<Tensor>],
}

/// Looks at a step's updates before they are applied.
pub trait Probe {
    /// After the gradients of an update of D.
    fn discriminator(&mut self, _: &DiscriminatorUpdate) {}
    /// After the gradients of an update of G.
    fn generator(&mut self, _: &GeneratorUpdate) {}
}

/// A probe that looks at nothing.
pub struct NoProbe;
impl Probe for NoProbe {}

/// The losses of a step's last updates, unscaled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepLosses {
    /// D's adversarial loss.
    pub d: f64,
    /// G's adversarial loss.
    pub g: f64,
    /// The gradient penalty without its weight.
    pub penalty: Option<f64>,
}

/// A loss, or a gradient that was to be bounded, was not finite; the update it belonged to was not made.
#[derive(Clone, PartialEq, Debug)]
pub struct NotFinite {
    /// Which loss or norm, with its value.
    pub what: String,
    /// The first tensor on the way to it that is not finite.
    pub tensor: String,
}

/// Two networks with their optimisers: all that a game changes.
pub struct Gan {
    /// The generator.
    pub g: Network,
    /// The discriminator.
    pub d: Network,
    /// The generator's optimiser.
    pub opt_g: Optimizer,
    /// The discriminator's optimiser.
    pub opt_d: Optimizer,
    /// A moving average of the generator.
    pub average: Option<Network>,
    /// How steps are played.
    pub config: StepConfig,
    /// Real images seen so far.
    pub images: u64,
}

impl Gan {
    /// One step: `n_d` updates of D, then `n_g` of G.
    ///
    /// # Errors
    /// If a loss is not finite, or a gradient that is to be bounded. Updates before it were made, the one it belongs to
    /// was not.
    pub fn step(&mut self, draws: &mut dyn Draws, probe: &mut dyn Probe) -> Result<StepLosses, NotFinite> {
        let mut losses = StepLosses { d: 0.0, g: 0.0, penalty: None };
        let mut fakes = None;
        let before = self.images;
        for k in 0..self.config.n_d {
            // Fakes that G's update will use again keep their graph.
            let keep = self.config.reuse_fakes && k + 1 == self.config.n_d;
            (losses.d, losses.penalty, fakes) = self.step_d(k, keep, draws, probe)?;
        }
        // G's updates share the images of the step, so that the average's half-life is one of images seen.
        let share = (self.images - before) as f64 / self.config.n_g as f64;
        for k in 0..self.config.n_g {
            let decay = self.config.ema.map(|e| e.decay(share, before as f64 + k as f64 * share));
            losses.g = self.step_g(k, fakes.take(), decay, draws, probe)?;
        }
        Ok(losses)
    }

    fn step_d(
        &mut self,
        k: usize,
        keep: bool,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<(f64, Option<f64>, Option<Tensor>), NotFinite> {
        let (config, pass) = (self.config, Pass::Discriminator(k));
        let real = draws.real();
        self.images += real.shape()[0] as u64;
        // Real and fake go through D apart: with batch statistics in D one joint batch would be another game.
        let out_real = forward(&self.d, &real, draws, pass, On::Real);
        let z = draws.noise(pass);
        let generate = || forward(&self.g, &z, draws, pass, On::Fake);
        let fake = if keep { generate() } else { no_grad(generate) };
        let out_fake = forward(&self.d, &fake.detach(), draws, pass, On::Fake);
        let loss = config.loss.get().discriminator(&out_real, &out_fake, config.real_label);
        let mut objective = scaled(&loss, config.d_loss_scale);
        let mut penalty = None;
        if let Some(weight) = config.gradient_penalty {
            let eps = draws.interpolation(&real);
            let critic = |x: &Tensor| forward(&self.d, x, draws, pass, On::Between);
            let p = gradient_penalty(&critic, &real, &fake, &eps).penalty;
            objective = objective.add(&p.mul_scalar(weight));
            penalty = Some(p.item());
        }
        let (loss, total) = (loss.item(), objective.item());
        if !total.is_finite() {
            let seen = [("real batch", &real), ("G(z)", &fake), ("D(x)", &out_real), ("D(G(z))", &out_fake)];
            return Err(self.not_finite(format!("D's loss is {total}"), &seen));
        }
        let grads = gradients(&objective, &self.d);
        drop(objective);
        probe.discriminator(&DiscriminatorUpdate {
            k,
            real: &out_real,
            fake: &out_fake,
            loss,
            penalty,
            objective: total,
            grads: &grads,
        });
        drop((out_real, out_fake));
        let options = StepOptions { clip: config.clip_d, ema: None };
        let made = self.opt_d.step_with(parameters_mut(&mut self.d), grads, options);
        made.map_err(|e| refused(&self.d, e))?;
        Ok((loss, penalty, keep.then_some(fake)))
    }

    fn step_g(
        &mut self,
        k: usize,
        fakes: Option<Tensor>,
        decay: Option<f64>,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<f64, NotFinite> {
        let (config, pass) = (self.config, Pass::Generator(k));
        let fake = match fakes {
            Some(fake) => fake,
            None => {
                let z = draws.noise(pass);
                forward(&self.g, &z, draws, pass, On::Fake)
            }
        };
        let out = forward(&self.d, &fake, draws, pass, On::Fake);
        let loss = config.loss.get().generator(&out);
        let objective = scaled(&loss, config.g_loss_scale);
        let (loss, total) = (loss.item(), objective.item());
        if !total.is_finite() {
            return Err(
                self.not_finite(format!("G's loss is {total}"), &[("G(z)", &fake), ("D(G(z))", &out)])
            );
        }
        drop(fake);
        // Only G's parameters are asked for: the walk computes no weight gradient of D.
        let grads = gradients(&objective, &self.g);
        drop(objective);
        probe.generator(&GeneratorUpdate { k, fake: &out, loss, objective: total, grads: &grads });
        drop(out);
        self.update_g(grads, decay).map_err(|e| refused(&self.g, e))?;
        Ok(loss)
    }

    fn update_g(&mut self, grads: Vec<Option<Tensor>>, decay: Option<f64>) -> Result<(), NonFiniteGradient> {
        let ema = self.average.as_mut().zip(decay).map(|(average, decay)| (parameters_mut(average), decay));
        let options = StepOptions { clip: self.config.clip_g, ema };
        self.opt_g.step_with(parameters_mut(&mut self.g), grads, options)?;
        if let (Some(average), Some(_)) = (&mut self.average, decay) {
            copy_buffers(&self.g, average);
        }
        Ok(())
    }

    /// Names the first tensor that is not finite, in the order of computation.
    fn not_finite(&self, what: String, seen: &[(&str, &Tensor)]) -> NotFinite {
        let mut first = None;
        let mut look = |name: &str, t: &Tensor| {
            if first.is_none() && t.dtype().is_float() && t.to_f64_vec().iter().any(|v| !v.is_finite()) {
                first = Some(name.to_owned());
            }
        };
        seen.iter().filter(|(name, _)| *name == "real batch").for_each(|(name, t)| look(name, t));
        self.g.visit("G.", &mut |name, _, t| look(name, t));
        seen.iter().filter(|(name, _)| *name == "G(z)").for_each(|(name, t)| look(name, t));
        self.d.visit("D.", &mut |name, _, t| look(name, t));
        seen.iter().for_each(|(name, t)| look(name, t));
        NotFinite {
            what,
            tensor: first.unwrap_or_else(|| "the loss itself (all it was made of is finite)".into()),
        }
    }
}

/// A training pass of a network with the update's random numbers.
fn forward(net: &Network, x: &Tensor, draws: &dyn Draws, pass: Pass, on: On) -> Tensor {
    let masks = |path: &str, shape: &[usize]| {
        draws
            .mask(pass, on, path)
            .unwrap_or_else(|| panic!("no mask {shape:?} was recorded for {path} in {pass:?} on {on:?}"))
    };
    let ctx = Ctx::train(draws.dropout());
    net.forward(x, &if draws.replays_masks() { ctx.with_masks(&masks) } else { ctx })
}

/// The error for gradients that a network's bound cannot mend.
fn refused(net: &Network, e: NonFiniteGradient) -> NotFinite {
    let name = net.name();
    let mut names = Vec::new();
    net.visit(&format!("{name}."), &mut |name, kind, _| {
        if kind == Kind::Parameter {
            names.push(name.to_owned());
        }
    });
    NotFinite {
        what: format!("the norm of {name}'s gradient is {}", e.norm),
        tensor: format!("the gradient of {}", names[e.index]),
    }
}

fn scaled(loss: &Tensor, scale: f64) -> Tensor {
    if scale == 1.0 { loss.clone() } else { loss.mul_scalar(scale) }
}

fn gradients(objective: &Tensor, net: &Network) -> Vec<Option<Tensor>> {
    let params = parameters(net);
    grad(&[objective], &params.iter().collect::<Vec<_>>(), &[], false)
}

/// Running statistics are copied to the average, not averaged.
fn copy_buffers(from: &dyn Module, to: &mut dyn Module) {
    let mut buffers = Vec::new();
    from.visit("", &mut |_, kind, t| {
        if kind == Kind::Buffer {
            buffers.push(t.clone());
        }
    });
    let mut buffers = buffers.into_iter();
    to.visit_mut("", &mut |_, kind, t| {
        if kind == Kind::Buffer {
            *t = buffers.next().expect("an average has its network's buffers");
        }
    });
}
