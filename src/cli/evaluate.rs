//! `ganvil evaluate`.

use super::device::DeviceArg;
use crate::data::{Dataset, Split, locate};
use crate::gan::{Sampler, latest_checkpoint};
use crate::metrics::{ClassReport, Classifier, ClassifierNet, digit_images};
use crate::{Error, Result};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "A classifier of digits, whose weights come with the program, looks at the samples as they would \
    be in PNG files, and at all real test images. Its figures compare only between results with the same checksum, \
    and say nothing of variety within a class.\n\n\
    Examples:\n  \
    ganvil evaluate runs/00000-mnist-mlp\n  \
    ganvil evaluate my-run --n 10000 --seed 1 --json"
)]
pub struct Args {
    /// Folder of a run on MNIST's digits, or a checkpoint file
    run: PathBuf,
    /// Number of samples; of a conditional run, the classes in turn
    #[arg(long, default_value_t = 1000, value_name = "N")]
    n: usize,
    /// Seed of the noise; the samples are those of `ganvil sample`
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Folder with the real test images [default: $GANVIL_DATA, then data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Kernel threads; results do not depend on them [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// The most samples that are looked at.
const MOST: usize = 100_000;

pub fn run(args: Args) -> Result<()> {
    if !(1..=MOST).contains(&args.n) {
        let remedy = format!("use 1 to {MOST}");
        return Err(Error::Argument { what: "--n", value: args.n.to_string(), remedy });
    }
    let checkpoint = if args.run.is_file() { args.run.clone() } else { latest_checkpoint(&args.run)? };
    let sampler = Sampler::load(&checkpoint)?.to_device(args.device.open()?);
    // A run that cannot be measured is refused before the work, not after it.
    let pad = sampler.config().data.pad;
    digit_images(&[], sampler.shape, pad)?;
    check_classes(&sampler)?;
    let test = Dataset::load(locate(args.data.as_deref())?, Split::Test)?;
    let classifier = Classifier::mnist()?;
    let (samples, real) = crate::threads(super::threads(args.threads)?, || -> Result<_> {
        let images = digit_images(&sampler.sample(args.n, args.seed), sampler.shape, pad)?;
        let asked = sampler.classes.map(|n| (0..args.n).map(|i| (i % n) as u32).collect::<Vec<_>>());
        let samples = ClassReport::new(&classifier, &images, asked.as_deref())?;
        Ok((samples, ClassReport::of_data(&classifier, &test)?))
    })?;
    let out = if args.json {
        let report = json!({
            "run": args.run.display().to_string(),
            "recipe": sampler.config().recipe,
            "steps": sampler.steps,
            "seed": args.seed,
            "classifier_sha256": classifier.checksum(),
            "samples": samples,
            "real": real,
        });
        format!("{report}\n")
    } else {
        let head = format!(
            "{}, {} steps, seed {}\nclassifier     SHA-256 {}\n\n",
            args.run.display(),
            sampler.steps,
            args.seed,
            classifier.checksum()
        );
        head + &table(&samples, &real)
    };
    super::print(&out)
}

/// The classes of a conditional run must be the classifier's.
fn check_classes(sampler: &Sampler) -> Result<()> {
    match sampler.classes {
        Some(n) if n != ClassifierNet::CLASSES => {
            let remedy = format!(
                "the classifier knows the {} digits, so a conditional run must have them as its classes; train it on MNIST",
                ClassifierNet::CLASSES
            );
            Err(Error::Argument { what: "number of classes", value: n.to_string(), remedy })
        }
        _ => Ok(()),
    }
}

/// Each figure of the samples beside that of real images.
fn table(samples: &ClassReport, real: &ClassReport) -> String {
    let mut out = String::new();
    let mut row = |what: &str, samples: String, real: String| {
        writeln!(out, "{what:<24} {samples:>9} {real:>10}").expect("memory can be written to");
    };
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let nats = |v: f64| format!("{v:.4}");
    row("", "samples".into(), "real test".into());
    row("images", samples.n.to_string(), real.n.to_string());
    row("mean top-1 confidence", nats(samples.confidence), nats(real.confidence));
    row("entropy of classes, nats", nats(samples.entropy), nats(real.entropy));
    row("KL to uniform, nats", nats(samples.kl_to_uniform), nats(real.kl_to_uniform));
    row("smallest share", percent(samples.min_share), percent(real.min_share));
    for (class, (s, r)) in samples.shares.iter().zip(&real.shares).enumerate() {
        row(&format!("  share of class {class}"), percent(*s), percent(*r));
    }
    if let (Some(s), Some(r)) = (&samples.agreement, &real.agreement) {
        row("class agreement", percent(s.overall), percent(r.overall));
        let shown = |share: &Option<f64>| share.map_or("-".into(), percent);
        for (class, (s, r)) in s.per_class.iter().zip(&r.per_class).enumerate() {
            row(&format!("  agreement of class {class}"), shown(s), shown(r));
        }
    }
    out
}
