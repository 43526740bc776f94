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

/// What follows the flags of a command that measures kernels: its rows, and how it is called.
macro_rules! rows {
    ($example:literal) => {
        concat!(
            "Prints a line for each kernel:\n  NAME | THREADS | MEDIAN_US | RATE | SHARE\nThe share is of the multiply-adds of `ganvil \
             bench peak`, or of the rate at which so many bytes are copied; it may pass 100 % where an algorithm needs fewer \
             operations than the definition, which are the ones counted.\n\nExample:\n  ",
            $example
        )
    };
}

#[derive(Subcommand)]
enum What {
    /// Whole training steps
    Step(step::Args),
    /// Matrix products at the shapes of small GANs
    #[command(after_help = rows!("ganvil bench gemm --threads 2"))]
    Gemm(kernels::Args),
    /// Convolutions of two DCGANs, in all three directions
    #[command(after_help = rows!("ganvil bench conv --conv exact"))]
    Conv(kernels::Args),
    /// Elementwise functions, sums and random numbers
    #[command(after_help = rows!("ganvil bench map --only tanh"))]
    Map(kernels::Args),
    /// Normalisation and softmax
    #[command(after_help = rows!("ganvil bench norm --threads 2"))]
    Norm(kernels::Args),
    /// Adam over a network's parameters
    #[command(after_help = rows!("ganvil bench optim"))]
    Optim(kernels::Args),
    /// What the machine can do: multiply-adds, copies, and waking a thread
    #[command(after_help = rows!("ganvil bench peak --json"))]
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
