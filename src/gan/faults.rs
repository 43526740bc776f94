//! Whole runs on a disk that fills up, and whose calls fail, wherever they can.

use super::{Event, Run, TrainConfig, Trainer, Watch, latest_checkpoint, resume, run_training, zoo};
use crate::atomic::{faults, tests::Folder};
use crate::checkpoint;
use crate::data::{Dataset, Images};
use crate::{Device, Error, Result};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps, and the one at which a run is asked to stop: figures of a run that ends are drawn without haste.
const STEPS: u64 = 7;
const LAST: u64 = 6;

fn data() -> Arc<Dataset> {
    let pixels = (0..64).map(|i| i * 4).collect();
    let images = Images { count: 16, channels: 1, rows: 2, cols: 2, pixels };
    Arc::new(Dataset { images, labels: None, classes: vec![], name: "tiny".into() })
}

fn config() -> TrainConfig {
    let base = (zoo::recipe("mlp-a").unwrap().config)();
    TrainConfig {
        steps: STEPS,
        batch: 2,
        latent: 1,
        log_every: 1,
        sample_every: 3,
        checkpoint_every: 2,
        ..base
    }
}

fn train(dir: &Path) -> Result<()> {
    let mut trainer = Trainer::new(config(), data(), Device::Cpu)?;
    let run = Run::create(Some(dir), "tiny", trainer.config())?;
    to_the_last(&mut trainer, &run)
}

fn to_the_last(trainer: &mut Trainer, run: &Run) -> Result<()> {
    let stop = AtomicBool::new(false);
    let ended = run_training(trainer, run, Watch::default(), &stop, &mut |event: Event| {
        stop.store(matches!(event, Event::Step(LAST)) || stop.load(Ordering::Relaxed), Ordering::Relaxed);
    });
    match ended {
        Err(Error::Interrupted { step: LAST, .. }) => Ok(()),
        other => other.map(|()| panic!("it did not stop")),
    }
}

fn go_on(dir: &Path) -> Result<()> {
    let run = Run::open(dir)?;
    let mut trainer = resume(&run, &run.config()?, &data(), Device::Cpu)?.trainer;
    // The last checkpoint may have been written before the failure.
    if trainer.steps() == LAST { Ok(()) } else { to_the_last(&mut trainer, &run) }
}

fn result(dir: &Path) -> (Vec<u8>, Vec<u64>) {
    let log = crate::report::read_log(dir.join("log.jsonl")).unwrap();
    let steps = log.iter().map(|r| r["step"].as_u64().unwrap()).collect();
    (fs::read(latest_checkpoint(dir).unwrap()).unwrap(), steps)
}

/// Whatever fails, the run ends with an error that says how to go on, its checkpoints are intact, and what goes on from
/// them is the run that nothing happened to.
#[test]
fn a_run_survives_every_failure() {
    let f = Folder::new("faults");
    let dir = f.0.join("run");
    let attempt = |plan| {
        fs::remove_dir_all(&dir).ok();
        faults::with(plan, || train(&dir))
    };
    let (done, left) = attempt(faults::NONE);
    done.unwrap();
    let whole = result(&dir);
    assert_eq!(whole.1, (1..=LAST).collect::<Vec<_>>());
    let (bytes, calls) = (faults::NONE.bytes - left.bytes, faults::NONE.calls - left.calls);
    let piece = bytes / 30;
    let full = (0..30).map(|i| faults::Plan { bytes: i * piece + i * 37 % piece, ..faults::NONE });
    let failing = (0..calls).map(|calls| faults::Plan { calls, ..faults::NONE });
    for plan in full.chain(failing) {
        let (ended, _) = attempt(plan);
        let what = format!("{} bytes, {} calls", plan.bytes, plan.calls);
        match ended {
            // Before the run was there nothing of it is.
            Err(Error::Io { .. }) if !dir.exists() => continue,
            Err(e @ Error::RunEnded { .. }) => {
                let text = e.to_string();
                assert!(text.contains("injected") && text.contains("ganvil resume "), "{what}: {text}");
            }
            // The folder's own name may not have reached the disk.
            Err(Error::Io { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
        for path in super::checkpoints(&dir).unwrap() {
            checkpoint::load(&path).unwrap_or_else(|e| panic!("{what}: {e}"));
        }
        go_on(&dir).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(result(&dir) == whole, "{what}");
    }
}
