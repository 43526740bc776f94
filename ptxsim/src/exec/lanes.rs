//! Registers of a warp as arrays of 32 lanes, the values kept in them, and loops over lanes.
//!
//! Each loop is written once, as a `Body`, and compiled for every tier of instructions the machine may have;
//! `pick` takes the one for the tier in use. Loops run over all lanes, whatever the mask, and blend at the
//! end: so they vectorise. No lane's arithmetic may therefore panic.

use std::marker::PhantomData;
use std::sync::OnceLock;

use super::Cx;
use crate::ir::{Inst, OpFn};

pub const LANES: usize = 32;
pub const FULL: u32 = u32::MAX;

/// The width of a register: what its 32 lanes are stored as.
pub trait Raw: Copy + Default {
    fn lanes<'a>(cx: &'a Cx<'_>, slot: u16) -> &'a [Self; LANES];
    fn lanes_mut<'a>(cx: &'a mut Cx<'_>, slot: u16) -> &'a mut [Self; LANES];
}

impl Raw for u32 {
    #[inline(always)]
    fn lanes<'a>(cx: &'a Cx<'_>, slot: u16) -> &'a [u32; LANES] {
        cx.r32(slot)
    }
    #[inline(always)]
    fn lanes_mut<'a>(cx: &'a mut Cx<'_>, slot: u16) -> &'a mut [u32; LANES] {
        cx.r32_mut(slot)
    }
}

impl Raw for u64 {
    #[inline(always)]
    fn lanes<'a>(cx: &'a Cx<'_>, slot: u16) -> &'a [u64; LANES] {
        cx.r64(slot)
    }
    #[inline(always)]
    fn lanes_mut<'a>(cx: &'a mut Cx<'_>, slot: u16) -> &'a mut [u64; LANES] {
        cx.r64_mut(slot)
    }
}

/// A value a register can hold.
pub trait Val: Copy {
    type Raw: Raw;
    fn of(raw: Self::Raw) -> Self;
    fn raw(self) -> Self::Raw;
}

macro_rules! vals {
    ($($t:ty, $raw:ty, |$r:ident| $of:expr, |$v:ident| $to:expr;)*) => {$(
        impl Val for $t {
            type Raw = $raw;
            #[inline(always)]
            fn of($r: $raw) -> Self { $of }
            #[inline(always)]
            fn raw(self) -> $raw { let $v = self; $to }
        }
    )*};
}

vals! {
    u32, u32, |r| r, |v| v;
    i32, u32, |r| r as i32, |v| v as u32;
    u16, u32, |r| r as u16, |v| u32::from(v);
    i16, u32, |r| r as i16, |v| u32::from(v as u16);
    u64, u64, |r| r, |v| v;
    i64, u64, |r| r as i64, |v| v as u64;
    f32, u32, |r| f32::from_bits(r), |v| v.to_bits();
    f64, u64, |r| f64::from_bits(r), |v| v.to_bits();
}

/// Writes the lanes of the mask.
#[inline(always)]
pub fn put<R: Raw>(cx: &mut Cx<'_>, slot: u16, mask: u32, out: &[R; LANES]) {
    let dst = R::lanes_mut(cx, slot);
    if mask == FULL {
        *dst = *out;
    } else {
        for l in 0..LANES {
            dst[l] = if mask >> l & 1 != 0 { out[l] } else { dst[l] };
        }
    }
}

/// Sets the bits of the mask in a predicate.
#[inline(always)]
pub fn put_pred(cx: &mut Cx<'_>, pred: u16, mask: u32, bits: u32) {
    let old = cx.pred(pred);
    cx.set_pred(pred, old & !mask | bits & mask);
}

/// A loop over lanes.
pub trait Body {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool;
}

/// Functions of one, two and three values; `imm` is the instruction's constant.
pub trait F1<A, D> {
    fn f(a: A, imm: u32) -> D;
}
pub trait F2<A, B, D> {
    fn f(a: A, b: B, imm: u32) -> D;
}
pub trait F3<A, B, C, D> {
    fn f(a: A, b: B, c: C, imm: u32) -> D;
}

pub struct Map1<A, D, F>(PhantomData<(A, D, F)>);
pub struct Map2<A, B, D, F>(PhantomData<(A, B, D, F)>);
pub struct Map3<A, B, C, D, F>(PhantomData<(A, B, C, D, F)>);

fn zeros<R: Raw>() -> [R; LANES] {
    [R::default(); LANES]
}

impl<A: Val, D: Val, F: F1<A, D>> Body for Map1<A, D, F> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let mut out = zeros::<D::Raw>();
        let a = A::Raw::lanes(cx, i.r[1]);
        for l in 0..LANES {
            out[l] = F::f(A::of(a[l]), i.imm as u32).raw();
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

impl<A: Val, B: Val, D: Val, F: F2<A, B, D>> Body for Map2<A, B, D, F> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let mut out = zeros::<D::Raw>();
        let a = A::Raw::lanes(cx, i.r[1]);
        let b = B::Raw::lanes(cx, i.r[2]);
        for l in 0..LANES {
            out[l] = F::f(A::of(a[l]), B::of(b[l]), i.imm as u32).raw();
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

impl<A: Val, B: Val, C: Val, D: Val, F: F3<A, B, C, D>> Body for Map3<A, B, C, D, F> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let mut out = zeros::<D::Raw>();
        let a = A::Raw::lanes(cx, i.r[1]);
        let b = B::Raw::lanes(cx, i.r[2]);
        let c = C::Raw::lanes(cx, i.r[3]);
        for l in 0..LANES {
            out[l] = F::f(A::of(a[l]), B::of(b[l]), C::of(c[l]), i.imm as u32).raw();
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

/// What the machine can execute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    Base,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The widest tier of this machine; `PTXSIM_SIMD=base|avx2|avx512` caps it.
pub fn tier() -> Tier {
    static TIER: OnceLock<Tier> = OnceLock::new();
    *TIER.get_or_init(|| {
        let cap = std::env::var("PTXSIM_SIMD").unwrap_or_default();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx512 && !matches!(cap.as_str(), "avx2" | "base") {
                return Tier::Avx512;
            }
            if avx2 && cap != "base" {
                return Tier::Avx2;
            }
        }
        let _ = cap;
        Tier::Base
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
fn with_avx512<B: Body>(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
    B::run(cx, i, mask)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn with_avx2<B: Body>(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
    B::run(cx, i, mask)
}

fn with_base<B: Body>(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
    B::run(cx, i, mask)
}

/// The loop compiled for the machine's tier.
pub fn pick<B: Body>() -> OpFn {
    match tier() {
        Tier::Base => with_base::<B>,
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 => with_avx2::<B>,
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512 => with_avx512::<B>,
    }
}

/// The loop for every machine: for what is rare or does not vectorise.
pub fn plain<B: Body>() -> OpFn {
    with_base::<B>
}
