//! What Ctrl-C, SIGTERM and a closed terminal do to a training run.
//!
//! The first Ctrl-C or SIGTERM asks the run to save after the step that it is in, and to end; the second ends the
//! program at once. A terminal that is closed (SIGHUP) does not end a run.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// The exit code for the signal that came: 128 and its number, as shells have it.
static CODE: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The exit code of an interrupted program.
pub fn exit_code() -> u8 {
    CODE.load(Ordering::Relaxed) as u8
}

/// From here on signals set the flag that is returned.
pub fn watch() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(e) = register(&stop) {
        super::note(&format!("warning: Ctrl-C will end the run without saving ({e})"));
    }
    stop
}

fn register(stop: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // Actions run in the order of their registration: what ends the program sees only signals before its own.
        flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        flag::register_usize(signal, CODE.clone(), 128 + signal as usize)?;
        flag::register(signal, stop.clone())?;
    }
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGHUP, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}
