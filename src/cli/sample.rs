//! `ganvil sample`.

use crate::gan::{Sampler, latest_checkpoint};
use crate::report::{GridStyle, save_grid};
use crate::{Error, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ganvil sample runs/00000-mnist-mlp --n 100 --columns 10 --seed 1 --out digits.png"
)]
pub struct Args {
    /// Folder of a run, or a checkpoint file
    run: PathBuf,
    /// Number of samples
    #[arg(long, default_value_t = 64, value_name = "N")]
    n: usize,
    /// Samples in a row of the grid
    #[arg(long, default_value_t = 8, value_name = "N")]
    columns: usize,
    /// Seed of the noise; sample i depends on the seed and i alone
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// The picture to write [default: samples.png in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Kernel threads [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: Args) -> Result<()> {
    const MOST: usize = 100_000;
    if args.n == 0 || args.n > MOST {
        let remedy = format!("use 1 to {MOST} samples");
        return Err(Error::Argument { what: "--n", value: args.n.to_string(), remedy });
    }
    if args.columns == 0 {
        let remedy = "a grid has at least one column".into();
        return Err(Error::Argument { what: "--columns", value: "0".into(), remedy });
    }
    let is_file = args.run.is_file();
    let checkpoint = if is_file { args.run.clone() } else { latest_checkpoint(&args.run)? };
    let out =
        args.out.unwrap_or_else(|| if is_file { "samples.png".into() } else { args.run.join("samples.png") });
    super::check_png("--out", &out)?;
    let sampler = Sampler::load(&checkpoint)?;
    let images = crate::threads(super::threads(args.threads)?, || sampler.sample(args.n, args.seed));
    let (rows, cols) = sampler.size;
    let style = GridStyle { columns: args.columns.min(args.n), ..GridStyle::default() };
    save_grid(&out, &images, [args.n, 1, rows, cols], &style)?;
    eprintln!("{} samples after {} steps: {}", args.n, sampler.steps, out.display());
    Ok(())
}
