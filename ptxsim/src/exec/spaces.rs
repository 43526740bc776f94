//! Bounds, alignment and shape of an access, per state space; then what was never written, races and counts.

use std::sync::atomic::Ordering;

use super::lanes::{FULL, LANES};
use super::resolve::Kind;
use super::{Access, Cache, Cx, ILLEGAL_ADDRESS, LAUNCH_FAILED, MISALIGNED, Shape};
use crate::ir::Inst;
use crate::memory::{self, LOCAL_WINDOW, SHARED_WINDOW, WINDOW};

/// What the active lanes' addresses have in common, seen from `base`.
struct Survey {
    shape: Shape,
    /// All offsets or-ed together: their low bits, and no less than the greatest of them.
    bits: u64,
    first: u64,
}

const WAYS: usize = 8;

#[inline(always)]
fn any_bit(parts: [u64; WAYS]) -> u64 {
    let half: [u64; 4] = std::array::from_fn(|n| parts[n] | parts[n + 4]);
    (half[0] | half[2]) | (half[1] | half[3])
}

/// Leaves the lanes' offsets from `base` in the context.
#[inline(always)]
fn survey(cx: &mut Cx<'_>, addr: &[u64; LANES], mask: u32, size: u32, base: u64) -> Survey {
    let off = &mut cx.access.off;
    for l in 0..LANES {
        off[l] = addr[l].wrapping_sub(base);
    }
    let first = off[mask.trailing_zeros() as usize & 31];
    let (mut bits, mut differ, mut row) = ([0u64; WAYS], [0u64; WAYS], [0u64; WAYS]);
    if mask == FULL {
        for part in 0..LANES / WAYS {
            for n in 0..WAYS {
                let l = part * WAYS + n;
                bits[n] |= off[l];
                differ[n] |= off[l] ^ first;
                row[n] |= off[l] ^ first.wrapping_add(l as u64 * u64::from(size));
            }
        }
    } else {
        row = [1; WAYS];
        for part in 0..LANES / WAYS {
            for n in 0..WAYS {
                let l = part * WAYS + n;
                let on = if mask >> l & 1 != 0 { u64::MAX } else { 0 };
                bits[n] |= off[l] & on;
                differ[n] |= (off[l] ^ first) & on;
            }
        }
    }
    let shape = if any_bit(row) == 0 {
        Shape::Row
    } else if any_bit(differ) == 0 {
        Shape::Same
    } else {
        Shape::Scattered
    };
    Survey { shape, bits: any_bit(bits), first }
}

/// Whether every lane's offset is at most `limit`; the or of all offsets mostly tells.
#[inline(always)]
fn within(cx: &Cx<'_>, mask: u32, seen: &Survey, limit: u64) -> bool {
    seen.bits <= limit || lanes(mask).all(|l| cx.access.off[l] <= limit)
}

fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |l| mask >> l & 1 != 0)
}

