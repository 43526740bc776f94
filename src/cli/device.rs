//! The flag that says where to compute.

use crate::backend::cuda;
use crate::{Device, Error, Result};

#[derive(clap::Args)]
pub struct DeviceArg {
    /// Where to compute: cpu, cuda (an NVIDIA GPU) or ptxsim (its simulator)
    #[arg(long, default_value = "cpu")]
    device: Device,
}

impl DeviceArg {
    /// The device, ready for use.
    ///
    /// # Errors
    /// What was looked for and is not there; and for a device that has no values.
    pub fn open(&self) -> Result<Device> {
        match self.device {
            Device::Cpu => {}
            Device::Cuda | Device::Ptxsim => cuda::open(self.device).map(drop)?,
            Device::Meta => {
                let remedy = "its tensors have a shape and no values; use cpu, cuda or ptxsim".into();
                return Err(Error::Argument { what: "device", value: "meta".into(), remedy });
            }
        }
        Ok(self.device)
    }
}
