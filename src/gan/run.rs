//! A run's folder, and training into it.

use super::config::TrainConfig;
use super::losses::Output;
use super::probe::NoProbe;
use super::statistics::{Statistics, StepStatistics};
use super::step::NotFinite;
use super::trainer::{Preview, Trainer};
use crate::atomic::write_atomic;
use crate::checkpoint::manifest;
use crate::report::{
    Environment, GridStyle, LossHistory, RunLog, memory_mb, plot_losses, read_log, run_folder, save_grid,
};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Real images in a grid.
const REALS: usize = 64;
/// Checkpoints kept.
pub(super) const KEEP: usize = 2;
/// Their folder within the run's.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// No `config.toml` is longer.
const MOST_CONFIG: u64 = 1 << 20;

/// The folder of a run: `config.toml`, `environment.json`, `log.jsonl`, `samples/`, `plots/`, `checkpoints/`. As long as
/// this lives, no other process can train into it.
pub struct Run {
    dir: PathBuf,
    /// Holds the lock, where the system has locks of folders.
    _lock: Option<File>,
}

impl Run {
    /// Makes the folder given, or the next free `runs/NNNNN-DATA-RECIPE[-NAME]` for the data set's name, with the
    /// settings in it. It is there whole or not at all.
    ///
    /// # Errors
    /// If it cannot be made, or exists with something in it: a run never writes over another.
    pub fn create(out: Option<&Path>, data: &str, config: &TrainConfig) -> Result<Run> {
        let title: Vec<&str> = [data, &config.recipe].into_iter().chain(config.name.as_deref()).collect();
        let dir = run_folder(out, &title, |dir| {
            for sub in ["samples", "plots", CHECKPOINTS] {
                let path = dir.join(sub);
                fs::create_dir_all(&path).map_err(Error::io("create the folder", &path))?;
            }
            write_config(dir, config)?;
            note_environment(dir, 0)
        })?;
        let lock = lock(&dir)?;
        Ok(Run { dir, _lock: lock })
    }

    /// A run that is there.
    ///
    /// # Errors
    /// If there is no such run, or another process is training into it.
    pub fn open(dir: &Path) -> Result<Run> {
        if !dir.join("config.toml").is_file() {
            return Err(Error::NotFound {
                what: "run".into(),
                looked: vec![dir.join("config.toml")],
                remedy: "Name the folder of a run, such as runs/00000-mnist-mlp; `ganvil list` shows them"
                    .into(),
            });
        }
        Ok(Run { _lock: lock(dir)?, dir: dir.to_path_buf() })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings in `config.toml`.
    ///
    /// # Errors
    /// If they cannot be read or trained with.
    pub fn config(&self) -> Result<TrainConfig> {
        read_config(&self.dir.join("config.toml"))
    }

    /// Replaces `config.toml`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_config(&self, config: &TrainConfig) -> Result<()> {
        write_config(&self.dir, config)
    }

    /// Adds this start to `environment.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn note_environment(&self, step: u64) -> Result<()> {
        note_environment(&self.dir, step)
    }

    /// Where checkpoints are.
    pub(super) fn checkpoints(&self) -> PathBuf {
        self.dir.join(CHECKPOINTS)
    }
}

/// The system gives the lock back when the process ends, however it ends.
fn lock(dir: &Path) -> Result<Option<File>> {
    let Ok(file) = File::open(dir) else { return Ok(None) };
    // Who only asks whether a run is running holds it for a moment.
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    let remedy = "another process is training into it; wait until it ends, or stop it".into();
    Err(Error::Argument { what: "run", value: dir.display().to_string(), remedy })
}

/// Whether some process is training into a run's folder.
pub fn is_running(dir: &Path) -> bool {
    File::open(dir).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Reads settings, as `config.toml` has them.
///
/// # Errors
/// If the file cannot be read, is larger than any settings, has unknown or missing keys, or settings that cannot be
/// trained with.
pub fn read_config(path: &Path) -> Result<TrainConfig> {
    let size = fs::metadata(path).map_err(Error::io("read", path))?.len();
    if size > MOST_CONFIG {
        return Err(Error::format(path, format!("has {size} bytes; settings take at most {MOST_CONFIG}")));
    }
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let config = TrainConfig::from_toml(&text).map_err(|problem| Error::format(path, problem))?;
    config.check().map_err(|e| Error::format(path, e.to_string()))?;
    Ok(config)
}

fn write_config(dir: &Path, config: &TrainConfig) -> Result<()> {
    let path = dir.join("config.toml");
    let text = toml::to_string(config).map_err(|e| Error::format(&path, e.to_string()))?;
    let repeat = "# To repeat the run: ganvil train --config config.toml\n";
    write_atomic(&path, format!("{repeat}{text}").as_bytes())
}

/// `environment.json` is a list with an entry for each start. One that cannot be read begins anew.
fn note_environment(dir: &Path, step: u64) -> Result<()> {
    let path = dir.join("environment.json");
    let before = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Vec<Value>>(&text).ok());
    let mut starts = before.unwrap_or_default();
    starts.push(serde_json::json!(Environment::of_process(step)));
    let mut text = serde_json::to_string_pretty(&starts).expect("text and numbers");
    text.push('\n');
    write_atomic(&path, text.as_bytes())
}

/// The checkpoints of a run, from the oldest to the newest.
///
/// # Errors
/// If their folder cannot be read.
pub fn checkpoints(run: &Path) -> Result<Vec<PathBuf>> {
    manifest::list(&run.join(CHECKPOINTS))
}

