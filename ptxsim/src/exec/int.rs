//! Integer and bit arithmetic, lane by lane.

use super::Cx;
use super::lanes::{Body, F1, F2, F3, LANES, Raw, put, put_pred};
use crate::ir::Inst;

macro_rules! f1 {
    ($($name:ident: $($a:ty => $d:ty),+; |$x:ident| $e:expr;)*) => {$(
        pub struct $name;
        $(impl F1<$a, $d> for $name {
            #[inline(always)]
            fn f($x: $a, _: u32) -> $d { $e }
        })+
    )*};
}

macro_rules! f2 {
    ($($name:ident: $($a:ty, $b:ty => $d:ty),+; |$x:ident, $y:ident| $e:expr;)*) => {$(
        pub struct $name;
        $(impl F2<$a, $b, $d> for $name {
            #[inline(always)]
            fn f($x: $a, $y: $b, _: u32) -> $d { $e }
        })+
    )*};
}

macro_rules! f3 {
    ($($name:ident: $($a:ty, $b:ty, $c:ty => $d:ty),+; |$x:ident, $y:ident, $z:ident| $e:expr;)*) => {$(
        pub struct $name;
        $(impl F3<$a, $b, $c, $d> for $name {
            #[inline(always)]
            fn f($x: $a, $y: $b, $z: $c, _: u32) -> $d { $e }
        })+
    )*};
}

f1! {
    Mov: u32 => u32, u64 => u64, u16 => u16; |x| x;
    Not: u32 => u32, u64 => u64, u16 => u16; |x| !x;
    Cnot: u32 => u32; |x| u32::from(x == 0);
    Cnot64: u64 => u64; |x| u64::from(x == 0);
    Cnot16: u16 => u16; |x| u16::from(x == 0);
    Neg: i32 => i32, i64 => i64, i16 => i16; |x| x.wrapping_neg();
    Abs: i32 => i32, i64 => i64, i16 => i16; |x| x.wrapping_abs();
    Popc: u32 => u32, u64 => u32; |x| x.count_ones();
    Clz: u32 => u32, u64 => u32; |x| x.leading_zeros();
    Brev: u32 => u32, u64 => u64; |x| x.reverse_bits();
    // Position of the highest bit that differs from the sign; all ones if there is none.
    FindU: u32 => u32; |x| 31u32.wrapping_sub(x.leading_zeros());
    FindU64: u64 => u32; |x| 63u32.wrapping_sub(x.leading_zeros());
    FindS: i32 => u32; |x| 31u32.wrapping_sub((x ^ x >> 31).leading_zeros());
    FindS64: i64 => u32; |x| 63u32.wrapping_sub((x ^ x >> 63).leading_zeros());
    // The same as the distance by which to shift it to the top.
    ShiftU: u32 => u32; |x| if x == 0 { u32::MAX } else { x.leading_zeros() };
    ShiftU64: u64 => u32; |x| if x == 0 { u32::MAX } else { x.leading_zeros() };
    ShiftS: i32 => u32; |x| if x ^ x >> 31 == 0 { u32::MAX } else { (x ^ x >> 31).leading_zeros() };
    ShiftS64: i64 => u32; |x| if x ^ x >> 63 == 0 { u32::MAX } else { (x ^ x >> 63).leading_zeros() };
    Low: u64 => u32; |x| x as u32;
    High: u64 => u32; |x| (x >> 32) as u32;
    LowHalf: u32 => u32; |x| x & 0xffff;
    HighHalf: u32 => u32; |x| x >> 16;
    Widen: i32 => i64; |x| i64::from(x);
    WidenU: u32 => u64; |x| u64::from(x);
}

