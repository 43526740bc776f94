//! `ganvil summary`.

use crate::gan::{networks, zoo};
use crate::nn::summary;
use crate::rng::Stream;
use crate::{Error, Generator, Result};

/// Recipes are made for MNIST: channels, rows, columns, and classes.
const IMAGE: [usize; 3] = [1, 28, 28];
const CLASSES: usize = 10;

#[derive(clap::Args)]
#[command(
    after_help = "Runs each network once on shapes alone; MACs are the multiply-adds of that pass, evaluation mode.\n\n\
    Example:\n  ganvil summary mlp-a --batch 64"
)]
pub struct Args {
    /// The recipe, as for `ganvil train` [default: dcgan28-small]
    #[arg(default_value = zoo::RECIPES[0].name, hide_default_value = true)]
    recipe: String,
    /// Samples in a pass
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: usize,
}

pub fn run(args: Args) -> Result<()> {
    const MOST: usize = 1_000_000;
    let recipe = zoo::recipe(&args.recipe)?;
    if args.batch == 0 || args.batch > MOST {
        let remedy = format!("use 1 to {MOST} samples");
        return Err(Error::Argument { what: "--batch", value: args.batch.to_string(), remedy });
    }
    let config = (recipe.config)();
    let padded = config.data.pad.map_or(IMAGE, |n| [IMAGE[0], n, n]);
    let (g, d) = networks(&config, padded, CLASSES, &Generator::new(config.seed, Stream::Init))?;
    let generator = summary(&g, &[args.batch, config.latent]);
    let discriminator = summary(&d, &generator.output);
    super::print(&format!(
        "{}: {}\n\nGenerator\n{generator}\nDiscriminator\n{discriminator}",
        recipe.name, recipe.summary
    ))
}
