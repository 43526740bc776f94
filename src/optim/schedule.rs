//! How a learning rate changes over training.

use super::{BadSetting, is_amount, require};
use crate::error::misuse;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The factor of the learning rate at step t, counted from 0: the number of steps done before.
///
/// factor(t) = w(t) d(t), with a linear warm-up w(t) = min(1, (t + 1) / warmup), or 1 where `warmup` is 0, and d(t) by
/// variant. Where there is a horizon H, with the share of it that is over, u = (t - warmup) / (H - warmup) kept within
/// [0, 1]:
///
/// | variant | d(t) |
/// |---|---|
/// | `Constant` | 1 |
/// | `Linear` | 1 + (end - 1) u |
/// | `Cosine` (Loshchilov and Hutter, 2016, arXiv:1608.03983, without restarts) | end + (1 - end) (1 + cos(pi u)) / 2 |
/// | `Step` | gamma^floor(t / every) |
/// | `Milestones` | gamma^(number of milestones that are at most t) |
///
/// The horizon counts from step 0, warm-up included, and is a setting of its own: a run that is cut short or goes on
/// longer follows the same curve, which stays at `end` from t = H on. For the last of n steps to have the factor `end`,
/// H is n - 1.
///
/// In a file: `{ type = "cosine", horizon = 30000, end = 0.1, warmup = 500 }`.
///
/// ```
/// use ganvil::optim::Schedule;
/// let linear = Schedule::Linear { horizon: 100, end: 0.0, warmup: 0 };
/// assert_eq!([0, 25, 100, 1000].map(|t| linear.factor(t)), [1.0, 0.75, 0.0, 0.0]);
/// let cosine: Schedule = toml::from_str("type = 'cosine'\nhorizon = 104\nwarmup = 4").unwrap();
/// assert_eq!([0, 3, 4].map(|t| cosine.factor(t)), [0.25, 1.0, 1.0]);
/// assert!((cosine.factor(54) - 0.5).abs() < 1e-15);
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The learning rate as it is set.
    Constant {
        /// Steps of linear warm-up; 0 for none.
        #[serde(default)]
        warmup: u64,
    },
    /// In a straight line to `end` at the horizon.
    Linear {
        /// The step from which the factor is `end`.
        horizon: u64,
        /// The last factor.
        #[serde(default)]
        end: f64,
        /// Steps of linear warm-up; 0 for none.
        #[serde(default)]
        warmup: u64,
    },
    /// In half a cosine to `end` at the horizon.
    Cosine {
        /// The step from which the factor is `end`.
        horizon: u64,
        /// The last factor.
        #[serde(default)]
        end: f64,
        /// Steps of linear warm-up; 0 for none.
        #[serde(default)]
        warmup: u64,
    },
    /// Times `gamma` after every `every` steps.
    Step {
        /// Steps between two changes.
        every: u64,
        /// Factor of each change.
        gamma: f64,
        /// Steps of linear warm-up; 0 for none.
        #[serde(default)]
        warmup: u64,
    },
    /// Times `gamma` at each of the steps listed.
    Milestones {
        /// The steps of the changes, increasing.
        at: Vec<u64>,
        /// Factor of each change.
        gamma: f64,
        /// Steps of linear warm-up; 0 for none.
        #[serde(default)]
        warmup: u64,
    },
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::Constant { warmup: 0 }
    }
}

impl Schedule {
    /// The factor of the learning rate at step `t`, counted from 0.
    ///
    /// # Panics
    /// If [`Schedule::check`] refuses the settings; check those that come from a file before.
    ///
    /// ```
    /// use ganvil::optim::Schedule;
    /// let halved = Schedule::Milestones { at: vec![10, 20], gamma: 0.5, warmup: 0 };
    /// assert_eq!([9, 10, 20].map(|t| halved.factor(t)), [1.0, 0.5, 0.25]);
    /// ```
    #[track_caller]
    pub fn factor(&self, t: u64) -> f64 {
        if let Err(e) = self.check() {
            misuse!("Schedule::factor", "{self:?} has {e}");
        }
        let warmup = self.warmup();
        let w = if t < warmup { (t + 1) as f64 / warmup as f64 } else { 1.0 };
        w * self.after_warmup(t)
    }

