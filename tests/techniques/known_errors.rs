//! Errors that circulate in published GAN code, one test each.

use super::bars;
use ganvil::data::{Dataset, Images, Loader, Synthetic};
use ganvil::gan::{Loss, NoProbe, TrainConfig, Trainer, gradient_penalty, zoo};
use ganvil::nn::{BatchNorm1d, Ctx, LayerSpec as L, Linear, Module, SpectralNorm, parameters, state_dict};
use ganvil::report::{GridStyle, encode_grid};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor, no_grad};
use std::sync::Arc;

fn config(recipe: &str) -> TrainConfig {
    (zoo::recipe(recipe).unwrap().config)()
}

fn small(recipe: &str) -> Trainer {
    let c = TrainConfig { batch: 8, latent: 6, ..config(recipe) };
    Trainer::new(c, bars(8), Device::Cpu).unwrap()
}

fn random() -> Generator {
    Generator::new(0, Stream::General)
}

/// `BatchNorm(features, 0.8)` was meant as Keras's momentum and sets eps.
#[test]
fn batch_norms_eps_is_not_eight_tenths() {
    fn eps(l: &L, seen: &mut Vec<f64>) {
        match l {
            L::BatchNorm1d { eps, momentum, .. } | L::BatchNorm2d { eps, momentum, .. } => {
                seen.extend([*eps, *momentum])
            }
            L::Residual { body, shortcut, .. } => body.iter().chain(shortcut).for_each(|l| eps_of(l, seen)),
            _ => {}
        }
    }
    fn eps_of(l: &L, seen: &mut Vec<f64>) {
        eps(l, seen)
    }
    let mut seen = Vec::new();
    for recipe in &zoo::RECIPES {
        let shape = zoo::Shape {
            latent: 8,
            image: [1, 16, 16],
            classes: 3,
            logits: true,
            conditioning: recipe.conditionings[0],
        };
        let a = (recipe.architecture)(&shape);
        a.generator.layers.iter().chain(&a.discriminator.layers).for_each(|l| eps(l, &mut seen));
    }
    assert!(seen.len() > 20);
    assert!(seen.chunks(2).all(|c| c == [1e-5, 0.1]), "{seen:?}");
    // The formula itself: a variance of 1 is divided out, not shrunk to 1 / sqrt(1.8).
    let x = Tensor::from([[-1.0f32], [1.0]]);
    let y = BatchNorm1d::new(1, 1e-5, 0.1).forward(&x, &Ctx::train(&random()));
    assert!((y.to_f64_vec()[1] - 1.0).abs() < 1e-4);
}

/// `linspace(0, 2 pi, 8)` has its ends twice: seven modes.
#[test]
fn the_ring_has_eight_modes() {
    let ring = Synthetic::Ring8.mixture().unwrap();
    let apart = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    for i in 0..8 {
        for j in 0..i {
            assert!(apart(ring.centres[i], ring.centres[j]) > 0.7);
        }
    }
}

/// The power iteration of one pass of D must not change what an earlier pass differentiates, nor run in evaluation.
#[test]
fn spectral_norms_state_is_of_its_pass() {
    let layer = SpectralNorm::new(Linear::new(4, 3, false, &random()), &random());
    let x = random().normal(&[2, 4], 0.0, 1.0, DType::F32, Device::Cpu);
    let w = layer.module.weight.clone();
    let gradient =
        |y: &Tensor| ganvil::autograd::grad(&[&y.square().sum_all()], &[&w], &[], false)[0].clone().unwrap();
    let r = random();
    let alone = layer.clone().forward(&x, &Ctx::train(&r));
    let first = layer.forward(&x, &Ctx::train(&r));
    let _second = layer.forward(&x, &Ctx::train(&r));
    assert_eq!(gradient(&first).to_vec::<f32>(), gradient(&alone).to_vec::<f32>());
    let before = layer.u.get().to_vec::<f32>();
    layer.forward(&x, &Ctx::eval());
    assert_eq!(layer.u.get().to_vec::<f32>(), before);
}

/// One epsilon for a whole batch; a penalty through batch normalisation.
#[test]
fn a_gradient_penalty_mixes_no_samples() {
    let mut t = small("wgan-gp");
    t.step(&mut NoProbe).unwrap();
    let mut c = config("wgan-gp");
    c.set("networks.norm_d=recipe").unwrap();
    let e = c.check().unwrap_err().to_string();
    assert!(e.contains("--gradient-penalty") && e.contains("BatchNorm2d") && e.contains("--norm-d"), "{e}");
    // Each sample has its own epsilon, in the live draws of a game as well.
    let seen = std::cell::RefCell::new(Vec::new());
    let (x, y) = (Tensor::from([[1.0f64], [1.0]]), Tensor::from([[0.0f64], [0.0]]));
    let eps = random().uniform(&[2, 1], 0.0, 1.0, DType::F64, Device::Cpu);
    let critic = |at: &Tensor| {
        *seen.borrow_mut() = at.to_f64_vec();
        at.square()
    };
    gradient_penalty(&critic, &x, &y, &eps);
    assert_eq!(*seen.borrow(), eps.to_f64_vec());
    assert_ne!(seen.borrow()[0], seen.borrow()[1]);
}

