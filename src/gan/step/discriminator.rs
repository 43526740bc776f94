//! The first move: an update of D.

use super::finite::{NotFinite, refused};
use super::{Gan, StepLosses};
use crate::backend::trace::{self, Part};
use crate::gan::draws::{Draws, Pass};
use crate::gan::judgement::{Samples, judge};
use crate::gan::probe::{DiscriminatorUpdate, Probe};
use crate::gan::regularisers::clip_weights;
use crate::nn::{gradients, parameters_mut};
use crate::optim::StepOptions;
use crate::{Tensor, no_grad};

const ALTERED: &str = "noise, alterations and packs are made of both alike";

impl Gan {
    /// Gives the real batch, and the fakes if they are to be kept.
    pub(super) fn step_d(
        &mut self,
        k: usize,
        keep: bool,
        losses: &mut StepLosses,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<(Samples, Option<Samples>), NotFinite> {
        let (config, pass) = (self.config, Pass::Discriminator(k));
        probe.begins(self, pass);
        let real = {
            let _span = trace::slice(Part::Data, || ("real batch".into(), ""));
            Samples { x: draws.real(), labels: draws.labels() }
        };
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
            let _span = trace::slice(Part::Optimiser, || (self.d.name().into(), ""));
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
}
