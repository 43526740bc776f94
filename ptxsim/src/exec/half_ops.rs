//! Arithmetic of 16-bit floating point, one or two in a register.

use std::marker::PhantomData;

use half::{bf16, f16};

use super::cvt::{brain16, half16};
use super::float::{FTZ, SAT};
use super::lanes::{F2, F3};
use super::round::{Mode, two_sum};

/// A 16-bit format.
pub trait Sixteen: Copy {
    fn wide(bits: u16) -> f64;
    /// To nearest even; the hardware's NaN for NaN.
    fn narrow(high: f64, low: f64) -> u16;
    /// Subnormals to zero.
    fn flush(bits: u16) -> u16;
}

impl Sixteen for f16 {
    fn wide(bits: u16) -> f64 {
        f16::from_bits(bits).to_f64()
    }
    fn narrow(high: f64, low: f64) -> u16 {
        if high.is_nan() { 0x7fff } else { half16(high, low, Mode::Near).to_bits() }
    }
    fn flush(bits: u16) -> u16 {
        if bits & 0x7c00 == 0 { bits & 0x8000 } else { bits }
    }
}

impl Sixteen for bf16 {
    fn wide(bits: u16) -> f64 {
        bf16::from_bits(bits).to_f64()
    }
    fn narrow(high: f64, low: f64) -> u16 {
        if high.is_nan() { 0x7fff } else { brain16(high, low, Mode::Near).to_bits() }
    }
    fn flush(bits: u16) -> u16 {
        if bits & 0x7f80 == 0 { bits & 0x8000 } else { bits }
    }
}

/// What to compute; packed in the constant's bits from 8 on.
pub const ADD: u32 = 0;
pub const SUB: u32 = 1;
pub const MUL: u32 = 2;
pub const MIN: u32 = 3;
pub const MAX: u32 = 4;
pub const FMA: u32 = 5;
/// `.relu`
pub const RELU: u32 = 16;
/// `.NaN`
pub const NANS: u32 = 32;

fn one<S: Sixteen>(a: u16, b: u16, c: u16, imm: u32) -> u16 {
    let input = |x: u16| S::wide(if imm & FTZ != 0 { S::flush(x) } else { x });
    let (x, y, z) = (input(a), input(b), input(c));
    let pick = |x_first: bool| {
        if imm & NANS != 0 && (x.is_nan() || y.is_nan()) {
            f64::NAN
        } else if y.is_nan() || (!x.is_nan() && x_first) {
            x
        } else {
            y
        }
    };
    let (high, low) = match imm >> 8 {
        ADD => two_sum(x, y),
        SUB => two_sum(x, -y),
        MUL => (x * y, 0.0),
        MIN => (pick(x < y || (x == y && x.is_sign_negative())), 0.0),
        MAX => (pick(x > y || (x == y && x.is_sign_positive())), 0.0),
        _ => two_sum(x * y, z),
    };
    let mut out = S::narrow(high, low);
    if imm & FTZ != 0 {
        out = S::flush(out);
    }
    let value = S::wide(out);
    if imm & SAT != 0 {
        return S::narrow(if value > 0.0 { value.min(1.0) } else { 0.0 }, 0.0);
    }
    if imm & RELU != 0 && value <= 0.0 { 0 } else { out }
}

/// One value in a register.
pub struct Single<S>(PhantomData<S>);
/// Two values in a register.
pub struct Double<S>(PhantomData<S>);

impl<S: Sixteen> F3<u32, u32, u32, u32> for Single<S> {
    fn f(a: u32, b: u32, c: u32, imm: u32) -> u32 {
        u32::from(one::<S>(a as u16, b as u16, c as u16, imm))
    }
}

impl<S: Sixteen> F3<u32, u32, u32, u32> for Double<S> {
    fn f(a: u32, b: u32, c: u32, imm: u32) -> u32 {
        let low = one::<S>(a as u16, b as u16, c as u16, imm);
        let high = one::<S>((a >> 16) as u16, (b >> 16) as u16, (c >> 16) as u16, imm);
        u32::from(low) | u32::from(high) << 16
    }
}

impl<S: Sixteen> F2<u32, u32, u32> for Single<S> {
    fn f(a: u32, b: u32, imm: u32) -> u32 {
        <Self as F3<u32, u32, u32, u32>>::f(a, b, 0, imm)
    }
}

impl<S: Sixteen> F2<u32, u32, u32> for Double<S> {
    fn f(a: u32, b: u32, imm: u32) -> u32 {
        <Self as F3<u32, u32, u32, u32>>::f(a, b, 0, imm)
    }
}

/// `setp` on 16-bit values goes through single precision, which holds them all.
pub struct ToF32<S>(PhantomData<S>);

impl<S: Sixteen> super::lanes::F1<u32, f32> for ToF32<S> {
    fn f(a: u32, imm: u32) -> f32 {
        let bits = if imm & FTZ != 0 { S::flush(a as u16) } else { a as u16 };
        S::wide(bits) as f32
    }
}