    /// Puts a horizon that is at `from` to `to`: what ended with a run of `from` steps ends with one of `to`.
    ///
    /// ```
    /// use ganvil::optim::Schedule;
    /// let mut linear = Schedule::Linear { horizon: 100, end: 0.0, warmup: 0 };
    /// linear.follow(100, 60);
    /// linear.follow(100, 80); // no longer at 100
    /// assert_eq!(linear.factor(30), 0.5);
    /// ```
    pub fn follow(&mut self, from: u64, to: u64) {
        if let Schedule::Linear { horizon, .. } | Schedule::Cosine { horizon, .. } = self
            && *horizon == from
        {
            *horizon = to;
        }
    }

    /// The step from which the factor stays the same, where there is one.
    pub fn horizon(&self) -> Option<u64> {
        match self {
            Schedule::Linear { horizon, .. } | Schedule::Cosine { horizon, .. } => Some(*horizon),
            _ => None,
        }
    }

    fn after_warmup(&self, t: u64) -> f64 {
        let over = |horizon: u64, warmup: u64| {
            if t >= horizon { 1.0 } else { t.saturating_sub(warmup) as f64 / (horizon - warmup) as f64 }
        };
        match *self {
            Schedule::Constant { .. } => 1.0,
            Schedule::Linear { horizon, end, warmup } => {
                let u = over(horizon, warmup);
                (1.0 - u) + end * u
            }
            Schedule::Cosine { horizon, end, warmup } => {
                // Half of 1 + cos, and half of 1 - cos: exact at both ends.
                let s = (0.5 * PI * over(horizon, warmup)).sin().powi(2);
                (1.0 - s) + end * s
            }
            Schedule::Step { every, gamma, .. } => gamma.powf((t / every) as f64),
            Schedule::Milestones { ref at, gamma, .. } => {
                gamma.powf(at.iter().filter(|m| **m <= t).count() as f64)
            }
        }
    }

    fn warmup(&self) -> u64 {
        match *self {
            Schedule::Constant { warmup }
            | Schedule::Linear { warmup, .. }
            | Schedule::Cosine { warmup, .. }
            | Schedule::Step { warmup, .. }
            | Schedule::Milestones { warmup, .. } => warmup,
        }
    }

    /// Refuses settings that give no factor.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    ///
    /// ```
    /// use ganvil::optim::Schedule;
    /// let e = Schedule::Linear { horizon: 10, end: 0.0, warmup: 10 }.check().unwrap_err();
    /// assert_eq!(e.to_string(), "horizon = 10: it counts steps from the first, and is larger than warmup");
    /// ```
    pub fn check(&self) -> Result<(), BadSetting> {
        match *self {
            Schedule::Constant { .. } => Ok(()),
            Schedule::Linear { horizon, end, warmup } | Schedule::Cosine { horizon, end, warmup } => {
                require(
                    horizon > warmup,
                    "horizon",
                    horizon,
                    "it counts steps from the first, and is larger than warmup",
                )?;
                require(is_amount(end), "end", end, "it is a finite factor, 0 or more; 0 is usual")
            }
            Schedule::Step { every, gamma, .. } => {
                require(every > 0, "every", every, "it is a number of steps, at least 1")?;
                gamma_is_factor(gamma)
            }
            Schedule::Milestones { ref at, gamma, .. } => {
                require(at.is_sorted_by(|a, b| a < b), "at", at, "steps are listed in increasing order")?;
                gamma_is_factor(gamma)
            }
        }
    }
}

