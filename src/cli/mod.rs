//! The command line.
//!
//! Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted with the state saved. Bad input ends in one line on stderr
//! that names the thing, the value and the remedy, never in a panic.

mod bench;
mod classifier;
mod compare;
mod data;
mod evaluate;
mod export;
mod import;
mod info;
mod list;
mod plot;
mod progress;
mod recorded;
mod sample;
mod summary;
mod train;

use crate::gan::zoo::RECIPES;
use crate::metrics::ClassifierConfig;
use crate::{Error, Result, try_run};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "ganvil",
    version,
    about = "Train, sample and measure GANs on a tensor engine written from scratch",
    after_help = "Start here:  ganvil train      (MNIST, three minutes on two cores)",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a GAN: `ganvil train`, `ganvil train mlp-a --epochs 5 --out my-run`
    Train(Box<train::Args>),
    /// Draw samples from a trained generator: `ganvil sample runs/00000-mnist-mlp`
    Sample(Box<sample::Args>),
    /// Measure samples with a digit classifier: `ganvil evaluate my-run --n 10000`
    Evaluate(evaluate::Args),
    /// List runs: how far each is, its losses, its state
    List(list::Args),
    /// Compare the settings and results of runs
    Compare(compare::Args),
    /// Draw a run's figures again from its log
    Plot(plot::Args),
    /// Write a network for PyTorch: `ganvil export my-run --out generator.safetensors`
    Export(export::Args),
    /// Make a run of a network from PyTorch: `ganvil import generator.safetensors --recipe mlp`
    Import(import::Args),
    /// Look at data: `ganvil data inspect data/mnist`, `ganvil data inspect ring8`
    Data(data::Args),
    /// List the layers, parameters and costs of a recipe's networks: `ganvil summary mlp-a`
    Summary(summary::Args),
    /// Show version, processor, SIMD tier, threads and data
    Info(info::Args),
    /// Measure speed: `ganvil bench step mlp0-64 --threads 2 --seconds 5`
    Bench(bench::Args),
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let command = Cli::command().mut_subcommand("train", |c| c.after_help(train::recipes_and_example()));
    let matches = command.clone().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    if let Err(message) = check_environment() {
        eprintln!("error: {message}");
        return ExitCode::from(2);
    }
    let result = try_run(|| match cli.command {
        Command::Train(args) => train::run(*args, &flags_given(&command, &matches)),
        Command::Sample(args) => sample::run(*args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::List(args) => list::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::Data(args) => data::run(args),
        Command::Summary(args) => summary::run(args),
        Command::Info(args) => info::run(args),
        Command::Bench(args) => bench::run(args),
    });
    match result.and_then(|r| r) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(match e {
                Error::Argument { .. } => 2,
                Error::Interrupted { .. } => 130,
                _ => 1,
            })
        }
    }
}

/// The subcommand's flags that stand on the command line, with their dashes.
fn flags_given(command: &clap::Command, matches: &ArgMatches) -> Vec<String> {
    let Some((name, matches)) = matches.subcommand() else { return Vec::new() };
    let flags = command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let given =
        |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    flags.filter(given).filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect()
}

/// Environment variables that kernels read where they cannot report a mistake.
fn check_environment() -> Result<(), String> {
    match std::env::var("GANVIL_SIMD") {
        Ok(v) => crate::backend::cpu::simd::parse(&v).map(|_| ()),
        Err(_) => Ok(()),
    }
}

/// Writes to stdout. A reader that has gone away ends the output quietly.
///
/// # Errors
/// If stdout cannot be written for another reason, a full disk for example.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("write to", "stdout")(e)),
        _ => Ok(()),
    }
}

/// A line for each recipe, names and descriptions in columns behind `prefix`.
fn recipes(prefix: &str) -> String {
    let gans = RECIPES.iter().map(|r| (r.name, r.summary));
    let all = gans.chain([(ClassifierConfig::RECIPE, classifier::SUMMARY)]);
    let width = all.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    all.map(|(name, summary)| format!("{prefix}{name:<width$} {summary}\n")).collect()
}

/// A thread count from a flag: 0 and absurd numbers are refused, absent means one for each processor.
fn threads(flag: Option<usize>) -> Result<usize> {
    match flag {
        None => Ok(std::thread::available_parallelism().map_or(1, |n| n.get())),
        Some(n @ 1..=1024) => Ok(n),
        Some(n) => Err(Error::Argument {
            what: "--threads",
            value: n.to_string(),
            remedy: "use 1 to 1024, or leave it out for one thread per processor".into(),
        }),
    }
}

/// A picture is asked for under a name that says what it is.
fn check_png(flag: &'static str, path: &Path) -> Result<()> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return Ok(());
    }
    let remedy = "the picture is a PNG; give it a name that ends in .png".into();
    Err(Error::Argument { what: flag, value: path.display().to_string(), remedy })
}
