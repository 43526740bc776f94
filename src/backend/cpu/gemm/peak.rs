//! How many multiply-adds the machine can do: the ceiling that kernels are measured against.

use super::kernel::Vector;
use crate::backend::cpu::simd::{Tier, tier};

/// Chains of dependent multiply-adds: more than latency times units of any machine that there is.
const CHAINS: usize = 12;

/// Multiply-adds of the current tier's vectors of f32 in registers, `rounds` for each of a dozen chains that do not wait
/// for each other. Returns the floating-point operations done.
///
/// ```
/// assert!(ganvil::backend::cpu::fma_chain(1000) >= 1000);
/// ```
pub fn fma_chain(rounds: usize) -> usize {
    match tier() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `tier` returns only tiers that the machine has.
        Tier::Avx512 => unsafe { avx512(rounds) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Tier::Avx2 => unsafe { avx2(rounds) },
        // SAFETY: plain Rust.
        _ => unsafe { chain::<super::portable::Lanes<f32, 4>>(rounds) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512(rounds: usize) -> usize {
    // SAFETY: compiled for the tier.
    unsafe { chain::<std::arch::x86_64::__m512>(rounds) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(rounds: usize) -> usize {
    // SAFETY: compiled for the tier.
    unsafe { chain::<std::arch::x86_64::__m256>(rounds) }
}

/// # Safety
/// The machine has the vector's tier.
#[inline(always)]
unsafe fn chain<V: Vector<Elem = f32>>(rounds: usize) -> usize {
    // SAFETY: the caller's promise; vectors are stored to an array of at least as many elements.
    unsafe {
        // Products that neither grow nor vanish, of numbers that the compiler does not know.
        let (factor, term) = std::hint::black_box((0.999_f32, 0.001_f32));
        let (factor, term) = (V::splat(factor), V::splat(term));
        let mut all = [V::splat(std::hint::black_box(1.0)); CHAINS];
        for _ in 0..rounds {
            for x in &mut all {
                *x = x.mul_add(factor, term);
            }
        }
        let mut out = [0.0f32; 16];
        for x in all {
            x.store(out.as_mut_ptr());
            std::hint::black_box(&out);
        }
    }
    2 * rounds * CHAINS * V::LANES
}
