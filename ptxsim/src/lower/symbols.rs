//! Names and constants to virtual registers.

use super::{Lower, Res, Symbol, Width, bad, reserve, shown};
use crate::ir::{ParamInfo, Special};
use crate::parse::ast::{Func, Operand, PtxError, Space, Ty, Var};

/// Where a kernel's parameters lie in the buffer that a launch fills.
pub fn place_params(func: &Func<'_>) -> Res<(Vec<ParamInfo>, u32)> {
    let (mut out, mut end) = (vec![], 0u64);
    for var in &func.params {
        let offset = reserve(&mut end, var);
        out.push(ParamInfo { offset: offset as u32, size: var.size as u32 });
    }
    if end > 4096 {
        return bad(func.line, format!("`{}` has {end} bytes of parameters: 4096 are the most", func.name));
    }
    Ok((out, end as u32))
}

impl<'a> Lower<'a, '_> {
    /// Declares a variable inside a body.
    pub(super) fn variable(&mut self, var: &Var<'a>) -> Res<()> {
        let symbol = match var.space {
            Space::Shared if var.size == 0 => self.dynamic_var(var),
            Space::Shared => Symbol::At(Space::Shared, reserve(&mut self.shared, var)),
            // Parameters of calls live beside the thread's own variables.
            Space::Local | Space::Param => Symbol::At(Space::Local, reserve(&mut self.local, var)),
            Space::Global | Space::Const => {
                return bad(var.line, format!("`{}`: a global variable inside a function", var.name));
            }
        };
        if self.local > 1 << 19 {
            return bad(var.line, format!("{} bytes of local memory: 512 KiB are the most", self.local));
        }
        self.top_scope().symbols.insert(var.name, symbol);
        Ok(())
    }

    fn dynamic_var(&mut self, var: &Var<'a>) -> Symbol {
        self.dynamic_align = self.dynamic_align.max(u64::from(var.align));
        Symbol::DynamicShared
    }

    pub(super) fn symbol(&mut self, name: &str) -> Option<Symbol> {
        for scope in self.scopes.iter().rev() {
            if let Some(&symbol) = scope.symbols.get(name) {
                return Some(symbol);
            }
        }
        let module = self.module;
        let var = module.vars.iter().find(|v| v.name == name)?;
        match var.space {
            Space::Shared if var.size == 0 => Some(self.dynamic_var(var)),
            Space::Shared => {
                if !self.shared_vars.contains_key(name) {
                    let at = reserve(&mut self.shared, var);
                    self.shared_vars.insert(var.name, at);
                }
                Some(Symbol::At(Space::Shared, self.shared_vars[name]))
            }
            space => Some(Symbol::At(space, *self.globals.get(name)?)),
        }
    }

    /// A register that holds a symbol's address.
    pub(super) fn symbol_reg(&mut self, symbol: Symbol, width: Width) -> u32 {
        match symbol {
            Symbol::At(_, at) => self.constant(width, at),
            Symbol::DynamicShared => {
                let which = usize::from(width == Width::W64);
                if let Some(reg) = self.dynamic[which] {
                    return reg;
                }
                let reg = self.fixed(width);
                self.dynamic[which] = Some(reg);
                reg
            }
        }
    }

    pub(super) fn constant(&mut self, width: Width, value: u64) -> u32 {
        let value = if width == Width::W64 { value } else { value & 0xffff_ffff };
        if let Some(&reg) = self.consts.get(&(width, value)) {
            return reg;
        }
        let reg = self.fixed(width);
        self.consts.insert((width, value), reg);
        reg
    }

    /// A declared register: its type and number.
    pub(super) fn register(&self, name: &str) -> Option<(Ty, u32)> {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (base, number) = name.split_at(name.len() - digits);
        let canonical = digits == 1 || !number.starts_with('0');
        let number: Option<u32> = if canonical { number.parse().ok() } else { None };
        for scope in self.scopes.iter().rev() {
            if let Some(&found) = scope.regs.get(name) {
                return Some(found);
            }
            if let (Some(n), Some(&(ty, count, first))) = (number, scope.ranges.get(base))
                && n < count
            {
                return Some((ty, first + n));
            }
        }
        None
    }

    /// A predicate's register.
    pub(super) fn pred(&mut self, name: &str, line: u32) -> Res<u32> {
        match self.register(name) {
            Some((Ty::Pred, reg)) => Ok(reg),
            Some(_) => bad(line, format!("`{name}` is no predicate")),
            None => bad(line, format!("`{name}` is not declared")),
        }
    }

    /// A predicate operand, which may be negated.
    pub(super) fn pred_operand(&mut self, operand: &Operand<'a>, line: u32) -> Res<(u32, bool)> {
        match operand {
            Operand::Name(name) => Ok((self.pred(name, line)?, false)),
            Operand::Not(name) => Ok((self.pred(name, line)?, true)),
            Operand::Int(v) => {
                let always = self.constant(Width::Pred, 0);
                Ok((always, *v == 0))
            }
            _ => bad(line, format!("{} is no predicate", shown(operand))),
        }
    }

    /// The register an instruction writes.
    pub(super) fn dst(&mut self, operand: &Operand<'a>, ty: Ty, line: u32) -> Res<u32> {
        let want = Width::of(ty);
        match operand {
            Operand::Name("_") => Ok(self.fresh(want)),
            Operand::Name(name) => match self.register(name) {
                Some((_, reg)) if self.widths[reg as usize] == want => Ok(reg),
                Some((have, _)) => {
                    bad(line, format!("`{name}` is declared {have:?}, but the instruction writes {ty:?}"))
                }
                None => bad(line, format!("`{name}` is not declared")),
            },
            _ => bad(line, format!("{} cannot be written", shown(operand))),
        }
    }

    /// The register written, of whatever width it was declared.
    pub(super) fn dst_any(&mut self, operand: &Operand<'a>, line: u32) -> Res<(u32, Width)> {
        match operand {
            Operand::Name("_") => Ok((self.fresh(Width::W32), Width::W32)),
            Operand::Name(name) => match self.register(name) {
                Some((Ty::Pred, _)) => bad(line, format!("`{name}` is a predicate")),
                Some((_, reg)) => Ok((reg, self.widths[reg as usize])),
                None => bad(line, format!("`{name}` is not declared")),
            },
            _ => bad(line, format!("{} cannot be written", shown(operand))),
        }
    }

    /// A register that holds an operand's value, of a type's width.
    pub(super) fn src(&mut self, operand: &Operand<'a>, ty: Ty, line: u32) -> Res<u32> {
        let want = Width::of(ty);
        if want == Width::Pred {
            return match self.pred_operand(operand, line)? {
                (reg, false) => Ok(reg),
                _ => bad(line, format!("{} may not be negated here", shown(operand))),
            };
        }
        match operand {
            Operand::Name(name) => {
                if let Some((have, reg)) = self.register(name) {
                    if self.widths[reg as usize] == want {
                        return Ok(reg);
                    }
                    return bad(
                        line,
                        format!("`{name}` is declared {have:?}, but the instruction reads {ty:?}"),
                    );
                }
                if let Some(special) = special(name) {
                    if want == Width::W64 {
                        return bad(line, format!("`{name}` has 32 bits, but the instruction reads {ty:?}"));
                    }
                    return Ok(self.special(special));
                }
                match self.symbol(name) {
                    Some(symbol) => Ok(self.symbol_reg(symbol, want)),
                    None => bad(line, format!("`{name}` is not declared")),
                }
            }
            Operand::Int(v) if !ty.float() => Ok(self.constant(want, *v)),
            Operand::F32(v) if want == Width::W32 => Ok(self.constant(want, u64::from(*v))),
            Operand::F32(v) => Ok(self.constant(want, f64::from(f32::from_bits(*v)).to_bits())),
            Operand::F64(v) if want == Width::W64 => Ok(self.constant(want, *v)),
            Operand::F64(v) if ty == Ty::F32 => {
                Ok(self.constant(want, u64::from((f64::from_bits(*v) as f32).to_bits())))
            }
            _ => bad(line, format!("{} does not fit: the instruction reads {ty:?}", shown(operand))),
        }
    }

    /// The register read, of whatever width it was declared; constants take the type's.
    pub(super) fn src_any(&mut self, operand: &Operand<'a>, ty: Ty, line: u32) -> Res<(u32, Width)> {
        if let Operand::Name(name) = operand
            && let Some((have, reg)) = self.register(name)
        {
            if have == Ty::Pred {
                return bad(line, format!("`{name}` is a predicate"));
            }
            return Ok((reg, self.widths[reg as usize]));
        }
        Ok((self.src(operand, ty, line)?, Width::of(ty)))
    }

    pub(super) fn special(&mut self, special: Special) -> u32 {
        if let Some(&reg) = self.specials.get(&special) {
            return reg;
        }
        let reg = self.fixed(Width::W32);
        self.specials.insert(special, reg);
        reg
    }

    /// Base register and offset of an address. `space` is what the instruction names (None: generic); the
    /// last value tells a variable's own space.
    pub(super) fn address(
        &mut self,
        operand: &Operand<'a>,
        line: u32,
    ) -> Res<(u32, Width, i64, Option<Space>)> {
        let Operand::Address(base, offset) = operand else {
            return bad(line, format!("{} is no address", shown(operand)));
        };
        let Some(name) = base else {
            let reg = self.constant(Width::W64, 0);
            return Ok((reg, Width::W64, *offset, None));
        };
        if let Some((ty, reg)) = self.register(name) {
            return match self.widths[reg as usize] {
                Width::Pred => bad(line, format!("`{name}` is a predicate ({ty:?}), no address")),
                width => Ok((reg, width, *offset, None)),
            };
        }
        match self.symbol(name) {
            Some(symbol) => {
                let space = match symbol {
                    Symbol::At(space, _) => space,
                    Symbol::DynamicShared => Space::Shared,
                };
                Ok((self.symbol_reg(symbol, Width::W64), Width::W64, *offset, Some(space)))
            }
            None => Err(PtxError { line, what: format!("`{name}` is not declared") }),
        }
    }
}