f2! {
    Add: u32, u32 => u32, u64, u64 => u64, u16, u16 => u16; |x, y| x.wrapping_add(y);
    Sub: u32, u32 => u32, u64, u64 => u64, u16, u16 => u16; |x, y| x.wrapping_sub(y);
    Mul: u32, u32 => u32, u64, u64 => u64, u16, u16 => u16; |x, y| x.wrapping_mul(y);
    AddSat: i32, i32 => i32; |x, y| x.saturating_add(y);
    SubSat: i32, i32 => i32; |x, y| x.saturating_sub(y);
    MulHiU: u32, u32 => u32; |x, y| (u64::from(x) * u64::from(y) >> 32) as u32;
    MulHiS: i32, i32 => i32; |x, y| (i64::from(x) * i64::from(y) >> 32) as i32;
    MulHiU64: u64, u64 => u64; |x, y| (u128::from(x) * u128::from(y) >> 64) as u64;
    MulHiS64: i64, i64 => i64; |x, y| (i128::from(x) * i128::from(y) >> 64) as i64;
    MulHiU16: u16, u16 => u16; |x, y| (u32::from(x) * u32::from(y) >> 16) as u16;
    MulHiS16: i16, i16 => i16; |x, y| (i32::from(x) * i32::from(y) >> 16) as i16;
    MulWideU: u32, u32 => u64; |x, y| u64::from(x) * u64::from(y);
    MulWideS: i32, i32 => i64; |x, y| i64::from(x) * i64::from(y);
    MulWideU16: u16, u16 => u32; |x, y| u32::from(x) * u32::from(y);
    MulWideS16: i16, i16 => i32; |x, y| i32::from(x) * i32::from(y);
    Mul24U: u32, u32 => u32; |x, y| (x & 0xff_ffff).wrapping_mul(y & 0xff_ffff);
    Mul24S: i32, i32 => i32; |x, y| (x << 8 >> 8).wrapping_mul(y << 8 >> 8);
    Mul24HiU: u32, u32 => u32; |x, y| (u64::from(x & 0xff_ffff) * u64::from(y & 0xff_ffff) >> 16) as u32;
    Mul24HiS: i32, i32 => i32; |x, y| (i64::from(x << 8 >> 8) * i64::from(y << 8 >> 8) >> 16) as i32;
    // Division by zero gives all ones, as the hardware does; the remainder is then the dividend.
    DivU: u32, u32 => u32; |x, y| x.checked_div(y).unwrap_or(u32::MAX);
    DivU64: u64, u64 => u64; |x, y| x.checked_div(y).unwrap_or(u64::MAX);
    DivU16: u16, u16 => u16; |x, y| x.checked_div(y).unwrap_or(u16::MAX);
    DivS: i32, i32 => i32, i64, i64 => i64, i16, i16 => i16; |x, y| if y == 0 { -1 } else { x.wrapping_div(y) };
    RemU: u32, u32 => u32, u64, u64 => u64, u16, u16 => u16; |x, y| x.checked_rem(y).unwrap_or(x);
    RemS: i32, i32 => i32, i64, i64 => i64, i16, i16 => i16; |x, y| if y == 0 { x } else { x.wrapping_rem(y) };
    Min: u32, u32 => u32, i32, i32 => i32, u64, u64 => u64, i64, i64 => i64, u16, u16 => u16, i16, i16 => i16;
        |x, y| x.min(y);
    Max: u32, u32 => u32, i32, i32 => i32, u64, u64 => u64, i64, i64 => i64, u16, u16 => u16, i16, i16 => i16;
        |x, y| x.max(y);
    And: u32, u32 => u32, u64, u64 => u64; |x, y| x & y;
    Or: u32, u32 => u32, u64, u64 => u64; |x, y| x | y;
    Xor: u32, u32 => u32, u64, u64 => u64; |x, y| x ^ y;
    // Shifts by the width or more leave nothing, or the sign.
    Shl: u32, u32 => u32; |x, n| if n < 32 { x << n } else { 0 };
    Shl64: u64, u32 => u64; |x, n| if n < 64 { x << n } else { 0 };
    Shl16: u16, u32 => u16; |x, n| if n < 16 { x << n } else { 0 };
    ShrU: u32, u32 => u32; |x, n| if n < 32 { x >> n } else { 0 };
    ShrU64: u64, u32 => u64; |x, n| if n < 64 { x >> n } else { 0 };
    ShrU16: u16, u32 => u16; |x, n| if n < 16 { x >> n } else { 0 };
    ShrS: i32, u32 => i32; |x, n| x >> n.min(31);
    ShrS64: i64, u32 => i64; |x, n| x >> n.min(63);
    ShrS16: i16, u32 => i16; |x, n| x >> n.min(15);
    Pack: u32, u32 => u64; |x, y| u64::from(x) | u64::from(y) << 32;
    PackHalf: u32, u32 => u32; |x, y| x & 0xffff | y << 16;
    // The sign of the second on the first.
    CopySign: u32, u32 => u32; |x, y| x & 0x8000_0000 | y & 0x7fff_ffff;
    CopySign64: u64, u64 => u64; |x, y| x & 1 << 63 | y & !(1 << 63);
    BmskClamp: u32, u32 => u32; |x, y| mask_bits(x, y);
    BmskWrap: u32, u32 => u32; |x, y| mask_bits(x & 31, y & 31);
    Szext: i32, u32 => i32; |x, n| if n > 31 { x } else if n == 0 { 0 } else { x << (32 - n) >> (32 - n) };
    SzextU: u32, u32 => u32; |x, n| if n > 31 { x } else { x & !(u32::MAX << n) };
}

