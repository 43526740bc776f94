//! What a run writes into its folder while it goes on.

use super::classes::{class_entropy, classifier_of};
use super::grids::{Grids, REALS, encode};
use super::record::{Record, scalars};
use super::watch::Event;
use crate::atomic::{remove, write_atomic};
use crate::checkpoint::manifest;
use crate::gan::alarms::AlarmLog;
use crate::gan::loss_facts::loss_facts;
use crate::gan::run::{KEEP, Run, latest_checkpoint};
use crate::gan::statistics::Statistics;
use crate::gan::step::NotFinite;
use crate::gan::trainer::{Preview, Trainer};
use crate::metrics::Classifier;
use crate::report::{EventLog, RunFigures, RunLog, memory_mb, read_log};
use crate::{Error, Result};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// What a run keeps while it goes on.
pub(super) struct Session<'a> {
    run: &'a Run,
    log: RunLog,
    alarms: AlarmLog,
    pub events: Option<EventLog>,
    /// Of digits, if that is what the run is on.
    pub classifier: Option<Classifier>,
    pub figures: RunFigures,
    /// When they were drawn.
    pub drawn: Instant,
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
    pub(super) fn start<'a>(trainer: &Trainer, run: &'a Run) -> Result<Session<'a>> {
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
            figures: RunFigures::new(&config.recipe, loss_facts(&config.step), &records),
            drawn: Instant::now(),
            preview: trainer.preview(),
            start: Instant::now(),
            before,
            last: (before, trainer.kimg() * 1000.0),
            logged: records.last().and_then(|r| r["step"].as_u64()).unwrap_or(0),
        };
        let reals = encode(&trainer.reals(REALS), trainer.image_shape(), 8)?;
        write_atomic(&run.dir().join("samples/real.png"), &reals)?;
        Ok(session)
    }

    pub(super) fn grid(&mut self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<()> {
        let path = Grids::of(self.run, trainer).path(trainer.steps());
        let Preview { z, labels, columns } = &self.preview;
        let image = trainer.image_shape();
        let png = encode(&trainer.sample(z, labels.as_ref()), image, *columns)?;
        write_atomic(&path, &png)?;
        if let Some(events) = &mut self.events {
            events.png(trainer.steps(), "samples", &png)?;
        }
        on(Event::Wrote(&path));
        Ok(())
    }

    pub(super) fn log(&mut self, trainer: &Trainer, s: &Statistics, on: &mut dyn FnMut(Event)) -> Result<()> {
        let seconds = self.before + self.start.elapsed().as_secs_f64();
        let images = trainer.kimg() * 1000.0;
        let images_per_s = (images - self.last.1) / (seconds - self.last.0).max(1e-9);
        self.last = (seconds, images);
        let entropy = self.classifier.as_ref().map(|c| class_entropy(c, trainer, &s.fakes));
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
            class_entropy: entropy.transpose()?,
            grid_change: Grids::of(self.run, trainer).change(self.logged),
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

    pub(super) fn overview(&mut self, on: &mut dyn FnMut(Event)) -> Result<()> {
        let path = self.figures.save_overview(&self.run.dir().join("plots"))?;
        self.drawn = Instant::now();
        on(Event::Wrote(&path));
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, trainer: &Trainer, on: &mut dyn FnMut(Event)) -> Result<PathBuf> {
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
    pub(super) fn not_finite(&mut self, trainer: &Trainer, e: NotFinite, on: &mut dyn FnMut(Event)) -> Error {
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

/// What a run that fails can go on from.
pub(super) fn kept(run: &Run) -> String {
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
