//! Techniques at work in a game: what a step does with them, and what training under them brings.

use super::bars;
use approx::assert_relative_eq;
use ganvil::autograd::grad;
use ganvil::data::Synthetic;
use ganvil::gan::{
    Balance, DiscriminatorUpdate, Draws, Gan, GeneratorUpdate, InstanceNoise, Loss, Network, NoProbe, Pass,
    Penalties, Prior, Probe, StepConfig, TrainConfig, Trainer, at_the_bound, r1, r2, zoo,
};
use ganvil::nn::{Ctx, LayerSpec as L, Module, parameters};
use ganvil::optim::{Adam, Ema, Optimizer, Sgd};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor, no_grad};

/// Draws of samples from a function of their number, and normal noise.
struct Live<F> {
    data: F,
    batch: usize,
    latent: usize,
    noise: Generator,
    rest: Generator,
    reals: usize,
    noises: usize,
}

fn live<F: FnMut(usize) -> Tensor>(data: F, batch: usize, latent: usize) -> Live<F> {
    let [noise, rest] = [Stream::Noise, Stream::Penalty].map(|s| Generator::new(1, s));
    Live { data, batch, latent, noise, rest, reals: 0, noises: 0 }
}

impl<F: FnMut(usize) -> Tensor> Draws for Live<F> {
    fn real(&mut self) -> Tensor {
        self.reals += 1;
        (self.data)(self.batch)
    }
    fn noise(&mut self, _: Pass) -> Tensor {
        self.noises += 1;
        Prior::Normal.draw(self.batch, self.latent, &self.noise, Device::Cpu)
    }
    fn interpolation(&mut self, real: &Tensor) -> Tensor {
        self.rest.uniform(&[real.shape()[0], 1], 0.0, 1.0, DType::F32, Device::Cpu)
    }
    fn dropout(&self) -> &Generator {
        &self.rest
    }
    fn stream(&self, _: Stream) -> &Generator {
        &self.rest
    }
}

fn mlp(name: &'static str, sizes: &[usize], act: L) -> Network {
    let random = Generator::new(3, Stream::Init);
    let mut layers = Vec::new();
    for w in sizes.windows(2) {
        layers.extend([L::linear(w[0], w[1]), act.clone()]);
    }
    layers.pop();
    Network::new(name, &layers, &random)
}

fn adam(lr: f64, betas: (f64, f64)) -> Optimizer {
    Optimizer::new(Adam { lr, betas, ..Adam::default() })
}

/// A batch of N(3, 0.5^2).
fn gaussian() -> impl FnMut(usize) -> Tensor {
    let random = Generator::new(2, Stream::Data);
    move |n| random.normal(&[n, 1], 3.0, 0.5, DType::F32, Device::Cpu)
}

/// With any of the losses on logits G finds the mean and the deviation of a Gaussian within 5 %.
#[test]
fn a_gaussian_is_learnt_in_two_thousand_steps() {
    for loss in [Loss::NonSaturating, Loss::Minimax] {
        let config = StepConfig {
            loss,
            r1: Some(0.1),
            ema: Some(Ema { half_life_kimg: 20.0, rampup: 0.05 }),
            ..StepConfig::default()
        };
        let (g, d) =
            (mlp("G", &[4, 16, 1], L::leaky_relu(0.2)), mlp("D", &[1, 32, 32, 1], L::leaky_relu(0.2)));
        let average = Some(mlp("G", &[4, 16, 1], L::leaky_relu(0.2)));
        let mut gan =
            Gan { average, ..Gan::new(g, d, adam(1e-3, (0.0, 0.99)), adam(2e-3, (0.0, 0.99)), config) };
        let mut draws = live(gaussian(), 128, 4);
        for _ in 0..2000 {
            gan.step(&mut draws, &mut NoProbe).unwrap();
        }
        let z = Prior::Normal.draw(20_000, 4, &Generator::new(9, Stream::Samples), Device::Cpu);
        let x = no_grad(|| gan.average.as_ref().unwrap().forward(&z, &Ctx::eval()));
        let (mean, std) = (x.mean_all().item(), x.var(&[0, 1], true, false).item().sqrt());
        assert!(
            (mean / 3.0 - 1.0).abs() < 0.05 && (std / 0.5 - 1.0).abs() < 0.05,
            "{loss:?}: {mean} +- {std}"
        );
    }
}

