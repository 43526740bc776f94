//! A GAN on MNIST with the training step written out by hand.
//!
//!     cargo run --release --example vanilla_gan
//!
//! Read it from top to bottom: two networks, two moves, and a picture every 1000 steps. `ganvil train` plays the same
//! game through `ganvil::gan`, with losses, schedules and logs that can be exchanged.

use ganvil::data::{Dataset, Loader, Split, locate};
use ganvil::nn::{self, BatchNorm1d, Ctx, Dropout, LeakyReLU, Linear, Module, Sequential, Tanh};
use ganvil::optim::{Adam, Optimizer};
use ganvil::report::{GridStyle, save_grid};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Reduction, Tensor, no_grad};
use std::sync::Arc;

const BATCH: usize = 64;
const LATENT: usize = 100;
const SEED: u64 = 0;

/// From noise [batch, 100] to images [batch, 784] in [-1, 1].
fn generator(random: &Generator) -> Sequential {
    Sequential::new()
        .with(Linear::new(LATENT, 256, true, random))
        .with(LeakyReLU { negative_slope: 0.2 })
        .with(BatchNorm1d::new(256, 1e-5, 0.1))
        .with(Linear::new(256, 512, true, random))
        .with(LeakyReLU { negative_slope: 0.2 })
        .with(BatchNorm1d::new(512, 1e-5, 0.1))
        .with(Linear::new(512, 784, true, random))
        .with(Tanh)
}

/// From images to one logit each: above 0 means "real".
fn discriminator(random: &Generator) -> Sequential {
    Sequential::new()
        .with(Linear::new(784, 512, true, random))
        .with(LeakyReLU { negative_slope: 0.2 })
        .with(Dropout { p: 0.3 })
        .with(Linear::new(512, 256, true, random))
        .with(LeakyReLU { negative_slope: 0.2 })
        .with(Dropout { p: 0.3 })
        .with(Linear::new(256, 1, true, random))
}

fn train(steps: usize) -> ganvil::Result<()> {
    let data = Arc::new(Dataset::load(locate(None)?, Split::Train)?);
    let mut loader = Loader::new(data, BATCH, SEED)?;
    let mut pixels = vec![0.0f32; loader.len_of_batch()];

    // One random stream for each purpose: drawing more noise does not change the dropout masks.
    let (init, noise) = (Generator::new(SEED, Stream::Init), Generator::new(SEED, Stream::Noise));
    let dropout = Generator::new(SEED, Stream::Dropout);
    let latent = || noise.normal(&[BATCH, LATENT], 0.0, 1.0, DType::F32, Device::Cpu);
    let fixed =
        Generator::new(SEED, Stream::Samples).normal(&[64, LATENT], 0.0, 1.0, DType::F32, Device::Cpu);

    let (mut g, mut d) = (generator(&init), discriminator(&init));
    let adam = Adam { lr: 2e-4, betas: (0.5, 0.999), ..Adam::default() };
    let (mut opt_g, mut opt_d) = (Optimizer::new(adam), Optimizer::new(adam));
    let one = Tensor::ones(&[BATCH, 1], DType::F32, Device::Cpu);
    let zero = Tensor::zeros(&[BATCH, 1], DType::F32, Device::Cpu);
    let ctx = Ctx::train(&dropout);

    for step in 1..=steps {
        // Move 1, the discriminator: real images should get logits above 0, fakes below.
        loader.next_batch(&mut pixels);
        let real = Tensor::new(&pixels, &[BATCH, 784]);
        let fake = no_grad(|| g.forward(&latent(), &ctx)); // a constant to D: no graph of G is built
        let on_real = d.forward(&real, &ctx).bce_with_logits(&one, Reduction::Mean);
        let on_fake = d.forward(&fake, &ctx).bce_with_logits(&zero, Reduction::Mean);
        let loss_d = (&on_real + &on_fake) * 0.5;
        let grads = nn::gradients(&loss_d, &d); // with respect to D's parameters, and to nothing else
        opt_d.step(nn::parameters_mut(&mut d), grads);

        // Move 2, the generator: fakes should be taken for real. The gradient flows through D to G; asking for G's
        // parameters only means that D's weight gradients are not computed.
        let fake = g.forward(&latent(), &ctx);
        let loss_g = d.forward(&fake, &ctx).bce_with_logits(&one, Reduction::Mean);
        let grads = nn::gradients(&loss_g, &g);
        opt_g.step(nn::parameters_mut(&mut g), grads);

        if step % 1000 == 0 || step == steps {
            let samples = no_grad(|| g.forward(&fixed, &Ctx::eval()));
            save_grid("vanilla_gan.png", &samples.to_vec(), [64, 1, 28, 28], &GridStyle::default())?;
            println!(
                "step {step}: loss D {:.3} G {:.3}, see vanilla_gan.png",
                loss_d.item() * 2.0,
                loss_g.item()
            );
        }
    }
    Ok(())
}

fn main() -> ganvil::Result<()> {
    let steps = std::env::args().nth(1).unwrap_or_else(|| "10000".into());
    let steps = steps.parse().expect("the argument is a number of steps");
    ganvil::threads(0, || train(steps))
}