f3! {
    Mad: u32, u32, u32 => u32, u64, u64, u64 => u64, u16, u16, u16 => u16;
        |x, y, z| x.wrapping_mul(y).wrapping_add(z);
    MadHiU: u32, u32, u32 => u32; |x, y, z| MulHiU::f(x, y, 0).wrapping_add(z);
    MadHiS: i32, i32, i32 => i32; |x, y, z| MulHiS::f(x, y, 0).wrapping_add(z);
    MadHiU64: u64, u64, u64 => u64; |x, y, z| MulHiU64::f(x, y, 0).wrapping_add(z);
    MadHiS64: i64, i64, i64 => i64; |x, y, z| MulHiS64::f(x, y, 0).wrapping_add(z);
    MadWideU: u32, u32, u64 => u64; |x, y, z| (u64::from(x) * u64::from(y)).wrapping_add(z);
    MadWideS: i32, i32, i64 => i64; |x, y, z| (i64::from(x) * i64::from(y)).wrapping_add(z);
    MadWideU16: u16, u16, u32 => u32; |x, y, z| (u32::from(x) * u32::from(y)).wrapping_add(z);
    MadWideS16: i16, i16, i32 => i32; |x, y, z| (i32::from(x) * i32::from(y)).wrapping_add(z);
    Mad24U: u32, u32, u32 => u32; |x, y, z| Mul24U::f(x, y, 0).wrapping_add(z);
    Mad24S: i32, i32, i32 => i32; |x, y, z| Mul24S::f(x, y, 0).wrapping_add(z);
    SadU: u32, u32, u32 => u32; |x, y, z| x.abs_diff(y).wrapping_add(z);
    SadS: i32, i32, i32 => i32; |x, y, z| z.wrapping_add(x.abs_diff(y) as i32);
    // Funnel shifts: the pair (high, low) is (y, x).
    ShfLWrap: u32, u32, u32 => u32; |x, y, n| funnel(x, y, 32 - (n & 31));
    ShfLClamp: u32, u32, u32 => u32; |x, y, n| funnel(x, y, 32 - n.min(32));
    ShfRWrap: u32, u32, u32 => u32; |x, y, n| funnel(x, y, n & 31);
    ShfRClamp: u32, u32, u32 => u32; |x, y, n| funnel(x, y, n.min(32));
    BfeU: u32, u32, u32 => u32; |x, pos, len| extract(u64::from(x), pos, len, 32, false) as u32;
    BfeS: i32, u32, u32 => i32; |x, pos, len| extract(x as u64, pos, len, 32, true) as i32;
    BfeU64: u64, u32, u32 => u64; |x, pos, len| extract(x, pos, len, 64, false);
    BfeS64: i64, u32, u32 => i64; |x, pos, len| extract(x as u64, pos, len, 64, true) as i64;
    Dp4aUU: u32, u32, u32 => u32; |x, y, z| dot4(x, y, z, false, false);
    Dp4aSS: u32, u32, u32 => u32; |x, y, z| dot4(x, y, z, true, true);
    Dp4aSU: u32, u32, u32 => u32; |x, y, z| dot4(x, y, z, true, false);
    Dp4aUS: u32, u32, u32 => u32; |x, y, z| dot4(x, y, z, false, true);
    Slct: u32, u32, i32 => u32; |x, y, z| if z >= 0 { x } else { y };
    Slct64: u64, u64, i32 => u64; |x, y, z| if z >= 0 { x } else { y };
    SlctF: u32, u32, f32 => u32; |x, y, z| if z >= 0.0 { x } else { y };
    SlctF64: u64, u64, f32 => u64; |x, y, z| if z >= 0.0 { x } else { y };
}

