//! The simulator as a program meets it: a shared object opened by path before cudarc's first call.

#![allow(dead_code)]

use std::ffi::{c_char, c_int};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream};
use cudarc::nvrtc::Ptx;
use libloading::Library;

pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let exe = std::env::current_exe().expect("a test knows its own path");
        let deps = exe.parent().expect("a file lies in a folder");
        let places: [PathBuf; 2] = [deps.join("libptxsim.so"), deps.join("../libptxsim.so")];
        let path = places.iter().find(|p| p.exists()).expect("cargo builds the shared object with the tests");
        // SAFETY: the library's initialisers do nothing.
        unsafe { Library::new(path) }.expect("the shared object opens")
    })
}

/// Tests that share one process share one driver: one at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(|e| e.into_inner());
    library();
    guard
}

pub struct Sim {
    pub ctx: Arc<CudaContext>,
    pub stream: Arc<CudaStream>,
    _alone: MutexGuard<'static, ()>,
}

impl Sim {
    pub fn new() -> Sim {
        let alone = alone();
        clear_failure();
        let ctx = CudaContext::new(0).expect("the device is there");
        // SAFETY: one stream only, so nothing waits for another.
        unsafe { ctx.disable_event_tracking() };
        let stream = ctx.default_stream();
        Sim { ctx, stream, _alone: alone }
    }

    pub fn module(&self, ptx: &str) -> Arc<CudaModule> {
        self.ctx.load_module(Ptx::from_src(ptx)).unwrap_or_else(|e| panic!("{e:?}: {}", last_error()))
    }

    pub fn function(&self, ptx: &str, name: &str) -> CudaFunction {
        self.module(ptx).load_function(name).expect("the kernel is in the module")
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        clear_failure();
    }
}

type Text = unsafe extern "C" fn(*mut c_char, usize) -> usize;

fn text(name: &str) -> String {
    // SAFETY: the simulator's own functions have this type.
    unsafe {
        let f = library().get::<Text>(name).expect("exported");
        let mut bytes = vec![0u8; f(std::ptr::null_mut(), 0)];
        f(bytes.as_mut_ptr().cast(), bytes.len());
        bytes.pop();
        String::from_utf8(bytes).expect("reports are UTF-8")
    }
}

pub fn last_report() -> String {
    text("ptxsim_last_report")
}

pub fn last_error() -> String {
    text("ptxsim_last_error")
}

pub fn counts() -> String {
    text("ptxsim_counts_json")
}

fn call0(name: &str) {
    // SAFETY: functions without arguments.
    unsafe { library().get::<unsafe extern "C" fn()>(name).expect("exported")() }
}

pub fn reset_counts() {
    call0("ptxsim_reset_counts");
}

pub fn clear_failure() {
    call0("ptxsim_clear_failure");
}

fn call1(name: &str, value: c_int) -> c_int {
    // SAFETY: functions from one int to another.
    unsafe { library().get::<unsafe extern "C" fn(c_int) -> c_int>(name).expect("exported")(value) }
}

pub fn set_threads(n: i32) -> i32 {
    call1("ptxsim_set_threads", n)
}

pub fn set_checks(on: bool) -> i32 {
    call1("ptxsim_set_checks", i32::from(on))
}

pub fn leaks() -> usize {
    // SAFETY: the function takes a pointer that may be null.
    unsafe {
        library().get::<unsafe extern "C" fn(*mut u64) -> usize>("ptxsim_leaks").expect("exported")(
            std::ptr::null_mut(),
        )
    }
}
