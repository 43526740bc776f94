//! The game: losses, penalty, and what a step computes.

use approx::assert_relative_eq;
use ganvil::autograd::{CheckOptions, grad, gradcheck};
use ganvil::backend::trace;
use ganvil::data::{Dataset, Split};
use ganvil::gan::{
    Conditioning, DiscriminatorUpdate, GeneratorUpdate, Loss, Output, Prior, Probe, Statistics, TrainConfig,
    Trainer, gradient_penalty, r1, zoo,
};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use std::path::Path;
use std::sync::Arc;

fn mnist() -> Arc<Dataset> {
    Arc::new(Dataset::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist"), Split::Test).unwrap())
}

fn recipe(name: &str) -> TrainConfig {
    (zoo::recipe(name).unwrap().config)()
}

fn column(v: &[f64]) -> Tensor {
    Tensor::new(v, &[v.len(), 1])
}

fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

fn mean(v: impl Iterator<Item = f64>) -> f64 {
    let v: Vec<f64> = v.collect();
    v.iter().sum::<f64>() / v.len() as f64
}

#[test]
fn losses_on_logits_are_their_formulas_even_far_out() {
    let (r, f) = ([0.3, -2.0, 1e4, 5.0, -1e4], [-0.7, 3.0, -1e4, 40.0, 1e4]);
    for t in [1.0, 0.9] {
        let want = mean(r.iter().map(|&a| t * softplus(-a) + (1.0 - t) * softplus(a)))
            + mean(f.iter().map(|&a| softplus(a)));
        for loss in [Loss::NonSaturating, Loss::Minimax] {
            let got = loss.get().discriminator(&column(&r), &column(&f), t).item();
            assert_relative_eq!(got, want, max_relative = 1e-12);
        }
    }
    let g = column(&f);
    assert_relative_eq!(
        Loss::NonSaturating.get().generator(&g, None).item(),
        mean(f.iter().map(|&a| softplus(-a))),
        max_relative = 1e-12
    );
    assert_relative_eq!(
        Loss::Minimax.get().generator(&g, None).item(),
        -mean(f.iter().map(|&a| softplus(a))),
        max_relative = 1e-12
    );
}

#[test]
fn bce_on_probabilities_is_the_same_game() {
    let (r, f) = ([0.3, -2.0, 5.0], [-0.7, 3.0, 0.1]);
    let (lr, lf) = (column(&r), column(&f));
    let (bce, ns) = (Loss::Bce.get(), Loss::NonSaturating.get());
    let d = bce.discriminator(&lr.sigmoid(), &lf.sigmoid(), 0.9).item();
    assert_relative_eq!(d, ns.discriminator(&lr, &lf, 0.9).item(), max_relative = 1e-12);
    assert_relative_eq!(
        bce.generator(&lf.sigmoid(), None).item(),
        ns.generator(&lf, None).item(),
        max_relative = 1e-12
    );
}

#[test]
fn generator_gradients_saturate_as_the_theory_says() {
    for a in [-10.0, -1.0, 0.0, 2.0, 10.0] {
        let p = 1.0 / (1.0 + f64::exp(-a));
        for (loss, want) in [(Loss::Minimax, -p), (Loss::NonSaturating, p - 1.0)] {
            let logit = column(&[a]).requires_grad();
            let g = grad(&[&loss.get().generator(&logit, None)], &[&logit], &[], false)[0].clone().unwrap();
            assert_relative_eq!(g.item(), want, max_relative = 1e-9, epsilon = 1e-15);
        }
    }
}

#[test]
fn losses_at_equilibrium() {
    for loss in Loss::ALL {
        // D's best constant answer: undecided, or for scores any of the margin.
        let outs = match loss.get().output() {
            Output::Probability | Output::Estimate => vec![0.5],
            Output::Logit => vec![0.0],
            Output::Score | Output::Difference => vec![-0.9, 0.0, 0.7],
        };
        for a in outs {
            let out = column(&[a; 4]);
            let (d, g) = loss.get().equilibrium();
            assert_relative_eq!(loss.get().discriminator(&out, &out, 1.0).item(), d, max_relative = 1e-12);
            // A score has no zero point, so G's loss there is whatever D likes.
            let g = g.unwrap_or(-a);
            assert_relative_eq!(loss.get().generator(&out, Some(&out)).item(), g, max_relative = 1e-12);
        }
    }
}

#[test]
fn losses_on_scores_and_least_squares_are_their_formulas() {
    let (r, f): ([f64; 5], [f64; 5]) = ([0.3, -2.0, 1e4, 1.0, -1e4], [-0.7, 3.0, -1e4, -1.0, 1e4]);
    let (real, fake) = (column(&r), column(&f));
    let relu = |t: f64| t.max(0.0);
    let m = |g: &dyn Fn(f64) -> f64, v: &[f64]| mean(v.iter().map(|&a| g(a)));
    let sp = |t: f64| t.max(0.0) + (-t.abs()).exp().ln_1p();
    let (mr, mf) = (mean(r.into_iter()), mean(f.into_iter()));
    let pairs = |g: &dyn Fn(f64, f64) -> f64| mean(r.iter().zip(&f).map(|(&r, &f)| g(r, f)));
    let cases: [(Loss, f64, f64, f64); 6] = [
        (Loss::RelativisticPairing, 1.0, pairs(&|r, f| sp(f - r)), pairs(&|r, f| sp(r - f))),
        (
            Loss::RelativisticAverage,
            1.0,
            m(&|a| sp(mf - a), &r) + m(&|a| sp(a - mr), &f),
            m(&|a| sp(mr - a), &f) + m(&|a| sp(a - mf), &r),
        ),
        (Loss::Hinge, 1.0, m(&|a| relu(1.0 - a), &r) + m(&|a| relu(1.0 + a), &f), -m(&|a| a, &f)),
        (Loss::Wasserstein, 1.0, m(&|a| a, &f) - m(&|a| a, &r), -m(&|a| a, &f)),
        (Loss::Lsgan, 1.0, m(&|a| (a - 1.0).powi(2), &r) + m(&|a| a * a, &f), m(&|a| (a - 1.0).powi(2), &f)),
        (Loss::Lsgan, 0.9, m(&|a| (a - 0.9).powi(2), &r) + m(&|a| a * a, &f), m(&|a| (a - 1.0).powi(2), &f)),
    ];
    for (loss, t, d, g) in cases {
        assert_relative_eq!(loss.get().discriminator(&real, &fake, t).item(), d, max_relative = 1e-12);
        assert_relative_eq!(loss.get().generator(&fake, Some(&real)).item(), g, max_relative = 1e-12);
        // The gradients, by differences of the formulas' values.
        let of_d = |r: &Tensor, f: &Tensor| loss.get().discriminator(r, f, t);
        let (lr, lf) = (column(&r[..2]).requires_grad(), column(&f[..2]).requires_grad());
        let got = grad(&[&of_d(&lr, &lf)], &[&lr, &lf], &[], false);
        for (side, g) in got.iter().enumerate() {
            for (i, &got) in g.as_ref().unwrap().to_vec::<f64>().iter().enumerate() {
                let at = |h: f64| {
                    let mut v = [r[0], r[1], f[0], f[1]];
                    v[2 * side + i] += h;
                    of_d(&column(&v[..2]), &column(&v[2..])).item()
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((got - slope).abs() < 1e-8, "{loss:?}: {got} for {slope}");
            }
        }
    }
}

#[test]
fn the_hinge_forgets_samples_outside_of_the_margin() {
    let (real, fake) = (column(&[0.5, 2.0]).requires_grad(), column(&[-0.5, -2.0]).requires_grad());
    let loss = Loss::Hinge.get().discriminator(&real, &fake, 1.0);
    let grads = grad(&[&loss], &[&real, &fake], &[], false);
    let values: Vec<Vec<f64>> = grads.into_iter().map(|g| g.unwrap().to_vec()).collect();
    assert_eq!(values, [[-0.5, 0.0], [0.5, 0.0]]);
}

#[test]
fn only_losses_with_a_target_can_be_smoothed() {
    let out = column(&[0.0]);
    for loss in Loss::ALL {
        let smoothed = || loss.get().discriminator(&out, &out, 0.9);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(smoothed));
        let mut c = recipe("mlp");
        (c.step.loss, c.step.real_label) = (loss, 0.9);
        let scores = matches!(loss.get().output(), Output::Score | Output::Difference);
        assert_eq!((result.is_err(), c.check().is_err()), (scores, scores), "{}", loss.name());
        if scores {
            let text = c.check().unwrap_err().to_string();
            let want = format!("invalid --real-label '0.9': --loss {} is on scores", loss.name());
            assert!(text.contains(&want), "{text}");
        }
    }
}

#[test]
fn every_loss_trains_and_logs_what_its_outputs_are() {
    for loss in Loss::ALL {
        let mut config = recipe("mlp-a");
        config.step.loss = loss;
        let mut trainer = Trainer::new(config, mnist(), Device::Cpu).unwrap();
        let mut statistics = Statistics::new(loss);
        for _ in 0..5 {
            trainer.step(&mut statistics).unwrap();
        }
        let s = statistics.last;
        assert!((0.0..=1.0).contains(&s.acc_real) && s.grad_norm_g > 0.0, "{s:?}");
        if loss.get().output() != Output::Score {
            assert!((0.0..=1.0).contains(&s.d_real) && (0.0..=1.0).contains(&s.d_fake), "{s:?}");
        }
    }
}

#[test]
fn a_smoothed_loss_is_smallest_at_the_smoothed_odds() {
    // (The fake term does not depend on the real logit.)
    let fake = column(&[0.0]);
    let at = |a: f64| Loss::NonSaturating.get().discriminator(&column(&[a]), &fake, 0.9).item();
    let best = 9f64.ln();
    assert!(at(best) < at(best + 1e-3) && at(best) < at(best - 1e-3));
}

#[test]
fn the_penalty_of_a_linear_critic_has_a_closed_form() {
    let w = Tensor::new(&[3.0f64, 0.0, -4.0], &[3, 1]).requires_grad();
    let random = Generator::new(0, Stream::General);
    let batch = || random.normal(&[6, 3], 0.0, 1.0, DType::F64, Device::Cpu);
    let eps = random.uniform(&[6, 1], 0.0, 1.0, DType::F64, Device::Cpu);
    let p = gradient_penalty(&|x| x.matmul(&w), &batch(), &batch(), &eps);
    assert_relative_eq!(p.penalty.item(), 16.0, max_relative = 1e-9);
    let dw = grad(&[&p.penalty], &[&w], &[], false)[0].clone().unwrap();
    for (got, want) in dw.to_vec::<f64>().into_iter().zip([3.0, 0.0, -4.0]) {
        assert_relative_eq!(got, 2.0 * 4.0 * want / 5.0, max_relative = 1e-9, epsilon = 1e-12);
    }
}

#[test]
fn the_penalty_of_an_mlp_critic_matches_finite_differences() {
    let random = Generator::new(3, Stream::General);
    let normal = |shape: &[usize]| random.normal(shape, 0.0, 0.7, DType::F64, Device::Cpu);
    let (real, fake) = (normal(&[5, 7]), normal(&[5, 7]));
    let eps = random.uniform(&[5, 1], 0.0, 1.0, DType::F64, Device::Cpu);
    let weights =
        [normal(&[9, 7]), normal(&[9]), normal(&[6, 9]), normal(&[6]), normal(&[1, 6]), normal(&[1])];
    for activation in [|x: &Tensor| x.leaky_relu(0.2), |x: &Tensor| x.tanh()] {
        let penalty = |w: &[Tensor]| {
            let critic = |x: &Tensor| {
                let h = activation(&x.linear(&w[0], Some(&w[1])));
                activation(&h.linear(&w[2], Some(&w[3]))).linear(&w[4], Some(&w[5]))
            };
            // A numeric difference is taken without recording, but the penalty differentiates inside.
            let p = gradient_penalty(&critic, &real, &fake, &eps);
            p.penalty.mul_scalar(10.0)
        };
        gradcheck(penalty, &weights, &CheckOptions::default()).unwrap();
    }
}

#[test]
fn r1_of_a_linear_critic_has_a_closed_form() {
    let w = Tensor::new(&[3.0f64, 0.0, -4.0], &[3, 1]).requires_grad();
    let x = Generator::new(0, Stream::General).normal(&[6, 3], 0.0, 1.0, DType::F64, Device::Cpu);
    let p = r1(&|x| x.matmul(&w), &x);
    assert_relative_eq!(p.penalty.item(), 12.5, max_relative = 1e-12);
    assert_eq!(p.output.to_vec::<f64>(), x.matmul(&w).to_vec::<f64>());
    // d/dw |w|^2 / 2 = w.
    let dw = grad(&[&p.penalty], &[&w], &[], false)[0].clone().unwrap();
    for (got, want) in dw.to_vec::<f64>().into_iter().zip([3.0, 0.0, -4.0]) {
        assert_relative_eq!(got, want, max_relative = 1e-12, epsilon = 1e-12);
    }
    // a(x) = |x|^2 / 2 has the slope x: each sample has its own, and a picture's is over all of its pixels.
    let pictures = x.reshape(&[3, 2, 1, 3]);
    let p = r1(&|x| x.square().sum(&[1, 2, 3], false).mul_scalar(0.5), &pictures);
    let want: Vec<f64> = x.to_vec::<f64>().chunks(6).map(|v| v.iter().map(|t| t * t).sum()).collect();
    for (got, want) in p.square_norms.to_vec::<f64>().iter().zip(&want) {
        assert_relative_eq!(got, want, max_relative = 1e-12);
    }
    assert_relative_eq!(p.penalty.item(), want.iter().sum::<f64>() / 6.0, max_relative = 1e-12);
}

#[test]
fn r1_of_an_mlp_critic_matches_finite_differences() {
    let random = Generator::new(3, Stream::General);
    let normal = |shape: &[usize]| random.normal(shape, 0.0, 0.7, DType::F64, Device::Cpu);
    let real = normal(&[5, 7]);
    let weights = [normal(&[9, 7]), normal(&[9]), normal(&[1, 9]), normal(&[1])];
    let penalty = |w: &[Tensor]| {
        let critic = |x: &Tensor| x.linear(&w[0], Some(&w[1])).tanh().linear(&w[2], Some(&w[3]));
        r1(&critic, &real).penalty
    };
    gradcheck(penalty, &weights, &CheckOptions::default()).unwrap();
}

#[test]
fn the_generators_step_computes_no_weight_gradient_of_the_discriminator() {
    /// The kernels of G's update, from the end of D's to the gradients.
    #[derive(Default)]
    struct Pieces(Vec<&'static str>);
    impl Probe for Pieces {
        fn discriminator(&mut self, u: &DiscriminatorUpdate) {
            assert!(u.grads.iter().all(Option::is_some));
            self.0.push("d");
        }
        fn generator(&mut self, u: &GeneratorUpdate) {
            assert!(u.grads.iter().all(Option::is_some));
            self.0.push("g");
        }
    }
    let batch = 48;
    for name in ["mlp", "mlp-a"] {
        let config = TrainConfig { batch, ..recipe(name) };
        let mut trainer = Trainer::new(config, mnist(), Device::Cpu).unwrap();
        let mut probe = Pieces::default();
        let (_, calls) = trace::record(|| trainer.step(&mut probe).unwrap());
        assert_eq!(probe.0, ["d", "g"]);
        // A weight gradient is the product whose inner size is the batch; no layer has 48 or 96 features. D's update makes
        // one for each of D's 3 weights, from real and fake samples together, G's one for each of G's 3 weights.
        let over = |n: usize| calls.iter().filter(|c| c.kernel == "gemm" && c.shape[2] == n).count();
        assert_eq!([over(2 * batch), over(batch)], [3, 3], "{name}: {calls:?}");
        // After D's optimiser there are only G's.
        let d_update = calls.iter().position(|c| c.kernel == "update").unwrap();
        let later: Vec<_> = calls[d_update..]
            .iter()
            .filter(|c| c.kernel == "gemm" && c.shape[2] == batch)
            .map(|c| &c.shape)
            .collect();
        let wide = if name == "mlp" { 512 } else { 256 };
        assert_eq!(later.len(), 3);
        assert!(later.iter().any(|s| s[..2] == [784, wide]), "{later:?}");
        assert!(
            later.iter().all(|s| s[..2] != [wide, 784] && s[0] != 1),
            "{later:?} holds a gradient of D's weights"
        );
    }
}

#[test]
#[should_panic(
    expected = "linear (in D.net.3): needs x [.., in] and weight [out, in], got x [2, 7] and weight [256, 512]"
)]
fn misuse_inside_a_network_names_the_layer() {
    use ganvil::nn::{Ctx, LayerSpec, Module};
    let random = Generator::new(0, Stream::Init);
    let layers = [LayerSpec::linear(5, 7), LayerSpec::ReLU, LayerSpec::Tanh, LayerSpec::linear(512, 256)];
    let d = ganvil::gan::Network::new("D", &layers, &random);
    d.forward(&Tensor::ones(&[2, 5], DType::F32, Device::Cpu), &Ctx::eval());
}

