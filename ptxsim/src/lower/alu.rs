//! Arithmetic, moves, comparisons.

use super::{Act, Lower, Mods, Res, Role, Width, op};
use crate::exec::float::{self, FTZ, Fz, SAT};
use crate::exec::half_ops;
use crate::exec::int;
use crate::exec::lanes::{Map1, Map2, Map3};
use crate::exec::round;
use crate::ir::{Class, OpFn};
use crate::parse::ast::{Instr, Ty};
use half::{bf16, f16};

pub(super) type Map1s<T, F> = Map1<T, T, F>;
pub(super) type Map2s<T, F> = Map2<T, T, T, F>;
pub(super) type Map3s<T, F> = Map3<T, T, T, T, F>;

/// The loop of a type, or the instruction is unknown.
macro_rules! un {
    ($ty:expr, $m:expr, $($pat:pat => $t:ty, $f:path);+ $(;)?) => {
        match $ty { $($pat => op::<Map1s<$t, $f>>(),)+ _ => return $m.unknown() }
    };
}

macro_rules! bin {
    ($ty:expr, $m:expr, $($pat:pat => $t:ty, $f:path);+ $(;)?) => {
        match $ty { $($pat => op::<Map2s<$t, $f>>(),)+ _ => return $m.unknown() }
    };
}

macro_rules! tri {
    ($ty:expr, $m:expr, $($pat:pat => $t:ty, $f:path);+ $(;)?) => {
        match $ty { $($pat => op::<Map3s<$t, $f>>(),)+ _ => return $m.unknown() }
    };
}
pub(super) use {bin, un};

/// Single precision, the usual way or with its flags looked at.
macro_rules! single {
    ($map:ident, $flags:expr, $fast:path, $slow:path) => {
        match $flags {
            0 => op::<$map<f32, $fast>>(),
            FTZ => op::<$map<Fz, $fast>>(),
            _ => op::<$map<f32, $slow>>(),
        }
    };
}

macro_rules! double {
    ($map:ident, $flags:expr, $m:expr, $fast:path, $slow:path) => {
        match $flags {
            0 => op::<$map<f64, $fast>>(),
            1..=3 if round::directed64() => op::<$map<f64, $slow>>(),
            _ => return $m.unknown(),
        }
    };
}

use Ty::{Bf16, Bf16x2, F16, F16x2, F32, F64, S16, S32, S64, U16, U32, U64};

/// Rounding, flushing and saturation as an instruction's constant.
pub(super) fn flags(m: &mut Mods<'_>) -> u32 {
    let round = m.one_of(&[("rn", 0), ("rz", 1), ("rm", 2), ("rp", 3)]).unwrap_or(0);
    round | if m.take("ftz") { FTZ } else { 0 } | if m.take("sat") { SAT } else { 0 }
}

pub(super) fn class(ty: Ty) -> Class {
    match ty {
        F32 => Class::Fp32,
        F64 => Class::Fp64,
        ty if ty.float() => Class::Fp16,
        _ => Class::Int,
    }
}

