//! What else keeps the game in balance, one file each: bounds on weights, noise and altered views of what D sees, packs,
//! other goals for G, and rules for whose turn it is.

pub mod balance;
pub mod diff_augment;
pub mod feature_matching;
pub mod instance_noise;
pub mod label_flips;
pub mod orthogonal;
pub mod packing;
pub mod unrolled;
pub mod weight_clipping;

pub use balance::{Balance, Standing};
pub use diff_augment::DiffAugment;
pub use feature_matching::feature_matching;
pub use instance_noise::InstanceNoise;
pub use label_flips::flip_labels;
pub use orthogonal::{OrthogonalForm, orthogonal};
pub use packing::pack;
pub use unrolled::unrolled;
pub use weight_clipping::{at_the_bound, clip_weights};
