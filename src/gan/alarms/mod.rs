//! Alarms: what a run's log says when a game goes wrong, in words.
//!
//! Alarms are a function of the settings and of the log's records up to now, nothing else: a resumed run raises those that
//! it would have raised uninterrupted. Each is raised when it begins, and again only after it has been absent from three
//! records in a row.

mod kind;
mod log;
mod remedies;

use super::config::TrainConfig;
use super::losses::Output;
pub use kind::{Alarm, AlarmKind};
pub(super) use log::AlarmLog;
use remedies::remedies;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// D is right if more than this share of a side is told right.
const RIGHT: f64 = 0.99;
/// G's gradient has vanished at this part of its first norm.
const VANISHED: f64 = 1e-3;
/// Or below this: where D has won before the first record there is no start to compare with.
const GONE: f64 = 1e-4;
/// Fakes are alike below this part of the distance of real samples.
const ALIKE: f64 = 0.5;
/// Variety is not judged before this step: an untrained G draws grey, or noise, for any z, and on the way to samples it
/// first finds what all data have in common.
const LEARNT: u64 = 1000;
/// No weight of 32 bits changes with an update that is this small beside it.
const STILL: f64 = 1e-8;
/// A sample grid has not changed: fewer than one value in eighty, by one grey level.
const SAME: f64 = 1e-4;
/// Answers are not judged before.
const FIRST_ANSWERS: u64 = 200;
/// D is hardly trained if more than this share of its updates was skipped, over at least so many steps.
const SKIPPED: (f64, u64) = (0.95, 100);
/// Records without it, after which an alarm may be raised again.
const CLEAR: u32 = 3;

/// How an alarm stands.
#[derive(Clone, Copy, Default)]
struct Watch {
    /// Records in a row that showed it.
    seen: u32,
    /// Records in a row that did not.
    absent: u32,
    /// Whether it was raised and has not cleared.
    raised: bool,
}

/// The alarms of a run, record by record.
///
/// ```
/// use ganvil::gan::{AlarmKind, Alarms, TrainConfig};
/// use serde_json::json;
/// let mut alarms = Alarms::new(&TrainConfig::default());
/// let record = |step: u64, norm: f64| {
///     json!({"step": step, "acc_real": 1.0, "acc_fake": 1.0, "grad_norm_g": norm, "diversity": 0.9})
/// };
/// assert!(alarms.look(&record(1, 2.0)).is_empty());
/// let raised = alarms.look(&record(100, 0.001));
/// assert_eq!((raised.len(), raised[0].alarm, raised[0].step), (1, AlarmKind::VanishingGradient, 100));
/// assert!(raised[0].evidence.contains("G's gradient norm 0.001"));
/// assert!(alarms.look(&record(200, 0.001)).is_empty()); // it goes on
/// ```
pub struct Alarms {
    config: TrainConfig,
    watches: BTreeMap<AlarmKind, Watch>,
    /// G's first gradient norm.
    first_norm: Option<f64>,
    /// The most diverse that fakes have been.
    most_diverse: f64,
    /// By how much the last grid had changed.
    grid_change: Option<f64>,
    /// Steps and skipped updates of the last records.
    skipped: VecDeque<(u64, f64)>,
}

impl Alarms {
    /// For a run with these settings, before its first record.
    pub fn new(config: &TrainConfig) -> Alarms {
        Alarms {
            config: config.clone(),
            watches: BTreeMap::new(),
            first_norm: None,
            most_diverse: 0.0,
            grid_change: None,
            skipped: VecDeque::new(),
        }
    }

    /// Takes notice of the next record of the log, and gives what begins with it.
    pub fn look(&mut self, record: &Value) -> Vec<Alarm> {
        let Some(step) = record["step"].as_u64() else { return Vec::new() };
        let shown = [
            (AlarmKind::VanishingGradient, self.vanishing(record)),
            (AlarmKind::Collapse, self.collapse(step, record)),
            (AlarmKind::DeadGenerator, self.dead(record)),
            (AlarmKind::OneSided, self.one_sided(step, record)),
            (AlarmKind::DSkipped, self.d_skipped(step, record)),
        ];
        let mut begun = Vec::new();
        for (kind, evidence) in shown {
            let watch = self.watches.entry(kind).or_default();
            let Some(evidence) = evidence else {
                (watch.seen, watch.absent) = (0, watch.absent + 1);
                watch.raised &= watch.absent < CLEAR;
                continue;
            };
            (watch.seen, watch.absent) = (watch.seen + 1, 0);
            if watch.seen >= kind.patience() && !watch.raised {
                watch.raised = true;
                begun.push(self.alarm(step, kind, evidence));
            }
        }
        begun
    }

