//! What a seed ends with for a number of labels, and the folder that keeps it.

use super::arms::Arm;
use super::config::{Settings, Trainings};
use super::memory::Memory;
use crate::Result;
use crate::gan::pieces::Pieces;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A number of labelled images of each class, and a seed: what is run at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Labelled images of each class.
    pub per_class: usize,
    /// Decides which images these are, and every weight and draw.
    pub seed: u64,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "n = {}, seed {}", self.per_class, self.seed)
    }
}

/// What a GAN was trained on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainedOn {
    /// The labelled images.
    Labelled,
    /// All training images but those for validation, the unlabelled ones under the labels that a classifier gave them.
    All,
}

/// How a GAN came out. Accuracies are shares from 0 to 1.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GanResult {
    /// Its images.
    pub on: TrainedOn,
    /// Steps of each state, and the validation accuracy of a classifier that learnt from its images alone.
    pub states: Vec<(u64, f64)>,
    /// The steps of the state that was taken.
    pub steps: u64,
    /// Of one that was trained on the labelled images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Wall time of training it and choosing a state.
    pub seconds: f64,
}

/// How an arm came out. Accuracies are shares from 0 to 1.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmResult {
    /// The arm.
    pub arm: Arm,
    /// Added images for each labelled one, and the best validation accuracy with them.
    pub ratios: Vec<(Option<usize>, f64)>,
    /// The ratio that was taken; None if nothing is added.
    pub ratio: Option<usize>,
    /// The step of the classifier that was taken.
    pub step: u64,
    /// Its accuracy on the validation images, which chose it.
    pub validation: f64,
    /// Its accuracy on the test images, which nothing else has seen.
    pub test: f64,
    /// Wall time of training and choosing, without the GAN's.
    pub seconds: f64,
}

/// All arms of a number of labels and a seed: a file `n-NNNNN-seed-NNN.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellResult {
    /// Which.
    pub cell: Cell,
    /// [`Settings::digest`] of the settings and the data.
    pub settings: String,
    /// The instruction set of the kernels: bits depend on it.
    pub simd: String,
    /// Share of the unlabelled images that were given their right label, where any were given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pseudo_labels: Option<f64>,
    /// The GANs.
    pub gans: Vec<GanResult>,
    /// The arms, in their order.
    pub arms: Vec<ArmResult>,
    /// What was trained.
    pub trained: Trainings,
    /// Wall time.
    pub seconds: f64,
}

impl CellResult {
    /// The result of an arm.
    pub fn arm(&self, arm: Arm) -> Option<&ArmResult> {
        self.arms.iter().find(|a| a.arm == arm)
    }

    /// What is the same whenever it is run again: all but times.
    ///
    /// ```
    /// # use ganvil::gan::augment::{Cell, CellResult, Trainings};
    /// let cell = Cell { per_class: 5, seed: 0 };
    /// let trained = Trainings { gans: 0, classifiers: 0 };
    /// let (settings, simd) = (String::new(), String::new());
    /// let r = CellResult { cell, settings, simd, pseudo_labels: None, gans: vec![], arms: vec![], trained, seconds: 2.0 };
    /// assert_eq!(r.clone().timeless(), CellResult { seconds: 0.0, ..r });
    /// ```
    pub fn timeless(mut self) -> CellResult {
        self.seconds = 0.0;
        self.gans.iter_mut().for_each(|g| g.seconds = 0.0);
        self.arms.iter_mut().for_each(|a| a.seconds = 0.0);
        self
    }
}

/// The folder of an experiment: a file for each finished cell, all of the same settings and data.
#[derive(Clone, Debug)]
pub struct Folder(Pieces);

impl Folder {
    /// Opens a folder for results of these settings, or makes it.
    ///
    /// # Errors
    /// If it holds results of other settings, or settings that cannot be read, or cannot be made.
    pub fn open(dir: &Path, settings: &Settings) -> Result<Folder> {
        Pieces::open(dir, settings, settings.digest()).map(Folder)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.0.dir()
    }

    /// The result of a cell, if it is there.
    ///
    /// # Errors
    /// If its file is not one of these settings and this cell.
    pub fn finished(&self, cell: Cell) -> Result<Option<CellResult>> {
        let is = |r: &CellResult| r.cell == cell && r.settings == self.0.digest();
        self.0.read(&Folder::file(cell), is, "remove it, and it is run again")
    }

    /// Keeps the result of a cell.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn keep(&self, result: &CellResult) -> Result<()> {
        self.0.keep(&Folder::file(result.cell), result)
    }

    fn file(cell: Cell) -> String {
        format!("n-{:05}-seed-{:03}.json", cell.per_class, cell.seed)
    }
}
