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
mod sampler;
mod statistics;
mod step;
mod trainer;
mod transfer;
mod walk;
pub mod zoo;

pub use config::TrainConfig;
pub use losses::{AdversarialLoss, Bce, Loss, Minimax, NonSaturating};
pub use network::Network;
pub use penalties::{GradientPenalty, gradient_penalty};
pub use prior::{Prior, Truncation, TruncationKind, truncated_normal};
pub use run::{Event, Record, Run, latest_checkpoint, run_training};
pub use sampler::{Latents, NormStatistics, Sampler};
pub use statistics::{Statistics, StepStatistics};
pub use step::{
    DiscriminatorUpdate, Draws, Gan, GeneratorUpdate, NoProbe, NotFinite, On, Pass, Probe, StepConfig,
    StepLosses,
};
pub use trainer::{Trainer, networks};
pub use transfer::{Import, Imported, Part, export, import};
pub use walk::slerp;
