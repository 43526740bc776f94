//! `ganvil report`.

use crate::gan::write_report;
use crate::{Error, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "The page holds all it shows and needs no network: what was trained, samples over time, curves with what is \
    healthy, measurements, alarms, what the discriminator answers, ways through latent space, nearest training images, \
    digits, times. What a run lacks is said in a sentence. Training writes it at its end; the same run gives the same bytes.\n\n\
    Examples:\n  \
    ganvil report runs/00000-mnist-mlp\n  \
    ganvil report my-run --out my-run.html --data data/mnist"
)]
pub struct Args {
    /// Folder of a run
    run: PathBuf,
    /// The page [default: report.html in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the run's data is now, if it has moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Kernel threads; results do not depend on them [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: Args) -> Result<()> {
    if let Some(dir) = args.data.as_ref().filter(|dir| !dir.is_dir()) {
        let remedy = "there is no such folder; name the one of the run's data".into();
        return Err(Error::Argument { what: "--data", value: dir.display().to_string(), remedy });
    }
    if let Some(out) = args.out.as_ref().filter(|out| out.is_dir()) {
        let remedy = "it is a folder; name a file, such as report.html".into();
        return Err(Error::Argument { what: "--out", value: out.display().to_string(), remedy });
    }
    let threads = super::threads(args.threads)?;
    let path =
        crate::threads(threads, || write_report(&args.run, args.data.as_deref(), args.out.as_deref()))?;
    note!("{}", path.display());
    Ok(())
}
