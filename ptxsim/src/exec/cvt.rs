//! Conversions. The common ones are loops of their own; all others go through one function of one lane.

use half::{bf16, f16};

use super::float::{FTZ, NAN, SAT, canon, flush, saturate};
use super::lanes::{F1, Val};
use super::round::{Mode, narrow, odd};
use crate::parse::ast::Ty;

macro_rules! cvts {
    ($($name:ident: $a:ty => $d:ty; |$x:ident| $e:expr;)*) => {$(
        pub struct $name;
        impl F1<$a, $d> for $name {
            #[inline(always)]
            fn f($x: $a, _: u32) -> $d { $e }
        }
    )*};
}

cvts! {
    F64FromF32: f32 => f64; |x| f64::from(x);
    F32FromF64: f64 => f32; |x| canon(x as f32);
    F32FromS32: i32 => f32; |x| x as f32;
    F32FromU32: u32 => f32; |x| x as f32;
    F64FromS32: i32 => f64; |x| f64::from(x);
    F64FromU32: u32 => f64; |x| f64::from(x);
    F32FromS64: i64 => f32; |x| x as f32;
    F32FromU64: u64 => f32; |x| x as f32;
    S32FromF32: f32 => i32; |x| x as i32;
    U32FromF32: f32 => u32; |x| x as u32;
    RoundF32: f32 => f32; |x| canon(x.round_ties_even());
    FloorF32: f32 => f32; |x| canon(x.floor());
    CeilF32: f32 => f32; |x| canon(x.ceil());
    TruncF32: f32 => f32; |x| canon(x.trunc());
    SatF32: f32 => f32; |x| saturate(x);
    U32FromU16: u16 => u32; |x| u32::from(x);
    S32FromS16: i16 => i32; |x| i32::from(x);
}

/// How `any` is to convert, packed into an instruction's constant: flags as for arithmetic in the lowest
/// four bits, then whether to round to an integer, source and destination type.
#[derive(Clone, Copy)]
pub struct Spec {
    pub flags: u32,
    /// `.rni` and its kind between floating-point types.
    pub integral: bool,
    /// `.relu`
    pub relu: bool,
    pub to: Ty,
    pub from: Ty,
}

const TYPES: [Ty; 15] = [
    Ty::U8,
    Ty::U16,
    Ty::U32,
    Ty::U64,
    Ty::S8,
    Ty::S16,
    Ty::S32,
    Ty::S64,
    Ty::F16,
    Ty::Bf16,
    Ty::F32,
    Ty::F64,
    Ty::Tf32,
    Ty::F16x2,
    Ty::Bf16x2,
];

fn number(ty: Ty) -> Option<u32> {
    TYPES.iter().position(|&t| t == ty).map(|n| n as u32)
}

impl Spec {
    pub fn pack(self) -> Option<u32> {
        let (to, from) = (number(self.to)?, number(self.from)?);
        Some(self.flags | u32::from(self.integral) << 4 | u32::from(self.relu) << 5 | to << 8 | from << 16)
    }

    #[inline(always)]
    fn unpack(imm: u32) -> Spec {
        Spec {
            flags: imm & 15,
            integral: imm & 16 != 0,
            relu: imm & 32 != 0,
            to: TYPES[(imm >> 8 & 15) as usize % TYPES.len()],
            from: TYPES[(imm >> 16 & 15) as usize % TYPES.len()],
        }
    }
}

pub struct Any;

impl<A: Val<Raw = A> + Into<u64>, D: Val<Raw = D> + Cut> F1<A, D> for Any {
    #[inline(always)]
    fn f(x: A, imm: u32) -> D {
        D::cut(any(x.into(), Spec::unpack(imm)))
    }
}

/// The low bits, as many as a register has.
pub trait Cut {
    fn cut(x: u64) -> Self;
}
impl Cut for u32 {
    fn cut(x: u64) -> u32 {
        x as u32
    }
}
impl Cut for u64 {
    fn cut(x: u64) -> u64 {
        x
    }
}

/// Converts one value, given and returned as bits. A result narrower than its register is extended by
/// its sign.
#[inline(never)]
pub fn any(bits: u64, spec: Spec) -> u64 {
    let (from, to) = (spec.from, spec.to);
    if !from.float() {
        let x = integer(bits, from);
        return if to.float() { from_integer(x, spec) } else { to_integer(x, spec) };
    }
    let x = match from {
        Ty::F16 => f64::from(f16::from_bits(bits as u16)),
        Ty::Bf16 => f64::from(bf16::from_bits(bits as u16)),
        Ty::F32 | Ty::Tf32 => {
            let x = f32::from_bits(bits as u32);
            f64::from(if spec.flags & FTZ != 0 { flush(x) } else { x })
        }
        _ => f64::from_bits(bits),
    };
    if to.float() { to_float(x, bits, spec) } else { float_to_integer(x, spec) }
}

fn integer(bits: u64, ty: Ty) -> i128 {
    match ty {
        Ty::U8 => i128::from(bits as u8),
        Ty::U16 => i128::from(bits as u16),
        Ty::U32 => i128::from(bits as u32),
        Ty::S8 => i128::from(bits as i8),
        Ty::S16 => i128::from(bits as i16),
        Ty::S32 => i128::from(bits as i32),
        Ty::S64 => i128::from(bits as i64),
        _ => i128::from(bits),
    }
}

