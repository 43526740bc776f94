//! Recorded training: the trace's data go through [`Gan::step`], which is what trains everywhere else.

use super::compare::{Report, Update};
use super::fixture::{Fixture, Tolerance, Values};
use super::place::Place;
use super::{network, optim};
use ganvil::gan::{
    DiscriminatorUpdate, Draws, Gan, GeneratorUpdate, Loss, Network, NetworkSpec, On, Pass, Probe, StepConfig,
};
use ganvil::nn::{Init, state_dict};
use ganvil::optim::Optimizer;
use ganvil::rng::Stream;
use ganvil::{Generator, Tensor};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// The traces that are replayed.
const TRACES: [&str; 7] = ["gan_vanilla", "gan_dropout", "dcgan", "wgan_gp", "hinge_sn", "lsgan", "cgan"];

pub fn is_known(trace: &str) -> bool {
    TRACES.contains(&trace)
}

/// Replays the steps; compares losses, the first gradients, and parameters and buffers at the end.
pub fn run(report: &mut Report) -> Result<(), String> {
    let (f, place) = (report.fixture, report.place);
    let (opt_g, opt_d) = (optimizer(f, "opt_G")?, optimizer(f, "opt_D")?);
    let mut gan = Gan::new(load("G", report)?, load("D", report)?, opt_g, opt_d, config(f)?);
    let mut replay = Replay::new(f, place);
    let mut seen = Seen::default();
    for t in 0..f.attrs.usize("steps")? {
        replay.begin(t);
        gan.step(&mut replay, &mut seen).map_err(|e| format!("step {t}: {} ({})", e.what, e.tensor))?;
    }
    replay.used.into_inner().iter().for_each(|name| report.mark(name));
    compare_losses(report, &seen);
    compare_gradients(report, &gan.d, "D", seen.grads_d);
    compare_gradients(report, &gan.g, "G", seen.grads_g);
    for net in [&gan.g, &gan.d] {
        compare_final(report, net)?;
    }
    Ok(())
}

/// A network of the trace's model with its initial state.
fn load(name: &'static str, report: &mut Report) -> Result<Network, String> {
    let (f, place) = (report.fixture, report.place);
    let spec = f.model.as_ref().and_then(|m| m.get(name)).and_then(Value::as_object);
    let spec = spec.ok_or_else(|| format!("the model has no network {name}"))?;
    let label_embed = spec.get("label_embed").map(|e| {
        serde_json::from_value(e.clone()).map_err(|error| format!("label_embed {e} is not known: {error}"))
    });
    if let Some(other) = spec.keys().find(|k| !["layers", "label_embed"].contains(&k.as_str())) {
        return Err(format!("network {name} has '{other}', which is not known"));
    }
    let layers = network::layers(spec.get("layers").unwrap_or(&Value::Null))?;
    let spec = NetworkSpec { layers, label_embed: label_embed.transpose()?, ..NetworkSpec::default() };
    let mut net = Network::build(name, &spec, &Init::Default, &Generator::new(0, Stream::Init));
    let prefix = format!("{name}.");
    let initial: HashMap<String, Tensor> = f
        .arrays
        .iter()
        .filter(|(n, _)| n.starts_with(&prefix))
        .map(|(n, a)| (n.clone(), a.tensor(place)))
        .collect();
    network::load(&mut net, &initial, &prefix, f, place)?;
    for (n, _) in state_dict(&net) {
        report.mark(&format!("{prefix}{n}"));
    }
    Ok(net)
}

/// `{"type": .., arguments of torch.optim}`.
fn optimizer(f: &Fixture, name: &str) -> Result<Optimizer, String> {
    let value = f.attrs.get(name).and_then(Value::as_object);
    let mut arguments = value.ok_or_else(|| format!("attribute '{name}' is missing"))?.clone();
    let class = arguments.remove("type");
    let class = class.as_ref().and_then(Value::as_str).ok_or_else(|| format!("{name} has no type"))?;
    Ok(Optimizer::new(optim::rule(class, arguments)?))
}

