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
    /// The first NVIDIA GPU, through the driver that is found when it is first used.
    Cuda,
    /// The same kernels and the same driver calls, executed on the CPU by the simulator ptxsim.
    Ptxsim,
    /// No memory at all: tensors have a shape, a dtype and a graph but no values. Used to work out shapes
    /// and costs of a model without running it.
    Meta,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
            Device::Ptxsim => "ptxsim",
            Device::Meta => "meta",
        })
    }
}

impl FromStr for Device {
    type Err = Error;
    fn from_str(s: &str) -> Result<Device> {
        match s {
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda),
            "ptxsim" => Ok(Device::Ptxsim),
            "meta" => Ok(Device::Meta),
            _ => Err(Error::Argument {
                what: "device",
                value: s.into(),
                remedy:
                    "the devices are cpu, cuda (an NVIDIA GPU), ptxsim (its simulator) and meta (shapes only)"
                        .into(),
            }),
        }
    }
}
