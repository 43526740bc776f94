//! The measuring of one set after another against the same real images.

use super::super::divergence::js;
use super::super::manifold::Manifold;
use super::super::{
    FeatureNet, Pair, Subsets, copied_share, fid_infinity, gan_train, kernel_distance, stray_share,
};
use super::side::{NEIGHBOURS_OF, Side, Training, order};
use super::{Evaluation, Measured, Metric, Reals, Wanted, findings};
use crate::data::{Dataset, Images};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// A classifier that tells fewer of the real images right was trained on others.
const KNOWS_THEM: f64 = 0.8;

/// Real images, ready to be compared with: what is the same for every set of samples is computed once.
pub struct Evaluator {
    net: FeatureNet,
    wanted: Wanted,
    against: String,
    data: String,
    real: Side,
    /// Other real images, which are what a perfect generator would give.
    floor: Side,
    training: Option<Training>,
    /// How far held-out real images are from training images, in pixels and features.
    held_out: Option<(Vec<f64>, Option<Vec<f64>>)>,
    floors: BTreeMap<Metric, f64>,
}

impl Evaluator {
    /// Takes `wanted.n` real images of the split and as many of the other one, and measures the second against the first:
    /// the floor.
    ///
    /// # Errors
    /// If there are not that many images, the network does not take their shape or does not know them, or a metric needs
    /// more images or classes that the network does not have.
    pub fn new(net: FeatureNet, reals: &Reals, wanted: Wanted) -> Result<Evaluator> {
        wanted.check(&net, reals)?;
        let (real, against, other) = reals.sides(wanted.against, wanted.n)?;
        let known = |d: &Dataset| format!("{:08x}", d.fingerprint().crc32);
        let data = [Some(real), other].into_iter().flatten().map(known).collect::<Vec<_>>().join(" ");
        let training = Training::wanted(&net, reals, &wanted.metrics)?;
        let side = |data: &Dataset, chosen: &[usize]| {
            // A picture's features do not depend on others: those of training images may be known.
            let trained_on = reals.train.is_some_and(|train| std::ptr::eq(train, data));
            let known = training.as_ref().filter(|_| trained_on).and_then(|t| t.features.as_ref());
            Side::of(&net, &data.images, data.labels.as_deref(), chosen, known)
        };
        let ordered = |d: &Dataset| order(&d.images, d.labels.as_deref(), wanted.seed);
        let (real, floor) = match other {
            Some(other) => {
                (side(real, &ordered(real)[..wanted.n])?, side(other, &ordered(other)[..wanted.n])?)
            }
            // One set: its halves, which share no image.
            None => {
                let all = ordered(real);
                let (first, second) = all.split_at(all.len() / 2);
                (side(real, &first[..wanted.n])?, side(real, &second[..wanted.n])?)
            }
        };
        let mut e = Evaluator {
            net,
            wanted,
            against,
            data,
            real,
            floor,
            training,
            held_out: None,
            floors: BTreeMap::new(),
        };
        e.check_knowledge()?;
        e.look_for_copies(reals)?;
        e.floors = e.measure(&e.floor)?.into_iter().map(|(m, v)| (m, v.value)).collect();
        Ok(e)
    }

    /// The network.
    pub fn net(&self) -> &FeatureNet {
        &self.net
    }

    /// What was asked for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Measures samples, with the class that was asked of each if any was. Of more samples than were asked for, a draw is
    /// taken.
    ///
    /// # Errors
    /// If they are fewer, or of another shape than the real images.
    pub fn evaluate(&self, samples: &Images, asked: Option<&[u32]>) -> Result<Evaluation> {
        let n = self.wanted.n;
        Evaluator::check_count(samples.count, n)?;
        let shape = |[c, h, w]: [usize; 3]| format!("{c} x {h} x {w}");
        if samples.shape() != self.real.images.shape() {
            let remedy = format!(
                "the real images are {} (channels x rows x columns); compare pictures of one shape",
                shape(self.real.images.shape())
            );
            return Err(Error::Argument { what: "image shape", value: shape(samples.shape()), remedy });
        }
        let side = Side::new(&self.net, samples, asked, n, self.wanted.seed)?;
        let metrics: BTreeMap<Metric, Measured> =
            self.measure(&side)?.into_iter().map(|(m, v)| (m, v.beside(m, self.floors.get(&m)))).collect();
        let classes = side.classes.clone();
        let findings = findings(&metrics, classes.as_ref().zip(self.real.classes.as_ref()));
        Ok(Evaluation {
            against: self.against.clone(),
            data: self.data.clone(),
            n_fake: n,
            n_real: self.real.len(),
            features: self.net.name().into(),
            feature_sha256: self.net.checksum().map(str::to_owned),
            seed: self.wanted.seed,
            metrics,
            classes,
            real_classes: self.real.classes.clone(),
            findings,
        })
    }

