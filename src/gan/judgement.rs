//! What D makes of samples, and what it minimises.

use super::draws::{Draws, On, Pass};
use super::network::{Network, Verdict};
use super::penalties::{GradientPenalty, Penalties, dragan, drift, gradient_penalty, r1};
use super::probe::Probe;
use super::regularisers::flip_labels;
use super::step_config::StepConfig;
use crate::error::misuse;
use crate::nn::{Applied, Ctx, Module, Watch};
use crate::rng::Stream;
use crate::{Reduction, Tensor};
use std::cell::RefCell;

/// A batch, with the class of each sample in a game with labels.
pub(super) struct Samples {
    pub x: Tensor,
    pub labels: Option<Tensor>,
}

/// The phase of a pass over real and fake samples as one batch.
pub(super) const TOGETHER: &str = "D forward on x and G(z)";

/// D's view of a real batch and one of fakes, and its objective.
pub(super) struct Judgement {
    pub real: Verdict,
    pub fake: Verdict,
    /// The adversarial loss.
    pub loss: Tensor,
    /// Both cross-entropies of an auxiliary classifier.
    pub classes: Option<Tensor>,
    pub penalties: Penalties,
    /// What is minimised: the scaled losses plus the weighted penalties.
    pub objective: Tensor,
}

/// Lets `d` judge samples as it sees them. Real and fake go through D as one batch where each sample is judged by itself, and
/// apart otherwise: with batch statistics in D one joint batch would be another game. `regularised`: whether R1 and R2 are
/// due, whose pass over their samples is one of its own.
pub(super) fn judge(
    d: &Network,
    config: &StepConfig,
    [real, fake]: [&Samples; 2],
    regularised: bool,
    draws: &mut dyn Draws,
    pass: Pass,
    probe: &mut dyn Probe,
) -> Judgement {
    let due = |weight: Option<f64>| weight.filter(|_| regularised).map(|w| w * config.lazy as f64);
    let mut penalties = Penalties::default();
    let mut weighted_penalties: Vec<(Tensor, f64)> = Vec::new();
    let mut add = |p: Tensor, weight: f64| {
        let value = p.item();
        weighted_penalties.push((p, weight));
        Some(value)
    };
    let why = "carries D's graph: the way to D's parameters";
    let slopes = due(config.r1).or(due(config.r2)).is_some();
    let (on_real, at_real, on_fake, at_fake) = if d.is_per_sample() && !slopes && !draws.replays_masks() {
        let [on_real, on_fake] = judge_both(d, [real, fake], draws, pass);
        probe.note("D on x", &on_real.out, why);
        probe.note("D on G(z)", &on_fake.out, why);
        probe.phase(TOGETHER);
        (on_real, None, on_fake, None)
    } else {
        let (on_real, at_real) = judge_slope(d, real, due(config.r1).is_some(), draws, pass, On::Real);
        probe.note("D on x", &on_real.out, why);
        probe.phase(if at_real.is_some() { "D forward on x, with R1" } else { "D forward on x" });
        let (on_fake, at_fake) = judge_slope(d, fake, due(config.r2).is_some(), draws, pass, On::Fake);
        probe.note("D on G(z)", &on_fake.out, why);
        probe.phase(if at_fake.is_some() { "D forward on G(z), with R2" } else { "D forward on G(z)" });
        (on_real, at_real, on_fake, at_fake)
    };
    let (mut r, mut f) = (on_real.out.clone(), on_fake.out.clone());
    if let Some(p) = config.flip_labels {
        let random = draws.stream(Stream::LabelFlips);
        let mask = random.bernoulli(r.shape(), p, 1.0, r.dtype(), r.device()).gt_scalar(0.5);
        (r, f) = flip_labels(&r, &f, &mask);
    }
    let loss = config.loss.get().discriminator(&r, &f, config.real_label);
    probe.note("loss", &loss, "real term plus fake term");
    let classes = class_loss(&on_real, real).zip(class_loss(&on_fake, fake)).map(|(r, f)| r.add(&f));
    let mut objective = weighted(&loss, classes.as_ref(), config.class_weight, config.d_loss_scale);
    penalties.r1 = at_real.zip(due(config.r1)).and_then(|(p, weight)| add(p, weight));
    penalties.r2 = at_fake.zip(due(config.r2)).and_then(|(p, weight)| add(p, weight));
    penalties.drift = config.drift.and_then(|weight| add(drift(&on_real.out), weight));
    let sided = |p: &GradientPenalty| if config.one_sided { p.one_sided() } else { p.penalty.clone() };
    // Between samples of different classes, and near a real one: at the real one's.
    let critic = |draws: &dyn Draws, x: &Tensor| {
        let at = Samples { x: x.clone(), labels: real.labels.clone() };
        forward(d, &at, draws, pass, On::Between).out
    };
    if let Some(weight) = config.gradient_penalty {
        let eps = draws.interpolation(&real.x);
        let p = gradient_penalty(&|x| critic(draws, x), &real.x, &fake.x, &eps);
        probe.note("slopes between", &p.norms, "D's gradient at mixed samples; has a graph");
        penalties.slope = Some(p.norms.mean_all().item());
        penalties.gradient = add(sided(&p), weight);
        probe.phase("gradient penalty");
    }
    if let Some(weight) = config.dragan {
        let x = &real.x;
        let noise = draws.stream(Stream::Penalty).uniform(x.shape(), 0.0, 1.0, x.dtype(), x.device());
        let p = dragan(&|x| critic(draws, x), x, &noise);
        probe.note("slopes near x", &p.norms, "D's gradient near the data; has a graph");
        penalties.slope = Some(p.norms.mean_all().item());
        penalties.dragan = add(sided(&p), weight);
        probe.phase("DRAGAN's penalty");
    }
    for (p, weight) in weighted_penalties {
        objective = objective.add(&p.mul_scalar(weight));
    }
    Judgement { real: on_real, fake: on_fake, loss, classes, penalties, objective }
}

