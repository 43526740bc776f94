//! What a run says of how it goes: statistics, alarms, a step in full.

use approx::assert_relative_eq;
use common::{Scratch, fails, run, text};
use ganvil::data::{Dataset, Images};
use ganvil::gan::{
    Draws, ExplainedUpdate, Explanation, Gan, Loss, Network, NoProbe, Pass, Statistics, StepConfig,
    TrainConfig, Trainer, explain, mean_distance, top_singular_value, top_singular_values, zoo,
};
use ganvil::nn::{Kind, LayerSpec, Module};
use ganvil::optim::{Optimizer, Sgd};
use ganvil::report::read_log;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor, no_grad};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Arc;

mod common;
#[path = "runs/data.rs"]
mod data;

/// A linear network of one number with this weight and bias.
fn line(name: &'static str, weight: f32, bias: f32) -> Network {
    let net = Network::new(name, &[LayerSpec::linear(1, 1)], &Generator::new(0, Stream::Init));
    net.map(|name, _, t| {
        let v = if name.ends_with("weight") { weight } else { bias };
        Tensor::full(t.shape(), v as f64, DType::F32, Device::Cpu).requires_grad()
    })
}

/// Two real samples; noise 0 and 1 for D's update, 1 and 1 for G's.
struct Two(Generator);

impl Draws for Two {
    fn real(&mut self) -> Tensor {
        Tensor::from([[1.0f32], [3.0]])
    }
    fn noise(&mut self, pass: Pass) -> Tensor {
        match pass {
            Pass::Discriminator(_) => Tensor::from([[0.0f32], [1.0]]),
            Pass::Generator(_) => Tensor::from([[1.0f32], [1.0]]),
        }
    }
    fn interpolation(&mut self, _: &Tensor) -> Tensor {
        unreachable!("no gradient penalty")
    }
    fn dropout(&self) -> &Generator {
        &self.0
    }
}

/// D(x) = 4 x + 1, G(z) = 2 z + 1/2, plain gradient descent with rate 1/2 on the Wasserstein loss.
fn lines(config: StepConfig) -> Statistics {
    let config = StepConfig { loss: Loss::Wasserstein, ..config };
    played(config, line("D", 4.0, 1.0))
}

fn played(config: StepConfig, d: Network) -> Statistics {
    let sgd = || Optimizer::new(Sgd { lr: 0.5, ..Sgd::default() });
    let mut gan = Gan::new(line("G", 2.0, 0.5), d, sgd(), sgd(), config);
    let mut statistics = Statistics::new(config.loss);
    gan.step(&mut Two(Generator::new(0, Stream::Dropout)), &mut statistics).unwrap();
    statistics
}

#[test]
fn statistics_are_what_they_are_by_hand() {
    let s = lines(StepConfig::default());
    // D's gradient is the mean of the fakes 0.5 and 2.5 less that of the reals, -0.5, and 0 for the bias.
    let (old, new) = (17f64.sqrt(), 4.25);
    assert_relative_eq!(s.last.update_ratio_d, 0.25 / old, max_relative = 1e-6);
    assert_eq!((s.last.max_weight_d, s.last.clipped), (new, None));
    // A Wasserstein critic's scores have no sign that means something; a logit of 2 - x at 1 and 3 has.
    assert_eq!(s.last.sign_rate, None);
    let signs = |d| played(StepConfig::default(), d).last.sign_rate;
    assert_eq!([signs(line("D", -1.0, 2.0)), signs(line("D", 4.0, 1.0))], [Some(0.0), Some(1.0)]);
    assert_relative_eq!(s.sigma["D.net.0.weight"], new, max_relative = 1e-6);
    // G's is -4.25 by the weight, as the noise is 1, and by the bias.
    let change = (2.0 * 2.125f64 * 2.125).sqrt();
    assert_relative_eq!(s.last.update_ratio_g, change / 4.25f64.sqrt(), max_relative = 1e-6);
    assert_relative_eq!(s.last.max_weight_g, 4.125, max_relative = 1e-6);
    assert_relative_eq!(s.sigma["G.net.0.weight"], 4.125, max_relative = 1e-6);
    // Both pairs are 2 apart; of the fakes one is within [-0.99, 0.99], of the reals none.
    assert_relative_eq!(s.last.diversity, 1.0, max_relative = 1e-6);
    assert_eq!((s.last.saturation, s.last.saturation_real), (0.5, 1.0));
    assert_eq!((s.last.d_factor, s.last.d_skipped), (None, None));

    let s = lines(StepConfig { weight_clip: Some(2.0), ..StepConfig::default() });
    assert_relative_eq!(s.last.update_ratio_d, 2.0 / old, max_relative = 1e-6);
    assert_eq!((s.last.clipped, s.last.max_weight_d), (Some(0.5), 2.0));

    let balance = ganvil::gan::Balance::Accuracy;
    let s = lines(StepConfig { balance, balance_above: 0.1, n_d: 3, ..StepConfig::default() });
    assert_eq!((s.last.d_factor, s.last.d_skipped, s.last.update_ratio_d), (Some(0.0), Some(3), 0.0));
}

