//! One step in full: the probe behind `--explain-step`.

use super::draws::Pass;
use super::judgement::TOGETHER;
use super::penalties::Penalties;
use super::probe::{DiscriminatorUpdate, GeneratorUpdate, Probe};
use super::statistics::{is_last, moved};
use super::step::Gan;
use super::step_config::StepConfig;
use crate::backend::trace;
use crate::nn::{Kind, Module};
use crate::optim::grad_norm;
use crate::{DType, Device, Tensor, no_grad};
use std::time::{Duration, Instant};

/// A tensor that an update made.
#[derive(Clone, PartialEq, Debug)]
pub struct SeenTensor {
    /// Its name: `G(z)`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its dtype.
    pub dtype: DType,
    /// Whether it carries a graph, so that gradients can flow back through it.
    pub graph: bool,
    /// What is to be known of it.
    pub why: &'static str,
    /// Its values' mean.
    pub mean: f64,
    /// Their standard deviation, not corrected for the number of values.
    pub std: f64,
    /// The least of them.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// A part of what an update minimises.
#[derive(Clone, PartialEq, Debug)]
pub struct Term {
    /// Its name.
    pub name: &'static str,
    /// Its value without its weight.
    pub value: f64,
    /// What it is multiplied by in the objective.
    pub weight: f64,
}

/// A parameter in the update that moved it.
#[derive(Clone, PartialEq, Debug)]
pub struct MovedParameter {
    /// Its name: `D.net.0.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The norm of its gradient before any bound; None if it has none.
    pub gradient: Option<f64>,
    /// Its norm before the update.
    pub norm: f64,
    /// The norm of the change.
    pub change: f64,
}

/// An update in full.
#[derive(Clone, PartialEq, Debug)]
pub struct ExplainedUpdate {
    /// Which update of the step it is.
    pub pass: Pass,
    /// How many of its kind the step has.
    pub of: usize,
    /// What was made, in order.
    pub tensors: Vec<SeenTensor>,
    /// What the objective is the sum of.
    pub terms: Vec<Term>,
    /// What was differentiated.
    pub objective: f64,
    /// The learning rate, that of the schedule.
    pub lr: f64,
    /// What it was multiplied by to keep the balance; 0 if the update was not made.
    pub factor: f64,
    /// The parameters of the network that was moved.
    pub parameters: Vec<MovedParameter>,
    /// Those of the other network: how many there are, and of how many a value changed or a gradient is there.
    pub others: (usize, usize),
    /// Buffers of both networks that changed, and by what norm.
    pub buffers: Vec<(String, f64)>,
    /// What took how many seconds, in order. The probe's own time is left out.
    pub times: Vec<(&'static str, f64)>,
}

impl ExplainedUpdate {
    /// Whether D saw real and fake samples as one batch, since it judges each by itself.
    pub fn together(&self) -> bool {
        self.times.iter().any(|&(name, _)| name == TOGETHER)
    }
}

/// A step in full: the last update of D, and the last of G.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The step, counted from 1.
    pub step: u64,
    /// How it was played.
    pub config: StepConfig,
    /// The updates.
    pub updates: Vec<ExplainedUpdate>,
    /// Primitives that the whole step called, with how often and with their multiply-adds, the most expensive first.
    pub kernels: Vec<(&'static str, usize, u64)>,
}

/// The probe that fills an [`Explanation`]. What it finds leaves no trace in the game: the step is bit for bit the one
/// that would have been made without it.
pub struct Explain<'a> {
    /// Another probe, which sees the step as well.
    inner: &'a mut dyn Probe,
    updates: Vec<ExplainedUpdate>,
    /// The update that is being made, if it is one to be explained.
    now: Option<Current>,
}

struct Current {
    update: ExplainedUpdate,
    /// Every tensor of both networks before the update.
    before: Vec<(String, Kind, Tensor)>,
    gradients: Vec<Option<f64>>,
    config: StepConfig,
    since: Instant,
}

/// Explains a step that `play` makes with the probe that it is given; `inner` sees it too.
///
/// ```
/// use ganvil::data::{Dataset, Images};
/// use ganvil::gan::{NoProbe, TrainConfig, Trainer, explain};
/// let images = Images { count: 8, channels: 1, rows: 2, cols: 2, pixels: (0..32).collect() };
/// let data = std::sync::Arc::new(Dataset { images, labels: None, classes: vec![], name: "tiny".into() });
/// let config = TrainConfig { batch: 4, latent: 2, ..TrainConfig::default() };
/// let mut trainer = Trainer::new(config, data, ganvil::Device::Cpu)?;
/// let step = trainer.config().step;
/// let (losses, e) = explain(1, step, &mut NoProbe, |probe| trainer.step(probe).unwrap());
/// assert_eq!((e.updates.len(), e.updates[0].terms[0].value), (2, losses.d));
/// let fakes = e.updates[0].tensors.iter().find(|t| t.name == "G(z)").unwrap();
/// assert!(fakes.shape == [4, 4] && !fakes.graph);
/// # Ok::<(), ganvil::Error>(())
/// ```
pub fn explain<R>(
    step: u64,
    config: StepConfig,
    inner: &mut dyn Probe,
    play: impl FnOnce(&mut dyn Probe) -> R,
) -> (R, Explanation) {
    let mut probe = Explain { inner, updates: Vec::new(), now: None };
    let (result, calls) = trace::record(|| play(&mut probe));
    let mut kernels: Vec<(&'static str, usize, u64)> = Vec::new();
    for call in &calls {
        match kernels.iter_mut().find(|k| k.0 == call.kernel) {
            Some(k) => (k.1, k.2) = (k.1 + 1, k.2 + call.macs()),
            None => kernels.push((call.kernel, 1, call.macs())),
        }
    }
    kernels.sort_by(|a, b| (b.2, b.1, a.0).cmp(&(a.2, a.1, b.0)));
    (result, Explanation { step, config, updates: probe.updates, kernels })
}

impl Explain<'_> {
    /// Does what is the probes' business: out of the kernels' count, and of the clock's.
    fn aside(&mut self, f: impl FnOnce(&mut Self)) {
        let start = Instant::now();
        no_grad(|| trace::unseen(|| f(self)));
        if let Some(now) = &mut self.now {
            now.since += start.elapsed();
        }
    }

    fn explained(&mut self, f: impl FnOnce(&mut Current)) {
        if let Some(now) = &mut self.now {
            f(now);
        }
    }
}

fn norm(t: &Tensor) -> f64 {
    grad_norm(&[Some(in_f64(t))])
}

/// The values in f64, which the CPU alone has.
fn in_f64(t: &Tensor) -> Tensor {
    t.detach().to_device(Device::Cpu).to_dtype(DType::F64)
}

fn seen(name: &'static str, t: &Tensor, why: &'static str) -> SeenTensor {
    let v = t.detach().to_f64_vec();
    let n = v.len().max(1) as f64;
    let mean = v.iter().sum::<f64>() / n;
    let std = (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    let (min, max) = v.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    SeenTensor {
        name,
        shape: t.shape().to_vec(),
        dtype: t.dtype(),
        graph: t.is_tracked(),
        why,
        mean,
        std,
        min,
        max,
    }
}

/// The tensors of both networks, those that the update moves first.
fn all(gan: &Gan, pass: Pass) -> Vec<(String, Kind, Tensor)> {
    let other = match pass {
        Pass::Discriminator(_) => &gan.g,
        Pass::Generator(_) => &gan.d,
    };
    let mut tensors = Vec::new();
    for net in [moved(gan, pass), other] {
        net.visit(&format!("{}.", net.name()), &mut |name, kind, t| {
            tensors.push((name.to_owned(), kind, t.clone()));
        });
    }
    tensors
}

fn terms_of_d(c: &StepConfig, u: &DiscriminatorUpdate) -> Vec<Term> {
    let Penalties { gradient, slope: _, dragan, r1, r2, drift } = u.penalties;
    let lazy = c.lazy as f64;
    let weighted = |name, value: Option<f64>, weight: Option<f64>| {
        Some(Term { name, value: value?, weight: weight.unwrap_or(0.0) })
    };
    let terms = [
        weighted("adversarial loss", Some(u.loss), Some(c.d_loss_scale)),
        weighted("class loss", u.class_loss, Some(c.class_weight * c.d_loss_scale)),
        weighted("R1", r1, c.r1.map(|w| w * lazy)),
        weighted("R2", r2, c.r2.map(|w| w * lazy)),
        weighted("drift", drift, c.drift),
        weighted("gradient penalty", gradient, c.gradient_penalty),
        weighted("DRAGAN's penalty", dragan, c.dragan),
    ];
    terms.into_iter().flatten().collect()
}

fn terms_of_g(c: &StepConfig, u: &GeneratorUpdate) -> Vec<Term> {
    let (mut weight, scale) = (c.g_loss_scale, c.g_loss_scale);
    let mut terms = Vec::new();
    if let Some((value, w)) = u.feature_distance.zip(c.feature_matching) {
        // It stands in place of the loss.
        weight = 0.0;
        terms.push(Term { name: "feature distance", value, weight: w * scale });
    }
    terms.insert(0, Term { name: "adversarial loss", value: u.loss, weight });
    if let Some(value) = u.class_loss {
        terms.push(Term { name: "class loss", value, weight: c.class_weight * scale });
    }
    if let Some((value, weight)) = u.orthogonal.zip(c.orthogonal) {
        terms.push(Term { name: "orthogonal regulariser", value, weight });
    }
    terms
}

impl Probe for Explain<'_> {
    fn begins(&mut self, gan: &Gan, pass: Pass) {
        self.inner.begins(gan, pass);
        if !is_last(gan, pass) {
            return;
        }
        let (of, lr) = match pass {
            Pass::Discriminator(_) => (gan.config.n_d, gan.opt_d.rule.lr()),
            Pass::Generator(_) => (gan.config.n_g, gan.opt_g.rule.lr()),
        };
        let update = ExplainedUpdate {
            pass,
            of,
            tensors: Vec::new(),
            terms: Vec::new(),
            objective: 0.0,
            lr,
            factor: 1.0,
            parameters: Vec::new(),
            others: (0, 0),
            buffers: Vec::new(),
            times: Vec::new(),
        };
        let (before, config) = (all(gan, pass), gan.config);
        self.now = Some(Current { update, before, gradients: Vec::new(), config, since: Instant::now() });
    }

    fn note(&mut self, name: &'static str, t: &Tensor, why: &'static str) {
        self.aside(|s| {
            s.inner.note(name, t, why);
            s.explained(|now| now.update.tensors.push(seen(name, t, why)));
        });
    }

    fn phase(&mut self, name: &'static str) {
        self.inner.phase(name);
        self.explained(|now| {
            let took: Duration = now.since.elapsed();
            now.update.times.push((name, took.as_secs_f64()));
            now.since = Instant::now();
        });
    }

    fn discriminator(&mut self, u: &DiscriminatorUpdate) {
        self.aside(|s| {
            s.inner.discriminator(u);
            s.explained(|now| {
                (now.update.terms, now.update.objective) = (terms_of_d(&now.config, u), u.objective);
                now.update.factor = u.factor;
                now.gradients = u.grads.iter().map(|g| g.as_ref().map(norm)).collect();
            });
        });
    }

    fn generator(&mut self, u: &GeneratorUpdate) {
        self.aside(|s| {
            s.inner.generator(u);
            s.explained(|now| {
                (now.update.terms, now.update.objective) = (terms_of_g(&now.config, u), u.objective);
                now.gradients = u.grads.iter().map(|g| g.as_ref().map(norm)).collect();
            });
        });
    }

    fn updated(&mut self, gan: &Gan, pass: Pass) {
        self.aside(|s| s.inner.updated(gan, pass));
        let Some(now) = self.now.take() else { return };
        self.updates.push(no_grad(|| trace::unseen(|| compared(now, gan, pass))));
    }
}

/// What the update changed.
fn compared(now: Current, gan: &Gan, pass: Pass) -> ExplainedUpdate {
    let Current { mut update, before, gradients, .. } = now;
    let own = format!("{}.", moved(gan, pass).name());
    let mut gradients = gradients.into_iter();
    for ((name, kind, old), (_, _, new)) in before.into_iter().zip(all(gan, pass)) {
        let change = norm(&in_f64(&new).sub(&in_f64(&old)));
        match kind {
            Kind::Buffer if change != 0.0 => update.buffers.push((name, change)),
            Kind::Buffer => {}
            Kind::Parameter if name.starts_with(&own) => {
                let gradient = gradients.next().flatten();
                let (shape, norm) = (old.shape().to_vec(), norm(&old));
                update.parameters.push(MovedParameter { name, shape, gradient, norm, change });
            }
            Kind::Parameter => {
                update.others.0 += 1;
                update.others.1 += usize::from(change != 0.0 || new.grad().is_some());
            }
        }
    }
    update
}
