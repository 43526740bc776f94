//! Where a tensor lives.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Where a tensor's storage lives, and so which backend runs its kernels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Device {
    /// The host's memory and its SIMD kernels.
    #[default]
    Cpu,
    /// No memory at all: tensors have a shape, a dtype and a graph but no values. Used to work out shapes
    /// and costs of a model without running it.
    Meta,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Meta => "meta",
        })
    }
}

impl FromStr for Device {
    type Err = Error;
    fn from_str(s: &str) -> Result<Device> {
        match s {
            "cpu" => Ok(Device::Cpu),
            "meta" => Ok(Device::Meta),
            _ => Err(Error::Argument {
                what: "device",
                value: s.into(),
                remedy: "this build has the devices cpu and meta (shapes only)".into(),
            }),
        }
    }
}
