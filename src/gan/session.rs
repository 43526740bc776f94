//! Training into a run's folder.

use super::alarms::{Alarm, AlarmLog};
use super::config::TrainConfig;
use super::explain::{Explanation, explain};
use super::probe::{NoProbe, Probe};
use super::run::{KEEP, Run, latest_checkpoint};
use super::statistics::{Statistics, StepStatistics};
use super::step::NotFinite;
use super::trainer::{Preview, Trainer};
use crate::atomic::{remove, write_atomic};
use crate::checkpoint::manifest;
use crate::metrics::{ClassReport, Classifier, ClassifierNet, digit_images};
use crate::report::{
    EventLog, FigureFormat, GridStyle, RunFigures, RunLog, encode_grid, grid_change, memory_mb, read_log,
};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Real images in a grid.
const REALS: usize = 64;
/// Drawing takes a tenth of a second: where checkpoints come more often than this, not all have a figure.
const DRAW_EVERY: Duration = Duration::from_secs(30);

/// Steps between two sample grids that are compared: after fewer, an average of G may look the same.
const COMPARE_AFTER: u64 = 100;

/// A line of `log.jsonl`.
#[derive(Clone, Debug, Serialize)]
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
    /// The largest singular value of every weight of both networks, by its name.
    pub sigma: BTreeMap<String, f64>,
    /// Where the digit classifier knows the data: the entropy of the classes that it finds in the fakes of D's last update, in
    /// nats; ln 10 = 2.303 for equal shares, of which n fakes lack 9 / (2n) by chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_entropy: Option<f64>,
    /// In the first record after a sample grid: by how much the grid's values have changed on average, from one that is at
    /// least 100 steps older; in [0, 2], as samples lie in [-1, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid_change: Option<f64>,
}

