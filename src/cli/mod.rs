//! The command line.
//!
//! Exit codes: 0 done, 1 failed, 2 usage, 130 and 143 interrupted (Ctrl-C, SIGTERM) with the state saved. Bad input ends
//! in one line on stderr that names the thing, the value and the remedy, never in a panic.

/// [`note`] with a format.
macro_rules! note {
    ($($arg:tt)*) => { $crate::cli::note(&format!($($arg)*)) };
}

mod augment;
mod bench;
mod classifier;
mod compare;
mod data;
mod device;
mod evaluate;
mod explain;
mod export;
mod import;
mod info;
mod list;
mod measure;
mod modes;
mod pieces;
mod plot;
mod profile;
mod progress;
mod prune;
mod recipes;
mod recorded;
mod report;
mod resume;
mod sample;
mod shell;
mod show;
mod signals;
mod summary;
mod technique;
mod theory;
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
    // One screen: the usual template would spend eight lines on the options and on what each line says twice.
    help_template = "{about-with-newline}\nUsage: {usage}\n\nCommands:\n{subcommands}{after-help}",
    after_help = "Options: -h, --help; -V, --version. `ganvil COMMAND --help` has examples.\n\
        More: `ganvil plot`, `ganvil prune`, `ganvil summary`; PyTorch: `ganvil export`,\n\
        `ganvil import`; shell: `ganvil completions bash` (zsh, fish, ..), `ganvil man`.\n\
        Scarce labels: `ganvil augment`. Start here: `ganvil train` (MNIST, 3 minutes).",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a GAN
    Train(Box<train::Args>),
    /// List the recipes, or explain one: idea, equation, source, cost
    Recipes(recipes::Args),
    /// Go on with a run that was stopped
    Resume(resume::Args),
    /// List runs: how far each is, its losses, its state
    List(list::Args),
    /// Show a run: settings, last values, checkpoints
    Show(show::Args),
    /// Draw a run's figures again from its log
    #[command(hide = true)]
    Plot(plot::Args),
    /// Write a run's report: one HTML page with all there is to see
    Report(report::Args),
    /// Compare the settings and results of runs
    Compare(compare::Args),
    /// Remove what runs do not need any more
    #[command(hide = true)]
    Prune(prune::Args),
    /// Draw samples from a trained generator
    Sample(Box<sample::Args>),
    /// Measure samples beside real images: FID, recall, ...
    Evaluate(Box<evaluate::Args>),
    /// Write a network for PyTorch
    #[command(hide = true)]
    Export(export::Args),
    /// Make a run of a network from PyTorch
    #[command(hide = true)]
    Import(import::Args),
    /// Count the modes that GANs cover of a mixture in the plane
    Modes(modes::Args),
    /// Measure whether a GAN's images help where labels are scarce
    #[command(hide = true)]
    Augment(augment::Args),
    /// Run experiments on the theory of GANs
    Theory(theory::Args),
    /// Look at data: files, folders, distributions
    Data(data::Args),
    /// List layers, parameters and costs of a recipe's networks
    #[command(hide = true)]
    Summary(summary::Args),
    /// Show version, processor, SIMD tier, threads and data
    Info(info::Args),
    /// Measure speed
    Bench(bench::Args),
    /// Print what makes a shell complete commands and flags
    #[command(hide = true)]
    Completions(shell::CompletionsArgs),
    /// Print or write the manual pages
    #[command(hide = true)]
    Man(shell::ManArgs),
}

/// Commands that `ganvil --help` names at its end, not in the list.
const IN_ONE_LINE: [&str; 8] =
    ["plot", "prune", "summary", "export", "import", "augment", "completions", "man"];

/// The parser, with what each command's help lists.
fn unbuilt() -> clap::Command {
    Cli::command().mut_subcommand("train", |c| c.after_help(train::recipes_and_example()))
}

/// The parser as the program uses it.
fn command() -> clap::Command {
    let mut command = unbuilt();
    // `ganvil help` is only there, to be left out of the list, once all is built.
    command.build();
    command.mut_subcommand("help", |c| c.hide(true))
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let command = command();
    let matches = command.clone().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    if let Err(message) = check_environment() {
        note!("error: {message}");
        return ExitCode::from(2);
    }
    let result = try_run(|| match cli.command {
        Command::Train(args) => train::run(*args, &flags_given(&command, &matches)),
        Command::Recipes(args) => recipes::run(args),
        Command::Resume(args) => resume::run(args),
        Command::Show(args) => show::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Sample(args) => sample::run(*args),
        Command::Evaluate(args) => evaluate::run(*args),
        Command::List(args) => list::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Report(args) => report::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
        Command::Data(args) => data::run(args),
        Command::Summary(args) => summary::run(args),
        Command::Info(args) => info::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Modes(args) => modes::run(args),
        Command::Augment(args) => augment::run(args),
        Command::Theory(args) => theory::run(args),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
    });
    let result = result.and_then(|r| r);
    // Whoever has a result keeps it, whatever the device says now.
    if result.is_ok()
        && let Err(e) = crate::device::shutdown()
    {
        note!("warning: {e}");
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            note(&format!("error: {e}"));
            ExitCode::from(match e {
                Error::Argument { .. } => 2,
                Error::Interrupted { .. } | Error::Stopped { .. } => signals::exit_code(),
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

/// Writes a line to stderr, if there is anybody left to read it: a closed terminal must not end a run.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
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

#[cfg(test)]
mod tests;
