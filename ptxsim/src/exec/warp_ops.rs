//! Instructions in which the lanes of a warp see each other.

use super::lanes::{Body, LANES, put, put_pred};
use super::{Cx, LAUNCH_FAILED};
use crate::ir::Inst;

/// With checks on, every lane the mask names must be here, and every lane here must be named. Lanes that have
/// left the kernel are not waited for.
#[inline(always)]
fn members(cx: &mut Cx<'_>, mask: u32, named: u32, what: &str) -> bool {
    if !cx.checks || (named & cx.live == mask) {
        return true;
    }
    missing(cx, mask, named, what)
}

#[cold]
fn missing(cx: &mut Cx<'_>, mask: u32, named: u32, what: &str) -> bool {
    let (absent, extra) = (named & cx.live & !mask, mask & !named);
    if absent != 0 {
        return cx.fail(
            LAUNCH_FAILED,
            absent.trailing_zeros(),
            format!("{what} with mask {named:#010x}, but lanes {absent:#010x} of the warp are elsewhere"),
        );
    }
    if extra == 0 {
        return true;
    }
    cx.fail(
        LAUNCH_FAILED,
        extra.trailing_zeros(),
        format!("{what} with mask {named:#010x}, which leaves out lanes {extra:#010x} that execute it"),
    )
}

/// The member mask: the first active lane's.
fn named(cx: &Cx<'_>, slot: u16, mask: u32) -> u32 {
    cx.r32(slot)[mask.trailing_zeros() as usize & 31]
}

/// `shfl.sync`: d, p, a, b, c, mask. `imm`: 0 up, 1 down, 2 bfly, 3 idx; bit 4: without a mask.
pub struct Shuffle;

impl Body for Shuffle {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        if i.imm & 16 == 0 {
            let all = named(cx, i.r[5], mask);
            if !members(cx, mask, all, "shfl.sync") {
                return false;
            }
        }
        let (a, b, c) = (*cx.r32(i.r[2]), cx.r32(i.r[3]), cx.r32(i.r[4]));
        let (mut out, mut valid) = ([0u32; LANES], 0u32);
        for l in 0..LANES as u32 {
            let (by, clamp) = (b[l as usize] & 31, c[l as usize] & 31);
            let segment = c[l as usize] >> 8 & 31;
            let max = (l & segment) | (clamp & !segment);
            let min = l & segment;
            let (from, ok) = match i.imm & 3 {
                0 => (l.wrapping_sub(by), l as i32 - by as i32 >= max as i32),
                1 => (l + by, l + by <= max),
                2 => (l ^ by, l ^ by <= max),
                _ => (min | (by & !segment), min | (by & !segment) <= max),
            };
            // `up` compares with the lower end, which lies in the same bits.
            let from = if ok { from & 31 } else { l };
            out[l as usize] = a[from as usize];
            valid |= u32::from(ok) << l;
        }
        put(cx, i.r[0], mask, &out);
        put_pred(cx, i.r[1], mask, valid);
        true
    }
}

/// `vote.sync`: d (register or predicate), p, mask. `imm`: 0 any, 1 all, 2 uni, 3 ballot; bit 4: p negated.
pub struct Vote;

impl Body for Vote {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let all = named(cx, i.r[2], mask);
        if !members(cx, mask, all, "vote.sync") {
            return false;
        }
        let yes = (cx.pred(i.r[1]) ^ if i.imm & 16 != 0 { u32::MAX } else { 0 }) & mask;
        let bits = |b: bool| if b { u32::MAX } else { 0 };
        match i.imm & 3 {
            0 => put_pred(cx, i.r[0], mask, bits(yes != 0)),
            1 => put_pred(cx, i.r[0], mask, bits(yes == mask)),
            2 => put_pred(cx, i.r[0], mask, bits(yes == mask || yes == 0)),
            _ => put(cx, i.r[0], mask, &[yes; LANES]),
        }
        true
    }
}

