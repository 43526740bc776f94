//! From the syntax tree to kernels: names become registers, constants and addresses; instructions become
//! functions over lanes; calls are expanded in place.

mod alu;
mod bits;
mod cfg;
mod compare;
mod control;
mod convert;
mod matrix;
mod memory;
mod mods;
mod moves;
mod needs;
mod regalloc;
mod symbols;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use crate::exec::lanes::{Body, pick};
use crate::ir::{Bar, Class, Kernel, OPERANDS, OpFn, ParamInfo, Place, Special};
use crate::parse::ast::{Func, Instr, Module, Operand, PtxError, Space, Stmt, Ty, Var};

use mods::Mods;
pub use needs::oldest_version;
pub use symbols::place_params;

type Res<T> = Result<T, PtxError>;

/// Width of a virtual register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Width {
    W32,
    W64,
    Pred,
}

impl Width {
    fn of(ty: Ty) -> Width {
        match ty.size() {
            0 => Width::Pred,
            8 => Width::W64,
            _ => Width::W32,
        }
    }
}

/// Whether an operand of a lowered instruction is read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    None,
    Def,
    Use,
    /// No register: a number for the instruction itself.
    Raw,
}

/// What a lowered instruction does.
#[derive(Clone, Debug)]
pub enum Act {
    Op(OpFn),
    Branch(u32),
    Table(Vec<u32>),
    Exit,
    Bar(Bar),
}

/// An instruction over virtual registers.
#[derive(Clone, Debug)]
pub struct Low {
    pub act: Act,
    pub imm: i64,
    pub regs: [u32; OPERANDS],
    pub roles: [Role; OPERANDS],
    pub guard: Option<(u32, bool)>,
    pub class: Option<Class>,
    /// Number among the memory instructions, if it is one.
    pub mem: u32,
    pub place: Place,
}

/// Where the module's variables lie.
pub type Globals<'a> = HashMap<&'a str, u64>;

/// Lowers one entry.
pub fn kernel<'a>(
    module: &Module<'a>,
    func: &Func<'a>,
    globals: &Globals<'a>,
    files: &Arc<Vec<(u32, String)>>,
) -> Res<Kernel> {
    let mut l = Lower::new(module, globals);
    l.entry(func)?;
    l.finish(func, files)
}

/// A name's meaning.
#[derive(Clone, Copy, Debug)]
enum Symbol {
    /// An address in a state space.
    At(Space, u64),
    /// The memory that the launch adds to the block's.
    DynamicShared,
}

#[derive(Default)]
struct Scope<'a> {
    /// `%r<10>`: type, count, first virtual register.
    ranges: HashMap<&'a str, (Ty, u32, u32)>,
    regs: HashMap<&'a str, (Ty, u32)>,
    symbols: HashMap<&'a str, Symbol>,
}

