//! From the addresses of an instruction to bytes on the host: bounds, alignment, what was never written,
//! races, and the counting of sectors and banks.

use std::sync::atomic::Ordering;

use super::lanes::{FULL, LANES, Tier, tier};
use super::{Access, Cache, Cx, ILLEGAL_ADDRESS, LAUNCH_FAILED, MISALIGNED, Shape};
use crate::ir::Inst;
use crate::memory::{self, LOCAL_WINDOW, SHARED_WINDOW, WINDOW};

/// Whether an access reads, writes, or both at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Load,
    Store,
    Atomic,
}

impl Kind {
    fn verb(self) -> &'static str {
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

/// Shape, least and greatest address of the active lanes, and all their low bits together.
#[inline(always)]
fn survey(addr: &[u64; LANES], mask: u32, size: u32) -> (Shape, u64, u64, u64) {
    if mask == FULL {
        let (mut row, mut same) = (true, true);
        for l in 0..LANES {
            row &= addr[l] == addr[0].wrapping_add(l as u64 * u64::from(size));
            same &= addr[l] == addr[0];
        }
        if row {
            return (Shape::Row, addr[0], addr[31], addr[0]);
        }
        if same {
            return (Shape::Same, addr[0], addr[0], addr[0]);
        }
        let (mut low, mut high, mut bits) = (u64::MAX, 0, 0);
        for &a in addr {
            low = low.min(a);
            high = high.max(a);
            bits |= a;
        }
        return (Shape::Scattered, low, high, bits);
    }
    let (mut low, mut high, mut bits) = (u64::MAX, 0, 0);
    for l in 0..LANES {
        let on = mask >> l & 1 != 0;
        low = low.min(if on { addr[l] } else { u64::MAX });
        high = high.max(if on { addr[l] } else { 0 });
        bits |= if on { addr[l] } else { 0 };
    }
    (if low == high { Shape::Same } else { Shape::Scattered }, low, high, bits)
}

fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |l| mask >> l & 1 != 0)
}

/// The first active lane whose address is not a multiple of the size.
#[cold]
fn misaligned(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind, what: &str) -> bool {
    let lane = lanes(mask).find(|&l| addr[l] % u64::from(size) != 0).unwrap_or(0);
    cx.fail(
        MISALIGNED,
        lane as u32,
        format!(
            "misaligned {} of {size} bytes at {what}address {:#x}: it must be a multiple of {size}",
            kind.verb(),
            addr[lane]
        ),
    )
}

#[inline(always)]
fn place(cx: &mut Cx<'_>, shape: Shape, addr: &[u64; LANES], first: u64, host: usize, start: u64) {
    cx.access.shape = shape;
    match shape {
        Shape::Scattered => {
            cx.access.base = host;
            for l in 0..LANES {
                cx.access.off[l] = addr[l].wrapping_sub(start);
            }
        }
        _ => {
            cx.access.base = host + (first - start) as usize;
        }
    }
}

#[inline(always)]
fn global(cx: &mut Cx<'_>, i: &Inst, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    let (shape, low, high, bits) = survey(addr, mask, size);
    if bits & u64::from(size - 1) != 0 {
        return misaligned(cx, mask, size, addr, kind, "global ");
    }
    let mem = i.mem as usize;
    let mut cache = cx.caches[mem];
    if low < cache.start || high >= cache.end || cache.end - high < u64::from(size) {
        let Some(found) = cx.memory.find(low) else {
            return out_of_bounds(cx, mask, size, addr, kind);
        };
        cache = Cache {
            start: found.start,
            end: found.end(),
            host: found.host,
            shadow: found.shadow,
            readonly: found.readonly,
            all_written: found.all_written.load(Ordering::Relaxed),
        };
        if high >= cache.end || cache.end - high < u64::from(size) {
            return several(cx, mask, size, addr, kind);
        }
        cx.caches[mem] = cache;
    }
    place(cx, shape, addr, low, cache.host, cache.start);
    if kind != Kind::Load && cache.readonly {
        let lane = mask.trailing_zeros();
        let near = cx.memory.near(low);
        return cx.fail(ILLEGAL_ADDRESS, lane, format!("write to constant memory at {low:#x}: {near}"));
    }
    if cx.counting {
        crate::counts::global(cx, mem, mask, size, addr, shape);
    }
    if cx.checks && !cache.all_written {
        return written_global(cx, mask, size, addr, kind, shape, &cache);
    }
    true
}

