//! One training step: the game's two moves.

use super::draws::{Draws, On, Pass};
use super::judgement::{Samples, class_loss, forward, judge, judged, weighted};
use super::network::Network;
use super::penalties::Penalties;
use super::probe::{DiscriminatorUpdate, GeneratorUpdate, NoProbe, Probe};
use super::regularisers::{self, balance, clip_weights, feature_matching, orthogonal, unrolled};
use super::step_config::StepConfig;
use crate::autograd::grad;
use crate::error::misuse;
use crate::nn::{Kind, Module, parameters, parameters_mut};
use crate::optim::{NonFiniteGradient, Optimizer, StepOptions};
use crate::rng::Stream;
use crate::{Tensor, no_grad};

const ALTERED: &str = "noise, alterations and packs are made of both alike";

/// The losses of a step's last updates, unscaled.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct StepLosses {
    /// D's adversarial loss.
    pub d: f64,
    /// G's adversarial loss.
    pub g: f64,
    /// The penalties without their weights.
    pub penalties: Penalties,
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
    /// What the rule that holds D back remembers.
    pub balance: balance::Standing,
    /// Channels, rows and columns of what the networks take for a row of numbers; for alterations of pictures.
    pub image: Option<[usize; 3]>,
}

impl Gan {
    /// A game at its beginning, without a moving average.
    pub fn new(g: Network, d: Network, opt_g: Optimizer, opt_d: Optimizer, config: StepConfig) -> Gan {
        let (average, images, balance, image) = (None, 0, balance::Standing::default(), None);
        Gan { g, d, opt_g, opt_d, average, config, images, balance, image }
    }

    /// One step: `n_d` updates of D, then `n_g` of G.
    ///
    /// # Errors
    /// If a loss is not finite, or a gradient that is to be bounded. Updates before it were made, the one it belongs to
    /// was not.
    pub fn step(&mut self, draws: &mut dyn Draws, probe: &mut dyn Probe) -> Result<StepLosses, NotFinite> {
        let mut losses = StepLosses::default();
        let (mut real, mut fakes) = (None, None);
        let before = self.images;
        for k in 0..self.config.n_d {
            // Fakes that G's update will use again keep their graph.
            let keep = self.config.reuse_fakes && k + 1 == self.config.n_d;
            let (x, kept) = self.step_d(k, keep, &mut losses, draws, probe)?;
            (real, fakes) = (self.config.g_needs_real().then_some(x), kept);
        }
        // G's updates share the images of the step, so that the average's half-life is one of images seen.
        let share = (self.images - before) as f64 / self.config.n_g as f64;
        for k in 0..self.config.n_g {
            let decay = self.config.ema.map(|e| e.decay(share, before as f64 + k as f64 * share));
            losses.g = self.step_g(k, real.as_ref(), fakes.take(), decay, draws, probe)?;
        }
        Ok(losses)
    }