#[test]
fn distances_are_those_of_all_pairs() {
    let x = Generator::new(3, Stream::General).normal(&[300, 3, 2], 0.0, 1.0, DType::F64, Device::Cpu);
    let v = x.to_vec::<f64>();
    let at = |i: usize| &v[6 * i..6 * (i + 1)];
    let distance =
        |i, j| at(i).iter().zip(at(j)).map(|(a, b): (&f64, &f64)| (a - b).powi(2)).sum::<f64>().sqrt();
    // The first 256 of them.
    let pairs = (0..256).flat_map(|i| (0..i).map(move |j| (i, j)));
    let want = pairs.map(|(i, j)| distance(i, j)).sum::<f64>() / (256.0 * 255.0 / 2.0);
    assert_relative_eq!(mean_distance(&x), want, max_relative = 1e-10);
    // Alike but for their place far from 0.
    let alike = Tensor::full(&[8, 784], 0.9, DType::F32, Device::Cpu);
    assert!(mean_distance(&alike) < 1e-4);
}

/// The root of the largest eigenvalue of W W^T, whose powers are taken by squaring.
fn sigma_by_squaring(w: &Tensor) -> f64 {
    let gram = w.matmul(&w.t());
    let mut p = gram.clone();
    for _ in 0..14 {
        p = p.matmul(&p);
        p = p.mul_scalar(1.0 / p.norm(&[], false).item());
    }
    // All columns are along the eigenvector by now: the longest is the surest.
    let n = p.shape()[0];
    let diagonal = p.diagonal(0).to_vec::<f64>();
    let best = (0..n).max_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b])).unwrap();
    let v = p.narrow(1, best, 1);
    let v = v.mul_scalar(1.0 / v.norm(&[], false).item());
    v.t().matmul(&gram).matmul(&v).item().sqrt()
}

#[test]
fn singular_values_are_as_close_as_is_said() {
    let random = Generator::new(1, Stream::General);
    for shape in [[1, 1], [1, 40], [40, 1], [16, 16], [64, 800], [256, 256], [500, 100]] {
        let w = random.normal(&shape, 0.0, 1.0, DType::F64, Device::Cpu);
        let want = no_grad(|| sigma_by_squaring(&w));
        let got = top_singular_value(&w, 0);
        assert!(got <= want * (1.0 + 1e-9) && got >= want * 0.98, "{shape:?}: {got} for {want}");
        // The transposed kernel of a transposed convolution is the same matrix.
        let turned = top_singular_value(&w.t().reshape(&[shape[1], shape[0], 1]), 1);
        assert_relative_eq!(turned, got, max_relative = 1e-9);
        // One that stands out, as in a network that has learnt something, is met.
        let (u, v) = (w.narrow(1, 0, 1), w.narrow(0, 0, 1));
        let lifted = w.add(&u.matmul(&v).mul_scalar(0.5));
        let want = no_grad(|| sigma_by_squaring(&lifted));
        assert_relative_eq!(top_singular_value(&lifted, 0), want, max_relative = 1e-3);
        let single = top_singular_value(&lifted.to_dtype(DType::F32), 0);
        assert_relative_eq!(single, want, max_relative = 1e-3);
    }
    let zero = Tensor::zeros(&[3, 4], DType::F32, Device::Cpu);
    assert_eq!(top_singular_value(&zero, 0), 0.0);
    assert!(top_singular_value(&zero.add_scalar(f64::NAN), 0).is_nan());
}

