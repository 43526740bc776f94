//! ganvil
#![warn(missing_docs)]

pub mod autograd;
pub mod backend;
pub mod data;
mod device;
mod dtype;
mod error;
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
