//! The dotted modifiers of an opcode.

use super::Res;
use crate::parse::ast::{Instr, PtxError, Ty};

/// The modifiers of an opcode, taken one after another; what is left over is unknown.
pub struct Mods<'a> {
    pub root: &'a str,
    pub(super) list: Vec<&'a str>,
    line: u32,
    op: &'a str,
}

impl<'a> Mods<'a> {
    pub(super) fn new(ins: &Instr<'a>) -> Self {
        let mut parts = ins.op.split('.');
        let root = parts.next().unwrap_or("");
        Mods { root, list: parts.collect(), line: ins.line, op: ins.op }
    }

    /// Takes a modifier if it is there.
    pub fn take(&mut self, name: &str) -> bool {
        match self.list.iter().position(|m| *m == name) {
            Some(at) => {
                self.list.remove(at);
                true
            }
            None => false,
        }
    }

    /// Takes the last type.
    pub fn ty(&mut self) -> Res<Ty> {
        match self.list.iter().rposition(|m| Ty::parse(m).is_some()) {
            Some(at) => Ok(Ty::parse(self.list.remove(at)).expect("just parsed")),
            None => self.unknown(),
        }
    }

    /// The one of these that is there, taken.
    pub fn one_of<T: Copy>(&mut self, names: &[(&str, T)]) -> Option<T> {
        names.iter().find(|(name, _)| self.take(name)).map(|&(_, value)| value)
    }

    /// Takes every modifier that begins so.
    pub fn drop_prefix(&mut self, prefix: &str) {
        self.list.retain(|m| !m.starts_with(prefix));
    }

    pub fn done(&self) -> Res<()> {
        if self.list.is_empty() { Ok(()) } else { self.unknown() }
    }

    pub fn unknown<T>(&self) -> Res<T> {
        Err(PtxError { line: self.line, what: format!("unknown instruction `{}`", self.op) })
    }
}
