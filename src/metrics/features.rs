//! What pictures are compared by.

use super::{Classifier, ClassifierNet, Inception, Metric, digit_images, digits};
use crate::data::{Images, from_unit};
use crate::{DType, Result, Tensor};

/// A network whose features pictures are compared by, or their pixels. Values of two networks do not compare, nor those of
/// two sets of weights: the checksum stands beside each result.
#[derive(Clone)]
pub enum FeatureNet {
    /// The 128 features of a classifier of 28 x 28 grey pictures, and its classes. The name is what it was trained on.
    Classifier(String, Box<Classifier>),
    /// The 2048 features of Inception-v3, grey or colours, of any size.
    Inception(Box<Inception>),
    /// The pixels, in [0, 1]: for pictures of any size.
    Pixels,
}

impl FeatureNet {
    /// The digit classifier that comes with the program.
    ///
    /// # Errors
    /// As [`Classifier::mnist`].
    pub fn mnist() -> Result<FeatureNet> {
        Ok(FeatureNet::Classifier("mnist-classifier".into(), Box::new(Classifier::mnist()?)))
    }

    /// What results call it.
    pub fn name(&self) -> &str {
        match self {
            FeatureNet::Classifier(name, _) => name,
            FeatureNet::Inception(_) => "inception-v3",
            FeatureNet::Pixels => "pixels",
        }
    }

    /// SHA-256 of the weights; none of pixels.
    pub fn checksum(&self) -> Option<&str> {
        match self {
            FeatureNet::Classifier(_, c) => Some(c.checksum()),
            FeatureNet::Inception(i) => Some(i.checksum()),
            FeatureNet::Pixels => None,
        }
    }

    /// How many numbers it makes of a picture of these channels, rows and columns.
    pub fn count(&self, shape: [usize; 3]) -> usize {
        match self {
            FeatureNet::Classifier(..) => ClassifierNet::FEATURES,
            FeatureNet::Inception(_) => Inception::FEATURES,
            FeatureNet::Pixels => shape.iter().product(),
        }
    }

    /// The classifier, if it is one.
    pub fn classifier(&self) -> Option<&Classifier> {
        match self {
            FeatureNet::Classifier(_, c) => Some(c),
            FeatureNet::Inception(_) | FeatureNet::Pixels => None,
        }
    }

    /// `[n, d]`. A picture's features do not depend on the others.
    ///
    /// # Errors
    /// If the network does not take pictures of this shape.
    pub fn features(&self, images: &Images) -> Result<Tensor> {
        match self {
            FeatureNet::Classifier(_, c) => Ok(c.features(&digits::tensor(images)?)),
            FeatureNet::Inception(i) => i.features(images),
            FeatureNet::Pixels => Ok(pixels(images)),
        }
    }

    /// Samples in [-1, 1], `[n, channels * rows * cols]`, as pictures that this network takes: bytes, and for a classifier
    /// without the background that they were padded with.
    ///
    /// # Errors
    /// If the network does not take pictures of this shape.
    pub fn images(&self, samples: &[f32], shape: [usize; 3], pad: Option<usize>) -> Result<Images> {
        match self {
            FeatureNet::Classifier(..) => digit_images(samples, shape, pad),
            FeatureNet::Inception(_) | FeatureNet::Pixels => {
                let [channels, rows, cols] = shape;
                let count = samples.len() / (channels * rows * cols);
                let pixels = samples.iter().map(|v| from_unit(*v)).collect();
                Ok(Images { count, channels, rows, cols, pixels })
            }
        }
    }

    /// [`FeatureNet::features`] of samples as they come out of a generator, between whose values there are no steps.
    ///
    /// # Errors
    /// As [`FeatureNet::images`], and of Inception, whose program takes bytes.
    pub fn smooth_features(&self, samples: &[f32], shape: [usize; 3], pad: Option<usize>) -> Result<Tensor> {
        let n = samples.len() / shape.iter().product::<usize>().max(1);
        match self {
            FeatureNet::Classifier(_, c) => Ok(c.features(&digits::middle(samples, shape, pad)?)),
            FeatureNet::Inception(_) => {
                Err(super::evaluation::cannot(Metric::PathLength, "Inception takes bytes"))
            }
            FeatureNet::Pixels => {
                let values: Vec<f32> = samples.iter().map(|v| (v + 1.0) / 2.0).collect();
                Ok(Tensor::new(&values, &[n, values.len() / n]))
            }
        }
    }

    /// Probabilities of the network's classes for [features](FeatureNet::features), f64 `[n, classes]`; none where it has
    /// none. Inception's are without the bias, as in the program that its score comes from.
    pub fn probabilities(&self, features: &Tensor) -> Option<Tensor> {
        let logits = match self {
            FeatureNet::Classifier(_, c) => c.logits_of_features(features),
            FeatureNet::Inception(i) => i.unbiased_logits(features)?,
            FeatureNet::Pixels => return None,
        };
        Some(logits.to_dtype(DType::F64).softmax(1))
    }
}

/// Pixels in [0, 1], `[n, channels * rows * cols]`.
pub(super) fn pixels(images: &Images) -> Tensor {
    let values: Vec<f32> = images.pixels.iter().map(|v| f32::from(*v) / 255.0).collect();
    Tensor::new(&values, &[images.count, images.area()])
}
