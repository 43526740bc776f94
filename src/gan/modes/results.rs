//! What seeds end with, and the folder that keeps it.

use super::{COUNTED, ModesConfig};
use crate::Result;
use crate::data::Synthetic;
use crate::gan::pieces::Pieces;
use crate::metrics::{ModeCoverage, mode_coverage};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What was counted on samples; see [`ModeCoverage`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Good samples of each mode.
    pub counts: Vec<usize>,
    /// Modes with at least one.
    pub modes: usize,
    /// Share of good samples, from 0 to 1.
    pub high_quality: f64,
    /// KL(shares of the good samples || the mixture's weights), in nats.
    pub reverse_kl: Option<f64>,
    /// The Jensen-Shannon divergence of the two, in nats.
    pub jsd: Option<f64>,
    /// Width of the modes in sigmas, over the good samples: 0.974 for perfect ones.
    pub width: Option<f64>,
}

impl Score {
    pub(super) fn of(c: &ModeCoverage) -> Score {
        Score {
            modes: c.captured(),
            high_quality: c.high_quality(),
            reverse_kl: c.reverse_kl,
            jsd: c.jsd,
            width: c.width,
            counts: c.counts.clone(),
        }
    }
}

/// What the game of a seed ended with: a file `seed-NNN.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedResult {
    /// The distribution.
    pub task: Synthetic,
    /// The recipe's name.
    pub recipe: String,
    /// [`ModesConfig::digest`] of the settings.
    pub settings: String,
    /// The seed.
    pub seed: u64,
    /// Steps played.
    pub steps: u64,
    /// The instruction set of the kernels: bits depend on it.
    pub simd: String,
    /// Wall time of this seed's game.
    pub seconds: f64,
    /// How it ended.
    pub score: Score,
    /// Steps and how the game stood after them.
    pub snapshots: Vec<(u64, Score)>,
}

/// Mean and standard deviation (of n - 1) over seeds, and the ends.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation; 0 for one value.
    pub deviation: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of values; None if there are none.
    ///
    /// ```
    /// use ganvil::gan::modes::Spread;
    /// let s = Spread::of([1.0, 3.0]).unwrap();
    /// assert_eq!((s.mean, s.deviation, s.least, s.most), (2.0, 2f64.sqrt(), 1.0, 3.0));
    /// assert_eq!(Spread::of([]), None);
    /// ```
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let v: Vec<f64> = values.into_iter().collect();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let squares: f64 = v.iter().map(|x| (x - mean).powi(2)).sum();
        let ends = |f: fn(f64, f64) -> f64| v.iter().copied().reduce(f);
        Some(Spread {
            mean,
            deviation: (squares / (v.len().max(2) - 1) as f64).sqrt(),
            least: ends(f64::min)?,
            most: ends(f64::max)?,
        })
    }
}

/// Scores of real data, as many samples and counted by the same code: one of each of so many draws.
///
/// # Errors
/// If the distribution has no modes.
pub fn ceiling(config: &ModesConfig, draws: usize) -> Result<Vec<Score>> {
    let mixture = config.mixture()?;
    // Games take their data from the beginning of a seed's; these are from far behind it.
    let from = |i: usize| config.task.samples_from(0, (1 << 40) + (i * COUNTED) as u64).take(COUNTED);
    Ok((0..draws).map(|i| Score::of(&mode_coverage(&from(i), &mixture))).collect())
}

/// A published result on one of the tasks.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Published {
    /// The distribution.
    pub task: Synthetic,
    /// The method.
    pub method: &'static str,
    /// Mean modes.
    pub modes: f64,
    /// Good samples in per cent.
    pub high_quality: f64,
    /// Where it stands.
    pub source: &'static str,
}

const VEEGAN: &str = "Srivastava et al., 2017, arXiv:1705.07761, table 1";
const PACGAN: &str = "Lin et al., 2018, arXiv:1712.04086, table 1";
const GDPP: &str = "Elfeki et al., 2019, arXiv:1812.00068 (quoted, not read again)";

/// Published results on a task. They are of other networks, optimisers and lengths of training, so that only their order
/// of magnitude compares.
///
/// ```
/// use ganvil::{data::Synthetic, gan::modes::published};
/// assert!(published(Synthetic::Ring8).any(|p| p.method == "VEEGAN" && p.modes == 8.0));
/// assert_eq!(published(Synthetic::TwoMoons).count(), 0);
/// ```
pub fn published(task: Synthetic) -> impl Iterator<Item = Published> {
    let rows: &[(&'static str, f64, f64, &'static str)] = match task {
        Synthetic::Ring8 => &[
            ("GAN", 1.0, 99.3, VEEGAN),
            ("ALI", 2.8, 0.13, VEEGAN),
            ("unrolled GAN", 7.6, 35.6, VEEGAN),
            ("VEEGAN", 8.0, 52.9, VEEGAN),
            ("GAN", 6.3, 98.2, PACGAN),
            ("PacGAN2", 7.9, 95.6, PACGAN),
            ("WGAN-GP", 6.8, 59.6, GDPP),
        ],
        Synthetic::Grid25 => &[
            ("GAN", 3.3, 0.5, VEEGAN),
            ("unrolled GAN", 23.6, 16.0, VEEGAN),
            ("VEEGAN", 24.6, 40.0, VEEGAN),
            ("GAN", 17.3, 94.8, PACGAN),
            ("PacGAN4", 24.8, 93.6, PACGAN),
            ("WGAN-GP", 24.2, 28.7, GDPP),
        ],
        _ => &[],
    };
    let row =
        move |&(method, modes, high_quality, source)| Published { task, method, modes, high_quality, source };
    rows.iter().map(row)
}

/// The folder of a benchmark: a file for each finished seed, all of the same settings.
#[derive(Clone, Debug)]
pub struct Folder(Pieces);

impl Folder {
    /// Opens a folder for results of these settings, or makes it.
    ///
    /// # Errors
    /// If it holds results of other settings, or settings that cannot be read, or cannot be made.
    pub fn open(dir: &Path, config: &ModesConfig) -> Result<Folder> {
        Pieces::open(dir, config, config.digest()).map(Folder)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.0.dir()
    }

    /// The result of a seed, if it is there.
    ///
    /// # Errors
    /// If its file is not one of these settings and this seed.
    pub fn finished(&self, seed: u64) -> Result<Option<SeedResult>> {
        let is = |r: &SeedResult| r.seed == seed && r.settings == self.0.digest();
        self.0.read(&Folder::file(seed), is, "remove it, and the seed is played again")
    }

    /// Keeps the result of a seed.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn keep(&self, result: &SeedResult) -> Result<()> {
        self.0.keep(&Folder::file(result.seed), result)
    }

    fn file(seed: u64) -> String {
        format!("seed-{seed:03}.json")
    }
}