fn mask_bits(pos: u32, len: u32) -> u32 {
    if pos > 31 {
        return 0;
    }
    (if len > 31 { u32::MAX } else { !(u32::MAX << len) }) << pos
}

#[inline(always)]
fn funnel(low: u32, high: u32, right: u32) -> u32 {
    ((u64::from(high) << 32 | u64::from(low)) >> right) as u32
}

/// A bit field; bits past the top repeat the sign (or are zero).
#[inline(always)]
fn extract(x: u64, pos: u32, len: u32, width: u32, signed: bool) -> u64 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    if len == 0 {
        return 0;
    }
    let top = (pos + len - 1).min(width - 1);
    let sign = signed && x >> top & 1 != 0;
    let shifted = if pos < width { x >> pos } else { 0 };
    let kept = (width.saturating_sub(pos)).min(len);
    let mask = if kept >= 64 { u64::MAX } else { !(u64::MAX << kept) };
    let fill = if kept >= 64 { 0 } else { u64::MAX << kept };
    let out = shifted & mask;
    if sign { out | fill } else { out }
}

#[inline(always)]
fn dot4(x: u32, y: u32, z: u32, sx: bool, sy: bool) -> u32 {
    let mut sum = z;
    for n in 0..4 {
        let part = |v: u32, signed: bool| {
            let byte = (v >> (8 * n)) as u8;
            if signed { byte as i8 as i32 } else { i32::from(byte) }
        };
        sum = sum.wrapping_add((part(x, sx) * part(y, sy)) as u32);
    }
    sum
}

/// `bfi d, a, b, c, d`: the low bits of `a` put into `b`.
pub struct Bfi;
pub struct Bfi64;

