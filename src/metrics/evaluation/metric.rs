//! What can be measured of samples.

use crate::names::unknown;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A number that is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The [Fréchet distance](crate::metrics::frechet_distance).
    Fid,
    /// The same [for infinitely many samples](crate::metrics::fid_infinity).
    FidInfinity,
    /// The [kernel distance](crate::metrics::kernel_distance), over 100 subsets of 1000.
    Kid,
    /// [Precision](crate::metrics::precision_recall) with the third neighbour.
    Precision,
    /// [Recall](crate::metrics::precision_recall) with the third neighbour.
    Recall,
    /// [Density](crate::metrics::density_coverage) with the fifth neighbour.
    Density,
    /// [Coverage](crate::metrics::density_coverage) with the fifth neighbour.
    Coverage,
    /// The [classifier score](crate::metrics::classifier_score) over ten splits.
    Score,
    /// Mean of the classifier's largest probability.
    Confidence,
    /// Entropy of the shares of the classes that the classifier finds, in nats.
    Entropy,
    /// The smallest of these shares.
    SmallestShare,
    /// The [Jensen-Shannon divergence](crate::metrics::js_divergence) of these shares and those of the real images, in nats.
    ClassJsd,
    /// Of a conditional model: the share of samples that the classifier takes for what was asked for (GAN-test).
    Agreement,
    /// Share of the first 1000 samples that are [copies](crate::metrics::copied_share) of training images in pixels.
    Copies,
    /// The same in features.
    FeatureCopies,
    /// Share of these samples that are [far](crate::metrics::stray_share) from every training image in pixels.
    Strays,
    /// [Perceptual path length](fn@crate::metrics::path_length), of a generator only.
    PathLength,
    /// Of a conditional model: how well a classifier trained on samples alone tells real images (GAN-train).
    GanTrain,
}

/// Whether less is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// Distances.
    Lower,
    /// Shares that are to be large.
    Higher,
}

impl Metric {
    /// All, in the order in which they are shown.
    pub const ALL: [Metric; 18] = [
        Metric::Fid,
        Metric::FidInfinity,
        Metric::Kid,
        Metric::Precision,
        Metric::Recall,
        Metric::Density,
        Metric::Coverage,
        Metric::Score,
        Metric::Confidence,
        Metric::Entropy,
        Metric::SmallestShare,
        Metric::ClassJsd,
        Metric::Agreement,
        Metric::Copies,
        Metric::FeatureCopies,
        Metric::Strays,
        Metric::PathLength,
        Metric::GanTrain,
    ];

    /// Its name in files, flags and tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Fid => "fid",
            Metric::FidInfinity => "fid-infinity",
            Metric::Kid => "kid",
            Metric::Precision => "precision",
            Metric::Recall => "recall",
            Metric::Density => "density",
            Metric::Coverage => "coverage",
            Metric::Score => "score",
            Metric::Confidence => "confidence",
            Metric::Entropy => "entropy",
            Metric::SmallestShare => "smallest-share",
            Metric::ClassJsd => "class-jsd",
            Metric::Agreement => "agreement",
            Metric::Copies => "copies",
            Metric::FeatureCopies => "feature-copies",
            Metric::Strays => "strays",
            Metric::PathLength => "path-length",
            Metric::GanTrain => "gan-train",
        }
    }

    /// Which way is better.
    pub fn better(self) -> Better {
        match self {
            Metric::Fid
            | Metric::FidInfinity
            | Metric::Kid
            | Metric::ClassJsd
            | Metric::Copies
            | Metric::FeatureCopies
            | Metric::Strays
            | Metric::PathLength => Better::Lower,
            _ => Better::Higher,
        }
    }

    /// Whether it is measured unless others are named: all but the training of a classifier, which takes longer than
    /// everything else.
    pub fn is_usual(self) -> bool {
        self != Metric::GanTrain
    }

    /// Whether the value divided by that of real images says how far there is to go: where real images have more than a
    /// little of it.
    pub(super) fn has_ratio(self) -> bool {
        !matches!(self, Metric::Kid | Metric::ClassJsd | Metric::PathLength)
    }

    /// Whether it needs classes, which not every network has.
    pub(super) fn needs_classes(self) -> bool {
        use Metric::{Agreement, ClassJsd, Confidence, Entropy, GanTrain, Score, SmallestShare};
        matches!(self, Score | Confidence | Entropy | SmallestShare | ClassJsd | Agreement | GanTrain)
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Metric {
    type Err = Error;
    fn from_str(s: &str) -> Result<Metric> {
        let found = Metric::ALL.into_iter().find(|m| m.name() == s);
        found.ok_or_else(|| unknown("metric", s, &Metric::ALL.map(Metric::name)))
    }
}
