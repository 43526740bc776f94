//! Loads, stores, atomics and address conversions.

use super::{Act, Lower, Mods, Res, Role, Width, bad, op};
use crate::exec::atomic::{self, Atom};
use crate::exec::int;
use crate::exec::lanes::{Map1, Map2};
use crate::exec::mem::{CopyAsync, Load, LoadParam, Store};
use crate::exec::resolve::{ADDR, HOW, how};
use crate::exec::warp_ops::Nothing;
use crate::ir::{Class, OpFn};
use crate::memory::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::parse::ast::{Instr, Operand, Space, Ty};

/// Number of a state space among the executor's.
fn number(space: Option<Space>) -> u8 {
    match space {
        Some(Space::Global | Space::Const) => 0,
        Some(Space::Shared) => 1,
        Some(Space::Local) => 2,
        Some(Space::Param) => 3,
        None => 4,
    }
}

macro_rules! access {
    ($kind:ident, $ty:expr, $width:expr, $n:expr, $fail:expr) => {
        match ($ty, $width, $n) {
            (Ty::U8 | Ty::B8, Width::W32, 1) => op::<$kind<u8, u32, 1>>(),
            (Ty::U8 | Ty::B8, Width::W32, 2) => op::<$kind<u8, u32, 2>>(),
            (Ty::U8 | Ty::B8, Width::W32, 4) => op::<$kind<u8, u32, 4>>(),
            (Ty::S8, Width::W32, 1) => op::<$kind<i8, u32, 1>>(),
            (Ty::S8, Width::W32, 2) => op::<$kind<i8, u32, 2>>(),
            (Ty::S8, Width::W32, 4) => op::<$kind<i8, u32, 4>>(),
            (Ty::U16 | Ty::B16 | Ty::F16 | Ty::Bf16, Width::W32, 1) => op::<$kind<u16, u32, 1>>(),
            (Ty::U16 | Ty::B16 | Ty::F16 | Ty::Bf16, Width::W32, 2) => op::<$kind<u16, u32, 2>>(),
            (Ty::U16 | Ty::B16 | Ty::F16 | Ty::Bf16, Width::W32, 4) => op::<$kind<u16, u32, 4>>(),
            (Ty::S16, Width::W32, 1) => op::<$kind<i16, u32, 1>>(),
            (Ty::S16, Width::W32, 2) => op::<$kind<i16, u32, 2>>(),
            (Ty::S16, Width::W32, 4) => op::<$kind<i16, u32, 4>>(),
            (Ty::U8 | Ty::B8, Width::W64, 1) => op::<$kind<u8, u64, 1>>(),
            (Ty::S8, Width::W64, 1) => op::<$kind<i8, u64, 1>>(),
            (Ty::U16 | Ty::B16, Width::W64, 1) => op::<$kind<u16, u64, 1>>(),
            (Ty::S16, Width::W64, 1) => op::<$kind<i16, u64, 1>>(),
            (Ty::U32 | Ty::B32, Width::W64, 1) => op::<$kind<u32, u64, 1>>(),
            (Ty::S32, Width::W64, 1) => op::<$kind<i32, u64, 1>>(),
            (ty, Width::W32, 1) if ty.size() == 4 => op::<$kind<u32, u32, 1>>(),
            (ty, Width::W32, 2) if ty.size() == 4 => op::<$kind<u32, u32, 2>>(),
            (ty, Width::W32, 4) if ty.size() == 4 => op::<$kind<u32, u32, 4>>(),
            (ty, Width::W64, 1) if ty.size() == 8 => op::<$kind<u64, u64, 1>>(),
            (ty, Width::W64, 2) if ty.size() == 8 => op::<$kind<u64, u64, 2>>(),
            _ => return $fail,
        }
    };
}

macro_rules! atoms {
    ($f:ident, $t:ty) => {
        op::<Atom<$t, atomic::$f>>()
    };
}