/// Lanes in more than one allocation, or some in none.
#[cold]
fn several(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    let mut off = [0; LANES];
    for l in lanes(mask) {
        let Some(found) = cx.memory.range(addr[l], u64::from(size)) else {
            return out_of_bounds(cx, mask, size, addr, kind);
        };
        if found.readonly && kind != Kind::Load {
            return cx.fail(ILLEGAL_ADDRESS, l as u32, format!("write to constant memory at {:#x}", addr[l]));
        }
        if cx.checks {
            if kind != Kind::Store
                && let Some(at) = found.unwritten(addr[l], u64::from(size))
            {
                return unwritten_global(cx, l, size, at, kind);
            }
            if kind == Kind::Store {
                found.mark(addr[l], u64::from(size));
            }
        }
        off[l] = (found.host as u64).wrapping_add(addr[l] - found.start);
    }
    cx.access = Access { shape: Shape::Scattered, base: 0, off };
    true
}

#[cold]
fn out_of_bounds(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    let lane = lanes(mask).find(|&l| cx.memory.range(addr[l], u64::from(size)).is_none()).unwrap_or(0);
    let near = cx.memory.near(addr[lane]);
    cx.fail(
        ILLEGAL_ADDRESS,
        lane as u32,
        format!("out-of-bounds global {} of {size} bytes at {:#x}: {near}", kind.verb(), addr[lane]),
    )
}

#[cold]
fn unwritten_global(cx: &mut Cx<'_>, lane: usize, size: u32, at: u64, kind: Kind) -> bool {
    let near = cx.memory.near(at);
    cx.fail(
        LAUNCH_FAILED,
        lane as u32,
        format!("{} of {size} bytes of uninitialised global memory at {at:#x}: {near}", kind.verb()),
    )
}

#[inline(always)]
fn all_words(shadow: usize, word: u64, words: usize) -> bool {
    // SAFETY: the caller's range lies in the allocation, so its words lie in the shadow. Bytes only ever
    // change from unwritten to written, and a racing kernel may see either.
    let bytes: &[u8] = unsafe {
        std::slice::from_raw_parts(std::ptr::with_exposed_provenance(shadow + word as usize), words)
    };
    bytes.iter().fold(memory::WRITTEN, |a, b| a & b) == memory::WRITTEN
}

#[inline(always)]
fn written_global(
    cx: &mut Cx<'_>,
    mask: u32,
    size: u32,
    addr: &[u64; LANES],
    kind: Kind,
    shape: Shape,
    cache: &Cache,
) -> bool {
    let words = size as usize / 4;
    match (shape, kind) {
        (Shape::Row, Kind::Store) if words > 0 => {
            let at = std::ptr::with_exposed_provenance_mut::<u8>(
                cache.shadow + ((addr[0] - cache.start) / 4) as usize,
            );
            // SAFETY: the row lies in the allocation, so its words lie in the shadow.
            unsafe { at.write_bytes(memory::WRITTEN, words * LANES) };
            return true;
        }
        (Shape::Row, Kind::Load) if words > 0 => {
            if all_words(cache.shadow, (addr[0] - cache.start) / 4, words * LANES) {
                return true;
            }
        }
        (Shape::Same, Kind::Load) if words > 0 => {
            let first = addr[mask.trailing_zeros() as usize];
            if all_words(cache.shadow, (first - cache.start) / 4, words) {
                return true;
            }
        }
        _ => {}
    }
    for l in lanes(mask) {
        let at = addr[l] - cache.start;
        if kind == Kind::Store {
            memory::mark(cache.shadow, at, u64::from(size));
        } else if let Some(bad) = memory::unwritten(cache.shadow, at, u64::from(size)) {
            return unwritten_global(cx, l, size, bad + cache.start, kind);
        }
    }
    true
}

#[inline(always)]
fn shared(cx: &mut Cx<'_>, i: &Inst, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    let (shape, low, high, bits) = survey(addr, mask, size);
    if bits & u64::from(size - 1) != 0 {
        return misaligned(cx, mask, size, addr, kind, "shared ");
    }
    if high + u64::from(size) > u64::from(cx.shared_size) || high > WINDOW {
        let limit = u64::from(cx.shared_size);
        let lane = lanes(mask).find(|&l| addr[l] > limit || addr[l] + u64::from(size) > limit).unwrap_or(0);
        let what = format!(
            "out-of-bounds shared {} of {size} bytes at shared address {:#x}: the block has {limit} bytes",
            kind.verb(),
            addr[lane]
        );
        return cx.fail(ILLEGAL_ADDRESS, lane as u32, what);
    }
    let host = cx.shared;
    place(cx, shape, addr, low, host, 0);
    if cx.counting {
        crate::counts::shared(cx, i.mem as usize, mask, size, addr, shape);
    }
    if cx.checks { crate::checks::shared_access(cx, mask, size, addr, kind, shape) } else { true }
}