pub struct Lower<'a, 'm> {
    module: &'m Module<'a>,
    globals: &'m Globals<'a>,
    scopes: Vec<Scope<'a>>,
    /// Width of each virtual register, and whether it is never written.
    widths: Vec<Width>,
    fixed: Vec<bool>,
    consts: HashMap<(Width, u64), u32>,
    specials: HashMap<Special, u32>,
    dynamic: [Option<u32>; 2],
    shared_vars: HashMap<&'a str, u64>,
    insts: Vec<Low>,
    /// Instruction index of each label, once it was met, and its name and line for messages.
    labels: Vec<Option<u32>>,
    names: HashMap<(u32, &'a str), u32>,
    label_info: Vec<(&'a str, u32)>,
    targets: HashMap<(u32, &'a str), Vec<&'a str>>,
    /// Number of the function body being expanded, and where its `ret` goes (None: out of the kernel).
    instance: u32,
    instances: u32,
    end: Option<u32>,
    depth: u32,
    carry: Option<u32>,
    shared: u64,
    dynamic_align: u64,
    local: u64,
    mems: u32,
    mem_shared: Vec<bool>,
    shared_grain: u32,
    params: Vec<ParamInfo>,
    param_bytes: u32,
}

impl<'a, 'm> Lower<'a, 'm> {
    fn new(module: &'m Module<'a>, globals: &'m Globals<'a>) -> Self {
        Lower {
            module,
            globals,
            scopes: vec![Scope::default()],
            widths: vec![],
            fixed: vec![],
            consts: HashMap::new(),
            specials: HashMap::new(),
            dynamic: [None; 2],
            shared_vars: HashMap::new(),
            insts: vec![],
            labels: vec![],
            names: HashMap::new(),
            label_info: vec![],
            targets: HashMap::new(),
            instance: 0,
            instances: 1,
            end: None,
            depth: 0,
            carry: None,
            shared: 0,
            dynamic_align: 16,
            local: 0,
            mems: 0,
            mem_shared: vec![],
            shared_grain: 4,
            params: vec![],
            param_bytes: 0,
        }
    }

    fn entry(&mut self, func: &Func<'a>) -> Res<()> {
        let (params, bytes) = place_params(func)?;
        for (var, info) in func.params.iter().zip(&params) {
            let symbol = Symbol::At(Space::Param, u64::from(info.offset));
            self.top_scope().symbols.insert(var.name, symbol);
        }
        (self.params, self.param_bytes) = (params, bytes);
        let body = func.body.as_ref().expect("only defined entries are lowered");
        self.body(body)
    }

    fn top_scope(&mut self) -> &mut Scope<'a> {
        self.scopes.last_mut().expect("a body has at least its own scope")
    }

    fn body(&mut self, body: &[Stmt<'a>]) -> Res<()> {
        // Lists of targets may follow the branch that uses them.
        for stmt in body {
            if let Stmt::Targets(name, list) = stmt {
                self.targets.insert((self.instance, name), list.clone());
            }
        }
        for stmt in body {
            match stmt {
                Stmt::Open => self.scopes.push(Scope::default()),
                Stmt::Close => {
                    if self.scopes.len() > 1 {
                        self.scopes.pop();
                    }
                }
                Stmt::Regs(ty, names) => self.registers(*ty, names),
                Stmt::Var(var) => self.variable(var)?,
                Stmt::Label(name, line) => {
                    let id = self.label(name, *line);
                    if self.labels[id as usize].is_some() {
                        return Err(PtxError { line: *line, what: format!("label `{name}` is set twice") });
                    }
                    self.labels[id as usize] = Some(self.insts.len() as u32);
                }
                Stmt::Instr(ins) => self.instruction(ins)?,
                Stmt::Targets(..) => {}
            }
        }
        Ok(())
    }

    fn registers(&mut self, ty: Ty, names: &[(&'a str, Option<u32>)]) {
        for &(name, count) in names {
            let first = self.widths.len() as u32;
            for _ in 0..count.unwrap_or(1) {
                self.fresh(Width::of(ty));
            }
            let scope = self.top_scope();
            match count {
                Some(count) => {
                    scope.ranges.insert(name, (ty, count, first));
                }
                None => {
                    scope.regs.insert(name, (ty, first));
                }
            }
        }
    }

    fn fresh(&mut self, width: Width) -> u32 {
        self.widths.push(width);
        self.fixed.push(false);
        self.widths.len() as u32 - 1
    }

    fn fixed(&mut self, width: Width) -> u32 {
        let reg = self.fresh(width);
        self.fixed[reg as usize] = true;
        reg
    }

    fn label(&mut self, name: &'a str, line: u32) -> u32 {
        let next = self.labels.len() as u32;
        let id = *self.names.entry((self.instance, name)).or_insert(next);
        if id == next {
            self.labels.push(None);
            self.label_info.push((name, line));
        }
        id
    }

    /// A label without a name.
    fn hidden_label(&mut self) -> u32 {
        self.labels.push(None);
        self.label_info.push(("", 0));
        self.labels.len() as u32 - 1
    }

    fn instruction(&mut self, ins: &Instr<'a>) -> Res<()> {
        self.check_needs(ins)?;
        let mut mods = Mods::new(ins);
        let known = self.control(ins, &mut mods)?
            || self.alu(ins, &mut mods)?
            || self.convert(ins, &mut mods)?
            || self.memory(ins, &mut mods)?
            || self.matrix(ins, &mut mods)?;
        if !known {
            return mods.unknown();
        }
        Ok(())
    }

    /// Appends an instruction.
    fn emit(
        &mut self,
        ins: &Instr<'a>,
        act: Act,
        class: Option<Class>,
        imm: i64,
        operands: &[(u32, Role)],
    ) -> Res<()> {
        let guard = match ins.guard {
            Some((name, negated)) => Some((self.pred(name, ins.line)?, negated)),
            None => None,
        };
        let (mut regs, mut roles) = ([0; OPERANDS], [Role::None; OPERANDS]);
        for (n, &(reg, role)) in operands.iter().enumerate() {
            (regs[n], roles[n]) = (reg, role);
        }
        let place = Place { line: ins.line, loc: ins.loc };
        self.insts.push(Low { act, imm, regs, roles, guard, class, mem: 0, place });
        Ok(())
    }

    /// Appends an instruction of the usual form: a destination of the first type, sources of the others.
    fn simple(&mut self, ins: &Instr<'a>, f: OpFn, class: Class, imm: i64, types: &[Ty]) -> Res<()> {
        self.arity(ins, types.len())?;
        let mut operands = vec![];
        for (n, (operand, &ty)) in ins.operands.iter().zip(types).enumerate() {
            operands.push(if n == 0 {
                (self.dst(operand, ty, ins.line)?, Role::Def)
            } else {
                (self.src(operand, ty, ins.line)?, Role::Use)
            });
        }
        self.emit(ins, Act::Op(f), Some(class), imm, &operands)
    }

    fn arity(&self, ins: &Instr<'a>, want: usize) -> Res<()> {
        if ins.operands.len() == want {
            return Ok(());
        }
        let what = format!("`{}` takes {want} operands, here are {}", ins.op, ins.operands.len());
        Err(PtxError { line: ins.line, what })
    }

    fn finish(self, func: &Func<'a>, files: &Arc<Vec<(u32, String)>>) -> Res<Kernel> {
        for (id, at) in self.labels.iter().enumerate() {
            if at.is_none() {
                let (name, line) = self.label_info[id];
                return Err(PtxError { line, what: format!("label `{name}` is not set") });
            }
        }
        // The launch's shared memory follows the declared.
        let shared = self.shared.next_multiple_of(self.dynamic_align);
        if shared > 232_448 {
            let what =
                format!("`{}` declares {shared} bytes of shared memory: 232448 are the most", func.name);
            return Err(PtxError { line: func.line, what });
        }
        let flow = cfg::build(&self.insts, &self.labels);
        let alloc = regalloc::allocate(&self, &flow)
            .map_err(|what| PtxError { line: func.line, what: format!("`{}`: {what}", func.name) })?;
        Ok(table::assemble(self, func, flow, alloc, shared as u32, files))
    }
}

/// The function of a loop, as an act.
pub fn op<B: Body>() -> OpFn {
    pick::<B>()
}

/// Space for a variable: the new end, and where it begins.
fn reserve(end: &mut u64, var: &Var<'_>) -> u64 {
    let at = end.next_multiple_of(u64::from(var.align.max(1)));
    *end = at.saturating_add(var.size);
    at
}

/// What is wrong with an operand.
fn bad<T>(line: u32, what: impl Into<String>) -> Res<T> {
    Err(PtxError { line, what: what.into() })
}

/// A register operand's name, for messages.
fn shown(operand: &Operand<'_>) -> String {
    match operand {
        Operand::Name(n) => format!("`{n}`"),
        Operand::Not(n) => format!("`!{n}`"),
        Operand::Int(v) => format!("{}", *v as i64),
        Operand::F32(v) => format!("0f{v:08X}"),
        Operand::F64(v) => format!("0d{v:016X}"),
        Operand::Vector(_) => "a vector".into(),
        Operand::Address(..) => "an address".into(),
        Operand::Pair(d, p) => format!("`{d}|{p}`"),
        Operand::Group(_) => "a group".into(),
    }
}
