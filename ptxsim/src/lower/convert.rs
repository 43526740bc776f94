//! `cvt` in all its forms.

use super::alu::flags;
use super::{Act, Lower, Mods, Res, Role, Width, bad, op};
use crate::exec::cvt::{self, Any, Spec};
use crate::exec::float::FTZ;
use crate::exec::int;
use crate::exec::lanes::{Map1, Map2};
use crate::ir::{Class, OpFn};
use crate::parse::ast::{Instr, Ty};

impl<'a> Lower<'a, '_> {
    pub(super) fn convert(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<bool> {
        if m.root != "cvt" {
            return Ok(false);
        }
        if m.take("pack") {
            return m.unknown();
        }
        let integral = m.one_of(&[("rni", 0), ("rzi", 1), ("rmi", 2), ("rpi", 3)]);
        let away = m.take("rna");
        let relu = m.take("relu");
        m.take("satfinite");
        let flags = flags(m) | integral.unwrap_or(0);
        let from = m.ty()?;
        let to = m.ty()?;
        m.done()?;
        if away != (to == Ty::Tf32) || (to == Ty::Tf32 && from != Ty::F32) {
            return m.unknown();
        }
        if matches!(to, Ty::F16x2 | Ty::Bf16x2) {
            self.two(ins, m, to, from, flags, relu)?;
            return Ok(true);
        }
        self.arity(ins, 2)?;
        let (d, dst_width) = self.dst_any(&ins.operands[0], ins.line)?;
        let (a, src_width) = self.src_any(&ins.operands[1], from, ins.line)?;
        if width_bytes(dst_width) < to.size() || width_bytes(src_width) < from.size() {
            return bad(ins.line, format!("`{}` between registers of other widths", ins.op));
        }
        let spec = Spec { flags, integral: integral.is_some(), relu, to, from };
        let Some(imm) = spec.pack() else { return m.unknown() };
        let (f, imm) = match fast(spec, dst_width, src_width) {
            Some(f) => (f, 0),
            None => (any(dst_width, src_width), i64::from(imm)),
        };
        self.emit(ins, Act::Op(f), Some(Class::Convert), imm, &[(d, Role::Def), (a, Role::Use)])?;
        Ok(true)
    }

    /// `cvt.rn.bf16x2.f32 d, a, b`: a into the upper half, b into the lower.
    fn two(&mut self, ins: &Instr<'a>, m: &Mods<'a>, to: Ty, from: Ty, flags: u32, relu: bool) -> Res<()> {
        if from != Ty::F32 {
            return m.unknown();
        }
        self.arity(ins, 3)?;
        let d = self.dst(&ins.operands[0], to, ins.line)?;
        let one = if to == Ty::F16x2 { Ty::F16 } else { Ty::Bf16 };
        let spec = Spec { flags, integral: false, relu, to: one, from };
        let Some(imm) = spec.pack() else { return m.unknown() };
        let f = any(Width::W32, Width::W32);
        let mut halves = [0; 2];
        for (half, operand) in halves.iter_mut().zip(&ins.operands[1..]) {
            let a = self.src(operand, from, ins.line)?;
            *half = self.fresh(Width::W32);
            let operands = [(*half, Role::Def), (a, Role::Use)];
            self.emit(ins, Act::Op(f), None, i64::from(imm), &operands)?;
        }
        let pack = op::<Map2<u32, u32, u32, int::PackHalf>>();
        let operands = [(d, Role::Def), (halves[1], Role::Use), (halves[0], Role::Use)];
        self.emit(ins, Act::Op(pack), Some(Class::Convert), 0, &operands)
    }
}

fn width_bytes(width: Width) -> u32 {
    if width == Width::W64 { 8 } else { 4 }
}

fn any(dst: Width, src: Width) -> OpFn {
    match (dst == Width::W64, src == Width::W64) {
        (false, false) => op::<Map1<u32, u32, Any>>(),
        (false, true) => op::<Map1<u64, u32, Any>>(),
        (true, false) => op::<Map1<u32, u64, Any>>(),
        (true, true) => op::<Map1<u64, u64, Any>>(),
    }
}

/// The common conversions between registers of just the types' widths.
fn fast(spec: Spec, dst: Width, src: Width) -> Option<OpFn> {
    use Ty::{F32, F64, S16, S32, S64, U16, U32, U64};
    if dst != Width::of(spec.to) || src != Width::of(spec.from) || spec.relu {
        return None;
    }
    Some(match (spec.to, spec.from, spec.integral, spec.flags) {
        (U32 | S32, U64 | S64, _, 0) => op::<Map1<u64, u32, int::Low>>(),
        (U64 | S64, U32, _, 0) => op::<Map1<u32, u64, int::WidenU>>(),
        (U64 | S64, S32, _, 0) => op::<Map1<i32, i64, int::Widen>>(),
        (U32 | S32, U16, _, 0) => op::<Map1<u16, u32, cvt::U32FromU16>>(),
        (U32 | S32, S16, _, 0) => op::<Map1<i16, i32, cvt::S32FromS16>>(),
        (U16 | S16, U32 | S32, _, 0) => op::<Map1<u32, u32, int::LowHalf>>(),
        (F64, F32, false, 0) => op::<Map1<f32, f64, cvt::F64FromF32>>(),
        (F32, F64, false, 0) => op::<Map1<f64, f32, cvt::F32FromF64>>(),
        (F32, S32, _, 0) => op::<Map1<i32, f32, cvt::F32FromS32>>(),
        (F32, U32, _, 0) => op::<Map1<u32, f32, cvt::F32FromU32>>(),
        (F64, S32, _, 0) => op::<Map1<i32, f64, cvt::F64FromS32>>(),
        (F64, U32, _, 0) => op::<Map1<u32, f64, cvt::F64FromU32>>(),
        (F32, S64, _, 0) => op::<Map1<i64, f32, cvt::F32FromS64>>(),
        (F32, U64, _, 0) => op::<Map1<u64, f32, cvt::F32FromU64>>(),
        (S32, F32, true, 1 | 5) => op::<Map1<f32, i32, cvt::S32FromF32>>(),
        (U32, F32, true, 1 | 5) => op::<Map1<f32, u32, cvt::U32FromF32>>(),
        (F32, F32, true, 0) => op::<Map1<f32, f32, cvt::RoundF32>>(),
        (F32, F32, true, 1) => op::<Map1<f32, f32, cvt::TruncF32>>(),
        (F32, F32, true, 2) => op::<Map1<f32, f32, cvt::FloorF32>>(),
        (F32, F32, true, 3) => op::<Map1<f32, f32, cvt::CeilF32>>(),
        (F32, F32, false, f) if f & !FTZ == crate::exec::float::SAT && f & FTZ == 0 => {
            op::<Map1<f32, f32, cvt::SatF32>>()
        }
        _ => return None,
    })
}
