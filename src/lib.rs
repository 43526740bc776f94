//! ganvil
#![warn(missing_docs)]

pub mod backend;
pub mod data;
mod device;
mod dtype;
mod error;
mod layout;
pub mod report;
pub mod rng;

pub use device::Device;
pub use dtype::{DType, Element};
pub use error::{DeviceFailure, Error, Result, try_run};
pub use layout::{Dims, Layout, MAX_RANK, broadcast_shapes};
