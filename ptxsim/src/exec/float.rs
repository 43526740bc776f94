//! Floating-point arithmetic, lane by lane, with PTX's NaN, subnormal and rounding rules.
//!
//! Single precision gives the one NaN that the hardware gives (`0x7fffffff`). Rounding to nearest is the
//! host's own arithmetic; the directed roundings of single precision are derived from exact sums in double
//! precision, those of double precision from the host's rounding mode.

use super::lanes::{F1, F2, F3, Val};
use super::round::{self, Mode};

/// Bits of an instruction's constant: rounding in the lowest two, then these.
pub const FTZ: u32 = 4;
pub const SAT: u32 = 8;

/// Single precision whose subnormals count as zero, coming and going.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub struct Fz(pub f32);

#[inline(always)]
pub fn flush(x: f32) -> f32 {
    let bits = x.to_bits();
    if bits & 0x7f80_0000 == 0 { f32::from_bits(bits & 0x8000_0000) } else { x }
}

impl Val for Fz {
    type Raw = u32;
    #[inline(always)]
    fn of(raw: u32) -> Self {
        Fz(flush(f32::from_bits(raw)))
    }
    #[inline(always)]
    fn raw(self) -> u32 {
        flush(self.0).to_bits()
    }
}

pub const NAN: u32 = 0x7fff_ffff;

/// The hardware's NaN for any NaN.
#[inline(always)]
pub fn canon(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(NAN) } else { x }
}

/// Into [0, 1]; NaN to 0.
#[inline(always)]
pub fn saturate(x: f32) -> f32 {
    if x > 0.0 { x.min(1.0) } else { 0.0 }
}

/// What follows an operation when its flags are looked at at run time.
#[inline(always)]
fn finish(x: f32, imm: u32) -> f32 {
    let x = if imm & FTZ != 0 { flush(x) } else { x };
    if imm & SAT != 0 { saturate(x) } else { canon(x) }
}

#[inline(always)]
fn input(x: f32, imm: u32) -> f32 {
    if imm & FTZ != 0 { flush(x) } else { x }
}

