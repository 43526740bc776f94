//! What `ganvil modes` prints.

use super::{ModesConfig, Score, SeedResult};
use crate::data::Synthetic;
use crate::gan::modes::{COUNTED, Published, Spread, published};
use serde::Serialize;
use std::fmt::Write;

/// All that is known of a benchmark: `summary.json`.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    task: Synthetic,
    recipe: &'a str,
    settings: &'a ModesConfig,
    samples: usize,
    /// Modes that there are.
    of: usize,
    seeds: &'a [SeedResult],
    mean: Means,
    /// Seeds on which every mode is covered.
    complete: usize,
    /// Mean width over that of real data.
    relative_width: Option<f64>,
    /// Wall time of this start over the seeds that it played; None if all were there.
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_seconds_per_seed: Option<f64>,
    /// Real data, counted alike.
    real: Means,
    published: Vec<Published>,
}

/// Of several scores.
#[derive(Serialize)]
struct Means {
    modes: Spread,
    high_quality: Spread,
    reverse_kl: Option<Spread>,
    jsd: Option<Spread>,
    width: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Spread>,
}

impl Means {
    fn of<'a>(scores: impl Iterator<Item = &'a Score> + Clone, seconds: Option<Spread>) -> Means {
        let of = |f: fn(&Score) -> Option<f64>| Spread::of(scores.clone().filter_map(f));
        Means {
            modes: of(|s| Some(s.modes as f64)).expect("there is a score"),
            high_quality: of(|s| Some(s.high_quality)).expect("there is a score"),
            reverse_kl: of(|s| s.reverse_kl),
            jsd: of(|s| s.jsd),
            width: of(|s| s.width),
            seconds,
        }
    }
}

const HEAD: &str =
    "                   modes        good %            reverse KL         width          seconds\n";

impl<'a> Summary<'a> {
    pub(super) fn new(
        config: &'a ModesConfig,
        seeds: &'a [SeedResult],
        real: Vec<Score>,
        elapsed: Option<f64>,
    ) -> Summary<'a> {
        let mean = Means::of(seeds.iter().map(|r| &r.score), Spread::of(seeds.iter().map(|r| r.seconds)));
        let real = Means::of(real.iter(), None);
        let of = seeds[0].score.counts.len();
        Summary {
            task: config.task,
            recipe: &config.recipe,
            settings: config,
            samples: COUNTED,
            of,
            complete: seeds.iter().filter(|r| r.score.modes == of).count(),
            relative_width: mean.width.zip(real.width).map(|(m, r)| m.mean / r.mean),
            seeds,
            mean,
            elapsed_seconds_per_seed: elapsed,
            real,
            published: published(config.task).collect(),
        }
    }

    /// The tables for people.
    pub(super) fn text(&self) -> String {
        let mut out = format!(
            "{} by {}: {} steps of {} samples, counted on {COUNTED} samples\n\n{HEAD}",
            self.task, self.recipe, self.settings.steps, self.settings.batch
        );
        self.seeds.iter().for_each(|r| seed_row(&mut out, r));
        mean_row(&mut out, "mean", &self.mean);
        mean_row(&mut out, "real data", &self.real);
        let n = self.seeds.len();
        let mut line = |text: String| writeln!(out, "{text}").expect("memory can be written to");
        line(format!(
            "\nall {} modes on {} of {n} seeds, on every seed at least {:.1} % good",
            self.of,
            self.complete,
            100.0 * self.mean.high_quality.least
        ));
        if let Some(w) = self.relative_width {
            line(format!(
                "width of the modes over real data's: {w:.2} (good samples of narrower modes are not better)"
            ));
        }
        if let Some(s) = self.elapsed_seconds_per_seed {
            line(format!("wall time of this start over the seeds it played: {s:.1} s"));
        }
        if !self.published.is_empty() {
            line("\npublished, by other networks and lengths of training:".into());
        }
        for p in &self.published {
            line(format!(
                "{:<16} {:>5} {:>13.1}   {}",
                p.method,
                format!("{:.1}", p.modes),
                p.high_quality,
                p.source
            ));
        }
        out
    }
}

fn optional(v: Option<f64>, digits: usize) -> String {
    v.map_or("-".into(), |v| format!("{v:.digits$}"))
}

fn seed_row(out: &mut String, r: &SeedResult) {
    let s = &r.score;
    writeln!(
        out,
        "{:<16} {:>5} {:>13.2} {:>18} {:>15} {:>14.1}",
        format!("seed {}", r.seed),
        s.modes,
        100.0 * s.high_quality,
        optional(s.reverse_kl, 4),
        optional(s.width, 3),
        r.seconds
    )
    .expect("memory can be written to");
}

fn mean_row(out: &mut String, name: &str, m: &Means) {
    let both = |s: Option<Spread>, digits: usize, factor: f64| {
        s.map_or("-".into(), |s| format!("{:.digits$} +- {:.digits$}", s.mean * factor, s.deviation * factor))
    };
    writeln!(
        out,
        "{name:<12} {:>12} {:>16} {:>18} {:>16} {:>14}",
        both(Some(m.modes), 1, 1.0),
        both(Some(m.high_quality), 2, 100.0),
        both(m.reverse_kl, 4, 1.0),
        both(m.width, 3, 1.0),
        both(m.seconds, 1, 1.0)
    )
    .expect("memory can be written to");
}

/// A line for a seed that has ended.
pub(super) fn progress(r: &SeedResult) -> String {
    format!("seed {}: {}, {:.1} s", r.seed, short(&r.score), r.seconds)
}

/// A score in a few words.
pub(super) fn short(s: &Score) -> String {
    format!("{} modes, {:.1} % good, width {}", s.modes, 100.0 * s.high_quality, optional(s.width, 2))
}