/// Penalties as a step saw them.
#[derive(Default)]
struct Seen {
    penalties: Vec<Penalties>,
    objectives: Vec<(f64, f64)>,
    factors: Vec<f64>,
    d: usize,
    g: Vec<GeneratorSeen>,
}

struct GeneratorSeen {
    loss: f64,
    objective: f64,
    distance: Option<f64>,
    orthogonal: Option<f64>,
}

impl Probe for Seen {
    fn discriminator(&mut self, u: &DiscriminatorUpdate) {
        self.d += 1;
        self.penalties.push(u.penalties);
        self.objectives.push((u.loss, u.objective));
        self.factors.push(u.factor);
    }
    fn generator(&mut self, u: &GeneratorUpdate) {
        let (distance, orthogonal) = (u.feature_distance, u.orthogonal);
        self.g.push(GeneratorSeen { loss: u.loss, objective: u.objective, distance, orthogonal });
    }
}

/// The critic of WGAN-GP on points in the plane has a slope of norm 1 between data and samples.
#[test]
fn the_slope_of_a_wasserstein_critic_converges_to_one() {
    let mut samples = Synthetic::Ring8.samples(0);
    let data = move |n: usize| Tensor::new(samples.take(n).as_flattened(), &[n, 2]);
    let config =
        StepConfig { loss: Loss::Wasserstein, gradient_penalty: Some(10.0), n_d: 5, ..StepConfig::default() };
    let (g, d) = (mlp("G", &[2, 32, 2], L::ReLU), mlp("D", &[2, 64, 64, 1], L::leaky_relu(0.2)));
    let mut gan = Gan::new(g, d, adam(1e-4, (0.0, 0.9)), adam(2e-3, (0.0, 0.9)), config);
    let (mut draws, mut seen) = (live(data, 128, 2), Seen::default());
    for _ in 0..200 {
        gan.step(&mut draws, &mut seen).unwrap();
    }
    let last = &seen.penalties[900..];
    let slope = last.iter().map(|p| p.slope.unwrap()).sum::<f64>() / last.len() as f64;
    assert!((slope - 1.0).abs() < 0.1, "{slope}");
}

/// The objective is the scaled loss plus each weighted penalty; R1 and R2 come every `lazy`-th update, as much stronger.
#[test]
fn an_objective_is_the_sum_of_its_terms() {
    let config = StepConfig {
        loss: Loss::RelativisticPairing,
        n_d: 3,
        d_loss_scale: 0.5,
        r1: Some(2.0),
        r2: Some(3.0),
        lazy: 4,
        drift: Some(0.25),
        dragan: Some(5.0),
        gradient_penalty: Some(7.0),
        orthogonal: Some(0.5),
        feature_matching: Some(2.0),
        g_loss_scale: 3.0,
        ..StepConfig::default()
    };
    let (g, d) = (mlp("G", &[2, 8, 2], L::ReLU), mlp("D", &[2, 8, 1], L::leaky_relu(0.2)));
    let mut gan = Gan::new(g, d, adam(1e-3, (0.0, 0.9)), adam(1e-3, (0.0, 0.9)), config);
    let mut samples = Synthetic::TwoMoons.samples(0);
    let mut draws = live(move |n: usize| Tensor::new(samples.take(n).as_flattened(), &[n, 2]), 16, 2);
    let mut seen = Seen::default();
    for _ in 0..4 {
        let losses = gan.step(&mut draws, &mut seen).unwrap();
        assert_eq!(losses.penalties, *seen.penalties.last().unwrap());
    }
    assert_eq!((draws.reals, draws.noises, seen.d, seen.g.len()), (12, 16, 12, 4));
    for (i, (p, (loss, objective))) in seen.penalties.iter().zip(&seen.objectives).enumerate() {
        assert_eq!((p.r1.is_some(), p.r2.is_some()), (i % 4 == 0, i % 4 == 0), "update {i}");
        let lazy = 4.0 * (2.0 * p.r1.unwrap_or(0.0) + 3.0 * p.r2.unwrap_or(0.0));
        let rest = 0.25 * p.drift.unwrap() + 5.0 * p.dragan.unwrap() + 7.0 * p.gradient.unwrap();
        assert_relative_eq!(*objective, 0.5 * loss + lazy + rest, max_relative = 1e-5);
    }
    for g in &seen.g {
        let want = 3.0 * 2.0 * g.distance.unwrap() + 0.5 * g.orthogonal.unwrap();
        assert_relative_eq!(g.objective, want, max_relative = 1e-5);
        assert!(g.loss > 0.0 && g.loss != g.distance.unwrap());
    }
}

