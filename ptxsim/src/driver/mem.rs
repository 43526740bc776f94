//! Memory: had, given back, copied, filled.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{c_int, c_uchar, c_uint, c_ushort, c_void};

use super::{Code, Driver, INVALID_VALUE, OUT_OF_MEMORY, Res, in_context, out};
use crate::memory::{Alloc, Bad, GLOBAL_BASE};

fn code(bad: Bad) -> Code {
    match bad {
        Bad::OutOfMemory => OUT_OF_MEMORY,
        Bad::Unknown => INVALID_VALUE,
    }
}

fn allocate(d: &mut Driver, to: *mut u64, bytes: usize) -> Res<()> {
    if bytes == 0 || to.is_null() {
        return Err(INVALID_VALUE);
    }
    let address = d.memory.alloc(bytes as u64, None, false).map_err(code)?;
    out(to, address)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemAlloc_v2(to: *mut u64, bytes: usize) -> Code {
    in_context(|d| allocate(d, to, bytes))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemAllocAsync(to: *mut u64, bytes: usize, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        // Unlike `cuMemAlloc`, this one lets nothing pass for something: an address that holds no byte.
        if bytes == 0 && !to.is_null() {
            return out(to, 0);
        }
        allocate(d, to, bytes)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemAllocFromPoolAsync(to: *mut u64, bytes: usize, pool: u64, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        super::pool::check(pool)?;
        allocate(d, to, bytes)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemFree_v2(address: u64) -> Code {
    in_context(|d| if address == 0 { Ok(()) } else { d.memory.free(address).map_err(code) })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeAsync(address: u64, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        if address == 0 { Ok(()) } else { d.memory.free(address).map_err(code) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Code {
    in_context(|d| {
        out(free, (d.memory.total - d.memory.used) as usize)?;
        out(total, d.memory.total as usize)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemGetAddressRange_v2(base: *mut u64, size: *mut usize, address: u64) -> Code {
    in_context(|d| {
        let found = d.memory.find(address).ok_or(super::NOT_FOUND)?;
        if !base.is_null() {
            out(base, found.start)?;
        }
        if !size.is_null() {
            out(size, found.size as usize)?;
        }
        Ok(())
    })
}

fn host_allocate(d: &mut Driver, to: *mut *mut c_void, bytes: usize) -> Res<()> {
    if bytes == 0 || to.is_null() {
        return Err(INVALID_VALUE);
    }
    let layout = Layout::from_size_align(bytes, 4096).map_err(|_| OUT_OF_MEMORY)?;
    // SAFETY: the layout is not empty.
    let at = unsafe { alloc(layout) };
    if at.is_null() {
        return Err(OUT_OF_MEMORY);
    }
    d.pinned.insert(at.expose_provenance(), layout);
    out(to, at.cast())
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemHostAlloc(to: *mut *mut c_void, bytes: usize, _flags: c_uint) -> Code {
    in_context(|d| host_allocate(d, to, bytes))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemAllocHost_v2(to: *mut *mut c_void, bytes: usize) -> Code {
    in_context(|d| host_allocate(d, to, bytes))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeHost(at: *mut c_void) -> Code {
    in_context(|d| {
        let layout = d.pinned.remove(&at.addr()).ok_or(INVALID_VALUE)?;
        // SAFETY: it was had from `alloc` with this layout and is forgotten now.
        unsafe { dealloc(at.cast(), layout) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemHostRegister_v2(at: *mut c_void, bytes: usize, _flags: c_uint) -> Code {
    in_context(|_| if at.is_null() || bytes == 0 { Err(INVALID_VALUE) } else { Ok(()) })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemHostUnregister(at: *mut c_void) -> Code {
    in_context(|_| if at.is_null() { Err(INVALID_VALUE) } else { Ok(()) })
}

/// The allocation that holds a whole range.
fn range(d: &Driver, address: u64, bytes: usize) -> Res<&Alloc> {
    d.memory.range(address, bytes as u64).ok_or(INVALID_VALUE)
}

/// The host side of an address inside an allocation.
fn host(a: &Alloc, address: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(a.host + (address - a.start) as usize)
}

fn to_device(d: &mut Driver, to: u64, from: *const c_void, bytes: usize) -> Res<()> {
    if bytes == 0 {
        return Ok(());
    }
    if from.is_null() {
        return Err(INVALID_VALUE);
    }
    let a = range(d, to, bytes)?;
    if a.readonly && a.name.is_none() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the range lies in the allocation; the caller's buffer holds as many bytes (its part of the
    // C contract); no kernel runs, since the driver's lock is held.
    unsafe { std::ptr::copy(from.cast(), host(a, to), bytes) };
    a.mark(to, bytes as u64);
    d.counts.htod.0 += 1;
    d.counts.htod.1 += bytes as u64;
    Ok(())
}

fn to_host(d: &mut Driver, to: *mut c_void, from: u64, bytes: usize) -> Res<()> {
    if bytes == 0 {
        return Ok(());
    }
    if to.is_null() {
        return Err(INVALID_VALUE);
    }
    let a = range(d, from, bytes)?;
    // SAFETY: as for `to_device`, the other way.
    unsafe { std::ptr::copy(host(a, from).cast_const(), to.cast(), bytes) };
    d.counts.dtoh.0 += 1;
    d.counts.dtoh.1 += bytes as u64;
    Ok(())
}

fn on_device(d: &mut Driver, to: u64, from: u64, bytes: usize) -> Res<()> {
    if bytes == 0 {
        return Ok(());
    }
    let (a, b) = (range(d, to, bytes)?, range(d, from, bytes)?);
    // SAFETY: both ranges lie in allocations; `copy` lets them overlap.
    unsafe { std::ptr::copy(host(b, from).cast_const(), host(a, to), bytes) };
    // What was never written stays so.
    let mut at = 0u64;
    while at < bytes as u64 {
        let gap = b.unwritten(from + at, bytes as u64 - at).map_or(bytes as u64, |g| g - from);
        a.mark(to + at, gap - at);
        at = gap + 1;
    }
    d.counts.dtod.0 += 1;
    d.counts.dtod.1 += bytes as u64;
    Ok(())
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> Code {
    in_context(|d| to_device(d, to, from, bytes))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        to_device(d, to, from, bytes)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) -> Code {
    in_context(|d| to_host(d, to, from, bytes))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        to_host(d, to, from, bytes)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> Code {
    in_context(|d| on_device(d, to, from, bytes))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        on_device(d, to, from, bytes)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    _to_ctx: u64,
    from: u64,
    _from_ctx: u64,
    bytes: usize,
    stream: u64,
) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        on_device(d, to, from, bytes)
    })
}

/// Between any two addresses, told apart by what they are.
fn any(d: &mut Driver, to: u64, from: u64, bytes: usize) -> Res<()> {
    match (to >= GLOBAL_BASE, from >= GLOBAL_BASE) {
        (true, true) => on_device(d, to, from, bytes),
        (true, false) => to_device(d, to, std::ptr::with_exposed_provenance(from as usize), bytes),
        (false, true) => to_host(d, std::ptr::with_exposed_provenance_mut(to as usize), from, bytes),
        (false, false) => Err(INVALID_VALUE),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpy(to: u64, from: u64, bytes: usize) -> Code {
    in_context(|d| any(d, to, from, bytes))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyAsync(to: u64, from: u64, bytes: usize, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        any(d, to, from, bytes)
    })
}

fn fill<T: Copy>(d: &mut Driver, to: u64, value: T, count: usize, stream: u64) -> Res<()> {
    d.check_stream(stream)?;
    let bytes = count.checked_mul(size_of::<T>()).ok_or(INVALID_VALUE)?;
    if !to.is_multiple_of(size_of::<T>() as u64) {
        return Err(INVALID_VALUE);
    }
    if bytes == 0 {
        return Ok(());
    }
    let a = range(d, to, bytes)?;
    let at = host(a, to).cast::<T>();
    for n in 0..count {
        // SAFETY: the range lies in the allocation, whose bytes are aligned to more than a T.
        unsafe { at.add(n).write(value) };
    }
    a.mark(to, bytes as u64);
    d.counts.memsets.0 += 1;
    d.counts.memsets.1 += bytes as u64;
    Ok(())
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD8_v2(to: u64, value: c_uchar, count: usize) -> Code {
    in_context(|d| fill(d, to, value, count, 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD16_v2(to: u64, value: c_ushort, count: usize) -> Code {
    in_context(|d| fill(d, to, value, count, 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD32_v2(to: u64, value: c_uint, count: usize) -> Code {
    in_context(|d| fill(d, to, value, count, 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD8Async(to: u64, value: c_uchar, count: usize, stream: u64) -> Code {
    in_context(|d| fill(d, to, value, count, stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD16Async(to: u64, value: c_ushort, count: usize, stream: u64) -> Code {
    in_context(|d| fill(d, to, value, count, stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD32Async(to: u64, value: c_uint, count: usize, stream: u64) -> Code {
    in_context(|d| fill(d, to, value, count, stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuPointerGetAttribute(to: *mut c_void, attribute: c_int, address: u64) -> Code {
    in_context(|d| {
        let found = d.memory.find(address).ok_or(INVALID_VALUE)?;
        match attribute {
            // Context, kind of memory (device), device pointer.
            1 => out(to.cast::<u64>(), super::PRIMARY),
            2 => out(to.cast::<c_uint>(), 2),
            3 => out(to.cast::<u64>(), address),
            // Device ordinal, start and size of the range.
            9 => out(to.cast::<c_int>(), 0),
            11 => out(to.cast::<u64>(), found.start),
            12 => out(to.cast::<usize>(), found.size as usize),
            _ => Err(INVALID_VALUE),
        }
    })
}
