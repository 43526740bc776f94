//! The second move: an update of G.

use super::Gan;
use super::finite::{NotFinite, refused};
use crate::backend::trace::{self, Part};
use crate::gan::draws::{Draws, On, Pass};
use crate::gan::judgement::{Samples, class_loss, judge, judged, weighted};
use crate::gan::network::Network;
use crate::gan::probe::{GeneratorUpdate, NoProbe, Probe};
use crate::gan::regularisers::{feature_matching, orthogonal, unrolled};
use crate::nn::{Kind, Module, gradients, parameters_mut};
use crate::optim::{NonFiniteGradient, StepOptions};
use crate::{Tensor, no_grad};

impl Gan {
    pub(super) fn step_g(
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
        let _span = trace::slice(Part::Optimiser, || (self.g.name().into(), ""));
        let ema = self.average.as_mut().zip(decay).map(|(average, decay)| (parameters_mut(average), decay));
        let options = StepOptions { clip: self.config.clip_g, ema };
        self.opt_g.step_with(parameters_mut(&mut self.g), grads, options)?;
        if let (Some(average), Some(_)) = (&mut self.average, decay) {
            copy_buffers(&self.g, average);
        }
        Ok(())
    }
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