/// The penalties of a step are those of D as it was, at the samples that it saw.
#[test]
fn r1_and_r2_are_taken_at_data_and_at_samples() {
    struct Look(Option<(Tensor, Tensor, Penalties)>);
    impl Probe for Look {
        fn discriminator(&mut self, u: &DiscriminatorUpdate) {
            self.0 = Some((u.samples[0].clone(), u.samples[1].clone(), u.penalties));
        }
    }
    let config = StepConfig { r1: Some(1.0), r2: Some(1.0), ..StepConfig::default() };
    let d = mlp("D", &[1, 8, 1], L::Tanh);
    let before = d.clone();
    let mut gan =
        Gan::new(mlp("G", &[4, 1], L::ReLU), d, adam(1e-3, (0.0, 0.9)), adam(1e-3, (0.0, 0.9)), config);
    let mut look = Look(None);
    gan.step(&mut live(gaussian(), 8, 4), &mut look).unwrap();
    let (real, fake, p) = look.0.unwrap();
    let a = |x: &Tensor| before.forward(x, &Ctx::eval());
    assert_relative_eq!(p.r1.unwrap(), r1(&a, &real).penalty.item(), max_relative = 1e-6);
    assert_relative_eq!(p.r2.unwrap(), r2(&a, &fake).penalty.item(), max_relative = 1e-6);
    assert!(real.mean_all().item() > 2.0 && fake.mean_all().item() < 2.0);
}

/// G's update under a relativistic loss compares its fakes with the real samples of D's last update.
#[test]
fn a_relativistic_generator_sees_real_scores() {
    struct G(Vec<f64>);
    impl Probe for G {
        fn generator(&mut self, u: &GeneratorUpdate) {
            self.0.extend(u.fake.to_f64_vec());
        }
    }
    let config = StepConfig { loss: Loss::RelativisticPairing, ..StepConfig::default() };
    let sgd = || Optimizer::new(Sgd { lr: 0.0, ..Sgd::default() });
    let mut gan = Gan::new(mlp("G", &[4, 1], L::ReLU), mlp("D", &[1, 8, 1], L::Tanh), sgd(), sgd(), config);
    let x = Generator::new(2, Stream::Data).normal(&[8, 1], 3.0, 0.5, DType::F32, Device::Cpu);
    let mut probe = G(Vec::new());
    let losses = gan.step(&mut live(|_| x.clone(), 8, 4), &mut probe).unwrap();
    let real = gan.d.forward(&x, &Ctx::eval()).to_f64_vec();
    let want = real.iter().zip(&probe.0).map(|(r, f)| (r - f).exp().ln_1p()).sum::<f64>() / 8.0;
    assert_relative_eq!(losses.g, want, max_relative = 1e-6);
}

