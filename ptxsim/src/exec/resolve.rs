//! From the addresses of an instruction to bytes on the host: one way for each state space and width of
//! address, compiled for the machine's tier.

use super::Cx;
use super::lanes::{LANES, Tier, tier};
use super::spaces::{generic, global, local, param, shared};
use crate::ir::Inst;

/// Whether an access reads, writes, or both at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Load,
    Store,
    Atomic,
}

impl Kind {
    pub(super) fn verb(self) -> &'static str {
        match self {
            Kind::Load => "read",
            Kind::Store => "write",
            Kind::Atomic => "atomic operation",
        }
    }
}

/// Operand with the register of the address in every memory instruction, and operand that says how to
/// resolve it: an index into `resolvers`.
pub const ADDR: usize = 8;
pub const HOW: usize = 9;

/// The index for a state space (0 global, 1 shared, 2 local, 3 parameters, 4 generic) and an address register
/// of 64 or 32 bits.
pub const fn how(space: u8, wide: bool) -> u16 {
    space as u16 * 2 + wide as u16
}

/// Resolves the lanes' addresses: false if there is a fault, else the context's `access` is set.
pub type Resolve = unsafe fn(&mut Cx<'_>, &Inst, u32, u32, Kind) -> bool;

macro_rules! table {
    ($f:ident) => {
        [
            $f::<0, false>,
            $f::<0, true>,
            $f::<1, false>,
            $f::<1, true>,
            $f::<2, false>,
            $f::<2, true>,
            $f::<3, false>,
            $f::<3, true>,
            $f::<4, false>,
            $f::<4, true>,
        ]
    };
}

/// All resolvers, compiled for the machine's tier.
pub fn resolvers() -> [Resolve; 10] {
    match tier() {
        Tier::Base => table!(base),
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 => table!(avx2),
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512 => table!(avx512),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
fn avx512<const SPACE: u8, const WIDE: bool>(
    cx: &mut Cx<'_>,
    i: &Inst,
    mask: u32,
    size: u32,
    kind: Kind,
) -> bool {
    by_space::<SPACE, WIDE>(cx, i, mask, size, kind)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn avx2<const SPACE: u8, const WIDE: bool>(
    cx: &mut Cx<'_>,
    i: &Inst,
    mask: u32,
    size: u32,
    kind: Kind,
) -> bool {
    by_space::<SPACE, WIDE>(cx, i, mask, size, kind)
}

fn base<const SPACE: u8, const WIDE: bool>(
    cx: &mut Cx<'_>,
    i: &Inst,
    mask: u32,
    size: u32,
    kind: Kind,
) -> bool {
    by_space::<SPACE, WIDE>(cx, i, mask, size, kind)
}

#[inline(always)]
fn by_space<const SPACE: u8, const WIDE: bool>(
    cx: &mut Cx<'_>,
    i: &Inst,
    mask: u32,
    size: u32,
    kind: Kind,
) -> bool {
    let addr = addresses(cx, i, WIDE);
    match SPACE {
        0 => global(cx, i, mask, size, &addr, kind),
        1 => shared(cx, i, mask, size, &addr, kind),
        2 => local(cx, mask, size, &addr, kind),
        3 => param(cx, mask, size, &addr),
        _ => generic(cx, i, mask, size, &addr, kind),
    }
}

/// Resolves an instruction's addresses in the way it names.
#[inline(always)]
pub fn resolve(cx: &mut Cx<'_>, i: &Inst, mask: u32, size: u32, kind: Kind) -> bool {
    let f = cx.resolvers[i.r[HOW] as usize % 10];
    // SAFETY: the resolvers were compiled for this machine's tier.
    unsafe { f(cx, i, mask, size, kind) }
}

/// The lanes' addresses. `wide` tells a register of 64 bits.
#[inline(always)]
pub fn addresses(cx: &Cx<'_>, i: &Inst, wide: bool) -> [u64; LANES] {
    let mut out = [0; LANES];
    if wide {
        let a = cx.r64(i.r[ADDR]);
        for l in 0..LANES {
            out[l] = a[l].wrapping_add(i.imm as u64);
        }
    } else {
        let a = cx.r32(i.r[ADDR]);
        for l in 0..LANES {
            out[l] = u64::from(a[l].wrapping_add(i.imm as u32));
        }
    }
    out
}
