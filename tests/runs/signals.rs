//! Ctrl-C, SIGTERM, and terminals that are closed.
#![cfg(unix)]

use crate::common::{Scratch, program, run, text};
use crate::data;
use ganvil::gan::latest_checkpoint;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// A run that has logged `lines`, and its folder.
fn started(tmp: &Scratch, steps: &str, batch: &str, lines: usize) -> (Child, String) {
    let (data, dir) = (tmp.path("data"), tmp.path("run"));
    data::write(Path::new(&data), 4096, 8);
    let args = [
        "train",
        "mlp-a",
        "--steps",
        steps,
        "--batch",
        batch,
        "--log-every",
        "1",
        "--data",
        &data,
        "--out",
        &dir,
    ];
    let mut child = program(&args).stderr(Stdio::piped()).spawn().unwrap();
    while fs::read_to_string(Path::new(&dir).join("log.jsonl")).map_or(0, |s| s.lines().count()) < lines {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    (child, dir)
}

/// The run ended with its state saved after its last step.
fn saved(out: &Output, dir: &str, code: i32) {
    let err = text(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{err}");
    assert!(err.contains("interrupted at step ") && err.contains(&format!("ganvil resume {dir}")), "{err}");
    let log = ganvil::report::read_log(Path::new(dir).join("log.jsonl")).unwrap();
    let last = log.last().unwrap()["step"].as_u64().unwrap();
    let checkpoint = latest_checkpoint(Path::new(dir)).unwrap();
    assert!(
        checkpoint.ends_with(format!("step-{last:08}.safetensors")),
        "{} at {last}",
        checkpoint.display()
    );
    let out = run(&["resume", dir, "--steps", &(last + 2).to_string()]);
    assert!(out.status.success(), "{}", text(&out.stderr));
}

#[test]
fn ctrl_c_and_sigterm_save_and_say_which_it_was() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let tmp = Scratch::new(&format!("signal{name}"));
        let (child, dir) = started(&tmp, "100000000", "8", 5);
        // As `timeout` does, to the process and then to its group: it is one signal.
        signal(&child, name);
        signal(&child, name);
        saved(&child.wait_with_output().unwrap(), &dir, code);
    }
}

/// While a step of many seconds goes on, the second signal ends the program before it is done.
#[test]
fn a_second_ctrl_c_does_not_wait_for_the_step() {
    let tmp = Scratch::new("second");
    let (data, dir) = (tmp.path("data"), tmp.path("run"));
    data::write(Path::new(&data), 4096, 28);
    let args = ["train", "dcgan28", "--batch", "4096", "--steps", "1000", "--data", &data, "--out", &dir];
    let child = program(&args).stderr(Stdio::piped()).spawn().unwrap();
    // The first step begins right after the first grid.
    while !Path::new(&dir).join("samples/kimg-00000.0.png").exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    signal(&child, "-INT");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&child, "-INT");
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{}", text(&out.stderr));
    assert!(latest_checkpoint(Path::new(&dir)).is_err(), "it waited for the step: {}", text(&out.stderr));
}

/// A terminal that goes away sends SIGHUP, and takes no more output.
#[test]
fn a_closed_terminal_does_not_end_a_run() {
    let tmp = Scratch::new("hangup");
    let (mut child, dir) = started(&tmp, "400", "8", 5);
    drop(child.stderr.take());
    signal(&child, "-HUP");
    assert!(child.wait().unwrap().success());
    assert!(latest_checkpoint(Path::new(&dir)).unwrap().ends_with("step-00000400.safetensors"));
}
