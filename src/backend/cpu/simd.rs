//! SIMD tiers, chosen at run time, and how one generic body is compiled for each of them.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions the kernels are compiled for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Tier {
    /// What every machine of the architecture has (SSE2 on x86-64).
    Portable = 1,
    /// AVX2 with FMA: 8 floats, fused multiply-add.
    Avx2 = 2,
    /// AVX-512 F, BW, DQ and VL: 16 floats, 32 registers.
    Avx512 = 3,
}

impl Tier {
    /// Widest first.
    pub const ALL: [Tier; 3] = [Tier::Avx512, Tier::Avx2, Tier::Portable];

    /// The name `GANVIL_SIMD` takes.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Portable => "portable",
            Tier::Avx2 => "avx2",
            Tier::Avx512 => "avx512",
        }
    }

    /// Whether this machine can execute the tier.
    pub fn is_supported(self) -> bool {
        match self {
            Tier::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512 => {
                Tier::Avx2.is_supported()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// 0 until the first call of [`tier`].
static TIER: AtomicU8 = AtomicU8::new(0);

/// The tier the kernels use: the widest this machine has, capped by the environment variable `GANVIL_SIMD`.
///
/// # Panics
/// If `GANVIL_SIMD` is not one of `avx512`, `avx2`, `portable`.
#[inline]
pub fn tier() -> Tier {
    match TIER.load(Ordering::Relaxed) {
        1 => Tier::Portable,
        2 => Tier::Avx2,
        3 => Tier::Avx512,
        _ => init(),
    }
}

#[cold]
fn init() -> Tier {
    let cap = match std::env::var("GANVIL_SIMD") {
        Err(_) => Tier::Avx512,
        Ok(v) => parse(&v).unwrap_or_else(|e| panic!("{e}")),
    };
    let tier = Tier::ALL.into_iter().find(|t| *t <= cap && t.is_supported()).unwrap_or(Tier::Portable);
    set_tier(tier);
    tier
}

/// Reads a value of `GANVIL_SIMD`.
pub fn parse(v: &str) -> Result<Tier, String> {
    Tier::ALL
        .into_iter()
        .find(|t| t.name() == v)
        .ok_or_else(|| format!("invalid GANVIL_SIMD '{v}': use avx512, avx2 or portable"))
}

/// Makes all kernels of the process use a tier from now on: for tests and benchmarks that compare tiers.
///
/// # Panics
/// If this machine cannot execute it.
pub fn set_tier(tier: Tier) {
    assert!(tier.is_supported(), "this machine has no {tier}");
    TIER.store(tier as u8, Ordering::Relaxed);
}

/// A loop to be compiled once per tier. Implementations mark `run` `#[inline(always)]`, as everything it calls,
/// so that the body is inlined into [`vectorize`]'s per-tier wrappers and vectorised with their instructions.
pub(crate) trait Kernel {
    /// What the loop returns.
    type Output;
    /// The body. `FMA` says whether fused multiply-add is an instruction on this tier; see [`mul_add`].
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs a kernel with the current tier's instructions.
#[inline]
pub(crate) fn vectorize<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: `tier` returns only tiers whose features were detected on this machine.
    unsafe { run_on(tier(), kernel) }
}

/// Runs a kernel with the instructions of a tier that need not be the current one, which is left as it is.
///
/// # Panics
/// If this machine cannot execute the tier.
#[inline]
pub(crate) fn vectorize_on<K: Kernel>(tier: Tier, kernel: K) -> K::Output {
    assert!(tier.is_supported(), "this machine has no {tier}");
    // SAFETY: just checked.
    unsafe { run_on(tier, kernel) }
}

/// # Safety
/// This machine must be able to execute the tier.
#[inline]
unsafe fn run_on<K: Kernel>(tier: Tier, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<true>()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<true>()
        }
        match tier {
            // SAFETY: the caller's promise covers these features.
            Tier::Avx512 => return unsafe { avx512(kernel) },
            // SAFETY: as above.
            Tier::Avx2 => return unsafe { avx2(kernel) },
            Tier::Portable => {}
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = tier;
    kernel.run::<false>()
}

/// a * b + c, rounded once where the tier has the instruction and twice elsewhere.
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
