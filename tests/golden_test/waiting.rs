//! What is not there yet: the one list of fixtures that are neither passed nor failed, and what each waits for.
//! Whatever is neither computed nor listed here fails.

use super::fixture::Fixture;
use super::rules;

/// Which fixtures wait.
enum Which {
    /// All of these kinds.
    Kinds(&'static [&'static str]),
    /// Of these kinds, these operations or traces.
    Ops(&'static [&'static str], &'static [&'static str]),
}
use Which::{Kinds, Ops};

const WAITING: &[(&str, Which)] = &[("Inception and feature metrics", Kinds(&["metric"]))];

impl Which {
    fn covers(&self, f: &Fixture) -> bool {
        match self {
            Kinds(kinds) => kinds.contains(&&*f.kind),
            Ops(kinds, ops) => kinds.contains(&&*f.kind) && ops.contains(&&*f.op),
        }
    }
}

/// What a fixture waits for, if it waits.
pub fn feature(f: &Fixture) -> Option<&'static str> {
    WAITING.iter().find(|(_, which)| which.covers(f)).map(|(feature, _)| *feature)
}

/// The list names nothing that is computed: an entry is to go when what it waits for has come.
pub fn check() -> Result<(), String> {
    for (feature, which) in WAITING {
        if let Ops(kinds, ops) = which {
            for (kind, op) in kinds.iter().flat_map(|k| ops.iter().map(move |o| (k, o))) {
                if rules::is_known(kind, op) {
                    return Err(format!("{kind} {op} is computed, yet listed as waiting for {feature}"));
                }
            }
        }
    }
    Ok(())
}
