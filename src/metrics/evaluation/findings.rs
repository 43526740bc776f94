//! What numbers say in words: collapsed, memorising and noisy generators have different ones.
//!
//! Each rule compares with the floor, so that it is the same for other data and networks. No single number tells these
//! apart: a memorising generator has the best distance of all, a collapsed one may have the best precision.

use super::super::ClassReport;
use super::{Measured, Metric};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is wrong with samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Samples are good and all alike.
    Collapsed,
    /// A class is all but missing.
    MissingClass,
    /// Samples are copies of training images.
    Memorising,
    /// Samples lie off the data.
    Noisy,
}

/// A finding with the numbers that show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// In words.
    pub text: String,
}

/// Coverage below this share of the floor's: most real images have no sample near them.
const COLLAPSED: f64 = 0.3;
/// Precision above this share of the floor's: samples lie where real images do.
const PRECISE: f64 = 0.5;
/// Copies above this share: twenty times what held-out images have.
const COPIED: f64 = 0.2;
/// A class with less than this share of the samples is missing, where it has five times as much of the real ones.
const MISSING: f64 = 0.01;

/// What the numbers say; nothing where all is as it should be, or too little was measured to tell.
pub(super) fn findings(metrics: &BTreeMap<Metric, Measured>, classes: Option<&ClassReport>) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut say = |kind, text: String| all.push(Finding { kind, text });
    let of = |m: Metric| {
        metrics.get(&m).map(|v| (v.value, v.floor.unwrap_or(f64::NAN), v.ratio.unwrap_or(f64::NAN)))
    };
    if let (Some((precision, p_floor, p)), Some((coverage, c_floor, c))) =
        (of(Metric::Precision), of(Metric::Coverage))
    {
        if p < PRECISE {
            say(
                FindingKind::Noisy,
                format!(
                    "most samples lie where no real image does: precision {precision:.3}, real images have {p_floor:.3}"
                ),
            );
        } else if c < COLLAPSED {
            say(
                FindingKind::Collapsed,
                format!(
                    "samples look real and are all alike: most real images have no sample near them, coverage \
                     {coverage:.3} where other real images have {c_floor:.3}"
                ),
            );
        }
    }
    let copies = [(Metric::Copies, "pixels"), (Metric::FeatureCopies, "features")];
    let most =
        copies.into_iter().filter_map(|(m, by)| Some((of(m)?.0, by))).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((share, by)) = most.filter(|(share, _)| *share > COPIED) {
        say(
            FindingKind::Memorising,
            format!(
                "{:.0} % of samples are nearer to a training image (in {by}) than all but 1 % of images that were not \
                 trained on: G draws training images from memory",
                100.0 * share
            ),
        );
    }
    if let Some(classes) = classes {
        let expected = 1.0 / classes.shares.len() as f64;
        for (class, share) in
            classes.shares.iter().enumerate().filter(|(_, s)| **s < MISSING.min(expected / 5.0))
        {
            say(
                FindingKind::MissingClass,
                format!("class {class} has {:.2} % of the samples", 100.0 * share),
            );
        }
    }
    all
}
