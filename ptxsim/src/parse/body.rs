//! The inside of a function: labels, instructions, operands.

use super::ast::{Instr, Operand, Space, Stmt, Ty};
use super::{Parser, Res};

impl<'a> Parser<'a> {
    pub(super) fn body(&mut self) -> Res<Vec<Stmt<'a>>> {
        self.lex.expect(b'{')?;
        self.loc = None;
        let (mut out, mut depth) = (vec![], 1);
        while depth > 0 {
            match self.lex.peek() {
                b'{' => {
                    self.lex.expect(b'{')?;
                    depth += 1;
                    out.push(Stmt::Open);
                }
                b'}' => {
                    self.lex.expect(b'}')?;
                    depth -= 1;
                    out.push(Stmt::Close);
                }
                b'.' => self.local_directive(&mut out)?,
                0 if self.lex.at_end() => return self.lex.error("a body that does not end"),
                _ => self.statement(&mut out)?,
            }
        }
        out.pop();
        Ok(out)
    }

    fn local_directive(&mut self, out: &mut Vec<Stmt<'a>>) -> Res<()> {
        let line = self.lex.line;
        let word = self.lex.dotted()?;
        match word {
            ".reg" => {
                let stmt = self.regs()?;
                out.push(stmt);
            }
            ".local" => out.extend(self.vars(Space::Local, line)?.into_iter().map(Stmt::Var)),
            ".shared" => out.extend(self.vars(Space::Shared, line)?.into_iter().map(Stmt::Var)),
            ".param" => out.extend(self.vars(Space::Param, line)?.into_iter().map(Stmt::Var)),
            ".global" => out.extend(self.vars(Space::Global, line)?.into_iter().map(Stmt::Var)),
            ".const" => out.extend(self.vars(Space::Const, line)?.into_iter().map(Stmt::Var)),
            ".extern" | ".visible" => {}
            ".loc" => self.loc()?,
            ".pragma" => self.pragma()?,
            _ => return self.lex.error(format!("unknown directive `{word}`")),
        }
        Ok(())
    }

    fn regs(&mut self) -> Res<Stmt<'a>> {
        let word = self.lex.dotted()?;
        let Some(ty) = word.strip_prefix('.').and_then(Ty::parse) else {
            return self.lex.error(format!("`{word}` is no type of a register"));
        };
        let mut names = vec![];
        loop {
            let name = self.lex.word()?;
            let mut count = None;
            if self.lex.eat(b'<') {
                let n = self.lex.int()?;
                if n > 1 << 20 {
                    return self.lex.error(format!("{n} registers are too many"));
                }
                count = Some(n as u32);
                self.lex.expect(b'>')?;
            }
            names.push((name, count));
            if !self.lex.eat(b',') {
                break;
            }
        }
        self.lex.expect(b';')?;
        Ok(Stmt::Regs(ty, names))
    }

    /// A label or an instruction.
    fn statement(&mut self, out: &mut Vec<Stmt<'a>>) -> Res<()> {
        let mut guard = None;
        if self.lex.eat(b'@') {
            let negated = self.lex.eat(b'!');
            guard = Some((self.lex.word()?, negated));
        }
        let line = self.lex.line;
        let op = self.lex.dotted()?;
        if guard.is_none() && self.lex.eat(b':') {
            if self.lex.peek() == b'.' && self.targets_follow() {
                self.lex.dotted()?;
                let mut names = vec![self.lex.word()?];
                while self.lex.eat(b',') {
                    names.push(self.lex.word()?);
                }
                self.lex.expect(b';')?;
                out.push(Stmt::Targets(op, names));
                return Ok(());
            }
            out.push(Stmt::Label(op, line));
            return Ok(());
        }
        let mut operands = vec![];
        if self.lex.peek() != b';' {
            loop {
                let operand = self.operand(0)?;
                operands.push(operand);
                if !self.lex.eat(b',') {
                    break;
                }
            }
        }
        self.lex.expect(b';')?;
        out.push(Stmt::Instr(Instr { guard, op, operands, line, loc: self.loc }));
        Ok(())
    }

    fn targets_follow(&mut self) -> bool {
        let mut ahead = self.lex.clone();
        ahead.dotted() == Ok(".branchtargets")
    }

    fn operand(&mut self, depth: u32) -> Res<Operand<'a>> {
        if depth > 2 {
            return self.lex.error("operands nested too deeply");
        }
        match self.lex.peek() {
            b'[' => {
                self.lex.expect(b'[')?;
                let base = if self.lex.number_next() { None } else { Some(self.lex.word()?) };
                let mut offset = 0i64;
                if base.is_none() {
                    offset = self.lex.int()? as i64;
                }
                while self.lex.eat(b'+') {
                    offset = offset.wrapping_add(self.lex.int()? as i64);
                }
                if self.lex.peek() == b'-' {
                    offset = offset.wrapping_add(self.lex.int()? as i64);
                }
                self.lex.expect(b']')?;
                Ok(Operand::Address(base, offset))
            }
            b'{' => {
                self.lex.expect(b'{')?;
                let list = self.list(b'}', depth)?;
                Ok(Operand::Vector(list))
            }
            b'(' => {
                self.lex.expect(b'(')?;
                let list = self.list(b')', depth)?;
                Ok(Operand::Group(list))
            }
            b'!' => {
                self.lex.expect(b'!')?;
                Ok(Operand::Not(self.lex.word()?))
            }
            _ if self.lex.number_next() => self.lex.number(),
            _ => {
                let name = self.lex.word()?;
                if self.lex.eat(b'|') {
                    return Ok(Operand::Pair(name, self.lex.word()?));
                }
                Ok(Operand::Name(name))
            }
        }
    }

    fn list(&mut self, end: u8, depth: u32) -> Res<Vec<Operand<'a>>> {
        let mut out = vec![];
        if self.lex.eat(end) {
            return Ok(out);
        }
        loop {
            out.push(self.operand(depth + 1)?);
            if !self.lex.eat(b',') {
                break;
            }
        }
        self.lex.expect(end)?;
        Ok(out)
    }
}
