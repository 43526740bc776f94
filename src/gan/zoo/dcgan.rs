//! Convolutional GANs after Radford et al., 2016 (arXiv:1511.06434): strided convolutions in place of pooling, batch
//! normalisation in both networks but for G's output and D's input, ReLU in G, LeakyReLU 0.2 in D.
//!
//! - `dcgan28`: G latent -> 128 x h/4 x w/4 -> convT 64 -> convT to the picture; D conv 64 -> conv 128 -> 1; pictures
//!   whose sides are multiples of 4.
//! - `dcgan28-small`: half as wide, 64 and 32.
//! - `dcgan64`: the paper's, for square pictures of any power of two from 16: G starts at 4 x 4 with a transposed
//!   convolution of the latent vector as one pixel, D ends in a convolution over 4 x 4. No biases, as in the common
//!   PyTorch listing.
//! - `infogan28`: the pair that InfoGAN (Chen et al., 2016, arXiv:1606.03657) trains on MNIST and "Are GANs created
//!   equal?" (Lucic et al., 2018, arXiv:1711.10337) measures, played as a plain GAN without codes. G's last layer is a
//!   Tanh on [-1, 1] where the papers have a sigmoid on [0, 1]: the same functions, as tanh(x) = 2 sigmoid(2x) - 1.
//! - `cdcgan`: `dcgan28` with conditional batch normalisation in G and a projection in D, which is under spectral
//!   normalisation and has the hinge loss (Miyato and Koyama, 2018, arXiv:1802.05637).
//! - `acgan`: `dcgan28` given the class with its noise, and a D that has to find it (Odena et al., 2017,
//!   arXiv:1610.09585), under spectral normalisation: with batch normalisation in D two classes were drawn as other
//!   digits after five minutes (75.7 % agreement; 97.5 % so).
//!
//! Weights start from N(0, 0.02^2), gains from N(1, 0.02^2); Adam with beta_1 0.5.

use super::{About, Architecture, Recipe, Shape};
use crate::data::ImageOptions;
use crate::gan::conditioning::{Conditioning, LabelEmbed, NetworkSpec};
use crate::gan::config::TrainConfig;
use crate::gan::losses::Loss;
use crate::gan::step_config::StepConfig;
use crate::nn::{Init, LayerSpec as L};
use crate::optim::{Adam, Ema};
use crate::{Error, Result};

pub(super) const DCGAN28: Recipe = Recipe {
    name: "dcgan28",
    summary: "convolutional GAN for 28 x 28: two levels, 128 and 64 channels",
    about: About {
        idea: "Strided convolutions in place of pooling, batch normalisation in both networks but at their ends.",
        equation: "L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = E sp(-a(G(z)))",
        source: "Radford et al., 2015, arXiv:1511.06434",
        cost: "four times the default recipe's multiply-adds",
        watch: "D(x) near 0.8, D(G(z)) near 0.2 while samples still improve",
    },
    config: || config("dcgan28"),
    architecture: |s| dcgan28(s, 64),
    check: multiple_of_4,
    conditionings: &Conditioning::ALL,
};

pub(super) const DCGAN28_SMALL: Recipe = Recipe {
    name: "dcgan28-small",
    summary: "dcgan28 at half the width: digits within a minute; the first thing to train",
    about: About {
        idea: "dcgan28 at half the width: what to train first.",
        equation: "L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = E sp(-a(G(z)))",
        source: "Radford et al., 2015, arXiv:1511.06434",
        cost: "three minutes on two cores",
        watch: "digits from the first minute on; the loss says little about them",
    },
    config: || TrainConfig { steps: 13_000, sample_every: 1_000, ..config("dcgan28-small") },
    architecture: |s| dcgan28(s, 32),
    check: multiple_of_4,
    conditionings: &Conditioning::ALL,
};

pub(super) const DCGAN64: Recipe = Recipe {
    name: "dcgan64",
    summary: "the paper's DCGAN, for square pictures of 16, 32, 64, ... (MNIST: padded)",
    about: About {
        idea: "The paper's own networks, level by level up to the picture's size.",
        equation: "L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = E sp(-a(G(z)))",
        source: "Radford et al., 2015, arXiv:1511.06434, figure 1",
        cost: "at 32 x 32 about ten times the default recipe's time a step",
        watch: "checkerboards would show in flat areas",
    },
    config: || TrainConfig {
        data: ImageOptions { pad: Some(32), ..ImageOptions::default() },
        ..config("dcgan64")
    },
    architecture: dcgan64,
    check: power_of_two,
    conditionings: &[Conditioning::None],
};

pub(super) const INFOGAN28: Recipe = Recipe {
    name: "infogan28",
    summary: "InfoGAN's networks as a plain GAN: two convolutions, dense layers of 1024",
    about: About {
        idea: "The networks of a large comparison of losses, here as a plain GAN: dense layers of 1024 beside two convolutions.",
        equation: "L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = E sp(-a(G(z)))",
        source: "Chen et al., 2016, arXiv:1606.03657; Lucic et al., 2017, arXiv:1711.10337",
        cost: "four times the default recipe's time a step",
        watch: "the best unconditional digits of the convolutional recipes after five minutes",
    },
    config: infogan_config,
    architecture: infogan28,
    check: multiple_of_4,
    conditionings: &[Conditioning::None, Conditioning::Projection, Conditioning::AuxiliaryClassifier],
};