    /// The alarm of a run that ends because of a value that is not finite.
    pub fn not_finite(&self, step: u64, what: &str, tensor: &str) -> Alarm {
        let evidence = format!("{what}; the first tensor on the way that is not finite: {tensor}");
        self.alarm(step, AlarmKind::NonFinite, evidence)
    }

    fn alarm(&self, step: u64, alarm: AlarmKind, evidence: String) -> Alarm {
        let remedies = remedies(alarm, &self.config);
        Alarm { step, alarm, evidence, meaning: alarm.meaning().into(), remedies }
    }

    fn vanishing(&mut self, r: &Value) -> Option<String> {
        let norm = number(r, "grad_norm_g")?;
        let first = *self.first_norm.get_or_insert(norm);
        let (real, fake) = (number(r, "acc_real")?, number(r, "acc_fake")?);
        (real > RIGHT && fake > RIGHT && norm < GONE.max(VANISHED * first)).then(|| {
            format!(
                "D tells {:.1} % of the real samples and {:.1} % of the fakes right; G's gradient norm {} was {} at the \
                 first record",
                100.0 * real,
                100.0 * fake,
                short(norm),
                short(first)
            )
        })
    }

    fn collapse(&mut self, step: u64, r: &Value) -> Option<String> {
        let diversity = number(r, "diversity")?;
        self.most_diverse = self.most_diverse.max(diversity);
        (diversity < ALIKE && step >= LEARNT).then(|| {
            format!(
                "two fakes are on average {:.1} % as far apart as two real samples; the most so far was {:.1} %",
                100.0 * diversity,
                100.0 * self.most_diverse
            )
        })
    }

    fn dead(&mut self, r: &Value) -> Option<String> {
        // A grid stands until the next one, whatever records there are between.
        self.grid_change = number(r, "grid_change").or(self.grid_change);
        still(number(r, "update_ratio_g"), self.grid_change)
    }

    fn one_sided(&self, step: u64, r: &Value) -> Option<String> {
        // Where only differences mean something, scores have no side.
        let sided = self.config.step.loss.get().output() != Output::Difference;
        let (real, fake) = (number(r, "acc_real")?, number(r, "acc_fake")?);
        let one = (real > RIGHT && fake < 1.0 - RIGHT) || (fake > RIGHT && real < 1.0 - RIGHT);
        (sided && one && step >= FIRST_ANSWERS).then(|| {
            let answer = if real > fake { "real" } else { "fake" };
            format!(
                "D calls nearly everything {answer}: it tells {:.1} % of the real samples and {:.1} % of the fakes right",
                100.0 * real,
                100.0 * fake
            )
        })
    }

    fn d_skipped(&mut self, step: u64, r: &Value) -> Option<String> {
        let now = number(r, "d_skipped")?;
        self.skipped.push_back((step, now));
        // The last record that is old enough.
        while self.skipped.get(1).is_some_and(|&(s, _)| s + SKIPPED.1 <= step) {
            self.skipped.pop_front();
        }
        let &(since, before) = self.skipped.front()?;
        let updates = (step - since) as f64 * self.config.step.n_d as f64;
        let share = (now - before) / updates;
        (step - since >= SKIPPED.1 && share > SKIPPED.0).then(|| {
            format!(
                "{:.0} of D's {updates:.0} updates since step {since} were skipped, {:.1} %",
                now - before,
                100.0 * share
            )
        })
    }
}

/// What shows that G stands still: its weights, or its samples.
fn still(update_ratio: Option<f64>, grid_change: Option<f64>) -> Option<String> {
    let (moved, grid) = (update_ratio.filter(|m| *m < STILL), grid_change.filter(|c| *c < SAME));
    match (moved, grid) {
        (None, None) => None,
        (Some(m), None) => Some(format!(
            "G's last update moved its weights by {} of their norm; below {STILL:e} nothing changes",
            short(m)
        )),
        (m, Some(c)) => {
            let moved = m.map_or(String::new(), |m| {
                format!(", and G's last update moved its weights by {}", short(m))
            });
            Some(format!(
                "the sample grid's values changed by {} on average since the one before{moved}",
                short(c)
            ))
        }
    }
}

fn number(record: &Value, field: &str) -> Option<f64> {
    record[field].as_f64()
}

