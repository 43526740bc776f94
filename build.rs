//! Tells the program which commit it is built from, if there is one to tell.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Builds for development are not made anew after each commit.
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    if let Some(commit) = packaged().or_else(checked_out) {
        println!("cargo:rustc-env=GANVIL_COMMIT={commit}");
    }
}

/// A packaged crate holds a note of it.
fn packaged() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\": \"")?;
    Some(rest.chars().take_while(char::is_ascii_hexdigit).take(12).collect())
}

/// A work tree of its own asks git.
fn checked_out() -> Option<String> {
    // What lies around a source tree that is none itself is some other repository.
    if !Path::new(".git").exists() {
        return None;
    }
    let git = |args: &[&str]| {
        let out = Command::new("git").args(args).output().ok().filter(|out| out.status.success())?;
        Some(String::from_utf8(out.stdout).ok()?.trim().to_owned())
    };
    for name in ["HEAD", &git(&["symbolic-ref", "-q", "HEAD"]).unwrap_or_default(), "packed-refs"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|p| Path::new(p).is_file()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}
