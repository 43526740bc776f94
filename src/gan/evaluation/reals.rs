//! The real images that a run's samples are compared with.

use crate::data::{Dataset, Fingerprint, ImageOptions, Split, locate};
use crate::metrics::{Classifier, ClassifierNet, FeatureNet, Reals};
use crate::{Error, Result};
use std::path::Path;

/// Both parts of a data set, as far as they are there.
pub struct RealImages {
    train: Option<Dataset>,
    test: Option<Dataset>,
}

impl RealImages {
    /// Reads them from a folder, or from the usual places. Classifiers see pictures without background added.
    ///
    /// # Errors
    /// If there is neither part, or one is damaged.
    pub fn open(dir: Option<&Path>, options: &ImageOptions) -> Result<RealImages> {
        let dir = locate(dir)?;
        let read = |split| match Dataset::open(&dir, split, options) {
            Ok(data) => Ok(Some(data)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        };
        let (train, test) = (read(Split::Train)?, read(Split::Test)?);
        if train.is_none() && test.is_none() {
            // Says what was looked for.
            Dataset::open(&dir, Split::Train, options)?;
        }
        Ok(RealImages { train, test })
    }

    /// For an evaluator.
    pub fn reals(&self) -> Reals<'_> {
        Reals { train: self.train.as_ref(), test: self.test.as_ref() }
    }

    /// Whether a run that was trained on data known by this was trained on these images.
    ///
    /// # Errors
    /// If it was not.
    pub fn check(&self, trained_on: Option<Fingerprint>) -> Result<()> {
        let Some((found, of_run)) = self.train.as_ref().map(Dataset::fingerprint).zip(trained_on) else {
            return Ok(());
        };
        if found == of_run {
            return Ok(());
        }
        let remedy =
            format!("the run was trained on other data, {of_run}; name the folder to compare with by --data");
        Err(Error::Argument { what: "data", value: found.to_string(), remedy })
    }

    /// The split that samples are compared with unless another is asked for: images that were not trained on, if there are any.
    pub fn against(&self) -> Split {
        if self.test.is_some() { Split::Test } else { Split::Train }
    }

    /// One of them.
    fn any(&self) -> Option<&Dataset> {
        self.test.as_ref().or(self.train.as_ref())
    }
}

/// Images that a classifier is tried on.
const TRIED: usize = 256;
/// The share of them that it tells right, or they are of something else.
const RIGHT: f64 = 0.9;

/// The network that fits these pictures: the digit classifier where it knows them, else pixels.
///
/// # Errors
/// As [`Classifier::mnist`].
pub fn feature_net(reals: &RealImages) -> Result<FeatureNet> {
    let Some(data) = reals.any() else { return Ok(FeatureNet::Pixels) };
    let known = data.shape() == [1, ClassifierNet::SIDE, ClassifierNet::SIDE]
        && data.labels.is_some()
        && data.classes.len() <= ClassifierNet::CLASSES;
    if !known {
        return Ok(FeatureNet::Pixels);
    }
    let classifier = Classifier::mnist()?;
    let right = classifier.net().accuracy(&data.first(TRIED))?;
    Ok(if right >= RIGHT { FeatureNet::mnist()? } else { FeatureNet::Pixels })
}