pub(super) const CDCGAN: Recipe = Recipe {
    name: "cdcgan",
    summary: "dcgan28 by class: conditional batch norm in G, projection in D",
    about: About {
        idea: "The class sets gain and bias of G's normalisation; D adds the inner product of its features with the class's row.",
        equation: "L_D = E max(0, 1 - a(x, y)) + E max(0, 1 + a(G(z, y), y)),  L_G = -E a(G(z, y), y),  a(x, y) = psi(phi(x)) + V_y . phi(x)",
        source: "Miyato and Koyama, 2018, arXiv:1802.05637",
        cost: "as dcgan28",
        watch: "class agreement (ganvil evaluate) above 97 % after a few minutes",
    },
    config: cdcgan_config,
    architecture: |s| dcgan28(s, 64),
    check: multiple_of_4,
    conditionings: &[Conditioning::Projection],
};

pub(super) const ACGAN: Recipe = Recipe {
    name: "acgan",
    summary: "dcgan28 by class: G is given it, D has a second head that finds it",
    about: About {
        idea: "D finds the class of a sample beside judging it, and G is rewarded if its class is found.",
        equation: "L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = E sp(-a(G(z))); both plus the cross-entropy of the classes",
        source: "Odena et al., 2017, arXiv:1610.09585",
        cost: "as dcgan28",
        watch: "g_class_loss falls to near 0: G draws what is easy to classify, which costs variety",
    },
    config: || TrainConfig { conditioning: Conditioning::AuxiliaryClassifier, ..config("acgan") },
    architecture: |s| dcgan28(s, 64),
    check: multiple_of_4,
    conditionings: &[Conditioning::AuxiliaryClassifier],
};

pub(super) fn config(recipe: &str) -> TrainConfig {
    TrainConfig {
        recipe: recipe.into(),
        init: Init::Normal { std: 0.02 },
        step: StepConfig { ema: Some(Ema::default()), ..StepConfig::default() },
        ..TrainConfig::default()
    }
}

fn infogan_config() -> TrainConfig {
    let adam = Adam { lr: 2e-4, betas: (0.5, 0.999), ..Adam::default() };
    TrainConfig { latent: 64, optimizer_g: Adam { lr: 1e-3, ..adam }.into(), ..config("infogan28") }
}

fn cdcgan_config() -> TrainConfig {
    let adam = Adam { lr: 4e-4, betas: (0.0, 0.9), ..Adam::default() };
    let plain = config("cdcgan");
    TrainConfig {
        conditioning: Conditioning::Projection,
        optimizer_d: adam.into(),
        optimizer_g: adam.into(),
        init: Init::Orthogonal { gain: 1.0 },
        step: StepConfig { loss: Loss::Hinge, ..plain.step },
        ..plain
    }
}

/// Sides that two convolutions of stride 2 halve exactly.
pub(super) fn multiple_of_4([_, h, w]: [usize; 3]) -> Result<()> {
    if h > 0 && w > 0 && h.is_multiple_of(4) && w.is_multiple_of(4) {
        return Ok(());
    }
    let remedy = "its networks take pictures whose sides are multiples of 4; resize them with --size";
    Err(Error::Argument { what: "image size", value: format!("{h} x {w}"), remedy: remedy.into() })
}

fn power_of_two([_, h, w]: [usize; 3]) -> Result<()> {
    if h == w && h.is_power_of_two() && (16..=1024).contains(&h) {
        return Ok(());
    }
    let remedy = "its networks take square pictures of 16, 32, 64, ... pixels; resize them with --size, or use --pad 32";
    Err(Error::Argument { what: "image size", value: format!("{h} x {w}"), remedy: remedy.into() })
}

/// Batch normalisation of G's channels: by class where D has a projection.
fn norm(s: &Shape, channels: usize) -> L {
    match s.conditioning {
        Conditioning::Projection => L::conditional_batch_norm2d(s.classes, channels),
        _ => L::batch_norm2d(channels),
    }
}

/// The label tables in front of G and of D.
fn tables(s: &Shape) -> [Option<LabelEmbed>; 2] {
    let table = |used: bool| used.then_some(LabelEmbed { num: s.classes, dim: s.classes });
    let with_noise = matches!(s.conditioning, Conditioning::Embed | Conditioning::AuxiliaryClassifier);
    [table(with_noise), table(s.conditioning == Conditioning::Embed)]
}

fn width(own: usize, table: Option<LabelEmbed>) -> usize {
    own.saturating_add(table.map_or(0, |t| t.dim))
}

/// A probability for losses on probabilities.
fn judged(s: &Shape, mut layers: Vec<L>) -> Vec<L> {
    if !s.logits {
        layers.push(L::Sigmoid);
    }
    layers
}

