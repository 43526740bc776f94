//! Samples measured against real images: what every number needs to be compared, in one place.
//!
//! Real images are taken from one split, and as many of the other one are measured against them by the same code: the
//! floor, which is what samples of a perfect generator would have. Everything is drawn by a seed from images sorted by
//! what they show, so a result is the same for any order of files, number of threads and batch size. Both sides are
//! bytes: pictures as a PNG has them, not the floats of a network on one side.

mod evaluator;
mod findings;
mod metric;
mod side;

pub use evaluator::Evaluator;
pub use findings::{Finding, FindingKind};
pub use metric::{Better, Metric};

use super::{ClassReport, ClassifierConfig, FeatureNet, Subsets, digits};
use crate::data::{Dataset, Split};
use crate::{Error, Result};
use findings::findings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The metrics.
    pub metrics: BTreeSet<Metric>,
    /// The split that samples are compared with.
    pub against: Split,
    /// Samples, and real images of each split.
    pub n: usize,
    /// Seed of every draw.
    pub seed: u64,
}

impl Wanted {
    /// Refuses what cannot be measured by this network beside these images, before anything is.
    ///
    /// # Errors
    /// Names the metric or the number of samples, and what they may be.
    pub fn check(&self, net: &FeatureNet, reals: &Reals) -> Result<()> {
        let (real, _, other) = reals.sides(self.against, self.n)?;
        if net.classifier().is_some() {
            // The floor's labels count as well.
            let labelled = [Some(real), other].into_iter().flatten().filter(|d| d.labels.is_some());
            labelled.map(digits::labels).try_for_each(|found| found.map(drop))?;
        }
        if self.metrics.is_empty() {
            let remedy = format!("nothing can be measured of so few; use {} or more", Metric::FEWEST);
            return Err(Error::Argument { what: "--n", value: self.n.to_string(), remedy });
        }
        self.metrics.iter().try_for_each(|m| m.possible(net, self.n, reals))
    }
}

/// Where samples come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Pictures that are there.
    Pictures,
    /// A generator.
    Generator,
    /// A generator that is asked for classes.
    Conditional,
}

impl Metric {
    /// Fewer samples than this have no distances or neighbours to speak of.
    pub const FEWEST: usize = 50;

    /// Covariances of more features take gigabytes, and their eigenvalues hours.
    pub const MOST_FEATURES: usize = 4096;

    /// Refuses what samples of this source do not have.
    ///
    /// # Errors
    /// Names the metric and what it needs.
    pub fn check_source(self, source: Source) -> Result<()> {
        let needs = match self {
            Metric::PathLength if source == Source::Pictures => "a generator, not pictures",
            Metric::Agreement | Metric::GanTrain if source != Source::Conditional => "a conditional run",
            _ => return Ok(()),
        };
        let remedy = format!("it needs {needs}; leave it out");
        Err(Error::Argument { what: "metric", value: self.name().into(), remedy })
    }

    /// Refuses what cannot be measured of so many samples by this network beside these images.
    ///
    /// # Errors
    /// Names the metric and what it needs.
    pub fn possible(self, net: &FeatureNet, n: usize, reals: &Reals) -> Result<()> {
        let bad = |remedy| Err(Error::Argument { what: "metric", value: self.name().into(), remedy });
        if self == Metric::Kid && n < Subsets::SIZE {
            return bad(format!(
                "its subsets have {} samples, and there are {n}; use --n {0} or more",
                Subsets::SIZE
            ));
        }
        if n < Metric::FEWEST && !self.needs_classes() {
            return bad(format!(
                "it needs {} samples or more, and there are {n}; 10000 are usual",
                Metric::FEWEST
            ));
        }
        if self == Metric::GanTrain && n < ClassifierConfig::default().batch {
            return bad(format!(
                "it trains on batches of {}; use --n {0} or more",
                ClassifierConfig::default().batch
            ));
        }
        let [all, labelled] = [|_: &&Dataset| true, |d: &&Dataset| d.labels.is_some()]
            .map(|which| [reals.train, reals.test].into_iter().flatten().filter(which).count());
        if matches!(self, Metric::Copies | Metric::FeatureCopies | Metric::Strays) && all < 2 {
            return bad("it needs both a train and a test split of the real images; leave it out".into());
        }
        if self == Metric::GanTrain && labelled < all {
            return bad("it needs labels of the real images; leave it out".into());
        }
        let d = reals.train.or(reals.test).map_or(0, |data| net.count(data.shape()));
        if matches!(self, Metric::Fid | Metric::FidInfinity) && d > Self::MOST_FEATURES {
            return bad(format!(
                "a covariance of {d} features is too large, {} are possible; measure others, or compare by --inception",
                Self::MOST_FEATURES
            ));
        }
        let inception = matches!(net, FeatureNet::Inception(_));
        if inception && self == Metric::PathLength {
            return Err(cannot(self, "Inception takes bytes"));
        }
        if inception && self == Metric::FeatureCopies {
            return Err(cannot(self, "the features of all training images would take hours"));
        }
        if self.needs_classes() && net.classifier().is_none() && !(inception && self == Metric::Score) {
            return bad(format!(
                "features '{}' know no classes; use a classifier's, or leave it out",
                net.name()
            ));
        }
        Ok(())
    }
}

