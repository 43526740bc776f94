//! Runs that are stopped, killed, moved, repeated and taken up again.

#[path = "../common/mod.rs"]
mod common;
mod data;
mod hostile;
mod kill;
mod resume;
mod signals;
