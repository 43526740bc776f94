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
        // What a GPU's driver is asked, it is asked in the simulator's place.
        if let Ok(path) = std::env::var("PTXSIM_ORACLE") {
            // SAFETY: a driver's initialisers.
            return unsafe { Library::new(path) }.expect("the driver opens");
        }
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
    if std::env::var("PTXSIM_ORACLE").is_ok() {
        return String::new();
    }
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
    if std::env::var("PTXSIM_ORACLE").is_ok() {
        return;
    }
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

pub fn set_timeout(ms: i32) -> i32 {
    call1("ptxsim_set_timeout", ms)
}

pub fn leaks() -> String {
    type Leaks = unsafe extern "C" fn(u64, *mut c_char, usize) -> usize;
    // SAFETY: the simulator's own function has this type.
    unsafe {
        let f = library().get::<Leaks>("ptxsim_leaks_but").expect("exported");
        let mut bytes = vec![0u8; f(0, std::ptr::null_mut(), 0)];
        f(0, bytes.as_mut_ptr().cast(), bytes.len());
        bytes.pop();
        String::from_utf8(bytes).expect("reports are UTF-8")
    }
}

/// `cuLaunchKernel` itself, with one warp and whatever pointers.
pub fn launch_raw(sim: &Sim, ptx: &str, name: &str, pointers: &mut [*mut std::ffi::c_void]) -> i32 {
    use std::ffi::{CString, c_uint, c_void};
    type Load = unsafe extern "C" fn(*mut u64, *const c_void) -> c_int;
    type Get = unsafe extern "C" fn(*mut u64, u64, *const c_char) -> c_int;
    type Launch = unsafe extern "C" fn(
        u64,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        u64,
        *mut *mut c_void,
        *mut *mut c_void,
    ) -> c_int;
    sim.ctx.bind_to_thread().expect("the context is there");
    let (text, name) = (CString::new(ptx).expect("no zero"), CString::new(name).expect("no zero"));
    let (mut module, mut f) = (0, 0);
    // SAFETY: the driver's functions with their types.
    unsafe {
        let lib = library();
        assert_eq!(
            lib.get::<Load>("cuModuleLoadData").expect("exported")(&mut module, text.as_ptr().cast()),
            0
        );
        assert_eq!(
            lib.get::<Get>("cuModuleGetFunction").expect("exported")(&mut f, module, name.as_ptr()),
            0
        );
        let launch = lib.get::<Launch>("cuLaunchKernel").expect("exported");
        launch(f, 1, 1, 1, 32, 1, 1, 0, 0, pointers.as_mut_ptr(), std::ptr::null_mut())
    }
}
