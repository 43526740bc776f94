//! Where the time went.

use super::curves::plots_of;
use super::material::Material;
use crate::report::html::{Block, Section, Table, shown};
use crate::report::{Share, TraceTimes};

/// Rows with a smaller share of the time are added up in one.
const LEAST: f64 = 0.005;

pub(super) fn section(m: &Material) -> Section {
    let mut blocks = Vec::new();
    let plots = plots_of(m, &["rate"]);
    if !plots.is_empty() {
        blocks.push(Block::Plots(plots));
    }
    let path = m.dir.join("profile.json");
    if !path.is_file() {
        let text = "There is no profile. `ganvil train ... --profile`, or `ganvil resume RUN --profile`, times 20 steps by \
                    kernel and by layer, without changing the run.";
        blocks.push(Block::Missing(text.into()));
    } else {
        match TraceTimes::read(&path) {
            Err(e) => blocks.push(Block::Missing(format!("The profile cannot be read: {e}"))),
            Ok(times) => blocks.extend(tables(&times)),
        }
    }
    super::section("time", "Time", "Where the time went", blocks)
}

fn tables(t: &TraceTimes) -> Vec<Block> {
    let mean = 1e3 * t.seconds / t.steps.max(1) as f64;
    let text = format!(
        "A step took {} ms, the mean of the {} that were timed. GFLOP/s count the products' and convolutions' definition, GB/s \
         operands read and results written once; `profile.json` is a trace for ui.perfetto.dev.",
        shown(mean),
        t.steps
    );
    let fold = |summary: &str, shares: &[Share]| Block::Fold {
        summary: summary.into(),
        blocks: vec![Block::Table(table(shares, t))],
    };
    vec![
        Block::Text(text),
        fold("By kernel", &t.kernels),
        fold("By layer, without those inside of it", &t.layers),
    ]
}

fn table(shares: &[Share], t: &TraceTimes) -> Table {
    let steps = t.steps.max(1) as f64;
    let part = |s: &Share| if t.seconds > 0.0 { s.seconds / t.seconds } else { 0.0 };
    let rate = |amount: u64, s: &Share| match amount as f64 / s.seconds * 1e-9 {
        rate if amount > 0 && rate.is_finite() => format!("{rate:.1}"),
        _ => "\u{2013}".into(),
    };
    let row = |s: &Share| {
        let calls = if s.calls == 0 { "\u{2013}".into() } else { shown(s.calls as f64 / steps) };
        let time = format!("{:.3}", 1e3 * s.seconds / steps);
        vec![
            s.name.clone(),
            time,
            format!("{:.1} %", 100.0 * part(s)),
            calls,
            rate(s.flops, s),
            rate(s.bytes, s),
        ]
    };
    let (shown, small): (Vec<&Share>, Vec<&Share>) = shares.iter().partition(|s| part(s) >= LEAST);
    let mut rows: Vec<Vec<String>> = shown.into_iter().map(row).collect();
    if !small.is_empty() {
        let all = small.iter().fold(Share::default(), |sum, s| Share {
            name: format!("{} others", small.len()),
            calls: sum.calls + s.calls,
            seconds: sum.seconds + s.seconds,
            flops: sum.flops + s.flops,
            bytes: sum.bytes + s.bytes,
        });
        rows.push(row(&all));
    }
    let head = ["", "ms a step", "share", "calls a step", "GFLOP/s", "GB/s"].map(String::from);
    Table { head: head.into(), rows, prose: vec![] }
}

/// A time for people.
pub(super) fn duration(seconds: f64) -> String {
    let all = seconds.round() as u64;
    let (h, min, s) = (all / 3600, all / 60 % 60, all % 60);
    match (h, min) {
        (0, 0) => format!("{} s", shown((seconds * 10.0).round() / 10.0)),
        (0, min) => format!("{min} min {s} s"),
        (h, min) => format!("{h} h {min} min"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_as_people_say_them() {
        let cases = [(0.04, "0 s"), (7.25, "7.3 s"), (68.2, "1 min 8 s"), (7265.0, "2 h 1 min")];
        cases.into_iter().for_each(|(s, text)| assert_eq!(super::duration(s), text));
    }
}
