//! `ganvil train classifier`.

use crate::checkpoint;
use crate::data::{Dataset, Split, locate};
use crate::metrics::{Classifier, ClassifierConfig, ClassifierTrainer};
use crate::nn::state_dict;
use crate::report::{RunLog, run_folder};
use crate::{DType, Device, Error, Result, atomic};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub const SUMMARY: &str = "no GAN: the digit classifier of `ganvil evaluate`, which comes with the program";

/// The flags of `ganvil train` that it takes.
const FLAGS: [&str; 7] = ["--data", "--out", "--threads", "--seed", "--epochs", "--batch", "--device"];

/// What those flags say.
pub struct Args {
    pub data: Option<PathBuf>,
    pub out: Option<PathBuf>,
    pub threads: usize,
    pub seed: Option<u64>,
    pub epochs: Option<f64>,
    pub batch: Option<usize>,
    pub device: Device,
}

/// A line of `log.jsonl`.
#[derive(Serialize)]
struct Record {
    epoch: u64,
    step: u64,
    /// Mean of the epoch's steps, on moved images.
    loss: f64,
    test_accuracy: f64,
    seconds: f64,
}

/// Refuses flags that are about GANs; `given` are those on the command line.
pub fn check_flags(given: &[String]) -> Result<()> {
    match given.iter().find(|flag| !FLAGS.contains(&flag.as_str())) {
        None => Ok(()),
        Some(flag) => {
            let remedy = format!("recipe {} takes only {}", ClassifierConfig::RECIPE, FLAGS.join(", "));
            Err(Error::Argument { what: "flag", value: flag.clone(), remedy })
        }
    }
}

impl Args {
    fn config(&self) -> Result<ClassifierConfig> {
        let default = ClassifierConfig::default();
        let epochs = self.epochs.unwrap_or(default.epochs as f64);
        if epochs.fract() != 0.0 {
            let remedy = "use a whole number of passes over the data".into();
            return Err(Error::Argument { what: "--epochs", value: epochs.to_string(), remedy });
        }
        let config = ClassifierConfig {
            seed: self.seed.unwrap_or(default.seed),
            // Below 0 becomes 0, which is refused.
            epochs: epochs as u64,
            batch: self.batch.unwrap_or(default.batch),
            ..default
        };
        config.check()?;
        Ok(config)
    }
}

pub fn run(args: Args) -> Result<()> {
    let config = args.config()?;
    let dir = locate(args.data.as_deref())?;
    let data = Arc::new(Dataset::load(&dir, Split::Train)?);
    let test = Dataset::load(&dir, Split::Test)?;
    let mut trainer = ClassifierTrainer::new(config, data.clone(), args.device)?;
    let config = trainer.config().clone();
    let out = run_folder(args.out.as_deref(), &[&data.name, ClassifierConfig::RECIPE], |dir| {
        let path = dir.join("config.toml");
        let text = toml::to_string(&config).map_err(|e| Error::format(&path, e.to_string()))?;
        atomic::write_atomic(&path, text.as_bytes())
    })?;
    crate::threads(args.threads, || train(&mut trainer, &test, &out))
}

fn train(trainer: &mut ClassifierTrainer, test: &Dataset, out: &Path) -> Result<()> {
    let config = trainer.config().clone();
    let mut log = RunLog::create(out.join("log.jsonl"))?;
    let start = Instant::now();
    note!(
        "training the classifier for {} epochs, seed {}, into {}",
        config.epochs,
        config.seed,
        out.display()
    );
    for epoch in 1..=config.epochs {
        let loss = trainer.epoch()?;
        let test_accuracy = trainer.net().accuracy(test)?;
        let seconds = start.elapsed().as_secs_f64();
        log.write(&Record { epoch, step: trainer.steps(), loss, test_accuracy, seconds })?;
        let percent = 100.0 * test_accuracy;
        note!(
            "epoch {epoch}/{}: loss {loss:.4}, test accuracy {percent:.2} %, {seconds:.0} s",
            config.epochs
        );
    }
    finish(trainer, test, out)
}

/// Writes the weights as they are and rounded, and what the rounded ones are worth.
fn finish(trainer: &ClassifierTrainer, test: &Dataset, out: &Path) -> Result<()> {
    let weights = state_dict(trainer.net());
    let meta = json!({ "config": trainer.config(), "step": trainer.steps() });
    checkpoint::save(&out.join("classifier-f32.safetensors"), &weights, &meta)?;
    let halves: Vec<_> = weights.into_iter().map(|(name, t)| (name, t.to_dtype(DType::F16))).collect();
    let path = out.join("classifier.safetensors");
    checkpoint::save(&path, &halves, &meta)?;

    let rounded = Classifier::load(&path, None)?;
    let accuracy = rounded.net().accuracy(test)?;
    let result = json!({
        "file": "classifier.safetensors",
        "sha256": rounded.checksum(),
        "test_accuracy": accuracy,
        "test_images": test.images.count,
    });
    atomic::write_atomic(&out.join("result.json"), format!("{result}\n").as_bytes())?;
    note!(
        "{}: test accuracy {:.2} % of {} images, SHA-256 {}",
        path.display(),
        100.0 * accuracy,
        test.images.count,
        rounded.checksum()
    );
    Ok(())
}
