//! Branches, calls, barriers, and what the lanes of a warp do together.

use super::{Act, Lower, Mods, Res, Role, Scope, Symbol, Width, bad, op, shown};
use crate::exec::atomic::Fence;
use crate::exec::warp_ops::{ActiveMask, Elect, Match, Nothing, Redux, Shuffle, Trap, Vote, WarpSync};
use crate::ir::{Bar, BarKind, Class};
use crate::parse::ast::{Instr, Operand, Ty};

/// Functions within functions, at most.
const DEPTH: u32 = 16;

impl<'a> Lower<'a, '_> {
    pub(super) fn control(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<bool> {
        match m.root {
            "bra" => {
                m.take("uni");
                m.done()?;
                self.arity(ins, 1)?;
                let Operand::Name(name) = ins.operands[0] else {
                    return bad(ins.line, format!("{} is no label", shown(&ins.operands[0])));
                };
                let label = self.label(name, ins.line);
                self.emit(ins, Act::Branch(label), Some(Class::Control), 0, &[])?;
            }
            "brx" => self.brx(ins, m)?,
            "ret" | "exit" => {
                m.take("uni");
                m.done()?;
                let act = match self.end {
                    Some(end) if m.root == "ret" => Act::Branch(end),
                    _ => Act::Exit,
                };
                self.emit(ins, act, Some(Class::Control), 0, &[])?;
            }
            "call" => self.call(ins, m)?,
            "trap" => {
                m.done()?;
                self.emit(ins, Act::Op(op::<Trap>()), Some(Class::Control), 0, &[])?;
            }
            "bar" | "barrier" => self.barrier(ins, m)?,
            "membar" | "fence" => {
                m.one_of(&[("sc", ()), ("acq_rel", ()), ("proxy", ())]);
                if m.one_of(&[("cta", ()), ("gl", ()), ("gpu", ()), ("sys", ()), ("cluster", ())]).is_none() {
                    return m.unknown();
                }
                m.done()?;
                self.emit(ins, Act::Op(op::<Fence>()), Some(Class::Barrier), 0, &[])?;
            }
            "nanosleep" | "brkpt" | "pmevent" | "prefetch" | "prefetchu" | "discard" | "applypriority" => {
                self.emit(ins, Act::Op(op::<Nothing>()), Some(Class::Control), 0, &[])?;
            }
            "shfl" => self.shuffle(ins, m)?,
            "vote" => self.vote(ins, m)?,
            "match" => self.matching(ins, m)?,
            "redux" => self.redux(ins, m)?,
            "activemask" => {
                m.ty()?;
                m.done()?;
                self.simple(ins, op::<ActiveMask>(), Class::Warp, 0, &[Ty::B32])?;
            }
            "elect" => {
                m.take("sync");
                m.done()?;
                self.arity(ins, 2)?;
                let (d, p) = self.pair(&ins.operands[0], Ty::B32, ins.line)?;
                let mask = self.src(&ins.operands[1], Ty::B32, ins.line)?;
                let operands = [(d, Role::Def), (p, Role::Def), (mask, Role::Use)];
                self.emit(ins, Act::Op(op::<Elect>()), Some(Class::Warp), 0, &operands)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `d|p`, or `d` alone.
    fn pair(&mut self, operand: &Operand<'a>, ty: Ty, line: u32) -> Res<(u32, u32)> {
        match operand {
            Operand::Pair(d, p) => {
                let d = self.dst(&Operand::Name(d), ty, line)?;
                Ok((d, self.dst(&Operand::Name(p), Ty::Pred, line)?))
            }
            _ => Ok((self.dst(operand, ty, line)?, self.fresh(Width::Pred))),
        }
    }

    fn brx(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        m.take("idx");
        m.take("uni");
        m.done()?;
        self.arity(ins, 2)?;
        let index = self.src(&ins.operands[0], Ty::U32, ins.line)?;
        let Operand::Name(name) = ins.operands[1] else { return m.unknown() };
        let Some(list) = self.targets.get(&(self.instance, name)).cloned() else {
            return bad(ins.line, format!("`{name}` is no list of branch targets"));
        };
        if ins.guard.is_some() {
            return bad(ins.line, "a guarded brx.idx is not supported");
        }
        let labels = list.iter().map(|name| self.label(name, ins.line)).collect();
        self.emit(ins, Act::Table(labels), Some(Class::Control), 0, &[(index, Role::Use)])
    }

    /// A call is the function's body, put here: its parameters are the caller's own variables.
    fn call(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        m.take("uni");
        m.done()?;
        if self.depth >= DEPTH {
            return bad(ins.line, format!("calls nest deeper than {DEPTH}: recursion is not supported"));
        }
        let (results, name, args): (&[Operand<'a>], _, &[Operand<'a>]) = match &ins.operands[..] {
            [Operand::Group(r), Operand::Name(n), Operand::Group(a)] => (r, n, a),
            [Operand::Group(r), Operand::Name(n)] => (r, n, &[]),
            [Operand::Name(n), Operand::Group(a)] => (&[], n, a),
            [Operand::Name(n)] => (&[], n, &[]),
            _ => return bad(ins.line, "this form of call is not supported"),
        };
        let module = self.module;
        let Some(func) = module.funcs.iter().find(|f| f.name == *name && f.body.is_some() && !f.entry) else {
            return bad(ins.line, format!("`{name}` is not defined in this module"));
        };
        if results.len() != func.results.len() || args.len() != func.params.len() {
            return bad(
                ins.line,
                format!("`{name}` is called with another number of parameters than it has"),
            );
        }
        let mut scope = Scope::default();
        for (formal, actual) in func.results.iter().zip(results).chain(func.params.iter().zip(args)) {
            let Operand::Name(actual) = actual else {
                return bad(ins.line, "this form of call is not supported");
            };
            match self.symbol(actual) {
                Some(symbol @ Symbol::At(crate::parse::ast::Space::Local, _)) => {
                    scope.symbols.insert(formal.name, symbol);
                }
                _ => return bad(ins.line, format!("`{actual}` is no .param variable")),
            }
        }
        // A guarded call is jumped over by the lanes that do not make it.
        let end = self.hidden_label();
        if let Some((pred, negated)) = ins.guard {
            let skip = Instr { guard: Some((pred, !negated)), ..ins.clone() };
            self.emit(&skip, Act::Branch(end), Some(Class::Control), 0, &[])?;
        }
        let body = func.body.as_ref().expect("found as defined");
        let scopes = std::mem::replace(&mut self.scopes, vec![scope, Scope::default()]);
        let (instance, outer_end) = (self.instance, self.end);
        (self.instance, self.end) = (self.instances, Some(end));
        self.instances += 1;
        self.depth += 1;
        let done = self.body(body);
        self.depth -= 1;
        self.scopes = scopes;
        (self.instance, self.end) = (instance, outer_end);
        self.labels[end as usize] = Some(self.insts.len() as u32);
        done
    }

    fn barrier(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if m.take("warp") {
            m.take("sync");
            m.done()?;
            self.arity(ins, 1)?;
            let mask = self.src(&ins.operands[0], Ty::B32, ins.line)?;
            return self.emit(ins, Act::Op(op::<WarpSync>()), Some(Class::Barrier), 0, &[(mask, Role::Use)]);
        }
        m.take("cta");
        m.take("aligned");
        let Some(what) = m.one_of(&[("sync", 0), ("arrive", 1), ("red", 2)]) else { return m.unknown() };
        let kind = match what {
            0 => BarKind::Sync,
            1 => BarKind::Arrive,
            _ => match m.one_of(&[("popc", BarKind::Popc), ("and", BarKind::And), ("or", BarKind::Or)]) {
                Some(kind) => kind,
                None => return m.unknown(),
            },
        };
        let mut rest = &ins.operands[..];
        let reads = |reg: u32| (reg, Role::Use);
        let mut operands = [(0, Role::Raw); 4];
        let mut bar = Bar { kind, id: 0, count: None, dst: 0, vote: 0, invert: 0 };
        if what == 2 {
            let ty = m.ty()?;
            let [dst, .., vote] = rest else { return m.unknown() };
            operands[2] = (self.dst(dst, ty, ins.line)?, Role::Def);
            let (p, negated) = self.pred_operand(vote, ins.line)?;
            operands[3] = reads(p);
            bar.invert = if negated { u32::MAX } else { 0 };
            rest = &rest[1..rest.len() - 1];
        }
        m.done()?;
        match rest {
            [id] => operands[0] = reads(self.src(id, Ty::U32, ins.line)?),
            [id, count] => {
                operands[0] = reads(self.src(id, Ty::U32, ins.line)?);
                operands[1] = reads(self.src(count, Ty::U32, ins.line)?);
                bar.count = Some(0);
            }
            _ => return m.unknown(),
        }
        // What is not there still names a register, of which nothing is read.
        let zero = self.constant(Width::W32, 0);
        for slot in &mut operands {
            if slot.1 == Role::Raw {
                *slot = reads(zero);
            }
        }
        self.emit(ins, Act::Bar(bar), Some(Class::Barrier), 0, &operands)
    }

    fn shuffle(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let sync = m.take("sync");
        let Some(mode) = m.one_of(&[("up", 0), ("down", 1), ("bfly", 2), ("idx", 3)]) else {
            return m.unknown();
        };
        let ty = m.ty()?;
        m.done()?;
        if ty != Ty::B32 {
            return m.unknown();
        }
        self.arity(ins, if sync { 5 } else { 4 })?;
        let (d, p) = self.pair(&ins.operands[0], ty, ins.line)?;
        let mut operands = vec![(d, Role::Def), (p, Role::Def)];
        for operand in &ins.operands[1..] {
            operands.push((self.src(operand, Ty::B32, ins.line)?, Role::Use));
        }
        let imm = mode | if sync { 0 } else { 16 };
        self.emit(ins, Act::Op(op::<Shuffle>()), Some(Class::Warp), imm, &operands)
    }

    fn vote(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if !m.take("sync") {
            return m.unknown();
        }
        let Some(mode) = m.one_of(&[("any", 0), ("all", 1), ("uni", 2), ("ballot", 3)]) else {
            return m.unknown();
        };
        let ty = m.ty()?;
        m.done()?;
        if (ty == Ty::Pred) != (mode < 3) {
            return m.unknown();
        }
        self.arity(ins, 3)?;
        let d = self.dst(&ins.operands[0], ty, ins.line)?;
        let (p, negated) = self.pred_operand(&ins.operands[1], ins.line)?;
        let mask = self.src(&ins.operands[2], Ty::B32, ins.line)?;
        let imm = mode | if negated { 16 } else { 0 };
        let operands = [(d, Role::Def), (p, Role::Use), (mask, Role::Use)];
        self.emit(ins, Act::Op(op::<Vote>()), Some(Class::Warp), imm, &operands)
    }

    fn matching(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        let Some(all) = m.one_of(&[("any", 0), ("all", 1)]) else { return m.unknown() };
        if !m.take("sync") {
            return m.unknown();
        }
        let ty = m.ty()?;
        m.done()?;
        self.arity(ins, 3)?;
        let (d, p) = self.pair(&ins.operands[0], Ty::B32, ins.line)?;
        let a = self.src(&ins.operands[1], ty, ins.line)?;
        let mask = self.src(&ins.operands[2], Ty::B32, ins.line)?;
        let imm = all | if ty.size() == 8 { 2 } else { 0 };
        let operands = [(d, Role::Def), (p, Role::Def), (a, Role::Use), (mask, Role::Use)];
        self.emit(ins, Act::Op(op::<Match>()), Some(Class::Warp), imm, &operands)
    }

    fn redux(&mut self, ins: &Instr<'a>, m: &mut Mods<'a>) -> Res<()> {
        if !m.take("sync") {
            return m.unknown();
        }
        let names = [("add", 0), ("min", 1), ("max", 2), ("and", 3), ("or", 4), ("xor", 5)];
        let Some(what) = m.one_of(&names) else { return m.unknown() };
        let ty = m.ty()?;
        m.done()?;
        if ty.size() != 4 || ty.float() {
            return m.unknown();
        }
        let imm = what | if ty.signed() { 16 } else { 0 };
        self.simple(ins, op::<Redux>(), Class::Warp, imm, &[ty, ty, Ty::B32])
    }
}