#[test]
fn update_counts_follow_n_d_and_n_g() {
    #[derive(Default)]
    struct Order(String);
    impl Probe for Order {
        fn discriminator(&mut self, u: &DiscriminatorUpdate) {
            self.0 += &format!("d{}", u.k);
        }
        fn generator(&mut self, u: &GeneratorUpdate) {
            self.0 += &format!("g{}", u.k);
        }
    }
    for reuse_fakes in [false, true] {
        let mut config = recipe("mlp");
        (config.step.n_d, config.step.n_g, config.step.reuse_fakes) = (3, 2, reuse_fakes);
        let mut trainer = Trainer::new(config, mnist(), Device::Cpu).unwrap();
        let mut order = Order::default();
        trainer.step(&mut order).unwrap();
        trainer.step(&mut order).unwrap();
        assert_eq!(order.0, "d0d1d2g0g1d0d1d2g0g1");
        assert_eq!(trainer.gan().images, 2 * 3 * 64);
    }
}

#[test]
fn a_penalised_step_trains_and_statistics_are_sound() {
    let mut config = recipe("mlp-a");
    config.step.loss = Loss::NonSaturating;
    config.step.gradient_penalty = Some(10.0);
    config.step.real_label = 0.9;
    let mut trainer = Trainer::new(config, mnist(), Device::Cpu).unwrap();
    let mut statistics = Statistics::new(Loss::NonSaturating);
    for _ in 0..20 {
        let losses = trainer.step(&mut statistics).unwrap();
        let s = statistics.last;
        assert_eq!((losses.d, losses.g, losses.penalties), (s.d_loss, s.g_loss, s.penalties));
        assert!(s.penalties.gradient.unwrap() >= 0.0 && s.grad_norm_d > 0.0 && s.grad_norm_g > 0.0);
        for share in [s.d_real, s.d_fake, s.acc_real, s.acc_fake] {
            assert!((0.0..=1.0).contains(&share), "{s:?}");
        }
    }
    // The untrained critic's slope is near 0, the penalty pulls it towards 1.
    assert!(statistics.last.penalties.gradient.unwrap() < 0.5, "{:?}", statistics.last);
}