    /// Refuses `found` samples where `n` are wanted and there are fewer.
    ///
    /// # Errors
    /// Then.
    pub fn check_count(found: usize, n: usize) -> Result<()> {
        if found >= n {
            return Ok(());
        }
        let remedy = format!("{found} samples are there; give --n {found} or less, or more samples");
        Err(Error::Argument { what: "--n", value: n.to_string(), remedy })
    }

    /// Refuses a classifier of other pictures.
    fn check_knowledge(&self) -> Result<()> {
        let Some(report) = &self.real.classes else { return Ok(()) };
        match &report.agreement {
            Some(a) if a.overall < KNOWS_THEM => Err(Error::Argument {
                what: "feature network",
                value: self.net.name().into(),
                remedy: format!(
                    "it tells {:.0} % of the real images right, so it was trained on others; use --features pixels, or \
                     `ganvil train classifier --data DIR` and --classifier FILE",
                    100.0 * a.overall
                ),
            }),
            _ => Ok(()),
        }
    }

    /// How near real images that no training has seen are to training images.
    fn look_for_copies(&mut self, reals: &Reals) -> Result<()> {
        let (Some(training), Some(test)) = (&self.training, reals.test) else { return Ok(()) };
        let mut held_out = order(&test.images, None, self.wanted.seed);
        held_out.truncate(NEIGHBOURS_OF);
        let held_out = Side::of(&self.net, &test.images, None, &held_out, None)?;
        self.held_out = Some(held_out.distances_to(training));
        Ok(())
    }

    fn measure(&self, side: &Side) -> Result<BTreeMap<Metric, Measured>> {
        let mut found = BTreeMap::new();
        let wants = |m: Metric| self.wanted.metrics.contains(&m);
        let mut put = |m: Metric, value: f64| {
            if wants(m) {
                found.insert(m, Measured::of(value));
            }
        };
        let pair = Pair { real: &self.real.features, fake: &side.features };
        if wants(Metric::Fid) {
            put(Metric::Fid, self.real.moments().distance(side.moments()));
        }
        if wants(Metric::FidInfinity) {
            put(Metric::FidInfinity, fid_infinity(pair, self.wanted.seed));
        }
        if [Metric::Precision, Metric::Recall, Metric::Density, Metric::Coverage].iter().any(|m| wants(*m)) {
            let (p, d) = Manifold::compare(self.real.manifold(), side.manifold());
            put(Metric::Precision, p.precision);
            put(Metric::Recall, p.recall);
            put(Metric::Density, d.density);
            put(Metric::Coverage, d.coverage);
        }
        self.measure_classes(side, &mut put)?;
        self.measure_copies(side, &mut put);
        if wants(Metric::Kid) {
            let n = [self.real.len(), side.len()];
            let d =
                kernel_distance(pair, &Subsets::drawn(Subsets::COUNT, Subsets::SIZE, n, self.wanted.seed));
            found.insert(Metric::Kid, Measured { deviation: Some(d.deviation), ..Measured::of(d.mean) });
        }
        if let Some(score) = side.score
            && wants(Metric::Score)
        {
            let deviation = Some(score.deviation);
            found.insert(Metric::Score, Measured { deviation, ..Measured::of(score.mean) });
        }
        Ok(found)
    }

    fn measure_classes(&self, side: &Side, put: &mut dyn FnMut(Metric, f64)) -> Result<()> {
        let Some(report) = &side.classes else { return Ok(()) };
        put(Metric::Confidence, report.confidence);
        put(Metric::Entropy, report.entropy);
        put(Metric::SmallestShare, report.min_share);
        if let Some(real) = &self.real.classes {
            put(Metric::ClassJsd, js(&report.shares, &real.shares));
        }
        if let Some(agreement) = &report.agreement {
            put(Metric::Agreement, agreement.overall);
        }
        let wanted = self.wanted.metrics.contains(&Metric::GanTrain);
        if let (Some(labels), Some(real), true) = (&side.labels, &self.real.labels, wanted) {
            put(
                Metric::GanTrain,
                gan_train(&side.images, labels, &self.real.images, real, self.wanted.seed)?,
            );
        }
        Ok(())
    }

    /// The floor's images may be training images themselves: what stands for it is the share that held-out images have of
    /// each other, which is by definition about 1 in 100.
    fn measure_copies(&self, side: &Side, put: &mut dyn FnMut(Metric, f64)) {
        let (Some(training), Some(held_out)) = (&self.training, &self.held_out) else { return };
        let is_floor = std::ptr::eq(side, &self.floor);
        let found = if is_floor { held_out.clone() } else { side.distances_to(training) };
        put(Metric::Copies, copied_share(&found.0, &held_out.0));
        put(Metric::Strays, stray_share(&found.0, &held_out.0));
        if let (Some(found), Some(held_out)) = (&found.1, &held_out.1) {
            put(Metric::FeatureCopies, copied_share(found, held_out));
        }
    }
}
