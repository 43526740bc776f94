//! Runs decoded kernels.

pub mod atomic;
mod barrier;
pub mod cvt;
pub mod float;
pub mod half_ops;
pub mod int;
pub mod lanes;
pub mod launch;
pub mod mem;
pub mod mma;
pub mod pool;
pub mod pred;
pub mod resolve;
pub mod round;
mod spaces;
pub mod warp;
pub mod warp_ops;
mod worker;

use std::time::Instant;

use lanes::LANES;

use crate::checks::SharedShadow;
use crate::counts::MemCount;
use crate::ir::{Inst, Kernel};
use crate::memory::Memory;

/// A kernel's misdeed: the driver's code, what happened, and which lane did it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub code: i32,
    pub what: String,
    pub lane: u32,
}

pub const ILLEGAL_ADDRESS: i32 = 700;
pub const MISALIGNED: i32 = 716;
pub const LAUNCH_FAILED: i32 = 719;
pub const TIMEOUT: i32 = 702;

/// Basic blocks between two looks at the clock.
pub const FUEL: u32 = 1 << 16;

/// How the lanes of an access lie in host memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One after another, all 32.
    Row,
    /// All at the same address.
    Same,
    Scattered,
}

/// The host side of an access: lane `l` is at `base + off[l]`.
pub struct Access {
    pub shape: Shape,
    pub base: usize,
    pub off: [u64; LANES],
}

/// What a memory instruction remembers from its last execution.
#[derive(Clone, Copy)]
pub struct Cache {
    /// Addresses of the allocation, its bytes and shadow on the host.
    pub start: u64,
    pub end: u64,
    pub host: usize,
    pub shadow: usize,
    pub readonly: bool,
    pub all_written: bool,
}

impl Cache {
    pub const EMPTY: Cache =
        Cache { start: 0, end: 0, host: 0, shadow: 0, readonly: false, all_written: false };
}

/// What an instruction works on: the registers of one warp, and the memory it sees.
pub struct Cx<'l> {
    regs: *mut u32,
    preds: *mut u32,
    slots: u32,
    npreds: u32,
    /// Lanes that execute now, and lanes that have not left the kernel.
    pub active: u32,
    pub live: u32,
    pub warp: u32,
    pub block: u64,
    pub shared: usize,
    pub shared_size: u32,
    pub shared_shadow: Option<Box<SharedShadow>>,
    /// The warp's local memory, and the bytes of one lane.
    pub local: usize,
    pub local_size: u32,
    pub params: &'l [u8],
    pub memory: &'l Memory,
    pub kernel: &'l Kernel,
    pub resolvers: [resolve::Resolve; 10],
    pub caches: Vec<Cache>,
    pub access: Access,
    pub checks: bool,
    pub counting: bool,
    pub counts: Vec<MemCount>,
    pub fault: Option<Fault>,
    /// When the launch has run too long, and basic blocks until the clock is looked at again.
    pub deadline: Option<Instant>,
    pub fuel: u32,
}

impl Cx<'_> {
    #[inline(always)]
    pub fn r32(&self, slot: u16) -> &[u32; LANES] {
        debug_assert!(u32::from(slot) < self.slots);
        // SAFETY: slots are numbered below `slots` by the allocator of registers, and the buffer behind
        // `regs` has that many rows of 32 lanes for this warp; `&self` keeps others from writing meanwhile.
        unsafe { &*self.regs.add(slot as usize * LANES).cast() }
    }

    #[inline(always)]
    pub fn r32_mut(&mut self, slot: u16) -> &mut [u32; LANES] {
        debug_assert!(u32::from(slot) < self.slots);
        // SAFETY: as for `r32`; `&mut self` makes it the only reference.
        unsafe { &mut *self.regs.add(slot as usize * LANES).cast() }
    }

    #[inline(always)]
    pub fn r64(&self, slot: u16) -> &[u64; LANES] {
        debug_assert!(u32::from(slot) + 1 < self.slots);
        // SAFETY: a register of 64 bits has two adjacent rows, the first even (so aligned); else as `r32`.
        unsafe { &*self.regs.add(slot as usize * LANES).cast() }
    }

    #[inline(always)]
    pub fn r64_mut(&mut self, slot: u16) -> &mut [u64; LANES] {
        debug_assert!(u32::from(slot) + 1 < self.slots);
        // SAFETY: as for `r64`; `&mut self` makes it the only reference.
        unsafe { &mut *self.regs.add(slot as usize * LANES).cast() }
    }

    #[inline(always)]
    pub fn pred(&self, n: u16) -> u32 {
        debug_assert!(u32::from(n) < self.npreds);
        // SAFETY: predicates are numbered below `npreds`, which the buffer has for each warp.
        unsafe { *self.preds.add(n as usize) }
    }

    #[inline(always)]
    pub fn set_pred(&mut self, n: u16, bits: u32) {
        debug_assert!(u32::from(n) < self.npreds);
        // SAFETY: as for `pred`.
        unsafe { *self.preds.add(n as usize) = bits }
    }

    /// An instruction's number in its kernel; of one that is not in it, the first's.
    pub fn index_of(&self, i: &Inst) -> u32 {
        let base = self.kernel.code.as_ptr().addr();
        let at = (&raw const *i).addr().wrapping_sub(base) / size_of::<Inst>();
        if at < self.kernel.code.len() { at as u32 } else { 0 }
    }

    /// Leaves a fault; the result is what the instruction returns.
    #[cold]
    pub fn fail(&mut self, code: i32, lane: u32, what: impl Into<String>) -> bool {
        self.fault = Some(Fault { code, what: what.into(), lane });
        false
    }
}
