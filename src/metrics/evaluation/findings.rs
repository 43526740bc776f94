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
/// Precision below this share of the floor's, or density below the other: samples lie off the data. Precision alone would
/// not see it all: a real outlier has a wide ball, and whatever lies in it passes; density counts how many balls it is.
const PRECISE: f64 = 0.5;
const DENSE: f64 = 0.4;
/// Copies above this share: twenty times what held-out images have.
const COPIED: f64 = 0.2;
/// Strays above this share.
const STRAYED: f64 = 0.2;
/// A class with less than this share of the samples is missing, where it has five times as much of the real ones.
const MISSING: f64 = 0.01;

/// What the numbers say; nothing where all is as it should be, or too little was measured to tell.
pub(super) fn findings(
    metrics: &BTreeMap<Metric, Measured>,
    classes: Option<(&ClassReport, &ClassReport)>,
) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut say = |kind, text: String| all.push(Finding { kind, text });
    let of = |m: Metric| {
        metrics.get(&m).map(|v| (v.value, v.floor.unwrap_or(f64::NAN), v.ratio.unwrap_or(f64::NAN)))
    };
    let (precision, density) = (of(Metric::Precision), of(Metric::Density));
    let off = [(precision, "precision", PRECISE), (density, "density", DENSE)];
    let off = off.into_iter().find_map(|(m, name, bound)| m.filter(|m| m.2 < bound).map(|m| (name, m)));
    if let Some((strays, ..)) = of(Metric::Strays).filter(|(share, ..)| *share > STRAYED) {
        say(
            FindingKind::Noisy,
            format!(
                "{:.0} % of samples are farther from every training image (in pixels) than all but 1 % of real ones: they \
                 have noise or debris in them, which features may look past",
                100.0 * strays
            ),
        );
    } else if let Some((name, (value, floor, _))) = off {
        let text = format!(
            "many samples lie where no real image does: {name} {value:.3}, real images have {floor:.3}"
        );
        say(FindingKind::Noisy, text);
    } else if let (Some((coverage, floor, c)), true) = (of(Metric::Coverage), precision.is_some())
        && c < COLLAPSED
    {
        say(
            FindingKind::Collapsed,
            format!(
                "samples look real and are all alike: most real images have no sample near them, coverage {coverage:.3} \
                 where other real images have {floor:.3}"
            ),
        );
    }
    let copies = [(Metric::Copies, "pixels"), (Metric::FeatureCopies, "features")];
    let most =
        copies.into_iter().filter_map(|(m, by)| Some((of(m)?.0, by))).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((share, by)) = most.filter(|(share, _)| *share > COPIED) {
        say(
            FindingKind::Memorising,
            format!(
                "{:.0} % of samples are nearer to a training image (in {by}) than all but 1 % of images that were not \
                 trained on: it looks as if G drew from memory; see the nearest neighbours in `ganvil report`",
                100.0 * share
            ),
        );
    }
    if let Some((samples, real)) = classes {
        let both = samples.shares.iter().zip(&real.shares).enumerate();
        for (class, (share, real)) in both.filter(|(_, (share, real))| **share < MISSING.min(*real / 5.0)) {
            let text = format!(
                "class {class} has {:.2} % of the samples, and {:.2} % of the real images",
                100.0 * share,
                100.0 * real
            );
            say(FindingKind::MissingClass, text);
        }
    }
    all
}