#[inline(always)]
fn local(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    let (_, _, high, bits) = survey(addr, mask, size);
    if bits & u64::from(size - 1) != 0 {
        return misaligned(cx, mask, size, addr, kind, "local ");
    }
    let limit = u64::from(cx.local_size);
    if high >= limit || limit - high < u64::from(size) {
        let lane = lanes(mask).find(|&l| addr[l] >= limit || limit - addr[l] < u64::from(size)).unwrap_or(0);
        let what = format!(
            "out-of-bounds local {} of {size} bytes at local address {:#x}: a thread has {limit} bytes",
            kind.verb(),
            addr[lane]
        );
        return cx.fail(ILLEGAL_ADDRESS, lane as u32, what);
    }
    let mut off = [0; LANES];
    for l in 0..LANES {
        off[l] = addr[l].wrapping_add(l as u64 * limit);
    }
    cx.access = Access { shape: Shape::Scattered, base: cx.local, off };
    true
}

#[cold]
fn param(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES]) -> bool {
    let limit = cx.params.len() as u64;
    for l in lanes(mask) {
        if addr[l] >= limit || limit - addr[l] < u64::from(size) {
            let what = format!(
                "out-of-bounds read of {size} bytes at byte {} of the parameters: there are {limit} bytes",
                addr[l] as i64
            );
            return cx.fail(ILLEGAL_ADDRESS, l as u32, what);
        }
    }
    cx.access = Access { shape: Shape::Scattered, base: cx.params.as_ptr().expose_provenance(), off: *addr };
    true
}

/// By the window each lane's address lies in.
#[inline(never)]
fn generic(cx: &mut Cx<'_>, i: &Inst, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    let (mut in_shared, mut in_local) = (0u32, 0u32);
    for l in lanes(mask) {
        in_shared |= u32::from(addr[l].wrapping_sub(SHARED_WINDOW) < WINDOW) << l;
        in_local |= u32::from(addr[l].wrapping_sub(LOCAL_WINDOW) < WINDOW) << l;
    }
    let less = |window: u64| addr.map(|a| a.wrapping_sub(window));
    if in_shared | in_local == 0 {
        return global(cx, i, mask, size, addr, kind);
    }
    if in_shared == mask {
        return shared(cx, i, mask, size, &less(SHARED_WINDOW), kind);
    }
    if in_local == mask {
        return local(cx, mask, size, &less(LOCAL_WINDOW), kind);
    }
    // Lanes in several spaces: each part on its own, then put together.
    let mut off = [0; LANES];
    for (part, window) in
        [(in_shared, SHARED_WINDOW), (in_local, LOCAL_WINDOW), (mask & !in_shared & !in_local, 0)]
    {
        if part == 0 {
            continue;
        }
        let moved = less(window);
        let ok = match window {
            SHARED_WINDOW => shared(cx, i, part, size, &moved, kind),
            LOCAL_WINDOW => local(cx, part, size, &moved, kind),
            _ => global(cx, i, part, size, &moved, kind),
        };
        if !ok {
            return false;
        }
        for l in lanes(part) {
            off[l] = cx.access.at(l) as u64;
        }
    }
    cx.access = Access { shape: Shape::Scattered, base: 0, off };
    true
}

impl Access {
    /// The host address of a lane, for an access whose lanes hold one value of `off`'s stride each.
    #[inline(always)]
    pub fn at(&self, lane: usize) -> usize {
        match self.shape {
            Shape::Scattered => self.base.wrapping_add(self.off[lane] as usize),
            // A row is only asked for lane by lane through `lane_at`, which knows the size.
            _ => self.base,
        }
    }

    #[inline(always)]
    pub fn lane_at(&self, lane: usize, size: usize) -> usize {
        match self.shape {
            Shape::Row => self.base + lane * size,
            _ => self.at(lane),
        }
    }
}