/// G's gradient through an unrolled D is another than without, and D moves as ever.
#[test]
fn looking_ahead_changes_g_and_not_d() {
    let of = |unroll: usize| {
        let config = StepConfig { unroll, ..StepConfig::default() };
        let (g, d) = (mlp("G", &[4, 8, 1], L::ReLU), mlp("D", &[1, 8, 1], L::Tanh));
        let mut gan = Gan::new(g, d, adam(1e-3, (0.5, 0.9)), adam(1e-2, (0.5, 0.9)), config);
        gan.step(&mut live(gaussian(), 32, 4), &mut NoProbe).unwrap();
        [&gan.g, &gan.d].map(|n| parameters(n).iter().flat_map(|p| p.to_f64_vec()).collect::<Vec<f64>>())
    };
    let ([g, d], [g_ahead, d_ahead]) = (of(0), of(3));
    assert!(g != g_ahead);
    assert_eq!(d, d_ahead);
}

fn trainer(settings: &[&str]) -> Trainer {
    let mut c: TrainConfig = (zoo::recipe("dcgan28-small").unwrap().config)();
    (c.batch, c.latent) = (16, 8);
    c.set_all(settings).unwrap();
    Trainer::new(c, bars(8), Device::Cpu).unwrap()
}

#[test]
fn clipped_weights_stay_in_the_box() {
    let mut t = trainer(&["step.loss=wasserstein", "step.weight_clip=0.01"]);
    for _ in 0..3 {
        t.step(&mut NoProbe).unwrap();
        for p in parameters(&t.gan().d) {
            assert!(p.to_f64_vec().iter().all(|v| v.abs() <= 0.01f32 as f64));
        }
    }
    // Gains of 1 and weights of 0.02 do not fit.
    let share = at_the_bound(&t.gan().d, 0.01);
    assert!(share > 0.1 && share < 1.0, "{share}");
}

/// Every layer's normalised weight has a largest singular value near 1 all through training.
#[test]
fn spectrally_normalised_layers_keep_a_norm_of_one() {
    let mut t = trainer(&["networks.spectral_norm=d", "networks.norm_d=off", "step.loss=hinge"]);
    for _ in 0..60 {
        t.step(&mut NoProbe).unwrap();
    }
    let mut vectors = Vec::new();
    t.gan().d.visit("", &mut |name, _, v| {
        if name.ends_with("weight_u") || name.ends_with("weight_v") {
            vectors.push(v.clone());
        }
    });
    let mut layers = 0;
    t.gan().d.visit_weights("", &mut |name, w, outputs| {
        let (u, v) = (&vectors[2 * layers], &vectors[2 * layers + 1]);
        layers += 1;
        let normalised = w.spectral_norm_eval(u, v, outputs);
        let sigma = largest_singular_value(&normalised.transpose(0, outputs));
        assert!((0.95..=1.05).contains(&sigma), "{name}: {sigma}");
    });
    assert_eq!(layers, 3);
}

/// By 200 power iterations in f64.
fn largest_singular_value(w: &Tensor) -> f64 {
    let w = no_grad(|| w.detach().to_dtype(DType::F64));
    let rows = w.shape()[0];
    let w = w.reshape(&[rows, w.numel() / rows]);
    let mut v =
        Generator::new(0, Stream::General).normal(&[w.shape()[1], 1], 0.0, 1.0, DType::F64, Device::Cpu);
    let mut sigma = 0.0;
    for _ in 0..200 {
        let u = w.matmul(&v);
        v = w.t().matmul(&u);
        let norm = v.square().sum_all().item().sqrt();
        sigma = norm.sqrt();
        v = v.mul_scalar(1.0 / norm);
    }
    sigma
}

/// Mean |cosine| of different filters of G.
fn overlap(t: &Trainer) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    t.gan().g.visit_weights("", &mut |_, w, outputs| {
        let rows = w.detach().transpose(0, outputs);
        let n = rows.shape()[0];
        if n < 2 {
            return;
        }
        let rows = rows.reshape(&[n, w.numel() / n]);
        let rows = rows.div(&rows.square().sum(&[1], true).sqrt());
        sum += rows.matmul(&rows.t()).abs().sum_all().item() - n as f64;
        count += n * (n - 1);
    });
    sum / count as f64
}

