//! `--profile`: its flag, and the tables that it prints.

use super::recorded::columns;
use crate::backend::trace::Part;
use crate::report::{Cost, Profile};

#[derive(clap::Args)]
pub struct ProfileArg {
    /// Time each kernel and layer of N steps [default: 20] behind the first 10, or as many as there are; the run goes on,
    /// with the same results. Prints the times at its end and writes profile.json, for ui.perfetto.dev, into its folder. On
    /// a GPU each kernel of these steps is waited for
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20")]
    pub profile: Option<u64>,
}

/// Rows with a smaller share of the time are added up in one.
const LEAST: f64 = 0.002;

/// The tables of kernels, layers and directions.
pub fn tables(p: &Profile) -> String {
    let n = p.steps.max(1) as f64;
    let last = p.first + p.steps.saturating_sub(1) as u64;
    let which = if p.steps == 1 { format!("step {last}") } else { format!("steps {} to {last}", p.first) };
    let mean = 1e3 * p.seconds / n;
    let kernels = table(&["kernel"], &p.kernels, p, |c| vec![c.name.clone()]);
    let layers = table(&["layer", "type", "direction"], &p.layers, p, |c| {
        vec![c.name.clone(), c.kind.into(), what(c.part).into()]
    });
    let directions = table(&["direction"], &directions(&p.layers), p, |c| vec![c.name.clone()]);
    format!(
        "\n{which}: {mean:.3} ms a step on average\n\nkernels\n{kernels}\nlayers, without those inside of them\n{layers}\n\
         directions\n{directions}\nGFLOP/s: of matrix products and convolutions, by their definition; GB/s: operands read and \
         results written once\n"
    )
}

fn what(part: Part) -> &'static str {
    match part {
        Part::Phase | Part::Step => "other",
        part => part.name(),
    }
}

/// Costs of several under one name.
fn sum<'a>(name: String, of: impl Iterator<Item = &'a Cost>) -> Cost {
    let nothing = Cost { name, kind: "", part: Part::Kernel, calls: 0, seconds: 0.0, flops: 0, bytes: 0 };
    of.fold(nothing, |sum, c| Cost {
        calls: sum.calls + c.calls,
        seconds: sum.seconds + c.seconds,
        flops: sum.flops + c.flops,
        bytes: sum.bytes + c.bytes,
        ..sum
    })
}

fn directions(layers: &[Cost]) -> Vec<Cost> {
    let mut names: Vec<&str> = layers.iter().map(|c| what(c.part)).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str| sum(name.into(), layers.iter().filter(|c| what(c.part) == name));
    let mut costs: Vec<Cost> = names.into_iter().map(of).collect();
    costs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    costs
}

fn table(titles: &[&str], costs: &[Cost], p: &Profile, names: impl Fn(&Cost) -> Vec<String>) -> String {
    let steps = p.steps.max(1) as f64;
    let row = |mut row: Vec<String>, c: &Cost| {
        row.resize(titles.len(), String::new());
        row[0].insert_str(0, "  ");
        let share = if p.seconds > 0.0 { 100.0 * c.seconds / p.seconds } else { 0.0 };
        let rate = |amount: u64| match amount as f64 / c.seconds * 1e-9 {
            rate if amount > 0 && rate.is_finite() => format!("{rate:.1}"),
            _ => "-".into(),
        };
        let calls = if c.calls == 0 { "-".into() } else { trimmed(c.calls as f64 / steps) };
        row.extend([format!("{:.3}", 1e3 * c.seconds / steps), format!("{share:.1} %"), calls]);
        row.extend([rate(c.flops), rate(c.bytes)]);
        row
    };
    let mut head: Vec<String> = titles.iter().map(|t| t.to_string()).collect();
    head[0].insert_str(0, "  ");
    head.extend(["ms/step", "share", "calls/step", "GFLOP/s", "GB/s"].map(String::from));
    let is_small = |c: &&Cost| c.seconds < LEAST * p.seconds;
    // In place of one row stands no other.
    let fold = costs.iter().filter(is_small).count() > 1;
    let (small, shown): (Vec<&Cost>, Vec<&Cost>) = costs.iter().partition(|c| fold && is_small(c));
    let mut rows = vec![head];
    rows.extend(shown.into_iter().map(|c| row(names(c), c)));
    if !small.is_empty() {
        let others = sum(format!("{} others", small.len()), small.into_iter());
        rows.push(row(vec![others.name.clone()], &others));
    }
    columns(&rows, |i| i < titles.len())
}

/// A mean number of calls: whole where it is.
fn trimmed(n: f64) -> String {
    if n.fract() == 0.0 { format!("{n:.0}") } else { format!("{n:.1}") }
}
