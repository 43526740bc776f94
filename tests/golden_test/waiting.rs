//! What is not there yet: the one list of fixtures that are neither passed nor failed, and what each waits for.
//! Whatever is neither computed nor listed here fails.

use super::fixture::Fixture;
use super::rules;

/// A feature, and the kinds of fixtures that wait for it.
const WAITING: &[(&str, &[&str])] = &[("Inception and feature metrics", &["metric"])];

/// What a fixture waits for, if it waits.
pub fn feature(f: &Fixture) -> Option<&'static str> {
    WAITING.iter().find(|(_, kinds)| kinds.contains(&&*f.kind)).map(|(feature, _)| *feature)
}

/// The list names nothing that is computed: an entry is to go when what it waits for has come.
pub fn check() -> Result<(), String> {
    for (feature, kinds) in WAITING {
        if let Some(kind) = kinds.iter().find(|kind| rules::has_kind(kind)) {
            return Err(format!("kind {kind} is computed, yet listed as waiting for {feature}"));
        }
    }
    Ok(())
}
