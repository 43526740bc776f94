//! Measures of what a generator has learnt.

mod classes;
mod classifier;
mod digits;
mod modes;

pub use classes::{Agreement, ClassReport};
pub use classifier::{Classifier, ClassifierConfig, ClassifierNet, ClassifierTrainer};
pub use digits::digit_images;
pub use modes::{ModeCoverage, mode_coverage};