/// A grid that is stretched to its own range hides that contrast has collapsed.
#[test]
fn grids_have_a_fixed_range() {
    let of = |v: f32| encode_grid(&[v; 4], [1, 1, 2, 2], &GridStyle::default()).unwrap();
    assert_ne!(of(0.0), of(0.5));
    let faint = encode_grid(&[-0.01, 0.01, -0.01, 0.01], [1, 1, 2, 2], &GridStyle::default()).unwrap();
    let strong = encode_grid(&[-1.0, 1.0, -1.0, 1.0], [1, 1, 2, 2], &GridStyle::default()).unwrap();
    assert_ne!(faint, strong);
}

/// Checkpoints without the optimisers' moments or the average: quality drops on resume.
#[test]
fn checkpoints_hold_moments_average_and_vectors() {
    let mut t = small("hinge");
    t.step(&mut NoProbe).unwrap();
    let path = std::env::temp_dir().join(format!("ganvil-known-{}", std::process::id()));
    t.save(&path).unwrap();
    let file = ganvil::checkpoint::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for name in [
        "opt_G.net.0.weight_orig.moment1",
        "opt_D.net.0.weight_orig.moment0",
        "G_ema.net.0.weight_u",
        "G_ema.net.2.running_var",
    ] {
        assert!(file.tensors.contains_key(name), "{name} of {:?}", file.tensors.keys());
    }
}

/// With batch statistics a sample depends on the others, and one alone is a constant.
#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let mut t = small("dcgan28-small");
    for _ in 0..3 {
        t.step(&mut NoProbe).unwrap();
    }
    let z = t.fixed_noise(5);
    let together = t.sample(&z, None);
    let alone = t.sample(&z.narrow(0, 2, 1), None);
    assert_eq!(alone, together[2 * 64..3 * 64]);
    assert_ne!(alone, t.sample(&z.narrow(0, 3, 1), None));
}

/// A last batch that is smaller skews statistics and means.
#[test]
fn a_partial_batch_is_dropped() {
    let images = Images { count: 10, channels: 1, rows: 1, cols: 1, pixels: (0..10).collect() };
    let data = Arc::new(Dataset { images, labels: None, classes: vec![], name: "ten".into() });
    let mut loader = Loader::new(data, 4, 0).unwrap();
    let mut out = vec![0.0; 4];
    let seen: Vec<Vec<u32>> = (0..4).map(|_| loader.next_batch(&mut out).to_vec()).collect();
    assert_eq!(loader.batches(), 2);
    assert!(seen.iter().all(|b| b.len() == 4));
    for epoch in seen.chunks(2) {
        let mut all = epoch.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8, "no picture twice in an epoch");
    }
}

/// A sigmoid at D's end and a loss on logits: the sigmoid is applied twice.
#[test]
fn no_loss_meets_a_sigmoid_that_it_brings_itself() {
    let flat = ["mlp", "mlp-a", "cgan", "unrolled"];
    for recipe in &zoo::RECIPES {
        for loss in Loss::ALL {
            let mut c = (recipe.config)();
            (c.data, c.step.loss) = (Default::default(), loss);
            if c.check().is_err() {
                continue;
            }
            let (_, d) = ganvil::gan::networks(&c, [1, 16, 16], 3, &random()).unwrap();
            let x = random().normal(&[64, 256], 0.0, 30.0, DType::F32, Device::Cpu);
            let x = if flat.contains(&recipe.name) { x } else { x.reshape(&[64, 1, 16, 16]) };
            let labels = Tensor::new(&[1i64; 64], &[64]);
            let out = no_grad(|| d.forward(&x, &Ctx::eval().with_condition(&labels))).to_vec::<f32>();
            let probabilities = out.iter().all(|v| (0.0..=1.0).contains(v));
            assert_eq!(probabilities, !loss.get().takes_logits(), "{} {}", recipe.name, loss.name());
        }
    }
}

/// An average without the buffers of its network normalises by statistics of nothing.
#[test]
fn the_average_has_the_generators_statistics() {
    let mut t = small("dcgan28-small");
    for _ in 0..3 {
        t.step(&mut NoProbe).unwrap();
    }
    let of = |net: &dyn Module| -> Vec<(String, Vec<f64>)> {
        let all = state_dict(net).into_iter().filter(|(name, _)| name.contains("running"));
        all.map(|(name, t)| (name, t.to_f64_vec())).collect()
    };
    let gan = t.gan();
    let (own, average) = (of(&gan.g), of(gan.average.as_ref().unwrap()));
    assert!(!own.is_empty() && own == average);
    let weights = |net: &dyn Module| parameters(net)[0].to_f64_vec();
    assert_ne!(weights(&gan.g), weights(gan.average.as_ref().unwrap()));
}