impl Body for Bfi {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let mut out = [0u32; LANES];
        let [a, b, pos, len] = [1, 2, 3, 4].map(|n| cx.r32(i.r[n]));
        for l in 0..LANES {
            out[l] = insert(u64::from(a[l]), u64::from(b[l]), pos[l], len[l], 32) as u32;
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

impl Body for Bfi64 {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let mut out = [0u64; LANES];
        let [a, b] = [1, 2].map(|n| cx.r64(i.r[n]));
        let [pos, len] = [3, 4].map(|n| cx.r32(i.r[n]));
        for l in 0..LANES {
            out[l] = insert(a[l], b[l], pos[l], len[l], 64);
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

#[inline(always)]
fn insert(a: u64, b: u64, pos: u32, len: u32, width: u32) -> u64 {
    let (pos, len) = (pos & 0xff, (len & 0xff).min(width));
    if pos >= width || len == 0 {
        return b;
    }
    let field = if len >= 64 { u64::MAX } else { !(u64::MAX << len) };
    b & !(field << pos) | (a & field) << pos
}

/// `prmt`: bytes picked from a pair of registers. `imm` is the mode (0: by the selector's nibbles).
pub struct Prmt;

impl Body for Prmt {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let mut out = [0u32; LANES];
        let [a, b, c] = [1, 2, 3].map(|n| cx.r32(i.r[n]));
        for l in 0..LANES {
            out[l] = permute(a[l], b[l], c[l], i.imm as u32);
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

#[inline(always)]
fn permute(a: u32, b: u32, c: u32, mode: u32) -> u32 {
    let pair = u64::from(b) << 32 | u64::from(a);
    let s = c & 3;
    let select = match mode {
        0 => c & 0xffff,
        // f4e and b4e: four bytes forward or backward from s.
        1 => s | (s + 1) << 4 | (s + 2) << 8 | (s + 3) << 12,
        2 => s | ((s + 7) & 7) << 4 | ((s + 6) & 7) << 8 | ((s + 5) & 7) << 12,
        // rc8, ecl, ecr, rc16.
        3 => s * 0x1111,
        4 => s | s.max(1) << 4 | s.max(2) << 8 | 3 << 12,
        5 => s.min(1) << 4 | s.min(2) << 8 | s << 12,
        _ => (s & 1) * 2 | ((s & 1) * 2 + 1) << 4 | (s & 1) * 2 << 8 | ((s & 1) * 2 + 1) << 12,
    };
    let mut out = 0;
    for n in 0..4 {
        let nibble = select >> (4 * n) & 0xf;
        let byte = (pair >> (8 * (nibble & 7))) as u8;
        let byte = if nibble & 8 != 0 { (byte as i8 >> 7) as u8 } else { byte };
        out |= u32::from(byte) << (8 * n);
    }
    out
}

/// `lop3`: any function of three bits, by its table of truth.
pub struct Lop3;

impl Body for Lop3 {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let mut out = [0u32; LANES];
        let [a, b, c] = [1, 2, 3].map(|n| cx.r32(i.r[n]));
        for l in 0..LANES {
            let mut d = 0;
            for n in 0..8u32 {
                if i.imm >> n & 1 != 0 {
                    let pick = |x: u32, bit: u32| if n & bit != 0 { x } else { !x };
                    d |= pick(a[l], 4) & pick(b[l], 2) & pick(c[l], 1);
                }
            }
            out[l] = d;
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

/// Sums with the carry flag. `imm`: bit 0 takes a carry in, bit 1 puts one out, bit 2 subtracts.
/// Operands: d, a, b, carry in (predicate), carry out (predicate).
pub struct Carry<R>(std::marker::PhantomData<R>);

macro_rules! carry {
    ($t:ty) => {
        impl Body for Carry<$t> {
            #[inline(always)]
            fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
                let (mut out, mut flags) = ([<$t>::default(); LANES], 0u32);
                let cc = if i.imm & 1 != 0 { cx.pred(i.r[3]) } else { 0 };
                let a = <$t as Raw>::lanes(cx, i.r[1]);
                let b = <$t as Raw>::lanes(cx, i.r[2]);
                for l in 0..LANES {
                    let c = <$t>::from(cc >> l & 1 != 0);
                    let (s, o) = if i.imm & 4 != 0 {
                        let (s, o1) = a[l].overflowing_sub(b[l]);
                        let (s, o2) = s.overflowing_sub(c);
                        (s, o1 | o2)
                    } else {
                        let (s, o1) = a[l].overflowing_add(b[l]);
                        let (s, o2) = s.overflowing_add(c);
                        (s, o1 | o2)
                    };
                    out[l] = s;
                    flags |= u32::from(o) << l;
                }
                put(cx, i.r[0], mask, &out);
                if i.imm & 2 != 0 {
                    put_pred(cx, i.r[4], mask, flags);
                }
                true
            }
        }
    };
}
carry!(u32);
carry!(u64);
