//! `cuInit`, and what the one device says of itself.

use std::ffi::{c_char, c_int, c_uint};

use super::{Code, Driver, INVALID_DEVICE, INVALID_VALUE, Res, UNKNOWN, driver, guard, lock, out};

/// What it calls itself: nobody may take it for a GPU.
pub const NAME: &str = "ptxsim (CPU)";
/// CUDA 12.4, whose newest PTX is 8.4.
pub const DRIVER_VERSION: c_int = 12040;
pub const PTX_VERSION: (u32, u32) = (8, 4);

/// Shared memory of a block without and with asking, and of a multiprocessor.
pub const SHARED_DEFAULT: u32 = 48 << 10;
pub const SHARED_OPTIN: u32 = 227 << 10;
pub const SHARED_PER_SM: u32 = 228 << 10;
pub const MAX_THREADS: u32 = 1024;

#[unsafe(no_mangle)]
pub extern "C" fn cuInit(flags: c_uint) -> Code {
    guard(|| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        lock().as_mut().ok_or(UNKNOWN)?.initialised = true;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDriverGetVersion(to: *mut c_int) -> Code {
    guard(|| out(to, DRIVER_VERSION))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetCount(to: *mut c_int) -> Code {
    driver(|_| out(to, 1))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGet(to: *mut c_int, ordinal: c_int) -> Code {
    driver(|_| {
        check(ordinal)?;
        out(to, ordinal)
    })
}

/// There is one device, number 0.
pub(super) fn check(device: c_int) -> Res<()> {
    if device == 0 { Ok(()) } else { Err(INVALID_DEVICE) }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetName(to: *mut c_char, len: c_int, device: c_int) -> Code {
    driver(|_| {
        check(device)?;
        let len = usize::try_from(len).map_err(|_| INVALID_VALUE)?;
        if to.is_null() || len == 0 {
            return Err(INVALID_VALUE);
        }
        let n = NAME.len().min(len - 1);
        // SAFETY: the caller gives `len` bytes; at most that many are written, the zero included.
        unsafe {
            std::ptr::copy_nonoverlapping(NAME.as_ptr().cast(), to, n);
            to.add(n).write(0);
        }
        Ok(())
    })
}

fn uuid(to: *mut [u8; 16], device: c_int) -> Code {
    driver(|_| {
        check(device)?;
        out(to, *b"ptxsim-no-gpu-00")
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetUuid(to: *mut [u8; 16], device: c_int) -> Code {
    uuid(to, device)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetUuid_v2(to: *mut [u8; 16], device: c_int) -> Code {
    uuid(to, device)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceTotalMem_v2(to: *mut usize, device: c_int) -> Code {
    driver(|d| {
        check(device)?;
        out(to, d.memory.total as usize)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceComputeCapability(major: *mut c_int, minor: *mut c_int, device: c_int) -> Code {
    driver(|d| {
        check(device)?;
        out(major, d.capability.0 as c_int)?;
        out(minor, d.capability.1 as c_int)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetAttribute(to: *mut c_int, attribute: c_int, device: c_int) -> Code {
    driver(|d| {
        check(device)?;
        out(to, attribute_of(d, attribute).ok_or(INVALID_VALUE)?)
    })
}

/// By the numbers of `CUdevice_attribute`.
fn attribute_of(d: &Driver, attribute: c_int) -> Option<c_int> {
    Some(match attribute {
        // Threads per block, block dimensions, grid dimensions.
        1..=3 => MAX_THREADS as c_int,
        4 => 64,
        5 => c_int::MAX,
        6 | 7 => 65535,
        // Shared memory per block, constant memory, warp size, pitch.
        8 => SHARED_DEFAULT as c_int,
        9 => 65536,
        10 => 32,
        11 => c_int::MAX,
        // Registers per block, clock in kHz, texture alignment, overlap.
        12 => 65536,
        13 => 1_000_000,
        14 => 512,
        15 => 1,
        // Multiprocessors, run-time limit, integrated, host mapping, compute mode.
        16 => d.threads as c_int,
        17 => 0,
        18 => 0,
        19 | 20 => 0,
        // Concurrent kernels, ECC, PCI ids, TCC.
        31 => 1,
        32..=35 => 0,
        // Memory clock, bus width, L2, threads per multiprocessor, engines, unified addressing.
        36 => 1_000_000,
        37 => 64,
        38 => 1 << 20,
        39 => 2048,
        40 => 1,
        41 => 1,
        50 => 0,
        75 => d.capability.0 as c_int,
        76 => d.capability.1 as c_int,
        78 => 1,
        // Shared memory and registers per multiprocessor, managed memory, multi-GPU.
        81 => SHARED_PER_SM as c_int,
        82 => 65536,
        83 => 0,
        84 | 85 => 0,
        // Single to double ratio, pageable and concurrent managed access, preemption.
        87 => 2,
        88..=91 => 0,
        // Stream memory operations, cooperative launches.
        92..=96 => 0,
        97 => SHARED_OPTIN as c_int,
        98..=105 => 0,
        // Blocks per multiprocessor, and what follows it.
        106 => 32,
        107..=110 => 0,
        111 => 1024,
        112..=114 => 0,
        // Memory pools.
        115 => 1,
        116..=135 => 0,
        21..=30 | 42..=49 | 51..=74 | 77 | 79 | 80 | 86 => 0,
        _ => return None,
    })
}