/// The special register of a name.
pub fn special(name: &str) -> Option<Special> {
    let axis = |rest: &str| match rest {
        ".x" => Some(0),
        ".y" => Some(1),
        ".z" => Some(2),
        _ => None,
    };
    if let Some(rest) = name.strip_prefix("%tid") {
        return axis(rest).map(Special::Tid);
    }
    if let Some(rest) = name.strip_prefix("%ntid") {
        return axis(rest).map(Special::Ntid);
    }
    if let Some(rest) = name.strip_prefix("%ctaid") {
        return axis(rest).map(Special::Ctaid);
    }
    if let Some(rest) = name.strip_prefix("%nctaid") {
        return axis(rest).map(Special::Nctaid);
    }
    Some(match name {
        "%laneid" => Special::LaneId,
        "%warpid" => Special::WarpId,
        "%nwarpid" => Special::NWarpId,
        "%smid" => Special::SmId,
        "%nsmid" => Special::NSmId,
        "%gridid" => Special::GridId,
        "%lanemask_eq" => Special::LaneMaskEq,
        "%lanemask_le" => Special::LaneMaskLe,
        "%lanemask_lt" => Special::LaneMaskLt,
        "%lanemask_ge" => Special::LaneMaskGe,
        "%lanemask_gt" => Special::LaneMaskGt,
        "%dynamic_smem_size" => Special::DynamicShared,
        "%total_smem_size" => Special::TotalShared,
        _ => return None,
    })
}