fn gamma_is_factor(gamma: f64) -> Result<(), BadSetting> {
    require(is_amount(gamma), "gamma", gamma, "it is a finite factor, 0 or more; 0.1 is usual")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(warmup: u64) -> [Schedule; 5] {
        [
            Schedule::Constant { warmup },
            Schedule::Linear { horizon: 40, end: 0.2, warmup },
            Schedule::Cosine { horizon: 40, end: 0.2, warmup },
            Schedule::Step { every: 7, gamma: 0.5, warmup },
            Schedule::Milestones { at: vec![0, 5, 30], gamma: 0.5, warmup },
        ]
    }

    #[test]
    fn factors_are_the_equations() {
        let u = |t: f64, w: f64| ((t - w) / (40.0 - w)).clamp(0.0, 1.0);
        for warmup in [0, 6] {
            for t in 0..60 {
                let (x, w) = (t as f64, warmup as f64);
                let want = [
                    1.0,
                    1.0 + (0.2 - 1.0) * u(x, w),
                    0.2 + 0.8 * (1.0 + (PI * u(x, w)).cos()) / 2.0,
                    0.5f64.powi(t as i32 / 7),
                    [0.5, 0.25, 0.125][(t >= 5) as usize + (t >= 30) as usize],
                ];
                let warm = if warmup == 0 { 1.0 } else { ((x + 1.0) / w).min(1.0) };
                for (s, want) in all(warmup).iter().zip(want) {
                    let got = s.factor(t);
                    assert!((got - warm * want).abs() < 1e-15, "{s:?} at {t}: {got}, not {}", warm * want);
                }
            }
        }
    }

    #[test]
    fn ends_are_exact_and_stay() {
        for end in [0.0, 0.1] {
            for t in [40, 41, u64::MAX] {
                assert_eq!(Schedule::Linear { horizon: 40, end, warmup: 3 }.factor(t), end);
                assert_eq!(Schedule::Cosine { horizon: 40, end, warmup: 3 }.factor(t), end);
            }
        }
        // As bases of torch's schedulers at a horizon or period of 1.
        assert_eq!(Schedule::Linear { horizon: 1, end: 0.5, warmup: 0 }.factor(0), 1.0);
        assert_eq!(Schedule::Step { every: 1, gamma: 0.0, warmup: 0 }.factor(0), 1.0);
        assert_eq!(Schedule::Step { every: 1, gamma: 0.0, warmup: 0 }.factor(1), 0.0);
    }

    #[test]
    fn a_file_round_trips_and_refuses_what_it_does_not_know() {
        for s in all(3).into_iter().chain(all(0)) {
            let text = toml::to_string(&s).unwrap();
            assert_eq!(toml::from_str::<Schedule>(&text).unwrap(), s, "{text}");
            let json = serde_json::to_string(&s).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), s, "{json}");
        }
        for text in ["type = 'cosine'", "type = 'constant'\ngamma = 1.0", "type = 'sine'", "warmup = 3"] {
            assert!(toml::from_str::<Schedule>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_gives_no_factor_is_refused() {
        all(3).iter().for_each(|s| s.check().unwrap());
        let named = |s: Schedule| s.check().unwrap_err().name;
        assert_eq!(named(Schedule::Linear { horizon: 0, end: 0.0, warmup: 0 }), "horizon");
        assert_eq!(named(Schedule::Cosine { horizon: 5, end: 0.0, warmup: 5 }), "horizon");
        assert_eq!(named(Schedule::Linear { horizon: 5, end: f64::NAN, warmup: 0 }), "end");
        assert_eq!(named(Schedule::Step { every: 0, gamma: 0.5, warmup: 0 }), "every");
        assert_eq!(named(Schedule::Step { every: 1, gamma: -0.5, warmup: 0 }), "gamma");
        assert_eq!(named(Schedule::Milestones { at: vec![5, 5], gamma: 0.5, warmup: 0 }), "at");
        assert_eq!(named(Schedule::Milestones { at: vec![], gamma: f64::INFINITY, warmup: 0 }), "gamma");
    }
}
