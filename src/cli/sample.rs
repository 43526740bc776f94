//! `ganvil sample`.

use super::device::DeviceArg;
use crate::gan::{Latents, NormStatistics, Sampler, Truncation, TruncationKind, latest_checkpoint};
use crate::report::{GridStyle, save_gif, save_grid, save_pictures};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    ganvil sample runs/00000-mnist-mlp --n 100 --columns 10 --seed 1 --out digits.png\n  \
    ganvil sample my-run --interpolate 8 --columns 10 --out ways.png\n  \
    ganvil sample my-run --gif round.gif\n  \
    ganvil sample my-run --n 10000 --images samples\n  \
    ganvil sample my-run --truncation 0.7 --batch-stats")]
pub struct Args {
    /// Folder of a run, or a checkpoint file
    run: PathBuf,
    /// Number of samples [default: 64; 16 in a GIF]
    #[arg(long, value_name = "N")]
    n: Option<usize>,
    /// Samples in a row of the grid [default: 8; 4 in a GIF]
    #[arg(long, value_name = "N")]
    columns: Option<usize>,
    /// Seed of the noise; sample i depends on the seed and i alone
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// The picture to write [default: samples.png in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Kernel threads [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Show this many ways from one sample to another, a row each
    #[arg(long, value_name = "ROWS", conflicts_with_all = ["n", "classes", "gif"], help_heading = "What to show")]
    interpolate: Option<usize>,
    /// Show a row for each class, with the same noise down a column; for conditional generators
    #[arg(long, conflicts_with_all = ["n", "gif"], help_heading = "What to show")]
    classes: bool,
    /// Write an animation in place of the grid: each sample goes a round through five others
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "images"], help_heading = "What to show")]
    gif: Option<PathBuf>,
    /// Pictures in the animation
    #[arg(long, default_value_t = 60, value_name = "N", requires = "gif", help_heading = "What to show")]
    frames: usize,
    /// Write single PNGs into a new folder, in place of the grid unless --out is given too
    #[arg(long, value_name = "DIR", help_heading = "What to show")]
    images: Option<PathBuf>,
    /// Cut off the noise's tails at this threshold: less variety, more typical samples
    #[arg(long, allow_negative_numbers = true, value_name = "TAU", help_heading = "Sampling")]
    truncation: Option<f64>,
    /// resample: draw elements beyond TAU again; scaled: TAU times elements drawn again beyond 2
    #[arg(
        long,
        default_value = "resample",
        value_name = "KIND",
        requires = "truncation",
        help_heading = "Sampling"
    )]
    truncation_kind: TruncationKind,
    /// Normalise by the samples' own statistics, not training's running ones (a pass as in training; a sample then
    /// depends on the others)
    #[arg(long, help_heading = "Sampling")]
    batch_stats: bool,
    /// First recompute the running statistics over N batches of such samples: for truncated noise, 50 to 100
    #[arg(long, value_name = "N", conflicts_with = "batch_stats", help_heading = "Sampling")]
    standing_stats: Option<usize>,
}

/// The most samples that are drawn at once.
const MOST: usize = 100_000;
/// The most batches that statistics are recomputed over.
const MOST_BATCHES: usize = 1000;
/// Latent vectors that a way in an animation leads through.
const POINTS: usize = 5;
/// Between two pictures of an animation.
const MILLISECONDS: u32 = 80;

pub fn run(args: Args) -> Result<()> {
    args.check()?;
    let is_file = args.run.is_file();
    let checkpoint = if is_file { args.run.clone() } else { latest_checkpoint(&args.run)? };
    let beside = || if is_file { "samples.png".into() } else { args.run.join("samples.png") };
    let out = args.out.clone().unwrap_or_else(beside);
    let sampler = Sampler::load(&checkpoint)?.to_device(args.device.open()?);
    crate::threads(super::threads(args.threads)?, || {
        if let Some(batches) = args.standing_stats {
            // Not over the very samples that are shown.
            sampler.stand(batches, args.seed.wrapping_add(1), args.truncation())?;
        }
        match &args.gif {
            Some(gif) => args.animate(&sampler, gif),
            None => args.draw(&sampler, &out),
        }
    })
}

