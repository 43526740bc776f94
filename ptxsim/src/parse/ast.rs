//! What a PTX file says, before any of it is given a meaning. Names borrow from the text.

use std::fmt;

/// A state space, as instructions and declarations name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    Global,
    Const,
    Shared,
    Local,
    Param,
}

/// A scalar type of PTX.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Ty {
    B8,
    B16,
    B32,
    B64,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
    Pred,
}

impl Ty {
    pub fn parse(name: &str) -> Option<Ty> {
        Some(match name {
            "b8" => Ty::B8,
            "b16" => Ty::B16,
            "b32" => Ty::B32,
            "b64" => Ty::B64,
            "u8" => Ty::U8,
            "u16" => Ty::U16,
            "u32" => Ty::U32,
            "u64" => Ty::U64,
            "s8" => Ty::S8,
            "s16" => Ty::S16,
            "s32" => Ty::S32,
            "s64" => Ty::S64,
            "f16" => Ty::F16,
            "f16x2" => Ty::F16x2,
            "bf16" => Ty::Bf16,
            "bf16x2" => Ty::Bf16x2,
            "tf32" => Ty::Tf32,
            "f32" => Ty::F32,
            "f64" => Ty::F64,
            "pred" => Ty::Pred,
            _ => return None,
        })
    }

    /// Bytes of one value in memory; 0 for a predicate, which has no address.
    pub fn size(self) -> u32 {
        match self {
            Ty::B8 | Ty::U8 | Ty::S8 => 1,
            Ty::B16 | Ty::U16 | Ty::S16 | Ty::F16 | Ty::Bf16 => 2,
            Ty::B64 | Ty::U64 | Ty::S64 | Ty::F64 => 8,
            Ty::Pred => 0,
            _ => 4,
        }
    }

    pub fn signed(self) -> bool {
        matches!(self, Ty::S8 | Ty::S16 | Ty::S32 | Ty::S64)
    }

    pub fn float(self) -> bool {
        matches!(self, Ty::F16 | Ty::F16x2 | Ty::Bf16 | Ty::Bf16x2 | Ty::Tf32 | Ty::F32 | Ty::F64)
    }
}

/// One element of an initialiser.
#[derive(Clone, Debug)]
pub enum Init<'a> {
    /// The bits, already in the variable's type.
    Bits(u64),
    /// The address of another variable, and bytes added to it.
    Symbol(&'a str, i64),
}

/// A variable in memory.
#[derive(Clone, Debug)]
pub struct Var<'a> {
    pub name: &'a str,
    pub space: Space,
    pub ty: Ty,
    pub align: u32,
    /// Bytes in all; 0 for an array whose length the launch decides.
    pub size: u64,
    pub init: Vec<Init<'a>>,
    pub line: u32,
}

#[derive(Clone, Debug)]
pub enum Operand<'a> {
    /// A register, special register, variable, label or function.
    Name(&'a str),
    /// `!p`
    Not(&'a str),
    /// Any integer, as 64 bits of two's complement.
    Int(u64),
    F32(u32),
    F64(u64),
    Vector(Vec<Operand<'a>>),
    /// `[base+offset]`; without a base, an absolute address.
    Address(Option<&'a str>, i64),
    /// `d|p`
    Pair(&'a str, &'a str),
    /// `(a, b)` of a call.
    Group(Vec<Operand<'a>>),
}

#[derive(Clone, Debug)]
pub struct Instr<'a> {
    /// The predicate, and whether it is negated.
    pub guard: Option<(&'a str, bool)>,
    /// Opcode with its modifiers, as written.
    pub op: &'a str,
    pub operands: Vec<Operand<'a>>,
    pub line: u32,
    /// Source position: (file number, line), from `.loc`.
    pub loc: Option<(u32, u32)>,
}

#[derive(Clone, Debug)]
pub enum Stmt<'a> {
    Label(&'a str, u32),
    Instr(Instr<'a>),
    /// A type, and names; with a count, `name0` up to `name(count-1)`.
    Regs(Ty, Vec<(&'a str, Option<u32>)>),
    Var(Var<'a>),
    Open,
    Close,
    /// A labelled list of branch targets, for `brx.idx`.
    Targets(&'a str, Vec<&'a str>),
}

#[derive(Clone, Debug)]
pub struct Func<'a> {
    pub name: &'a str,
    pub entry: bool,
    pub params: Vec<Var<'a>>,
    pub results: Vec<Var<'a>>,
    /// None for a declaration.
    pub body: Option<Vec<Stmt<'a>>>,
    pub maxntid: Option<[u32; 3]>,
    pub reqntid: Option<[u32; 3]>,
    pub line: u32,
}

#[derive(Debug)]
pub struct Module<'a> {
    pub version: (u32, u32),
    /// The number in `.target sm_NN`.
    pub target: u32,
    pub funcs: Vec<Func<'a>>,
    pub vars: Vec<Var<'a>>,
    pub files: Vec<(u32, &'a str)>,
}

/// Why a text was refused: the line, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PtxError {
    pub line: u32,
    pub what: String,
}

impl fmt::Display for PtxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for PtxError {}
