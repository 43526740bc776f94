//! What a run measures of its samples while it goes on.

use super::Event;
use crate::data::{ImageOptions, Split};
use crate::gan::evaluation::{Evaluate, EvaluationRecord, RealImages, feature_net, keep_best};
use crate::gan::run::Run;
use crate::gan::trainer::Trainer;
use crate::metrics::{Evaluator, FeatureNet, Metric, Source, Wanted};
use crate::report::{RunLog, read_log};
use crate::{Error, Result};
use std::path::PathBuf;

/// The file in a run's folder.
pub(in crate::gan) const METRICS: &str = "metrics.jsonl";
/// The folder in that of checkpoints.
const BEST: &str = "best";

/// The measuring of a run.
pub(super) struct Measuring {
    config: Evaluate,
    /// What decides which checkpoints are the best.
    first: Metric,
    evaluator: Evaluator,
    path: PathBuf,
    log: RunLog,
    best: PathBuf,
}

impl Measuring {
    /// Goes on with the run's records; those behind its step will come anew. Nothing where nothing is to be measured.
    pub fn start(trainer: &Trainer, run: &Run) -> Result<Option<Measuring>> {
        let (path, done) = (run.dir().join(METRICS), trainer.steps());
        let resumed =
            || RunLog::resume(&path, |record| record["step"].as_u64().is_some_and(|step| step <= done));
        let Some(config) = trainer.config().evaluate.clone() else {
            if path.exists() {
                resumed()?;
            }
            return Ok(None);
        };
        let plan = Plan::of(trainer, &config)?;
        let evaluator = Evaluator::new(plan.net, &plan.reals.reals(), plan.wanted).map_err(flags)?;
        let (log, best) = (resumed()?, run.checkpoints().join(BEST));
        Ok(Some(Measuring { config, first: plan.first, evaluator, path, log, best }))
    }

    /// Whether step `next` of `steps` is one to measure after.
    pub fn is_due(&self, next: u64, steps: u64) -> bool {
        next.is_multiple_of(self.config.every) || next == steps
    }

    /// Measures, logs, and keeps the checkpoint if it is one of the best.
    pub fn look(&mut self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<()> {
        let evaluation = trainer.generating().evaluate(&self.evaluator)?;
        let record = EvaluationRecord { step: trainer.steps(), kimg: trainer.kimg(), evaluation };
        self.log.write(&record)?;
        // Which checkpoint is best is never known of a record that a crash could lose.
        self.log.sync()?;
        on(Event::Measured(&record));
        let records = read_log(&self.path)?;
        let bytes = || trainer.to_bytes(&self.best);
        keep_best(&self.best, &records, self.first, self.config.keep_best, record.step, bytes)
    }
}

/// The flags by which a run is told what `ganvil evaluate` calls otherwise.
fn flags(e: Error) -> Error {
    match e {
        Error::Argument { what: "--n", value, remedy } => Error::Argument { what: "--eval-n", value, remedy },
        Error::Argument { what: "metric", value, remedy } => {
            Error::Argument { what: "--eval-metrics", value, remedy }
        }
        e => e,
    }
}

/// What is measured of a run by what.
struct Plan {
    net: FeatureNet,
    reals: RealImages,
    wanted: Wanted,
    first: Metric,
}

impl Plan {
    /// With the network that fits the run's data. Samples are measured against training images where there are both splits:
    /// the best checkpoint is not to be chosen by the images that it will be judged by.
    fn of(trainer: &Trainer, config: &Evaluate) -> Result<Plan> {
        let c = trainer.config();
        let bare = ImageOptions { pad: None, ..c.data };
        let dir = c.dataset.as_deref();
        let mut reals = RealImages::open(dir, &bare)?;
        let net = feature_net(&reals)?;
        // Pixels are compared as they were trained on.
        if matches!(net, FeatureNet::Pixels) && !c.data.is_default() {
            reals = RealImages::open(dir, &c.data)?;
        }
        let source = if trainer.classes().is_some() { Source::Conditional } else { Source::Generator };
        config.metrics.iter().try_for_each(|m| m.check_source(source)).map_err(flags)?;
        let fits = |m: &Metric| m.possible(&net, config.n, &reals.reals()).is_ok();
        let usual = || Evaluate::USUAL.into_iter().filter(fits).collect();
        let metrics: Vec<Metric> = if config.metrics.is_empty() { usual() } else { config.metrics.clone() };
        let wanted = Wanted {
            metrics: metrics.iter().copied().collect(),
            against: Split::Train,
            n: config.n,
            // As `ganvil evaluate` has it: runs of different seeds are measured by the same draws.
            seed: 0,
        };
        wanted.check(&net, &reals.reals()).map_err(flags)?;
        // With fewer than one metric it was refused.
        Ok(Plan { net, reals, first: metrics[0], wanted })
    }
}

/// Refuses what a run is to measure on the way and cannot, before anything is written.
///
/// # Errors
/// Names the flag, its value and what it may be.
pub fn check_measuring(trainer: &Trainer) -> Result<()> {
    let config = trainer.config().evaluate.as_ref();
    config.map_or(Ok(()), |config| Plan::of(trainer, config).map(drop))
}
