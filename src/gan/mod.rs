//! Generative adversarial networks: the game, its losses, penalties and networks, and the trainer.
//!
//! A generator G turns noise z into samples; a discriminator D tells them from data. Conventions: x is real, G(z)
//! fake, a(x) the discriminator's logit, D(x) = sigmoid(a(x)); every loss is minimised and logged unscaled.

mod config;
pub mod losses;
mod network;
pub mod penalties;
mod prior;
mod run;
mod statistics;
mod step;
mod trainer;
pub mod zoo;

pub use config::TrainConfig;
pub use losses::{AdversarialLoss, Bce, Loss, Minimax, NonSaturating};
pub use network::Network;
pub use penalties::{GradientPenalty, gradient_penalty};
pub use prior::Prior;
pub use run::{Event, Record, Run, latest_checkpoint, run_training};
pub use statistics::{Statistics, StepStatistics};
pub use step::{
    DiscriminatorUpdate, Draws, Gan, GeneratorUpdate, NoProbe, NotFinite, On, Pass, Probe, StepConfig,
    StepLosses,
};
pub use trainer::{Sampler, Trainer, networks};
