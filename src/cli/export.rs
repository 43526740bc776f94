//! `ganvil export`.

use crate::Result;
use crate::gan::{Part, export, latest_checkpoint};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "Writes a safetensors file with the names of PyTorch's state_dict, which is loaded in Python by\n  \
    net.load_state_dict(safetensors.torch.load_file(\"generator.safetensors\"))\n\n\
    Example:\n  ganvil export my-run --out generator.safetensors"
)]
pub struct Args {
    /// Folder of a run, or a checkpoint file
    run: PathBuf,
    /// The file to write [default: generator.safetensors or discriminator.safetensors in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The generator's moving average [default: if the run has one]
    #[arg(long, conflicts_with = "raw")]
    ema: bool,
    /// The generator as it is trained, not its moving average
    #[arg(long)]
    raw: bool,
    /// The discriminator
    #[arg(long, conflicts_with_all = ["ema", "raw"])]
    discriminator: bool,
}

pub fn run(args: Args) -> Result<()> {
    let part = match (args.ema, args.raw, args.discriminator) {
        (true, ..) => Part::Average,
        (_, true, _) => Part::Raw,
        (.., true) => Part::Discriminator,
        _ => Part::Sampled,
    };
    let is_file = args.run.is_file();
    let checkpoint = if is_file { args.run.clone() } else { latest_checkpoint(&args.run)? };
    let name = if args.discriminator { "discriminator.safetensors" } else { "generator.safetensors" };
    let beside = || if is_file { name.into() } else { args.run.join(name) };
    let out = args.out.unwrap_or_else(beside);
    export(&checkpoint, &out, part)?;
    note!("{} of {}", out.display(), checkpoint.display());
    Ok(())
}
