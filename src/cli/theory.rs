//! `ganvil theory`.

use super::device::DeviceArg;
use crate::atomic::write_atomic;
use crate::gan::theory::{EXPERIMENTS, Experiment, Options, Outcome, experiment};
use crate::report::{encode_plot_png, encode_plot_svg};
use crate::{Error, Result};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(
    after_help = "Without a name it lists the experiments. Each prints what is played, its table and what the numbers say, \
    and writes DIR/EXPERIMENT.png, .svg and .csv. The seed and the device decide the numbers, not the threads.\n\n\
    Examples:\n  \
    ganvil theory\n  \
    ganvil theory optimal-discriminator\n  \
    ganvil theory bilinear-game --out figures --json\n  \
    ganvil theory all --seed 1"
)]
pub struct Args {
    /// Name of an experiment, or all
    experiment: Option<String>,
    /// Folder for the pictures and tables; those of an earlier time are replaced
    #[arg(long, default_value = "theory", value_name = "DIR")]
    out: PathBuf,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Threads [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    device: DeviceArg,
    /// Print one JSON object for each experiment
    #[arg(long)]
    json: bool,
}

/// The name that stands for all of them.
const ALL: &str = "all";

pub fn run(args: Args) -> Result<()> {
    let Some(name) = &args.experiment else { return list(args.json) };
    let chosen: Vec<&Experiment> = match name.as_str() {
        ALL => EXPERIMENTS.iter().collect(),
        name => vec![experiment(name)?],
    };
    let threads = super::threads(args.threads)?;
    let options = Options { seed: args.seed, device: args.device.open()? };
    fs::create_dir_all(&args.out).map_err(Error::io("create the folder", &args.out))?;
    for (i, e) in chosen.iter().enumerate() {
        let outcome = crate::threads(threads, || e.run(&options))?;
        let files = save(e, &outcome, &args.out)?;
        if args.json {
            super::print(&format!("{}\n", json(e, &outcome, args.seed)))?;
        } else {
            let gap = if i == 0 { "" } else { "\n\n" };
            super::print(&format!("{gap}{}", text(e, &outcome)))?;
        }
        note!("wrote {}", files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

fn list(as_json: bool) -> Result<()> {
    if as_json {
        let all = EXPERIMENTS.each_ref().map(|e| json!({ "experiment": e.name, "summary": e.summary }));
        return super::print(&format!("{}\n", json!(all)));
    }
    let width = EXPERIMENTS.iter().map(|e| e.name.len()).max().unwrap_or(0);
    super::print(&EXPERIMENTS.each_ref().map(|e| format!("{:<width$} {}\n", e.name, e.summary)).concat())
}

/// Writes the picture in both formats and the table.
fn save(e: &Experiment, outcome: &Outcome, out: &Path) -> Result<[PathBuf; 3]> {
    let files = ["png", "svg", "csv"].map(|extension| out.join(format!("{}.{extension}", e.name)));
    let [png, svg, csv] = &files;
    let drawn = encode_plot_png(e.summary, &outcome.panels).map_err(Error::io("draw", png))?;
    write_atomic(png, &drawn)?;
    let drawn = encode_plot_svg(e.summary, &outcome.panels).map_err(Error::io("draw", svg))?;
    write_atomic(svg, drawn.as_bytes())?;
    write_atomic(csv, outcome.table.csv().as_bytes())?;
    Ok(files)
}

fn text(e: &Experiment, outcome: &Outcome) -> String {
    let mut text = format!("{}: {}\n\n{}\n\n", e.name, e.summary, wrapped(e.explanation, ""));
    text += &outcome.table.text();
    text.push('\n');
    for finding in &outcome.findings {
        text += &format!("- {}\n", wrapped(finding, "  "));
    }
    text
}

/// Lines of at most 100 characters; those after the first begin with `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut width = indent.len();
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width + 1 + length > 100 {
            out += &format!("\n{indent}");
            width = indent.len();
        } else if !out.is_empty() {
            out.push(' ');
            width += 1;
        }
        out += word;
        width += length;
    }
    out
}

fn json(e: &Experiment, outcome: &Outcome, seed: u64) -> serde_json::Value {
    json!({
        "experiment": e.name,
        "summary": e.summary,
        "seed": seed,
        "columns": outcome.table.columns(),
        "rows": outcome.table.json(),
        "findings": outcome.findings,
    })
}