    /// One update of D by itself, number `k` of a step.
    ///
    /// # Errors
    /// As [`Gan::step`].
    pub fn update_d(
        &mut self,
        k: usize,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<StepLosses, NotFinite> {
        let mut losses = StepLosses::default();
        self.step_d(k, false, &mut losses, draws, probe)?;
        Ok(losses)
    }

    /// Gives the real batch, and the fakes if they are to be kept.
    fn step_d(
        &mut self,
        k: usize,
        keep: bool,
        losses: &mut StepLosses,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<(Samples, Option<Samples>), NotFinite> {
        let (config, pass) = (self.config, Pass::Discriminator(k));
        probe.begins(self, pass);
        let real = Samples { x: draws.real(), labels: draws.labels() };
        probe.note("x", &real.x, "real samples; constants");
        probe.phase("drawing a real batch");
        let n = real.x.shape()[0] as u64;
        // A batch for each update: this is their number.
        let regularised = (self.images / n.max(1)).is_multiple_of(config.lazy as u64);
        self.images += n;
        let fake = self.fakes(keep, draws, pass, probe);
        let out_of_reach = Samples { x: fake.x.detach(), labels: fake.labels.clone() };
        if keep {
            probe.note("G(z), detached", &out_of_reach.x, "what D is given: its update must not reach G");
        }
        let (seen_real, seen_fake) = (self.seen(&real, draws), self.seen(&out_of_reach, draws));
        if self.alters() {
            probe.note("x, as D sees it", &seen_real.x, ALTERED);
            probe.note("G(z), as D sees it", &seen_fake.x, ALTERED);
            probe.phase("altering what D sees");
        }
        let j = judge(&self.d, &config, [&seen_real, &seen_fake], regularised, draws, pass, probe);
        let (loss, total) = (j.loss.item(), j.objective.item());
        probe.note("objective", &j.objective, "the weighted sum; backward starts here");
        probe.phase("losses");
        if !total.is_finite() {
            let (r, f) = (&j.real.out, &j.fake.out);
            let seen = [("real batch", &real.x), ("G(z)", &fake.x), ("D(x)", r), ("D(G(z))", f)];
            return Err(self.not_finite(format!("D's loss is {total}"), &seen));
        }
        let grads = gradients(&j.objective, &self.d);
        drop(j.objective);
        probe.phase("backward");
        let factor = self.factor(&j.real.out, &j.fake.out, loss);
        probe.discriminator(&DiscriminatorUpdate {
            k,
            real: &j.real.out,
            fake: &j.fake.out,
            batch: [&real.x, &out_of_reach.x],
            samples: [&seen_real.x, &seen_fake.x],
            loss,
            penalties: j.penalties,
            class_loss: j.classes.map(|c| c.item()),
            objective: total,
            factor,
            grads: &grads,
        });
        drop((j.real, j.fake, j.loss));
        if factor > 0.0 {
            let rule = self.opt_d.rule;
            self.opt_d.rule = rule.with_lr(rule.lr() * factor);
            let options = StepOptions { clip: config.clip_d, ema: None };
            let made = self.opt_d.step_with(parameters_mut(&mut self.d), grads, options);
            self.opt_d.rule = rule;
            made.map_err(|e| refused(&self.d, e))?;
            config.weight_clip.into_iter().for_each(|c| clip_weights(&mut self.d, c));
        }
        probe.phase("optimiser");
        probe.updated(self, pass);
        (losses.d, losses.penalties) = (loss, j.penalties);
        Ok((real, keep.then_some(fake)))
    }

    /// What the learning rate of an update of D is multiplied by.
    fn factor(&mut self, real: &Tensor, fake: &Tensor, loss: f64) -> f64 {
        let rule = self.config.balance;
        if rule.is_fixed() {
            return 1.0;
        }
        let l = self.config.loss.get();
        let (real, fake) = (real.detach(), fake.detach());
        let [r, f] = no_grad(|| l.accuracy(&real, &fake));
        let above = self.config.balance_above;
        self.balance.factor(rule, above, (r + f) / 2.0, loss, l.equilibrium().0)
    }

    /// G's samples for an update; without `keep`, constants.
    fn fakes(&self, keep: bool, draws: &mut dyn Draws, pass: Pass, probe: &mut dyn Probe) -> Samples {
        let z = Samples { x: draws.noise(pass), labels: draws.fake_labels(pass) };
        probe.note("z", &z.x, "fresh noise; constants");
        probe.phase("drawing noise");
        let generate = || forward(&self.g, &z, draws, pass, On::Fake).out;
        let x = if keep { generate() } else { no_grad(generate) };
        let why = match pass {
            Pass::Discriminator(_) if keep => "keeps G's graph, which G's update will use",
            Pass::Discriminator(_) => "made without a graph: for D, fakes are data like any",
            Pass::Generator(_) => "carries G's graph: the way to G's parameters",
        };
        probe.note("G(z)", &x, why);
        probe.phase("G forward");
        Samples { x, labels: z.labels }
    }

    /// Whether D sees other than what the data and G give.
    fn alters(&self) -> bool {
        let noise = self.config.instance_noise.is_some_and(|n| n.at(self.images) > 0.0);
        noise || self.config.augment.is_some() || self.config.pack > 1
    }

    /// Samples as D sees them: altered, under noise, in packs.
    fn seen(&self, samples: &Samples, draws: &dyn Draws) -> Samples {
        let mut x = samples.x.clone();
        if let Some(augment) = self.config.augment {
            let random = draws.stream(Stream::Augmentation);
            x = match (x.rank(), self.image) {
                (4, _) => augment.apply(&x, random),
                (_, Some([c, h, w])) => {
                    let shape = x.shape().to_vec();
                    augment.apply(&x.reshape(&[shape[0], c, h, w]), random).reshape(&shape)
                }
                _ => misuse!(
                    "augment",
                    "samples {:?} are no pictures; set Gan::image to their shape",
                    x.shape()
                ),
            };
        }
        let std = self.config.instance_noise.map_or(0.0, |n| n.at(self.images));
        if std > 0.0 {
            let random = draws.stream(Stream::InstanceNoise);
            x = x.add(&random.normal(x.shape(), 0.0, std, x.dtype(), x.device()));
        }
        Samples { x: regularisers::pack(&x, self.config.pack), labels: samples.labels.clone() }
    }

    fn step_g(
        &mut self,
        k: usize,
        real: Option<&Samples>,
        fakes: Option<Samples>,
        decay: Option<f64>,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<f64, NotFinite> {
        let (config, pass) = (self.config, Pass::Generator(k));
        probe.begins(self, pass);
        let fake = match fakes {
            Some(kept) => {
                probe.note("G(z)", &kept.x, "that of D's update, with the graph kept then");
                kept
            }
            None => self.fakes(true, draws, pass, probe),
        };
        let seen = self.seen(&fake, draws);
        let real = real.map(|r| self.seen(r, draws));
        if self.alters() {
            probe.note("G(z), as D sees it", &seen.x, "altered as in D's update; gradients pass through");
            probe.phase("altering what D sees");
        }
        let ahead = self.ahead(real.as_ref(), &seen, draws, pass);
        if ahead.is_some() {
            probe.phase("unrolled updates of D");
        }
        let rival = ahead.as_ref().unwrap_or(&self.d);
        let (verdict, features) =
            judged(rival, &seen, config.feature_matching.is_some(), draws, pass, On::Fake);
        let why = match ahead {
            None => "from G's graph through D; D's weights are constants here",
            Some(_) => "from G's graph through D, and through D's unrolled updates",
        };
        probe.note("D on G(z)", &verdict.out, why);
        probe.phase("D forward on G(z)");
        let on_real = real.as_ref().filter(|_| config.loss.get().is_relativistic() || features.is_some());
        // Nothing of G is reached by way of real samples, unless D's future depends on G.
        let on_real = on_real.map(|r| {
            let look = || judged(rival, r, features.is_some(), draws, pass, On::Real);
            if config.unroll > 0 { look() } else { no_grad(look) }
        });
        if let Some((v, _)) = &on_real {
            probe.note("D on x", &v.out, "what the fakes are compared with");
            probe.phase("D forward on x");
        }
        let loss = config.loss.get().generator(&verdict.out, on_real.as_ref().map(|(v, _)| &v.out));
        let distance = features.as_ref().zip(on_real.as_ref().and_then(|(_, f)| f.as_ref()));
        let distance = distance.map(|(fake, real)| feature_matching(real, fake));
        let goal = match (&distance, config.feature_matching) {
            (Some(d), Some(weight)) => d.mul_scalar(weight),
            _ => loss.clone(),
        };
        let classes = class_loss(&verdict, &fake);
        let mut objective = weighted(&goal, classes.as_ref(), config.class_weight, config.g_loss_scale);
        let regulariser = config.orthogonal.and_then(|_| orthogonal(&self.g, config.orthogonal_form));
        if let Some((r, weight)) = regulariser.as_ref().zip(config.orthogonal) {
            objective = objective.add(&r.mul_scalar(weight));
        }
        probe.note("loss", &loss, "small where D takes fakes for real");
        probe.note("objective", &objective, "the weighted sum; backward starts here");
        let (loss, total) = (loss.item(), objective.item());
        probe.phase("losses");
        let out = verdict.out;
        if !total.is_finite() {
            let seen = [("G(z)", &fake.x), ("D(G(z))", &out)];
            return Err(self.not_finite(format!("G's loss is {total}"), &seen));
        }
        drop((fake, on_real));
        // Only G's parameters are asked for: the walk computes no weight gradient of D.
        let grads = gradients(&objective, &self.g);
        drop((objective, goal, ahead));
        probe.phase("backward");
        probe.generator(&GeneratorUpdate {
            k,
            fake: &out,
            samples: &seen.x,
            loss,
            class_loss: classes.map(|c| c.item()),
            feature_distance: distance.map(|d| d.item()),
            orthogonal: regulariser.map(|r| r.item()),
            objective: total,
            grads: &grads,
        });
        drop((out, seen, features, verdict.classes));
        self.update_g(grads, decay).map_err(|e| refused(&self.g, e))?;
        probe.phase("optimiser");
        probe.updated(self, pass);
        Ok(loss)
    }

    /// D after the updates that G looks ahead, if it does.
    fn ahead(
        &self,
        real: Option<&Samples>,
        fake: &Samples,
        draws: &mut dyn Draws,
        pass: Pass,
    ) -> Option<Network> {
        let real = real.filter(|_| self.config.unroll > 0)?;
        let mut ahead =
            |d: &Network| judge(d, &self.config, [real, fake], true, draws, pass, &mut NoProbe).objective;
        Some(unrolled(&self.d, &self.opt_d.rule, &self.opt_d.states(), self.config.unroll, &mut ahead))
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
