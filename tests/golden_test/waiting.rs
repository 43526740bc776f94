//! What is not there yet: the one list of fixtures that are neither passed nor failed, and what each waits for.
//! Whatever is neither computed nor listed here fails.

use super::fixture::Fixture;
use super::{PUBLIC, rules};
use std::path::Path;

/// What is waited for, and the kind of fixtures that wait for it.
const WAITING: &[(&str, &str)] = &[("Inception and feature metrics", "metric")];

/// What a fixture waits for, if it waits.
pub fn feature(f: &Fixture) -> Option<&'static str> {
    WAITING.iter().find(|(_, kind)| f.kind == *kind).map(|(feature, _)| *feature)
}

/// The list names nothing that is computed: an entry is to go when what it waits for has come.
pub fn check() -> Result<(), String> {
    for entry in std::fs::read_dir(Path::new(PUBLIC)).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let f = Fixture::read(&path)?;
        if let Some(feature) = feature(&f).filter(|_| rules::is_known(&f.kind, &f.op)) {
            return Err(format!("{} {} is computed, yet listed as waiting for {feature}", f.kind, f.op));
        }
    }
    Ok(())
}
