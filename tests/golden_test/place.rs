//! Where and how a fixture is computed.

use ganvil::backend::cpu::simd::{Tier, set_tier};
use ganvil::{DType, Device, Tensor, try_run};
use std::fmt;

/// A device, and on the CPU a SIMD tier and a number of threads; and the type of the floats.
#[derive(Clone, Copy)]
pub struct Place {
    pub device: Device,
    pub dtype: DType,
    /// On the CPU.
    cpu: Option<(Tier, usize)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.cpu {
            Some((tier, threads)) => write!(f, "tier {tier}, threads {threads}, {}", self.dtype),
            None => write!(f, "device {}, {}", self.device, self.dtype),
        }
    }
}

/// A pool of threads, and the places to visit inside of it.
pub struct Group {
    threads: usize,
    places: Vec<Place>,
}

impl Group {
    /// Calls `f` for each place, on this group's threads and with the place's tier set.
    pub fn each(&self, f: &mut (dyn FnMut(&Place) + Send)) {
        ganvil::threads(self.threads, || {
            for place in &self.places {
                if let Some((tier, _)) = place.cpu {
                    set_tier(tier);
                }
                f(place);
            }
        });
    }
}

/// What `GANVIL_TEST_DEVICE` says.
pub fn named() -> String {
    std::env::var("GANVIL_TEST_DEVICE").unwrap_or_else(|_| "cpu".into())
}

/// Every place on the device that `GANVIL_TEST_DEVICE` names.
pub fn groups() -> Result<Vec<Group>, String> {
    let device = device(&named())?;
    if device != Device::Cpu {
        // Other devices compute in f32 alone and have no tiers.
        return Ok(vec![Group { threads: 1, places: vec![Place { device, dtype: DType::F32, cpu: None }] }]);
    }
    let tiers: Vec<Tier> = Tier::ALL.into_iter().filter(|t| t.is_supported()).collect();
    let group = |threads: usize| {
        let dtypes = |tier: Tier| {
            [DType::F32, DType::F64].map(|dtype| Place { device, dtype, cpu: Some((tier, threads)) })
        };
        Group { threads, places: tiers.iter().flat_map(|&t| dtypes(t)).collect() }
    };
    Ok([1, 2].map(group).into())
}

/// The device of a name, if this build and this machine have it.
pub fn device(name: &str) -> Result<Device, String> {
    let device: Device = name.parse().map_err(|e| format!("GANVIL_TEST_DEVICE: {e}"))?;
    if device == Device::Meta {
        return Err("GANVIL_TEST_DEVICE: meta has no values to compare; use cpu".into());
    }
    try_run(|| Tensor::zeros(&[1], DType::F32, device))
        .map_err(|e| format!("GANVIL_TEST_DEVICE: {device} is not available: {e}"))?;
    Ok(device)
}