/// Three digits.
fn short(v: f64) -> String {
    if v == 0.0 || (1e-3..1e4).contains(&v.abs()) {
        let digits = if v == 0.0 { 0 } else { (2 - v.abs().log10().floor() as i32).max(0) as usize };
        let text = format!("{v:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
    } else {
        format!("{v:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gan::{Balance, Loss};
    use serde_json::json;

    fn raised(alarms: &mut Alarms, records: &[Value]) -> Vec<(u64, AlarmKind)> {
        records.iter().flat_map(|r| alarms.look(r)).map(|a| (a.step, a.alarm)).collect()
    }

    #[test]
    fn a_gradient_that_was_gone_from_the_start_is_gone() {
        let record = |step: u64, norm: f64, acc: f64| json!({"step": step, "acc_real": acc, "acc_fake": 1.0, "grad_norm_g": norm});
        for (first, then, acc, gone) in [
            (2.0, 0.0019, 1.0, true),
            (2.0, 0.0021, 1.0, false),
            (2.0, 0.0019, 0.98, false),
            (0.0025, 9e-5, 1.0, true),
            (0.0025, 2e-4, 1.0, false),
        ] {
            let got = raised(
                &mut Alarms::new(&TrainConfig::default()),
                &[record(1, first, 0.5), record(100, then, acc)],
            );
            let want = if gone { vec![(100, AlarmKind::VanishingGradient)] } else { vec![] };
            assert_eq!(got, want, "{first} {then} {acc}");
        }
    }

    #[test]
    fn a_grid_that_stays_the_same_is_believed_at_the_next_record() {
        let of = |changes: &[f64]| {
            // A grid every third record.
            let record = |i: usize| {
                let change = i.is_multiple_of(3).then(|| changes[i / 3]);
                json!({"step": 100 * i, "update_ratio_g": 0.01, "grid_change": change})
            };
            let records: Vec<Value> = (0..3 * changes.len()).map(record).collect();
            raised(&mut Alarms::new(&TrainConfig::default()), &records)
        };
        assert_eq!(of(&[0.1, 0.0, 0.0, 0.1, 2e-4]), [(400, AlarmKind::DeadGenerator)]);
        assert_eq!(of(&[0.0, 0.1, 0.0]), [(100, AlarmKind::DeadGenerator), (700, AlarmKind::DeadGenerator)]);
    }

    #[test]
    fn a_collapse_takes_patience() {
        let at = |steps: std::ops::Range<u64>, diversity: f64| {
            steps.map(move |s| json!({"step": s * 10, "diversity": diversity})).collect::<Vec<_>>()
        };
        let config = TrainConfig::default();
        // A G that has not learnt anything yet is given time.
        let early = at(0..100, 0.1);
        assert_eq!(raised(&mut Alarms::new(&config), &early), []);
        let never = [early, at(100..110, 0.1)].concat();
        assert_eq!(raised(&mut Alarms::new(&config), &never), [(1020, AlarmKind::Collapse)]);
        let at = |steps: std::ops::Range<u64>, diversity| at(steps.start + 100..steps.end + 100, diversity);
        // A dip of two records is none; a clear collapse is raised once, and again when it had cleared.
        let parts = [at(0..5, 0.9), at(5..7, 0.4), at(7..9, 0.9), at(9..20, 0.4), at(20..22, 0.8)];
        let parts = [&parts[..], &[at(22..30, 0.4), at(30..33, 0.8), at(33..40, 0.4)]].concat().concat();
        assert_eq!(
            raised(&mut Alarms::new(&config), &parts),
            [(1110, AlarmKind::Collapse), (1350, AlarmKind::Collapse)]
        );
    }

    #[test]
    fn updates_that_are_skipped_are_counted_over_a_hundred_steps() {
        let mut config = TrainConfig::default();
        (config.step.balance, config.step.n_d) = (Balance::Accuracy, 2);
        let of = |share: f64, every: u64| {
            (1..=40).map(
                move |i| json!({"step": i * every, "d_skipped": (share * 2.0 * (i * every) as f64) as u64}),
            )
        };
        for (share, every, want) in [(0.9, 10, None), (1.0, 10, Some(110)), (1.0, 100, Some(200))] {
            let records: Vec<Value> = of(share, every).collect();
            let got = raised(&mut Alarms::new(&config), &records);
            assert_eq!(got.first().map(|a| a.0), want, "{share} {every}");
        }
    }

    #[test]
    fn scores_have_no_side_but_the_hinge_has() {
        let records: Vec<Value> =
            (0..10).map(|i| json!({"step": i * 100, "acc_real": 1.0, "acc_fake": 0.0})).collect();
        for loss in Loss::ALL {
            let mut config = TrainConfig::default();
            config.step.loss = loss;
            let got = raised(&mut Alarms::new(&config), &records);
            let scores =
                [Loss::Wasserstein, Loss::RelativisticPairing, Loss::RelativisticAverage].contains(&loss);
            let want: &[_] = if scores { &[] } else { &[(400, AlarmKind::OneSided)] };
            assert_eq!(got, want, "{loss:?}");
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.00123, "0.00123"),
            (1.2e-9, "1.20e-9"),
            (2.0, "2"),
            (0.5, "0.5"),
            (123.4, "123"),
            (1000.0, "1000"),
        ];
        cases.into_iter().for_each(|(v, text)| assert_eq!(short(v), text));
    }
}