/// 40 pictures of 8 x 8 with classes.
fn pictures() -> Arc<Dataset> {
    let pixels = (0..40 * 64).map(|i| (i * 31 % 251) as u8).collect();
    let images = Images { count: 40, channels: 1, rows: 8, cols: 8, pixels };
    let labels = Some((0..40u32).map(|i| i % 10).collect());
    let classes = (0..10).map(|c| c.to_string()).collect();
    Arc::new(Dataset { images, labels, classes, name: "forty".into() })
}

fn trainer(name: &str, set: &[&str]) -> Trainer {
    let mut config = TrainConfig { batch: 8, latent: 5, ..(zoo::recipe(name).unwrap().config)() };
    config.set_all(set).unwrap();
    Trainer::new(config, pictures(), Device::Cpu).unwrap()
}

/// Games of every kind, by recipe and settings.
const GAMES: [(&str, &[&str]); 8] = [
    ("mlp", &[]),
    ("mlp-a", &["step.n_g=2", "step.balance=loss-ratio"]),
    (
        "dcgan28-small",
        &["networks.norm_d=layer", "step.loss=wasserstein", "step.gradient_penalty=10", "step.n_d=3"],
    ),
    ("mlp-a", &["step.loss=hinge", "step.r1=10", "step.r2=1", "step.lazy=2", "step.drift=0.001"]),
    (
        "mlp-a",
        &["step.loss=non-saturating", "step.dragan=10", "step.orthogonal=1e-4", "step.weight_clip=0.05"],
    ),
    (
        "mlp-a",
        &[
            "step.loss=non-saturating",
            "step.unroll=2",
            "step.pack=2",
            "step.instance_noise.std=0.1",
            "step.instance_noise.kimg=1",
        ],
    ),
    ("mlp-a", &["step.loss=non-saturating", "step.feature_matching=1", "step.reuse_fakes=false"]),
    ("acgan", &["step.class_weight=0.5", "networks.spectral_norm=d"]),
];

/// Three steps, of which the last is explained, with its statistics.
fn third(name: &str, set: &[&str]) -> (Trainer, Statistics, Explanation) {
    let mut t = trainer(name, set);
    for _ in 0..2 {
        t.step(&mut NoProbe).unwrap();
    }
    let config = t.config().step;
    let mut statistics = Statistics::new(config.loss);
    let (losses, e) = explain(3, config, &mut statistics, |probe| t.step(probe).unwrap());
    assert_eq!((losses.d, losses.g), (statistics.last.d_loss, statistics.last.g_loss));
    (t, statistics, e)
}

