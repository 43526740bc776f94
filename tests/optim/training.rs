//! Schedules, bounds and averages in training.

use super::*;
use ganvil::data::{Dataset, Split};
use ganvil::gan::{
    Draws, Event, Gan, Network, NoProbe, Pass, Run, StepConfig, TrainConfig, Trainer, Watch, run_training,
};
use ganvil::nn::{LayerSpec, Module, parameters};
use ganvil::optim::{Clip, Ema, Schedule};
use ganvil::report::read_log;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn mnist() -> Arc<Dataset> {
    Arc::new(Dataset::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist"), Split::Test).unwrap())
}

fn config() -> TrainConfig {
    TrainConfig { batch: 8, latent: 4, steps: 6, log_every: 1, ..TrainConfig::default() }
}

fn trained(config: &TrainConfig, data: &Arc<Dataset>, steps: usize) -> Vec<Tensor> {
    let mut trainer = Trainer::new(config.clone(), data.clone(), Device::Cpu).unwrap();
    for _ in 0..steps {
        trainer.step(&mut NoProbe).unwrap();
    }
    parameters(&trainer.gan().g).into_iter().chain(parameters(&trainer.gan().d)).collect()
}

#[test]
fn each_step_is_made_and_logged_at_the_scheduled_rate() {
    let mut c = config();
    c.schedule_d = Schedule::Linear { horizon: 4, end: 0.5, warmup: 2 };
    c.schedule_g = Schedule::Milestones { at: vec![1, 3], gamma: 0.1, warmup: 0 };
    let mut trainer = Trainer::new(c.clone(), mnist(), Device::Cpu).unwrap();
    let dir = std::env::temp_dir().join(format!("ganvil-optim-{}", std::process::id()));
    let run = Run::create(Some(&dir), "mnist", &c).unwrap();
    run_training(&mut trainer, &run, Watch::default(), &AtomicBool::new(false), &mut |_: Event| {}).unwrap();
    let log = read_log(dir.join("log.jsonl")).unwrap();
    let stored: TrainConfig =
        toml::from_str(&std::fs::read_to_string(dir.join("config.toml")).unwrap()).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    let rates = |key: &str| log.iter().map(|r| r[key].as_f64().unwrap() / 2e-4).collect::<Vec<_>>();
    // Warm-up 1/2, 1; then 1 to 1/2 between steps 2 and 4, where the horizon is: the run is longer.
    for (got, want) in
        [(rates("lr_d"), [0.5, 1.0, 1.0, 0.75, 0.5, 0.5]), (rates("lr_g"), [1.0, 0.1, 0.1, 0.01, 0.01, 0.01])]
    {
        assert!(got.len() == 6 && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
    }
    assert_eq!(stored, c, "the folder's settings are the run's");
}

/// The rate that is logged is the rate that is used.
#[test]
fn a_rate_of_zero_trains_nothing_and_a_constant_factor_is_another_rate() {
    let data = mnist();
    let mut c = config();
    let start = trained(&c, &data, 0);
    let zero = Schedule::Step { every: 1, gamma: 0.0, warmup: 0 };
    (c.schedule_d, c.schedule_g) = (zero.clone(), zero);
    let one_step = trained(&c, &data, 1);
    assert!(bits(&one_step) != bits(&start));
    assert!(bits(&trained(&c, &data, 4)) == bits(&one_step), "steps at rate 0");
    let half = |t| Schedule::Milestones { at: vec![t], gamma: 0.5, warmup: 0 };
    (c.schedule_d, c.schedule_g) = (half(0), half(0));
    let halved = trained(&c, &data, 3);
    let rate = c.optimizer_d.lr() * 0.5;
    let c = TrainConfig {
        optimizer_d: c.optimizer_d.with_lr(rate),
        optimizer_g: c.optimizer_g.with_lr(rate),
        ..config()
    };
    assert!(bits(&trained(&c, &data, 3)) == bits(&halved));
}

/// Files of a version that had neither schedules, bounds nor the switches of the rules.
#[test]
fn settings_without_the_new_keys_mean_what_they_meant() {
    let mut old = json!(TrainConfig::default());
    let object = old.as_object_mut().unwrap();
    assert!(object.remove("schedule_d").is_some() && object.remove("schedule_g").is_some());
    for optimizer in ["optimizer_d", "optimizer_g"] {
        assert_eq!(object[optimizer].as_object_mut().unwrap().remove("amsgrad"), Some(Value::Bool(false)));
    }
    let step = object["step"].as_object().unwrap();
    assert!(!step.contains_key("clip_d") && !step.contains_key("clip_g"), "no bound is not written");
    assert_eq!(serde_json::from_value::<TrainConfig>(old).unwrap(), TrainConfig::default());
}

#[test]
fn settings_that_cannot_work_are_named() {
    let bad = |change: &dyn Fn(&mut TrainConfig)| {
        let mut c = config();
        change(&mut c);
        c.check().unwrap_err().to_string()
    };
    let message = bad(&|c| c.optimizer_g = Adam { betas: (0.5, 1.0), ..Adam::default() }.into());
    assert_eq!(message, "invalid optimizer_g 'betas = (0.5, 1.0)': each lies in [0, 1); 0.9, 0.999 is usual");
    assert!(
        bad(&|c| c.optimizer_d = RmsProp { eps: -1.0, ..RmsProp::default() }.into())
            .contains("optimizer_d 'eps")
    );
    assert!(
        bad(&|c| c.schedule_d = Schedule::Cosine { horizon: 0, end: 0.0, warmup: 0 })
            .contains("schedule_d 'horizon")
    );
    assert!(
        bad(&|c| c.schedule_g = Schedule::Step { every: 0, gamma: 0.5, warmup: 0 })
            .contains("schedule_g 'every")
    );
    assert!(bad(&|c| c.step.clip_d = Some(Clip::Norm { max: 0.0 })).contains("step.clip_d 'max = 0'"));
    assert!(bad(&|c| c.step.clip_g = Some(Clip::Value { max: -1.0 })).contains("step.clip_g 'max = -1'"));
    assert!(
        bad(&|c| c.step.ema = Some(Ema { half_life_kimg: 0.0, rampup: 0.05 }))
            .contains("step.ema 'half_life_kimg")
    );
    let file = "by = 'norm'\nmax = 2.5";
    assert_eq!(toml::from_str::<Clip>(file).unwrap(), Clip::Norm { max: 2.5 });
    assert!(toml::from_str::<Clip>("by = 'norm'\nmax = 2.5\nmin = 1").is_err());
}

/// A game of one number each, on data and noise that are always the same.
struct Fixed {
    real: f64,
    random: Generator,
}

impl Draws for Fixed {
    fn real(&mut self) -> Tensor {
        Tensor::full(&[4, 1], self.real, DType::F32, Device::Cpu)
    }
    fn noise(&mut self, _: Pass) -> Tensor {
        Tensor::ones(&[4, 1], DType::F32, Device::Cpu)
    }
    fn interpolation(&mut self, _: &Tensor) -> Tensor {
        unreachable!("no penalty is asked for")
    }
    fn dropout(&self) -> &Generator {
        &self.random
    }
}

fn small(config: StepConfig) -> Gan {
    let random = Generator::new(5, Stream::Init);
    let layers = [LayerSpec::linear(1, 1)];
    let sgd = Sgd { lr: 0.1, ..Sgd::default() };
    let network = |name| Network::new(name, &layers, &random);
    let (g, d) = (network("G"), network("D"));
    let mut average = network("G");
    let mut start = parameters(&g).into_iter();
    average.visit_mut("", &mut |_, _, t| *t = start.next().unwrap().detach().requires_grad());
    let (opt_g, opt_d) = (Optimizer::new(sgd), Optimizer::new(sgd));
    Gan { average: config.ema.map(|_| average), ..Gan::new(g, d, opt_g, opt_d, config) }
}

fn draws(real: f64) -> Fixed {
    Fixed { real, random: Generator::new(0, Stream::Dropout) }
}

/// How far a step moves the parameters of a network.
fn moved(net: impl Fn(&Gan) -> &Network, config: StepConfig) -> f64 {
    let mut gan = small(config);
    let before = parameters(net(&gan));
    gan.step(&mut draws(3.0), &mut NoProbe).unwrap();
    let after = parameters(net(&gan));
    let squares =
        after.iter().zip(&before).map(|(a, b)| a.detach().sub(&b.detach()).square().sum_all().item());
    squares.sum::<f64>().sqrt()
}

#[test]
fn a_bound_bounds_the_network_it_is_set_for() {
    let bound = Some(Clip::Norm { max: 0.01 });
    let free = StepConfig::default();
    let (d_free, g_free) = (moved(|gan| &gan.d, free), moved(|gan| &gan.g, free));
    assert!(d_free > 0.005 && g_free > 0.005, "{d_free}, {g_free}: the bound would bind");
    let d_bound = StepConfig { clip_d: bound, ..free };
    let g_bound = StepConfig { clip_g: bound, ..free };
    // lr max, up to 1e-6 beside the norm and the rounding of parameters of order 1 in f32.
    for (config, d, g) in [(d_bound, true, false), (g_bound, false, true)] {
        let (moved_d, moved_g) = (moved(|gan| &gan.d, config), moved(|gan| &gan.g, config));
        assert_eq!((moved_d - 0.001).abs() < 1e-6, d, "{moved_d}");
        assert_eq!((moved_g - 0.001).abs() < 1e-6, g, "{moved_g}");
    }
}

/// A loss that f32 has, with a gradient that it does not have: 1e20 from the data times 1e30 from the scale.
#[test]
fn a_gradient_that_overflows_is_an_error_and_leaves_the_weights() {
    let config = StepConfig { d_loss_scale: 1e30, ..StepConfig::default() };
    let game = |clip_d| {
        let mut gan = small(StepConfig { clip_d, ..config });
        gan.d.visit_mut("", &mut |_, _, t| *t = t.zeros_like().requires_grad());
        let result = gan.step(&mut draws(1e20), &mut NoProbe);
        (result, parameters(&gan.d).iter().flat_map(Tensor::to_f64_vec).collect::<Vec<_>>())
    };
    let (result, weights) = game(Some(Clip::Norm { max: 1.0 }));
    let e = result.unwrap_err();
    assert_eq!(e.what, "the norm of D's gradient is inf");
    assert_eq!(e.tensor, "the gradient of D.net.0.weight");
    assert_eq!(weights, [0.0, 0.0]);
    let (_, weights) = game(None);
    assert!(!weights[0].is_finite(), "without a bound nobody looks: {weights:?}");
    let (result, weights) = game(Some(Clip::Value { max: 1.0 }));
    assert!(result.is_ok() && weights[0] == 0.1f32 as f64, "by value it becomes the bound: {weights:?}");
}

/// With n_d updates of D per step a step sees n_d batches. The half-life counts all of them, and G's updates share them.
#[test]
fn an_average_counts_the_images_that_were_seen() {
    for (n_d, n_g) in [(1, 1), (5, 1), (1, 2), (3, 2)] {
        let ema = Ema { half_life_kimg: 0.05, rampup: 0.0 };
        let mut gan = small(StepConfig { n_d, n_g, ema: Some(ema), ..StepConfig::default() });
        // A G that stands still: what is left of the distance to it tells the images.
        gan.opt_g.rule = gan.opt_g.rule.with_lr(0.0);
        let value = |net: &Network| parameters(net)[0].to_vec::<f32>()[0] as f64;
        let at = value(&gan.g);
        gan.average
            .as_mut()
            .unwrap()
            .visit_mut("", &mut |_, _, t| *t = t.detach().add_scalar(1.0).requires_grad());
        for step in 1..=20 {
            gan.step(&mut draws(3.0), &mut NoProbe).unwrap();
            assert_eq!(gan.images, 4 * n_d as u64 * step);
            let left = value(gan.average.as_ref().unwrap()) - at;
            let want = 0.5f64.powf(gan.images as f64 / 50.0);
            // Each of at most 40 updates rounds a number below 2 twice to 2^-24 of it.
            assert!((left - want).abs() < 160.0 * 2f64.powi(-24), "n_d {n_d}, n_g {n_g}: {left}, not {want}");
        }
    }
}

/// While the average ramps up, its half-life is a share of the images seen before the step.
#[test]
fn an_average_ramps_up_with_the_images() {
    let ema = Ema { half_life_kimg: 10.0, rampup: 0.5 };
    let mut gan = small(StepConfig { n_d: 3, ema: Some(ema), ..StepConfig::default() });
    let value = |net: &Network| parameters(net)[0].to_vec::<f32>()[0] as f64;
    let mut want = 0.0;
    for step in 0..20 {
        gan.step(&mut draws(3.0), &mut NoProbe).unwrap();
        let seen = 12.0 * step as f64;
        let decay = if step == 0 { 0.0 } else { 0.5f64.powf(12.0 / (0.5 * seen)) };
        want = decay * want + (1.0 - decay) * value(&gan.g);
        let got = value(gan.average.as_ref().unwrap());
        assert!(
            (got - want).abs() < 80.0 * 2f64.powi(-24) * want.abs().max(1.0),
            "step {step}: {got}, not {want}"
        );
    }
}
