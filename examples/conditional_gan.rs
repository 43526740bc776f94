//! A class-conditional GAN on MNIST with the training step written out by hand: one asks for a 7 and gets a 7.
//!
//!     cargo run --release --example conditional_gan
//!
//! The class enters in two places. In G it is *conditional batch normalisation* (Dumoulin et al., 2017,
//! arXiv:1610.07629): each class has a scale and a shift of its own for every channel, and all classes share the
//! convolutions. In D it is a *projection* (Miyato and Koyama, 2018, arXiv:1802.05637): with features phi(x), the logit
//! of a picture x and a class y is psi(phi(x)) + <v_y, phi(x)>; psi says how real the picture is, and v_y how much it
//! has of class y. D is shown fakes with the class that G was asked for: a fine 3 that was to be a 7 is a fake.
//!
//! What to look for in conditional_gan.png, at the end: a row has one class, 0 at the top, a column one noise vector.
//! After 500 steps all rows are still alike: the tables start equal, and D first tells strokes from smudges. After 4000
//! most rows show their class; those that look like another (3 and 8, 7 and 9) come apart last. Down a column the class
//! changes while slant and thickness of the strokes tend to stay: noise holds what classes have in common.
//!
//! The default of 4000 steps takes about two minutes on two cores; another number is given as an argument.

use ganvil::data::{Dataset, Loader, Split, locate};
use ganvil::nn::{self, Ctx, Embedding, Init, Kind, LayerSpec as L, Linear, Module, Sequential, init};
use ganvil::optim::{Adam, Optimizer};
use ganvil::report::{GridStyle, save_grid};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Reduction, Tensor, no_grad};
use std::sync::Arc;

const BATCH: usize = 64;
const LATENT: usize = 100;
const CLASSES: usize = 10;
const SEED: u64 = 0;
const INIT: Init = Init::Normal { std: 0.02 };

/// `dcgan`'s G, whose normalisations take their scales and shifts from the pass's classes, `Ctx::with_condition`.
fn generator(random: &Generator) -> Sequential {
    let layers = [
        L::linear(LATENT, 64 * 7 * 7),
        L::Unflatten { shape: vec![64, 7, 7] },
        L::conditional_batch_norm2d(CLASSES, 64),
        L::ReLU,
        L::conv_transpose2d(64, 32, 4, 2, 1, false),
        L::conditional_batch_norm2d(CLASSES, 32),
        L::ReLU,
        L::conv_transpose2d(32, 1, 4, 2, 1, true),
        L::Tanh,
    ];
    L::sequential_with(&layers, &INIT, random)
}

/// `dcgan`'s D up to its features, then two ways to look at these.
#[derive(Clone)]
struct Discriminator {
    phi: Sequential,
    psi: Linear,
    v: Embedding,
}

impl Discriminator {
    fn new(random: &Generator) -> Discriminator {
        let (act, norm) = (|| L::leaky_relu(0.2), L::batch_norm2d(64));
        let [first, second] = [L::conv2d(1, 32, 4, 2, 1, true), L::conv2d(32, 64, 4, 2, 1, false)];
        let phi = L::sequential(&[first, act(), second, norm, act(), L::Flatten], random);
        let psi = Linear::new(64 * 7 * 7, 1, true, random);
        let mut d = Discriminator { phi, psi, v: Embedding::new(CLASSES, 64 * 7 * 7, random) };
        init::apply(&mut d, &INIT, random);
        d
    }
}

/// What makes a module of it: a forward pass, and names for its parameters.
impl Module for Discriminator {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let classes = ctx.condition().expect("the classes of the pictures");
        let phi = ctx.apply("phi", &self.phi, x);
        let inner = ctx.apply("v", &self.v, classes).mul(&phi).sum(&[1], true);
        &ctx.apply("psi", &self.psi, &phi) + &inner
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.phi.visit(&format!("{path}phi."), f);
        self.psi.visit(&format!("{path}psi."), f);
        self.v.visit(&format!("{path}v."), f);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.phi.visit_mut(&format!("{path}phi."), f);
        self.psi.visit_mut(&format!("{path}psi."), f);
        self.v.visit_mut(&format!("{path}v."), f);
    }
}

