//! The driver: found, opened and asked for functions once.

use super::launch::{ENTRIES, Kernel, MODULES};
use crate::{Device, DeviceFailure, Error, Result};
use cudarc::driver::sys::{CUdevice_attribute as Attribute, CUmemPool_attribute as PoolAttribute};
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys};
use cudarc::nvrtc::Ptx;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The oldest compute capability that the PTX runs on: `.target` of kernels/ptx.
const OLDEST: (i32, i32) = (7, 0);
/// What the PTX calls itself (`.version` of kernels/ptx), and the first CUDA release that knows it.
const PTX_VERSION: &str = "7.0";
const OLDEST_CUDA: &str = "11.0";

/// Ops with indices that have a note of their own for invalid ones.
pub(super) const NOTES: usize = 16;
/// Bytes of a note: BadIndex of kernels/common.cuh.
pub(super) const NOTE: usize = 16;

/// An open device.
pub(super) struct Driver {
    pub device: Device,
    pub context: Arc<CudaContext>,
    /// The one stream that everything runs on, in order.
    pub stream: Arc<CudaStream>,
    /// "NVIDIA H100 80GB HBM3, compute capability 9.0, ..."
    pub description: String,
    /// Whether allocation is ordered with the stream; then this is the pool.
    pub pool: Option<sys::CUmemoryPool>,
    /// Where kernels note the first invalid index of each op: as many BadIndex of kernels/common.cuh as there are NOTES.
    pub bad_index: CudaSlice<u8>,
    /// The ops whose notes these are.
    pub noting: Mutex<Vec<&'static str>>,
    /// Whether it has been shut down.
    closed: AtomicBool,
    /// Functions of each module, loaded when the first of them is launched.
    modules: Vec<OnceLock<Vec<(Kernel, CudaFunction)>>>,
}

// SAFETY: the pool's handle is an opaque number that the driver may be given on any thread; all else is Send and Sync
// by itself.
unsafe impl Send for Driver {}
// SAFETY: as above; the driver's functions that take the handle are thread-safe.
unsafe impl Sync for Driver {}

/// One process has one driver: the first device that is opened. What could not be opened leaves no trace.
static DRIVER: OnceLock<Driver> = OnceLock::new();
/// Held while a device is being opened.
static OPENING: Mutex<()> = Mutex::new(());

/// The simulator's library, once it is open.
static SIMULATOR: OnceLock<libloading::Library> = OnceLock::new();

/// Opens a device, or says what was looked for and what to do.
pub(super) fn open(device: Device) -> Result<&'static Driver> {
    let refused = |remedy: String| Error::Argument { what: "device", value: device.to_string(), remedy };
    if !matches!(device, Device::Cuda | Device::Ptxsim) {
        return Err(refused("cuda and ptxsim have a driver to open".into()));
    }
    let driver = match DRIVER.get() {
        Some(driver) => driver,
        None => {
            let _alone = OPENING.lock().unwrap_or_else(|e| e.into_inner());
            match DRIVER.get() {
                Some(driver) => driver,
                None => {
                    let driver = start(device).map_err(refused)?;
                    DRIVER.get_or_init(|| driver)
                }
            }
        }
    };
    if driver.closed.load(Ordering::Relaxed) {
        return Err(refused("it has been shut down in this process; start another".into()));
    }
    if driver.device == device {
        return Ok(driver);
    }
    Err(refused(format!(
        "this process has opened {}, and one process has one driver; start another for {device}",
        driver.device
    )))
}

/// The open device of an op; a device that cannot be opened fails like one that breaks.
pub(super) fn driver(device: Device) -> &'static Driver {
    open(device).unwrap_or_else(|e| {
        DeviceFailure {
            op: format!("open device {device}"),
            reason: e.to_string(),
            wanted: 0,
            in_use: 0,
            remedy: "choose another device with --device".into(),
        }
        .raise()
    })
}