impl Args {
    fn check(&self) -> Result<()> {
        let bad = |what, value: usize, remedy: String| {
            Err(Error::Argument { what, value: value.to_string(), remedy })
        };
        for (what, value, least) in [
            ("--n", self.n, 1),
            ("--columns", self.columns, if self.interpolate.is_some() { 2 } else { 1 }),
            ("--interpolate", self.interpolate, 1),
            ("--frames", Some(self.frames), 1),
        ] {
            if let Some(value) = value.filter(|v| !(least..=MOST).contains(v)) {
                return bad(what, value, format!("use {least} to {MOST}"));
            }
        }
        if let Some(n) = self.standing_stats.filter(|n| !(1..=MOST_BATCHES).contains(n)) {
            return bad("--standing-stats", n, format!("use 1 to {MOST_BATCHES}; 100 is usual"));
        }
        if self.batch_stats && self.n == Some(1) {
            return bad("--n", 1, "with --batch-stats give 2 or more, as one sample has no variance".into());
        }
        if let Some(t) = self.truncation() {
            t.check()?;
        }
        if let Some(gif) =
            self.gif.as_ref().filter(|p| !p.extension().is_some_and(|e| e.eq_ignore_ascii_case("gif")))
        {
            let remedy = "give it a name that ends in .gif".into();
            return Err(Error::Argument { what: "--gif", value: gif.display().to_string(), remedy });
        }
        self.out.as_ref().map_or(Ok(()), |out| super::check_png("--out", out))
    }

    fn truncation(&self) -> Option<Truncation> {
        self.truncation.map(|tau| Truncation { tau, kind: self.truncation_kind })
    }

    fn statistics(&self) -> NormStatistics {
        if self.batch_stats { NormStatistics::Batch } else { NormStatistics::Running }
    }

    /// The latents of a grid, how many to a row, and what to call them.
    fn latents(&self, sampler: &Sampler) -> Result<(Latents, usize, String)> {
        let columns = self.columns.unwrap_or(8);
        let draw = |n| sampler.latents(n, self.seed, self.truncation());
        let count = |what, of: usize| {
            let n = of.checked_mul(columns).filter(|&n| n <= MOST);
            n.ok_or_else(|| Error::Argument {
                what,
                value: of.to_string(),
                remedy: format!("that is more than {MOST} samples in {columns} columns; show fewer"),
            })
        };
        if let Some(rows) = self.interpolate {
            count("--interpolate", rows)?;
            return Ok((sampler.strip(&draw(2 * rows)?, columns), columns, format!("{rows} ways")));
        }
        if self.classes {
            let refused = || Error::Argument {
                what: "--classes",
                value: sampler.config().recipe.clone(),
                remedy: "the run's generator is not conditional and knows of no classes; leave the flag out"
                    .into(),
            };
            count("--classes", sampler.classes.ok_or_else(refused)?)?;
            let grid = sampler.class_grid(&draw(columns)?).ok_or_else(refused)?;
            let what = format!("{} classes", sampler.classes.unwrap_or(0));
            return Ok((grid, columns, what));
        }
        let n = self.n.unwrap_or(64);
        Ok((draw(n)?, columns.min(n), format!("{n} samples")))
    }

    fn draw(&self, sampler: &Sampler, out: &Path) -> Result<()> {
        let (latents, columns, what) = self.latents(sampler)?;
        let images = sampler.generate(&latents, self.statistics());
        let [c, h, w] = sampler.shape;
        let shape = [latents.z.shape()[0], c, h, w];
        let mut written = Vec::new();
        if let Some(dir) = &self.images {
            save_pictures(dir, &images, shape)?;
            written.push(dir.display().to_string());
        }
        if self.images.is_none() || self.out.is_some() {
            save_grid(out, &images, shape, &GridStyle { columns, ..GridStyle::default() })?;
            written.push(out.display().to_string());
        }
        note!("{what} after {} steps: {}", sampler.steps, written.join(", "));
        Ok(())
    }

    fn animate(&self, sampler: &Sampler, gif: &Path) -> Result<()> {
        let n = self.n.unwrap_or(16);
        if n > MOST / POINTS {
            let remedy = format!("an animation shows at most {}", MOST / POINTS);
            return Err(Error::Argument { what: "--n", value: n.to_string(), remedy });
        }
        let style = GridStyle { columns: self.columns.unwrap_or(4).min(n), ..GridStyle::default() };
        let rounds = sampler.rounds(n, POINTS, self.seed, self.truncation())?;
        let frame = |i: usize| sampler.generate(&rounds(i as f64 / self.frames as f64), self.statistics());
        let [c, h, w] = sampler.shape;
        save_gif(gif, (0..self.frames).map(frame), [n, c, h, w], &style, MILLISECONDS)?;
        note!("{n} samples after {} steps, {} frames: {}", sampler.steps, self.frames, gif.display());
        Ok(())
    }
}
