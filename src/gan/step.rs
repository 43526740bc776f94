//! One training step: the game's two moves.

use super::draws::{Draws, On, Pass};
use super::losses::Loss;
use super::network::{Network, Verdict};
use super::penalties::{gradient_penalty, r1};
use super::probe::{DiscriminatorUpdate, GeneratorUpdate, Probe};
use crate::autograd::grad;
use crate::error::misuse;
use crate::nn::{Ctx, Kind, Module, parameters, parameters_mut};
use crate::optim::{Clip, Ema, NonFiniteGradient, Optimizer, StepOptions};
use crate::{Reduction, Tensor, no_grad};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

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
    /// Weight of the R1 penalty (gamma), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r1: Option<f64>,
    /// Weight of the auxiliary classifier's cross-entropy beside the adversarial loss, in both losses.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub class_weight: f64,
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

fn one() -> f64 {
    1.0
}
fn is_one(v: &f64) -> bool {
    *v == 1.0
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
            r1: None,
            class_weight: 1.0,
            clip_d: None,
            clip_g: None,
            ema: None,
        }
    }
}

/// The losses of a step's last updates, unscaled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepLosses {
    /// D's adversarial loss.
    pub d: f64,
    /// G's adversarial loss.
    pub g: f64,
    /// The gradient penalty without its weight.
    pub penalty: Option<f64>,
    /// The R1 penalty without its weight.
    pub r1: Option<f64>,
}