impl<'a> Lower<'a, '_> {
    pub(super) fn memory(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<bool> {
        match m.root {
            "ld" | "ldu" => self.load(ins, m)?,
            "st" => self.store(ins, m)?,
            "atom" | "red" => self.atomic(ins, m)?,
            "cvta" => self.cvta(ins, m)?,
            "isspacep" => return Ok(false),
            "cp" => self.copy_async(ins, m)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The state space an instruction names, and modifiers that change nothing here.
    fn space(&mut self, m: &mut Mods<'a>) -> Option<Space> {
        m.drop_prefix("L1::");
        m.drop_prefix("L2::");
        m.drop_prefix("level::");
        for hint in [
            "nc", "volatile", "weak", "relaxed", "acquire", "release", "mmio", "ca", "cg", "cs", "lu", "cv",
            "wb", "wt", "cta", "gpu", "sys", "cluster",
        ] {
            m.take(hint);
        }
        m.drop_prefix("shared::");
        m.one_of(&[
            ("global", Space::Global),
            ("const", Space::Const),
            ("shared", Space::Shared),
            ("local", Space::Local),
            ("param", Space::Param),
        ])
    }

    /// Appends a memory instruction.
    pub(super) fn emit_mem(
        &mut self,
        ins: &Instr<'a>,
        f: OpFn,
        space: Option<Space>,
        class: Class,
        offset: i64,
        operands: &[(u32, Role)],
    ) -> Res<()> {
        self.emit(ins, Act::Op(f), Some(class), offset, operands)?;
        if self.mems >= u32::from(u16::MAX) - 1 {
            return bad(ins.line, "more memory instructions than a kernel may have (65534)");
        }
        let last = self.insts.len() - 1;
        self.insts[last].mem = self.mems;
        self.mems += 1;
        self.mem_shared.push(space == Some(Space::Shared));
        Ok(())
    }

    fn note_grain(&mut self, space: Option<Space>, ty: Ty) {
        if matches!(space, None | Some(Space::Shared)) {
            self.shared_grain = self.shared_grain.min(ty.size().max(1));
        }
    }

    /// The registers of a vector operand (or of a single one), all of one width.
    fn vector(
        &mut self,
        operand: &Operand<'a>,
        n: usize,
        ty: Ty,
        def: bool,
        line: u32,
    ) -> Res<(Vec<u32>, Width)> {
        let list = match operand {
            Operand::Vector(list) if n > 1 => &list[..],
            single if n == 1 => std::slice::from_ref(single),
            _ => return bad(line, format!("expected a vector of {n}")),
        };
        if list.len() != n {
            return bad(line, format!("expected a vector of {n}, here are {}", list.len()));
        }
        let (mut regs, mut width) = (vec![], None);
        for part in list {
            // What is thrown away is as wide as the others.
            let (reg, have) = if def && matches!(part, Operand::Name("_")) {
                let w = width.unwrap_or(Width::of(ty));
                (self.fresh(w), w)
            } else if def {
                self.dst_any(part, line)?
            } else {
                self.src_any(part, ty, line)?
            };
            if *width.get_or_insert(have) != have {
                return bad(line, "the parts of a vector have different widths");
            }
            regs.push(reg);
        }
        Ok((regs, width.unwrap_or(Width::W32)))
    }

    fn lanes(m: &mut Mods<'a>) -> usize {
        m.one_of(&[("v2", 2), ("v4", 4)]).unwrap_or(1)
    }

    fn load(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let space = self.space(m);
        let n = Self::lanes(m);
        let ty = m.ty()?;
        m.done()?;
        self.arity(ins, 2)?;
        let (regs, width) = self.vector(&ins.operands[0], n, ty, true, ins.line)?;
        let (base, base_width, offset, own) = self.address(&ins.operands[1], ins.line)?;
        let space = match (space, own) {
            // Parameters of calls live in local memory.
            (Some(Space::Param), Some(Space::Local)) => Some(Space::Local),
            (Some(Space::Param), _) => return self.load_param(ins, &regs, width, ty, offset),
            (Some(space), _) => Some(space),
            // A variable named without a space is found in its own.
            (None, own) => own,
        };
        self.note_grain(space, ty);
        let wide = base_width == Width::W64;
        if !wide && matches!(space, None | Some(Space::Global | Space::Const)) {
            return bad(ins.line, "an address of 32 bits in a state space of 64");
        }
        let f = access!(Load, ty, width, n, m.unknown());
        let class = match space {
            Some(Space::Shared) => Class::LoadShared,
            Some(Space::Local) => Class::Local,
            Some(Space::Param) => Class::Param,
            _ => Class::LoadGlobal,
        };
        let mut operands = [(0, Role::Raw); HOW + 1];
        for (slot, &reg) in operands.iter_mut().zip(&regs) {
            *slot = (reg, Role::Def);
        }
        operands[ADDR] = (base, Role::Use);
        operands[HOW] = (u32::from(how(number(space), wide)), Role::Raw);
        self.emit_mem(ins, f, space, class, offset, &operands)
    }

    /// From a kernel's parameters.
    fn load_param(&mut self, ins: &Instr<'a>, regs: &[u32], width: Width, ty: Ty, offset: i64) -> Res<()> {
        let (base, base_width, _, own) = self.address(&ins.operands[1], ins.line)?;
        let Some(Space::Param) = own else {
            // Through a register: the address of a parameter is its place among them.
            let wide = base_width == Width::W64;
            let n = regs.len();
            let f = access!(
                Load,
                ty,
                width,
                n,
                bad(ins.line, format!("ld.param of {ty:?} into registers of another width"))
            );
            let mut operands = [(0, Role::Raw); HOW + 1];
            for (slot, &reg) in operands.iter_mut().zip(regs) {
                *slot = (reg, Role::Def);
            }
            operands[ADDR] = (base, Role::Use);
            operands[HOW] = (u32::from(how(3, wide)), Role::Raw);
            return self.emit_mem(ins, f, Some(Space::Param), Class::Param, offset, &operands);
        };
        let at = self.const_value(base).wrapping_add(offset as u64);
        for (n, &reg) in regs.iter().enumerate() {
            let f = match (ty, width) {
                (Ty::U8 | Ty::B8, Width::W32) => op::<LoadParam<u8, u32>>(),
                (Ty::S8, Width::W32) => op::<LoadParam<i8, u32>>(),
                (Ty::S16, Width::W32) => op::<LoadParam<i16, u32>>(),
                (ty, Width::W32) if ty.size() == 2 => op::<LoadParam<u16, u32>>(),
                (ty, Width::W32) if ty.size() == 4 => op::<LoadParam<u32, u32>>(),
                (Ty::U8 | Ty::B8, Width::W64) => op::<LoadParam<u8, u64>>(),
                (Ty::S8, Width::W64) => op::<LoadParam<i8, u64>>(),
                (Ty::U16 | Ty::B16, Width::W64) => op::<LoadParam<u16, u64>>(),
                (Ty::S16, Width::W64) => op::<LoadParam<i16, u64>>(),
                (Ty::U32 | Ty::B32, Width::W64) => op::<LoadParam<u32, u64>>(),
                (Ty::S32, Width::W64) => op::<LoadParam<i32, u64>>(),
                (ty, Width::W64) if ty.size() == 8 => op::<LoadParam<u64, u64>>(),
                _ => return bad(ins.line, format!("ld.param of {ty:?} into a register of another width")),
            };
            let at = at.wrapping_add(n as u64 * u64::from(ty.size()));
            if at.checked_add(u64::from(ty.size())).is_none_or(|end| end > u64::from(self.param_bytes)) {
                return bad(
                    ins.line,
                    format!("byte {at} is past the kernel's {} bytes of parameters", self.param_bytes),
                );
            }
            if !at.is_multiple_of(u64::from(ty.size())) {
                return bad(ins.line, format!("a parameter of {} bytes at byte {at}: misaligned", ty.size()));
            }
            self.emit(ins, Act::Op(f), Some(Class::Param), at as i64, &[(reg, Role::Def)])?;
        }
        Ok(())
    }

    fn const_value(&self, reg: u32) -> u64 {
        self.consts.iter().find(|(_, r)| **r == reg).map_or(0, |(&(_, value), _)| value)
    }

    fn store(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let space = self.space(m);
        let n = Self::lanes(m);
        let ty = m.ty()?;
        m.done()?;
        self.arity(ins, 2)?;
        let (base, base_width, offset, own) = self.address(&ins.operands[0], ins.line)?;
        let (regs, width) = self.vector(&ins.operands[1], n, ty, false, ins.line)?;
        let space = match (space, own) {
            (Some(Space::Param), Some(Space::Local)) => Some(Space::Local),
            (Some(Space::Param | Space::Const), _) => return bad(ins.line, "this space cannot be written"),
            (Some(space), _) => Some(space),
            (None, own) => own,
        };
        self.note_grain(space, ty);
        let wide = base_width == Width::W64;
        if !wide && matches!(space, None | Some(Space::Global | Space::Const)) {
            return bad(ins.line, "an address of 32 bits in a state space of 64");
        }
        let f = access!(Store, ty, width, n, m.unknown());
        let class = match space {
            Some(Space::Shared) => Class::StoreShared,
            Some(Space::Local) => Class::Local,
            _ => Class::StoreGlobal,
        };
        let mut operands = [(0, Role::Raw); HOW + 1];
        for (slot, &reg) in operands.iter_mut().zip(&regs) {
            *slot = (reg, Role::Use);
        }
        operands[ADDR] = (base, Role::Use);
        operands[HOW] = (u32::from(how(number(space), wide)), Role::Raw);
        self.emit_mem(ins, f, space, class, offset, &operands)
    }

    fn atomic(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        m.take("acq_rel");
        m.take("noftz");
        let space = self.space(m);
        let names = ["add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"];
        let Some(what) = names.iter().find(|n| m.take(n)) else { return m.unknown() };
        let ty = m.ty()?;
        m.done()?;
        let red = m.root == "red";
        let first = usize::from(!red);
        self.arity(ins, first + if *what == "cas" { 3 } else { 2 })?;
        let d = if red { self.fresh(Width::of(ty)) } else { self.dst(&ins.operands[0], ty, ins.line)? };
        let (base, base_width, offset, own) = self.address(&ins.operands[first], ins.line)?;
        let b = self.src(&ins.operands[first + 1], ty, ins.line)?;
        let c = if *what == "cas" { self.src(&ins.operands[first + 2], ty, ins.line)? } else { b };
        let space = space.or(own);
        self.note_grain(space, ty);
        let (at, wide) = (number(space), base_width == Width::W64);
        if !matches!(at, 0 | 1 | 4) || (!wide && at != 1) {
            return m.unknown();
        }
        let f = match (*what, ty) {
            ("add", Ty::U32 | Ty::S32) => atoms!(Add, u32),
            ("add", Ty::U64 | Ty::S64) => atoms!(Add, u64),
            ("add", Ty::F32) => atoms!(AddF, f32),
            ("add", Ty::F64) => atoms!(AddF, f64),
            ("min", Ty::U32) => atoms!(Min, u32),
            ("min", Ty::S32) => atoms!(Min, i32),
            ("min", Ty::U64) => atoms!(Min, u64),
            ("min", Ty::S64) => atoms!(Min, i64),
            ("max", Ty::U32) => atoms!(Max, u32),
            ("max", Ty::S32) => atoms!(Max, i32),
            ("max", Ty::U64) => atoms!(Max, u64),
            ("max", Ty::S64) => atoms!(Max, i64),
            ("and", Ty::B32) => atoms!(And, u32),
            ("and", Ty::B64) => atoms!(And, u64),
            ("or", Ty::B32) => atoms!(Or, u32),
            ("or", Ty::B64) => atoms!(Or, u64),
            ("xor", Ty::B32) => atoms!(Xor, u32),
            ("xor", Ty::B64) => atoms!(Xor, u64),
            ("exch", Ty::B32) => atoms!(Exch, u32),
            ("exch", Ty::B64) => atoms!(Exch, u64),
            ("cas", Ty::B32) => atoms!(Cas, u32),
            ("cas", Ty::B64) => atoms!(Cas, u64),
            ("inc", Ty::U32) => atoms!(Inc, u32),
            ("dec", Ty::U32) => atoms!(Dec, u32),
            _ => return m.unknown(),
        };
        let mut operands = [(0, Role::Raw); HOW + 1];
        operands[0] = (d, Role::Def);
        operands[1] = (b, Role::Use);
        operands[2] = (c, Role::Use);
        operands[ADDR] = (base, Role::Use);
        operands[HOW] = (u32::from(how(number(space), wide)), Role::Raw);
        self.emit_mem(ins, f, space, Class::Atomic, offset, &operands)
    }

    /// Between generic addresses and those of a state space.
    fn cvta(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let to = m.take("to");
        let Some(space) = self.space(m) else { return m.unknown() };
        let ty = m.ty()?;
        m.done()?;
        if ty != Ty::U64 {
            return m.unknown();
        }
        self.arity(ins, 2)?;
        let window = match space {
            Space::Shared => SHARED_WINDOW,
            Space::Local => LOCAL_WINDOW,
            _ => 0,
        };
        let d = self.dst(&ins.operands[0], ty, ins.line)?;
        // A variable's name, with an offset even, stands for its address.
        let a = match &ins.operands[1] {
            address @ Operand::Address(..) => self.address(address, ins.line)?.0,
            operand => self.src(operand, ty, ins.line)?,
        };
        if window == 0 {
            let f = op::<Map1<u64, u64, int::Mov>>();
            return self.emit(ins, Act::Op(f), Some(Class::Move), 0, &[(d, Role::Def), (a, Role::Use)]);
        }
        let shift = self.constant(Width::W64, if to { window.wrapping_neg() } else { window });
        let f = op::<Map2<u64, u64, u64, int::Add>>();
        let operands = [(d, Role::Def), (a, Role::Use), (shift, Role::Use)];
        self.emit(ins, Act::Op(f), Some(Class::Int), 0, &operands)
    }

    /// `cp.async` copies at once, so that its groups have nothing to wait for.
    fn copy_async(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if !m.take("async") {
            return m.unknown();
        }
        if m.one_of(&[("commit_group", ()), ("wait_group", ()), ("wait_all", ())]).is_some() {
            m.done()?;
            return self.emit(ins, Act::Op(op::<Nothing>()), Some(Class::Barrier), 0, &[]);
        }
        m.take("global");
        self.space(m);
        m.done()?;
        let (Some(to), Some(from), Some(Operand::Int(bytes))) =
            (ins.operands.first(), ins.operands.get(1), ins.operands.get(2))
        else {
            return m.unknown();
        };
        let f = match bytes {
            4 => op::<CopyAsync<4>>(),
            8 => op::<CopyAsync<8>>(),
            16 => op::<CopyAsync<16>>(),
            _ => return m.unknown(),
        };
        let (to, to_width, to_offset, _) = self.address(to, ins.line)?;
        let (from, _, offset, _) = self.address(from, ins.line)?;
        let Ok(to_offset) = u16::try_from(to_offset) else {
            return bad(ins.line, format!("an offset of {to_offset} into shared memory"));
        };
        let keep = match ins.operands.get(3) {
            Some(operand) => self.src(operand, Ty::U32, ins.line)?,
            None => self.constant(Width::W32, *bytes),
        };
        let mut operands = [(0, Role::Raw); HOW + 1];
        operands[1] = (to, Role::Use);
        operands[2] = (u32::from(to_offset), Role::Raw);
        operands[3] = (keep, Role::Use);
        operands[4] = (u32::from(how(1, to_width == Width::W64)), Role::Raw);
        operands[ADDR] = (from, Role::Use);
        operands[HOW] = (u32::from(how(0, true)), Role::Raw);
        self.emit_mem(ins, f, Some(Space::Global), Class::LoadGlobal, offset, &operands)?;
        // Its second access, to shared memory, is remembered apart.
        self.mems += 1;
        self.mem_shared.push(true);
        Ok(())
    }
}