/// `n` and 2n channels at half and a quarter of the picture's size.
pub(super) fn dcgan28(s: &Shape, n: usize) -> Architecture {
    let ([c, h, w], [of_g, of_d]) = (s.image, tables(s));
    let (rows, columns, wide) = (h / 4, w / 4, 2 * n);
    let generator = vec![
        L::linear(width(s.latent, of_g), wide * rows * columns),
        L::Unflatten { shape: vec![wide, rows, columns] },
        norm(s, wide),
        L::ReLU,
        L::conv_transpose2d(wide, n, 4, 2, 1, false),
        norm(s, n),
        L::ReLU,
        L::conv_transpose2d(n, c, 4, 2, 1, true),
        L::Tanh,
    ];
    let act = || L::leaky_relu(0.2);
    let (top, last) = (L::conv2d(width(c, of_d), n, 4, 2, 1, true), L::linear(wide * rows * columns, 1));
    let discriminator = match s.conditioning {
        // The projection's paper has spectral normalisation. With an auxiliary classifier it keeps the game honest: real
        // and fake batches have statistics of their own, by which D could tell a code of G's from a digit and learn it.
        Conditioning::Projection | Conditioning::AuxiliaryClassifier => vec![
            top.spectral(),
            act(),
            L::conv2d(n, wide, 4, 2, 1, true).spectral(),
            act(),
            L::Flatten,
            last.spectral(),
        ],
        _ => vec![
            top,
            act(),
            L::conv2d(n, wide, 4, 2, 1, false),
            L::batch_norm2d(wide),
            act(),
            L::Flatten,
            last,
        ],
    };
    Architecture {
        generator: NetworkSpec { layers: generator, label_embed: of_g, ..NetworkSpec::default() },
        discriminator: NetworkSpec {
            layers: judged(s, discriminator),
            label_embed: of_d,
            head: s.conditioning.head(s.classes),
            ..NetworkSpec::default()
        },
        sample: s.image.to_vec(),
    }
}

fn dcgan64(s: &Shape) -> Architecture {
    const N: usize = 64;
    let [c, size, _] = s.image;
    let levels = (size.max(16).ilog2() - 2) as usize;
    // 4 x 4 has the most channels, half the picture's size has N.
    let channels: Vec<usize> = (0..levels).rev().map(|i| N << i).collect();
    let mut generator = Vec::new();
    let mut inputs = s.latent;
    for (i, &outputs) in channels.iter().enumerate() {
        let (stride, padding) = if i == 0 { (1, 0) } else { (2, 1) };
        generator.push(L::conv_transpose2d(inputs, outputs, 4, stride, padding, false));
        generator.extend([L::batch_norm2d(outputs), L::ReLU]);
        inputs = outputs;
    }
    generator.extend([L::conv_transpose2d(inputs, c, 4, 2, 1, false), L::Tanh]);
    let mut discriminator = Vec::new();
    let mut inputs = c;
    for (i, &outputs) in channels.iter().rev().enumerate() {
        discriminator.push(L::conv2d(inputs, outputs, 4, 2, 1, false));
        discriminator.extend((i > 0).then(|| L::batch_norm2d(outputs)));
        discriminator.push(L::leaky_relu(0.2));
        inputs = outputs;
    }
    discriminator.extend([L::conv2d(inputs, 1, 4, 1, 0, false), L::Flatten]);
    Architecture {
        generator: NetworkSpec { layers: generator, input: vec![s.latent, 1, 1], ..NetworkSpec::default() },
        discriminator: NetworkSpec { layers: judged(s, discriminator), ..NetworkSpec::default() },
        sample: s.image.to_vec(),
    }
}

fn infogan28(s: &Shape) -> Architecture {
    let ([c, h, w], [of_g, _]) = (s.image, tables(s));
    let (rows, columns) = (h / 4, w / 4);
    let small = 128 * rows * columns;
    let generator = vec![
        L::linear(width(s.latent, of_g), 1024),
        L::batch_norm1d(1024),
        L::ReLU,
        L::linear(1024, small),
        L::batch_norm1d(small),
        L::ReLU,
        L::Unflatten { shape: vec![128, rows, columns] },
        L::conv_transpose2d(128, 64, 4, 2, 1, false),
        norm(s, 64),
        L::ReLU,
        L::conv_transpose2d(64, c, 4, 2, 1, true),
        L::Tanh,
    ];
    let act = || L::leaky_relu(0.2);
    let discriminator = vec![
        L::conv2d(c, 64, 4, 2, 1, true),
        act(),
        L::conv2d(64, 128, 4, 2, 1, false),
        L::batch_norm2d(128),
        act(),
        L::Flatten,
        L::linear(small, 1024),
        L::batch_norm1d(1024),
        act(),
        L::linear(1024, 1),
    ];
    Architecture {
        generator: NetworkSpec { layers: generator, label_embed: of_g, ..NetworkSpec::default() },
        discriminator: NetworkSpec {
            layers: judged(s, discriminator),
            head: s.conditioning.head(s.classes),
            ..NetworkSpec::default()
        },
        sample: s.image.to_vec(),
    }
}
