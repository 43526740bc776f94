//! PTX text to a syntax tree. Nothing here knows what an instruction does.

pub mod ast;
mod body;
mod lexer;

use ast::{Func, Init, Module, Operand, PtxError, Space, Ty, Var};
use lexer::Lexer;

/// Whether a text begins as PTX does.
pub fn looks_like_ptx(text: &str) -> bool {
    let mut lex = Lexer::new(text);
    lex.peek() == b'.' && lex.dotted() == Ok(".version")
}

/// Reads a whole module.
pub fn parse(text: &str) -> Result<Module<'_>, PtxError> {
    let mut p = Parser {
        lex: Lexer::new(text),
        module: Module { version: (0, 0), target: 0, funcs: vec![], vars: vec![], files: vec![] },
        loc: None,
    };
    p.header()?;
    while !p.lex.at_end() {
        p.top()?;
    }
    Ok(p.module)
}

struct Parser<'a> {
    lex: Lexer<'a>,
    module: Module<'a>,
    loc: Option<(u32, u32)>,
}

type Res<T> = Result<T, PtxError>;

impl<'a> Parser<'a> {
    /// `.version`, `.target`, `.address_size`, in this order; anything else in front is no PTX.
    fn header(&mut self) -> Res<()> {
        if self.lex.peek() != b'.' || self.lex.dotted()? != ".version" {
            return self.lex.error("this is no PTX: it does not begin with .version");
        }
        let major = self.lex.dotted()?;
        let parts: Vec<Option<u32>> = major.split('.').map(|n| n.parse().ok()).collect();
        match parts[..] {
            [Some(major), Some(minor)] => self.module.version = (major, minor),
            _ => return self.lex.error(format!("`{major}` is no PTX version")),
        }
        if self.lex.dotted()? != ".target" {
            return self.lex.error("expected .target after .version");
        }
        let target = self.lex.word()?;
        let digits = target.strip_prefix("sm_").unwrap_or("");
        let digits = digits.trim_end_matches(['a', 'f']);
        match digits.parse() {
            Ok(n) => self.module.target = n,
            Err(_) => return self.lex.error(format!("`{target}` is no target: expected sm_NN")),
        }
        while self.lex.eat(b',') {
            let option = self.lex.word()?;
            if option != "debug" {
                return self.lex.error(format!("target option `{option}` is not known"));
            }
        }
        if self.lex.dotted()? != ".address_size" {
            return self.lex.error("expected .address_size after .target");
        }
        match self.lex.int()? {
            64 => Ok(()),
            n => self.lex.error(format!("address size {n} is not supported: 64 is")),
        }
    }

    fn top(&mut self) -> Res<()> {
        if self.lex.peek() != b'.' {
            let found = self.lex.around();
            return self.lex.error(format!("expected a directive before {found}"));
        }
        let line = self.lex.line;
        let word = self.lex.dotted()?;
        match word {
            ".visible" | ".weak" | ".extern" | ".common" => Ok(()),
            ".entry" | ".func" => self.func(word == ".entry", line),
            ".global" => self.top_var(Space::Global, line),
            ".const" => self.top_var(Space::Const, line),
            ".shared" => self.top_var(Space::Shared, line),
            ".file" => self.file(),
            ".section" => self.section(),
            ".pragma" => self.pragma(),
            _ => self.lex.error(format!("unknown directive `{word}`")),
        }
    }

    fn top_var(&mut self, space: Space, line: u32) -> Res<()> {
        let vars = self.vars(space, line)?;
        self.module.vars.extend(vars);
        Ok(())
    }

    fn file(&mut self) -> Res<()> {
        let number = self.lex.int()? as u32;
        let name = self.lex.string()?;
        // Time stamp and size may follow.
        while self.lex.eat(b',') {
            self.lex.int()?;
        }
        self.module.files.push((number, name));
        Ok(())
    }

    fn section(&mut self) -> Res<()> {
        self.lex.dotted()?;
        self.lex.skip_braces()
    }

    fn pragma(&mut self) -> Res<()> {
        self.lex.string()?;
        while self.lex.eat(b',') {
            self.lex.string()?;
        }
        self.lex.expect(b';')
    }

    fn loc(&mut self) -> Res<()> {
        let file = self.lex.int()? as u32;
        let line = self.lex.int()? as u32;
        self.loc = Some((file, line));
        // Column, and where the code was inlined: read over.
        self.lex.skip_line();
        Ok(())
    }

    fn func(&mut self, entry: bool, line: u32) -> Res<()> {
        let mut results = vec![];
        if !entry && self.lex.peek() == b'(' {
            results = self.params()?;
        }
        let name = self.lex.word()?;
        let params = if self.lex.peek() == b'(' { self.params()? } else { vec![] };
        let mut func = Func { name, entry, params, results, body: None, maxntid: None, reqntid: None, line };
        loop {
            match self.lex.peek() {
                b'.' => self.tuning(&mut func)?,
                b';' => {
                    self.lex.expect(b';')?;
                    break;
                }
                b'{' => {
                    func.body = Some(self.body()?);
                    break;
                }
                _ => {
                    let found = self.lex.around();
                    return self.lex.error(format!("expected the body of `{name}` before {found}"));
                }
            }
        }
        if func.body.is_some() && self.module.funcs.iter().any(|f| f.name == name && f.body.is_some()) {
            return self.lex.error(format!("`{name}` is defined twice"));
        }
        self.module.funcs.push(func);
        Ok(())
    }