fn start(device: Device) -> Result<Driver, String> {
    if device == Device::Ptxsim {
        load_simulator()?;
    }
    // SAFETY: opens a shared library by its well-known name and closes it again; a driver's initialisers are trusted as
    // the driver is.
    if !unsafe { sys::is_culib_present() } {
        return Err(
            "no NVIDIA driver: libcuda.so (libcuda.so.1) is not on the library path. Install the driver, or run on \
             --device cpu, or try the kernels on --device ptxsim"
                .into(),
        );
    }
    let explained = |doing: &str, e: DriverError| explain(doing, e);
    let count =
        CudaContext::device_count().map_err(|e| explained("the driver is there, but cuInit failed", e))?;
    if count == 0 {
        return Err(
            "the driver is there, but it sees no GPU (is CUDA_VISIBLE_DEVICES empty?); run on --device cpu"
                .into(),
        );
    }
    let context = CudaContext::new(0).map_err(|e| explained("the GPU could not be opened", e))?;
    let failed = |e| explained("the GPU did not answer", e);
    let name = context.name().map_err(failed)?;
    let capability = context.compute_capability().map_err(failed)?;
    if capability < OLDEST {
        return Err(format!(
            "{name} has compute capability {}.{}, and the kernels need {}.{} (Volta) or newer; run on --device cpu",
            capability.0, capability.1, OLDEST.0, OLDEST.1
        ));
    }
    // SAFETY: everything goes through one stream, in order, so no buffer needs events of its own.
    unsafe { context.disable_event_tracking() };
    let stream = context.default_stream();
    let pool = if context.has_async_alloc() { Some(keeping_pool(&context).map_err(failed)?) } else { None };
    let memory = context.total_mem().map_err(failed)?;
    let processors =
        context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).map_err(failed)?;
    let description = format!(
        "{device}, {name}, compute capability {}.{}, {processors} multiprocessors, {} MiB, CUDA driver {}",
        capability.0,
        capability.1,
        memory >> 20,
        driver_version(),
    );
    let bad_index = stream.alloc_zeros::<u8>(NOTES * NOTE).map_err(failed)?;
    let modules = MODULES.iter().map(|_| OnceLock::new()).collect();
    let (closed, noting) = (AtomicBool::new(false), Mutex::default());
    crate::device::opened(close);
    Ok(Driver { device, context, stream, description, pool, bad_index, noting, closed, modules })
}

/// The device's default pool, told to keep what is freed instead of giving it back at each synchronisation.
fn keeping_pool(context: &CudaContext) -> Result<sys::CUmemoryPool, DriverError> {
    let mut all = u64::MAX;
    // SAFETY: the device is the context's own, and the attribute's value is a u64 that outlives the call.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device())?;
        let threshold = PoolAttribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        result::mem_pool::set_attribute(pool, threshold, (&raw mut all).cast())?;
        Ok(pool)
    }
}

/// The newest CUDA release that the driver knows, "12.4".
fn driver_version() -> String {
    let mut version = 0;
    // SAFETY: writes one int to a place that outlives the call.
    match unsafe { sys::cuDriverGetVersion(&mut version) }.result() {
        Ok(()) => format!("{}.{}", version / 1000, version % 1000 / 10),
        Err(_) => "of unknown version".into(),
    }
}

/// What the driver said, by name.
fn explain(doing: &str, e: DriverError) -> String {
    let name = e.error_name().ok().and_then(|n| n.to_str().ok()).unwrap_or("an unknown error").to_owned();
    let text = e.error_string().ok().and_then(|n| n.to_str().ok()).unwrap_or("no description").to_owned();
    format!("{doing}: {name} ({text}); nvidia-smi tells whether the driver itself is well")
}

/// Waits for the device, frees what the driver itself holds, and tells of memory that is held still.
fn close() -> Result<()> {
    let Some(d) = DRIVER.get() else { return Ok(()) };
    if d.closed.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let failed = |reason: String, remedy: &str| {
        Error::Device(DeviceFailure {
            op: format!("shut down {}", d.device),
            reason,
            wanted: 0,
            in_use: super::memory::stats().in_use,
            remedy: remedy.into(),
        })
    };
    let broken = |e: DriverError| failed(e.to_string(), "an earlier kernel may be to blame");
    d.context.bind_to_thread().map_err(broken)?;
    let (note, guard) = d.bad_index.device_ptr(&d.stream);
    drop(guard);
    // SAFETY: the slice lives in a static, so it never frees itself; kernels that write it are ahead on the stream, and
    // none is launched from now on.
    unsafe {
        match d.pool {
            Some(_) => result::free_async(note, d.stream.cu_stream()),
            None => d.stream.synchronize().and_then(|()| result::free_sync(note)),
        }
    }
    .map_err(broken)?;
    d.stream.synchronize().map_err(broken)?;
    super::memory::trim(d);
    let in_use = super::memory::stats().in_use;
    let held = match simulator_text(b"ptxsim_leaks") {
        Some(told) => told,
        None if in_use > 0 => format!("{in_use} bytes are still held"),
        None => String::new(),
    };
    if held.is_empty() { Ok(()) } else { Err(failed(held, "drop every tensor, module and optimiser before")) }
}

impl Driver {
    /// A kernel's function; loads its module at the first use.
    pub fn function(&self, kernel: Kernel) -> &CudaFunction {
        let entry = &ENTRIES[kernel as usize];
        let functions = self.modules[entry.module].get_or_init(|| self.load(entry.module));
        &functions.iter().find(|(k, _)| *k == kernel).expect("a module has all its entries").1
    }