macro_rules! fast {
    ($($name:ident: |$x:ident $(, $y:ident)*| $trait:ident $e:expr;)*) => {$(
        pub struct $name;
        fast!(@ $name $trait |$x $(, $y)*| $e);
    )*};
    (@ $name:ident F1 |$x:ident| $e:expr) => {
        impl F1<f32, f32> for $name { #[inline(always)] fn f($x: f32, _: u32) -> f32 { canon($e) } }
        impl F1<Fz, Fz> for $name { #[inline(always)] fn f(Fz($x): Fz, _: u32) -> Fz { Fz(canon($e)) } }
    };
    (@ $name:ident F2 |$x:ident, $y:ident| $e:expr) => {
        impl F2<f32, f32, f32> for $name { #[inline(always)] fn f($x: f32, $y: f32, _: u32) -> f32 { canon($e) } }
        impl F2<Fz, Fz, Fz> for $name {
            #[inline(always)] fn f(Fz($x): Fz, Fz($y): Fz, _: u32) -> Fz { Fz(canon($e)) }
        }
    };
    (@ $name:ident F3 |$x:ident, $y:ident, $z:ident| $e:expr) => {
        impl F3<f32, f32, f32, f32> for $name {
            #[inline(always)] fn f($x: f32, $y: f32, $z: f32, _: u32) -> f32 { canon($e) }
        }
        impl F3<Fz, Fz, Fz, Fz> for $name {
            #[inline(always)] fn f(Fz($x): Fz, Fz($y): Fz, Fz($z): Fz, _: u32) -> Fz { Fz(canon($e)) }
        }
    };
}

fast! {
    AddF: |x, y| F2 x + y;
    SubF: |x, y| F2 x - y;
    MulF: |x, y| F2 x * y;
    DivF: |x, y| F2 x / y;
    FmaF: |x, y, z| F3 x.mul_add(y, z);
    SqrtF: |x| F1 x.sqrt();
    RcpF: |x| F1 1.0 / x;
    RsqrtF: |x| F1 if x == 0.0 { 1.0 / x } else { (1.0 / f64::from(x).sqrt()) as f32 };
    MinF: |x, y| F2 min32(x, y);
    MaxF: |x, y| F2 max32(x, y);
    // One NaN makes the result NaN.
    MinNanF: |x, y| F2 if x.is_nan() || y.is_nan() { f32::NAN } else { min32(x, y) };
    MaxNanF: |x, y| F2 if x.is_nan() || y.is_nan() { f32::NAN } else { max32(x, y) };
    // A divisor beyond 2^126 flushes its reciprocal: the quotient is zero, or NaN for an infinite dividend.
    DivApproxF: |x, y| F2 {
        let big = y.abs() > f32::from_bits(0x7e80_0000) && y.abs() < f32::INFINITY;
        if big { x * 0f32.copysign(y) } else { x / y }
    };
    DivFullF: |x, y| F2 x / y;
    Ex2F: |x| F1 exp2(x);
    Lg2F: |x| F1 log2(x);
    SinF: |x| F1 if x.is_infinite() { f32::NAN } else { f64::from(x).sin() as f32 };
    CosF: |x| F1 if x.is_infinite() { f32::NAN } else { f64::from(x).cos() as f32 };
    TanhF: |x| F1 f64::from(x).tanh() as f32;
}

/// Of two zeros the negative is the smaller, of a number and NaN the number.
#[inline(always)]
fn min32(x: f32, y: f32) -> f32 {
    let pick_x = x < y || y.is_nan() || (x == y && x.to_bits() >> 31 != 0);
    if pick_x { x } else { y }
}

#[inline(always)]
fn max32(x: f32, y: f32) -> f32 {
    let pick_x = x > y || y.is_nan() || (x == y && x.to_bits() >> 31 == 0);
    if pick_x { x } else { y }
}

/// 2^x: exact scaling by the integer part, a series in double precision for the rest (error below 1e-12,
/// so at most one rounding in single precision; the hardware is allowed two units).
#[inline(always)]
fn exp2(x: f32) -> f32 {
    const MAGIC: f64 = 6755399441055744.0;
    let t = f64::from(x).clamp(-200.0, 200.0);
    let shifted = t + MAGIC;
    let u = (t - (shifted - MAGIC)) * std::f64::consts::LN_2;
    let mut p = 1.0 / 3628800.0;
    for c in [362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        p = p * u + 1.0 / c;
    }
    let scale = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if x.is_nan() { x } else { (p * scale) as f32 }
}

/// log2(x): the exponent plus a series in (m - 1) / (m + 1) for the mantissa m in [sqrt(1/2), sqrt(2)).
#[inline(always)]
fn log2(x: f32) -> f32 {
    let bits = f64::from(x).to_bits();
    let mut e = ((bits >> 52 & 0x7ff) as i32 - 1023) as f64;
    let mut m = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    let high = m > std::f64::consts::SQRT_2;
    m = if high { m * 0.5 } else { m };
    e = if high { e + 1.0 } else { e };
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 1.0 / 19.0;
    for c in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        p = p * z + 1.0 / c;
    }
    let value = (e + s * p * (2.0 * std::f64::consts::LOG2_E)) as f32;
    if x == 0.0 {
        f32::NEG_INFINITY
    } else if x < 0.0 || x.is_nan() {
        f32::NAN
    } else if x.is_infinite() {
        x
    } else {
        value
    }
}

macro_rules! flagged {
    ($($name:ident: $trait:ident |$($x:ident),+; $m:ident| $e:expr;)*) => {$(
        pub struct $name;
        flagged!(@ $name $trait |$($x),+; $m| $e);
    )*};
    (@ $name:ident F1 |$x:ident; $m:ident| $e:expr) => {
        impl F1<f32, f32> for $name {
            #[inline(always)] fn f($x: f32, imm: u32) -> f32 {
                let ($x, $m) = (input($x, imm), Mode::of(imm));
                finish($e, imm)
            }
        }
    };
    (@ $name:ident F2 |$x:ident, $y:ident; $m:ident| $e:expr) => {
        impl F2<f32, f32, f32> for $name {
            #[inline(always)] fn f($x: f32, $y: f32, imm: u32) -> f32 {
                let ($x, $y, $m) = (input($x, imm), input($y, imm), Mode::of(imm));
                finish($e, imm)
            }
        }
    };
    (@ $name:ident F3 |$x:ident, $y:ident, $z:ident; $m:ident| $e:expr) => {
        impl F3<f32, f32, f32, f32> for $name {
            #[inline(always)] fn f($x: f32, $y: f32, $z: f32, imm: u32) -> f32 {
                let ($x, $y, $z, $m) = (input($x, imm), input($y, imm), input($z, imm), Mode::of(imm));
                finish($e, imm)
            }
        }
    };
}

// With any rounding, flushing and saturation, looked at at run time.
flagged! {
    AddFx: F2 |x, y; m| round::add32(x, y, m);
    SubFx: F2 |x, y; m| round::add32(x, -y, m);
    MulFx: F2 |x, y; m| round::mul32(x, y, m);
    FmaFx: F3 |x, y, z; m| round::fma32(x, y, z, m);
    DivFx: F2 |x, y; m| round::div32(x, y, m);
    RcpFx: F1 |x; m| round::div32(1.0, x, m);
    SqrtFx: F1 |x; m| round::sqrt32(x, m);
}

