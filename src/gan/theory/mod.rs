//! The theory of GANs as experiments that run: each has a picture, a table and what the numbers say.
//!
//! | name | what it shows |
//! |---|---|
//! | [`optimal-discriminator`](optimal_discriminator) | trained D against D* = p / (p + q) |
//! | [`value-and-jsd`](value_and_jsd) | V(D, G) against -log 4 + 2 JSD while G moves onto the data |
//! | [`saturation`] | what each loss of G still says when D rejects a fake |
//! | [`disjoint-supports`](disjoint_supports) | JSD that does not change with the distance, W1 that does |
//! | [`bilinear-game`](bilinear_game) | gradient play that spirals out, orbits or spirals in |
//! | [`update-balance`](update_balance) | G's gradient under a D trained for 0 to 625 steps |
//! | [`label-smoothing`](label_smoothing) | one-sided smoothing, and why the fake side stays as it is |
//! | [`not-injective`](not_injective) | distant noise, equal samples; real points that no noise gives |
//! | [`one-score-is-not-enough`](one_score) | generators made to fool one score each |
//!
//! Losses, penalties, layers and optimisers are those that `ganvil train` uses. Everything follows from the seed and the
//! device: the same numbers on any number of threads.
//!
//! ```
//! use ganvil::gan::theory;
//! let outcome = theory::experiment("saturation")?.run(&Default::default())?;
//! let minimax = outcome.table.column("minimax");
//! assert!(minimax[0].abs() < 1e-4, "the gradient at the logit -10");
//! let mistyped = theory::experiment("saturatoin").err().unwrap().to_string();
//! assert!(mistyped.contains("did you mean 'saturation'?"));
//! # Ok::<(), ganvil::Error>(())
//! ```

pub mod bilinear_game;
mod density;
pub mod disjoint_supports;
mod judge;
pub mod label_smoothing;
pub mod not_injective;
pub mod one_score;
pub mod optimal_discriminator;
pub mod saturation;
mod table;
pub mod update_balance;
pub mod value_and_jsd;

pub use table::{Cell, Table};

use crate::names::unknown;
use crate::report::{Line, Panel};
use crate::{Device, Result};

/// What an experiment can be told.
///
/// ```
/// use ganvil::{Device, gan::theory::Options};
/// assert_eq!(Options::default(), Options { seed: 0, device: Device::Cpu });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// All random numbers follow from it.
    pub seed: u64,
    /// Where networks are trained. What is played with single numbers is in f64, on the CPU.
    pub device: Device,
}

/// What an experiment found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The numbers.
    pub table: Table,
    /// The picture, for [`save_plot`](crate::report::save_plot).
    pub panels: Vec<Panel>,
    /// What the numbers say, in sentences made from them.
    pub findings: Vec<String>,
}

/// A piece of theory that can be run.
pub struct Experiment {
    /// What `ganvil theory` is given.
    pub name: &'static str,
    /// One line about it; the title of its picture.
    pub summary: &'static str,
    /// What is played, the equation, and what to look at.
    pub explanation: &'static str,
    run: fn(&Options) -> Result<Outcome>,
}

impl Experiment {
    /// Runs it on the threads of the current pool.
    ///
    /// # Errors
    /// If training gives a number that is not finite.
    pub fn run(&self, options: &Options) -> Result<Outcome> {
        (self.run)(options)
    }
}

/// Every experiment, in the order of a first reading.
pub static EXPERIMENTS: [Experiment; 9] = [
    optimal_discriminator::EXPERIMENT,
    value_and_jsd::EXPERIMENT,
    saturation::EXPERIMENT,
    disjoint_supports::EXPERIMENT,
    bilinear_game::EXPERIMENT,
    update_balance::EXPERIMENT,
    label_smoothing::EXPERIMENT,
    not_injective::EXPERIMENT,
    one_score::EXPERIMENT,
];

/// The experiment of a name.
///
/// ```
/// use ganvil::gan::theory::{EXPERIMENTS, experiment};
/// assert!(EXPERIMENTS.iter().all(|e| experiment(e.name).unwrap().summary == e.summary));
/// ```
///
/// # Errors
/// If there is none; the message lists them.
pub fn experiment(name: &str) -> Result<&'static Experiment> {
    let names = EXPERIMENTS.each_ref().map(|e| e.name);
    EXPERIMENTS.iter().find(|e| e.name == name).ok_or_else(|| unknown("experiment", name, &names))
}

/// A curve that is drawn as it is.
fn line(label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Line {
    Line { label: label.into(), points: points.into_iter().collect(), exact: true }
}

/// The largest of some numbers, 0 of none.
fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |m: f64, v| if v.is_nan() { v } else { m.max(v) })
}
