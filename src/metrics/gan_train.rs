//! What samples are worth as training data.

use super::{ClassifierConfig, ClassifierTrainer};
use crate::data::{Dataset, Images};
use crate::{Device, Result};
use std::sync::Arc;

/// Passes over the samples.
const EPOCHS: u64 = 2;

/// GAN-train (Shmelkov et al., 2018, arXiv:1807.09499, section 3; "classification accuracy score" of Ravuri and Vinyals,
/// 2019, arXiv:1905.10887): the share of real images that a classifier tells right which was trained on samples alone,
/// from `seed`, for two passes over them. High only where samples are right, varied, and of the class they were asked for.
///
/// # Errors
/// If the images are not grey pictures of 28 x 28 in at most ten classes, or there are fewer samples than a batch of 128.
pub fn gan_train(samples: &Images, asked: &[u32], real: &Images, labels: &[u32], seed: u64) -> Result<f64> {
    let data = |images: &Images, labels: &[u32]| {
        let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
        Dataset {
            images: images.clone(),
            labels: Some(labels.to_vec()),
            classes: (0..classes).map(|c| c.to_string()).collect(),
            name: "samples".into(),
        }
    };
    let config = ClassifierConfig { seed, epochs: EPOCHS, ..ClassifierConfig::default() };
    let mut trainer = ClassifierTrainer::new(config, Arc::new(data(samples, asked)), Device::Cpu)?;
    for _ in 0..EPOCHS {
        trainer.epoch()?;
    }
    trainer.net().accuracy(&data(real, labels))
}
