//! Where a tensor lives.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

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

/// How a backend closes what it has opened.
type Close = fn() -> Result<()>;

/// One for each backend that has opened something.
static CLOSERS: Mutex<Vec<Close>> = Mutex::new(Vec::new());

/// Notes how to close what a backend has opened.
pub(crate) fn opened(close: Close) {
    CLOSERS.lock().unwrap_or_else(PoisonError::into_inner).push(close);
}

/// Closes the devices that were opened: waits for their work and gives their memory back. Tensors that are still alive
/// may be dropped afterwards and nothing else; a device does not open again in this process. Of the CPU there is nothing
/// to close.
///
/// ```
/// use ganvil::{DType, Device, Tensor, device};
/// let x = Tensor::ones(&[2], DType::F32, Device::Cpu);
/// device::shutdown()?;
/// assert_eq!(x.sum_all().item(), 2.0);
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If memory is still held, which is then not given back: the error says how much, and on the simulator where it lies and
/// what kernel it was made for. If the device has failed. It is said once: a second call finds nothing open.
pub fn shutdown() -> Result<()> {
    let closers = std::mem::take(&mut *CLOSERS.lock().unwrap_or_else(PoisonError::into_inner));
    closers.into_iter().try_for_each(|close| close())
}