/// The least and greatest value of an integer type.
fn range(ty: Ty) -> (i128, i128) {
    let bits = ty.size() * 8;
    if ty.signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn to_integer(x: i128, spec: Spec) -> u64 {
    let (low, high) = range(spec.to);
    let x = if spec.flags & SAT != 0 { x.clamp(low, high) } else { x };
    integer(x as u64, spec.to) as u64
}

fn from_integer(x: i128, spec: Spec) -> u64 {
    let mode = Mode::of(spec.flags);
    // 64 bits may be more than double precision holds: the rest breaks ties and decides directions.
    let high = x as f64;
    let low = (x - high as i128) as f64;
    match spec.to {
        Ty::F64 => widened(high, low, mode).to_bits(),
        Ty::F32 => {
            let y = narrow(high, low, mode);
            u64::from((if spec.flags & SAT != 0 { saturate(y) } else { y }).to_bits())
        }
        Ty::F16 => u64::from(half16(high, low, mode).to_bits()),
        _ => u64::from(brain16(high, low, mode).to_bits()),
    }
}

fn widened(high: f64, low: f64, mode: Mode) -> f64 {
    match mode {
        Mode::Down if low < 0.0 => high.next_down(),
        Mode::Up if low > 0.0 => high.next_up(),
        Mode::Zero if low < 0.0 && high > 0.0 => high.next_down(),
        Mode::Zero if low > 0.0 && high < 0.0 => high.next_up(),
        _ => high,
    }
}

fn float_to_integer(x: f64, spec: Spec) -> u64 {
    let (low, high) = range(spec.to);
    if x.is_nan() {
        // The hardware gives zero, but for 64 bits the integer indefinite.
        return match spec.to {
            Ty::S64 | Ty::U64 => 1 << 63,
            _ => 0,
        };
    }
    let whole = match Mode::of(spec.flags) {
        Mode::Near => x.round_ties_even(),
        Mode::Zero => x.trunc(),
        Mode::Down => x.floor(),
        Mode::Up => x.ceil(),
    };
    ((whole as i128).clamp(low, high)) as u64
}

fn to_float(x: f64, bits: u64, spec: Spec) -> u64 {
    let mode = Mode::of(spec.flags);
    let x = if spec.integral {
        match mode {
            Mode::Near => x.round_ties_even(),
            Mode::Zero => x.trunc(),
            Mode::Down => x.floor(),
            Mode::Up => x.ceil(),
        }
    } else {
        x
    };
    let x = if spec.relu && x <= 0.0 { 0.0 } else { x };
    let sat = spec.flags & SAT != 0;
    match spec.to {
        Ty::F64 if sat => (if x > 0.0 { x.min(1.0) } else { 0.0 }).to_bits(),
        Ty::F64 => x.to_bits(),
        Ty::F32 => {
            let y = narrow(x, 0.0, mode);
            let y = if spec.flags & FTZ != 0 { flush(y) } else { y };
            let y = if sat { saturate(y) } else { canon(y) };
            u64::from(y.to_bits())
        }
        Ty::F16 if x.is_nan() => u64::from(if sat { 0 } else { 0x7fffu16 }),
        Ty::F16 => {
            let y = half16(x, 0.0, mode);
            u64::from((if sat { f16::from_f32(saturate(y.to_f32())) } else { y }).to_bits())
        }
        Ty::Bf16 if x.is_nan() => u64::from(if sat { 0 } else { 0x7fffu16 }),
        Ty::Bf16 => {
            let y = brain16(x, 0.0, mode);
            u64::from((if sat { bf16::from_f32(saturate(y.to_f32())) } else { y }).to_bits())
        }
        // To nearest, ties away from zero, into ten bits of fraction.
        _ if x.is_nan() => u64::from(NAN),
        _ => {
            let bits = bits as u32;
            u64::from(if bits & 0x7f80_0000 == 0x7f80_0000 { bits } else { (bits + 0x1000) & !0x1fff })
        }
    }
}

/// The neighbours of 16-bit formats, by their bits.
macro_rules! sixteen {
    ($name:ident, $t:ty) => {
        pub fn $name(high: f64, low: f64, mode: Mode) -> $t {
            let near = <$t>::from_f64(odd(high, low));
            if mode == Mode::Near || !high.is_finite() {
                return near;
            }
            let back = near.to_f64();
            let lacks = if back.is_infinite() { -back } else { (high - back) + low };
            let toward_zero = |x: $t| <$t>::from_bits(x.to_bits() - 1);
            let away = |x: $t| <$t>::from_bits(x.to_bits() + 1);
            let positive = near.to_bits() >> 15 == 0;
            let zero = near.to_bits() & 0x7fff == 0;
            match mode {
                Mode::Down if lacks < 0.0 && zero => <$t>::from_bits(0x8001),
                Mode::Up if lacks > 0.0 && zero => <$t>::from_bits(1),
                Mode::Down if lacks < 0.0 => {
                    if positive {
                        toward_zero(near)
                    } else {
                        away(near)
                    }
                }
                Mode::Up if lacks > 0.0 => {
                    if positive {
                        away(near)
                    } else {
                        toward_zero(near)
                    }
                }
                Mode::Zero if lacks < 0.0 && positive && !zero => toward_zero(near),
                Mode::Zero if lacks > 0.0 && !positive && !zero => toward_zero(near),
                _ => near,
            }
        }
    };
}
sixteen!(half16, f16);
sixteen!(brain16, bf16);