/// `match.any.sync` and `match.all.sync`: d, p, a, mask. `imm`: bit 0 all, bit 1 64 bits.
pub struct Match;

impl Body for Match {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let all = named(cx, i.r[3], mask);
        if !members(cx, mask, all, "match.sync") {
            return false;
        }
        let a: [u64; LANES] = if i.imm & 2 != 0 { *cx.r64(i.r[2]) } else { cx.r32(i.r[2]).map(u64::from) };
        let same = |l: usize| {
            (0..LANES).filter(|&k| mask >> k & 1 != 0 && a[k] == a[l]).fold(0u32, |m, k| m | 1 << k)
        };
        if i.imm & 1 != 0 {
            let equal = same(mask.trailing_zeros() as usize & 31) == mask;
            put(cx, i.r[0], mask, &[if equal { mask } else { 0 }; LANES]);
            put_pred(cx, i.r[1], mask, if equal { u32::MAX } else { 0 });
        } else {
            let out = std::array::from_fn(same);
            put(cx, i.r[0], mask, &out);
        }
        true
    }
}

/// `redux.sync`: d, a, mask. `imm`: 0 add, 1 min, 2 max, 3 and, 4 or, 5 xor; bit 4 signed.
pub struct Redux;

impl Body for Redux {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let all = named(cx, i.r[2], mask);
        if !members(cx, mask, all, "redux.sync") {
            return false;
        }
        let a = *cx.r32(i.r[1]);
        let lanes = (0..LANES).filter(|l| mask >> l & 1 != 0).map(|l| a[l]);
        let signed = i.imm & 16 != 0;
        let out = lanes
            .reduce(|x, y| match i.imm & 15 {
                0 => x.wrapping_add(y),
                1 if signed => (x as i32).min(y as i32) as u32,
                2 if signed => (x as i32).max(y as i32) as u32,
                1 => x.min(y),
                2 => x.max(y),
                3 => x & y,
                4 => x | y,
                _ => x ^ y,
            })
            .unwrap_or(0);
        put(cx, i.r[0], mask, &[out; LANES]);
        true
    }
}

/// `activemask`: d.
pub struct ActiveMask;

impl Body for ActiveMask {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        put(cx, i.r[0], mask, &[mask; LANES]);
        true
    }
}

/// `bar.warp.sync`: mask.
pub struct WarpSync;

impl Body for WarpSync {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let all = named(cx, i.r[0], mask);
        members(cx, mask, all, "bar.warp.sync")
    }
}

/// `elect.sync`: d, p, mask: the lowest lane.
pub struct Elect;

impl Body for Elect {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let first = mask.trailing_zeros();
        put(cx, i.r[0], mask, &[first; LANES]);
        put_pred(cx, i.r[1], mask, 1 << (first & 31));
        true
    }
}

/// `trap`.
pub struct Trap;

impl Body for Trap {
    fn run(cx: &mut Cx<'_>, _: &Inst, mask: u32) -> bool {
        cx.fail(LAUNCH_FAILED, mask.trailing_zeros(), "the kernel executed trap")
    }
}

/// Nothing: hints, prefetches, waits for what is done at once.
pub struct Nothing;

impl Body for Nothing {
    fn run(_: &mut Cx<'_>, _: &Inst, _: u32) -> bool {
        true
    }
}

/// `mov.u32 d, %clock` and its kin: nanoseconds since the program's first look. `imm`: 0 low 32 bits,
/// 1 high 32 bits, 2 64 bits.
pub struct Clock;

impl Body for Clock {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let now = START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64;
        match i.imm {
            0 => put(cx, i.r[0], mask, &[now as u32; LANES]),
            1 => put(cx, i.r[0], mask, &[(now >> 32) as u32; LANES]),
            _ => put(cx, i.r[0], mask, &[now; LANES]),
        }
        true
    }
}
