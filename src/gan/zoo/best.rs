//! The recipes to take when the pictures matter more than what is learnt from training them, of a length meant for half
//! an hour on two cores. docs/metrics.md has what was measured of them, and what each ingredient brought.
//!
//! The networks of `cdcgan` at half the width: the class sets gain and bias of G's normalisation, D adds the inner product
//! of its features with the class's row and is under spectral normalisation, the loss is the hinge. The label lets D judge a
//! sample among those of its kind, which brings the most. Spectral normalisation bears eight times the usual learning rate,
//! which brings precision, and a little R1 brings recall. Both rates fall to 0, which lets the game come to rest.

use super::dcgan::{config, dcgan28, multiple_of_4};
use super::{About, Recipe};
use crate::gan::conditioning::Conditioning;
use crate::gan::config::TrainConfig;
use crate::gan::losses::Loss;
use crate::gan::step_config::StepConfig;
use crate::nn::Init;
use crate::optim::{Adam, Schedule};

const ABOUT: About = About {
    idea: "Conditional on the class, hinge loss, D under spectral normalisation with a little R1, large learning rates that fall \
           to 0, samples from the moving average of G.",
    equation: "L_D = E max(0, 1 - a(x, y)) + E max(0, 1 + a(G(z, y), y)) + 1/2 E |grad_x a(x, y)|^2,  L_G = -E a(G(z, y), y),  a(x, y) = psi(phi(x)) + V_y . phi(x)",
    source: "Miyato and Koyama, 2018, arXiv:1802.05637; Miyato et al., 2018, arXiv:1802.05957; Mescheder et al., 2018, \
             arXiv:1801.04406",
    cost: "60,000 steps of the default recipe's, a tenth longer each",
    watch: "ganvil evaluate: FID beside the floor, precision and recall beside real images'",
};

pub(super) const BEST_MNIST: Recipe = Recipe {
    name: "best-mnist",
    summary: "for good digits: by class, hinge, spectral norm, R1, rates that fall to 0",
    about: ABOUT,
    config: || best("best-mnist"),
    architecture: |s| dcgan28(s, 32),
    check: multiple_of_4,
    conditionings: &[Conditioning::Projection],
};

pub(super) const BEST_FASHION: Recipe = Recipe {
    name: "best-fashion",
    summary: "the same, for Fashion-MNIST: give its folder with --data",
    about: ABOUT,
    config: || best("best-fashion"),
    architecture: |s| dcgan28(s, 32),
    check: multiple_of_4,
    conditionings: &[Conditioning::Projection],
};

fn best(recipe: &str) -> TrainConfig {
    let adam = Adam { lr: 1.6e-3, betas: (0.0, 0.9), ..Adam::default() };
    let plain = config(recipe);
    let steps = 60_000;
    let to_zero = Schedule::Linear { horizon: steps, end: 0.0, warmup: 0 };
    TrainConfig {
        steps,
        sample_every: 5_000,
        conditioning: Conditioning::Projection,
        optimizer_d: adam.into(),
        optimizer_g: adam.into(),
        schedule_d: to_zero.clone(),
        schedule_g: to_zero,
        init: Init::Orthogonal { gain: 1.0 },
        step: StepConfig { loss: Loss::Hinge, r1: Some(1.0), lazy: 8, ..plain.step },
        ..plain
    }
}
