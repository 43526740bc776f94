//! Arithmetic, moves, comparisons.

use super::{Act, Lower, Mods, Res, Role, Width, bad, op, shown};
use crate::exec::float::{self, FTZ, Fz, SAT};
use crate::exec::half_ops;
use crate::exec::int;
use crate::exec::lanes::{Map1, Map2, Map3};
use crate::exec::pred::{self, FromPred, Logic, Select, Setp};
use crate::exec::round;
use crate::exec::warp_ops::Clock;
use crate::ir::{Class, OpFn};
use crate::parse::ast::{Instr, Operand, Space, Ty};
use half::{bf16, f16};

type Map1s<T, F> = Map1<T, T, F>;
type Map2s<T, F> = Map2<T, T, T, F>;
type Map3s<T, F> = Map3<T, T, T, T, F>;

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

use Ty::{B16, B32, B64, Bf16, Bf16x2, F16, F16x2, F32, F64, S16, S32, S64, U16, U32, U64};

/// Rounding, flushing and saturation as an instruction's constant.
pub(super) fn flags(m: &mut Mods<'_>) -> u32 {
    let round = m.one_of(&[("rn", 0), ("rz", 1), ("rm", 2), ("rp", 3)]).unwrap_or(0);
    round | if m.take("ftz") { FTZ } else { 0 } | if m.take("sat") { SAT } else { 0 }
}

