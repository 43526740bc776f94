//! Device memory: stream-ordered allocation, copies to and from the host.

use super::args::{Ptr, narrow};
use super::driver::{Driver, NOTE, NOTES, driver};
use crate::backend::{Memory, PoolStats, Storage, View, ViewMut};
use crate::{DType, Device};
use cudarc::driver::{CudaSlice, DevicePtr, result};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

static LAUNCHES: AtomicU64 = AtomicU64::new(0);
static TO_HOST: AtomicU64 = AtomicU64::new(0);
static TO_DEVICE: AtomicU64 = AtomicU64::new(0);

/// What has gone between the host and the device so far, in this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Kernels launched.
    pub launches: u64,
    /// Copies of values to the host.
    pub to_host: u64,
    /// Copies of values to the device.
    pub to_device: u64,
}

/// Counts of launches and copies, by which a test sees that nothing is computed on the host.
///
/// ```
/// use ganvil::{DType, Device, Tensor, backend::cuda};
/// let before = cuda::traffic();
/// Tensor::ones(&[2], DType::F32, Device::Cpu).exp();
/// assert_eq!(cuda::traffic(), before);
/// ```
pub fn traffic() -> Traffic {
    Traffic {
        launches: LAUNCHES.load(Relaxed),
        to_host: TO_HOST.load(Relaxed),
        to_device: TO_DEVICE.load(Relaxed),
    }
}

/// Notes a launch.
pub(super) fn launched() {
    LAUNCHES.fetch_add(1, Relaxed);
}

/// Memory of a GPU; freed in stream order, so after every kernel that was launched with it.
pub struct Buffer {
    device: Device,
    /// None for no bytes at all, which the driver refuses to allocate.
    bytes: Option<CudaSlice<u8>>,
}

impl Buffer {
    pub(super) fn new(device: Device, bytes: usize) -> Buffer {
        if bytes == 0 {
            return Buffer { device, bytes: None };
        }
        let d = driver(device);
        // SAFETY: every byte is written before it is read: primitives write their whole results.
        let slice = unsafe { d.stream.alloc::<u8>(bytes) }.unwrap_or_else(|e| {
            d.fail(
                "allocate memory",
                e,
                bytes,
                "use a smaller --batch or network, or free the GPU's memory (nvidia-smi)",
            )
        });
        ALLOCATIONS.fetch_add(1, Relaxed);
        IN_USE.fetch_add(bytes, Relaxed);
        LARGEST.fetch_max(bytes, Relaxed);
        Buffer { device, bytes: Some(slice) }
    }

    /// Whose memory it is.
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Where it starts; 0 if it is empty.
    pub(super) fn ptr(&self) -> Ptr {
        self.bytes.as_ref().map_or(Ptr(0), |s| Ptr(s.device_ptr(s.stream()).0))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(s) = &self.bytes {
            IN_USE.fetch_sub(s.len(), Relaxed);
            // The slice frees itself next, for which this thread needs the context; it may never have had one. An error
            // that an earlier free has left comes out here, and is put back for the next op to tell.
            let context = s.context();
            if let Err(e) = context.bind_to_thread() {
                let _ = context.bind_to_thread();
                context.record_err::<()>(Err(e));
            }
        }
    }
}

/// What ganvil holds of the device's memory. The pool behind it is the driver's own, so what is cached is not told.
pub(super) fn stats() -> PoolStats {
    PoolStats {
        misses: ALLOCATIONS.load(Relaxed),
        hits: 0,
        in_use: IN_USE.load(Relaxed),
        cached: 0,
        largest: LARGEST.load(Relaxed),
    }
}

/// A storage's memory.
fn buffer(s: &Storage) -> &Buffer {
    match s.memory() {
        Memory::Cuda(b) => b,
        _ => unreachable!("ops check that operands are on one device"),
    }
}

/// Where a storage starts.
pub(super) fn start(s: &Storage) -> Ptr {
    buffer(s).ptr()
}

impl View<'_> {
    /// The address of the first element.
    pub(super) fn ptr(&self) -> Ptr {
        Ptr(start(self.storage).0 + (self.layout.offset() * self.storage.dtype().size()) as u64)
    }
}

impl ViewMut<'_> {
    /// The address of the first element.
    pub(super) fn ptr(&self) -> Ptr {
        Ptr(start(self.storage).0 + (self.layout.offset() * self.storage.dtype().size()) as u64)
    }
}

