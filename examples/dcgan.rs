//! A convolutional GAN on MNIST with the training step written out by hand.
//!
//!     cargo run --release --example dcgan
//!
//! The game is that of `vanilla_gan`; the networks are DCGAN's (Radford et al., 2016, arXiv:1511.06434) at MNIST's
//! scale. G begins with 7 x 7 maps and doubles them twice by transposed convolutions, D halves the picture twice by
//! strided ones. A pixel is now made from its neighbourhood, so strokes are smooth where the fully connected networks
//! leave speckles, and both networks together have fewer weights than the last layer there. What the paper found to
//! matter is marked below: batch normalisation but not everywhere, small initial weights, and Adam with beta_1 of 0.5.
//!
//! What to look for in dcgan.png, at the end: smudges after 200 steps, strokes on black ground after 500, and digits,
//! if not all of them whole, after 4000. D's loss goes up and down but stays above 0; were it to stay there, D would have
//! won, and G learn nothing any more.
//!
//! The default of 4000 steps takes a minute or two on two cores; another number is given as an argument.

use ganvil::data::{Dataset, Loader, Split, locate};
use ganvil::nn::{self, Ctx, Init, LayerSpec as L, Module, Sequential};
use ganvil::optim::{Adam, Optimizer};
use ganvil::report::{GridStyle, save_grid};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Reduction, Tensor, no_grad};
use std::sync::Arc;

const BATCH: usize = 64;
const LATENT: usize = 100;
const SEED: u64 = 0;

/// DCGAN's: weights from N(0, 0.02^2), gains of batch normalisation from N(1, 0.02^2), biases 0.
const INIT: Init = Init::Normal { std: 0.02 };

/// From noise [batch, 100] to pictures [batch, 1, 28, 28] in [-1, 1].
fn generator(random: &Generator) -> Sequential {
    let layers = [
        L::linear(LATENT, 64 * 7 * 7),
        L::Unflatten { shape: vec![64, 7, 7] },
        L::batch_norm2d(64),
        L::ReLU,
        // Kernel 4, stride 2, padding 1: exactly twice the size. No bias, as the normalisation would take it away.
        L::conv_transpose2d(64, 32, 4, 2, 1, false),
        L::batch_norm2d(32),
        L::ReLU,
        // The last layer is not normalised: a batch has to be able to have the data's brightness.
        L::conv_transpose2d(32, 1, 4, 2, 1, true),
        L::Tanh,
    ];
    L::sequential_with(&layers, &INIT, random)
}

/// From pictures to one logit each: above 0 means "real".
fn discriminator(random: &Generator) -> Sequential {
    let layers = [
        // The first layer is not normalised either: D has to see the brightness.
        L::conv2d(1, 32, 4, 2, 1, true),
        L::leaky_relu(0.2),
        L::conv2d(32, 64, 4, 2, 1, false),
        L::batch_norm2d(64),
        L::leaky_relu(0.2),
        L::Flatten,
        L::linear(64 * 7 * 7, 1),
    ];
    L::sequential_with(&layers, &INIT, random)
}

fn train(steps: usize) -> ganvil::Result<()> {
    let data = Arc::new(Dataset::load(locate(None)?, Split::Train)?);
    let mut loader = Loader::new(data, BATCH, SEED)?;
    let mut pixels = vec![0.0f32; loader.len_of_batch()];

    let (init, noise) = (Generator::new(SEED, Stream::Init), Generator::new(SEED, Stream::Noise));
    let latent = |random: &Generator| random.normal(&[BATCH, LATENT], 0.0, 1.0, DType::F32, Device::Cpu);
    let fixed = latent(&Generator::new(SEED, Stream::Samples));

    let (mut g, mut d) = (generator(&init), discriminator(&init));
    let adam = Adam { lr: 2e-4, betas: (0.5, 0.999), ..Adam::default() };
    let (mut opt_g, mut opt_d) = (Optimizer::new(adam), Optimizer::new(adam));
    let one = Tensor::ones(&[BATCH, 1], DType::F32, Device::Cpu);
    let zero = Tensor::zeros(&[BATCH, 1], DType::F32, Device::Cpu);
    // No layer here draws, but a pass in training has a random stream: dropout would take its masks from it.
    let dropout = Generator::new(SEED, Stream::Dropout);
    let ctx = Ctx::train(&dropout);

    for step in 1..=steps {
        // Move 1, the discriminator. Real and fake pictures go through D one batch after the other: normalised together
        // each would tell the other's statistics.
        loader.next_batch(&mut pixels);
        let real = Tensor::new(&pixels, &[BATCH, 1, 28, 28]);
        let fake = no_grad(|| g.forward(&latent(&noise), &ctx)); // a constant to D: no graph of G is built
        let on_real = d.forward(&real, &ctx).bce_with_logits(&one, Reduction::Mean);
        let on_fake = d.forward(&fake, &ctx).bce_with_logits(&zero, Reduction::Mean);
        let loss_d = &on_real + &on_fake;
        let grads = nn::gradients(&loss_d, &d);
        opt_d.step(nn::parameters_mut(&mut d), grads);

        // Move 2, the generator: fakes should be taken for real.
        let fake = g.forward(&latent(&noise), &ctx);
        let loss_g = d.forward(&fake, &ctx).bce_with_logits(&one, Reduction::Mean);
        let grads = nn::gradients(&loss_g, &g);
        opt_g.step(nn::parameters_mut(&mut g), grads);

        if step % 100 == 0 || step == steps {
            println!("step {step}: loss D {:.3} G {:.3}", loss_d.item(), loss_g.item());
        }
    }
    // In evaluation, normalisation uses the running statistics of training: a digit does not depend on its neighbours.
    let samples = no_grad(|| g.forward(&fixed, &Ctx::eval()));
    save_grid("dcgan.png", &samples.to_vec(), [BATCH, 1, 28, 28], &GridStyle::default())?;
    println!("see dcgan.png");
    Ok(())
}

fn main() -> ganvil::Result<()> {
    let steps = std::env::args().nth(1).unwrap_or_else(|| "4000".into());
    let steps = steps.parse().expect("the argument is a number of steps");
    ganvil::threads(0, || train(steps))
}
