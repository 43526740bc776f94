//! `ganvil import`.

use crate::Result;
use crate::gan::{Import, import};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "Takes what PyTorch saved by\n  \
    safetensors.torch.save_file(net.state_dict(), \"generator.safetensors\")\n\n\
    Example:\n  ganvil import generator.safetensors --recipe mlp --out my-run")]
pub struct Args {
    /// A safetensors file of the generator's state_dict
    file: PathBuf,
    /// The recipe whose architecture it has, as for `ganvil train`
    #[arg(long, value_name = "NAME")]
    recipe: String,
    /// A safetensors file of the discriminator's state_dict [default: it starts afresh]
    #[arg(long, value_name = "FILE")]
    discriminator: Option<PathBuf>,
    /// Size of a latent vector [default: the recipe's]
    #[arg(long, value_name = "N")]
    latent: Option<usize>,
    /// Rows and columns of an image [default: 28]
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Channels of an image, 1 or 3 [default: 1]
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Folder of the run; must not hold anything yet [default: runs/NNNNN-FILE-RECIPE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<()> {
    let imported = import(&Import {
        recipe: &args.recipe,
        generator: &args.file,
        discriminator: args.discriminator.as_deref(),
        latent: args.latent,
        size: args.size,
        channels: args.channels,
    })?;
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let run = imported.into_run(args.out.as_deref(), &name)?;
    note!("imported into {}\nmore:    ganvil sample {}", run.display(), run.display());
    Ok(())
}
