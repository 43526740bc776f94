//! The one error type of everything that can fail through no fault of the calling code, and the two ways
//! an op can panic: misuse (a bug in the caller) and a failure of the device.

use crate::local::MODULES;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// `Result` with ganvil's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the world: files, data, checkpoints, arguments, devices, training runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb phrase: `read`, `create the folder`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file was read but is not what it should be.
    #[error("{path}: {problem}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the value found and the one expected.
        problem: String,
    },
    /// No data set in any of the places looked at.
    #[error("no {what} found; looked in {}. {remedy}", looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    NotFound {
        /// What was looked for.
        what: String,
        /// Every place tried.
        looked: Vec<PathBuf>,
        /// What to do about it.
        remedy: String,
    },
    /// A name, flag or setting has a value that cannot be used.
    #[error("invalid {what} '{value}': {remedy}")]
    Argument {
        /// The flag or setting.
        what: &'static str,
        /// The value given.
        value: String,
        /// What would be accepted.
        remedy: String,
    },
    /// A device failed inside an op; see [`try_run`].
    #[error("{0}")]
    Device(DeviceFailure),
    /// Training produced a value that is not finite.
    #[error("{what} at step {step}; first non-finite tensor: {tensor}. {remedy}")]
    NonFinite {
        /// Which loss, with its value.
        what: String,
        /// The training step, counted from 1.
        step: u64,
        /// State-dict name of the first tensor that is not finite.
        tensor: String,
        /// What was kept and what to change.
        remedy: String,
    },
    /// Two processes want to write into one run.
    #[error("another process is training into {}; wait until it ends, or stop it", run.display())]
    Busy {
        /// The run's folder.
        run: PathBuf,
    },
    /// Something outside of the training, a full disk for example, ended a run.
    #[error("{source}. {kept}")]
    RunEnded {
        /// What it was.
        source: Box<Error>,
        /// What was saved before, and how to go on.
        kept: String,
    },
    /// Stopped by a signal, state saved.
    #[error("interrupted at step {step}; the state is saved in {}. Go on with: ganvil resume {}", checkpoint.display(), run.display())]
    Interrupted {
        /// Steps done.
        step: u64,
        /// The run's folder.
        run: PathBuf,
        /// The checkpoint that holds them.
        checkpoint: PathBuf,
    },
    /// Stopped by a signal between results.
    #[error("interrupted; {kept}")]
    Stopped {
        /// What is kept, and how to go on.
        kept: String,
    },
}

impl Error {
    /// For `map_err` on an I/O result.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// A file that is not what it should be.
    pub fn format(path: impl AsRef<Path>, problem: impl Into<String>) -> Error {
        Error::Format { path: path.as_ref().to_path_buf(), problem: problem.into() }
    }
}

/// A device that failed inside an op: the payload of the panic that [`try_run`] turns into an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFailure {
    /// The op or allocation that failed.
    pub op: String,
    /// What the device said.
    pub reason: String,
    /// Bytes asked for, if memory was the problem.
    pub wanted: usize,
    /// Bytes in use by ganvil's own pool at that moment.
    pub in_use: usize,
    /// What might help.
    pub remedy: String,
}

impl fmt::Display for DeviceFailure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.op, self.reason)?;
        if self.wanted > 0 {
            write!(f, " ({} bytes wanted, {} in use)", self.wanted, self.in_use)?;
        }
        write!(f, "; {}", self.remedy)
    }
}

impl DeviceFailure {
    /// Unwinds with this failure as the typed payload, without the message of a panic: it is no bug.
    pub fn raise(self) -> ! {
        resume_unwind(Box::new(self))
    }
}

/// Runs `f`, turning a device failure inside an op (out of memory, failed launch) into
/// [`Error::Device`]. Any other panic is a bug and goes on unwinding.
pub fn try_run<R>(f: impl FnOnce() -> R) -> Result<R> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| match payload.downcast::<DeviceFailure>() {
        Ok(failure) => Error::Device(*failure),
        Err(other) => resume_unwind(other),
    })
}

/// Names the module whose forward pass is running, for misuse messages; popped on drop.
pub(crate) struct Scope(());

impl Scope {
    pub(crate) fn enter(name: &str) -> Scope {
        MODULES.with_borrow_mut(|s| s.push(name.to_owned()));
        Scope(())
    }

    /// The dotted path of the modules that are running, `D.net.3`; empty outside of any.
    pub(crate) fn path() -> String {
        MODULES.with_borrow(|s| s.join("."))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        MODULES.with_borrow_mut(|s| s.pop());
    }
}

/// Panics with the message for a bug in the calling code: the op, the module it ran in, what is wrong.
#[cold]
#[track_caller]
pub(crate) fn panic_misuse(op: &str, problem: fmt::Arguments) -> ! {
    let path = Scope::path();
    if path.is_empty() { panic!("{op}: {problem}") } else { panic!("{op} (in {path}): {problem}") }
}

/// `misuse!("op", "shape {:?} ...", ...)`.
macro_rules! misuse {
    ($op:expr, $($arg:tt)*) => { $crate::error::panic_misuse($op, format_args!($($arg)*)) };
}
pub(crate) use misuse;
