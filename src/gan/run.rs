//! A run's folder, and training into it.

use super::config::TrainConfig;
use super::losses::Output;
use super::probe::NoProbe;
use super::statistics::{Statistics, StepStatistics};
use super::step::NotFinite;
use super::trainer::{Preview, Trainer};
use crate::report::{GridStyle, LossHistory, RunLog, plot_losses, run_folder, save_grid};
use crate::{Error, Result};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Real images in a grid.
const REALS: usize = 64;
/// Checkpoints kept.
const KEEP: usize = 2;

/// The folder of a run: `config.toml`, `log.jsonl`, `samples/`, `plots/`, `checkpoints/`.
pub struct Run {
    dir: PathBuf,
}

impl Run {
    /// Makes the folder given, or the next free `runs/NNNNN-DATA-RECIPE` for the data set's name, and writes the settings into it.
    ///
    /// # Errors
    /// If it cannot be made, or exists with something in it: a run never writes over another.
    pub fn create(out: Option<&Path>, data: &str, config: &TrainConfig) -> Result<Run> {
        let dir = run_folder(out, data, &config.recipe)?;
        for sub in ["samples", "plots", "checkpoints"] {
            let path = dir.join(sub);
            fs::create_dir_all(&path).map_err(Error::io("create the folder", &path))?;
        }
        let text =
            toml::to_string(config).map_err(|e| Error::format(dir.join("config.toml"), e.to_string()))?;
        crate::atomic::write_atomic(&dir.join("config.toml"), text.as_bytes())?;
        Ok(Run { dir })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The newest checkpoint of a run.
///
/// # Errors
/// If the folder is no run or has no checkpoint yet.
pub fn latest_checkpoint(run: &Path) -> Result<PathBuf> {
    let dir = run.join("checkpoints");
    checkpoints(&dir)?.pop().ok_or_else(|| Error::NotFound {
        what: "checkpoint".into(),
        looked: vec![dir],
        remedy: "Is it the folder of a run (runs/NNNNN-...)? A run writes its first checkpoint when it ends or is interrupted".into(),
    })
}

/// Checkpoints from the oldest to the newest; none if there is no such folder.
fn checkpoints(dir: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let is_checkpoint = |p: &PathBuf| {
        let name = p.file_name().and_then(|n| n.to_str()).unwrap_or("");
        name.starts_with("step-") && name.ends_with(".safetensors")
    };
    let mut all: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_checkpoint).collect();
    all.sort();
    Ok(all)
}

/// A line of `log.jsonl`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// Thousands of real images seen.
    pub kimg: f64,
    /// Seconds since the run started.
    pub seconds: f64,
    /// Real images per second since the last record.
    pub images_per_s: f64,
    /// D's learning rate in this step.
    pub lr_d: f64,
    /// G's learning rate in this step.
    pub lr_g: f64,
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
}

/// Trains until the configured number of steps, writing log, grids, plot and checkpoints; all of them also after the
/// last step.
///
/// # Errors
/// [`Error::Interrupted`] when `stop` becomes true: the state is saved first. [`Error::NonFinite`] when a loss is not
/// finite. Files that cannot be written.
pub fn run_training(
    trainer: &mut Trainer,
    run: &Run,
    stop: &AtomicBool,
    on: &mut dyn FnMut(Event),
) -> Result<()> {
    let mut session = Session::start(trainer, run)?;
    session.grid(trainer, on)?;
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
                return Err(Error::Interrupted { step: next, checkpoint });
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
    /// Time and images of the last record.
    last: (f64, f64),
}

impl Session<'_> {
    fn start<'a>(trainer: &Trainer, run: &'a Run) -> Result<Session<'a>> {
        let loss = trainer.config().step.loss.get();
        let (d, g) = loss.equilibrium();
        let lines = [("D", Some(d)), ("G", g)].into_iter();
        let line = |(who, at): (&str, Option<f64>)| at.map(|v| (v, format!("{who} at equilibrium, {v:.3}")));
        let history = LossHistory {
            equilibrium: lines.filter_map(line).collect(),
            probabilities: loss.output() != Output::Score,
            ..LossHistory::default()
        };
        let session = Session {
            run,
            log: RunLog::create(run.dir.join("log.jsonl"))?,
            history,
            preview: trainer.preview(),
            start: Instant::now(),
            last: (0.0, 0.0),
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
        let (seconds, images) = (self.start.elapsed().as_secs_f64(), trainer.kimg() * 1000.0);
        let images_per_s = (images - self.last.1) / (seconds - self.last.0).max(1e-9);
        self.last = (seconds, images);
        let record = Record {
            step: trainer.steps(),
            kimg: trainer.kimg(),
            seconds,
            images_per_s,
            lr_d: trainer.gan().opt_d.rule.lr(),
            lr_g: trainer.gan().opt_g.rule.lr(),
            statistics: s,
        };
        self.log.write(&record)?;
        let h = &mut self.history;
        h.step.push(record.step as f64);
        h.d_loss.push(s.d_loss);
        h.g_loss.push(s.g_loss);
        h.d_real.push(s.d_real);
        h.d_fake.push(s.d_fake);
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
        let dir = self.run.dir.join("checkpoints");
        let path = dir.join(format!("step-{:08}.safetensors", trainer.steps()));
        trainer.save(&path)?;
        let mut kept = checkpoints(&dir)?;
        kept.truncate(kept.len().saturating_sub(KEEP));
        for old in kept {
            fs::remove_file(&old).map_err(Error::io("remove", &old))?;
        }
        on(Event::Wrote(&path));
        Ok(path)
    }

    /// The error for a loss that is not finite. Part of the step may have been made, so the state in memory is not
    /// one to go on from: the last checkpoint stays as it is.
    fn not_finite(&self, trainer: &Trainer, e: NotFinite, on: &mut dyn FnMut(Event)) -> Error {
        // A plot that cannot be drawn must not hide why the run stopped.
        if let Err(plot) = self.plot(trainer, on) {
            eprintln!("warning: {plot}");
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