/// D on both batches in one pass: its weights are read once, and their gradient is one product.
fn judge_both(d: &Network, both: [&Samples; 2], draws: &dyn Draws, pass: Pass) -> [Verdict; 2] {
    let labels = both.map(|s| s.labels.as_ref());
    let labels =
        if let [Some(real), Some(fake)] = labels { Some(Tensor::cat(&[real, fake], 0)) } else { None };
    let x = Tensor::cat(&both.map(|s| &s.x), 0);
    // Which of the two it is on matters to replayed masks alone.
    let verdict = forward(d, &Samples { x, labels }, draws, pass, On::Real);
    let [n, m] = both.map(|s| s.x.shape()[0]);
    [(0, n), (n, m)].map(|(start, count)| {
        let of = |t: &Tensor| t.narrow(0, start, count);
        Verdict { out: of(&verdict.out), classes: verdict.classes.as_ref().map(of) }
    })
}

/// D on samples, and where it is wanted the penalty on its slope there.
fn judge_slope(
    d: &Network,
    samples: &Samples,
    slope: bool,
    draws: &dyn Draws,
    pass: Pass,
    on: On,
) -> (Verdict, Option<Tensor>) {
    if !slope {
        return (forward(d, samples, draws, pass, on), None);
    }
    let classes = RefCell::new(None);
    let critic = |x: &Tensor| {
        let at = Samples { x: x.clone(), labels: samples.labels.clone() };
        let verdict = forward(d, &at, draws, pass, on);
        *classes.borrow_mut() = verdict.classes;
        verdict.out
    };
    let p = r1(&critic, &samples.x);
    if samples.x.is_tracked() {
        // The penalty's own pass is over constants; G is to be reached.
        return (forward(d, samples, draws, pass, on), Some(p.penalty));
    }
    // The penalty's own pass is the one over the samples: another would draw other masks.
    (Verdict { out: p.output, classes: classes.take() }, Some(p.penalty))
}

/// D on samples, and where they are wanted the features that its last layer takes.
pub(super) fn judged(
    d: &Network,
    samples: &Samples,
    features: bool,
    draws: &dyn Draws,
    pass: Pass,
    on: On,
) -> (Verdict, Option<Tensor>) {
    if !features {
        return (forward(d, samples, draws, pass, on), None);
    }
    let seen = RefCell::new(None);
    let last = format!("{}.{}", d.name(), d.last());
    let watch = |a: &Applied| {
        if a.path == last {
            *seen.borrow_mut() = Some(a.input.clone());
        }
    };
    let verdict = watched(d, samples, Some(&watch), draws, pass, on);
    (verdict, seen.take())
}

/// What is minimised of an adversarial loss and the auxiliary classifier's cross-entropy.
pub(super) fn weighted(loss: &Tensor, classes: Option<&Tensor>, class_weight: f64, scale: f64) -> Tensor {
    let sum = classes.map(|c| loss.add(&scaled(c, class_weight)));
    scaled(sum.as_ref().unwrap_or(loss), scale)
}

fn scaled(loss: &Tensor, scale: f64) -> Tensor {
    if scale == 1.0 { loss.clone() } else { loss.mul_scalar(scale) }
}

/// A training pass of a network with the update's random numbers.
pub(super) fn forward(net: &Network, samples: &Samples, draws: &dyn Draws, pass: Pass, on: On) -> Verdict {
    watched(net, samples, None, draws, pass, on)
}

/// [`forward`] with somebody who looks on.
fn watched(
    net: &Network,
    samples: &Samples,
    watch: Option<Watch>,
    draws: &dyn Draws,
    pass: Pass,
    on: On,
) -> Verdict {
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
    if let Some(watch) = watch {
        ctx = ctx.watched(watch);
    }
    net.verdict(&samples.x, &ctx)
}

/// The cross-entropy of a verdict's class logits, if it has any: `-E ln p(y | x)`.
pub(super) fn class_loss(verdict: &Verdict, of: &Samples) -> Option<Tensor> {
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
