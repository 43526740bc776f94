//! `ganvil bench`.

mod kernels;
mod peak;
mod step;

use crate::Result;
use clap::Subcommand;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    ganvil bench step mlp2-64 --threads 2\n  \
    ganvil bench conv --threads 1\n  \
    ganvil bench peak --json")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Whole training steps
    Step(step::Args),
    /// Matrix products at the shapes of small GANs
    Gemm(kernels::Args),
    /// Convolutions of two DCGANs, in all three directions
    Conv(kernels::Args),
    /// Elementwise functions, sums and random numbers
    Map(kernels::Args),
    /// Normalisation and softmax
    Norm(kernels::Args),
    /// Adam over a network's parameters
    Optim(kernels::Args),
    /// What the machine can do: multiply-adds, copies, and waking a thread
    Peak(kernels::Args),
}

pub fn run(args: Args) -> Result<()> {
    match args.what {
        What::Step(args) => step::run(args),
        What::Gemm(args) => kernels::run(&args, kernels::gemm),
        What::Conv(args) => kernels::run(&args, kernels::conv),
        What::Map(args) => kernels::run(&args, kernels::map),
        What::Norm(args) => kernels::run(&args, kernels::norm),
        What::Optim(args) => kernels::run(&args, kernels::optim),
        What::Peak(args) => kernels::run(&args, peak::rows),
    }
}
