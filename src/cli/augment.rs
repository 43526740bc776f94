//! `ganvil augment`.

use super::device::DeviceArg;
use super::pieces::Pieces;
use super::signals;
use crate::atomic::write_atomic;
use crate::data::{Dataset, Split, locate};
use crate::gan::augment::{Arm, AugmentConfig, Cell, CellResult, Experiment, Folder, Progress};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

mod table;

#[derive(clap::Args)]
#[command(
    after_help = "Trains the same classifier for the same number of steps on few labelled images, and on these and what an arm\n\
    adds to them; docs/augment.md has the protocol. Finished cells (a number of labels and a seed) are kept in the\n\
    folder and not run again; other settings or data need another folder.\n\n\
    Arms, each with those that it is compared with:\n  \
    real        the labelled images alone\n  \
    jitter      the same under small random affine maps\n  \
    gan         and images of a conditional GAN that was trained on them\n  \
    gan-jitter  both\n  \
    gan-only    the GAN's images alone\n  \
    pseudo      uses unlabelled images, with labels that arm real's classifier gives them; no GAN\n  \
    semi        uses unlabelled images: a GAN is trained on all, with those labels\n\n\
    Examples:\n  \
    ganvil augment\n  \
    ganvil augment --per-class 10,50 --seeds 3 --ratio 5 --steps 1000 --out augment/short\n  \
    ganvil augment --arms gan --set gan.step.augment=none --out augment/without-diffaugment"
)]
pub struct Args {
    /// Labelled images of each class, one number after the other
    #[arg(long, value_delimiter = ',', default_value = "5,10,20,50,100", value_name = "N,...")]
    per_class: Vec<usize>,
    /// Added images for each labelled one; validation chooses among them
    #[arg(long, value_delimiter = ',', default_value = "1,5,10", value_name = "R,...")]
    ratio: Vec<usize>,
    /// Seeds of each number of labels, from 0; 2 or more have intervals
    #[arg(long, default_value_t = 5, value_name = "N")]
    seeds: u64,
    /// Arms by name, listed below [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ARM,...")]
    arms: Vec<Arm>,
    /// Steps of each GAN [default: 3000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Change a setting by its name in settings.toml, without `config.`: `classifier.steps=1000`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder with the data [default: $GANVIL_DATA, data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Threads, each with a cell of its own; results do not depend on them [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Where results are kept [default: augment/DATA]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object: what summary.json holds
    #[arg(long)]
    json: bool,
}

impl Args {
    fn config(&self) -> Result<AugmentConfig> {
        let mut config = AugmentConfig { ratios: self.ratio.clone(), ..AugmentConfig::default() };
        if !self.arms.is_empty() {
            config.arms = Arm::with_references(&self.arms);
        }
        if let Some(steps) = self.steps {
            config.gan.steps = steps;
            // Few steps have fewer states.
            config.gan_states = config.gan_states.min(steps.max(1));
        }
        config.set_all(&self.set)?;
        config.check()?;
        Ok(config)
    }

    /// By number of labels, then by seed: a first seed of each is there soon.
    fn cells(&self) -> Result<Vec<Cell>> {
        const MOST: u64 = 1000;
        if !(1..=MOST).contains(&self.seeds) {
            let remedy = format!("use 1 to {MOST} seeds; 5 are usual");
            return Err(Error::Argument { what: "--seeds", value: self.seeds.to_string(), remedy });
        }
        if !self.per_class.is_sorted_by(|a, b| a < b) || self.per_class.contains(&0) {
            let remedy = "use rising whole numbers from 1; 5,10,20,50,100 is usual".into();
            let value = format!("{:?}", self.per_class);
            return Err(Error::Argument { what: "--per-class", value, remedy });
        }
        let of = |seed| self.per_class.iter().map(move |&per_class| Cell { per_class, seed });
        Ok((0..self.seeds).flat_map(of).collect())
    }
}

pub fn run(args: Args) -> Result<()> {
    let (config, cells, threads) = (args.config()?, args.cells()?, super::threads(args.threads)?);
    let device = args.device.open()?;
    let from = locate(args.data.as_deref())?;
    let (train, test) = (Dataset::load(&from, Split::Train)?, Dataset::load(&from, Split::Test)?);
    let dir = args.out.clone().unwrap_or_else(|| Path::new("augment").join(&train.name));
    let experiment = Experiment::new(config, train, test)?;
    // All that cannot be run is refused before anything is.
    for cell in cells.iter().filter(|c| c.seed == 0) {
        experiment.parts(*cell)?;
    }
    let folder = Folder::open(&dir, experiment.settings())?;
    let (mut results, mut left) = (Vec::new(), Vec::new());
    for &cell in &cells {
        match folder.finished(cell)? {
            Some(result) => results.push(result),
            None => left.push(cell),
        }
    }
    if !results.is_empty() {
        note!(
            "{} of {} cells are in {} already and taken from there",
            results.len(),
            cells.len(),
            dir.display()
        );
    }
    if !left.is_empty() {
        let side = threads.min(left.len());
        announce(experiment.config(), left.len(), side, &dir);
        let stop = signals::watch(signals::PIECES);
        let pieces = Pieces { name: "cells", side, threads: threads / side, stop: &stop, dir: &dir };
        let count = Count { start: Instant::now(), of: left.len(), done: AtomicUsize::new(0) };
        let work = |cell| {
            let on = &mut |p: Progress| note!("{cell}: {}", table::progress(&p));
            let result = experiment.run(cell, device, &stop, on)?;
            folder.keep(&result)?;
            count.one(&result);
            Ok(result)
        };
        results.extend(pieces.all(left, work)?);
    }
    results.sort_by_key(|r| r.cell);
    let summary = table::Summary::new(&experiment, &results);
    let json = serde_json::to_string(&summary).expect("a summary has no keys but strings");
    write_atomic(&dir.join("summary.json"), format!("{json}\n").as_bytes())?;
    super::print(&if args.json { format!("{json}\n") } else { summary.text() })
}

/// What is to come.
fn announce(config: &AugmentConfig, cells: usize, side: usize, dir: &Path) {
    let (each, steps) = (config.trainings(), config.classifier.steps.unwrap_or(0));
    note!(
        "{cells} cell{}, {side} side by side: {} GANs of {} steps and {} classifiers of {steps}, into {}",
        if cells == 1 { "" } else { "s" },
        cells * each.gans,
        config.gan.steps,
        cells * each.classifiers,
        dir.display()
    );
}

/// How far this start is.
struct Count {
    start: Instant,
    of: usize,
    done: AtomicUsize,
}

impl Count {
    /// A cell is done: says how long the others may take.
    fn one(&self, result: &CellResult) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let (left, seconds) = (self.of - done, self.start.elapsed().as_secs_f64());
        let more = match left {
            0 => String::new(),
            _ => format!(", about {:.0} min more", (seconds / done as f64 * left as f64 / 60.0).ceil()),
        };
        note!("{}: done in {:.0} s; {done} of {}{more}", result.cell, result.seconds, self.of);
    }
}
