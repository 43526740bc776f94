//! What is not there yet: the one list of fixtures that are neither passed nor failed, and what each waits for.
//! Whatever is neither computed nor listed here fails.

use super::fixture::Fixture;
use super::rules;

/// Fixtures of a kind, by their operations or traces.
struct Waiting {
    feature: &'static str,
    kind: &'static str,
    ops: &'static [&'static str],
}

const WAITING: &[Waiting] = &[Waiting {
    feature: "Inception and feature metrics",
    kind: "metric",
    ops: &["density_coverage", "fid", "inception_score", "jsd", "kid", "precision_recall"],
}];

/// What a fixture waits for, if it waits.
pub fn feature(f: &Fixture) -> Option<&'static str> {
    WAITING.iter().find(|w| w.kind == f.kind && w.ops.contains(&&*f.op)).map(|w| w.feature)
}

/// The list names nothing that is computed: an entry is to go when what it waits for has come.
pub fn check() -> Result<(), String> {
    for Waiting { feature, kind, ops } in WAITING {
        if let Some(op) = ops.iter().find(|op| rules::is_known(kind, op)) {
            return Err(format!("{kind} {op} is computed, yet listed as waiting for {feature}"));
        }
    }
    Ok(())
}
