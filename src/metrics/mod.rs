//! Measures of what a generator has learnt.

mod classes;
mod classifier;
mod digits;
mod divergence;
mod evaluation;
mod features;
mod fid;
mod gan_train;
mod inception;
mod kid;
mod manifold;
mod memory;
mod modes;
mod neighbours;
mod paired;
mod path_length;
mod pictures;
mod score;
mod sets;

pub use classes::{Agreement, ClassReport};
pub use classifier::{Classifier, ClassifierConfig, ClassifierNet, ClassifierTrainer};
pub use digits::digit_images;
pub use divergence::{js_divergence, kl_divergence};
pub use evaluation::{
    Better, Evaluation, Evaluator, Finding, FindingKind, Measured, Metric, Reals, Source, Wanted,
};
pub use features::FeatureNet;
pub use fid::{Moments, fid_infinity, frechet_distance};
pub use gan_train::gan_train;
pub use inception::Inception;
pub use kid::{KernelDistance, Subsets, kernel_distance};
pub use manifold::{DensityCoverage, PrecisionRecall, density_coverage, precision_recall};
pub use memory::{Nearest, copied_share, nearest_training, stray_share};
pub use modes::{ModeCoverage, mode_coverage};
pub use paired::{psnr, ssim};
pub use path_length::path_length;
pub(crate) use pictures::{median, nearest_picture};
pub use score::{Score, classifier_score};
pub use sets::Pair;