#[test]
fn orthogonal_regularisation_parts_filters() {
    let of = |weight: &str| {
        let mut t = trainer(&[&format!("step.orthogonal={weight}"), "optimizer_g.lr=2e-3"]);
        for _ in 0..60 {
            t.step(&mut NoProbe).unwrap();
        }
        overlap(&t)
    };
    let (with, without) = (of("1e-1"), of("0"));
    assert!(with < 0.9 * without, "{with} with, {without} without");
}

#[test]
fn d_is_skipped_while_it_is_right_too_often() {
    // D learns fast, G not at all.
    let mut t = trainer(&["step.balance=accuracy", "optimizer_d.lr=2e-3", "optimizer_g.lr=0"]);
    let mut seen = Seen::default();
    for _ in 0..60 {
        t.step(&mut seen).unwrap();
    }
    let skipped = seen.factors.iter().filter(|f| **f == 0.0).count();
    assert!(skipped > 20, "{skipped}");
    assert_eq!(t.gan().balance.skipped, skipped as u64);
    // An update that is skipped leaves D as it is.
    let first = seen.factors.iter().position(|f| *f == 0.0).unwrap();
    assert!(seen.factors[..first].iter().all(|f| *f == 1.0));
    let before: Vec<Vec<f64>> = parameters(&t.gan().d).iter().map(|p| p.to_f64_vec()).collect();
    let mut one = Seen::default();
    t.step(&mut one).unwrap();
    let after: Vec<Vec<f64>> = parameters(&t.gan().d).iter().map(|p| p.to_f64_vec()).collect();
    assert_eq!(before == after, one.factors == [0.0]);
}

#[test]
fn the_loss_ratio_slows_a_leading_d_down() {
    let mut t = trainer(&["step.balance=loss-ratio", "optimizer_d.lr=2e-3", "optimizer_g.lr=0"]);
    let mut seen = Seen::default();
    for _ in 0..40 {
        t.step(&mut seen).unwrap();
    }
    for ((loss, _), factor) in seen.objectives.iter().zip(&seen.factors) {
        assert_relative_eq!(*factor, (loss / 4f64.ln()).min(1.0), max_relative = 1e-12);
    }
    assert!(seen.factors[39] < 0.5);
    assert_eq!(Balance::ALL.map(|b| b.name().parse::<Balance>().unwrap()), Balance::ALL);
}

/// Noise on what D sees fades with the images seen, and G's samples have none.
#[test]
fn instance_noise_fades() {
    struct Spread(Vec<f64>);
    impl Probe for Spread {
        fn discriminator(&mut self, u: &DiscriminatorUpdate) {
            self.0.push(u.samples[0].var(&[0, 1], false, false).item());
        }
    }
    let config =
        StepConfig { instance_noise: Some(InstanceNoise { std: 2.0, kimg: 1.0 }), ..StepConfig::default() };
    let sgd = || Optimizer::new(Sgd { lr: 0.0, ..Sgd::default() });
    let mut gan = Gan::new(mlp("G", &[4, 1], L::ReLU), mlp("D", &[1, 4, 1], L::Tanh), sgd(), sgd(), config);
    let constant = |n: usize| Tensor::full(&[n, 1], 3.0, DType::F32, Device::Cpu);
    let (mut draws, mut spread) = (live(constant, 500, 4), Spread(Vec::new()));
    for _ in 0..3 {
        gan.step(&mut draws, &mut spread).unwrap();
    }
    // After 500 of 1000 images s is 1, after 1000 it is 0. A variance of 500 numbers is known to 6 %.
    assert!((spread.0[0] - 1.0).abs() < 0.3, "{:?}", spread.0);
    assert!(spread.0[1..].iter().all(|v| *v < 1e-9), "{:?}", spread.0);
}

