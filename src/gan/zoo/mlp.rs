//! The fully connected GANs that introductions show.
//!
//! - `mlp`: G latent -> 256 -> 512 -> 784, LeakyReLU then BatchNorm; D 784 -> 512 -> 256 -> 1 with dropout 0.3; fresh
//!   noise for G's update; D's loss halved.
//! - `mlp-a`: G latent -> 128 -> 256 -> 784, one BatchNorm before its LeakyReLU; D 784 -> 256 -> 128 -> 1; G's update
//!   reuses the fakes of D's; the two terms of D's loss are summed.
//! - `cgan`: `mlp` given classes (Mirza and Osindero, 2014, arXiv:1411.1784): each network has a table `label_embed` with
//!   as many numbers for a class as there are classes, concatenated to noise and picture.
//!
//! All: latent 100, LeakyReLU 0.2, Tanh, Adam 2e-4 with betas 0.5 and 0.999, batch 64, binary cross-entropy. D ends
//! in a sigmoid for that loss and in its logit for the others. Every way of using labels goes with either architecture;
//! with each, G is given them as in `cgan`.

use super::{About, Architecture, Recipe, Shape};
use crate::gan::conditioning::{Conditioning, LabelEmbed, NetworkSpec};
use crate::gan::config::TrainConfig;
use crate::gan::losses::Loss;
use crate::gan::step_config::StepConfig;
use crate::nn::LayerSpec as L;
use crate::optim::Ema;

pub(super) const MLP: Recipe = Recipe {
    name: "mlp",
    summary: "fully connected GAN with BatchNorm in G and dropout in D; two minutes",
    about: About {
        idea: "The GAN of introductions: two fully connected networks, batch normalisation in G, dropout in D.",
        equation: "L_D = -E ln D(x) - E ln(1 - D(G(z))),  L_G = -E ln D(G(z))",
        source: "Goodfellow et al., 2014, arXiv:1406.2661; the network of common PyTorch listings",
        cost: "a fifth of the default recipe's time a step",
        watch: "D(x) and D(G(z)) settle between 0.4 and 0.8; strokes stay speckled, since no layer knows what is near what",
    },
    config: mlp_config,
    architecture: mlp,
    check: |_| Ok(()),
    conditionings: &Conditioning::ALL,
};

pub(super) const MLP_A: Recipe = Recipe {
    name: "mlp-a",
    summary: "the smallest fully connected GAN; one noise draw per step",
    about: About {
        idea: "The smallest GAN that draws digits; G's update reuses the noise and the fakes of D's, which saves a pass of G.",
        equation: "L_D = -E ln D(x) - E ln(1 - D(G(z))),  L_G = -E ln D(G(z))",
        source: "Goodfellow et al., 2014, arXiv:1406.2661",
        cost: "the cheapest of all",
        watch: "D is right too often after a while: nothing holds it back",
    },
    config: mlp_a_config,
    architecture: mlp_a,
    check: |_| Ok(()),
    conditionings: &Conditioning::ALL,
};

pub(super) const CGAN: Recipe = Recipe {
    name: "cgan",
    summary: "mlp that draws the class it is asked for; label embeddings in G and D",
    about: About {
        idea: "Both networks are told the class, as numbers from a table beside noise and picture, so G can be asked for a digit.",
        equation: "as mlp, of (x, y) and (G(z, y), y)",
        source: "Mirza and Osindero, 2014, arXiv:1411.1784",
        cost: "as mlp",
        watch: "rows of the sample grid are classes: a row that mixes digits means that D ignores the label",
    },
    config: cgan_config,
    architecture: mlp,
    check: |_| Ok(()),
    conditionings: &Conditioning::ALL,
};

fn mlp_config() -> TrainConfig {
    TrainConfig {
        recipe: "mlp".into(),
        step: StepConfig {
            loss: Loss::Bce,
            d_loss_scale: 0.5,
            ema: Some(Ema::default()),
            ..StepConfig::default()
        },
        ..TrainConfig::default()
    }
}

fn mlp_a_config() -> TrainConfig {
    TrainConfig {
        recipe: "mlp-a".into(),
        step: StepConfig {
            loss: Loss::Bce,
            reuse_fakes: true,
            ema: Some(Ema::default()),
            ..StepConfig::default()
        },
        ..TrainConfig::default()
    }
}

fn cgan_config() -> TrainConfig {
    TrainConfig { recipe: "cgan".into(), conditioning: Conditioning::Embed, ..mlp_config() }
}

/// G and D from what stands between their first inputs and last outputs: `body` gets the width of what comes in.
fn fully_connected(s: &Shape, g: impl Fn(usize) -> Vec<L>, d: impl Fn(usize) -> Vec<L>) -> Architecture {
    let table = |used: bool| used.then_some(LabelEmbed { num: s.classes, dim: s.classes });
    let embeds = [!s.conditioning.is_none(), s.conditioning == Conditioning::Embed].map(table);
    let [of_g, of_d] = embeds;
    let width = |own: usize, table: Option<LabelEmbed>| own.saturating_add(table.map_or(0, |t| t.dim));
    let mut judge = d(width(s.pixels(), of_d));
    if !s.logits {
        judge.push(L::Sigmoid);
    }
    Architecture {
        generator: NetworkSpec {
            layers: g(width(s.latent, of_g)),
            label_embed: of_g,
            ..NetworkSpec::default()
        },
        discriminator: NetworkSpec {
            layers: judge,
            label_embed: of_d,
            head: s.conditioning.head(s.classes),
            ..NetworkSpec::default()
        },
        sample: vec![s.pixels()],
    }
}

fn mlp(shape: &Shape) -> Architecture {
    let act = || L::leaky_relu(0.2);
    let drop = || L::Dropout { p: 0.3 };
    let g = |inputs| {
        vec![
            L::linear(inputs, 256),
            act(),
            L::batch_norm1d(256),
            L::linear(256, 512),
            act(),
            L::batch_norm1d(512),
            L::linear(512, shape.pixels()),
            L::Tanh,
        ]
    };
    let d = |inputs| {
        vec![L::linear(inputs, 512), act(), drop(), L::linear(512, 256), act(), drop(), L::linear(256, 1)]
    };
    fully_connected(shape, g, d)
}

pub(super) fn mlp_a(shape: &Shape) -> Architecture {
    let act = || L::leaky_relu(0.2);
    let g = |inputs| {
        vec![
            L::linear(inputs, 128),
            act(),
            L::linear(128, 256),
            L::batch_norm1d(256),
            act(),
            L::linear(256, shape.pixels()),
            L::Tanh,
        ]
    };
    let d = |inputs| vec![L::linear(inputs, 256), act(), L::linear(256, 128), act(), L::linear(128, 1)];
    fully_connected(shape, g, d)
}