fn config(f: &Fixture) -> Result<StepConfig, String> {
    let loss = match f.attrs.str("objective")? {
        "bce" => Loss::Bce,
        "bce_logits" => Loss::NonSaturating,
        "hinge" => Loss::Hinge,
        "lsgan" => Loss::Lsgan,
        "wgan_gp" => Loss::Wasserstein,
        other => return Err(format!("objective '{other}' is not known")),
    };
    Ok(StepConfig {
        loss,
        n_d: f.attrs.usize("n_critic")?,
        n_g: 1,
        reuse_fakes: f.attrs.bool("reuse_fake")?,
        real_label: f.attrs.f64("real_label")?,
        d_loss_scale: f.attrs.f64("d_factor")?,
        g_loss_scale: f.attrs.f64("g_factor")?,
        // The objective is named after it; another may have it too.
        gradient_penalty: match f.attrs.peek("lambda_gp").is_some() || loss == Loss::Wasserstein {
            true => Some(f.attrs.f64("lambda_gp")?),
            false => None,
        },
        ..StepConfig::default()
    })
}

/// Gives a step what was recorded.
struct Replay<'a> {
    f: &'a Fixture,
    place: &'a Place,
    step: usize,
    /// Updates of D that have taken their batch in this step.
    updates: usize,
    used: RefCell<BTreeSet<String>>,
    /// Dropout is replayed: nothing draws from this.
    random: Generator,
}

impl<'a> Replay<'a> {
    fn new(f: &'a Fixture, place: &'a Place) -> Replay<'a> {
        let random = Generator::new(0, Stream::Dropout);
        Replay { f, place, step: 0, updates: 0, used: RefCell::default(), random }
    }

    fn begin(&mut self, step: usize) {
        (self.step, self.updates) = (step, 0);
    }

    /// The tensor recorded for an update.
    fn recorded(&self, pass: Pass, what: &str) -> Tensor {
        let name = match pass {
            Pass::Discriminator(k) => format!("step.{}.d{k}.{what}", self.step),
            Pass::Generator(0) => format!("step.{}.g.{what}", self.step),
            Pass::Generator(k) => {
                panic!("a trace has one update of G per step, {k} were made before this one")
            }
        };
        let tensor = self.f.tensor(&name, self.place).unwrap_or_else(|e| panic!("{e}"));
        self.used.borrow_mut().insert(name);
        tensor
    }

    /// Panics unless a shape is the one that an attribute tells, as a number or a list.
    fn check(&self, what: &str, shape: &[usize], attribute: &str) {
        let told = match self.f.attrs.get(attribute) {
            Some(Value::Array(_)) => self.f.attrs.usizes(attribute),
            _ => self.f.attrs.usize(attribute).map(|n| vec![n]),
        };
        assert_eq!(shape, told.unwrap_or_else(|e| panic!("{e}")), "the {attribute} of {what}");
    }

    /// The classes recorded for an update, if one of these networks takes any.
    fn classes(&self, nets: &[&str], pass: Pass, what: &str) -> Option<Tensor> {
        let model = self.f.model.as_ref()?;
        let labelled = nets.iter().any(|net| model[net].get("label_embed").is_some());
        labelled.then(|| self.recorded(pass, what))
    }
}

