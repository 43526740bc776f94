//! The driver's functions, and the state behind them.
//!
//! There is one device and, on it, the primary context (more may be made; they share the device's memory).
//! Work is done when it is asked for, on the calling thread and its helpers: streams and events are in order
//! because nothing is ever late. A kernel's failure is reported as a GPU's is: the launch succeeds, and every
//! later call in the context returns the kernel's error.

// These are C's functions, called by C's rules: a caller answers for the pointers it gives.
#![allow(clippy::not_unsafe_ptr_arg_deref)]

mod context;
mod device;
mod errors;
mod func;
mod graph;
mod mem;
mod module;
mod pool;
mod sim;
mod stream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::counts::Counts;
use crate::ir::Kernel;
use crate::memory::Memory;

pub use errors::*;

/// The functions, as Rust sees them.
pub mod api {
    pub use super::context::*;
    pub use super::device::*;
    pub use super::errors::*;
    pub use super::func::*;
    pub use super::graph::*;
    pub use super::mem::*;
    pub use super::module::*;
    pub use super::pool::*;
    pub use super::sim::*;
    pub use super::stream::*;
}

/// A `CUresult`.
pub type Code = c_int;
type Res<T> = Result<T, Code>;

/// What a handle names.
pub(crate) struct Function {
    pub kernel: Arc<Kernel>,
    pub max_dynamic: u32,
    pub ptx_version: u32,
    pub target: u32,
    pub module: u64,
}

pub(crate) struct Module {
    pub context: u64,
    pub kernels: HashMap<String, (Arc<Kernel>, u64)>,
    /// Address and bytes of each variable.
    pub globals: HashMap<String, (u64, u64)>,
}

pub(crate) struct Event {
    pub timed: bool,
    pub recorded: Option<std::time::Instant>,
}

#[derive(Default)]
pub(crate) struct Context {
    /// The error of a kernel that failed: every call returns it from then on.
    pub failed: Option<Code>,
    pub retained: u32,
}

/// Everything the driver knows.
pub(crate) struct Driver {
    pub initialised: bool,
    pub memory: Memory,
    pub contexts: HashMap<u64, Context>,
    pub modules: HashMap<u64, Module>,
    pub functions: HashMap<u64, Function>,
    pub streams: HashMap<u64, u64>,
    pub events: HashMap<u64, Event>,
    /// Pinned host memory: address to layout.
    pub pinned: HashMap<usize, std::alloc::Layout>,
    pub next_handle: u64,
    pub counts: Counts,
    pub checks: bool,
    pub counting: bool,
    pub threads: usize,
    pub capability: (u32, u32),
    /// How long a launch may take.
    pub timeout: Option<Duration>,
    pub release_threshold: u64,
    pub last_error: String,
    pub last_report: String,
}

/// The handle of the primary context.
pub(crate) const PRIMARY: u64 = 0xC0_0000;

static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);

thread_local! {
    /// Contexts of this thread; the last one is current.
    static CURRENT: RefCell<Vec<u64>> = const { RefCell::new(vec![]) };
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

impl Driver {
    fn new() -> Self {
        let capability = setting("PTXSIM_CC")
            .and_then(|v| {
                let (major, minor) = v.split_once('.')?;
                Some((major.parse().ok()?, minor.parse().ok()?))
            })
            .unwrap_or((9, 0));
        let total = setting("PTXSIM_MEMORY").and_then(|v| v.parse().ok()).unwrap_or(8 << 30);
        let threads = setting("PTXSIM_THREADS")
            .and_then(|v| v.parse().ok())
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        Driver {
            initialised: false,
            memory: Memory::new(total),
            contexts: HashMap::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            streams: HashMap::new(),
            events: HashMap::new(),
            pinned: HashMap::new(),
            next_handle: 1,
            counts: Counts::default(),
            checks: setting("PTXSIM_CHECKS").is_none_or(|v| v != "0"),
            counting: setting("PTXSIM_COUNTS").is_none_or(|v| v != "0"),
            threads,
            capability,
            timeout: setting("PTXSIM_TIMEOUT").and_then(|v| v.parse().ok()).map(Duration::from_secs),
            release_threshold: 0,
            last_error: String::new(),
            last_report: String::new(),
        }
    }

    /// A new handle. It looks like no pointer, so that its use as one is noticed.
    pub fn handle(&mut self) -> u64 {
        self.next_handle += 1;
        0xC0_0000 + self.next_handle * 16
    }

    /// A stream handle must be the default's or one that was made and not destroyed.
    pub fn check_stream(&self, stream: u64) -> Res<()> {
        if stream <= 2 || self.streams.contains_key(&stream) { Ok(()) } else { Err(INVALID_HANDLE) }
    }
}

/// The state, whatever it is.
pub(crate) fn lock() -> MutexGuard<'static, Option<Driver>> {
    let mut guard = DRIVER.lock().unwrap_or_else(|e| e.into_inner());
    guard.get_or_insert_with(Driver::new);
    guard
}

/// Runs a function of the driver; a panic in it becomes an error code, since it may not cross into C.
pub(crate) fn guard(f: impl FnOnce() -> Res<()>) -> Code {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    }
}

/// For calls that need `cuInit` only.
pub(crate) fn driver(f: impl FnOnce(&mut Driver) -> Res<()>) -> Code {
    guard(|| {
        let mut state = lock();
        let d = state.as_mut().ok_or(UNKNOWN)?;
        if !d.initialised {
            return Err(NOT_INITIALIZED);
        }
        f(d)
    })
}

/// The calling thread's context.
pub(crate) fn current() -> Option<u64> {
    CURRENT.with_borrow(|stack| stack.last().copied())
}

/// For calls that need a current context in which no kernel has failed.
pub(crate) fn in_context(f: impl FnOnce(&mut Driver) -> Res<()>) -> Code {
    driver(|d| {
        let current = current().ok_or(INVALID_CONTEXT)?;
        let context = d.contexts.get(&current).ok_or(CONTEXT_IS_DESTROYED)?;
        match context.failed {
            Some(code) => Err(code),
            None => f(d),
        }
    })
}

/// Writes a result where the caller asked for it.
pub(crate) fn out<T>(to: *mut T, value: T) -> Res<()> {
    if to.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: not null; that it points to room for a T is the caller's part of the C contract.
    unsafe { to.write(value) };
    Ok(())
}

/// A C string of the caller's.
pub(crate) fn text<'a>(from: *const std::ffi::c_char) -> Res<&'a str> {
    if from.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: not null; that it ends with a zero byte is the caller's part of the C contract.
    unsafe { std::ffi::CStr::from_ptr(from) }.to_str().map_err(|_| INVALID_VALUE)
}
