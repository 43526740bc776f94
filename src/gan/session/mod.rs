//! Training into a run's folder.

mod classes;
mod folder;
mod grids;
mod measure;
mod profile;
mod record;
mod watch;

use super::explain::explain;
use super::probe::{NoProbe, Probe};
use super::run::Run;
use super::run_report::report_at_end;
use super::statistics::Statistics;
use super::step::NotFinite;
use super::trainer::Trainer;
use crate::report::FigureFormat;
use crate::{Error, Result};
pub(super) use classes::knowing;
use folder::{Session, kept};
pub(super) use measure::METRICS;
use measure::Measuring;
pub use measure::check_measuring;
use profile::Profiling;
pub use record::Record;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
pub use watch::{Event, Watch};

/// Drawing takes a tenth of a second: where checkpoints come more often than this, not all have a figure.
const DRAW_EVERY: Duration = Duration::from_secs(30);

/// Trains until the configured number of steps, writing log, grids, plot and checkpoints; all of them also after the
/// last step. A trainer that was restored from a checkpoint goes on with the run's log behind its step. What is watched
/// leaves the run as it is.
///
/// # Errors
/// [`Error::Interrupted`] when `stop` becomes true: the state is saved first. [`Error::NonFinite`] when a loss is not
/// finite. [`Error::RunEnded`] when a file cannot be written. As [`Watch::check`].
pub fn run_training(
    trainer: &mut Trainer,
    run: &Run,
    watch: Watch,
    stop: &AtomicBool,
    on: &mut dyn FnMut(Event),
) -> Result<()> {
    watch.check(trainer.steps(), trainer.config().steps)?;
    train(trainer, run, watch, stop, on).map_err(|e| match e {
        e @ (Error::Io { .. } | Error::Format { .. }) => {
            let how =
                format!("{}; when the cause is mended: ganvil resume {}", kept(run), run.dir().display());
            Error::RunEnded { source: Box::new(e), kept: how }
        }
        e => e,
    })
}

fn train(
    trainer: &mut Trainer,
    run: &Run,
    watch: Watch,
    stop: &AtomicBool,
    on: &mut dyn FnMut(Event),
) -> Result<()> {
    let mut session = Session::start(trainer, run)?;
    if trainer.steps() == 0 {
        session.grid(trainer, on)?;
    }
    let config = trainer.config().clone();
    let mut measuring = Measuring::start(trainer, run)?;
    let mut profiling = Profiling::of(watch.profile, trainer.steps(), config.steps);
    while trainer.steps() < config.steps {
        let next = trainer.steps() + 1;
        let due = |every: u64| next.is_multiple_of(every) || next == config.steps;
        let log = due(config.log_every) || next == 1;
        let mut statistics = Statistics::new(config.step.loss);
        statistics.keep_outputs = session.events.is_some();
        statistics.keep_fakes = session.classifier.is_some();
        let probe: &mut dyn Probe = if log { &mut statistics } else { &mut NoProbe };
        let made =
            profiling.step(next, probe, &mut |probe| step(trainer, probe, watch.explain == Some(next), on));
        if let Err(e) = made {
            return Err(session.not_finite(trainer, e, on));
        }
        on(Event::Step(next));
        let stopping = stop.load(Ordering::Relaxed) && next < config.steps;
        profiling.end(next, stopping, run, on)?;
        if due(config.sample_every) || stopping {
            session.grid(trainer, on)?;
        }
        if log {
            session.log(trainer, &statistics, on)?;
        }
        if let Some(measuring) = measuring.as_mut().filter(|m| m.is_due(next, config.steps)) {
            measuring.look(trainer, on)?;
        }
        if due(config.checkpoint_every) || stopping {
            let checkpoint = session.checkpoint(trainer, on)?;
            if stopping || session.drawn.elapsed() > DRAW_EVERY {
                session.overview(on)?;
            }
            if stopping {
                return Err(Error::Interrupted { step: next, run: run.dir().to_path_buf(), checkpoint });
            }
        }
    }
    session.figures.save(&run.dir().join("plots"), FigureFormat::Both)?;
    // The run is done, with or without a page about it; `ganvil report` writes it anew.
    match report_at_end(run, trainer) {
        Ok(path) => on(Event::Wrote(&path)),
        Err(e) => on(Event::Failed(&e)),
    }
    Ok(())
}

/// One step, explained if it is to be.
fn step(
    trainer: &mut Trainer,
    probe: &mut dyn Probe,
    explained: bool,
    on: &mut dyn FnMut(Event),
) -> std::result::Result<(), NotFinite> {
    if !explained {
        return trainer.step(probe).map(drop);
    }
    let config = trainer.config().step;
    let (made, explanation) = explain(trainer.steps() + 1, config, probe, |probe| trainer.step(probe));
    on(Event::Explained(&explanation));
    made.map(drop)
}
