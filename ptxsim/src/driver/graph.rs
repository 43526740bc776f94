//! Graphs: not supported. No stream is ever being captured.

use std::ffi::{c_int, c_void};

use super::{Code, NOT_SUPPORTED, in_context, out};

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamIsCapturing(stream: u64, to: *mut c_int) -> Code {
    in_context(|d| {
        d.check_stream(stream)?;
        out(to, 0)
    })
}

macro_rules! unsupported {
    ($($name:ident($($arg:ident: $t:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($arg: $t),*) -> Code {
            let _ = ($($arg,)*);
            in_context(|_| Err(NOT_SUPPORTED))
        }
    )*};
}

unsupported! {
    cuStreamBeginCapture_v2(stream: u64, mode: c_int);
    cuStreamEndCapture(stream: u64, graph: *mut u64);
    cuGraphCreate(graph: *mut u64, flags: u32);
    cuGraphInstantiateWithFlags(exec: *mut u64, graph: u64, flags: u64);
    cuGraphInstantiate_v2(exec: *mut u64, graph: u64, node: *mut u64, log: *mut c_void, len: usize);
    cuGraphUpload(exec: u64, stream: u64);
    cuGraphLaunch(exec: u64, stream: u64);
    cuGraphExecDestroy(exec: u64);
    cuGraphDestroy(graph: u64);
}
