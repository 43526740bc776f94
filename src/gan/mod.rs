//! Generative adversarial networks: the game, its losses, penalties and networks, and the trainer.
//!
//! A generator G turns noise z into samples; a discriminator D tells them from data. Conventions: x is real, G(z)
//! fake, a(x) the discriminator's logit or score, D(x) = sigmoid(a(x)), y a sample's class; every loss is minimised and
//! logged unscaled.

mod alarms;
mod alterations;
pub mod augment;
mod conditioning;
mod config;
mod draws;
mod evaluation;
mod explain;
#[cfg(test)]
mod faults;
mod judgement;
mod live;
mod loss_facts;
pub mod losses;
pub mod modes;
mod network;
pub mod penalties;
mod pieces;
mod prior;
mod probe;
mod prune;
pub mod regularisers;
mod resume;
mod run;
mod run_report;
mod sampler;
mod session;
mod settings;
mod singular;
mod source;
mod state;
mod statistics;
mod step;
mod step_config;
pub mod theory;
mod trainer;
mod transfer;
mod walk;
pub mod zoo;

pub use alarms::{Alarm, AlarmKind, Alarms};
pub use alterations::{Alterations, NormOfD, SpectralNormOf};
pub use conditioning::{Conditioning, Head, LabelEmbed, NetworkSpec};
pub use config::TrainConfig;
pub use draws::{Draws, On, Pass};
pub use evaluation::{Evaluate, EvaluationRecord, RealImages, feature_net, note_evaluation};
pub use explain::{Explain, ExplainedUpdate, Explanation, MovedParameter, SeenTensor, Term, explain};
pub use loss_facts::loss_facts;
pub use losses::{
    AdversarialLoss, Bce, Hinge, Loss, Lsgan, Minimax, NonSaturating, Output, RelativisticAverage,
    RelativisticPairing, Wasserstein,
};
pub use network::{Network, Verdict};
pub use penalties::{GradientPenalty, Penalties, R1, dragan, drift, gradient_penalty, r1, r2};
pub use prior::{Prior, Truncation, TruncationKind, truncated_normal};
pub use probe::{DiscriminatorUpdate, GeneratorUpdate, NoProbe, Probe};
pub use prune::{Pruned, prune};
pub use regularisers::{
    Balance, DiffAugment, InstanceNoise, OrthogonalForm, Standing as BalanceStanding, at_the_bound,
    clip_weights, feature_matching, flip_labels, orthogonal, pack, unrolled,
};
pub use resume::{Resumed, resume};
pub use run::{Run, checkpoints, is_running, latest_checkpoint, read_config};
pub use run_report::write_report;
pub use sampler::{Latents, NormStatistics, Sampler};
pub use session::{Event, Record, Watch, check_measuring, run_training};
pub use singular::{top_singular_value, top_singular_values};
pub use statistics::{Statistics, StepStatistics, mean_distance};
pub use step::{Gan, NotFinite, StepLosses};
pub use step_config::StepConfig;
pub use trainer::{Preview, Trainer, networks};
pub use transfer::{Import, Imported, Part, export, import};
pub use walk::slerp;