    fn load(&self, module: usize) -> Vec<(Kernel, CudaFunction)> {
        let (file, text) = MODULES[module];
        let loaded = self.context.load_module(Ptx::from_src(text)).unwrap_or_else(|e| {
            let remedy = format!(
                "the kernels are PTX {PTX_VERSION}, which CUDA {OLDEST_CUDA} and newer know, and the driver here knows \
                 CUDA {}: install a newer driver",
                driver_version()
            );
            self.fail(&format!("load kernels/ptx/{file}"), e, 0, &remedy)
        });
        Kernel::ALL
            .iter()
            .filter(|k| ENTRIES[**k as usize].module == module)
            .map(|&k| {
                let name = ENTRIES[k as usize].name;
                let function = loaded.load_function(name);
                (
                    k,
                    function.unwrap_or_else(|e| {
                        self.fail(&format!("find kernel {name}"), e, 0, "rebuild ganvil")
                    }),
                )
            })
            .collect()
    }

    /// Ends the op with what the driver said.
    pub fn fail(&self, op: &str, e: DriverError, wanted: usize, remedy: &str) -> ! {
        let name = e.error_name().ok().and_then(|n| n.to_str().ok()).unwrap_or("an unknown error").to_owned();
        let text = e.error_string().ok().and_then(|n| n.to_str().ok()).unwrap_or("no description").to_owned();
        DeviceFailure {
            op: format!("{op} on {}", self.device),
            reason: format!("{name} ({text})"),
            wanted,
            in_use: super::memory::stats().in_use,
            remedy: remedy.into(),
        }
        .raise()
    }

    /// [`Driver::fail`] unless it went well.
    pub fn check<T>(&self, op: &str, r: Result<T, DriverError>) -> T {
        r.unwrap_or_else(|e| {
            self.fail(
                op,
                e,
                0,
                "an earlier kernel may be to blame: run with GANVIL_CUDA_SYNC=1 to see which one",
            )
        })
    }
}

/// Opens the simulator's library, so that the driver's name finds it: it calls itself libcuda.so.
fn load_simulator() -> Result<(), String> {
    let places = simulator_places();
    let Some(path) = places.iter().find(|p| p.is_file()) else {
        let looked: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        return Err(format!(
            "the simulator libptxsim.so is at none of {}; build with --features ptxsim, or set GANVIL_PTXSIM to it",
            looked.join(", ")
        ));
    };
    // SAFETY: the simulator's library has no initialisers.
    match unsafe { libloading::Library::new(path) } {
        Ok(library) => {
            // It stays open for as long as the process lives: its name stands for the driver from now on.
            SIMULATOR.get_or_init(|| library);
            Ok(())
        }
        Err(e) => Err(format!("{} cannot be opened: {e}", path.display())),
    }
}

/// Where the simulator may be: as told, beside the executable, among its dependencies.
fn simulator_places() -> Vec<PathBuf> {
    let name = format!("{}ptxsim{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    if let Some(told) = std::env::var_os("GANVIL_PTXSIM") {
        return vec![PathBuf::from(told)];
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let folder = executable.parent().unwrap_or(Path::new(".")).to_owned();
    // Tests and examples lie one folder below the program.
    let above = folder.parent().unwrap_or(Path::new(".")).to_owned();
    vec![
        folder.join(&name),
        folder.join("deps").join(&name),
        above.join(&name),
        above.join("deps").join(&name),
    ]
}

/// What one of the simulator's functions that give a text says; None where the simulator is not open.
fn simulator_text(function: &[u8]) -> Option<String> {
    let library = SIMULATOR.get()?;
    // SAFETY: the functions that give texts have this type in ptxsim/src/driver/sim.rs.
    let say =
        unsafe { library.get::<extern "C" fn(*mut std::ffi::c_char, usize) -> usize>(function) }.ok()?;
    // It writes no more than it is given room for, and says how much it needs, its final zero included.
    let mut text = vec![0u8; say(std::ptr::null_mut(), 0)];
    say(text.as_mut_ptr().cast(), text.len());
    text.pop();
    String::from_utf8(text).ok()
}

/// What the simulator has counted since it was last told to begin anew, as JSON; and begins anew.
pub(super) fn take_counts() -> Option<String> {
    let counts = simulator_text(b"ptxsim_counts_json")?;
    // SAFETY: the function has this type in ptxsim/src/driver/sim.rs.
    let reset = unsafe { SIMULATOR.get()?.get::<extern "C" fn()>(b"ptxsim_reset_counts") }.ok()?;
    reset();
    Some(counts)
}