fn class(ty: Ty) -> Class {
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

    fn mov(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let ty = m.ty()?;
        m.done()?;
        self.arity(ins, 2)?;
        let line = ins.line;
        if ty == Ty::Pred {
            let d = self.dst(&ins.operands[0], ty, line)?;
            let (a, negated) = self.pred_operand(&ins.operands[1], line)?;
            let imm = 3 | if negated { 16 } else { 0 };
            return self.emit_logic(ins, d, a, a, imm);
        }
        match (&ins.operands[0], &ins.operands[1]) {
            (Operand::Vector(parts), whole) if ty.size() >= 4 => {
                let src = self.src(whole, ty, line)?;
                self.unpack(ins, parts, src, ty)
            }
            (whole, Operand::Vector(parts)) if ty.size() >= 4 => {
                let dst = self.dst(whole, ty, line)?;
                self.pack(ins, dst, parts, ty)
            }
            (d, Operand::Name(name)) if name.starts_with("%clock") || name.starts_with("%globaltimer") => {
                let imm = match *name {
                    "%clock" | "%globaltimer_lo" => 0,
                    "%clock_hi" | "%globaltimer_hi" => 1,
                    "%clock64" | "%globaltimer" => 2,
                    _ => return bad(line, format!("`{name}` is not declared")),
                };
                if (imm == 2) != (ty.size() == 8) {
                    return bad(line, format!("`{name}` has another width than {ty:?}"));
                }
                let d = self.dst(d, ty, line)?;
                self.emit(ins, Act::Op(op::<Clock>()), Some(Class::Move), imm, &[(d, Role::Def)])
            }
            _ => {
                let f = match Width::of(ty) {
                    Width::W64 => op::<Map1s<u64, int::Mov>>(),
                    _ => op::<Map1s<u32, int::Mov>>(),
                };
                self.simple(ins, f, Class::Move, 0, &[ty, ty])
            }
        }
    }

    /// `mov.b64 {lo, hi}, d`
    fn unpack(&mut self, ins: &Instr<'a>, parts: &[Operand<'a>], src: u32, ty: Ty) -> Res<()> {
        let half = match ty.size() {
            8 => B32,
            _ => B16,
        };
        let [low, high] = parts else {
            return bad(ins.line, format!("a mov between {ty:?} and {} parts is not supported", parts.len()));
        };
        let (f, g): (OpFn, OpFn) = if ty.size() == 8 {
            (op::<Map1<u64, u32, int::Low>>(), op::<Map1<u64, u32, int::High>>())
        } else {
            (op::<Map1s<u32, int::LowHalf>>(), op::<Map1s<u32, int::HighHalf>>())
        };
        // The source may be one of the destinations (of 16 bits in a register of 32): keep it until both are had.
        let (low, high) = (self.dst(low, half, ins.line)?, self.dst(high, half, ins.line)?);
        let kept = self.fresh(Width::W32);
        self.emit(ins, Act::Op(f), Some(Class::Move), 0, &[(kept, Role::Def), (src, Role::Use)])?;
        self.emit(ins, Act::Op(g), None, 0, &[(high, Role::Def), (src, Role::Use)])?;
        let mov = op::<Map1s<u32, int::Mov>>();
        self.emit(ins, Act::Op(mov), None, 0, &[(low, Role::Def), (kept, Role::Use)])
    }

    /// `mov.b64 d, {lo, hi}`
    fn pack(&mut self, ins: &Instr<'a>, dst: u32, parts: &[Operand<'a>], ty: Ty) -> Res<()> {
        let (half, f) = match ty.size() {
            8 => (B32, op::<Map2<u32, u32, u64, int::Pack>>()),
            _ => (B16, op::<Map2s<u32, int::PackHalf>>()),
        };
        let [low, high] = parts else {
            return bad(ins.line, format!("a mov between {ty:?} and {} parts is not supported", parts.len()));
        };
        let (low, high) = (self.src(low, half, ins.line)?, self.src(high, half, ins.line)?);
        let operands = [(dst, Role::Def), (low, Role::Use), (high, Role::Use)];
        self.emit(ins, Act::Op(f), Some(Class::Move), 0, &operands)
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

    fn logic(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let ty = m.ty()?;
        m.done()?;
        if ty == Ty::Pred {
            let one = m.root == "not";
            self.arity(ins, if one { 2 } else { 3 })?;
            let d = self.dst(&ins.operands[0], ty, ins.line)?;
            let (a, na) = self.pred_operand(&ins.operands[1], ins.line)?;
            let (b, nb) = if one { (a, false) } else { self.pred_operand(&ins.operands[2], ins.line)? };
            let what = match m.root {
                "and" => 0,
                "or" => 1,
                "xor" => 2,
                "not" => 3 | 64,
                _ => return m.unknown(),
            };
            return self.emit_logic(ins, d, a, b, what | i64::from(na) << 4 | i64::from(nb) << 5);
        }
        let f = match m.root {
            "and" => bin!(ty, m, B32 | B16 => u32, int::And; B64 => u64, int::And),
            "or" => bin!(ty, m, B32 | B16 => u32, int::Or; B64 => u64, int::Or),
            "xor" => bin!(ty, m, B32 | B16 => u32, int::Xor; B64 => u64, int::Xor),
            "not" => un!(ty, m, B32 => u32, int::Not; B64 => u64, int::Not; B16 => u16, int::Not),
            _ => un!(ty, m, B32 => u32, int::Cnot; B64 => u64, int::Cnot64; B16 => u16, int::Cnot16),
        };
        let n = if matches!(m.root, "not" | "cnot") { 2 } else { 3 };
        self.simple(ins, f, Class::Int, 0, &[ty; 3][..n])
    }

    fn emit_logic(&mut self, ins: &Instr<'a>, d: u32, a: u32, b: u32, imm: i64) -> Res<()> {
        let operands = [(d, Role::Def), (a, Role::Use), (b, Role::Use)];
        self.emit(ins, Act::Op(op::<Logic>()), Some(Class::Int), imm, &operands)
    }

    fn shift(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if m.root == "shf" {
            let left = m.one_of(&[("l", true), ("r", false)]);
            let wrap = m.one_of(&[("wrap", true), ("clamp", false)]);
            let ty = m.ty()?;
            m.done()?;
            let f = match (left, wrap, ty) {
                (Some(true), Some(true), B32) => op::<Map3s<u32, int::ShfLWrap>>(),
                (Some(true), Some(false), B32) => op::<Map3s<u32, int::ShfLClamp>>(),
                (Some(false), Some(true), B32) => op::<Map3s<u32, int::ShfRWrap>>(),
                (Some(false), Some(false), B32) => op::<Map3s<u32, int::ShfRClamp>>(),
                _ => return m.unknown(),
            };
            return self.simple(ins, f, Class::Int, 0, &[ty; 4]);
        }
        let ty = m.ty()?;
        m.done()?;
        let f = match (m.root, ty) {
            ("shl", B32) => op::<Map2<u32, u32, u32, int::Shl>>(),
            ("shl", B64) => op::<Map2<u64, u32, u64, int::Shl64>>(),
            ("shl", B16) => op::<Map2<u16, u32, u16, int::Shl16>>(),
            ("shr", U32 | B32) => op::<Map2<u32, u32, u32, int::ShrU>>(),
            ("shr", U64 | B64) => op::<Map2<u64, u32, u64, int::ShrU64>>(),
            ("shr", U16 | B16) => op::<Map2<u16, u32, u16, int::ShrU16>>(),
            ("shr", S32) => op::<Map2<i32, u32, i32, int::ShrS>>(),
            ("shr", S64) => op::<Map2<i64, u32, i64, int::ShrS64>>(),
            ("shr", S16) => op::<Map2<i16, u32, i16, int::ShrS16>>(),
            _ => return m.unknown(),
        };
        self.simple(ins, f, Class::Int, 0, &[ty, ty, U32])
    }

    fn bits(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let mut imm = 0;
        let shiftamt = m.take("shiftamt");
        let mode = m.one_of(&[("f4e", 1), ("b4e", 2), ("rc8", 3), ("ecl", 4), ("ecr", 5), ("rc16", 6)]);
        let half = m.one_of(&[("lo", 'l'), ("hi", 'h')]);
        let clamp = m.one_of(&[("clamp", true), ("wrap", false)]);
        if m.root == "dp4a" {
            let b = m.ty()?;
            let a = m.ty()?;
            m.done()?;
            let f = match (a, b) {
                (U32, U32) => op::<Map3s<u32, int::Dp4aUU>>(),
                (S32, S32) => op::<Map3s<u32, int::Dp4aSS>>(),
                (S32, U32) => op::<Map3s<u32, int::Dp4aSU>>(),
                (U32, S32) => op::<Map3s<u32, int::Dp4aUS>>(),
                _ => return m.unknown(),
            };
            return self.simple(ins, f, Class::Int, 0, &[U32; 4]);
        }
        let ty = m.ty()?;
        m.done()?;
        let (f, types): (OpFn, &[Ty]) = match (m.root, ty) {
            ("bfe", U32) => (op::<Map3<u32, u32, u32, u32, int::BfeU>>(), &[U32; 4]),
            ("bfe", S32) => (op::<Map3<i32, u32, u32, i32, int::BfeS>>(), &[S32, S32, U32, U32]),
            ("bfe", U64) => (op::<Map3<u64, u32, u32, u64, int::BfeU64>>(), &[U64, U64, U32, U32]),
            ("bfe", S64) => (op::<Map3<i64, u32, u32, i64, int::BfeS64>>(), &[S64, S64, U32, U32]),
            ("bfi", B32) => (op::<int::Bfi>(), &[B32, B32, B32, U32, U32]),
            ("bfi", B64) => (op::<int::Bfi64>(), &[B64, B64, B64, U32, U32]),
            ("bfind", U32) if shiftamt => (op::<Map1<u32, u32, int::ShiftU>>(), &[U32, U32]),
            ("bfind", U64) if shiftamt => (op::<Map1<u64, u32, int::ShiftU64>>(), &[U32, U64]),
            ("bfind", S32) if shiftamt => (op::<Map1<i32, u32, int::ShiftS>>(), &[U32, S32]),
            ("bfind", S64) if shiftamt => (op::<Map1<i64, u32, int::ShiftS64>>(), &[U32, S64]),
            ("bfind", U32) => (op::<Map1<u32, u32, int::FindU>>(), &[U32, U32]),
            ("bfind", U64) => (op::<Map1<u64, u32, int::FindU64>>(), &[U32, U64]),
            ("bfind", S32) => (op::<Map1<i32, u32, int::FindS>>(), &[U32, S32]),
            ("bfind", S64) => (op::<Map1<i64, u32, int::FindS64>>(), &[U32, S64]),
            ("brev", B32) => (op::<Map1s<u32, int::Brev>>(), &[B32, B32]),
            ("brev", B64) => (op::<Map1s<u64, int::Brev>>(), &[B64, B64]),
            ("clz", B32) => (op::<Map1<u32, u32, int::Clz>>(), &[U32, B32]),
            ("clz", B64) => (op::<Map1<u64, u32, int::Clz>>(), &[U32, B64]),
            ("popc", B32) => (op::<Map1<u32, u32, int::Popc>>(), &[U32, B32]),
            ("popc", B64) => (op::<Map1<u64, u32, int::Popc>>(), &[U32, B64]),
            ("prmt", B32) => {
                imm = mode.unwrap_or(0);
                (op::<int::Prmt>(), &[B32; 4])
            }
            ("lop3", B32) => {
                let Some(Operand::Int(table)) = ins.operands.get(4) else { return m.unknown() };
                imm = (*table & 0xff) as i64;
                let shorter = Instr { operands: ins.operands[..4].to_vec(), ..ins.clone() };
                return self.simple(&shorter, op::<int::Lop3>(), Class::Int, imm, &[B32; 4]);
            }
            ("sad", U32) => (op::<Map3s<u32, int::SadU>>(), &[U32; 4]),
            ("sad", S32) => (op::<Map3s<i32, int::SadS>>(), &[S32; 4]),
            ("mul24", U32) if half == Some('h') => (op::<Map2s<u32, int::Mul24HiU>>(), &[U32; 3]),
            ("mul24", S32) if half == Some('h') => (op::<Map2s<i32, int::Mul24HiS>>(), &[S32; 3]),
            ("mul24", U32) => (op::<Map2s<u32, int::Mul24U>>(), &[U32; 3]),
            ("mul24", S32) => (op::<Map2s<i32, int::Mul24S>>(), &[S32; 3]),
            ("mad24", U32) if half == Some('l') => (op::<Map3s<u32, int::Mad24U>>(), &[U32; 4]),
            ("mad24", S32) if half == Some('l') => (op::<Map3s<i32, int::Mad24S>>(), &[S32; 4]),
            ("copysign", F32) => (op::<Map2s<u32, int::CopySign>>(), &[F32; 3]),
            ("copysign", F64) => (op::<Map2s<u64, int::CopySign64>>(), &[F64; 3]),
            ("bmsk", B32) if clamp == Some(true) => (op::<Map2s<u32, int::BmskClamp>>(), &[U32; 3]),
            ("bmsk", B32) => (op::<Map2s<u32, int::BmskWrap>>(), &[U32; 3]),
            ("szext", S32) if clamp == Some(true) => {
                (op::<Map2<i32, u32, i32, int::Szext>>(), &[S32, S32, U32])
            }
            ("szext", U32) if clamp == Some(true) => (op::<Map2s<u32, int::SzextU>>(), &[U32; 3]),
            _ => return m.unknown(),
        };
        self.simple(ins, f, class(ty), imm, types)
    }

    fn compare(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let set = m.root == "set";
        let names = [
            ("eq", 0),
            ("ne", 1),
            ("lt", 2),
            ("le", 3),
            ("gt", 4),
            ("ge", 5),
            ("lo", 2),
            ("ls", 3),
            ("hi", 4),
            ("hs", 5),
            ("equ", 6),
            ("neu", 7),
            ("ltu", 8),
            ("leu", 9),
            ("gtu", 10),
            ("geu", 11),
            ("num", 12),
            ("nan", 13),
        ];
        let Some(cmp) = m.one_of(&names) else { return m.unknown() };
        let join = m.one_of(&[("and", 0), ("or", 1), ("xor", 2)]);
        let flags = flags(m);
        let ty = m.ty()?;
        let to = if set { Some(m.ty()?) } else { None };
        m.done()?;
        self.arity(ins, if join.is_some() { 4 } else { 3 })?;
        let f = comparison(ty, cmp, flags, m)?;
        let mut a = self.src(&ins.operands[1], ty, ins.line)?;
        let mut b = self.src(&ins.operands[2], ty, ins.line)?;
        if ty == F16 || ty == Bf16 {
            // Compared in single precision.
            let widen = if ty == F16 {
                op::<Map1<u32, f32, half_ops::ToF32<f16>>>()
            } else {
                op::<Map1<u32, f32, half_ops::ToF32<bf16>>>()
            };
            for x in [&mut a, &mut b] {
                let wide = self.fresh(Width::W32);
                let operands = [(wide, Role::Def), (*x, Role::Use)];
                self.emit(ins, Act::Op(widen), None, i64::from(flags), &operands)?;
                *x = wide;
            }
        }
        let (p, q) = match &ins.operands[0] {
            Operand::Pair(p, q) if !set => (
                self.dst(&Operand::Name(p), Ty::Pred, ins.line)?,
                Some(self.dst(&Operand::Name(q), Ty::Pred, ins.line)?),
            ),
            _ if set => (self.fresh(Width::Pred), None),
            operand => (self.dst(operand, Ty::Pred, ins.line)?, None),
        };
        let holds = if join.is_some() || q.is_some() { self.fresh(Width::Pred) } else { p };
        let operands = [(holds, Role::Def), (a, Role::Use), (b, Role::Use)];
        self.emit(ins, Act::Op(f), Some(class(ty)), 0, &operands)?;
        if holds != p {
            let (c, negated) = match join {
                Some(_) => self.pred_operand(&ins.operands[3], ins.line)?,
                None => (holds, false),
            };
            let how = join.unwrap_or(3);
            // The combining predicate may be the first destination: take the second's copy before.
            let c2 = self.fresh(Width::Pred);
            self.emit_logic(ins, c2, c, c, 3 | i64::from(negated) << 4)?;
            self.emit_logic(ins, p, holds, c2, how)?;
            if let Some(q) = q {
                self.emit_logic(ins, q, holds, c2, how | 16)?;
            }
        }
        if let Some(to) = to {
            let d = self.dst(&ins.operands[0], to, ins.line)?;
            let yes = match to {
                U32 | S32 => 0xffff_ffff,
                F32 => i64::from(1f32.to_bits()),
                _ => return m.unknown(),
            };
            let operands = [(d, Role::Def), (p, Role::Use)];
            self.emit(ins, Act::Op(op::<FromPred>()), None, yes, &operands)?;
        }
        Ok(())
    }

    fn select(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if m.root == "slct" {
            m.take("ftz");
            let by = m.ty()?;
            let ty = m.ty()?;
            m.done()?;
            let f = match (Width::of(ty), by) {
                (Width::W32, S32) => op::<Map3<u32, u32, i32, u32, int::Slct>>(),
                (Width::W64, S32) => op::<Map3<u64, u64, i32, u64, int::Slct64>>(),
                (Width::W32, F32) => op::<Map3<u32, u32, f32, u32, int::SlctF>>(),
                (Width::W64, F32) => op::<Map3<u64, u64, f32, u64, int::SlctF64>>(),
                _ => return m.unknown(),
            };
            return self.simple(ins, f, Class::Move, 0, &[ty, ty, ty, by]);
        }
        let ty = m.ty()?;
        m.done()?;
        self.arity(ins, 4)?;
        let d = self.dst(&ins.operands[0], ty, ins.line)?;
        let a = self.src(&ins.operands[1], ty, ins.line)?;
        let b = self.src(&ins.operands[2], ty, ins.line)?;
        let (p, negated) = self.pred_operand(&ins.operands[3], ins.line)?;
        let f = match Width::of(ty) {
            Width::W64 => op::<Select<u64>>(),
            Width::W32 => op::<Select<u32>>(),
            Width::Pred => return m.unknown(),
        };
        let operands = [(d, Role::Def), (a, Role::Use), (b, Role::Use), (p, Role::Use)];
        self.emit(ins, Act::Op(f), Some(Class::Move), i64::from(negated), &operands)
    }

    fn testp(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let names = [
            ("finite", 0),
            ("infinite", 1),
            ("number", 2),
            ("notanumber", 3),
            ("normal", 4),
            ("subnormal", 5),
        ];
        let Some(what) = m.one_of(&names) else { return m.unknown() };
        let ty = m.ty()?;
        m.done()?;
        let f = match ty {
            F32 => op::<pred::TestF32>(),
            F64 => op::<pred::TestF64>(),
            _ => return m.unknown(),
        };
        self.simple(ins, f, class(ty), what, &[Ty::Pred, ty])
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

    /// `isspacep.shared p, a`: whether a generic address lies in a state space's window.
    fn isspacep(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        m.drop_prefix("shared::");
        let spaces = [("global", Space::Global), ("shared", Space::Shared), ("local", Space::Local)];
        let Some(space) = m.one_of(&spaces) else { return m.unknown() };
        m.done()?;
        self.arity(ins, 2)?;
        let p = self.dst(&ins.operands[0], Ty::Pred, ins.line)?;
        let a = self.src(&ins.operands[1], U64, ins.line)?;
        if matches!(ins.operands[1], Operand::Int(_)) {
            return bad(ins.line, format!("{} is no address", shown(&ins.operands[1])));
        }
        let d = self.fresh(Width::W64);
        let (base, size) = match space {
            Space::Shared => (crate::memory::SHARED_WINDOW, crate::memory::WINDOW),
            Space::Local => (crate::memory::LOCAL_WINDOW, crate::memory::WINDOW),
            _ => (crate::memory::GLOBAL_BASE, u64::MAX - crate::memory::GLOBAL_BASE),
        };
        let less = self.constant(Width::W64, base.wrapping_neg());
        let add = op::<Map2s<u64, int::Add>>();
        self.emit(ins, Act::Op(add), None, 0, &[(d, Role::Def), (a, Role::Use), (less, Role::Use)])?;
        let size = self.constant(Width::W64, size);
        let f = op::<Setp<u64, { pred::LT }>>();
        let operands = [(p, Role::Def), (d, Role::Use), (size, Role::Use)];
        self.emit(ins, Act::Op(f), Some(Class::Int), 0, &operands)
    }
}

macro_rules! ints {
    ($t:ty, $cmp:expr, $m:expr) => {
        match $cmp {
            0 => op::<Setp<$t, 0>>(),
            1 => op::<Setp<$t, 1>>(),
            2 => op::<Setp<$t, 2>>(),
            3 => op::<Setp<$t, 3>>(),
            4 => op::<Setp<$t, 4>>(),
            5 => op::<Setp<$t, 5>>(),
            _ => return $m.unknown(),
        }
    };
}

macro_rules! floats {
    ($t:ty, $cmp:expr, $m:expr) => {
        match $cmp {
            6 => op::<Setp<$t, 6>>(),
            7 => op::<Setp<$t, 7>>(),
            8 => op::<Setp<$t, 8>>(),
            9 => op::<Setp<$t, 9>>(),
            10 => op::<Setp<$t, 10>>(),
            11 => op::<Setp<$t, 11>>(),
            12 => op::<Setp<$t, 12>>(),
            13 => op::<Setp<$t, 13>>(),
            _ => ints!($t, $cmp, $m),
        }
    };
}

fn comparison(ty: Ty, cmp: u8, flags: u32, m: &Mods<'_>) -> Res<OpFn> {
    Ok(match (ty, flags) {
        (F32, 0) | (F16 | Bf16, 0 | FTZ) => floats!(f32, cmp, m),
        (F32, FTZ) => floats!(Fz, cmp, m),
        (F64, 0) => floats!(f64, cmp, m),
        (U32 | B32, 0) => ints!(u32, cmp, m),
        (S32, 0) => ints!(i32, cmp, m),
        (U64 | B64, 0) => ints!(u64, cmp, m),
        (S64, 0) => ints!(i64, cmp, m),
        (U16 | B16, 0) => ints!(u16, cmp, m),
        (S16, 0) => ints!(i16, cmp, m),
        _ => return m.unknown(),
    })
}