/// What happens in a run.
pub enum Event<'a> {
    /// A step is done.
    Step(u64),
    /// A record was logged.
    Logged(&'a Record),
    /// Something is wrong with the game.
    Raised(&'a Alarm),
    /// The step that was to be explained is made.
    Explained(&'a Explanation),
    /// A file was written.
    Wrote(&'a Path),
    /// Something went wrong without which the run can do.
    Failed(&'a Error),
}

/// What is asked of a run besides its training.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watch {
    /// The step, counted from 1, that is explained when it is made.
    pub explain: Option<u64>,
}

impl Watch {
    /// Refuses what a run that has made `done` of `steps` steps will not come to.
    ///
    /// # Errors
    /// If the step to be explained is none of those to come.
    pub fn check(&self, done: u64, steps: u64) -> Result<()> {
        let Some(step) = self.explain.filter(|step| *step <= done || *step > steps) else { return Ok(()) };
        let remedy = if done >= steps {
            "no step is left to be made; give a larger total with --steps".into()
        } else {
            let longer = if step > steps { ", or a larger total with --steps" } else { "" };
            format!("the steps to be made are {} to {steps}; name one of them{longer}", done + 1)
        };
        Err(Error::Argument { what: "--explain-step", value: step.to_string(), remedy })
    }
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
    run_watched(trainer, run, Watch::default(), stop, on)
}

/// [`run_training`] with more to be told of it. The run is the same.
///
/// # Errors
/// As there, and as [`Watch::check`].
pub fn run_watched(
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
    while trainer.steps() < config.steps {
        let next = trainer.steps() + 1;
        let due = |every: u64| next.is_multiple_of(every) || next == config.steps;
        let log = due(config.log_every) || next == 1;
        let mut statistics = Statistics::new(config.step.loss);
        statistics.keep_outputs = session.events.is_some();
        statistics.keep_fakes = session.classifier.is_some();
        let probe: &mut dyn Probe = if log { &mut statistics } else { &mut NoProbe };
        if let Err(e) = step(trainer, probe, watch.explain == Some(next), on) {
            return Err(session.not_finite(trainer, e, on));
        }
        on(Event::Step(next));
        let stopping = stop.load(Ordering::Relaxed) && next < config.steps;
        if due(config.sample_every) || stopping {
            session.grid(trainer, on)?;
        }
        if log {
            session.log(trainer, &statistics, on)?;
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

/// The sample grid's file after this many thousands of images.
fn grid_path(run: &Run, kimg: f64) -> PathBuf {
    run.dir().join(format!("samples/kimg-{kimg:07.1}.png"))
}

/// The digit classifier, where it tells nine in ten of the run's first real images right: other pictures of that size, of
/// clothes for example, have no digits to be counted.
fn classifier_of(trainer: &Trainer) -> Result<Option<Classifier>> {
    let reals = trainer.reals(REALS);
    let Some(labels) = trainer.labels(REALS) else { return Ok(None) };
    let Ok(images) = digit_images(&reals, trainer.image_shape(), trainer.config().data.pad) else {
        return Ok(None);
    };
    if labels.is_empty() || labels.iter().any(|&y| y as usize >= ClassifierNet::CLASSES) {
        return Ok(None);
    }
    let classifier = Classifier::mnist()?;
    let found = ClassReport::new(&classifier, &images, Some(&labels))?;
    Ok(found.agreement.is_some_and(|a| a.overall >= 0.9).then_some(classifier))
}

/// By how much the newest of the grids that come at regular times has changed, where it is newer than step `since`. Both
/// grids are read from the run's folder, so that a resumed run compares the same.
fn change_of_grid(run: &Run, config: &TrainConfig, step: u64, since: u64) -> Option<f64> {
    let newest = step - step % config.sample_every;
    let before = newest.checked_sub(config.sample_every * COMPARE_AFTER.div_ceil(config.sample_every))?;
    let file = |step: u64| {
        let images = step * config.batch as u64 * config.step.n_d as u64;
        fs::read(grid_path(run, images as f64 / 1000.0)).ok()
    };
    if newest <= since { None } else { grid_change(&file(before)?, &file(newest)?) }
}

/// What a run keeps while it goes on.
struct Session<'a> {
    run: &'a Run,
    log: RunLog,
    alarms: AlarmLog,
    events: Option<EventLog>,
    /// Of digits, if that is what the run is on.
    classifier: Option<Classifier>,
    figures: RunFigures,
    /// When they were drawn.
    drawn: Instant,
    preview: Preview,
    start: Instant,
    /// Seconds of training before this start.
    before: f64,
    /// Time and images of the last record.
    last: (f64, f64),
    /// Its step.
    logged: u64,
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
            alarms: AlarmLog::resume(run.dir().join("alarms.jsonl"), config, done, &records)?,
            events: if config.tensorboard { Some(events(run, done)?) } else { None },
            classifier: classifier_of(trainer)?,
            figures: RunFigures::new(&config.recipe, config.step.loss_facts(), &records),
            drawn: Instant::now(),
            preview: trainer.preview(),
            start: Instant::now(),
            before,
            last: (before, trainer.kimg() * 1000.0),
            logged: records.last().and_then(|r| r["step"].as_u64()).unwrap_or(0),
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
        let path = grid_path(self.run, trainer.kimg());
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
            sigma: s.sigma.clone(),
            class_entropy: self.class_entropy(trainer, &s.fakes)?,
            grid_change: change_of_grid(self.run, trainer.config(), trainer.steps(), self.logged),
        };
        self.logged = record.step;
        self.log.write(&record)?;
        let value = json!(record);
        if let Some(events) = &mut self.events {
            let scalars = scalars(&value);
            let scalars: Vec<(&str, f64)> = scalars.iter().map(|(tag, v)| (tag.as_str(), *v)).collect();
            events.scalars(record.step, &scalars)?;
            for (tag, values) in ["outputs/real", "outputs/fake"].into_iter().zip(&s.outputs) {
                events.histogram(record.step, tag, values)?;
            }
        }
        self.figures.push(&value);
        on(Event::Logged(&record));
        self.alarms.look(&value)?.iter().for_each(|alarm| on(Event::Raised(alarm)));
        Ok(())
    }

    fn class_entropy(&self, trainer: &Trainer, fakes: &[f32]) -> Result<Option<f64>> {
        let Some(classifier) = &self.classifier else { return Ok(None) };
        let images = digit_images(fakes, trainer.image_shape(), trainer.config().data.pad)?;
        Ok(Some(ClassReport::new(classifier, &images, None)?.entropy))
    }

    fn overview(&mut self, on: &mut dyn FnMut(Event)) -> Result<()> {
        let path = self.figures.save_overview(&self.run.dir().join("plots"))?;
        self.drawn = Instant::now();
        on(Event::Wrote(&path));
        Ok(())
    }

    fn checkpoint(&mut self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<PathBuf> {
        if let Some(tensor) = trainer.first_not_finite() {
            let e = NotFinite { what: "a weight is not finite".into(), tensor };
            return Err(self.error(trainer.steps(), e, on));
        }
        // What is logged is never behind a checkpoint.
        self.log.sync()?;
        self.alarms.sync()?;
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
        self.error(trainer.steps() + 1, e, on)
    }

    /// The error, and its alarm.
    fn error(&mut self, step: u64, e: NotFinite, on: &mut dyn FnMut(Event)) -> Error {
        match self.alarms.not_finite(step, &e.what, &e.tensor) {
            Ok(alarm) => on(Event::Raised(&alarm)),
            Err(file) => on(Event::Failed(&file)),
        }
        Error::NonFinite {
            what: e.what,
            step,
            tensor: e.tensor,
            remedy: format!(
                "{}; lower --lr-d and --lr-g, bound the gradients (--set step.clip_d.by=norm --set step.clip_d.max=1, and \
                 step.clip_g), or try another --seed",
                kept(self.run)
            ),
        }
    }
}

/// A record's numbers by TensorBoard's tags, those of a map behind its name.
fn scalars(record: &Value) -> Vec<(String, f64)> {
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    let fields = record.as_object().into_iter().flatten().filter(|(key, _)| *key != "step");
    let tags = fields.flat_map(|(key, v)| match v {
        Value::Object(map) => map.iter().map(|(name, v)| (format!("{key}/{name}"), number(v))).collect(),
        v => vec![(key.clone(), number(v))],
    });
    tags.collect()
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
