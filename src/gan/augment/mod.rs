//! Scarce labels: whether images of a GAN that was trained on a few labelled ones make a better classifier of them.
//!
//! For n labelled images of each class and a seed, every [`Arm`] trains the same classifier from the same first weights
//! for the same number of steps, and only what it learns from differs: so many steps for all, because more images in
//! as many passes would be more steps. The GAN is conditional, trained on the labelled images alone and under DiffAugment
//! (Zhao et al., 2020, arXiv:2006.10738), without which it learns fewer than about 20 images of a class by heart;
//! [`Memory`] says whether it did all the same.
//!
//! Everything that is chosen (the ratio r of added images, the state of a GAN, the state of a classifier) is chosen on
//! validation images, which are neither labelled nor test images. The test images are looked at once for each arm, by the
//! classifier that was chosen. Pitfall: that validation set is larger than the labelled one, so that choices are better
//! than few labels alone would allow; they are so for every arm alike, but arms with more to choose gain more.
//!
//! Arms `pseudo` and `semi` use the unlabelled training images, and labels for them by arm `real`'s classifier; they are
//! to be compared with each other, and with the other arms only by who has such images.
//!
//! Seeds draw labelled images, weights and noise anew, and arms share them ([`Difference`] is of pairs). No difference
//! shown is a result, and is reported as one.

mod arms;
mod config;
mod experiment;
mod memory;
mod results;
mod split;
mod statistics;
mod training;

pub use arms::Arm;
pub use config::{AugmentConfig, Settings, Trainings};
pub use experiment::{Experiment, Progress};
pub use memory::Memory;
pub use results::{ArmResult, Cell, CellResult, Folder, GanResult, TrainedOn};
pub use split::Parts;
pub use statistics::{Difference, Verdict, t_quantile};
