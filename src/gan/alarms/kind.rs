//! What can go wrong with a game, and what it means.

use serde::{Deserialize, Serialize};

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// D is always right and G's gradient is gone.
    VanishingGradient,
    /// G's samples resemble each other.
    Collapse,
    /// G does not change any more.
    DeadGenerator,
    /// D calls everything real, or everything fake.
    OneSided,
    /// The rule that holds D back never lets it go.
    DSkipped,
    /// A loss, gradient or weight is not a number; the run has ended.
    NonFinite,
}

impl AlarmKind {
    /// The name in `alarms.jsonl`.
    pub fn name(self) -> &'static str {
        match self {
            AlarmKind::VanishingGradient => "vanishing-gradient",
            AlarmKind::Collapse => "collapse",
            AlarmKind::DeadGenerator => "dead-generator",
            AlarmKind::OneSided => "one-sided",
            AlarmKind::DSkipped => "d-skipped",
            AlarmKind::NonFinite => "non-finite",
        }
    }

    /// What it means for the game.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            AlarmKind::VanishingGradient => {
                "D tells every sample right and is so sure of it that its output hardly changes when G does: G is told \
                 nothing about where to go"
            }
            AlarmKind::Collapse => {
                "G draws much the same whatever the noise: it has found what D takes for real at the moment, and nothing \
                 in the loss asks for variety"
            }
            AlarmKind::DeadGenerator => {
                "training goes on, but G does not: the same noise gives the same samples as before"
            }
            AlarmKind::OneSided => {
                "D gives one answer to all, so that its gradient is about the level of its output and not about what \
                 real samples have and fakes have not"
            }
            AlarmKind::DSkipped => {
                "D is hardly trained any more, so G follows a D that knows only fakes of long ago"
            }
            AlarmKind::NonFinite => {
                "one update too large is enough: every number that depends on it is lost as well"
            }
        }
    }

    /// Records in a row that must show it: what is noisy, or usual at the start, is not believed at once.
    pub(super) fn patience(self) -> u32 {
        match self {
            AlarmKind::VanishingGradient | AlarmKind::DSkipped | AlarmKind::NonFinite => 1,
            AlarmKind::DeadGenerator => 2,
            AlarmKind::Collapse | AlarmKind::OneSided => 3,
        }
    }
}

/// An alarm: a line of `alarms.jsonl`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    /// Steps done when it was raised.
    pub step: u64,
    /// Which.
    pub alarm: AlarmKind,
    /// The numbers that show it.
    pub evidence: String,
    /// What it means for the game.
    pub meaning: String,
    /// Flags of `ganvil train` that these settings go with, each with a reason.
    pub remedies: Vec<String>,
}