impl<'a> Lower<'a, '_> {
    pub(super) fn alu(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<bool> {
        match m.root {
            "mov" => self.mov(ins, m)?,
            "add" | "sub" => self.add(ins, m)?,
            "addc" | "subc" => self.carry(ins, m)?,
            "mul" => self.mul(ins, m)?,
            "mad" | "madc" => self.mad(ins, m)?,
            "fma" => self.fma(ins, m)?,
            "div" | "rem" => self.div(ins, m)?,
            "min" | "max" => self.minmax(ins, m)?,
            "abs" | "neg" => self.sign(ins, m)?,
            "and" | "or" | "xor" | "not" | "cnot" => self.logic(ins, m)?,
            "shl" | "shr" | "shf" => self.shift(ins, m)?,
            "bfe" | "bfi" | "bfind" | "brev" | "clz" | "popc" | "prmt" | "lop3" | "sad" | "dp4a"
            | "mul24" | "mad24" | "copysign" | "bmsk" | "szext" => self.bits(ins, m)?,
            "setp" | "set" => self.compare(ins, m)?,
            "selp" | "slct" => self.select(ins, m)?,
            "testp" => self.testp(ins, m)?,
            "rcp" | "sqrt" | "rsqrt" | "sin" | "cos" | "lg2" | "ex2" | "tanh" => {
                self.special_function(ins, m)?
            }
            "isspacep" => self.isspacep(ins, m)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if m.list.contains(&"cc") {
            return self.carry(ins, m);
        }
        let sub = m.root == "sub";
        let flags = flags(m);
        let ty = m.ty()?;
        m.done()?;
        let f = match ty {
            F32 if sub => single!(Map2s, flags, float::SubF, float::SubFx),
            F32 => single!(Map2s, flags, float::AddF, float::AddFx),
            F64 if sub => double!(Map2s, flags, m, float::SubD, float::SubDx),
            F64 => double!(Map2s, flags, m, float::AddD, float::AddDx),
            ty if ty.float() => {
                return self.half(ins, m, ty, flags, if sub { half_ops::SUB } else { half_ops::ADD });
            }
            S32 if flags == SAT => {
                if sub {
                    op::<Map2s<i32, int::SubSat>>()
                } else {
                    op::<Map2s<i32, int::AddSat>>()
                }
            }
            _ if flags != 0 => return m.unknown(),
            _ if sub => {
                bin!(ty, m, U32 | S32 => u32, int::Sub; U64 | S64 => u64, int::Sub; U16 | S16 => u16, int::Sub)
            }
            _ => {
                bin!(ty, m, U32 | S32 => u32, int::Add; U64 | S64 => u64, int::Add; U16 | S16 => u16, int::Add)
            }
        };
        self.simple(ins, f, class(ty), i64::from(flags), &[ty; 3])
    }

    /// 16-bit arithmetic of two or three operands.
    fn half(&mut self, ins: &Instr<'a>, m: &Mods<'a>, ty: Ty, flags: u32, what: u32) -> Res<()> {
        if flags & 3 != 0 {
            return m.unknown();
        }
        let imm = i64::from(flags | what << 8);
        let f = match (ty, what) {
            (F16, half_ops::FMA) => op::<Map3s<u32, half_ops::Single<f16>>>(),
            (F16x2, half_ops::FMA) => op::<Map3s<u32, half_ops::Double<f16>>>(),
            (Bf16, half_ops::FMA) => op::<Map3s<u32, half_ops::Single<bf16>>>(),
            (Bf16x2, half_ops::FMA) => op::<Map3s<u32, half_ops::Double<bf16>>>(),
            (F16, _) => op::<Map2s<u32, half_ops::Single<f16>>>(),
            (F16x2, _) => op::<Map2s<u32, half_ops::Double<f16>>>(),
            (Bf16, _) => op::<Map2s<u32, half_ops::Single<bf16>>>(),
            (Bf16x2, _) => op::<Map2s<u32, half_ops::Double<bf16>>>(),
            _ => return m.unknown(),
        };
        let n = if what == half_ops::FMA { 4 } else { 3 };
        self.simple(ins, f, Class::Fp16, imm, &[ty; 4][..n])
    }

    fn carry_flag(&mut self) -> u32 {
        match self.carry {
            Some(reg) => reg,
            None => {
                let reg = self.fresh(Width::Pred);
                self.carry = Some(reg);
                reg
            }
        }
    }

    /// `add.cc`, `addc`, `sub.cc`, `subc`.
    fn carry(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let (takes, gives, sub) = (m.root.ends_with('c'), m.take("cc"), m.root.starts_with("sub"));
        let ty = m.ty()?;
        m.done()?;
        self.arity(ins, 3)?;
        let d = self.dst(&ins.operands[0], ty, ins.line)?;
        let a = self.src(&ins.operands[1], ty, ins.line)?;
        let b = self.src(&ins.operands[2], ty, ins.line)?;
        self.emit_carry(ins, m, ty, [d, a, b], (takes, gives, sub))
    }

    fn emit_carry(
        &mut self,
        ins: &Instr<'a>,
        m: &Mods<'a>,
        ty: Ty,
        [d, a, b]: [u32; 3],
        (takes, gives, sub): (bool, bool, bool),
    ) -> Res<()> {
        let f = match ty {
            U32 | S32 => op::<int::Carry<u32>>(),
            U64 | S64 => op::<int::Carry<u64>>(),
            _ => return m.unknown(),
        };
        let cc = self.carry_flag();
        let (takes, gives) = (i64::from(takes), i64::from(gives));
        let imm = takes | gives << 1 | i64::from(sub) << 2;
        let role = |used: i64, role| if used != 0 { (cc, role) } else { (0, Role::Raw) };
        let operands =
            [(d, Role::Def), (a, Role::Use), (b, Role::Use), role(takes, Role::Use), role(gives, Role::Def)];
        self.emit(ins, Act::Op(f), Some(Class::Int), imm, &operands)
    }

    fn mul(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let part = m.one_of(&[("lo", 'l'), ("hi", 'h'), ("wide", 'w')]);
        let flags = flags(m);
        let ty = m.ty()?;
        m.done()?;
        let Some(part) = part else {
            let f = match ty {
                F32 => single!(Map2s, flags, float::MulF, float::MulFx),
                F64 => double!(Map2s, flags, m, float::MulD, float::MulDx),
                _ => return self.half(ins, m, ty, flags, half_ops::MUL),
            };
            return self.simple(ins, f, class(ty), i64::from(flags), &[ty; 3]);
        };
        let (f, d) = self.product(part, ty, m)?;
        self.simple(ins, f, Class::Int, 0, &[d, ty, ty])
    }

    /// An integer product: its function and the type of the result.
    fn product(&self, part: char, ty: Ty, m: &Mods<'a>) -> Res<(OpFn, Ty)> {
        let f = match part {
            'l' => {
                bin!(ty, m, U32 | S32 => u32, int::Mul; U64 | S64 => u64, int::Mul; U16 | S16 => u16, int::Mul)
            }
            'h' => bin!(ty, m,
                U32 => u32, int::MulHiU; S32 => i32, int::MulHiS; U64 => u64, int::MulHiU64;
                S64 => i64, int::MulHiS64; U16 => u16, int::MulHiU16; S16 => i16, int::MulHiS16),
            _ => {
                return Ok(match ty {
                    U32 => (op::<Map2<u32, u32, u64, int::MulWideU>>(), U64),
                    S32 => (op::<Map2<i32, i32, i64, int::MulWideS>>(), S64),
                    U16 => (op::<Map2<u16, u16, u32, int::MulWideU16>>(), U32),
                    S16 => (op::<Map2<i16, i16, i32, int::MulWideS16>>(), S32),
                    _ => return m.unknown(),
                });
            }
        };
        Ok((f, ty))
    }

    fn mad(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let part = m.one_of(&[("lo", 'l'), ("hi", 'h'), ("wide", 'w')]);
        let (takes, gives) = (m.root == "madc", m.take("cc"));
        if takes || gives {
            let ty = m.ty()?;
            m.done()?;
            self.arity(ins, 4)?;
            let (f, d) = self.product(part.unwrap_or('l'), ty, m)?;
            let part = self.fresh(Width::of(d));
            let a = self.src(&ins.operands[1], ty, ins.line)?;
            let b = self.src(&ins.operands[2], ty, ins.line)?;
            let operands = [(part, Role::Def), (a, Role::Use), (b, Role::Use)];
            self.emit(ins, Act::Op(f), Some(Class::Int), 0, &operands)?;
            let dst = self.dst(&ins.operands[0], d, ins.line)?;
            let c = self.src(&ins.operands[3], d, ins.line)?;
            return self.emit_carry(ins, m, d, [dst, part, c], (takes, gives, false));
        }
        let Some(part) = part else { return self.fma(ins, m) };
        let ty = m.ty()?;
        m.done()?;
        let (f, d) = match (part, ty) {
            ('l', _) => (
                tri!(ty, m, U32 | S32 => u32, int::Mad; U64 | S64 => u64, int::Mad; U16 | S16 => u16, int::Mad),
                ty,
            ),
            ('h', _) => (
                tri!(ty, m, U32 => u32, int::MadHiU; S32 => i32, int::MadHiS; U64 => u64, int::MadHiU64;
                    S64 => i64, int::MadHiS64),
                ty,
            ),
            (_, U32) => (op::<Map3<u32, u32, u64, u64, int::MadWideU>>(), U64),
            (_, S32) => (op::<Map3<i32, i32, i64, i64, int::MadWideS>>(), S64),
            (_, U16) => (op::<Map3<u16, u16, u32, u32, int::MadWideU16>>(), U32),
            (_, S16) => (op::<Map3<i16, i16, i32, i32, int::MadWideS16>>(), S32),
            _ => return m.unknown(),
        };
        self.simple(ins, f, Class::Int, 0, &[d, ty, ty, d])
    }

    fn fma(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let relu = if m.take("relu") { half_ops::RELU } else { 0 };
        let flags = flags(m);
        let ty = m.ty()?;
        m.done()?;
        let f = match ty {
            F32 if relu == 0 => single!(Map3s, flags, float::FmaF, float::FmaFx),
            F64 if relu == 0 => double!(Map3s, flags, m, float::FmaD, float::FmaDx),
            _ => return self.half(ins, m, ty, flags | relu, half_ops::FMA),
        };
        self.simple(ins, f, class(ty), i64::from(flags), &[ty; 4])
    }

    fn div(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let approx = m.one_of(&[("approx", 'a'), ("full", 'f')]);
        let flags = flags(m);
        let ty = m.ty()?;
        m.done()?;
        let f = match (ty, approx) {
            (F32, Some('a')) if flags == 0 => op::<Map2s<f32, float::DivApproxF>>(),
            (F32, Some('a')) if flags == FTZ => op::<Map2s<Fz, float::DivApproxF>>(),
            (F32, Some(_)) if flags == 0 => op::<Map2s<f32, float::DivFullF>>(),
            (F32, Some(_)) if flags == FTZ => op::<Map2s<Fz, float::DivFullF>>(),
            (F32, None) => single!(Map2s, flags, float::DivF, float::DivFx),
            (F64, None) => double!(Map2s, flags, m, float::DivD, float::DivDx),
            _ if flags != 0 || approx.is_some() => return m.unknown(),
            _ if m.root == "rem" => bin!(ty, m,
                U32 => u32, int::RemU; U64 => u64, int::RemU; U16 => u16, int::RemU;
                S32 => i32, int::RemS; S64 => i64, int::RemS; S16 => i16, int::RemS),
            _ => bin!(ty, m,
                U32 => u32, int::DivU; U64 => u64, int::DivU64; U16 => u16, int::DivU16;
                S32 => i32, int::DivS; S64 => i64, int::DivS; S16 => i16, int::DivS),
        };
        if m.root == "rem" && ty.float() {
            return m.unknown();
        }
        self.simple(ins, f, class(ty), i64::from(flags), &[ty; 3])
    }

    fn minmax(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let (min, nan, flags) = (m.root == "min", m.take("NaN"), flags(m));
        let ty = m.ty()?;
        m.done()?;
        let f = match (ty, min, nan, flags) {
            (F32, true, false, 0) => op::<Map2s<f32, float::MinF>>(),
            (F32, true, false, FTZ) => op::<Map2s<Fz, float::MinF>>(),
            (F32, false, false, 0) => op::<Map2s<f32, float::MaxF>>(),
            (F32, false, false, FTZ) => op::<Map2s<Fz, float::MaxF>>(),
            (F32, true, true, 0) => op::<Map2s<f32, float::MinNanF>>(),
            (F32, true, true, FTZ) => op::<Map2s<Fz, float::MinNanF>>(),
            (F32, false, true, 0) => op::<Map2s<f32, float::MaxNanF>>(),
            (F32, false, true, FTZ) => op::<Map2s<Fz, float::MaxNanF>>(),
            (F64, true, false, 0) => op::<Map2s<f64, float::MinD>>(),
            (F64, false, false, 0) => op::<Map2s<f64, float::MaxD>>(),
            (F16 | F16x2 | Bf16 | Bf16x2, ..) => {
                let what = if min { half_ops::MIN } else { half_ops::MAX };
                return self.half(ins, m, ty, flags | if nan { half_ops::NANS } else { 0 }, what);
            }
            (_, true, false, 0) => bin!(ty, m,
                U32 => u32, int::Min; U64 => u64, int::Min; U16 => u16, int::Min;
                S32 => i32, int::Min; S64 => i64, int::Min; S16 => i16, int::Min),
            (_, false, false, 0) => bin!(ty, m,
                U32 => u32, int::Max; U64 => u64, int::Max; U16 => u16, int::Max;
                S32 => i32, int::Max; S64 => i64, int::Max; S16 => i16, int::Max),
            _ => return m.unknown(),
        };
        self.simple(ins, f, class(ty), 0, &[ty; 3])
    }

    fn sign(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let (neg, flags) = (m.root == "neg", flags(m));
        let ty = m.ty()?;
        m.done()?;
        if flags & !FTZ != 0 || (flags != 0 && ty != F32) {
            return m.unknown();
        }
        if matches!(ty, F16 | Bf16 | F16x2 | Bf16x2) {
            let bits: u64 = if ty == F16 || ty == Bf16 { 0x8000 } else { 0x8000_8000 };
            self.arity(ins, 2)?;
            let d = self.dst(&ins.operands[0], ty, ins.line)?;
            let a = self.src(&ins.operands[1], ty, ins.line)?;
            let by = self.constant(Width::W32, if neg { bits } else { !bits });
            let f = if neg { op::<Map2s<u32, int::Xor>>() } else { op::<Map2s<u32, int::And>>() };
            let operands = [(d, Role::Def), (a, Role::Use), (by, Role::Use)];
            return self.emit(ins, Act::Op(f), Some(Class::Fp16), 0, &operands);
        }
        let f = match (ty, neg) {
            (F32, true) => op::<Map1s<u32, float::NegF>>(),
            (F32, false) => op::<Map1s<u32, float::AbsF>>(),
            (F64, true) => op::<Map1s<u64, float::NegF>>(),
            (F64, false) => op::<Map1s<u64, float::AbsF>>(),
            (_, true) => un!(ty, m, S32 => i32, int::Neg; S64 => i64, int::Neg; S16 => i16, int::Neg),
            (_, false) => un!(ty, m, S32 => i32, int::Abs; S64 => i64, int::Abs; S16 => i16, int::Abs),
        };
        self.simple(ins, f, class(ty), i64::from(flags), &[ty; 2])
    }

    fn special_function(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let approx = m.take("approx");
        let flags = flags(m);
        let ty = m.ty()?;
        m.done()?;
        macro_rules! approximate {
            ($f:path) => {
                match flags {
                    0 => op::<Map1s<f32, $f>>(),
                    FTZ => op::<Map1s<Fz, $f>>(),
                    _ => return m.unknown(),
                }
            };
        }
        let f = match (m.root, ty, approx) {
            ("rcp", F32, true) => approximate!(float::RcpF),
            ("sqrt", F32, true) => approximate!(float::SqrtF),
            ("rsqrt", F32, true) => approximate!(float::RsqrtF),
            ("sin", F32, true) => approximate!(float::SinF),
            ("cos", F32, true) => approximate!(float::CosF),
            ("lg2", F32, true) => approximate!(float::Lg2F),
            ("ex2", F32, true) => approximate!(float::Ex2F),
            ("tanh", F32, true) => approximate!(float::TanhF),
            ("rcp", F32, false) => single!(Map1s, flags, float::RcpF, float::RcpFx),
            ("sqrt", F32, false) => single!(Map1s, flags, float::SqrtF, float::SqrtFx),
            ("rcp", F64, true) if flags == FTZ => op::<Map1s<f64, float::RcpApproxD>>(),
            ("rsqrt", F64, true) if flags == FTZ => op::<Map1s<f64, float::RsqrtFtzD>>(),
            ("rsqrt", F64, true) if flags == 0 => op::<Map1s<f64, float::RsqrtApproxD>>(),
            ("rcp", F64, false) => double!(Map1s, flags, m, float::RcpD, float::RcpDx),
            ("sqrt", F64, false) => double!(Map1s, flags, m, float::SqrtD, float::SqrtDx),
            _ => return m.unknown(),
        };
        let class = if approx || ty == F32 { Class::Special } else { Class::Fp64 };
        self.simple(ins, f, class, i64::from(flags), &[ty; 2])
    }
}
