//! The device's one memory pool.

use std::ffi::{c_int, c_void};

use super::device::check as check_device;
use super::{Code, INVALID_VALUE, NOT_SUPPORTED, Res, driver, in_context, out};

/// The handle of the default pool.
const POOL: u64 = 0xC0_0008;

pub(super) fn check(pool: u64) -> Res<()> {
    if pool == POOL { Ok(()) } else { Err(INVALID_VALUE) }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetDefaultMemPool(to: *mut u64, device: c_int) -> Code {
    driver(|_| {
        check_device(device)?;
        out(to, POOL)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceGetMemPool(to: *mut u64, device: c_int) -> Code {
    driver(|_| {
        check_device(device)?;
        out(to, POOL)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDeviceSetMemPool(device: c_int, pool: u64) -> Code {
    driver(|_| {
        check_device(device)?;
        check(pool)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemPoolSetAttribute(pool: u64, attribute: c_int, value: *mut c_void) -> Code {
    driver(|d| {
        check(pool)?;
        if value.is_null() {
            return Err(INVALID_VALUE);
        }
        match attribute {
            // How freed memory may be used again: nothing here is late, so any answer holds.
            1..=3 => Ok(()),
            4 => {
                // SAFETY: not null; this attribute's value is 64 bits by the C contract.
                d.release_threshold = unsafe { value.cast::<u64>().read_unaligned() };
                Ok(())
            }
            // High-water marks may only be reset.
            6 | 8 => Ok(()),
            _ => Err(INVALID_VALUE),
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemPoolGetAttribute(pool: u64, attribute: c_int, value: *mut c_void) -> Code {
    driver(|d| {
        check(pool)?;
        match attribute {
            1..=3 => out(value.cast::<c_int>(), 1),
            4 => out(value.cast::<u64>(), d.release_threshold),
            5..=8 => out(value.cast::<u64>(), d.memory.used),
            _ => Err(INVALID_VALUE),
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemPoolTrimTo(pool: u64, _keep: usize) -> Code {
    in_context(|_| check(pool))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemPoolCreate(_to: *mut u64, _properties: *const c_void) -> Code {
    in_context(|_| Err(NOT_SUPPORTED))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemPoolDestroy(_pool: u64) -> Code {
    in_context(|_| Err(NOT_SUPPORTED))
}
