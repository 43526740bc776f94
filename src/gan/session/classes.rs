//! The digits that a run's fakes show.

use super::grids::REALS;
use crate::Result;
use crate::gan::trainer::Trainer;
use crate::metrics::{ClassReport, Classifier, ClassifierNet, digit_images};

/// The digit classifier, where it knows the run's first real images.
pub(super) fn classifier_of(trainer: &Trainer) -> Result<Option<Classifier>> {
    let Some(labels) = trainer.labels(REALS) else { return Ok(None) };
    knowing(&trainer.reals(REALS), &labels, trainer.image_shape(), trainer.config().data.pad)
}

/// The digit classifier, where it tells nine in ten of some real images right: other pictures of that size, of clothes for
/// example, have no digits to be counted.
pub(in crate::gan) fn knowing(
    reals: &[f32],
    labels: &[u32],
    shape: [usize; 3],
    pad: Option<usize>,
) -> Result<Option<Classifier>> {
    let Ok(images) = digit_images(reals, shape, pad) else { return Ok(None) };
    if labels.is_empty() || labels.iter().any(|&y| y as usize >= ClassifierNet::CLASSES) {
        return Ok(None);
    }
    let classifier = Classifier::mnist()?;
    let found = ClassReport::new(&classifier, &images, Some(labels))?;
    Ok(found.agreement.is_some_and(|a| a.overall >= 0.9).then_some(classifier))
}

/// The entropy of the classes that the classifier finds in fakes, in nats.
pub(super) fn class_entropy(classifier: &Classifier, trainer: &Trainer, fakes: &[f32]) -> Result<f64> {
    let images = digit_images(fakes, trainer.image_shape(), trainer.config().data.pad)?;
    Ok(ClassReport::new(classifier, &images, None)?.entropy)
}
