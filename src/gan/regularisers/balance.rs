//! Whose turn it is: rules that hold D back when it is ahead.
//!
//! A fixed n_d : n_g (`n_d`, `n_g`) and learning rates of their own (TTUR, Heusel et al., 2017, arXiv:1706.08500:
//! `lr_d` > `lr_g` with n_d = 1) are settings like others. Two rules look at the game itself:
//!
//! - **accuracy**: an update of D is skipped while D's accuracy, averaged over the last updates, is above a bound, 0.8
//!   say; the batch is drawn and judged all the same, or nobody would know when to go on.
//! - **loss-ratio**: D's learning rate is multiplied by min(1, L_D / L_D at equilibrium), so that a D that is ahead learns
//!   slowly and one that is behind as ever.
//!
//! Pitfalls: both cure a symptom, and a D that is held back for long gives G directions that are out of date; what
//! was skipped stands in the log as `d_skipped`. Where a good D is the point (Wasserstein), neither is of use: the loss
//! has the equilibrium 0, so the second rule has nothing to divide by.

use crate::Error;
use crate::names::unknown;
use serde::{Deserialize, Serialize};

/// The rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Every update is made.
    #[default]
    Fixed,
    /// D's updates are skipped while it is right too often.
    Accuracy,
    /// D's learning rate falls with its loss.
    LossRatio,
}

impl Balance {
    /// Every rule.
    pub const ALL: [Balance; 3] = [Balance::Fixed, Balance::Accuracy, Balance::LossRatio];

    /// The name in configuration files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Balance::Fixed => "fixed",
            Balance::Accuracy => "accuracy",
            Balance::LossRatio => "loss-ratio",
        }
    }

    /// Whether it is the rule that there always is.
    pub fn is_fixed(&self) -> bool {
        *self == Balance::Fixed
    }
}

impl std::str::FromStr for Balance {
    type Err = Error;
    fn from_str(s: &str) -> Result<Balance, Error> {
        let names = Balance::ALL.map(Balance::name);
        Balance::ALL.into_iter().find(|b| b.name() == s).ok_or_else(|| unknown("balance", s, &names))
    }
}

/// Updates that the average of D's accuracy looks back on.
const WINDOW: f64 = 16.0;

/// What the rules remember.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// D's accuracy, averaged over about 16 updates with those long ago counting less.
    pub accuracy: f64,
    /// Updates of D that were skipped.
    pub skipped: u64,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing { accuracy: 0.5, skipped: 0 }
    }
}

impl Standing {
    /// Takes notice of D's accuracy before an update, and says what the update's learning rate is to be multiplied by; 0
    /// where it is skipped. `above` is the accuracy's bound, `loss` D's loss and `equilibrium` what it would be if D
    /// could not tell.
    ///
    /// ```
    /// use ganvil::gan::{Balance, BalanceStanding};
    /// let mut standing = BalanceStanding::default();
    /// let always_right = |s: &mut BalanceStanding| s.factor(Balance::Accuracy, 0.8, 1.0, 0.1, 1.4);
    /// let skipped = (0..40).filter(|_| always_right(&mut standing) == 0.0).count();
    /// assert_eq!((skipped, standing.skipped), (26, 26)); // from the fifteenth on: 1 - (15/16)^15 / 2 > 0.8
    /// assert_eq!(standing.factor(Balance::LossRatio, 0.8, 1.0, 0.35, 1.4), 0.25);
    /// ```
    pub fn factor(&mut self, rule: Balance, above: f64, accuracy: f64, loss: f64, equilibrium: f64) -> f64 {
        self.accuracy += (accuracy - self.accuracy) / WINDOW;
        match rule {
            Balance::Fixed => 1.0,
            Balance::Accuracy if self.accuracy > above => {
                self.skipped += 1;
                0.0
            }
            Balance::Accuracy => 1.0,
            Balance::LossRatio => (loss / equilibrium).clamp(0.0, 1.0),
        }
    }
}
