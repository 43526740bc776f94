//! What a run measures while it goes on.

use crate::metrics::Metric;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Samples that are measured at regular times, into `metrics.jsonl`. The game goes on as if they were not.
///
/// ```
/// use ganvil::gan::Evaluate;
/// assert!(Evaluate { n: 10, ..Evaluate::default() }.check().is_err());
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluate {
    /// Steps between two; also after the last step.
    pub every: u64,
    /// Samples, and real images of each side.
    pub n: usize,
    /// The metrics. The first decides which checkpoints are the best. Where none is named, those of
    /// [`Evaluate::USUAL`] that the run's data and the network that knows them allow.
    pub metrics: Vec<Metric>,
    /// Checkpoints kept in `checkpoints/best`.
    pub keep_best: usize,
}

impl Default for Evaluate {
    fn default() -> Evaluate {
        Evaluate { every: 5_000, n: 10_000, metrics: Vec::new(), keep_best: 1 }
    }
}

impl Evaluate {
    /// What a run measures on the way if nothing is named: enough to tell samples that are noisy, all alike, or copies.
    pub const USUAL: [Metric; 8] = [
        Metric::Fid,
        Metric::Precision,
        Metric::Recall,
        Metric::Density,
        Metric::Coverage,
        Metric::Copies,
        Metric::Strays,
        Metric::SmallestShare,
    ];

    /// Refuses what cannot be measured.
    ///
    /// # Errors
    /// Names the flag, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        let bad =
            |what, value: String, remedy: &str| Err(Error::Argument { what, value, remedy: remedy.into() });
        if self.every == 0 {
            return bad("--eval-every", "0".into(), "it must be at least 1 step; 5000 is usual");
        }
        if self.n < 50 {
            return bad("--eval-n", self.n.to_string(), "use 50 or more; values of few samples say little");
        }
        if let Some(m) = self.metrics.iter().find(|m| **m == Metric::GanTrain) {
            return bad(
                "--eval-metrics",
                m.to_string(),
                "it trains a network of its own; use `ganvil evaluate` for it",
            );
        }
        Ok(())
    }
}
