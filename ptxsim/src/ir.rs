//! A kernel decoded for execution: flat code, registers resolved to slots, control flow as basic blocks.

use crate::exec::Cx;

/// Executes one instruction for the lanes of the mask. False: a fault was left in the context.
pub type OpFn = unsafe fn(&mut Cx<'_>, &Inst, u32) -> bool;

/// Most operands an instruction can name.
pub const OPERANDS: usize = 16;

/// One instruction. `r` holds register slots (or predicate numbers); which is which, `f` knows.
#[derive(Clone)]
pub struct Inst {
    pub f: OpFn,
    pub imm: i64,
    pub r: [u16; OPERANDS],
    /// Predicate that guards it (predicate 0 is always true), and the mask that negates it.
    pub guard: u16,
    /// Number among the kernel's memory instructions.
    pub mem: u16,
    pub invert: u32,
}

/// Classes by which instructions are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    Fp32,
    Fp64,
    Fp16,
    Int,
    Move,
    Convert,
    Special,
    LoadGlobal,
    StoreGlobal,
    LoadShared,
    StoreShared,
    Local,
    Param,
    Atomic,
    Control,
    Barrier,
    Warp,
    Matrix,
}

pub const CLASSES: usize = 18;

impl Class {
    pub const NAMES: [&'static str; CLASSES] = [
        "fp32",
        "fp64",
        "fp16",
        "int",
        "move",
        "convert",
        "special",
        "ld_global",
        "st_global",
        "ld_shared",
        "st_shared",
        "local",
        "param",
        "atomic",
        "control",
        "barrier",
        "warp",
        "matrix",
    ];
}

/// What a barrier instruction does besides waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BarKind {
    Sync,
    Arrive,
    /// Counts the threads whose predicate holds, into a register.
    Popc,
    And,
    Or,
}

#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub kind: BarKind,
    /// Register slot with the barrier's number, and the one with the number of threads (None: all).
    pub id: u16,
    pub count: Option<u16>,
    /// Predicate or register that receives the result, the predicate voted on, and whether it is negated.
    pub dst: u16,
    pub vote: u16,
    pub invert: u32,
}

/// No block: control leaves the kernel.
pub const NOWHERE: u32 = u32::MAX;

/// How a basic block ends.
#[derive(Clone, Copy, Debug)]
pub enum Term {
    Next(u32),
    Branch {
        pred: u16,
        invert: u32,
        taken: u32,
        next: u32,
        join: u32,
    },
    /// Jumps to `table[index]`; lanes may differ.
    Table {
        index: u16,
        first: u32,
        count: u32,
        join: u32,
    },
    Exit {
        pred: u16,
        invert: u32,
        next: u32,
    },
    Bar {
        pred: u16,
        invert: u32,
        bar: u32,
        next: u32,
    },
}

#[derive(Clone, Debug)]
pub struct Block {
    pub start: u32,
    pub end: u32,
    pub term: Term,
    /// Instruction that stands for the terminator in `places`.
    pub term_at: u32,
}

/// Where an instruction came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    pub line: u32,
    /// File number and line of the source, if the PTX says.
    pub loc: Option<(u32, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    LaneId,
    WarpId,
    NWarpId,
    SmId,
    NSmId,
    GridId,
    LaneMaskEq,
    LaneMaskLe,
    LaneMaskLt,
    LaneMaskGe,
    LaneMaskGt,
    DynamicShared,
    TotalShared,
}

#[derive(Clone, Debug)]
pub struct ParamInfo {
    pub offset: u32,
    pub size: u32,
}

/// A kernel, ready to run.
pub struct Kernel {
    pub name: String,
    pub blocks: Vec<Block>,
    pub code: Vec<Inst>,
    pub bars: Vec<Bar>,
    /// Targets of `Term::Table`.
    pub table: Vec<u32>,
    /// For each instruction, then for each terminator.
    pub places: Vec<Place>,
    pub classes: Vec<Option<Class>>,
    /// Register slots (32 lanes of 32 bits each) and predicates of one warp.
    pub slots: u32,
    pub preds: u32,
    /// Constants: slot, whether 64 bits, value. Never written by an instruction.
    pub consts: Vec<(u16, bool, u64)>,
    pub specials: Vec<(u16, Special)>,
    /// Slots and predicates that may be read before they are written.
    pub cleared: Vec<u16>,
    pub cleared_preds: Vec<u16>,
    /// Memory instructions.
    pub mems: u32,
    /// Whether each goes to shared memory.
    pub mem_shared: Vec<bool>,
    /// Bytes of the smallest access to shared memory, at most 4.
    pub shared_grain: u32,
    pub params: Vec<ParamInfo>,
    pub param_bytes: u32,
    /// Bytes of shared memory declared, and the alignment of what the launch adds.
    pub shared: u32,
    pub local: u32,
    pub maxntid: Option<[u32; 3]>,
    pub reqntid: Option<[u32; 3]>,
    /// Registers a thread holds at most, as 32-bit registers.
    pub pressure: u32,
    pub files: std::sync::Arc<Vec<(u32, String)>>,
}

impl Kernel {
    /// `k.cu:12 (PTX line 345)`
    pub fn place(&self, at: u32) -> String {
        let place = self.places.get(at as usize).copied().unwrap_or_default();
        match place.loc {
            Some((file, line)) => {
                let name = self.files.iter().find(|f| f.0 == file).map_or("?", |f| f.1.as_str());
                let short = name.rsplit('/').next().unwrap_or(name);
                format!("{short}:{line} (PTX line {})", place.line)
            }
            None => format!("PTX line {}", place.line),
        }
    }
}
