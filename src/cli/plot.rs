//! `ganvil plot`.

use super::recorded::Recorded;
use crate::report::{FigureFormat, RunFigures};
use crate::{Error, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "Draws losses, outputs, gradients, accuracy and rate, each by itself and all of them as training. The log \
    alone decides what is drawn; the same log gives the same files.\n\n\
    Examples:\n  \
    ganvil plot runs/00000-mnist-mlp\n  \
    ganvil plot my-run --out figures --format svg"
)]
pub struct Args {
    /// Folder of a run
    run: PathBuf,
    /// Folder for the figures; those of an earlier time are replaced [default: plots in the run's folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Format: png, svg or both
    #[arg(long, default_value = "both", value_name = "NAME")]
    format: FigureFormat,
}

pub fn run(args: Args) -> Result<()> {
    let run = Recorded::open(&args.run)?;
    let records = run.records()?;
    if records.is_empty() {
        let problem = "holds no record; a run writes its first after its first step";
        return Err(Error::format(run.log(), problem));
    }
    let figures = RunFigures::new(run.recipe(), run.loss()?, &records);
    if figures.is_empty() {
        let problem = "has nothing to draw: no record has step and d_loss; is it the log of a GAN's run?";
        return Err(Error::format(run.log(), problem));
    }
    let out = args.out.unwrap_or_else(|| args.run.join("plots"));
    let files = figures.save(&out, args.format)?;
    let mut names: Vec<_> = files.iter().filter_map(|f| f.file_stem()).map(|n| n.to_string_lossy()).collect();
    names.dedup();
    let s = if records.len() == 1 { "" } else { "s" };
    note!("{} of {} record{s} in {}", names.join(", "), records.len(), out.display());
    Ok(())
}
