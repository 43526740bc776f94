//! Measures of what a generator has learnt.

mod modes;

pub use modes::{ModeCoverage, mode_coverage};