/// With p = 1/2 - tiny, D is told nothing: real and fake change places as often as not.
#[test]
fn flipped_labels_are_flipped_as_often_as_asked() {
    let (p, n) = (0.3, 4000);
    let config = StepConfig { flip_labels: Some(p), loss: Loss::Wasserstein, ..StepConfig::default() };
    let sgd = || Optimizer::new(Sgd { lr: 0.0, ..Sgd::default() });
    let mut gan = Gan::new(mlp("G", &[4, 1], L::ReLU), mlp("D", &[1, 1], L::Tanh), sgd(), sgd(), config);
    let constant = |n: usize| Tensor::full(&[n, 1], 50.0, DType::F32, Device::Cpu);
    let mut seen = Seen::default();
    gan.step(&mut live(constant, n, 4), &mut seen).unwrap();
    // The loss is the mean difference of scores, which a flip turns round; fakes are near 0 beside 50.
    let w = parameters(&gan.d)[0].item();
    let share = (1.0 + seen.objectives[0].0 / (50.0 * w)) / 2.0;
    assert!((share - p).abs() < 5.0 * (p * (1.0 - p) / n as f64).sqrt() + 0.02, "{share}");
}

/// D's best answer to two supports that do not meet, under a smoothed target, is that target.
#[test]
fn smoothed_labels_bound_ds_confidence() {
    let mut d = mlp("D", &[1, 16, 1], L::leaky_relu(0.2));
    let mut opt = adam(1e-2, (0.9, 0.999));
    let (real, fake) = (gaussian()(256), gaussian()(256).mul_scalar(-1.0));
    let loss = Loss::NonSaturating.get();
    let of = |d: &Network, x: &Tensor| d.forward(x, &Ctx::eval());
    for _ in 0..400 {
        let l = loss.discriminator(&of(&d, &real), &of(&d, &fake), 0.9);
        let grads = grad(&[&l], &parameters(&d).iter().collect::<Vec<_>>(), &[], false);
        opt.step(ganvil::nn::parameters_mut(&mut d), grads);
    }
    let mean = |x: &Tensor| no_grad(|| loss.probability(&of(&d, x)).unwrap().mean_all().item());
    assert!((mean(&real) - 0.9).abs() < 0.01, "{}", mean(&real));
    assert!(mean(&fake) < 0.02, "{}", mean(&fake));
}

/// A run that was stopped goes on bit for bit under everything that has state or draws.
#[test]
fn techniques_with_state_resume_bit_for_bit() {
    let settings = [
        "step.balance=accuracy",
        "step.balance_above=0.55",
        "step.instance_noise.std=0.1",
        "step.instance_noise.kimg=1",
        "step.flip_labels=0.1",
        "step.augment.translation=true",
        "step.augment.color=true",
        "step.dragan=1",
        "step.r1=1",
        "step.r2=1",
        "step.lazy=3",
        "step.unroll=1",
        "step.pack=2",
        "networks.norm_d=layer",
        "networks.spectral_norm=both",
    ];
    let (mut whole, mut first, mut second) = (trainer(&settings), trainer(&settings), trainer(&settings));
    let dir = std::env::temp_dir().join(format!("ganvil-techniques-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|n| dir.join(n));
    for _ in 0..10 {
        whole.step(&mut NoProbe).unwrap();
    }
    for _ in 0..5 {
        first.step(&mut NoProbe).unwrap();
    }
    first.save(&a).unwrap();
    second.restore(&ganvil::checkpoint::load(&a).unwrap(), &a).unwrap();
    for _ in 0..5 {
        second.step(&mut NoProbe).unwrap();
    }
    whole.save(&b).unwrap();
    second.save(&c).unwrap();
    assert!(whole.gan().balance.skipped > 0, "the rule is at work");
    assert!(std::fs::read(&b).unwrap() == std::fs::read(&c).unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
}
