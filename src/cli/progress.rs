//! What training shows: a bar on a terminal, plain lines elsewhere.

use super::{explain, note, profile, recorded};
use crate::gan::{Alarm, EvaluationRecord, Event, Record, Run, Trainer};
use crate::metrics::{Measured, Metric};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

/// Seconds between plain lines.
const LINE_EVERY: f64 = 5.0;

pub struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    /// Steps done before this start.
    before: u64,
    start: Instant,
    /// Seconds at which the last plain line was printed.
    printed: f64,
    /// Alarms raised since this start.
    alarms: usize,
    grid: Option<PathBuf>,
    report: Option<PathBuf>,
    /// The tables of the profile, which stand at the end.
    profile: Option<String>,
    dir: PathBuf,
}

impl Progress {
    pub fn start(trainer: &Trainer, run: &Run) -> Progress {
        let c = trainer.config();
        let (tier, threads, done) = (trainer.tier(), rayon::current_num_threads(), trainer.steps());
        note(&format!(
            "training {} {} on {threads} thread{} ({tier}), seed {}, into {}",
            c.recipe,
            match done {
                0 => format!("for {} steps of {} images", c.steps, c.batch),
                done => format!("from step {done} on, to step {}, {} images each,", c.steps, c.batch),
            },
            if threads == 1 { "" } else { "s" },
            c.seed,
            run.dir().display()
        ));
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(c.steps), ProgressDrawTarget::stderr_with_hz(8));
            let style = "{pos}/{len} {wide_bar} {msg} {eta} left";
            bar.set_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        let dir = run.dir().to_path_buf();
        Progress {
            bar,
            steps: c.steps,
            before: done,
            start: Instant::now(),
            printed: -LINE_EVERY,
            alarms: 0,
            grid: None,
            report: None,
            profile: None,
            dir,
        }
    }

    pub fn on(&mut self, event: Event) {
        match event {
            Event::Step(n) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(n);
                }
            }
            Event::Logged(record) => {
                self.show(record);
            }
            Event::Measured(record) => self.aside(|| note(&measured(record))),
            Event::Profiled(p) => self.profile = Some(profile::tables(p)),
            Event::Wrote(path) if path.parent().is_some_and(|p| p.ends_with("samples")) => {
                self.grid = Some(path.to_path_buf());
            }
            Event::Wrote(path) if path.extension().is_some_and(|e| e == "html") => {
                self.report = Some(path.to_path_buf());
            }
            Event::Wrote(_) => {}
            Event::Failed(e) => note(&format!("warning: {e}")),
            Event::Raised(alarm) => {
                self.alarms += 1;
                self.aside(|| note(describe(alarm).trim_end()));
            }
            // Whoever reads it no more must not end the run.
            Event::Explained(step) => self.aside(|| super::print(&explain::describe(step)).unwrap_or(())),
        }
    }

    /// Prints without the bar in between.
    fn aside(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn show(&mut self, r: &Record) {
        let s = &r.statistics;
        let game =
            format!("D {:.3} G {:.3} D(x) {:.2} D(G(z)) {:.2}", s.d_loss, s.g_loss, s.d_real, s.d_fake);
        if let Some(bar) = &self.bar {
            return bar.set_message(format!("{:.0}/s {game}", bar.per_sec()));
        }
        let seconds = self.start.elapsed().as_secs_f64();
        if seconds - self.printed < LINE_EVERY && r.step != self.steps {
            return;
        }
        self.printed = seconds;
        let left = seconds / (r.step - self.before) as f64 * (self.steps - r.step) as f64;
        note(&format!(
            "step {}/{}, {:.0} images/s, losses {game}, {left:.0} s left",
            r.step, self.steps, r.images_per_s
        ));
    }

    pub fn finish(self, done: bool) {
        if let Some(bar) = &self.bar {
            if done {
                bar.finish()
            } else {
                bar.abandon()
            }
            // The bar leaves the cursor behind itself.
            note("");
        }
        if let Some(tables) = &self.profile {
            // Whoever reads them no more must not end the run.
            super::print(tables).unwrap_or(());
        }
        if !done {
            return;
        }
        if self.alarms > 0 {
            let s = if self.alarms == 1 { "" } else { "s" };
            note(&format!("{} alarm{s}: see above, or ganvil show {}", self.alarms, self.dir.display()));
        }
        let seconds = self.start.elapsed().as_secs_f64();
        note(&format!("done in {seconds:.1} s: {}", self.dir.display()));
        if let Some(grid) = &self.grid {
            note(&format!("samples: {}", grid.display()));
        }
        if let Some(report) = &self.report {
            note(&format!("report:  {}", report.display()));
        }
        note(&format!("more:    ganvil sample {}", self.dir.display()));
    }
}

/// What was measured, in one line, and what that says.
fn measured(r: &EvaluationRecord) -> String {
    let number = |(m, v): (&Metric, &Measured)| {
        let floor = v.floor.map_or(String::new(), |f| format!(" ({})", recorded::number(f)));
        format!("{m} {}{floor}", recorded::number(v.value))
    };
    let all: Vec<String> = r.evaluation.metrics.iter().map(number).collect();
    let found = r.evaluation.findings.iter().map(|f| format!("\n  {}", f.text));
    format!("step {}: {}; in brackets real images{}", r.step, all.join(", "), found.collect::<String>())
}

/// An alarm in full.
pub fn describe(a: &Alarm) -> String {
    let mut text = format!(
        "alarm at step {}: {}\n  {}\n  it means: {}\n",
        a.step,
        a.alarm.name(),
        a.evidence,
        a.meaning
    );
    for (i, remedy) in a.remedies.iter().enumerate() {
        text += &format!("  {} {remedy}\n", if i == 0 { "try:" } else { "    " });
    }
    text
}
