//! The parts of the fixture test.

mod altered;
mod attrs;
mod compare;
mod fixture;
mod folder;
mod harness;
mod layers;
mod made_up;
mod metric;
mod network;
mod ops;
mod optim;
mod penalty;
mod place;
mod rules;
mod state;
mod train;

use harness::Test;
use std::io::stdout;
use std::path::Path;
use std::process::ExitCode;

/// The fixtures that come with the source.
const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// Runs the folders, after the checks that this test itself can fail.
pub fn main() -> ExitCode {
    let mut tests = made_up::tests();
    tests.extend(altered::tests());
    tests
        .push(Test { name: "public_fixtures", run: || folder::run(Path::new(PUBLIC), &mut stdout().lock()) });
    if std::env::var_os("GANVIL_GOLDEN").is_some() {
        tests.push(Test { name: "fixtures_of_ganvil_golden", run: named_by_environment });
    }
    harness::run(&tests)
}

fn named_by_environment() -> Result<(), String> {
    let dir = std::env::var_os("GANVIL_GOLDEN").unwrap_or_default();
    folder::run(Path::new(&dir), &mut stdout().lock()).map_err(|e| format!("GANVIL_GOLDEN: {e}"))
}