/// A batch, with the class of each sample in a game with labels.
struct Samples {
    x: Tensor,
    labels: Option<Tensor>,
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
        let mut losses = StepLosses { d: 0.0, g: 0.0, penalty: None, r1: None };
        let mut fakes = None;
        let before = self.images;
        for k in 0..self.config.n_d {
            // Fakes that G's update will use again keep their graph.
            let keep = self.config.reuse_fakes && k + 1 == self.config.n_d;
            fakes = self.step_d(k, keep, &mut losses, draws, probe)?;
        }
        // G's updates share the images of the step, so that the average's half-life is one of images seen.
        let share = (self.images - before) as f64 / self.config.n_g as f64;
        for k in 0..self.config.n_g {
            let decay = self.config.ema.map(|e| e.decay(share, before as f64 + k as f64 * share));
            losses.g = self.step_g(k, fakes.take(), decay, draws, probe)?;
        }
        Ok(losses)
    }

    /// Gives the fakes if they are to be kept.
    fn step_d(
        &mut self,
        k: usize,
        keep: bool,
        losses: &mut StepLosses,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<Option<Samples>, NotFinite> {
        let (config, pass) = (self.config, Pass::Discriminator(k));
        let real = Samples { x: draws.real(), labels: draws.labels() };
        self.images += real.x.shape()[0] as u64;
        // Real and fake go through D apart: with batch statistics in D one joint batch would be another game.
        let (on_real, r1) = self.judge_real(&real, draws, pass);
        let fake = self.fakes(keep, draws, pass);
        let out_of_reach = Samples { x: fake.x.detach(), labels: fake.labels.clone() };
        let on_fake = forward(&self.d, &out_of_reach, draws, pass, On::Fake);
        let loss = config.loss.get().discriminator(&on_real.out, &on_fake.out, config.real_label);
        let classes = class_loss(&on_real, &real).zip(class_loss(&on_fake, &fake)).map(|(r, f)| r.add(&f));
        let mut objective = self.weighted(&loss, classes.as_ref(), config.d_loss_scale);
        let penalty = config.gradient_penalty.map(|weight| {
            let p = self.gradient_penalty(&real, &fake, draws, pass);
            objective = objective.add(&p.mul_scalar(weight));
            p.item()
        });
        let r1 = r1.zip(config.r1).map(|(p, weight)| {
            objective = objective.add(&p.mul_scalar(weight));
            p.item()
        });
        let (loss, total) = (loss.item(), objective.item());
        if !total.is_finite() {
            let (r, f) = (&on_real.out, &on_fake.out);
            let seen = [("real batch", &real.x), ("G(z)", &fake.x), ("D(x)", r), ("D(G(z))", f)];
            return Err(self.not_finite(format!("D's loss is {total}"), &seen));
        }
        let grads = gradients(&objective, &self.d);
        drop(objective);
        probe.discriminator(&DiscriminatorUpdate {
            k,
            real: &on_real.out,
            fake: &on_fake.out,
            loss,
            penalty,
            r1,
            class_loss: classes.map(|c| c.item()),
            objective: total,
            grads: &grads,
        });
        drop((on_real, on_fake));
        let options = StepOptions { clip: config.clip_d, ema: None };
        let made = self.opt_d.step_with(parameters_mut(&mut self.d), grads, options);
        made.map_err(|e| refused(&self.d, e))?;
        (losses.d, losses.penalty, losses.r1) = (loss, penalty, r1);
        Ok(keep.then_some(fake))
    }

    /// D on real samples, and the R1 penalty of that pass if there is to be one.
    fn judge_real(&self, real: &Samples, draws: &dyn Draws, pass: Pass) -> (Verdict, Option<Tensor>) {
        if self.config.r1.is_none() {
            return (forward(&self.d, real, draws, pass, On::Real), None);
        }
        // The penalty's own pass is the one over the real samples: another would draw other masks.
        let classes = RefCell::new(None);
        let critic = |x: &Tensor| {
            let at = Samples { x: x.clone(), labels: real.labels.clone() };
            let verdict = forward(&self.d, &at, draws, pass, On::Real);
            *classes.borrow_mut() = verdict.classes;
            verdict.out
        };
        let p = r1(&critic, &real.x);
        (Verdict { out: p.output, classes: classes.take() }, Some(p.penalty))
    }

    /// G's samples for an update; without `keep`, constants.
    fn fakes(&self, keep: bool, draws: &mut dyn Draws, pass: Pass) -> Samples {
        let z = Samples { x: draws.noise(pass), labels: draws.fake_labels(pass) };
        let generate = || forward(&self.g, &z, draws, pass, On::Fake).out;
        let x = if keep { generate() } else { no_grad(generate) };
        Samples { x, labels: z.labels }
    }

    /// The gradient penalty, between samples of different classes at the real one's.
    fn gradient_penalty(&self, real: &Samples, fake: &Samples, draws: &mut dyn Draws, pass: Pass) -> Tensor {
        let eps = draws.interpolation(&real.x);
        let critic = |x: &Tensor| {
            let between = Samples { x: x.clone(), labels: real.labels.clone() };
            forward(&self.d, &between, draws, pass, On::Between).out
        };
        gradient_penalty(&critic, &real.x, &fake.x, &eps).penalty
    }

    /// What is minimised of an adversarial loss and the auxiliary classifier's cross-entropy.
    fn weighted(&self, loss: &Tensor, classes: Option<&Tensor>, scale: f64) -> Tensor {
        let sum = classes.map(|c| loss.add(&scaled(c, self.config.class_weight)));
        scaled(sum.as_ref().unwrap_or(loss), scale)
    }

    fn step_g(
        &mut self,
        k: usize,
        fakes: Option<Samples>,
        decay: Option<f64>,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<f64, NotFinite> {
        let (config, pass) = (self.config, Pass::Generator(k));
        let fake = fakes.unwrap_or_else(|| self.fakes(true, draws, pass));
        let verdict = forward(&self.d, &fake, draws, pass, On::Fake);
        let loss = config.loss.get().generator(&verdict.out);
        let classes = class_loss(&verdict, &fake);
        let objective = self.weighted(&loss, classes.as_ref(), config.g_loss_scale);
        let (loss, total) = (loss.item(), objective.item());
        let out = verdict.out;
        if !total.is_finite() {
            let seen = [("G(z)", &fake.x), ("D(G(z))", &out)];
            return Err(self.not_finite(format!("G's loss is {total}"), &seen));
        }
        drop(fake);
        // Only G's parameters are asked for: the walk computes no weight gradient of D.
        let grads = gradients(&objective, &self.g);
        drop(objective);
        let class_loss = classes.map(|c| c.item());
        probe.generator(&GeneratorUpdate {
            k,
            fake: &out,
            loss,
            class_loss,
            objective: total,
            grads: &grads,
        });
        drop((out, verdict.classes));
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
fn forward(net: &Network, samples: &Samples, draws: &dyn Draws, pass: Pass, on: On) -> Verdict {
    let masks = |path: &str, shape: &[usize]| {
        draws
            .mask(pass, on, path)
            .unwrap_or_else(|| panic!("no mask {shape:?} was recorded for {path} in {pass:?} on {on:?}"))
    };
    let mut ctx = Ctx::train(draws.dropout());
    if draws.replays_masks() {
        ctx = ctx.with_masks(&masks);
    }
    if let Some(labels) = &samples.labels {
        ctx = ctx.with_condition(labels);
    }
    net.verdict(&samples.x, &ctx)
}

/// The cross-entropy of a verdict's class logits, if it has any: `-E ln p(y | x)`.
fn class_loss(verdict: &Verdict, of: &Samples) -> Option<Tensor> {
    let logits = verdict.classes.as_ref()?;
    let Some(labels) = &of.labels else {
        misuse!(
            "step",
            "an auxiliary classifier learns from labels, and the draws gave none for {:?}",
            of.x.shape()
        )
    };
    Some(logits.cross_entropy(labels, Reduction::Mean))
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
