//! One of the sets that are compared, with all that is computed of it once.

use super::super::features::pixels;
use super::super::manifold::Manifold;
use super::super::neighbours::Points;
use super::super::sets::{matrix, shuffled};
use super::super::{ClassReport, FeatureNet, Moments, Score, classifier_score, nearest_training};
use super::{Metric, Reals};
use crate::data::Images;
use crate::{Result, Tensor};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// Splits of the classifier score.
const SPLITS: usize = 10;
/// Samples whose nearest training images are looked for.
pub(super) const NEIGHBOURS_OF: usize = 1000;

/// Images, in an order that depends on what they show and on the seed: neither on names of files nor on who drew them.
pub(super) struct Side {
    pub images: Images,
    pub labels: Option<Vec<u32>>,
    /// f64 `[n, d]`.
    pub features: Tensor,
    moments: OnceCell<Moments>,
    manifold: OnceCell<Manifold>,
    /// What a classifier finds, and the score of a network with classes.
    pub classes: Option<ClassReport>,
    pub score: Option<Score>,
}

impl Side {
    /// The first `n` of the images in that order.
    pub fn new(
        net: &FeatureNet,
        images: &Images,
        labels: Option<&[u32]>,
        n: usize,
        seed: u64,
    ) -> Result<Side> {
        let order = order(images, labels, seed);
        Side::of(net, images, labels, &order[..n.min(order.len())], None)
    }

    /// Of the images with these numbers; `known` are the features of all images, where they are known.
    pub fn of(
        net: &FeatureNet,
        images: &Images,
        labels: Option<&[u32]>,
        chosen: &[usize],
        known: Option<&Tensor>,
    ) -> Result<Side> {
        let images = pick(images, chosen);
        let labels: Option<Vec<u32>> = labels.map(|l| chosen.iter().map(|i| l[*i]).collect());
        let features = match known {
            Some(all) => {
                let rows: Vec<i64> = chosen.iter().map(|i| *i as i64).collect();
                all.index_select(0, &Tensor::new(&rows, &[rows.len()]).to_device(all.device()))
            }
            None => net.features(&images)?,
        };
        let probabilities = net.probabilities(&features);
        let score = probabilities.as_ref().map(|p| classifier_score(p, SPLITS.min(images.count)));
        let known = probabilities.filter(|_| net.classifier().is_some());
        let classes = known.map(|p| ClassReport::of_probabilities(&p, labels.as_deref()));
        let features = matrix("evaluation", &features);
        Ok(Side {
            labels,
            images,
            features,
            moments: OnceCell::new(),
            manifold: OnceCell::new(),
            classes,
            score,
        })
    }

    pub fn len(&self) -> usize {
        self.images.count
    }

    pub fn moments(&self) -> &Moments {
        self.moments.get_or_init(|| Moments::of(&self.features))
    }

    pub fn manifold(&self) -> &Manifold {
        let k = [Manifold::K_PRECISION, Manifold::K_DENSITY];
        self.manifold.get_or_init(|| Manifold::new(Points::new(self.features.clone()), k))
    }

    /// How far the first of them are from the nearest of the training images, in pixels and in features.
    pub fn distances_to(&self, training: &Training) -> (Vec<f64>, Option<Vec<f64>>) {
        let n = self.len().min(NEIGHBOURS_OF);
        let of = |samples: Tensor, training: &Tensor| {
            nearest_training(&samples.narrow(0, 0, n), training).distance
        };
        let in_features = training.features.as_ref().map(|t| of(self.features.clone(), t));
        (of(pixels(&self.images), &training.pixels), in_features)
    }
}

/// All training images, to look for copies among.
pub(super) struct Training {
    /// f32 `[n, pixels]`, in [0, 1].
    pub pixels: Tensor,
    /// `[n, d]`, if they are wanted.
    pub features: Option<Tensor>,
}

impl Training {
    /// Those of both splits that these metrics look at, if any does.
    pub fn wanted(net: &FeatureNet, reals: &Reals, metrics: &BTreeSet<Metric>) -> Result<Option<Training>> {
        let asked =
            [Metric::Copies, Metric::FeatureCopies, Metric::Strays].iter().any(|m| metrics.contains(m));
        let (Some(train), Some(_), true) = (reals.train, reals.test, asked) else { return Ok(None) };
        let features = metrics.contains(&Metric::FeatureCopies).then(|| net.features(&train.images));
        Ok(Some(Training { pixels: pixels(&train.images), features: features.transpose()? }))
    }
}

/// The numbers of images, sorted by what they show and then drawn by the seed. Of equal images the labels decide, so that
/// the result is the same for every order that they may come in.
pub(super) fn order(images: &Images, labels: Option<&[u32]>, seed: u64) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..images.count).collect();
    let label = |i: usize| labels.map(|l| l[i]);
    sorted.sort_by(|&a, &b| images.image(a).cmp(images.image(b)).then_with(|| label(a).cmp(&label(b))));
    shuffled(images.count, seed, 0).into_iter().map(|i| sorted[i]).collect()
}

/// Images with these numbers.
pub(super) fn pick(images: &Images, chosen: &[usize]) -> Images {
    let pixels = chosen.iter().flat_map(|i| images.image(*i)).copied().collect();
    let [channels, rows, cols] = images.shape();
    Images { count: chosen.len(), channels, rows, cols, pixels }
}
