//! Training into a run's folder.

use super::probe::NoProbe;
use super::run::{KEEP, Run, latest_checkpoint};
use super::statistics::{Statistics, StepStatistics};
use super::step::NotFinite;
use super::trainer::{Preview, Trainer};
use crate::atomic::{remove, write_atomic};
use crate::checkpoint::manifest;
use crate::report::{
    EventLog, FigureFormat, GridStyle, RunFigures, RunLog, encode_grid, memory_mb, read_log,
};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Real images in a grid.
const REALS: usize = 64;
/// Drawing takes a tenth of a second: where checkpoints come more often than this, not all have a figure.
const DRAW_EVERY: Duration = Duration::from_secs(30);

/// A line of `log.jsonl`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// Thousands of real images seen.
    pub kimg: f64,
    /// Seconds of training, those before a resume included.
    pub seconds: f64,
    /// Real images per second since the last record.
    pub images_per_s: f64,
    /// D's learning rate in this step.
    pub lr_d: f64,
    /// G's learning rate in this step.
    pub lr_g: f64,
    /// Memory that the process holds, in MB; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<f64>,
    /// How the game stands.
    #[serde(flatten)]
    pub statistics: StepStatistics,
}

/// What happens in a run.
pub enum Event<'a> {
    /// A step is done.
    Step(u64),
    /// A record was logged.
    Logged(&'a Record),
    /// A file was written.
    Wrote(&'a Path),
    /// Something went wrong without which the run can do.
    Failed(&'a Error),
}

/// Trains until the configured number of steps, writing log, grids, plot and checkpoints; all of them also after the
/// last step. A trainer that was restored from a checkpoint goes on with the run's log behind its step.
///
/// # Errors
/// [`Error::Interrupted`] when `stop` becomes true: the state is saved first. [`Error::NonFinite`] when a loss is not
/// finite. [`Error::RunEnded`] when a file cannot be written.
pub fn run_training(
    trainer: &mut Trainer,
    run: &Run,
    stop: &AtomicBool,
    on: &mut dyn FnMut(Event),
) -> Result<()> {
    train(trainer, run, stop, on).map_err(|e| match e {
        e @ (Error::Io { .. } | Error::Format { .. }) => {
            let how =
                format!("{}; when the cause is mended: ganvil resume {}", kept(run), run.dir().display());
            Error::RunEnded { source: Box::new(e), kept: how }
        }
        e => e,
    })
}

fn train(trainer: &mut Trainer, run: &Run, stop: &AtomicBool, on: &mut dyn FnMut(Event)) -> Result<()> {
    let mut session = Session::start(trainer, run)?;
    if trainer.steps() == 0 {
        session.grid(trainer, on)?;
    }
    let config = trainer.config().clone();
    while trainer.steps() < config.steps {
        let next = trainer.steps() + 1;
        let due = |every: u64| next.is_multiple_of(every) || next == config.steps;
        let log = due(config.log_every) || next == 1;
        let mut statistics = Statistics::new(config.step.loss);
        statistics.keep_outputs = session.events.is_some();
        let step = if log { trainer.step(&mut statistics) } else { trainer.step(&mut NoProbe) };
        if let Err(e) = step {
            return Err(session.not_finite(trainer, e, on));
        }
        on(Event::Step(next));
        if log {
            session.log(trainer, &statistics, on)?;
        }
        let stopping = stop.load(Ordering::Relaxed) && next < config.steps;
        if due(config.sample_every) || stopping {
            session.grid(trainer, on)?;
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
    Ok(())
}

/// What a run keeps while it goes on.
struct Session<'a> {
    run: &'a Run,
    log: RunLog,
    events: Option<EventLog>,
    figures: RunFigures,
    /// When they were drawn.
    drawn: Instant,
    preview: Preview,
    start: Instant,
    /// Seconds of training before this start.
    before: f64,
    /// Time and images of the last record.
    last: (f64, f64),
}

impl Session<'_> {
    fn start<'a>(trainer: &Trainer, run: &'a Run) -> Result<Session<'a>> {
        let (config, done) = (trainer.config(), trainer.steps());
        let path = run.dir().join("log.jsonl");
        // A log may be ahead of the checkpoint that the run goes on from.
        let log = RunLog::resume(&path, |record| record["step"].as_u64().is_some_and(|step| step <= done))?;
        let records = read_log(&path)?;
        let before = records.last().and_then(|r| r["seconds"].as_f64()).unwrap_or(0.0);
        let session = Session {
            run,
            log,
            events: if config.tensorboard { Some(events(run, done)?) } else { None },
            figures: RunFigures::new(&config.recipe, config.step.loss_facts(), &records),
            drawn: Instant::now(),
            preview: trainer.preview(),
            start: Instant::now(),
            before,
            last: (before, trainer.kimg() * 1000.0),
        };
        let reals = Session::picture(&trainer.reals(REALS), trainer.image_shape(), 8)?;
        write_atomic(&run.dir().join("samples/real.png"), &reals)?;
        Ok(session)
    }

    /// The PNG of a grid.
    fn picture(images: &[f32], image: [usize; 3], columns: usize) -> Result<Vec<u8>> {
        let [channels, rows, cols] = image;
        let shape = [images.len() / (channels * rows * cols), channels, rows, cols];
        encode_grid(images, shape, &GridStyle { columns, ..GridStyle::default() })
    }

    fn grid(&mut self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<()> {
        let path = self.run.dir().join(format!("samples/kimg-{:07.1}.png", trainer.kimg()));
        let Preview { z, labels, columns } = &self.preview;
        let image = trainer.image_shape();
        let png = Session::picture(&trainer.sample(z, labels.as_ref()), image, *columns)?;
        write_atomic(&path, &png)?;
        if let Some(events) = &mut self.events {
            events.png(trainer.steps(), "samples", &png)?;
        }
        on(Event::Wrote(&path));
        Ok(())
    }

    fn log(&mut self, trainer: &Trainer, s: &Statistics, on: &mut dyn FnMut(Event)) -> Result<()> {
        let seconds = self.before + self.start.elapsed().as_secs_f64();
        let images = trainer.kimg() * 1000.0;
        let images_per_s = (images - self.last.1) / (seconds - self.last.0).max(1e-9);
        self.last = (seconds, images);
        let record = Record {
            step: trainer.steps(),
            kimg: trainer.kimg(),
            seconds,
            images_per_s,
            lr_d: trainer.gan().opt_d.rule.lr(),
            lr_g: trainer.gan().opt_g.rule.lr(),
            memory_mb: memory_mb(),
            statistics: s.last,
        };
        self.log.write(&record)?;
        let value = json!(record);
        if let Some(events) = &mut self.events {
            let fields = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "step");
            let scalars: Vec<(&str, f64)> =
                fields.map(|(key, v)| (key.as_str(), v.as_f64().unwrap_or(f64::NAN))).collect();
            events.scalars(record.step, &scalars)?;
            for (tag, values) in ["outputs/real", "outputs/fake"].into_iter().zip(&s.outputs) {
                events.histogram(record.step, tag, values)?;
            }
        }
        self.figures.push(&value);
        on(Event::Logged(&record));
        Ok(())
    }

    fn overview(&mut self, on: &mut dyn FnMut(Event)) -> Result<()> {
        let path = self.figures.save_overview(&self.run.dir().join("plots"))?;
        self.drawn = Instant::now();
        on(Event::Wrote(&path));
        Ok(())
    }

    fn checkpoint(&self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<PathBuf> {
        if let Some(tensor) = trainer.first_not_finite() {
            let e = NotFinite { what: "a weight is not finite".into(), tensor };
            return Err(self.error(trainer, e));
        }
        // What is logged is never behind a checkpoint.
        self.log.sync()?;
        let dir = self.run.checkpoints();
        let path = manifest::save(&dir, trainer.steps(), &trainer.to_bytes(&dir)?, KEEP)?;
        on(Event::Wrote(&path));
        Ok(path)
    }

    /// The error for a loss that is not finite. Part of the step may have been made, so the state in memory is not
    /// one to go on from: the last checkpoint stays as it is.
    fn not_finite(&mut self, trainer: &Trainer, e: NotFinite, on: &mut dyn FnMut(Event)) -> Error {
        // A plot that cannot be drawn must not hide why the run stopped.
        if let Err(plot) = self.overview(on) {
            on(Event::Failed(&plot));
        }
        self.error(trainer, e)
    }

    fn error(&self, trainer: &Trainer, e: NotFinite) -> Error {
        Error::NonFinite {
            what: e.what,
            step: trainer.steps() + 1,
            tensor: e.tensor,
            remedy: format!("{}; lower --lr-d and --lr-g, or try another --seed", kept(self.run)),
        }
    }
}

/// What a run that fails can go on from.
fn kept(run: &Run) -> String {
    match latest_checkpoint(run.dir()) {
        Ok(path) => format!("The last checkpoint is {}", path.display()),
        Err(_) => "There is no checkpoint yet".into(),
    }
}

/// TensorBoard's file, without what is behind step `done`.
fn events(run: &Run, done: u64) -> Result<EventLog> {
    let dir = run.dir().join("tensorboard");
    fs::create_dir_all(&dir).map_err(Error::io("create the folder", &dir))?;
    let path = dir.join(EventLog::FILE_NAME);
    if done == 0 {
        remove(&path)?;
    }
    EventLog::resume(&path, done)
}
