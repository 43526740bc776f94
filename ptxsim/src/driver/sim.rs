//! What this driver has beyond a GPU's: reports, counts, switches. Texts are written with a zero at the end,
//! as far as they fit; the result is the bytes they need, that zero included.

use std::ffi::{c_char, c_int};

use super::lock;

fn give(text: &str, to: *mut c_char, len: usize) -> usize {
    if !to.is_null() && len > 0 {
        let n = text.len().min(len - 1);
        // SAFETY: the caller gives `len` bytes; at most that many are written, the zero included.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), to, n);
            to.add(n).write(0);
        }
    }
    text.len() + 1
}

/// The report on the last kernel that failed; empty if none did.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_last_report(to: *mut c_char, len: usize) -> usize {
    give(lock().as_ref().map_or("", |d| &d.last_report), to, len)
}

/// Why the last module was refused; empty if none was.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_last_error(to: *mut c_char, len: usize) -> usize {
    give(lock().as_ref().map_or("", |d| &d.last_error), to, len)
}

/// All counts as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_counts_json(to: *mut c_char, len: usize) -> usize {
    let json = lock().as_ref().map_or_else(String::new, |d| d.counts.json());
    give(&json, to, len)
}

#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_reset_counts() {
    if let Some(d) = lock().as_mut() {
        d.counts = Default::default();
    }
}

/// Switches the checks on or off for later launches; the result says what they were.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_set_checks(on: c_int) -> c_int {
    lock().as_mut().map_or(0, |d| c_int::from(std::mem::replace(&mut d.checks, on != 0)))
}

/// Switches counting on or off for later launches; the result says what it was.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_set_counts(on: c_int) -> c_int {
    lock().as_mut().map_or(0, |d| c_int::from(std::mem::replace(&mut d.counting, on != 0)))
}

/// How many threads run the blocks of later launches; the result says how many did.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_set_threads(n: c_int) -> c_int {
    lock().as_mut().map_or(0, |d| std::mem::replace(&mut d.threads, n.max(1) as usize) as c_int)
}

/// How many milliseconds a later launch may take, 0 for any; the result says how many it might.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_set_timeout(ms: c_int) -> c_int {
    let new = u64::try_from(ms).ok().filter(|&n| n > 0).map(std::time::Duration::from_millis);
    lock()
        .as_mut()
        .map_or(0, |d| std::mem::replace(&mut d.timeout, new).map_or(0, |t| t.as_millis() as c_int))
}

/// The allocations still held but for the one at an address (0: none), and the kernel that each was most likely made for;
/// empty if there are none.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_leaks_but(except: u64, to: *mut c_char, len: usize) -> usize {
    let held = lock().as_ref().map_or_else(String::new, |d| d.memory.leaks(except));
    give(&held, to, len)
}

/// Forgets that a kernel failed in any context, for tests that fail on purpose.
#[unsafe(no_mangle)]
pub extern "C" fn ptxsim_clear_failure() {
    if let Some(d) = lock().as_mut() {
        d.contexts.values_mut().for_each(|c| c.failed = None);
        d.last_report.clear();
    }
}
