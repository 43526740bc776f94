//! `mma` and `ldmatrix`.

use half::{bf16, f16};

use super::{Act, Lower, Mods, Res, Role, Width, bad, op};
use crate::exec::mma::{A, B, C, D, LoadMatrix, Mma, Tf32};
use crate::exec::resolve::{ADDR, HOW, how};
use crate::ir::{Class, OPERANDS, OpFn};
use crate::parse::ast::{Instr, Operand, Space, Ty};

impl<'a> Lower<'a, '_> {
    pub(super) fn matrix(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<bool> {
        match m.root {
            "mma" => self.mma(ins, m)?,
            "ldmatrix" => self.load_matrix(ins, m)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The registers of a fragment.
    fn fragment(&mut self, operand: &Operand<'a>, n: usize, def: bool, line: u32) -> Res<Vec<u32>> {
        let list = match operand {
            Operand::Vector(list) => &list[..],
            single => std::slice::from_ref(single),
        };
        if list.len() != n {
            return bad(line, format!("a fragment of {} registers, {n} are needed", list.len()));
        }
        list.iter()
            .map(|r| if def { self.dst(r, Ty::B32, line) } else { self.src(r, Ty::B32, line) })
            .collect()
    }

    fn mma(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        m.take("sync");
        m.take("aligned");
        let Some(k) = m.one_of(&[("m16n8k4", 4usize), ("m16n8k8", 8), ("m16n8k16", 16)]) else {
            return m.unknown();
        };
        if !m.take("row") || !m.take("col") {
            return m.unknown();
        }
        let (c, b, a, d) = (m.ty()?, m.ty()?, m.ty()?, m.ty()?);
        m.done()?;
        if a != b || c != d {
            return m.unknown();
        }
        let (f, packed): (OpFn, usize) = match (a, d, k) {
            (Ty::F16, Ty::F32, 16) => (op::<Mma<f16, 16, false>>(), 2),
            (Ty::F16, Ty::F32, 8) => (op::<Mma<f16, 8, false>>(), 2),
            (Ty::F16, Ty::F16, 16) => (op::<Mma<f16, 16, true>>(), 2),
            (Ty::F16, Ty::F16, 8) => (op::<Mma<f16, 8, true>>(), 2),
            (Ty::Bf16, Ty::F32, 16) => (op::<Mma<bf16, 16, false>>(), 2),
            (Ty::Bf16, Ty::F32, 8) => (op::<Mma<bf16, 8, false>>(), 2),
            (Ty::Tf32, Ty::F32, 8) => (op::<Mma<Tf32, 8, false>>(), 1),
            (Ty::Tf32, Ty::F32, 4) => (op::<Mma<Tf32, 4, false>>(), 1),
            _ => return m.unknown(),
        };
        self.arity(ins, 4)?;
        let sums = if d == Ty::F16 { 2 } else { 4 };
        let blocks = k / (4 * packed);
        let mut operands = [(0, Role::Raw); OPERANDS];
        let parts = [
            (0, D, sums, Role::Def),
            (1, A, 2 * blocks, Role::Use),
            (2, B, blocks, Role::Use),
            (3, C, sums, Role::Use),
        ];
        for (n, first, count, role) in parts {
            let regs = self.fragment(&ins.operands[n], count, role == Role::Def, ins.line)?;
            for (slot, reg) in operands[first..].iter_mut().zip(regs) {
                *slot = (reg, role);
            }
        }
        self.emit(ins, Act::Op(f), Some(Class::Matrix), 0, &operands)
    }

    fn load_matrix(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        m.take("sync");
        m.take("aligned");
        m.drop_prefix("shared::");
        let Some(count) = m.one_of(&[("x1", 1), ("x2", 2), ("x4", 4)]) else { return m.unknown() };
        let turned = m.take("trans");
        m.take("shared");
        if !m.take("m8n8") || m.ty()? != Ty::B16 {
            return m.unknown();
        }
        m.done()?;
        self.arity(ins, 2)?;
        let f = match (count, turned) {
            (1, false) => op::<LoadMatrix<1, false>>(),
            (2, false) => op::<LoadMatrix<2, false>>(),
            (4, false) => op::<LoadMatrix<4, false>>(),
            (1, true) => op::<LoadMatrix<1, true>>(),
            (2, true) => op::<LoadMatrix<2, true>>(),
            _ => op::<LoadMatrix<4, true>>(),
        };
        let regs = self.fragment(&ins.operands[0], count, true, ins.line)?;
        let (base, width, offset, _) = self.address(&ins.operands[1], ins.line)?;
        let mut operands = [(0, Role::Raw); HOW + 1];
        for (slot, reg) in operands.iter_mut().zip(regs) {
            *slot = (reg, Role::Def);
        }
        operands[ADDR] = (base, Role::Use);
        operands[HOW] = (u32::from(how(1, width == Width::W64)), Role::Raw);
        self.emit_mem(ins, f, Some(Space::Shared), Class::LoadShared, offset, &operands)
    }
}
