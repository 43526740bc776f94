//! Elementary functions that vectorise.
//!
//! In f32 they are branch-free scalar code of additions, multiplications, divisions, integer operations and
//! selects, so that a loop over them inside a [`Kernel`](super::simd::Kernel) becomes vector code on every tier.
//! `FMA` says whether fused multiply-add is an instruction; without it the results differ in the last bit. Errors
//! are in ulp of the result, over all floats; `tests.rs` measures them.
//!
//! In f64, which serves gradient checks and metrics, they are the standard library's.

mod exp;
mod log;
mod sigmoid;
#[cfg(test)]
mod tests;

pub(crate) use exp::exp;
pub(crate) use log::{log, log_normal, log1p};
pub(crate) use sigmoid::{sigmoid, softplus, tanh};

/// The elementary functions of a floating-point type, under one name for generic kernels.
///
/// Call them as `Math::exp::<FMA>(x)`: in method position the types' own functions would be found first.
pub(crate) trait Math: Copy {
    /// e^x
    fn exp<const FMA: bool>(self) -> Self;
    /// ln x
    fn log<const FMA: bool>(self) -> Self;
    /// ln(1 + x)
    fn log1p<const FMA: bool>(self) -> Self;
    /// tanh x
    fn tanh<const FMA: bool>(self) -> Self;
    /// 1 / (1 + e^-x)
    fn sigmoid<const FMA: bool>(self) -> Self;
    /// ln(1 + e^x)
    fn softplus<const FMA: bool>(self) -> Self;
    /// x^(1/2), correctly rounded
    fn sqrt(self) -> Self;
    /// x^p by the standard library, which does not vectorise
    fn powf(self, p: Self) -> Self;
}

impl Math for f32 {
    #[inline(always)]
    fn exp<const FMA: bool>(self) -> f32 {
        exp::<FMA>(self)
    }
    #[inline(always)]
    fn log<const FMA: bool>(self) -> f32 {
        log::<FMA>(self)
    }
    #[inline(always)]
    fn log1p<const FMA: bool>(self) -> f32 {
        log1p::<FMA>(self)
    }
    #[inline(always)]
    fn tanh<const FMA: bool>(self) -> f32 {
        tanh::<FMA>(self)
    }
    #[inline(always)]
    fn sigmoid<const FMA: bool>(self) -> f32 {
        sigmoid::<FMA>(self)
    }
    #[inline(always)]
    fn softplus<const FMA: bool>(self) -> f32 {
        softplus::<FMA>(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn powf(self, p: f32) -> f32 {
        f32::powf(self, p)
    }
}

impl Math for f64 {
    #[inline(always)]
    fn exp<const FMA: bool>(self) -> f64 {
        f64::exp(self)
    }
    #[inline(always)]
    fn log<const FMA: bool>(self) -> f64 {
        self.ln()
    }
    #[inline(always)]
    fn log1p<const FMA: bool>(self) -> f64 {
        self.ln_1p()
    }
    #[inline(always)]
    fn tanh<const FMA: bool>(self) -> f64 {
        f64::tanh(self)
    }
    #[inline(always)]
    fn sigmoid<const FMA: bool>(self) -> f64 {
        let e = f64::exp(-self.abs());
        (if self < 0.0 { e } else { 1.0 }) / (1.0 + e)
    }
    #[inline(always)]
    fn softplus<const FMA: bool>(self) -> f64 {
        (if self > 0.0 { self } else { 0.0 }) + f64::exp(-self.abs()).ln_1p()
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn powf(self, p: f64) -> f64 {
        f64::powf(self, p)
    }
}