macro_rules! double {
    ($($name:ident: $trait:ident |$($x:ident),+| $e:expr;)*) => {$(
        pub struct $name;
        double!(@ $name $trait |$($x),+| $e);
    )*};
    (@ $name:ident F1 |$x:ident| $e:expr) => {
        impl F1<f64, f64> for $name { #[inline(always)] fn f($x: f64, _: u32) -> f64 { $e } }
    };
    (@ $name:ident F2 |$x:ident, $y:ident| $e:expr) => {
        impl F2<f64, f64, f64> for $name { #[inline(always)] fn f($x: f64, $y: f64, _: u32) -> f64 { $e } }
    };
    (@ $name:ident F3 |$x:ident, $y:ident, $z:ident| $e:expr) => {
        impl F3<f64, f64, f64, f64> for $name {
            #[inline(always)] fn f($x: f64, $y: f64, $z: f64, _: u32) -> f64 { $e }
        }
    };
}

double! {
    AddD: F2 |x, y| x + y;
    SubD: F2 |x, y| x - y;
    MulD: F2 |x, y| x * y;
    DivD: F2 |x, y| x / y;
    FmaD: F3 |x, y, z| x.mul_add(y, z);
    SqrtD: F1 |x| x.sqrt();
    RcpD: F1 |x| 1.0 / x;
    MinD: F2 |x, y| if x < y || y.is_nan() || (x == y && x.is_sign_negative()) { x } else { y };
    MaxD: F2 |x, y| if x > y || y.is_nan() || (x == y && x.is_sign_positive()) { x } else { y };
    // The approximations look at the upper half of their argument and give an upper half.
    RcpApproxD: F1 |x| upper(1.0 / upper(x));
    RsqrtApproxD: F1 |x| if x == 0.0 { 1.0 / x } else { 1.0 / x.sqrt() };
    RsqrtFtzD: F1 |x| if upper(x) == 0.0 { 1.0 / x } else { upper(1.0 / upper(x).sqrt()) };
}

/// The upper 32 bits; subnormals become zero.
#[inline(always)]
fn upper(x: f64) -> f64 {
    let x = f64::from_bits(x.to_bits() & 0xffff_ffff_0000_0000);
    if x.is_subnormal() { 0f64.copysign(x) } else { x }
}

macro_rules! double_directed {
    ($($name:ident: $trait:ident |$($x:ident),+; $m:ident| $e:expr;)*) => {$(
        pub struct $name;
        double_directed!(@ $name $trait |$($x),+; $m| $e);
    )*};
    (@ $name:ident F1 |$x:ident; $m:ident| $e:expr) => {
        impl F1<f64, f64> for $name { fn f($x: f64, imm: u32) -> f64 { let $m = Mode::of(imm); $e } }
    };
    (@ $name:ident F2 |$x:ident, $y:ident; $m:ident| $e:expr) => {
        impl F2<f64, f64, f64> for $name { fn f($x: f64, $y: f64, imm: u32) -> f64 { let $m = Mode::of(imm); $e } }
    };
    (@ $name:ident F3 |$x:ident, $y:ident, $z:ident; $m:ident| $e:expr) => {
        impl F3<f64, f64, f64, f64> for $name {
            fn f($x: f64, $y: f64, $z: f64, imm: u32) -> f64 { let $m = Mode::of(imm); $e }
        }
    };
}

double_directed! {
    AddDx: F2 |x, y; m| round::add64(x, y, m);
    SubDx: F2 |x, y; m| round::add64(x, -y, m);
    MulDx: F2 |x, y; m| round::mul64(x, y, m);
    DivDx: F2 |x, y; m| round::div64(x, y, m);
    FmaDx: F3 |x, y, z; m| round::fma64(x, y, z, m);
    SqrtDx: F1 |x; m| round::sqrt64(x, m);
    RcpDx: F1 |x; m| round::div64(1.0, x, m);
}

/// Bits turned over or cleared; flushed if the constant says so.
pub struct NegF;
pub struct AbsF;

impl F1<u32, u32> for NegF {
    #[inline(always)]
    fn f(x: u32, imm: u32) -> u32 {
        input(f32::from_bits(x), imm).to_bits() ^ 0x8000_0000
    }
}

impl F1<u32, u32> for AbsF {
    #[inline(always)]
    fn f(x: u32, imm: u32) -> u32 {
        input(f32::from_bits(x), imm).to_bits() & 0x7fff_ffff
    }
}

impl F1<u64, u64> for NegF {
    #[inline(always)]
    fn f(x: u64, _: u32) -> u64 {
        x ^ 1 << 63
    }
}

impl F1<u64, u64> for AbsF {
    #[inline(always)]
    fn f(x: u64, _: u32) -> u64 {
        x & !(1 << 63)
    }
}
