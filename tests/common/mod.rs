//! The program started as a user starts it, and a folder to start it in.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of one test's own, removed at its end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("ganvil-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn program(args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_ganvil"));
    c.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("GANVIL_DATA");
    c
}

pub fn run(args: &[&str]) -> Output {
    program(args).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exit code and stderr of a call that must fail without a panic and without a word on stdout.
pub fn fails(args: &[&str]) -> (i32, String) {
    let out = run(args);
    let err = text(&out.stderr);
    assert!(!out.status.success(), "{args:?} succeeded");
    assert!(!err.contains("panicked") && !err.contains("backtrace"), "{args:?}: {err}");
    assert_eq!(text(&out.stdout), "", "{args:?}");
    (out.status.code().unwrap(), err)
}
