//! `ganvil info`.

use crate::backend;
use crate::data::{Dataset, Split, locate};
use crate::report::processor;
use crate::{Error, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ganvil info\n  ganvil info --data fashion-mnist")]
pub struct Args {
    /// Folder with the data [default: $GANVIL_DATA, then data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<()> {
    let data = locate(args.data.as_deref()).and_then(|dir| Ok((Dataset::load(&dir, Split::Train)?, dir)));
    let data = match data {
        Ok((d, dir)) => {
            let [channels, rows, cols] = d.shape();
            let colour = if channels == 3 { " in colour" } else { "" };
            format!("{}: {} images of {rows} x {cols}{colour}", dir.display(), d.images.count)
        }
        // A flag that is wrong is an error, a missing default is information.
        Err(e) if args.data.is_some() => return Err(e),
        Err(e) => e.to_string(),
    };
    let commit = option_env!("GANVIL_COMMIT").map_or(String::new(), |c| format!(" ({c})"));
    let mut text = format!("ganvil {}{commit}\n", env!("CARGO_PKG_VERSION"));
    let device = backend::of(crate::Device::Cpu).describe();
    // Only what is there: a machine without a GPU misses nothing.
    let gpu = crate::backend::cuda::open(crate::Device::Cuda).map_or_else(
        |e| match e {
            Error::Argument { remedy, .. } => remedy,
            other => other.to_string(),
        },
        str::to_owned,
    );
    let threads = super::threads(None)?.to_string();
    for (what, value) in
        [("processor", processor()), ("device", device), ("gpu", gpu), ("threads", threads), ("data", data)]
    {
        text += &format!("{what:<10} {value}\n");
    }
    text += &super::recipes("recipe     ");
    super::print(&text)
}
