//! What Ctrl-C, SIGTERM and a closed terminal do to a training run.
//!
//! The first Ctrl-C or SIGTERM asks the run to save after the step that it is in, and to end; a second one ends the
//! program at once. A terminal that is closed (SIGHUP) does not end a run.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Programs such as `timeout` signal a process and then its group: what comes so soon is the same signal.
const SAME: Duration = Duration::from_millis(200);

/// The exit code for the signal that came: 128 and its number, as shells have it.
static CODE: AtomicUsize = AtomicUsize::new(0);

/// The exit code of an interrupted program.
pub fn exit_code() -> u8 {
    CODE.load(Ordering::Relaxed) as u8
}

/// What is said to a first signal and to a second.
#[derive(Clone, Copy)]
pub struct Words {
    first: &'static str,
    second: &'static str,
}

/// For a run.
pub const RUN: Words = Words {
    first: "saving and stopping after this step; again to stop at once",
    second: "stopped at once; what was done since the last checkpoint is lost",
};

/// For what is kept piece by piece.
pub const PIECES: Words = Words {
    first: "stopping after this step; what is finished is kept",
    second: "stopped at once; what is finished is kept",
};

/// From here on signals set the flag that is returned.
pub fn watch(words: Words) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(e) = register(&stop, words) {
        super::note(&format!("warning: Ctrl-C will end the run without saving ({e})"));
    }
    stop
}

/// A signal came, the first at `first`.
fn act(signal: i32, first: &mut Option<Instant>, stop: &AtomicBool, words: Words) {
    let code = 128 + signal;
    match first {
        None => {
            *first = Some(Instant::now());
            CODE.store(code as usize, Ordering::Relaxed);
            stop.store(true, Ordering::Relaxed);
            super::note(&format!("\n{}", words.first));
        }
        Some(at) if at.elapsed() < SAME => {}
        Some(_) => {
            super::note(&format!("\n{}", words.second));
            exit(code);
        }
    }
}

#[cfg(unix)]
fn register(stop: &Arc<AtomicBool>, words: Words) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let stop = stop.clone();
    let watch = move || {
        let mut first = None;
        signals.forever().filter(|s| *s != SIGHUP).for_each(|s| act(s, &mut first, &stop, words));
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch).map(drop)
}

/// Without a queue of signals to read, the two flags of the library: no message, and each signal counts.
#[cfg(not(unix))]
fn register(stop: &Arc<AtomicBool>, _: Words) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    // No other process sends SIGTERM there.
    CODE.store(128 + SIGINT as usize, Ordering::Relaxed);
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(())
}