/// The first active lane whose address is not a multiple of the size.
#[cold]
fn misaligned(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind, what: &str) -> bool {
    let lane = lanes(mask).find(|&l| !addr[l].is_multiple_of(u64::from(size))).unwrap_or(0);
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

/// Sets the host side of an access whose offsets are in the context already.
#[inline(always)]
fn place(cx: &mut Cx<'_>, seen: &Survey, host: usize) {
    cx.access.shape = seen.shape;
    cx.access.base = if seen.shape == Shape::Scattered { host } else { host + seen.first as usize };
}

#[inline(always)]
pub(super) fn global(
    cx: &mut Cx<'_>,
    i: &Inst,
    mask: u32,
    size: u32,
    addr: &[u64; LANES],
    kind: Kind,
) -> bool {
    let mem = i.mem as usize;
    let mut cache = cx.caches[mem];
    let mut seen = survey(cx, addr, mask, size, cache.start);
    let room = |cache: &Cache| (cache.end - cache.start).checked_sub(u64::from(size));
    let mut inside = room(&cache).is_some_and(|limit| within(cx, mask, &seen, limit));
    if !inside {
        let first = mask.trailing_zeros() as usize & 31;
        let Some(found) = cx.memory.find(addr[first]) else {
            return elsewhere(cx, mask, size, addr, kind);
        };
        cache = Cache {
            start: found.start,
            end: found.end(),
            host: found.host,
            shadow: found.shadow,
            readonly: found.readonly,
            all_written: found.all_written.load(Ordering::Relaxed),
        };
        seen = survey(cx, addr, mask, size, cache.start);
        inside = room(&cache).is_some_and(|limit| within(cx, mask, &seen, limit));
        if !inside {
            return several(cx, mask, size, addr, kind);
        }
        cx.caches[mem] = cache;
    }
    // Allocations are aligned to more than any access, so offsets are as aligned as addresses.
    if seen.bits & u64::from(size - 1) != 0 {
        return misaligned(cx, mask, size, addr, kind, "global ");
    }
    place(cx, &seen, cache.host);
    if kind != Kind::Load && cache.readonly {
        let lane = mask.trailing_zeros();
        let at = addr[lane as usize & 31];
        let near = cx.memory.near(at);
        return cx.fail(ILLEGAL_ADDRESS, lane, format!("write to constant memory at {at:#x}: {near}"));
    }
    if cx.counting {
        crate::counts::global(cx, mem, mask, size, addr, seen.shape);
    }
    if cx.checks && !cache.all_written {
        return written_global(cx, mask, size, addr, kind, seen.shape, &cache);
    }
    true
}

/// The first lane's address is in no allocation: misaligned all the same, or out of bounds.
#[cold]
fn elsewhere(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    if lanes(mask).any(|l| !addr[l].is_multiple_of(u64::from(size))) {
        return misaligned(cx, mask, size, addr, kind, "global ");
    }
    out_of_bounds(cx, mask, size, addr, kind)
}

/// Lanes in more than one allocation, or some in none.
#[cold]
fn several(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    if lanes(mask).any(|l| !addr[l].is_multiple_of(u64::from(size))) {
        return misaligned(cx, mask, size, addr, kind, "global ");
    }
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
        (Shape::Row | Shape::Same, Kind::Load) if words > 0 => {
            let first = addr[mask.trailing_zeros() as usize & 31];
            let count = if shape == Shape::Row { words * LANES } else { words };
            if all_words(cache.shadow, (first - cache.start) / 4, count) {
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
pub(super) fn shared(
    cx: &mut Cx<'_>,
    i: &Inst,
    mask: u32,
    size: u32,
    addr: &[u64; LANES],
    kind: Kind,
) -> bool {
    let seen = survey(cx, addr, mask, size, 0);
    if seen.bits & u64::from(size - 1) != 0 {
        return misaligned(cx, mask, size, addr, kind, "shared ");
    }
    let limit = u64::from(cx.shared_size).checked_sub(u64::from(size));
    if !limit.is_some_and(|limit| within(cx, mask, &seen, limit)) {
        return past(cx, mask, size, addr, kind, "shared", u64::from(cx.shared_size));
    }
    let host = cx.shared;
    place(cx, &seen, host);
    if cx.counting {
        crate::counts::shared(cx, i.mem as usize, mask, size, addr, seen.shape);
    }
    if cx.checks { crate::checks::shared_access(cx, i, mask, size, addr, kind, seen.shape) } else { true }
}

#[inline(always)]
pub(super) fn local(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES], kind: Kind) -> bool {
    let seen = survey(cx, addr, mask, size, 0);
    if seen.bits & u64::from(size - 1) != 0 {
        return misaligned(cx, mask, size, addr, kind, "local ");
    }
    let bytes = u64::from(cx.local_size);
    let limit = bytes.checked_sub(u64::from(size));
    if !limit.is_some_and(|limit| within(cx, mask, &seen, limit)) {
        return past(cx, mask, size, addr, kind, "local", bytes);
    }
    for l in 0..LANES {
        cx.access.off[l] = cx.access.off[l].wrapping_add(l as u64 * bytes);
    }
    cx.access.shape = Shape::Scattered;
    cx.access.base = cx.local;
    true
}

/// Past the end of a block's or a thread's own memory.
#[cold]
fn past(
    cx: &mut Cx<'_>,
    mask: u32,
    size: u32,
    addr: &[u64; LANES],
    kind: Kind,
    space: &str,
    bytes: u64,
) -> bool {
    let out = |a: u64| a >= bytes || bytes - a < u64::from(size);
    let lane = lanes(mask).find(|&l| out(addr[l])).unwrap_or(0);
    let whose = if space == "shared" { "the block" } else { "a thread" };
    let what = format!(
        "out-of-bounds {space} {} of {size} bytes at {space} address {:#x}: {whose} has {bytes} bytes",
        kind.verb(),
        addr[lane]
    );
    cx.fail(ILLEGAL_ADDRESS, lane as u32, what)
}

#[cold]
pub(super) fn param(cx: &mut Cx<'_>, mask: u32, size: u32, addr: &[u64; LANES]) -> bool {
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
pub(super) fn generic(
    cx: &mut Cx<'_>,
    i: &Inst,
    mask: u32,
    size: u32,
    addr: &[u64; LANES],
    kind: Kind,
) -> bool {
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
