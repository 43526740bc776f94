//! `ganvil modes`.

use super::device::DeviceArg;
use super::pieces::Pieces;
use super::signals;
use crate::data::Synthetic;
use crate::gan::modes::{
    Folder, ModesConfig, RECIPES, Score, SeedResult, Snapshot, ceiling, recipe, run_seed,
};
use crate::report::{Cloud, ScatterPanel, save_scatter_panels};
use crate::{Device, Error, Result};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

mod table;

#[derive(clap::Args)]
#[command(
    after_help = "Trains a small GAN for each seed and counts on 2500 samples which modes it covers. Finished seeds are\n\
    kept in the folder and not played again; other settings need another folder.\n\n\
    Recipes: r3gan (default), gan, minimax, wgan, wgan-gp, lsgan, hinge, sngan, dragan, unrolled, pacgan\n\n\
    Examples:\n  \
    ganvil modes ring8\n  \
    ganvil modes grid25 --recipe pacgan --seeds 5 --steps 4000 --out modes/short\n  \
    ganvil modes ring8 --set step.r1=0.01 --set step.r2=0.01 --out modes/smoother"
)]
pub struct Args {
    /// ring8, grid25 or imbalanced-ring
    task: Synthetic,
    /// Losses and techniques by name; listed below
    #[arg(long, default_value = RECIPES[0].0, value_name = "NAME")]
    recipe: String,
    /// Seeds to play, one after the other from the first
    #[arg(long, default_value_t = 10, value_name = "N")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, value_name = "N")]
    first_seed: u64,
    /// Steps of each; schedules are shortened with it [default: the recipe's]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Change a setting by its name in settings.toml: `step.r1=0.01`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    device: DeviceArg,
    /// Threads, each with a seed of its own; results do not depend on them [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Where results are kept [default: modes/TASK-RECIPE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object: what summary.json holds
    #[arg(long)]
    json: bool,
}

/// Draws of real data that the ceiling is the mean of.
const CEILING: usize = 20;
/// Points of each cloud in the picture.
const SHOWN: usize = 1000;

impl Args {
    fn config(&self) -> Result<ModesConfig> {
        let mut config = recipe(&self.recipe, self.task)?;
        config.set_all(&self.set)?;
        if let Some(steps) = self.steps {
            config = config.lasting(steps);
        }
        config.check()?;
        Ok(config)
    }

    fn seeds(&self) -> Result<Vec<u64>> {
        const MOST: u64 = 10_000;
        if !(1..=MOST).contains(&self.seeds) {
            let remedy = format!("use 1 to {MOST} seeds; 10 are usual");
            return Err(Error::Argument { what: "--seeds", value: self.seeds.to_string(), remedy });
        }
        let end = self.first_seed.checked_add(self.seeds).filter(|end| i64::try_from(*end).is_ok());
        let end = end.ok_or_else(|| {
            let remedy = "use at most 9223372036854775807 for the last seed".into();
            Error::Argument { what: "--first-seed", value: self.first_seed.to_string(), remedy }
        })?;
        Ok((self.first_seed..end).collect())
    }
}

pub fn run(args: Args) -> Result<()> {
    let (config, seeds, threads) = (args.config()?, args.seeds()?, super::threads(args.threads)?);
    let device = args.device.open()?;
    let name = format!("{}-{}", config.task, config.recipe);
    let dir = args.out.clone().unwrap_or_else(|| PathBuf::from("modes").join(name));
    let folder = Folder::open(&dir, &config)?;
    let (mut results, mut left) = (Vec::new(), Vec::new());
    for &seed in &seeds {
        match folder.finished(seed)? {
            Some(result) => results.push(result),
            None => left.push(seed),
        }
    }
    let played = left.len();
    if !results.is_empty() {
        let dir = dir.display();
        note!("{} of {} seeds are in {dir} already and taken from there", results.len(), seeds.len());
    }
    let start = Instant::now();
    if played > 0 {
        let side = threads.min(played);
        note!(
            "playing {played} seed{} of {} on {}, {} steps each, {side} side by side, into {}",
            if played == 1 { "" } else { "s" },
            config.recipe,
            config.task,
            config.steps,
            dir.display()
        );
        let stop = signals::watch(signals::PIECES);
        let play = Play { config: &config, device, folder: &folder, first: seeds[0], stop: &stop };
        let pieces = Pieces { name: "seeds", side, threads: threads / side, stop: &stop, dir: &dir };
        results.extend(pieces.all(left, |seed| play.one(seed))?);
    }
    results.sort_by_key(|r| r.seed);
    let elapsed = (played > 0).then(|| start.elapsed().as_secs_f64() / played as f64);
    let summary = table::Summary::new(&config, &results, ceiling(&config, CEILING)?, elapsed);
    let json = serde_json::to_string(&summary).expect("a summary has no keys but strings");
    crate::atomic::write_atomic(&dir.join("summary.json"), format!("{json}\n").as_bytes())?;
    super::print(&if args.json { format!("{json}\n") } else { summary.text() })
}

/// Seeds that are to be played.
struct Play<'a> {
    config: &'a ModesConfig,
    device: Device,
    folder: &'a Folder,
    /// The seed whose samples are drawn.
    first: u64,
    stop: &'a AtomicBool,
}

impl Play<'_> {
    fn one(&self, seed: u64) -> Result<SeedResult> {
        let mut shown: Vec<Snapshot> = Vec::new();
        let on = &mut |s: &Snapshot| {
            if seed == self.first {
                shown.push(s.clone());
            }
        };
        let result = run_seed(self.config, seed, self.device, self.stop, on)?;
        // Before the result, which says that the seed is done.
        if !shown.is_empty() {
            self.picture(&shown)?;
        }
        self.folder.keep(&result)?;
        note!("{}", table::progress(&result));
        Ok(result)
    }

    fn picture(&self, shown: &[Snapshot]) -> Result<()> {
        let real = self.config.task.samples(self.first).take(SHOWN);
        let cloud = |label: &str, points: &[[f32; 2]]| Cloud { label: label.into(), points: points.to_vec() };
        let panel = |s: &Snapshot| ScatterPanel {
            title: format!("step {}: {}", s.step, table::short(&s.score)),
            clouds: vec![cloud("data", &real), cloud("generated", &s.samples[..SHOWN])],
        };
        let title = format!("{} by {}, seed {}", self.config.task, self.config.recipe, self.first);
        let panels: Vec<ScatterPanel> = shown.iter().map(panel).collect();
        save_scatter_panels(self.folder.dir().join("samples.png"), &title, &panels)
    }
}
