//! `ganvil info`.

use crate::Result;
use crate::backend;
use crate::data::{Dataset, Split, locate};
use crate::gan::zoo::RECIPES;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Folder with the MNIST files [default: $GANVIL_DATA, then data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<()> {
    println!("ganvil {}", env!("CARGO_PKG_VERSION"));
    println!("processor  {}", processor());
    println!("device     {}", backend::of(crate::Device::Cpu).describe());
    println!("threads    {}", super::threads(None)?);
    let data = locate(args.data.as_deref()).and_then(|dir| Ok((Dataset::load(&dir, Split::Train)?, dir)));
    match data {
        Ok((d, dir)) => {
            let i = &d.images;
            println!("data       {}: {} images of {} x {}", dir.display(), i.count, i.rows, i.cols);
        }
        // A flag that is wrong is an error, a missing default is information.
        Err(e) if args.data.is_some() => return Err(e),
        Err(e) => println!("data       {e}"),
    }
    RECIPES.iter().for_each(|r| println!("recipe     {:<8} {}", r.name, r.summary));
    Ok(())
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    name.map_or(std::env::consts::ARCH.into(), |(_, n)| n.trim().into())
}
