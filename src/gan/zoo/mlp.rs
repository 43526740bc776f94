//! The two fully connected GANs that introductions show.
//!
//! - `mlp`: G latent -> 256 -> 512 -> 784, LeakyReLU then BatchNorm; D 784 -> 512 -> 256 -> 1 with dropout 0.3; fresh
//!   noise for G's update; D's loss halved.
//! - `mlp-a`: G latent -> 128 -> 256 -> 784, one BatchNorm before its LeakyReLU; D 784 -> 256 -> 128 -> 1; G's update
//!   reuses the fakes of D's; the two terms of D's loss are summed.
//!
//! Both: latent 100, LeakyReLU 0.2, Tanh, Adam 2e-4 with betas 0.5 and 0.999, batch 64, binary cross-entropy. D ends
//! in a sigmoid for that loss and in its logit for the others.

use super::{Architecture, Recipe};
use crate::gan::config::TrainConfig;
use crate::gan::losses::Loss;
use crate::gan::step::StepConfig;
use crate::nn::LayerSpec as L;
use crate::optim::Ema;

pub(super) const MLP: Recipe = Recipe {
    name: "mlp",
    summary: "fully connected GAN with BatchNorm in G and dropout in D; the first thing to train",
    config: mlp_config,
    architecture: mlp,
};

pub(super) const MLP_A: Recipe = Recipe {
    name: "mlp-a",
    summary: "the smallest fully connected GAN; one noise draw per step",
    config: mlp_a_config,
    architecture: mlp_a,
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

/// D's last layers: a probability for losses on probabilities.
fn head(mut layers: Vec<L>, logits: bool) -> Vec<L> {
    if !logits {
        layers.push(L::Sigmoid);
    }
    layers
}

fn mlp(latent: usize, pixels: usize, logits: bool) -> Architecture {
    let act = || L::leaky_relu(0.2);
    let drop = || L::Dropout { p: 0.3 };
    Architecture {
        generator: vec![
            L::linear(latent, 256),
            act(),
            L::batch_norm1d(256),
            L::linear(256, 512),
            act(),
            L::batch_norm1d(512),
            L::linear(512, pixels),
            L::Tanh,
        ],
        discriminator: head(
            vec![
                L::linear(pixels, 512),
                act(),
                drop(),
                L::linear(512, 256),
                act(),
                drop(),
                L::linear(256, 1),
            ],
            logits,
        ),
    }
}

fn mlp_a(latent: usize, pixels: usize, logits: bool) -> Architecture {
    let act = || L::leaky_relu(0.2);
    Architecture {
        generator: vec![
            L::linear(latent, 128),
            act(),
            L::linear(128, 256),
            L::batch_norm1d(256),
            act(),
            L::linear(256, pixels),
            L::Tanh,
        ],
        discriminator: head(
            vec![L::linear(pixels, 256), act(), L::linear(256, 128), act(), L::linear(128, 1)],
            logits,
        ),
    }
}
