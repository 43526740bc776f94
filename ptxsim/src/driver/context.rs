//! Contexts: the primary one, others, and which is current on the calling thread.

use std::ffi::{c_int, c_uint};

use super::device::check;
use super::{
    CURRENT, Code, Context, Driver, INVALID_CONTEXT, INVALID_VALUE, PRIMARY, Res, current, driver,
    in_context, out,
};

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRetain(to: *mut u64, device: c_int) -> Code {
    driver(|d| {
        check(device)?;
        out(to, PRIMARY)?;
        d.contexts.entry(PRIMARY).or_default().retained += 1;
        Ok(())
    })
}

fn release(device: c_int) -> Code {
    driver(|d| {
        check(device)?;
        let context = d.contexts.get_mut(&PRIMARY).ok_or(INVALID_CONTEXT)?;
        context.retained -= 1;
        if context.retained == 0 {
            destroy(d, PRIMARY);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> Code {
    release(device)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxReset_v2(device: c_int) -> Code {
    driver(|d| {
        check(device)?;
        let retained = d.contexts.get(&PRIMARY).map_or(0, |c| c.retained);
        destroy(d, PRIMARY);
        if retained > 0 {
            d.contexts.insert(PRIMARY, Context { failed: None, retained });
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, active: *mut c_int) -> Code {
    driver(|d| {
        check(device)?;
        out(flags, 0)?;
        out(active, c_int::from(d.contexts.contains_key(&PRIMARY)))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxSetFlags_v2(device: c_int, _flags: c_uint) -> Code {
    driver(|_| check(device))
}

/// A context takes its modules and their variables along, and the last one all memory.
fn destroy(d: &mut Driver, context: u64) {
    d.contexts.remove(&context);
    let gone: Vec<u64> = d.modules.iter().filter(|(_, m)| m.context == context).map(|(&h, _)| h).collect();
    for module in gone {
        super::module::unload(d, module);
    }
    d.streams.retain(|_, c| *c != context);
    if d.contexts.is_empty() {
        let held: Vec<u64> = d.memory.held().map(|a| a.start).collect();
        for address in held {
            let _ = d.memory.free(address);
        }
        d.events.clear();
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxCreate_v2(to: *mut u64, _flags: c_uint, device: c_int) -> Code {
    driver(|d| {
        check(device)?;
        let handle = d.handle();
        out(to, handle)?;
        d.contexts.insert(handle, Context { failed: None, retained: 1 });
        CURRENT.with_borrow_mut(|stack| stack.push(handle));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxDestroy_v2(context: u64) -> Code {
    driver(|d| {
        if context == PRIMARY || !d.contexts.contains_key(&context) {
            return Err(INVALID_CONTEXT);
        }
        destroy(d, context);
        CURRENT.with_borrow_mut(|stack| {
            if stack.last() == Some(&context) {
                stack.pop();
            }
        });
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetCurrent(to: *mut u64) -> Code {
    driver(|_| out(to, current().unwrap_or(0)))
}

fn known(d: &Driver, context: u64) -> Res<()> {
    if d.contexts.contains_key(&context) { Ok(()) } else { Err(INVALID_CONTEXT) }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetCurrent(context: u64) -> Code {
    driver(|d| {
        if context != 0 {
            known(d, context)?;
        }
        CURRENT.with_borrow_mut(|stack| {
            stack.pop();
            if context != 0 {
                stack.push(context);
            }
        });
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxPushCurrent_v2(context: u64) -> Code {
    driver(|d| {
        known(d, context)?;
        CURRENT.with_borrow_mut(|stack| stack.push(context));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxPopCurrent_v2(to: *mut u64) -> Code {
    driver(|_| {
        let popped = CURRENT.with_borrow_mut(Vec::pop).ok_or(INVALID_CONTEXT)?;
        if !to.is_null() {
            out(to, popped)?;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetDevice(to: *mut c_int) -> Code {
    in_context(|_| out(to, 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSynchronize() -> Code {
    in_context(|_| Ok(()))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetApiVersion(_context: u64, to: *mut c_uint) -> Code {
    driver(|_| out(to, super::device::DRIVER_VERSION as c_uint))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) -> Code {
    in_context(|_| {
        for to in [least, greatest] {
            if !to.is_null() {
                out(to, 0)?;
            }
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetLimit(_limit: c_int, _value: usize) -> Code {
    in_context(|_| Ok(()))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxGetLimit(to: *mut usize, limit: c_int) -> Code {
    in_context(|_| match limit {
        // Stack of a thread.
        0 => out(to, 512 << 10),
        1..=5 => out(to, 0),
        _ => Err(INVALID_VALUE),
    })
}