impl Draws for Replay<'_> {
    fn real(&mut self) -> Tensor {
        let real = self.recorded(Pass::Discriminator(self.updates), "real");
        self.check("the real samples", &real.shape()[..1], "batch");
        self.updates += 1;
        real
    }

    fn noise(&mut self, pass: Pass) -> Tensor {
        let z = self.recorded(pass, "z");
        self.check("the noise", &z.shape()[1..], "latent");
        z
    }

    fn labels(&mut self) -> Option<Tensor> {
        self.classes(&["D"], Pass::Discriminator(self.updates - 1), "labels")
    }

    fn fake_labels(&mut self, pass: Pass) -> Option<Tensor> {
        let what = if matches!(pass, Pass::Generator(_)) { "labels" } else { "fake_labels" };
        self.classes(&["G", "D"], pass, what)
    }

    fn interpolation(&mut self, _: &Tensor) -> Tensor {
        self.recorded(Pass::Discriminator(self.updates - 1), "eps")
    }

    fn dropout(&self) -> &Generator {
        &self.random
    }

    /// Masks were recorded for D's passes over real and fake samples.
    fn mask(&self, pass: Pass, on: On, path: &str) -> Option<Tensor> {
        let layer = path.strip_prefix("D.net.")?;
        let what = match (pass, on) {
            (Pass::Discriminator(_), On::Real) => "mask_real",
            (Pass::Discriminator(_), On::Fake) => "mask_fake",
            (Pass::Generator(_), On::Fake) => "mask",
            _ => return None,
        };
        Some(self.recorded(pass, &format!("{what}.{layer}")))
    }

    fn replays_masks(&self) -> bool {
        true
    }
}

/// Losses of all updates, and gradients of the first ones.
#[derive(Default)]
struct Seen {
    d: Vec<f64>,
    g: Vec<f64>,
    penalty: Vec<f64>,
    grads_d: Vec<Option<Tensor>>,
    grads_g: Vec<Option<Tensor>>,
}

impl Probe for Seen {
    fn discriminator(&mut self, update: &DiscriminatorUpdate) {
        if self.d.is_empty() {
            self.grads_d = update.grads.to_vec();
        }
        self.d.push(update.objective);
        self.penalty.extend(update.penalties.gradient);
    }

    fn generator(&mut self, update: &GeneratorUpdate) {
        if self.g.is_empty() {
            self.grads_g = update.grads.to_vec();
        }
        self.g.push(update.objective);
    }
}

fn compare_losses(report: &mut Report, seen: &Seen) {
    for (name, losses) in [("loss_D", &seen.d), ("loss_G", &seen.g), ("penalty", &seen.penalty)] {
        if !losses.is_empty() {
            report.values(name, &[losses.len()], losses, None, report.tolerance(name));
        }
    }
}

/// The gradients of the first update, as far as the file has them.
fn compare_gradients(report: &mut Report, net: &Network, name: &str, grads: Vec<Option<Tensor>>) {
    let names = network::parameter_names(net, &format!("step.0.grad.{name}."));
    for (name, g) in names.into_iter().zip(grads) {
        if report.fixture.arrays.contains_key(&name) {
            report.gradient(&name, g, false);
        }
    }
}

/// Parameters and buffers after the last step: floats relative to their change, counters exactly.
fn compare_final(report: &mut Report, net: &Network) -> Result<(), String> {
    let f = report.fixture;
    for (own, value) in state_dict(net) {
        let name = format!("{}.{own}", net.name());
        let (end, loose) = (format!("final.{name}"), format!("loose.{name}"));
        let got = value.to_f64_vec();
        if !value.dtype().is_float() {
            let exactly = Tolerance { rtol: 0.0, atol: 0.0 };
            report.values(&end, value.shape(), &got, None, exactly);
            continue;
        }
        let marks = f.arrays.get(&loose).map(|a| match &a.values {
            Values::Int(marks) => Ok(&marks[..]),
            Values::Float(_) => Err(format!("{loose} does not hold integers")),
        });
        let loose_atol = f.attrs.get("loose_atol").and_then(|v| v.get(net.name())).and_then(Value::as_f64);
        let loose = match (marks.transpose()?, loose_atol) {
            (Some(marks), Some(atol)) => Some((marks, atol)),
            (Some(_), None) => return Err(format!("{loose} comes without a loose_atol")),
            (None, _) => None,
        };
        if loose.is_some() {
            report.mark(&format!("loose.{name}"));
        }
        let update = Update { initial: f.array(&name)?.to_f64(), loose };
        report.values(&end, value.shape(), &got, Some(&update), report.tolerance(&end));
    }
    Ok(())
}
