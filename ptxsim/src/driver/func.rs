//! Functions: their attributes, their occupancy, and launching them.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

use super::device::{MAX_THREADS, SHARED_OPTIN, SHARED_PER_SM};
use super::{
    Code, Driver, Function, INVALID_HANDLE, INVALID_VALUE, LAUNCH_OUT_OF_RESOURCES, Res, current, in_context,
    out,
};
use crate::exec::launch::Launch;
use crate::ir::Kernel;

fn function(d: &Driver, handle: u64) -> Res<&Function> {
    d.functions.get(&handle).ok_or(INVALID_HANDLE)
}

/// Threads a block of this kernel may have.
fn threads_allowed(k: &Kernel) -> u32 {
    let declared = k.reqntid.or(k.maxntid);
    declared.map_or(MAX_THREADS, |n| n.iter().fold(1u32, |a, &b| a.saturating_mul(b)).min(MAX_THREADS))
}

/// An estimate: what is alive at once and a few more, in the hardware's steps.
fn registers(k: &Kernel) -> u32 {
    (k.pressure + 6).next_multiple_of(8).clamp(16, 255)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuFuncGetAttribute(to: *mut c_int, attribute: c_int, f: u64) -> Code {
    in_context(|d| {
        let f = function(d, f)?;
        let value = match attribute {
            0 => threads_allowed(&f.kernel),
            1 => f.kernel.shared,
            2 => 0,
            3 => f.kernel.local,
            4 => registers(&f.kernel),
            5 => f.ptx_version,
            6 => f.target,
            7 => 0,
            8 => f.max_dynamic,
            9 => u32::MAX,
            10..=15 => 0,
            _ => return Err(INVALID_VALUE),
        };
        out(to, value as c_int)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuFuncSetAttribute(f: u64, attribute: c_int, value: c_int) -> Code {
    in_context(|d| {
        let f = d.functions.get_mut(&f).ok_or(INVALID_HANDLE)?;
        match attribute {
            8 => {
                let value = u32::try_from(value).map_err(|_| INVALID_VALUE)?;
                if value > SHARED_OPTIN.saturating_sub(f.kernel.shared) {
                    return Err(INVALID_VALUE);
                }
                f.max_dynamic = value;
                Ok(())
            }
            9 if (-1..=100).contains(&value) => Ok(()),
            _ => Err(INVALID_VALUE),
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuFuncSetCacheConfig(f: u64, _config: c_int) -> Code {
    in_context(|d| function(d, f).map(|_| ()))
}

fn blocks_per_sm(k: &Kernel, threads: u32, dynamic: usize) -> u32 {
    if threads == 0 || threads > threads_allowed(k) {
        return 0;
    }
    let warps = threads.div_ceil(32);
    let shared = k.shared as usize + dynamic;
    let by_shared = if shared == 0 { 32 } else { SHARED_PER_SM as usize / (shared + 1024) };
    (64 / warps).min(65536 / (registers(k) * 32 * warps)).min(32).min(by_shared as u32)
}

fn occupancy(to: *mut c_int, f: u64, threads: c_int, dynamic: usize) -> Code {
    in_context(|d| {
        let f = function(d, f)?;
        let threads = u32::try_from(threads).map_err(|_| INVALID_VALUE)?;
        if threads == 0 {
            return Err(INVALID_VALUE);
        }
        out(to, blocks_per_sm(&f.kernel, threads, dynamic) as c_int)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    to: *mut c_int,
    f: u64,
    threads: c_int,
    dynamic: usize,
) -> Code {
    occupancy(to, f, threads, dynamic)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    to: *mut c_int,
    f: u64,
    threads: c_int,
    dynamic: usize,
    _flags: c_uint,
) -> Code {
    occupancy(to, f, threads, dynamic)
}

type SharedOf = Option<unsafe extern "C" fn(c_int) -> usize>;

fn potential(
    grid: *mut c_int,
    block: *mut c_int,
    f: u64,
    of: SharedOf,
    dynamic: usize,
    limit: c_int,
) -> Code {
    in_context(|d| {
        let k = function(d, f)?.kernel.clone();
        let limit = if limit > 0 { (limit as u32).min(threads_allowed(&k)) } else { threads_allowed(&k) };
        let mut best = (0, 0);
        for threads in (32..=limit.max(32)).rev().step_by(32) {
            // SAFETY: the caller's function of the number of threads.
            let shared = of.map_or(dynamic, |of| unsafe { of(threads as c_int) });
            let active = blocks_per_sm(&k, threads, shared) * threads;
            if active > best.0 {
                best = (active, threads);
            }
        }
        out(block, best.1 as c_int)?;
        out(grid, (best.0.checked_div(best.1).unwrap_or(0) * d.threads as u32) as c_int)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxPotentialBlockSize(
    grid: *mut c_int,
    block: *mut c_int,
    f: u64,
    of: SharedOf,
    dynamic: usize,
    limit: c_int,
) -> Code {
    potential(grid, block, f, of, dynamic, limit)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    grid: *mut c_int,
    block: *mut c_int,
    f: u64,
    of: SharedOf,
    dynamic: usize,
    limit: c_int,
    _flags: c_uint,
) -> Code {
    potential(grid, block, f, of, dynamic, limit)
}

/// A place in another's memory, for `process_vm_readv`.
#[repr(C)]
struct Part {
    at: usize,
    len: usize,
}

/// Copies bytes from anywhere in this process; false where nothing is mapped. The driver is given no count of
/// arguments, so a caller that passes too few makes it follow whatever lies behind them.
#[cfg(target_os = "linux")]
fn peek(parts: &[Part], to: &mut [u8]) -> bool {
    unsafe extern "C" {
        fn process_vm_readv(
            pid: c_int,
            local: *const Part,
            local_n: usize,
            remote: *const Part,
            remote_n: usize,
            flags: usize,
        ) -> isize;
    }
    let local = Part { at: to.as_mut_ptr().expose_provenance(), len: to.len() };
    let n = parts.iter().map(|p| p.len).sum::<usize>();
    debug_assert_eq!(n, to.len());
    // SAFETY: the kernel checks the remote addresses; the local part is `to`, of just this length.
    let got =
        unsafe { process_vm_readv(std::process::id() as c_int, &local, 1, parts.as_ptr(), parts.len(), 0) };
    if got < 0 {
        // Not permitted in this sandbox: trust the caller, as a driver does.
        let refused = std::io::Error::last_os_error().raw_os_error();
        if matches!(refused, Some(1 | 38)) {
            return trust(parts, to);
        }
    }
    got == n as isize
}

#[cfg(not(target_os = "linux"))]
fn peek(parts: &[Part], to: &mut [u8]) -> bool {
    trust(parts, to)
}

fn trust(parts: &[Part], to: &mut [u8]) -> bool {
    let mut at = 0;
    for part in parts {
        let from = std::ptr::with_exposed_provenance::<u8>(part.at);
        // SAFETY: the caller's arguments are as large as the kernel's parameters (its part of the C contract).
        unsafe { std::ptr::copy_nonoverlapping(from, to[at..].as_mut_ptr(), part.len) };
        at += part.len;
    }
    true
}

/// The parameters, from an array of pointers to them.
fn by_pointers(k: &Kernel, params: *mut *mut c_void) -> Res<Vec<u8>> {
    let n = k.params.len();
    let mut pointers = vec![0u8; n * 8];
    let array = Part { at: params.expose_provenance(), len: n * 8 };
    if params.is_null() || !peek(&[array], &mut pointers) {
        return Err(INVALID_VALUE);
    }
    let mut parts = vec![];
    for (info, pointer) in k.params.iter().zip(pointers.chunks_exact(8)) {
        let at = u64::from_le_bytes(pointer.try_into().expect("chunks of eight")) as usize;
        if at == 0 {
            return Err(INVALID_VALUE);
        }
        parts.push(Part { at, len: info.size as usize });
    }
    let mut packed = vec![0u8; parts.iter().map(|p| p.len).sum()];
    if !peek(&parts, &mut packed) {
        return Err(INVALID_VALUE);
    }
    let mut bytes = vec![0u8; k.param_bytes as usize];
    let mut from = 0;
    for info in &k.params {
        let (at, len) = (info.offset as usize, info.size as usize);
        bytes[at..at + len].copy_from_slice(&packed[from..from + len]);
        from += len;
    }
    Ok(bytes)
}

/// The parameters in one buffer, told by pairs of names and values that end with a null.
fn by_buffer(k: &Kernel, extra: *mut *mut c_void) -> Res<Vec<u8>> {
    let (mut buffer, mut size) = (0usize, None);
    for n in (0..16).step_by(2) {
        // SAFETY: the list ends with a null name by the C contract.
        let name = unsafe { extra.add(n).read() }.addr();
        if name == 0 {
            break;
        }
        // SAFETY: a name is followed by a value.
        let value = unsafe { extra.add(n + 1).read() };
        match name {
            1 => buffer = value.expose_provenance(),
            // SAFETY: this value points to a size by the C contract.
            2 => size = Some(unsafe { value.cast::<usize>().read() }),
            _ => return Err(INVALID_VALUE),
        }
    }
    if buffer == 0 || size != Some(k.param_bytes as usize) {
        return Err(INVALID_VALUE);
    }
    let mut bytes = vec![0u8; k.param_bytes as usize];
    if peek(&[Part { at: buffer, len: bytes.len() }], &mut bytes) { Ok(bytes) } else { Err(INVALID_VALUE) }
}

/// What the hardware cannot launch is refused.
fn check_shape(f: &Function, grid: [u32; 3], block: [u32; 3], dynamic: u32) -> Res<()> {
    let [x, y, z] = grid;
    let [bx, by, bz] = block;
    if grid.contains(&0) || block.contains(&0) || x > i32::MAX as u32 || y > 65535 || z > 65535 {
        return Err(INVALID_VALUE);
    }
    if bx > MAX_THREADS || by > MAX_THREADS || bz > 64 {
        return Err(INVALID_VALUE);
    }
    let threads = bx * by * bz;
    if threads > MAX_THREADS || dynamic > f.max_dynamic {
        return Err(INVALID_VALUE);
    }
    if f.kernel.reqntid.is_some_and(|n| n != block) || threads > threads_allowed(&f.kernel) {
        return Err(INVALID_VALUE);
    }
    if registers(&f.kernel) * threads.next_multiple_of(32) > 2 * 65536 {
        return Err(LAUNCH_OUT_OF_RESOURCES);
    }
    Ok(())
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub extern "C" fn cuLaunchKernel(
    f: u64,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    dynamic: c_uint,
    stream: u64,
    params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        let f = function(d, f)?;
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        check_shape(f, grid, block, dynamic)?;
        let kernel = f.kernel.clone();
        let bytes = if kernel.params.is_empty() {
            vec![]
        } else if !extra.is_null() {
            by_buffer(&kernel, extra)?
        } else {
            by_pointers(&kernel, params)?
        };
        run(d, &kernel, grid, block, dynamic, &bytes);
        Ok(())
    })
}

fn run(d: &mut Driver, kernel: &Arc<Kernel>, grid: [u32; 3], block: [u32; 3], dynamic: u32, params: &[u8]) {
    d.memory.launching(kernel);
    let launch = Launch {
        kernel,
        grid,
        block,
        dynamic_shared: dynamic,
        params,
        memory: &d.memory,
        checks: d.checks,
        counting: d.counting,
        threads: d.threads,
        deadline: d.timeout.map(|t| std::time::Instant::now() + t),
    };
    let (counts, report) = launch.run();
    if d.counting {
        match d.counts.kernels.get_mut(&kernel.name) {
            Some(have) => have.add(&counts),
            None => {
                d.counts.kernels.insert(kernel.name.clone(), counts);
            }
        }
    }
    if let Some(report) = report {
        eprintln!("ptxsim: {} (error {})", report.text, report.code);
        d.last_report = report.text;
        if let Some(context) = current().and_then(|c| d.contexts.get_mut(&c)) {
            context.failed = Some(report.code);
        }
    }
}