#[test]
fn the_average_follows_the_generator() {
    let mut config = recipe("mlp");
    let mut ema = config.step.ema.unwrap();
    ema.half_life_kimg = 0.064;
    ema.rampup = 1e9;
    config.step.ema = Some(ema);
    let mut trainer = Trainer::new(config, mnist(), Device::Cpu).unwrap();
    let weight = |net: &ganvil::gan::Network| ganvil::nn::state_dict(net)[0].1.to_vec::<f32>();
    let mut average = weight(&trainer.gan().g);
    for _ in 0..5 {
        let first = trainer.steps() == 0;
        trainer.step(&mut ganvil::gan::NoProbe).unwrap();
        let g = weight(&trainer.gan().g);
        // Half-life of one batch; the first update takes the new value whole, as nothing was seen before it.
        let keep = if first { 0.0 } else { 0.5 };
        average.iter_mut().zip(&g).for_each(|(a, g)| *a = keep * *a + (1.0 - keep) * g);
        let got = weight(trainer.gan().average.as_ref().unwrap());
        for (got, want) in got.iter().zip(&average) {
            assert_relative_eq!(got, want, max_relative = 1e-5, epsilon = 1e-7);
        }
        let buffers = |n: &ganvil::gan::Network| {
            let all = ganvil::nn::state_dict(n).into_iter().filter(|(name, _)| name.contains("running"));
            all.map(|(_, t)| t.to_vec::<f32>()).collect::<Vec<_>>()
        };
        assert_eq!(buffers(&trainer.gan().g), buffers(trainer.gan().average.as_ref().unwrap()));
    }
}

