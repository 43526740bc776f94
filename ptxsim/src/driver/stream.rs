//! Streams and events. Work is done when it is asked for, so both are always ready.

use std::ffi::{c_float, c_int, c_uint, c_void};
use std::time::Instant;

use super::{Code, Driver, Event, INVALID_HANDLE, INVALID_VALUE, Res, current, in_context, out};

fn create(d: &mut Driver, to: *mut u64, flags: c_uint) -> Res<()> {
    if flags > 1 {
        return Err(INVALID_VALUE);
    }
    let handle = d.handle();
    out(to, handle)?;
    d.streams.insert(handle, current().unwrap_or(0));
    Ok(())
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamCreate(to: *mut u64, flags: c_uint) -> Code {
    in_context(|d| create(d, to, flags))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamCreateWithPriority(to: *mut u64, flags: c_uint, _priority: c_int) -> Code {
    in_context(|d| create(d, to, flags))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamDestroy_v2(stream: u64) -> Code {
    in_context(|d| d.streams.remove(&stream).map(|_| ()).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamSynchronize(stream: u64) -> Code {
    in_context(|d| d.check_stream(stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamQuery(stream: u64) -> Code {
    in_context(|d| d.check_stream(stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetPriority(stream: u64, to: *mut c_int) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        out(to, 0)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetFlags(stream: u64, to: *mut c_uint) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        out(to, u32::from(stream > 2))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamGetCtx(stream: u64, to: *mut u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        out(to, d.streams.get(&stream).copied().or(current()).unwrap_or(0))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamWaitEvent(stream: u64, event: u64, _flags: c_uint) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        if d.events.contains_key(&event) { Ok(()) } else { Err(INVALID_HANDLE) }
    })
}

/// What the host is to do in a stream's order is due at once.
#[unsafe(no_mangle)]
pub extern "C" fn cuLaunchHostFunc(
    stream: u64,
    f: Option<unsafe extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> Code {
    let checked = in_context(|d| d.check_stream(stream));
    match f {
        _ if checked != 0 => checked,
        None => INVALID_VALUE,
        Some(f) => {
            // SAFETY: the caller gave both the function and what it is to be called with. The driver's lock
            // is not held, so it may call the driver.
            unsafe { f(data) };
            0
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventCreate(to: *mut u64, flags: c_uint) -> Code {
    in_context(|d| {
        if flags > 7 {
            return Err(INVALID_VALUE);
        }
        let handle = d.handle();
        out(to, handle)?;
        d.events.insert(handle, Event { timed: flags & 2 == 0, recorded: None });
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventDestroy_v2(event: u64) -> Code {
    in_context(|d| d.events.remove(&event).map(|_| ()).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventRecord(event: u64, stream: u64) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        d.events.get_mut(&event).ok_or(INVALID_HANDLE)?.recorded = Some(Instant::now());
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventQuery(event: u64) -> Code {
    in_context(|d| d.events.get(&event).map(|_| ()).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventSynchronize(event: u64) -> Code {
    in_context(|d| d.events.get(&event).map(|_| ()).ok_or(INVALID_HANDLE))
}

fn elapsed(to: *mut c_float, start: u64, end: u64) -> Code {
    in_context(|d| {
        let time = |event: u64| {
            let event = d.events.get(&event).ok_or(INVALID_HANDLE)?;
            event.recorded.filter(|_| event.timed).ok_or(INVALID_HANDLE)
        };
        let (start, end) = (time(start)?, time(end)?);
        let ms =
            if end >= start { (end - start).as_secs_f32() * 1e3 } else { (start - end).as_secs_f32() * -1e3 };
        out(to, ms)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventElapsedTime(to: *mut c_float, start: u64, end: u64) -> Code {
    elapsed(to, start, end)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventElapsedTime_v2(to: *mut c_float, start: u64, end: u64) -> Code {
    elapsed(to, start, end)
}