/// Memory with arbitrary content.
pub(super) fn alloc(device: Device, dtype: DType, len: usize) -> Storage {
    if dtype == DType::F64 {
        panic!(
            "device {device} has no f64 tensors: convert with to_dtype(DType::F32), or compute on the cpu, which has f64"
        );
    }
    // Kernels find places by 32-bit numbers.
    narrow(len);
    Storage::new(dtype, len, Memory::Cuda(Buffer::new(device, len * dtype.size())))
}

/// Memory filled from the host.
pub(super) fn upload(device: Device, dtype: DType, bytes: &[u8]) -> Storage {
    let mut s = alloc(device, dtype, bytes.len() / dtype.size());
    if let Memory::Cuda(Buffer { bytes: Some(slice), .. }) = s.memory_mut() {
        let d = driver(device);
        TO_DEVICE.fetch_add(1, Relaxed);
        d.check("copy to the device", d.stream.memcpy_htod(bytes, slice));
    }
    s
}

/// Waits for the stream, then copies to the host.
pub(super) fn download(x: &Storage, first: usize, bytes: &mut [u8]) {
    let Buffer { device, bytes: Some(slice) } = buffer(x) else { return };
    let d = driver(*device);
    TO_HOST.fetch_add(1, Relaxed);
    let from = first * x.dtype().size();
    let copied = d.stream.memcpy_dtoh(&slice.slice(from..from + bytes.len()), bytes);
    d.check("copy to the host", copied);
    d.check("wait for the device", d.stream.synchronize());
    d.report_bad_index();
}

impl Driver {
    /// Panics if a kernel met an index that is none, since the last time this was asked.
    pub(super) fn report_bad_index(&self) {
        let mut notes = [0u8; NOTES * NOTE];
        self.check("copy to the host", self.stream.memcpy_dtoh(&self.bad_index, &mut notes));
        self.check("wait for the device", self.stream.synchronize());
        if notes.iter().all(|&byte| byte == 0) {
            return;
        }
        let (at, _guard) = self.bad_index.device_ptr(&self.stream);
        // SAFETY: the bytes of the notes, which no kernel is writing: the stream has been waited for.
        let cleared = unsafe { result::memset_d8_async(at, 0, notes.len(), self.stream.cu_stream()) };
        self.check("clear the notes", cleared);
        let names = self.noting.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let found: Vec<String> = names
            .iter()
            .zip(notes.chunks_exact(NOTE))
            .filter(|(_, note)| note[..4] != [0; 4])
            .map(|(op, note)| {
                let size = u32::from_ne_bytes(note[4..8].try_into().expect("four bytes"));
                let index = i64::from_ne_bytes(note[8..16].try_into().expect("eight bytes"));
                format!("{op}: index {index} is out of range for a dimension of {size} entries")
            })
            .collect();
        panic!("{} (found on {} since it was last waited for)", found.join("; "), self.device);
    }

    /// Where kernels that run for an op note an index that is none.
    pub(super) fn note_place(&self, op: &'static str) -> Ptr {
        let mut names = self.noting.lock().unwrap_or_else(|e| e.into_inner());
        let place = names.iter().position(|name| *name == op).unwrap_or_else(|| {
            // The last note is for all those that found none of their own.
            if names.len() < NOTES {
                let last = names.len() + 1 == NOTES;
                names.push(if last { "an op with indices" } else { op });
            }
            names.len() - 1
        });
        Ptr(self.bad_index.device_ptr(&self.stream).0 + (place * NOTE) as u64)
    }

    /// Waits after every launch if GANVIL_CUDA_SYNC is set, so that a failure names its kernel.
    pub(super) fn finish_if_asked(&self, kernel: &str) {
        static ASKED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        if *ASKED.get_or_init(|| std::env::var_os("GANVIL_CUDA_SYNC").is_some_and(|v| v != "0")) {
            self.check(kernel, self.stream.synchronize());
        }
    }
}

/// Gives the pool's unused memory back.
pub(super) fn trim(d: &Driver) {
    if let Some(pool) = d.pool {
        d.check("wait for the device", d.stream.synchronize());
        // SAFETY: the pool is the open device's own.
        d.check("trim the pool", unsafe { result::mem_pool::trim_to(pool, 0) });
    }
}