/// The error for a metric that a network does not serve.
pub(super) fn cannot(metric: Metric, why: &str) -> Error {
    let remedy = format!("{why}; use other --features for it");
    Error::Argument { what: "metric", value: metric.name().into(), remedy }
}

/// The real images that there are.
#[derive(Clone, Copy)]
pub struct Reals<'a> {
    /// Those that were trained on.
    pub train: Option<&'a Dataset>,
    /// Those that were not.
    pub test: Option<&'a Dataset>,
}

impl<'a> Reals<'a> {
    /// The set that samples are compared with, what it is called, and the one that gives the floor; none where there is
    /// one set only, whose halves do.
    fn sides(&self, against: Split, n: usize) -> Result<(&'a Dataset, String, Option<&'a Dataset>)> {
        let (name, real, other) = match against {
            Split::Test => ("test", self.test, self.train),
            Split::Train => ("train", self.train, self.test),
        };
        let (real, name, other) = match (real, other) {
            (Some(real), other @ Some(_)) => (real, name.into(), other),
            (Some(only), None) | (None, Some(only)) => (only, format!("half of {}", only.name), None),
            (None, None) => {
                let remedy = "give real images to compare with".into();
                return Err(Error::Argument { what: "--against", value: name.into(), remedy });
            }
        };
        let there = match other {
            Some(other) => real.images.count.min(other.images.count),
            None => real.images.count / 2,
        };
        if there < n {
            let remedy = format!(
                "there are {there} real images on {}; use at most that many",
                if other.is_some() { "one of the two sides" } else { "each half of the only set" }
            );
            return Err(Error::Argument { what: "--n", value: n.to_string(), remedy });
        }
        Ok((real, name, other))
    }
}

/// A number beside what real images have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Of the samples.
    pub value: f64,
    /// Between subsets or splits, where the metric has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// Of as many other real images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// value / floor, where that says something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

impl Measured {
    /// A number with nothing beside it.
    pub fn of(value: f64) -> Measured {
        Measured { value, deviation: None, floor: None, ratio: None }
    }

    /// With the floor beside it.
    fn beside(self, metric: Metric, floor: Option<&f64>) -> Measured {
        let ratio = floor.filter(|f| metric.has_ratio() && **f > 0.0).map(|f| self.value / f);
        Measured { floor: floor.copied(), ratio, ..self }
    }
}

/// What was measured of a set of samples, with everything that decides the numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The split of the real images: `test`, `train`, or half of a set.
    pub against: String,
    /// Samples.
    pub n_fake: usize,
    /// Real images, and as many others for the floor.
    pub n_real: usize,
    /// What the sets are known by that the real images were taken from: the split, then the other one.
    pub data: String,
    /// The feature network.
    pub features: String,
    /// SHA-256 of its weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_sha256: Option<String>,
    /// Seed of the draws.
    pub seed: u64,
    /// The numbers.
    pub metrics: BTreeMap<Metric, Measured>,
    /// What the network's classifier finds in the samples.
    #[serde(rename = "samples", skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassReport>,
    /// And in the real images.
    #[serde(rename = "real", skip_serializing_if = "Option::is_none")]
    pub real_classes: Option<ClassReport>,
    /// What the numbers say in words.
    pub findings: Vec<Finding>,
}

impl Evaluation {
    /// The fields that must be the same for two results to compare, and what they are called.
    pub const PROTOCOL: [(&str, &str); 7] = [
        ("n_fake", "samples"),
        ("n_real", "real images"),
        ("against", "against"),
        ("data", "data"),
        ("features", "features"),
        ("feature_sha256", "features' SHA-256"),
        ("seed", "seed of the draws"),
    ];

    /// Adds what was measured of the same samples in the same way before, where it was not measured again.
    pub fn with_earlier(mut self, earlier: BTreeMap<Metric, Measured>) -> Evaluation {
        for (metric, value) in earlier {
            self.metrics.entry(metric).or_insert(value);
        }
        self.findings = findings(&self.metrics, self.classes.as_ref().zip(self.real_classes.as_ref()));
        self
    }
}
