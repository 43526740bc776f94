//! What is asked of a run besides its training, and what is told of it.

use super::record::Record;
use crate::gan::alarms::Alarm;
use crate::gan::evaluation::EvaluationRecord;
use crate::gan::explain::Explanation;
use crate::report::Profile;
use crate::{Error, Result};
use std::path::Path;

/// What happens in a run.
pub enum Event<'a> {
    /// A step is done.
    Step(u64),
    /// A record was logged.
    Logged(&'a Record),
    /// Samples were measured.
    Measured(&'a EvaluationRecord),
    /// Something is wrong with the game.
    Raised(&'a Alarm),
    /// The step that was to be explained is made.
    Explained(&'a Explanation),
    /// The steps that were to be profiled are made.
    Profiled(&'a Profile),
    /// A file was written.
    Wrote(&'a Path),
    /// Something went wrong without which the run can do.
    Failed(&'a Error),
}

/// What is asked of a run besides its training.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watch {
    /// The step, counted from 1, that is explained when it is made.
    pub explain: Option<u64>,
    /// How many steps are timed, each kernel and layer of them, for a table and the run's `profile.json`: after
    /// [`Watch::WARM_UP`] others, or as many as are left.
    pub profile: Option<u64>,
}

impl Watch {
    /// Steps that are not profiled: they find caches cold and memory not taken yet.
    pub const WARM_UP: u64 = 10;
    /// The most steps that are profiled, or the file would be too large to look at.
    pub const MOST_PROFILED: u64 = 1000;

    /// Refuses what a run that has made `done` of `steps` steps will not come to.
    ///
    /// # Errors
    /// If the step to be explained is none of those to come, or no step is to be profiled, or too many.
    pub fn check(&self, done: u64, steps: u64) -> Result<()> {
        if let Some(n) = self.profile.filter(|n| !(1..=Watch::MOST_PROFILED).contains(n)) {
            let remedy = format!("use 1 to {} steps", Watch::MOST_PROFILED);
            return Err(Error::Argument { what: "--profile", value: n.to_string(), remedy });
        }
        let Some(step) = self.explain.filter(|step| *step <= done || *step > steps) else { return Ok(()) };
        let remedy = if done >= steps {
            "no step is left to be made; give a larger total with --steps".into()
        } else {
            let longer = if step > steps { ", or a larger total with --steps" } else { "" };
            format!("the steps to be made are {} to {steps}; name one of them{longer}", done + 1)
        };
        Err(Error::Argument { what: "--explain-step", value: step.to_string(), remedy })
    }
}