/// The newest checkpoint of a run.
///
/// # Errors
/// If the folder is no run or has no checkpoint yet.
pub fn latest_checkpoint(run: &Path) -> Result<PathBuf> {
    let dir = run.join(CHECKPOINTS);
    manifest::list(&dir)?.pop().ok_or_else(|| Error::NotFound {
        what: "checkpoint".into(),
        looked: vec![dir],
        remedy: "Is it the folder of a run (runs/NNNNN-...)? A run writes its first checkpoint when it ends or is interrupted".into(),
    })
}

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
            let kept = match latest_checkpoint(&run.dir) {
                Ok(path) => format!("The last good checkpoint is {}", path.display()),
                Err(_) => "There is no checkpoint yet".into(),
            };
            let how = format!("{kept}; when the cause is mended: ganvil resume {}", run.dir.display());
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
        let step = if log { trainer.step(&mut statistics) } else { trainer.step(&mut NoProbe) };
        if let Err(e) = step {
            return Err(session.not_finite(trainer, e, on));
        }
        on(Event::Step(next));
        if log {
            session.log(trainer, statistics.last, on)?;
        }
        let stopping = stop.load(Ordering::Relaxed) && next < config.steps;
        if due(config.sample_every) || stopping {
            session.grid(trainer, on)?;
        }
        if due(config.checkpoint_every) || stopping {
            let checkpoint = session.checkpoint(trainer, on)?;
            session.plot(trainer, on)?;
            if stopping {
                return Err(Error::Interrupted { step: next, run: run.dir.clone(), checkpoint });
            }
        }
    }
    Ok(())
}

/// What a run keeps while it goes on.
struct Session<'a> {
    run: &'a Run,
    log: RunLog,
    history: LossHistory,
    preview: Preview,
    start: Instant,
    /// Seconds of training before this start.
    before: f64,
    /// Time and images of the last record.
    last: (f64, f64),
}

impl Session<'_> {
    fn start<'a>(trainer: &Trainer, run: &'a Run) -> Result<Session<'a>> {
        let loss = trainer.config().step.loss.get();
        let (d, g) = loss.equilibrium();
        let lines = [("D", Some(d)), ("G", g)].into_iter();
        let line = |(who, at): (&str, Option<f64>)| at.map(|v| (v, format!("{who} at equilibrium, {v:.3}")));
        let mut history = LossHistory {
            equilibrium: lines.filter_map(line).collect(),
            probabilities: loss.output() != Output::Score,
            ..LossHistory::default()
        };
        let path = run.dir.join("log.jsonl");
        let done = trainer.steps();
        let log = RunLog::resume(&path, |record| record["step"].as_u64().is_some_and(|step| step <= done))?;
        let records = read_log(&path)?;
        records.iter().for_each(|r| remember(&mut history, r));
        let before = records.last().and_then(|r| r["seconds"].as_f64()).unwrap_or(0.0);
        let session = Session {
            run,
            log,
            history,
            preview: trainer.preview(),
            start: Instant::now(),
            before,
            last: (before, trainer.kimg() * 1000.0),
        };
        let reals = trainer.reals(REALS);
        session.save_images(&run.dir.join("samples/real.png"), &reals, trainer.image_shape(), 8)?;
        Ok(session)
    }

    fn save_images(&self, path: &Path, images: &[f32], image: [usize; 3], columns: usize) -> Result<()> {
        let [channels, rows, cols] = image;
        let shape = [images.len() / (channels * rows * cols), channels, rows, cols];
        save_grid(path, images, shape, &GridStyle { columns, ..GridStyle::default() })
    }

    fn grid(&self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<()> {
        let path = self.run.dir.join(format!("samples/kimg-{:07.1}.png", trainer.kimg()));
        let Preview { z, labels, columns } = &self.preview;
        self.save_images(&path, &trainer.sample(z, labels.as_ref()), trainer.image_shape(), *columns)?;
        on(Event::Wrote(&path));
        Ok(())
    }

    fn log(&mut self, trainer: &Trainer, s: StepStatistics, on: &mut dyn FnMut(Event)) -> Result<()> {
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
            statistics: s,
        };
        self.log.write(&record)?;
        remember(&mut self.history, &serde_json::json!(record));
        on(Event::Logged(&record));
        Ok(())
    }

    fn plot(&self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<()> {
        let path = self.run.dir.join("plots/loss.png");
        plot_losses(&path, &trainer.config().recipe, &self.history)?;
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
    fn not_finite(&self, trainer: &Trainer, e: NotFinite, on: &mut dyn FnMut(Event)) -> Error {
        // A plot that cannot be drawn must not hide why the run stopped.
        if let Err(plot) = self.plot(trainer, on) {
            on(Event::Failed(&plot));
        }
        self.error(trainer, e)
    }

    fn error(&self, trainer: &Trainer, e: NotFinite) -> Error {
        let kept = match latest_checkpoint(&self.run.dir) {
            Ok(path) => format!("The last good checkpoint is {}", path.display()),
            Err(_) => "There is no checkpoint yet".into(),
        };
        Error::NonFinite {
            what: e.what,
            step: trainer.steps() + 1,
            tensor: e.tensor,
            remedy: format!("{kept}; lower --lr-d and --lr-g, or try another --seed"),
        }
    }
}

fn remember(h: &mut LossHistory, record: &Value) {
    let series = [&mut h.step, &mut h.d_loss, &mut h.g_loss, &mut h.d_real, &mut h.d_fake];
    for (series, key) in series.into_iter().zip(["step", "d_loss", "g_loss", "d_real", "d_fake"]) {
        series.push(record[key].as_f64().unwrap_or(f64::NAN));
    }
}
