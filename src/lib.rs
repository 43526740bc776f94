//! A tensor engine written from scratch, and the generative adversarial networks that train on it.
//!
//! # A tour of the house
//!
//! From the ground up; each floor knows only those below it.
//!
//! - **Ground floor**: [`DType`] and [`Element`], [`Layout`] (shape, strides, offset), [`Error`], [`Device`] and the
//!   counter-based random numbers of [`rng`]. No idea of tensors.
//! - [`backend`]: what a device must be able to do, on storages and layouts, and the CPU's way of doing it. No idea of
//!   gradients.
//! - [`Tensor`]: an immutable value with an optional place in a graph. Its methods are the ops, each with its derivative
//!   rule beside it; a rule is written with the same ops, so gradients can be differentiated again.
//! - [`autograd`]: the walk from outputs to inputs, and checks against finite differences.
//! - [`nn`], [`optim`], [`data`], [`report`], [`metrics`]: layers, optimisers, data sets, pictures and logs, measures of
//!   samples, written only against tensors.
//! - [`gan`]: losses, penalties, networks, the training step and the runs made of it.
//! - [`cli`]: the `ganvil` program.
//!
//! # Two kinds of failure
//!
//! Using a tensor wrongly is a bug in the calling code and panics with the op, the shapes and the rule. What the world
//! does (files, arguments, diverging training) comes back as an [`Error`]. A device that fails inside an op panics with
//! a typed payload that [`try_run`] turns into an error.
//!
//! ```
//! use ganvil::nn::{Ctx, LeakyReLU, Linear, Module, Sequential, gradients, parameters_mut};
//! use ganvil::optim::{Optimizer, Sgd};
//! use ganvil::{DType, Device, Generator, Reduction, rng::Stream};
//!
//! let random = Generator::new(0, Stream::Init);
//! let mut net = Sequential::new()
//!     .with(Linear::new(2, 16, true, &random))
//!     .with(LeakyReLU { negative_slope: 0.2 })
//!     .with(Linear::new(16, 1, true, &random));
//! let mut sgd = Optimizer::new(Sgd { lr: 0.1, ..Sgd::default() });
//! let x = random.normal(&[64, 2], 0.0, 1.0, DType::F32, Device::Cpu);
//! let y = x.sum(&[1], true); // to be learnt
//! let mut losses = Vec::new();
//! for _ in 0..100 {
//!     let loss = net.forward(&x, &Ctx::eval()).mse(&y, Reduction::Mean);
//!     losses.push(loss.item());
//!     let grads = gradients(&loss, &net);
//!     sgd.step(parameters_mut(&mut net), grads);
//! }
//! assert!(losses[99] < 0.05 * losses[0]);
//! ```
#![warn(missing_docs)]

mod atomic;
pub mod autograd;
pub mod backend;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod device;
mod dims;
mod dtype;
mod error;
pub mod gan;
mod layout;
mod local;
pub mod metrics;
mod names;
pub mod nn;
mod ops;
pub mod optim;
pub mod report;
pub mod rng;
mod sha256;
mod tensor;

pub use backend::ConvOptions;
pub use device::Device;
pub use dims::{Dims, MAX_RANK};
pub use dtype::{DType, Element};
pub use error::{DeviceFailure, Error, Result, try_run};
pub use layout::{Layout, broadcast_shapes};
pub use ops::{Activation, Interpolation, PadMode, Projection, Reduction, SpectralOrder};
pub use tensor::{Generator, Tensor, is_recording, live_nodes, no_grad};

/// Runs `f` with kernels on `n` threads (0: as many as there are processors). Wrap a whole training loop in it: what
/// runs inside of a pool starts its kernels without a hand-over. Results do not depend on `n`.
///
/// # Panics
/// If the system has no threads left.
pub fn threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> R {
    // The mode belongs to the calling thread; the closure runs on another.
    let recording = is_recording();
    let f = || tensor::with_recording(recording, f);
    if cfg!(miri) {
        // Miri refuses what rayon's queues do with pointers.
        let result = std::thread::scope(|scope| scope.spawn(f).join());
        return result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).thread_name(|i| format!("ganvil-{i}")).build();
    let pool = pool.unwrap_or_else(|e| panic!("threads: cannot start {n} threads: {e}"));
    // Waiting in a pool of its own, the calling thread may take up other work.
    local::aside(|| pool.install(f))
}

/// The code of README.md, run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The code of docs/engine.md, run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../docs/engine.md")]
struct Engine;