fn whole(u: &ExplainedUpdate, of: impl Fn(usize) -> f64) -> f64 {
    (0..u.parameters.len()).map(|i| of(i).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn an_explanation_accounts_for_everything() {
    for (name, set) in GAMES {
        let (t, s, e) = third(name, set);
        assert_eq!(e.updates.len(), 2, "{name} {set:?}");
        for (u, net) in e.updates.iter().zip([&t.gan().d, &t.gan().g]) {
            let what = format!("{name} {set:?} {}", net.name());
            // Every parameter, in its order, with its gradient.
            let mut names = Vec::new();
            net.visit(&format!("{}.", net.name()), &mut |name, kind, t| {
                if kind == Kind::Parameter {
                    names.push((name.to_owned(), t.shape().to_vec()));
                }
            });
            let told: Vec<_> = u.parameters.iter().map(|p| (p.name.clone(), p.shape.clone())).collect();
            assert_eq!(told, names, "{what}");
            assert!(u.parameters.iter().all(|p| p.gradient.is_some_and(|g| g >= 0.0)), "{what}");
            assert!(u.others.0 > 0 && u.others.1 == 0, "{what}: {:?}", u.others);
            // The numbers are those of the log: the update's in f32 there.
            let of_d = net.name() == "D";
            let (grad, ratio) = match of_d {
                true => (s.last.grad_norm_d, s.last.update_ratio_d),
                false => (s.last.grad_norm_g, s.last.update_ratio_g),
            };
            assert_relative_eq!(whole(u, |i| u.parameters[i].gradient.unwrap()), grad, max_relative = 1e-9);
            let change = whole(u, |i| u.parameters[i].change) / whole(u, |i| u.parameters[i].norm);
            assert_relative_eq!(change, ratio, max_relative = 1e-5);
            // The objective is the sum of its terms, which are as many as the game has.
            let sum: f64 = u.terms.iter().map(|t| t.value * t.weight).sum();
            assert_relative_eq!(sum, u.objective, max_relative = 1e-5, epsilon = 1e-6);
            // Times are of what was done; no tensor is without a shape or a word.
            assert!(
                u.times.iter().all(|t| t.1 >= 0.0) && u.times.iter().any(|t| t.0 == "backward"),
                "{what}"
            );
            assert!(
                u.tensors.iter().all(|t| !t.why.is_empty() && t.min <= t.mean && t.mean <= t.max),
                "{what}"
            );
            let graph = |name: &str| u.tensors.iter().find(|t| t.name == name).map(|t| t.graph);
            let made_anew = !t.config().step.reuse_fakes;
            assert_eq!(graph("G(z)"), Some(!of_d || !made_anew), "{what}");
            assert_eq!(graph("G(z), detached"), (of_d && !made_anew).then_some(false), "{what}");
            assert_eq!((graph("D on G(z)"), graph("objective")), (Some(true), Some(true)), "{what}");
        }
        assert!(e.kernels.iter().any(|k| k.2 > 0));
    }
}

#[test]
fn buffers_that_change_are_named() {
    let (_, _, e) = third("mlp", &[]);
    let names: Vec<&str> = e.updates[0].buffers.iter().map(|b| b.0.as_str()).collect();
    let of =
        |layer| ["running_mean", "running_var", "num_batches_tracked"].map(|b| format!("G.net.{layer}.{b}"));
    assert_eq!(names, [of(2), of(5)].concat());
    assert_eq!(e.updates[0].buffers[2].1, 1.0, "one more batch");
    // Under spectral normalisation D's vectors move whenever D looks.
    let (t, s, e) = third("mlp-a", &["networks.spectral_norm=d", "networks.norm_d=layer"]);
    assert!(e.updates[1].buffers.iter().any(|b| b.0 == "D.net.0.weight_u"));
    let sigma = top_singular_values(&t.gan().g);
    assert!(sigma.iter().all(|(name, v)| s.sigma[name] == *v), "G's are those after its update");
    let of_d = top_singular_values(&t.gan().d);
    for layer in ["0", "2", "4"] {
        let [divided, trained] = ["weight", "weight_orig"].map(|w| format!("D.net.{layer}.{w}"));
        assert!((s.sigma[&divided] - 1.0).abs() < 0.05, "{layer}: {}", s.sigma[&divided]);
        // G's update moves D's vectors, but no weight.
        assert_eq!(s.sigma[&trained], of_d[&trained]);
        assert_ne!(s.sigma[&trained], s.sigma[&divided]);
    }
}

#[test]
fn a_step_that_is_looked_at_is_the_same_step() {
    for (name, set) in GAMES {
        let bytes = |t: &Trainer| {
            let mut all = Vec::new();
            let gan = t.gan();
            for net in [&gan.g, &gan.d].into_iter().chain(&gan.average) {
                net.visit("", &mut |_, _, t| all.extend(t.to_f64_vec().into_iter().map(f64::to_bits)));
            }
            all
        };
        let (mut looked, _, _) = third(name, set);
        let mut plain = trainer(name, set);
        for _ in 0..3 {
            plain.step(&mut NoProbe).unwrap();
        }
        assert!(bytes(&looked) == bytes(&plain), "{name} {set:?}");
        let next = [&mut looked, &mut plain].map(|t| t.step(&mut NoProbe).unwrap());
        assert_eq!(next[0], next[1], "{name} {set:?}");
    }
}

/// A run on small pictures; stdout and stderr.
fn trained(tmp: &Scratch, dir: &str, args: &[&str]) -> (String, String) {
    let folder = tmp.path("data");
    if !Path::new(&folder).exists() {
        data::write(Path::new(&folder), 64, 8);
    }
    let head = ["train", "mlp-a", "--batch", "8", "--threads", "1", "--data", &folder, "--out", dir];
    let out = run(&[&head[..], args].concat());
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

fn alarms(dir: &str) -> Vec<Value> {
    let path = Path::new(dir).join("alarms.jsonl");
    if path.exists() { read_log(path).unwrap() } else { Vec::new() }
}

fn names(dir: &str) -> Vec<String> {
    alarms(dir).iter().map(|a| a["alarm"].as_str().unwrap().to_owned()).collect()
}

/// The first alarm of this name, with words that its evidence must have.
fn raised(dir: &str, name: &str, words: &[&str]) -> Value {
    let all = alarms(dir);
    let alarm = all.iter().find(|a| a["alarm"] == name).unwrap_or_else(|| panic!("no {name} in {all:?}"));
    let evidence = alarm["evidence"].as_str().unwrap();
    words.iter().for_each(|w| assert!(evidence.contains(w), "no '{w}' in: {evidence}"));
    assert!(
        !alarm["remedies"].as_array().unwrap().is_empty() && alarm["meaning"].as_str().unwrap().len() > 20
    );
    alarm.clone()
}

#[test]
fn a_generator_that_is_told_nothing_raises_vanishing_gradient() {
    let tmp = Scratch::new("vanishing");
    let dir = tmp.path("run");
    let game = ["--loss", "minimax", "--n-d", "5", "--lr-d", "5e-3", "--lr-g", "1e-5"];
    let (_, err) = trained(&tmp, &dir, &[&game[..], &["--steps", "200", "--log-every", "10"]].concat());
    let alarm = raised(&dir, "vanishing-gradient", &["100.0 %", "gradient norm"]);
    let words = format!("alarm at step {}: vanishing-gradient\n", alarm["step"]);
    assert!(err.contains(&words) && err.contains("  try: --loss non-saturating: "), "{err}");
    let shown = text(&run(&["show", &dir]).stdout);
    assert!(shown.contains(&words) && shown.contains(alarm["evidence"].as_str().unwrap()), "{shown}");
    let n = alarms(&dir).len();
    let listed = text(&run(&["list", &dir]).stdout);
    assert!(listed.contains(&format!("finished; {n} alarm")), "{listed}");
}

#[test]
fn samples_that_are_all_alike_raise_collapse() {
    let tmp = Scratch::new("collapse");
    let dir = tmp.path("run");
    // From small weights that hardly move: what a game that goes wrong comes to depends on the last bits of its sums.
    trained(&tmp, &dir, &["--init", "normal", "--lr-g", "1e-7", "--steps", "1400", "--log-every", "50"]);
    let alarm = raised(&dir, "collapse", &["as far apart as two real samples"]);
    assert!(alarm["step"].as_u64().unwrap() >= 1000);
    let logged = read_log(Path::new(&dir).join("log.jsonl")).unwrap();
    let diversity =
        logged.iter().find(|r| r["step"] == alarm["step"]).unwrap()["diversity"].as_f64().unwrap();
    assert!(
        diversity < 0.5
            && alarm["evidence"].as_str().unwrap().contains(&format!("{:.1} %", 100.0 * diversity))
    );
}

#[test]
fn a_generator_that_stands_still_raises_dead_generator() {
    let tmp = Scratch::new("dead");
    let dir = tmp.path("run");
    trained(&tmp, &dir, &["--lr-g", "0", "--steps", "60", "--log-every", "20"]);
    let alarm = raised(&dir, "dead-generator", &["moved its weights by 0 of their norm"]);
    assert_eq!(alarm["step"], 20, "the second record");
    assert_eq!(
        names(&dir).iter().filter(|n| *n == "dead-generator").count(),
        1,
        "it goes on, and is said once"
    );
}

#[test]
fn a_discriminator_that_is_always_skipped_raises_d_skipped() {
    let tmp = Scratch::new("skipped");
    let dir = tmp.path("run");
    let game = ["--set", "step.balance=accuracy", "--set", "step.balance_above=0.01"];
    trained(&tmp, &dir, &[&game[..], &["--steps", "150", "--log-every", "25"]].concat());
    let alarm = raised(&dir, "d-skipped", &["100 of D's 100 updates since step 25 were skipped, 100.0 %"]);
    assert_eq!(alarm["step"], 125);
}

#[test]
fn a_discriminator_that_must_call_everything_fake_raises_one_sided() {
    let tmp = Scratch::new("one-sided");
    let dir = tmp.path("run");
    let game = ["--loss", "non-saturating", "--real-label", "0.01"];
    trained(&tmp, &dir, &[&game[..], &["--steps", "400", "--log-every", "50"]].concat());
    let alarm = raised(&dir, "one-sided", &["D calls nearly everything fake", "0.0 % of the real samples"]);
    assert!(alarm["remedies"].to_string().contains("--real-label 1: "));
}

#[test]
fn a_run_that_ends_in_numbers_that_are_none_raises_non_finite() {
    let tmp = Scratch::new("non-finite");
    let (folder, dir) = (tmp.path("data"), tmp.path("run"));
    data::write(Path::new(&folder), 64, 8);
    let game = ["--loss", "non-saturating", "--lr-d", "1e18", "--steps", "100", "--log-every", "10"];
    let head = ["train", "mlp-a", "--batch", "8", "--data", &folder, "--out", &dir];
    let (code, err) = fails(&[&head[..], &game[..]].concat());
    assert_eq!(code, 1, "{err}");
    let alarm = raised(&dir, "non-finite", &["loss is NaN", "not finite: D(G(z))"]);
    assert!(err.contains(&format!("alarm at step {}: non-finite", alarm["step"])), "{err}");
    assert!(
        err.contains("error: ") && err.contains("lower --lr-d") && err.contains("step.clip_d.by=norm"),
        "{err}"
    );
}

/// What is said of a run is also true where it says nothing.
#[test]
fn healthy_runs_raise_nothing() {
    let tmp = Scratch::new("healthy");
    for recipe in ["mlp", "dcgan28-small"] {
        let dir = tmp.path(recipe);
        let out =
            run(&["train", recipe, "--steps", "300", "--batch", "16", "--log-every", "10", "--out", &dir]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert_eq!(names(&dir), [""; 0], "{recipe}");
        assert!(!text(&out.stderr).contains("alarm"));
        let log = read_log(Path::new(&dir).join("log.jsonl")).unwrap();
        assert_eq!(log.len(), 31);
        for r in &log {
            // Digits, of which the classifier finds some of each class or fewer; every layer has its value.
            let entropy = r["class_entropy"].as_f64().unwrap();
            assert!((0.0..=10f64.ln()).contains(&entropy), "{entropy}");
            assert!(r["sigma"].as_object().unwrap().values().all(|v| v.as_f64().unwrap() > 0.0), "{r}");
        }
    }
}

#[test]
fn a_grid_is_compared_with_one_a_hundred_steps_before() {
    let tmp = Scratch::new("grids");
    let dir = tmp.path("run");
    trained(&tmp, &dir, &["--steps", "230", "--log-every", "20", "--sample-every", "30"]);
    let log = read_log(Path::new(&dir).join("log.jsonl")).unwrap();
    let of: Vec<u64> =
        log.iter().filter(|r| !r["grid_change"].is_null()).map(|r| r["step"].as_u64().unwrap()).collect();
    // Grids of steps 120, 150, 180 and 210, with those of 120 steps before.
    assert_eq!(of, [120, 160, 180, 220]);
    let png =
        |step: u64| fs::read(format!("{dir}/samples/kimg-{:07.1}.png", step as f64 * 8.0 / 1000.0)).unwrap();
    let change = ganvil::report::grid_change(&png(30), &png(150)).unwrap();
    let at = log.iter().find(|r| r["step"] == 160).unwrap()["grid_change"].as_f64().unwrap();
    assert!(change == at && change > 1e-3, "{change} {at}");
}

/// Eight images a step: twelve steps have the same tenth of a thousand in the names of their grids.
#[test]
fn a_grid_is_known_by_its_step_however_few_images_are_between_two() {
    let tmp = Scratch::new("grids-apart");
    let [apart, close, pieces] = ["apart", "close", "pieces"].map(|name| tmp.path(name));
    let every = |dir: &str, steps: &str, grid: &str| {
        drop(trained(&tmp, dir, &["--steps", steps, "--log-every", "20", "--sample-every", grid]));
    };
    let change = |dir: &str| {
        let log = read_log(Path::new(dir).join("log.jsonl")).unwrap();
        log.iter().find(|r| r["step"] == 200).unwrap()["grid_change"].as_f64().unwrap()
    };
    every(&apart, "200", "100");
    let wanted = change(&apart);
    assert!(wanted > 1e-3, "{wanted}");
    every(&close, "200", "4");
    assert_eq!(change(&close), wanted);
    let grids = fs::read_dir(Path::new(&close).join("samples")).unwrap().count();
    assert_eq!(grids, 1 + 50 + 1, "one before the first step, one for every fourth, and the data's");
    // A grid at the end of a run that ends just behind another's.
    every(&pieces, "101", "100");
    let out = run(&["resume", &pieces, "--steps", "200"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(change(&pieces), wanted);
}

#[test]
fn a_resumed_run_has_the_same_alarms() {
    let tmp = Scratch::new("alarms-resumed");
    let (whole, pieces, back) = (tmp.path("whole"), tmp.path("pieces"), tmp.path("back"));
    let game = ["--lr-g", "0", "--set", "step.balance=accuracy", "--set", "step.balance_above=0.01"];
    let often = ["--log-every", "5", "--checkpoint-every", "60", "--sample-every", "50"];
    let of = |dir: &str, steps: &str| {
        drop(trained(&tmp, dir, &[&game[..], &often[..], &["--steps", steps]].concat()))
    };
    let resumed = |dir: &str, steps: &str| {
        let out = run(&["resume", dir, "--steps", steps]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stderr)
    };
    let file = |dir: &str| fs::read(Path::new(dir).join("alarms.jsonl")).unwrap();
    let log = |dir: &str| {
        let mut all = read_log(Path::new(dir).join("log.jsonl")).unwrap();
        for r in &mut all {
            ["seconds", "images_per_s", "memory_mb"]
                .iter()
                .for_each(|key| drop(r.as_object_mut().unwrap().remove(*key)));
        }
        all
    };
    of(&whole, "180");
    assert_eq!(names(&whole), ["dead-generator", "d-skipped"]);
    // Before one of them began.
    of(&pieces, "60");
    assert_eq!(names(&pieces), ["dead-generator"]);
    let err = resumed(&pieces, "180");
    assert!(
        err.contains("d-skipped") && !err.contains("dead-generator"),
        "what began before is not said again: {err}"
    );
    assert!(file(&pieces) == file(&whole) && log(&pieces) == log(&whole));
    // Log and alarms are ahead of the checkpoint that is gone on from.
    of(&back, "120");
    assert_eq!(names(&back).len(), 2);
    fs::write(Path::new(&back).join("checkpoints/step-00000120.safetensors"), "damaged").unwrap();
    let err = resumed(&back, "180");
    assert!(err.contains("going back to the one before") && err.contains("d-skipped"), "{err}");
    assert!(file(&back) == file(&whole) && log(&back) == log(&whole));
}

#[test]
fn the_explained_step_is_printed_and_the_run_goes_on() {
    let tmp = Scratch::new("explained");
    let (plain, told) = (tmp.path("plain"), tmp.path("told"));
    let game = ["--steps", "9", "--log-every", "3", "--checkpoint-every", "3"];
    let (nothing, _) = trained(&tmp, &plain, &game);
    let (report, _) = trained(&tmp, &told, &[&game[..], &["--explain-step", "6"]].concat());
    assert_eq!(nothing, "");
    assert!(report.starts_with("step 6 in full\n"), "{report}");
    // mlp-a's D has no statistics of a batch.
    let words = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("go through D as one batch") && words.contains("D forward on x and G(z)"),
        "{report}"
    );
    assert!(report.lines().all(|l| l.chars().count() <= 100), "{report}");
    let record = |dir: &str| {
        let log = read_log(Path::new(dir).join("log.jsonl")).unwrap();
        log.into_iter().find(|r| r["step"] == 6).unwrap()
    };
    let r = record(&told);
    for key in ["d_loss", "g_loss", "grad_norm_d", "sigma", "diversity"] {
        assert_eq!(r[key], record(&plain)[key], "{key}");
    }
    // Each parameter has a line, and the whole is what the log says.
    let cells = |begins: &str| -> Vec<String> {
        let line = report.lines().find(|l| l.trim_start().starts_with(begins));
        let line = line.unwrap_or_else(|| panic!("no {begins} in:\n{report}"));
        line.trim_start()[begins.len()..].split_whitespace().map(String::from).collect()
    };
    let t = Trainer::new(
        TrainConfig { batch: 8, ..(zoo::recipe("mlp-a").unwrap().config)() },
        pictures(),
        Device::Cpu,
    );
    let t = t.unwrap();
    for (net, grad, ratio) in
        [(&t.gan().d, "grad_norm_d", "update_ratio_d"), (&t.gan().g, "grad_norm_g", "update_ratio_g")]
    {
        let mut count = 0;
        net.visit(&format!("{}.", net.name()), &mut |name, kind, _| {
            if kind == Kind::Parameter {
                assert!(cells(name).len() >= 5, "{name}");
                count += 1;
            }
        });
        let all = cells(&format!("all {count} of {}", net.name()));
        let close = |text: &str, want: &Value| {
            let (got, want): (f64, f64) = (text.parse().unwrap(), want.as_f64().unwrap());
            assert!((got - want).abs() <= 6e-4 * want, "{got} {want}");
        };
        close(&all[0], &r[grad]);
        close(&all[3], &r[ratio]);
    }
    for words in
        ["None of the", "bit for bit what they were", "backward", "detached", "where the time went", "kernel"]
    {
        assert!(report.contains(words), "{words}");
    }
    let checkpoint =
        |dir: &str| fs::read(Path::new(dir).join("checkpoints/step-00000009.safetensors")).unwrap();
    assert!(checkpoint(&plain) == checkpoint(&told));
    // Resumed, too.
    let out = run(&["resume", &told, "--steps", "12", "--explain-step", "11"]);
    assert!(
        out.status.success() && text(&out.stdout).starts_with("step 11 in full"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn steps_that_will_not_be_made_are_not_explained() {
    let tmp = Scratch::new("not-explained");
    let (folder, dir) = (tmp.path("data"), tmp.path("run"));
    data::write(Path::new(&folder), 64, 8);
    for (step, words) in [("10", "steps to be made are 1 to 9"), ("0", "steps to be made are 1 to 9")] {
        let args = [
            "train",
            "mlp-a",
            "--batch",
            "8",
            "--steps",
            "9",
            "--data",
            &folder,
            "--out",
            &dir,
            "--explain-step",
            step,
        ];
        let (code, err) = fails(&args);
        assert!(
            code == 2 && err.contains(&format!("--explain-step '{step}'")) && err.contains(words),
            "{err}"
        );
        assert!(!Path::new(&dir).exists());
    }
    trained(&tmp, &dir, &["--steps", "9"]);
    let (code, err) = fails(&["resume", &dir, "--steps", "12", "--explain-step", "9"]);
    assert!(code == 2 && err.contains("steps to be made are 10 to 12"), "{err}");
    let (code, err) = fails(&["resume", &dir, "--explain-step", "9"]);
    assert!(code == 2 && err.contains("give a larger total with --steps"), "{err}");
}
