//! ganvil
#![warn(missing_docs)]

pub mod autograd;
pub mod backend;
pub mod checkpoint;
pub mod cli;
pub mod data;
mod device;
mod dtype;
mod error;
pub mod gan;
mod layout;
pub mod nn;
mod ops;
pub mod optim;
pub mod report;
pub mod rng;
mod tensor;

pub use device::Device;
pub use dtype::{DType, Element};
pub use error::{DeviceFailure, Error, Result, try_run};
pub use layout::{Dims, Layout, MAX_RANK, broadcast_shapes};
pub use ops::Reduction;
pub use tensor::{Generator, Tensor, is_recording, live_nodes, no_grad};

/// Runs `f` with kernels on `n` threads (0: as many as there are processors). Wrap a whole training loop in it: what
/// runs inside of a pool starts its kernels without a hand-over. Results do not depend on `n`.
///
/// # Panics
/// If the system has no threads left.
pub fn threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).thread_name(|i| format!("ganvil-{i}")).build();
    pool.unwrap_or_else(|e| panic!("threads: cannot start {n} threads: {e}")).install(f)
}
