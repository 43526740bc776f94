//! `sngan-resnet32`: residual networks under spectral normalisation (Miyato et al., 2018, arXiv:1802.05957, table 4) at
//! MNIST's scale: 64 channels in G and in D where the paper has 256 and 128; hinge loss, five updates of D for each of
//! G, Adam 2e-4 with betas 0 and 0.9, learning rate linearly to 0.
//!
//! For square pictures whose side is a power of two; 28 x 28 is padded to 32. As in the paper D halves
//! the picture twice and then sums over pixels; every layer of D is normalised, the shortcuts included.

use super::{About, Architecture, Recipe, Shape};
use crate::data::ImageOptions;
use crate::gan::conditioning::{Conditioning, NetworkSpec};
use crate::gan::config::TrainConfig;
use crate::gan::losses::Loss;
use crate::gan::step_config::StepConfig;
use crate::nn::{AvgPool2d, Init, LayerSpec as L, Upsample};
use crate::optim::{Adam, Ema, Schedule};
use crate::{Error, Interpolation, Result};

pub(super) const SNGAN_RESNET32: Recipe = Recipe {
    name: "sngan-resnet32",
    summary: "residual GAN for 32 x 32 under spectral norm, on the hinge loss; slow and steady",
    about: About {
        idea: "Residual networks whose D is under spectral normalisation, and five updates of D for each of G.",
        equation: "L_D = E max(0, 1 - a(x)) + E max(0, 1 + a(G(z))),  L_G = -E a(G(z))",
        source: "Miyato et al., 2018, arXiv:1802.05957, table 4",
        cost: "more than a second a step on two cores: hours, not minutes",
        watch: "d_loss rises slowly towards 2 and stays below it",
    },
    config,
    architecture,
    check,
    conditionings: &[Conditioning::None, Conditioning::Projection],
};

/// Channels of both networks.
const N: usize = 64;

fn config() -> TrainConfig {
    let adam = Adam { lr: 2e-4, betas: (0.0, 0.9), ..Adam::default() };
    let steps = 10_000;
    let to_zero = Schedule::Linear { horizon: steps, end: 0.0, warmup: 0 };
    TrainConfig {
        recipe: "sngan-resnet32".into(),
        latent: 128,
        steps,
        data: ImageOptions { pad: Some(32), ..ImageOptions::default() },
        init: Init::XavierUniform { gain: 1.0 },
        optimizer_d: adam.into(),
        optimizer_g: adam.into(),
        schedule_d: to_zero.clone(),
        schedule_g: to_zero,
        step: StepConfig { loss: Loss::Hinge, n_d: 5, ema: Some(Ema::default()), ..StepConfig::default() },
        ..TrainConfig::default()
    }
}

/// Square, from 8, halved to 4 without a remainder.
fn check([_, h, w]: [usize; 3]) -> Result<()> {
    if h == w && h.is_power_of_two() && (8..=256).contains(&h) {
        return Ok(());
    }
    let remedy = "its networks take square pictures of 8, 16, 32, ... pixels; resize them with --size, or use --pad 32";
    Err(Error::Argument { what: "image size", value: format!("{h} x {w}"), remedy: remedy.into() })
}

/// Batch normalisation: by class where D has a projection.
fn norm(s: &Shape) -> L {
    match s.conditioning {
        Conditioning::Projection => L::conditional_batch_norm2d(s.classes, N),
        _ => L::batch_norm2d(N),
    }
}

/// Twice the size: norm, ReLU, up, conv, norm, ReLU, conv, beside up and a convolution of single pixels.
fn up(s: &Shape) -> L {
    let double = || L::Upsample(Upsample { scale_factor: [2, 2], mode: Interpolation::Nearest });
    L::Residual {
        body: vec![
            norm(s),
            L::ReLU,
            double(),
            L::conv2d(N, N, 3, 1, 1, true),
            norm(s),
            L::ReLU,
            L::conv2d(N, N, 3, 1, 1, true),
        ],
        shortcut: vec![double(), L::conv2d(N, N, 1, 1, 0, true)],
        scale: 1.0,
    }
}

/// A layer of D.
fn conv(inputs: usize, kernel: usize) -> L {
    L::conv2d(inputs, N, kernel, 1, kernel / 2, true).spectral()
}

/// The first block looks at the picture itself, so no activation comes before its convolutions.
fn first(channels: usize) -> L {
    let half = || L::AvgPool2d(AvgPool2d::new(2));
    L::Residual {
        body: vec![conv(channels, 3), L::ReLU, conv(N, 3), half()],
        shortcut: vec![half(), conv(channels, 1)],
        scale: 1.0,
    }
}

fn block(halved: bool) -> L {
    let half = || halved.then(|| L::AvgPool2d(AvgPool2d::new(2)));
    let body = vec![L::ReLU, conv(N, 3), L::ReLU, conv(N, 3)];
    L::Residual {
        body: body.into_iter().chain(half()).collect(),
        // Of one size and one number of channels, the input itself is added.
        shortcut: half().into_iter().flat_map(|half| [conv(N, 1), half]).collect(),
        scale: 1.0,
    }
}

fn architecture(s: &Shape) -> Architecture {
    let [c, size, _] = s.image;
    let doublings = (size.max(8) / 4).ilog2();
    let mut generator = vec![L::linear(s.latent, N * 16), L::Unflatten { shape: vec![N, 4, 4] }];
    generator.extend((0..doublings).map(|_| up(s)));
    generator.extend([L::batch_norm2d(N), L::ReLU, L::conv2d(N, c, 3, 1, 1, true), L::Tanh]);
    let mut discriminator = vec![first(c), block(true), block(false), block(false), L::ReLU];
    discriminator.extend([L::GlobalSumPool, L::linear(N, 1).spectral()]);
    if !s.logits {
        discriminator.push(L::Sigmoid);
    }
    Architecture {
        generator: NetworkSpec { layers: generator, ..NetworkSpec::default() },
        discriminator: NetworkSpec {
            layers: discriminator,
            head: s.conditioning.head(s.classes),
            ..NetworkSpec::default()
        },
        sample: s.image.to_vec(),
    }
}