#[test]
fn priors() {
    let random = Generator::new(1, Stream::Noise);
    let u = Prior::Uniform.draw(1000, 10, &random, Device::Cpu).to_vec::<f32>();
    assert!(
        u.iter().all(|v| (-1.0..1.0).contains(v))
            && u.iter().any(|v| *v < -0.99)
            && u.iter().any(|v| *v > 0.99)
    );
    let s = Prior::Sphere.draw(50, 10, &random, Device::Cpu);
    for n in s.square().sum(&[1], false).to_vec::<f32>() {
        assert_relative_eq!(n, 10.0, max_relative = 1e-5);
    }
    let n = Prior::Normal.draw(2000, 10, &random, Device::Cpu);
    assert!((n.var(&[], true, false).item() - 1.0).abs() < 0.05);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let bad = |change: &dyn Fn(&mut TrainConfig)| {
        let mut c = recipe("mlp");
        change(&mut c);
        c.check().unwrap_err().to_string()
    };
    assert!(bad(&|c| c.batch = 1).contains("invalid --batch '1'"));
    assert!(bad(&|c| c.step.n_d = 0).contains("invalid --n-d '0'"));
    assert!(bad(&|c| c.step.real_label = 1.5).contains("invalid --real-label '1.5'"));
    assert!(bad(&|c| c.optimizer_d = c.optimizer_d.with_lr(f64::NAN)).contains("invalid --lr-d 'NaN'"));
    assert!(bad(&|c| c.recipe = "mpl".into()).contains("did you mean 'mlp'?"));
    assert!(bad(&|c| c.step.gradient_penalty = Some(-1.0)).contains("invalid --gradient-penalty"));
    assert!(bad(&|c| c.step.r1 = Some(f64::INFINITY)).contains("invalid --r1 'inf'"));
    assert!(bad(&|c| c.step.class_weight = -1.0).contains("invalid --class-weight '-1'"));
    for conditioning in [Conditioning::Projection, Conditioning::AuxiliaryClassifier] {
        let text = bad(&|c| c.conditioning = conditioning);
        assert!(text.contains("the discriminator has no logit with --loss bce"), "{text}");
    }
}
