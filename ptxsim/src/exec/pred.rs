//! Comparisons, selections and the arithmetic of predicates.

use std::marker::PhantomData;

use super::Cx;
use super::lanes::{Body, F1, LANES, Raw, Val, put, put_pred};
use crate::ir::Inst;

pub const EQ: u8 = 0;
pub const NE: u8 = 1;
pub const LT: u8 = 2;
pub const LE: u8 = 3;
pub const GT: u8 = 4;
pub const GE: u8 = 5;
/// The same, but true when either is NaN.
pub const EQU: u8 = 6;
pub const NEU: u8 = 7;
pub const LTU: u8 = 8;
pub const LEU: u8 = 9;
pub const GTU: u8 = 10;
pub const GEU: u8 = 11;
pub const NUM: u8 = 12;
pub const NAN: u8 = 13;

/// `setp`: p, a, b.
pub struct Setp<T, const OP: u8>(PhantomData<T>);

#[inline(always)]
fn compare<T: PartialOrd + Copy, const OP: u8>(a: T, b: T) -> bool {
    match OP {
        EQ => a == b,
        // `ne` is false when either is NaN, unlike the host's.
        NE => a < b || a > b,
        LT => a < b,
        LE => a <= b,
        GT => a > b,
        GE => a >= b,
        EQU => !(a < b || a > b),
        NEU => a != b,
        LTU => !(a >= b),
        LEU => !(a > b),
        GTU => !(a <= b),
        GEU => !(a < b),
        NUM => a == a && b == b,
        _ => a != a || b != b,
    }
}

impl<T: Val + PartialOrd, const OP: u8> Body for Setp<T, OP> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let a = T::Raw::lanes(cx, i.r[1]);
        let b = T::Raw::lanes(cx, i.r[2]);
        let mut bits = 0;
        for l in 0..LANES {
            bits |= u32::from(compare::<T, OP>(T::of(a[l]), T::of(b[l]))) << l;
        }
        put_pred(cx, i.r[0], mask, bits);
        true
    }
}

/// Predicates combined: p, a, b. `imm`: 0 and, 1 or, 2 xor, 3 the first; bit 4 negates a, bit 5 b, bit 6 all.
pub struct Logic;

impl Body for Logic {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let flip = |bit: i64| if i.imm & bit != 0 { u32::MAX } else { 0 };
        let (a, b) = (cx.pred(i.r[1]) ^ flip(16), cx.pred(i.r[2]) ^ flip(32));
        let out = match i.imm & 3 {
            0 => a & b,
            1 => a | b,
            2 => a ^ b,
            _ => a,
        };
        put_pred(cx, i.r[0], mask, out ^ flip(64));
        true
    }
}

/// `selp`: d, a, b, p; a where the predicate holds (`imm` 1: where it does not).
pub struct Select<R>(PhantomData<R>);

impl<R: Raw> Body for Select<R> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let p = cx.pred(i.r[3]) ^ if i.imm != 0 { u32::MAX } else { 0 };
        let mut out = [R::default(); LANES];
        let a = R::lanes(cx, i.r[1]);
        let b = R::lanes(cx, i.r[2]);
        for l in 0..LANES {
            out[l] = if p >> l & 1 != 0 { a[l] } else { b[l] };
        }
        put(cx, i.r[0], mask, &out);
        true
    }
}

/// `testp`: p, a. `imm`: 0 finite, 1 infinite, 2 number, 3 NaN, 4 normal, 5 subnormal.
pub struct TestF32;
pub struct TestF64;

macro_rules! testp {
    ($name:ident, $t:ty) => {
        impl Body for $name {
            fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
                let a = <$t as Val>::Raw::lanes(cx, i.r[1]);
                let mut bits = 0;
                for l in 0..LANES {
                    let x = <$t>::of(a[l]);
                    let yes = match i.imm {
                        0 => x.is_finite(),
                        1 => x.is_infinite(),
                        2 => !x.is_nan(),
                        3 => x.is_nan(),
                        4 => x.is_normal(),
                        _ => x.is_subnormal(),
                    };
                    bits |= u32::from(yes) << l;
                }
                put_pred(cx, i.r[0], mask, bits);
                true
            }
        }
    };
}
testp!(TestF32, f32);
testp!(TestF64, f64);

/// A predicate as a number: d, p; `imm` is what stands for true.
pub struct FromPred;

impl Body for FromPred {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let p = cx.pred(i.r[1]);
        let out = std::array::from_fn(|l| if p >> l & 1 != 0 { i.imm as u32 } else { 0 });
        put(cx, i.r[0], mask, &out);
        true
    }
}

/// Nothing of a value but that it was there (`F1` to the same).
pub struct Same;

impl<A> F1<A, A> for Same {
    #[inline(always)]
    fn f(a: A, _: u32) -> A {
        a
    }
}
