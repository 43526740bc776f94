//! `mov`, between registers and between a register and its parts.

use super::{Act, Lower, Mods, Res, Role, Width, bad, op};
use crate::exec::int;
use crate::exec::lanes::{Map1, Map2};
use crate::exec::warp_ops::Clock;
use crate::ir::{Class, OpFn};
use crate::parse::ast::{Instr, Operand, Ty};

use super::alu::{Map1s, Map2s};
use Ty::{B16, B32};

impl<'a> Lower<'a, '_> {
    pub(super) fn mov(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
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
}
