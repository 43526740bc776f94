//! A Wasserstein GAN with gradient penalty on MNIST, the second derivative written out by hand.
//!
//!     cargo run --release --example wgan_gp
//!
//! D is no judge here but a critic: a(x) is any number, and over the functions of slope at most 1 the largest possible
//! E a(x) - E a(G(z)) is the earth mover's distance between data and samples (Arjovsky et al., 2017, arXiv:1701.07875).
//! What holds the slope is a penalty on the norm of the critic's own gradient (Gulrajani et al., 2017, arXiv:1704.00028).
//! So D's loss contains a gradient, and is itself differentiated: the inner one is taken with `create_graph`, which makes
//! it a tensor with a history like any other.
//!
//! What to look for: `gap`, the estimate of the distance, rises while the critic finds out how bad G is, and then falls as
//! the samples improve, unlike the loss of an ordinary GAN; `slope` stays near 1. The critic makes five updates for each of
//! G's, since an estimate is only worth following when it is good. So digits come later than in `dcgan`, step by step.
//!
//! The default of 1000 steps takes about two minutes on two cores; another number is given as an argument.

use ganvil::autograd::grad;
use ganvil::data::{Dataset, Loader, Split, locate};
use ganvil::nn::{self, Ctx, Init, LayerSpec as L, Module, Sequential};
use ganvil::optim::{Adam, Optimizer};
use ganvil::report::{GridStyle, save_grid};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor, no_grad};
use std::sync::Arc;

const BATCH: usize = 64;
const LATENT: usize = 100;
const SEED: u64 = 0;
/// Updates of the critic for each of G.
const N_CRITIC: usize = 5;
/// Weight of the penalty.
const LAMBDA: f64 = 10.0;

fn generator(random: &Generator) -> Sequential {
    let layers = [
        L::linear(LATENT, 64 * 7 * 7),
        L::Unflatten { shape: vec![64, 7, 7] },
        L::batch_norm2d(64),
        L::ReLU,
        L::conv_transpose2d(64, 32, 4, 2, 1, false),
        L::batch_norm2d(32),
        L::ReLU,
        L::conv_transpose2d(32, 1, 4, 2, 1, true),
        L::Tanh,
    ];
    L::sequential_with(&layers, &Init::Normal { std: 0.02 }, random)
}

/// No batch normalisation: it would make a sample's score depend on the others, and "the slope at a sample" mean nothing.
fn critic(random: &Generator) -> Sequential {
    let layers = [
        L::conv2d(1, 32, 4, 2, 1, true),
        L::leaky_relu(0.2),
        L::conv2d(32, 64, 4, 2, 1, true),
        L::leaky_relu(0.2),
        L::Flatten,
        L::linear(64 * 7 * 7, 1),
    ];
    L::sequential_with(&layers, &Init::Normal { std: 0.02 }, random)
}

/// E (||grad a(x^)|| - 1)^2 and the mean norm, at points x^ somewhere between a real sample and a fake.
fn penalty(d: &Sequential, real: &Tensor, fake: &Tensor, eps: &Tensor, ctx: &Ctx) -> (Tensor, f64) {
    let between = eps.mul(real).add(&(1.0 - eps).mul(fake)).requires_grad();
    // The gradient of the *sum* over the batch: scores do not depend on each other, so each point gets its own.
    let sum = d.forward(&between, ctx).sum_all();
    let slope = grad(&[&sum], &[&between], &[], true)[0].clone().expect("a score depends on its input");
    // The root's slope is infinite at 0, hence the 1e-12.
    let norms = slope.square().sum(&[1, 2, 3], false).add_scalar(1e-12).sqrt();
    (norms.add_scalar(-1.0).square().mean_all(), norms.mean_all().item())
}

fn train(steps: usize) -> ganvil::Result<()> {
    let data = Arc::new(Dataset::load(locate(None)?, Split::Train)?);
    let mut loader = Loader::new(data, BATCH, SEED)?;
    let mut pixels = vec![0.0f32; loader.len_of_batch()];

    let stream = |purpose| Generator::new(SEED, purpose);
    let (init, noise, mixing) = (stream(Stream::Init), stream(Stream::Noise), stream(Stream::Penalty));
    let latent = |random: &Generator| random.normal(&[BATCH, LATENT], 0.0, 1.0, DType::F32, Device::Cpu);
    let fixed = latent(&stream(Stream::Samples));

    let (mut g, mut d) = (generator(&init), critic(&init));
    // No momentum: the critic's goal moves with G.
    let adam = Adam { lr: 1e-4, betas: (0.0, 0.9), ..Adam::default() };
    let (mut opt_g, mut opt_d) = (Optimizer::new(adam), Optimizer::new(adam));
    let dropout = stream(Stream::Dropout);
    let ctx = Ctx::train(&dropout);

    for step in 1..=steps {
        let (mut gap, mut slope) = (0.0, 0.0);
        for _ in 0..N_CRITIC {
            loader.next_batch(&mut pixels);
            let real = Tensor::new(&pixels, &[BATCH, 1, 28, 28]);
            let fake = no_grad(|| g.forward(&latent(&noise), &ctx));
            let distance = d.forward(&real, &ctx).mean_all().sub(&d.forward(&fake, &ctx).mean_all());
            // One number for each sample, not one for the batch.
            let eps = mixing.uniform(&[BATCH, 1, 1, 1], 0.0, 1.0, DType::F32, Device::Cpu);
            let (p, norm) = penalty(&d, &real, &fake, &eps, &ctx);
            (gap, slope) = (distance.item(), norm);
            let loss = p.mul_scalar(LAMBDA).sub(&distance);
            let grads = nn::gradients(&loss, &d);
            opt_d.step(nn::parameters_mut(&mut d), grads);
        }
        // G moves its samples up the critic's slope.
        let loss = d.forward(&g.forward(&latent(&noise), &ctx), &ctx).mean_all().neg();
        let grads = nn::gradients(&loss, &g);
        opt_g.step(nn::parameters_mut(&mut g), grads);

        if step % 50 == 0 || step == steps {
            println!("step {step}: gap {gap:.3} slope {slope:.3}");
        }
    }
    let samples = no_grad(|| g.forward(&fixed, &Ctx::eval()));
    save_grid("wgan_gp.png", &samples.to_vec(), [BATCH, 1, 28, 28], &GridStyle::default())?;
    println!("see wgan_gp.png");
    Ok(())
}

fn main() -> ganvil::Result<()> {
    let steps = std::env::args().nth(1).unwrap_or_else(|| "1000".into());
    let steps = steps.parse().expect("the argument is a number of steps");
    ganvil::threads(0, || train(steps))
}
