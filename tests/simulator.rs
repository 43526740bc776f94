//! Training on the simulator, as a user does it: the same losses as on the CPU.
//!
//! Needs the simulator's library: `cargo build -p ptxsim`, and `GANVIL_PTXSIM` set to target/debug/libptxsim.so (or the
//! feature `ptxsim`, which puts it where the program looks).

use common::{Scratch, fails, program, run, text};
use serde_json::Value;
use std::path::Path;

mod common;

/// Whether the simulator is there; prints why a test is skipped if not.
fn simulator() -> bool {
    let told = std::env::var_os("GANVIL_PTXSIM").is_some_and(|p| Path::new(&p).is_file());
    if !told {
        println!("SKIPPED: GANVIL_PTXSIM names no library");
    }
    told
}

/// What each step of a run logged under `key`.
fn logged(dir: &Path, key: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(dir.join("log.jsonl")).unwrap();
    let records = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    records.map(|r| r[key].as_f64().unwrap()).collect()
}

/// Runs the program, which must succeed.
fn done(args: &[&str]) {
    let out = run(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
}

/// Trains on both devices and compares the losses of every step, to 1e-4 relative.
fn same_losses(recipe: &str, steps: &str, batch: &str) {
    let scratch = Scratch::new(&format!("simulator-{recipe}"));
    let [cpu, simulated] = ["cpu", "ptxsim"].map(|device| {
        let out = scratch.path(device);
        let head = ["train", recipe, "--steps", steps, "--batch", batch, "--log-every", "1"];
        done(&[&head[..], &["--device", device, "--out", &out]].concat());
        scratch.0.join(device)
    });
    for key in ["d_loss", "g_loss"] {
        let (a, b) = (logged(&cpu, key), logged(&simulated, key));
        assert_eq!(a.len(), steps.parse::<usize>().unwrap());
        for (step, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!((a - b).abs() <= 1e-4 * a.abs(), "{recipe}, step {}: {key} is {a} and {b}", step + 1);
        }
    }
}

#[test]
fn mlp_trains_to_the_same_losses() {
    if simulator() {
        same_losses("mlp", "5", "16");
    }
}

#[test]
fn a_small_dcgan_trains_to_the_same_losses() {
    if simulator() {
        same_losses("dcgan28-small", "2", "8");
    }
}

#[test]
fn runs_on_the_simulator_repeat_bit_for_bit() {
    if !simulator() {
        return;
    }
    let scratch = Scratch::new("simulator-repeats");
    let [a, b] = ["a", "b"].map(|name| {
        let head = ["train", "mlp-a", "--steps", "3", "--batch", "8", "--device", "ptxsim"];
        done(&[&head[..], &["--out", &scratch.path(name)]].concat());
        std::fs::read(scratch.0.join(name).join("checkpoints/step-00000003.safetensors")).unwrap()
    });
    assert!(a == b);
}

#[test]
fn samples_come_from_the_simulator() {
    if !simulator() {
        return;
    }
    let scratch = Scratch::new("simulator-samples");
    let (out, picture) = (scratch.path("run"), scratch.path("grid.png"));
    done(&["train", "mlp-a", "--steps", "2", "--batch", "8", "--out", &out]);
    done(&["sample", &out, "--n", "4", "--device", "ptxsim", "--out", &picture]);
    assert!(Path::new(&picture).is_file());
}

#[test]
fn a_missing_library_is_named() {
    let mut command = program(&["train", "--device", "ptxsim", "--steps", "1"]);
    let out = command.env("GANVIL_PTXSIM", "/nowhere/libptxsim.so").output().unwrap();
    let message = text(&out.stderr);
    assert_eq!((out.status.code(), message.trim_end().lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("/nowhere/libptxsim.so") && message.contains("--features ptxsim"), "{message}");
}

/// Where there is a driver there is nothing to see.
#[test]
fn a_missing_driver_is_said_in_one_line() {
    if ganvil::backend::cuda::open(ganvil::Device::Cuda).is_ok() {
        return println!("SKIPPED: this machine has a GPU");
    }
    let (code, message) = fails(&["train", "--device", "cuda", "--steps", "1"]);
    assert_eq!((code, message.trim_end().lines().count()), (2, 1), "{message}");
    assert!(message.contains("libcuda.so") && message.contains("--device cpu"), "{message}");
}