    fn tuning(&mut self, func: &mut Func<'a>) -> Res<()> {
        let word = self.lex.dotted()?;
        match word {
            ".maxntid" => func.maxntid = Some(self.triple()?),
            ".reqntid" => func.reqntid = Some(self.triple()?),
            ".minnctapersm" | ".maxnctapersm" | ".maxnreg" => {
                self.lex.int()?;
            }
            ".noreturn" => {}
            ".pragma" => self.pragma()?,
            _ => return self.lex.error(format!("unknown directive `{word}`")),
        }
        Ok(())
    }

    fn triple(&mut self) -> Res<[u32; 3]> {
        let mut out = [1; 3];
        for n in 0..3 {
            if n > 0 && !self.lex.eat(b',') {
                break;
            }
            out[n] = u32::try_from(self.lex.int()?).unwrap_or(u32::MAX);
        }
        Ok(out)
    }

    /// `(.param .u64 a, .param .align 4 .b8 b[20])`
    fn params(&mut self) -> Res<Vec<Var<'a>>> {
        self.lex.expect(b'(')?;
        let mut out = vec![];
        if self.lex.eat(b')') {
            return Ok(out);
        }
        loop {
            let line = self.lex.line;
            let word = self.lex.dotted()?;
            if word != ".param" {
                return self.lex.error(format!("expected .param before `{word}`"));
            }
            out.push(self.var(Space::Param, line)?);
            if !self.lex.eat(b',') {
                break;
            }
        }
        self.lex.expect(b')')?;
        Ok(out)
    }

    fn vars(&mut self, space: Space, line: u32) -> Res<Vec<Var<'a>>> {
        let mut out = vec![self.var(space, line)?];
        while self.lex.eat(b',') {
            let (ty, align) = (out[0].ty, out[0].align);
            out.push(self.declarator(space, ty, align, line)?);
        }
        self.lex.expect(b';')?;
        Ok(out)
    }

    /// Alignment and type, then one name.
    fn var(&mut self, space: Space, line: u32) -> Res<Var<'a>> {
        let mut align = None;
        loop {
            let word = self.lex.dotted()?;
            match word {
                ".align" => {
                    let n = self.lex.int()?;
                    if !n.is_power_of_two() || n > 4096 {
                        return self.lex.error(format!("alignment {n} is no power of two up to 4096"));
                    }
                    align = Some(n as u32);
                }
                ".ptr" | ".global" | ".const" | ".shared" | ".local" | ".visible" | ".attribute" => {}
                _ => match Ty::parse(&word[1..]) {
                    Some(ty) if ty != Ty::Pred => {
                        // A pointer parameter may say more: `.u64 .ptr .global .align 4 name`.
                        while self.lex.peek() == b'.' {
                            match self.lex.dotted()? {
                                ".align" => {
                                    self.lex.int()?;
                                }
                                ".ptr" | ".global" | ".const" | ".shared" | ".local" => {}
                                other => return self.lex.error(format!("unknown attribute `{other}`")),
                            }
                        }
                        return self.declarator(space, ty, align.unwrap_or(ty.size()), line);
                    }
                    _ => return self.lex.error(format!("`{word}` is no type of a variable")),
                },
            }
        }
    }

    /// `name`, `name[20]`, `name[]`, with an initialiser.
    fn declarator(&mut self, space: Space, ty: Ty, align: u32, line: u32) -> Res<Var<'a>> {
        let name = self.lex.word()?;
        let mut count = 1u64;
        while self.lex.eat(b'[') {
            if self.lex.eat(b']') {
                count = 0;
                continue;
            }
            let n = self.lex.int()?;
            self.lex.expect(b']')?;
            count = match count.checked_mul(n) {
                Some(c) if c <= 1 << 32 => c,
                _ => return self.lex.error(format!("`{name}` is too large")),
            };
        }
        let mut var = Var { name, space, ty, align, size: count * u64::from(ty.size()), init: vec![], line };
        if self.lex.eat(b'=') {
            self.init(&mut var)?;
            if var.size == 0 {
                var.size = var.init.len() as u64 * u64::from(ty.size());
            }
            if var.init.len() as u64 * u64::from(ty.size()) > var.size {
                return self.lex.error(format!("`{name}` has more initial values than elements"));
            }
        }
        Ok(var)
    }

    fn init(&mut self, var: &mut Var<'a>) -> Res<()> {
        if self.lex.eat(b'{') {
            loop {
                // Rows of a matrix lie in braces of their own; they follow one another in memory.
                if self.lex.peek() == b'{' {
                    self.init(var)?;
                } else if self.lex.peek() != b'}' {
                    let item = self.init_item(var.ty)?;
                    var.init.push(item);
                }
                if !self.lex.eat(b',') {
                    break;
                }
            }
            return self.lex.expect(b'}');
        }
        let item = self.init_item(var.ty)?;
        var.init.push(item);
        Ok(())
    }

    fn init_item(&mut self, ty: Ty) -> Res<Init<'a>> {
        if self.lex.number_next() {
            let bits = match (self.lex.number()?, ty) {
                (Operand::Int(v), Ty::F32) => u64::from((v as i64 as f32).to_bits()),
                (Operand::Int(v), Ty::F64) => (v as i64 as f64).to_bits(),
                (Operand::Int(v), _) => v,
                (Operand::F32(v), _) => u64::from(v),
                (Operand::F64(v), Ty::F32) => u64::from((f64::from_bits(v) as f32).to_bits()),
                (Operand::F64(v), _) => v,
                _ => 0,
            };
            return Ok(Init::Bits(bits));
        }
        let mut name = self.lex.word()?;
        if name == "generic" && self.lex.eat(b'(') {
            name = self.lex.word()?;
            self.lex.expect(b')')?;
        }
        let plus = if self.lex.eat(b'+') { self.lex.int()? as i64 } else { 0 };
        Ok(Init::Symbol(name, plus))
    }
}