fn train(steps: usize) -> ganvil::Result<()> {
    let data = Arc::new(Dataset::load(locate(None)?, Split::Train)?);
    let labels = data.labels.clone().expect("MNIST has labels");
    let mut loader = Loader::new(data, BATCH, SEED)?;
    let mut pixels = vec![0.0f32; loader.len_of_batch()];

    let [init, noise, dropout] =
        [Stream::Init, Stream::Noise, Stream::Dropout].map(|s| Generator::new(SEED, s));
    let (mut g, mut d) = (generator(&init), Discriminator::new(&init));
    let adam = Adam { lr: 2e-4, betas: (0.5, 0.999), ..Adam::default() };
    let (mut opt_g, mut opt_d) = (Optimizer::new(adam), Optimizer::new(adam));
    let one = Tensor::ones(&[BATCH, 1], DType::F32, Device::Cpu);
    let zero = Tensor::zeros(&[BATCH, 1], DType::F32, Device::Cpu);

    for step in 1..=steps {
        let batch: Vec<i64> =
            loader.next_batch(&mut pixels).iter().map(|&i| labels[i as usize] as i64).collect();
        let real = Tensor::new(&pixels, &[BATCH, 1, 28, 28]);
        // Fakes are asked for of the same classes: these come as often as in the data, so D learns nothing from a class
        // alone.
        let classes = Tensor::new(&batch, &[BATCH]);
        let ctx = Ctx::train(&dropout).with_condition(&classes);
        let latent = || noise.normal(&[BATCH, LATENT], 0.0, 1.0, DType::F32, Device::Cpu);

        // Move 1, the discriminator: pairs of picture and class, real ones above 0, fakes below.
        let fake = no_grad(|| g.forward(&latent(), &ctx));
        let on_real = d.forward(&real, &ctx).bce_with_logits(&one, Reduction::Mean);
        let on_fake = d.forward(&fake, &ctx).bce_with_logits(&zero, Reduction::Mean);
        let loss_d = &on_real + &on_fake;
        let grads = nn::gradients(&loss_d, &d);
        opt_d.step(nn::parameters_mut(&mut d), grads);

        // Move 2, the generator: fakes should be taken for real pictures of their class.
        let fake = g.forward(&latent(), &ctx);
        let loss_g = d.forward(&fake, &ctx).bce_with_logits(&one, Reduction::Mean);
        let grads = nn::gradients(&loss_g, &g);
        opt_g.step(nn::parameters_mut(&mut g), grads);

        if step % 100 == 0 || step == steps {
            println!("step {step}: loss D {:.3} G {:.3}", loss_d.item(), loss_g.item());
        }
    }
    // A row for each class, the same ten noise vectors in each.
    let columns =
        Generator::new(SEED, Stream::Samples).normal(&[10, LATENT], 0.0, 1.0, DType::F32, Device::Cpu);
    let z = Tensor::cat(&[&columns; CLASSES], 0);
    let rows: Vec<i64> = (0..CLASSES as i64).flat_map(|class| [class; 10]).collect();
    let rows = Tensor::new(&rows, &[rows.len()]);
    let samples = no_grad(|| g.forward(&z, &Ctx::eval().with_condition(&rows)));
    let style = GridStyle { columns: 10, ..GridStyle::default() };
    save_grid("conditional_gan.png", &samples.to_vec(), [CLASSES * 10, 1, 28, 28], &style)?;
    println!("see conditional_gan.png");
    Ok(())
}

fn main() -> ganvil::Result<()> {
    let steps = std::env::args().nth(1).unwrap_or_else(|| "4000".into());
    let steps = steps.parse().expect("the argument is a number of steps");
    ganvil::threads(0, || train(steps))
}
