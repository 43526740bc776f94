//! Comparisons, selections, tests.

use half::{bf16, f16};

use super::alu::{Map2s, class, flags};
use super::{Act, Lower, Mods, Res, Role, Width, bad, op, shown};
use crate::exec::float::{FTZ, Fz};
use crate::exec::half_ops;
use crate::exec::int;
use crate::exec::lanes::{Map1, Map3};
use crate::exec::pred::{self, FromPred, Select, Setp};
use crate::ir::{Class, OpFn};
use crate::parse::ast::{Instr, Operand, Space, Ty};

use Ty::{B16, B32, B64, Bf16, F16, F32, F64, S16, S32, S64, U16, U32, U64};

impl<'a> Lower<'a, '_> {
    pub(super) fn compare(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
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

    pub(super) fn select(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
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

    pub(super) fn testp(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
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

    /// `isspacep.shared p, a`: whether a generic address lies in a state space's window.
    pub(super) fn isspacep(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
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
