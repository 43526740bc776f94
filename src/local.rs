//! What a thread has set for the computation it is in the middle of: whether ops are recorded, in which module it is,
//! how it convolves.
//!
//! While a kernel waits for a piece of its work, rayon has the thread take up whatever else the pool was given, be it
//! another caller's training step. That must find nothing of what was set here.

use std::cell::RefCell;
use std::thread::LocalKey;

thread_local! {
    /// Whether ops build a graph.
    pub(crate) static RECORDING: RefCell<bool> = const { RefCell::new(true) };
    /// Whether convolutions on the CPU go by the sums of the definition alone.
    pub(crate) static EXACT_CONVOLUTIONS: RefCell<bool> = const { RefCell::new(false) };
    /// Whether layers are computed one by one, also where one could take in its neighbour.
    pub(crate) static UNFUSED: RefCell<bool> = const { RefCell::new(false) };
    /// The modules whose forward passes are running, outermost first.
    pub(crate) static MODULES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` with a value in place of the thread's own, which is put back whatever happens.
pub(crate) fn with<T, R>(local: &'static LocalKey<RefCell<T>>, value: T, f: impl FnOnce() -> R) -> R {
    struct Back<T: 'static>(&'static LocalKey<RefCell<T>>, Option<T>);
    impl<T> Drop for Back<T> {
        fn drop(&mut self) {
            self.1.take().into_iter().for_each(|old| self.0.set(old));
        }
    }
    let _back = Back(local, Some(local.replace(value)));
    f()
}

/// Runs `f` as on a thread that has just started.
pub(crate) fn aside<R>(f: impl FnOnce() -> R) -> R {
    with(&RECORDING, true, || {
        with(&EXACT_CONVOLUTIONS, false, || with(&UNFUSED, false, || with(&MODULES, Vec::new(), f)))
    })
}
