//! What is watched in shared memory: bytes read before they were written, and two warps meeting at one place
//! with no barrier between them.

use crate::exec::lanes::LANES;
use crate::exec::resolve::Kind;
use crate::exec::{Cx, LAUNCH_FAILED, Shape};

/// Who touched a place last, and when: the number of the stretch between two barriers, and the warp.
type Tag = u32;

const WARP: u32 = 0x3f;
/// More than one warp.
const MANY: u32 = 0x3f;
/// The write was an atomic operation; those do not race with one another.
const ATOMIC: u32 = 0x40;
const SHIFT: u32 = 8;

/// One block's shared memory as the checks see it, in grains as small as the kernel's smallest access.
pub struct SharedShadow {
    grain: u32,
    written: Vec<bool>,
    writer: Vec<Tag>,
    reader: Vec<Tag>,
    epoch: u32,
}

impl SharedShadow {
    pub fn new(bytes: u32, grain: u32) -> Self {
        let n = bytes.div_ceil(grain) as usize + 16;
        SharedShadow { grain, written: vec![false; n], writer: vec![0; n], reader: vec![0; n], epoch: 0 }
    }

    /// Nothing is written yet, and a new stretch begins.
    pub fn new_block(&mut self) {
        self.written.fill(false);
        self.barrier();
    }

    /// All threads have met.
    pub fn barrier(&mut self) {
        self.epoch += 1;
        if self.epoch >= 1 << (32 - SHIFT) {
            self.writer.fill(0);
            self.reader.fill(0);
            self.epoch = 1;
        }
    }

    /// Notes one grain's access; the misdeed, if it is one.
    #[inline(always)]
    fn touch(&mut self, at: usize, warp: u32, kind: Kind) -> Option<Misdeed> {
        let now = self.epoch << SHIFT;
        let me = now | warp;
        let writer = self.writer[at];
        let written_now = writer & !0xff == now;
        let by_others = written_now && writer & WARP != warp;
        match kind {
            Kind::Load => {
                if !self.written[at] {
                    return Some(Misdeed::Unwritten);
                }
                if by_others {
                    return Some(Misdeed::ReadAfterWrite(writer & WARP));
                }
                let reader = self.reader[at];
                let shared = reader & !0xff == now && reader & WARP != warp;
                self.reader[at] = if shared { now | MANY } else { me };
                None
            }
            Kind::Store | Kind::Atomic => {
                let atomic = kind == Kind::Atomic;
                if atomic && !self.written[at] {
                    return Some(Misdeed::Unwritten);
                }
                if by_others && !(atomic && writer & ATOMIC != 0) {
                    return Some(Misdeed::WriteAfterWrite(writer & WARP));
                }
                let reader = self.reader[at];
                if reader & !0xff == now && reader & WARP != warp {
                    return Some(Misdeed::WriteAfterRead(reader & WARP));
                }
                self.written[at] = true;
                self.writer[at] = match (atomic, by_others) {
                    (true, true) => now | ATOMIC | MANY,
                    (true, false) => me | ATOMIC,
                    _ => me,
                };
                None
            }
        }
    }
}

enum Misdeed {
    Unwritten,
    ReadAfterWrite(u32),
    WriteAfterRead(u32),
    WriteAfterWrite(u32),
}

/// Looks at the lanes of an access to shared memory that is within bounds.
#[inline(always)]
pub fn shared_access(
    cx: &mut Cx<'_>,
    mask: u32,
    size: u32,
    addr: &[u64; LANES],
    kind: Kind,
    shape: Shape,
) -> bool {
    let Some(mut shadow) = cx.shared_shadow.take() else { return true };
    let shift = shadow.grain.trailing_zeros();
    let warp = cx.warp & WARP;
    let mut previous = u64::MAX;
    let mut bad = None;
    let lanes = if shape == Shape::Same { 1 << mask.trailing_zeros() } else { mask };
    'lanes: for l in 0..LANES {
        if lanes >> l & 1 == 0 || addr[l] == previous {
            continue;
        }
        previous = addr[l];
        let first = (addr[l] >> shift) as usize;
        for at in first..first + (size >> shift).max(1) as usize {
            if let Some(misdeed) = shadow.touch(at, warp, kind) {
                bad = Some((l, misdeed));
                break 'lanes;
            }
        }
    }
    cx.shared_shadow = Some(shadow);
    match bad {
        None => true,
        Some((lane, misdeed)) => report(cx, lane, size, addr[lane], kind, &misdeed),
    }
}

#[cold]
fn report(cx: &mut Cx<'_>, lane: usize, size: u32, addr: u64, kind: Kind, misdeed: &Misdeed) -> bool {
    let who = |w: u32| if w == MANY { "several warps".to_string() } else { format!("warp {w}") };
    let verb = match kind {
        Kind::Load => "read",
        Kind::Store => "write",
        Kind::Atomic => "atomic operation",
    };
    let (mine, tail) = (cx.warp, "with no barrier between");
    let what = match *misdeed {
        Misdeed::Unwritten => {
            format!("{verb} of {size} bytes of uninitialised shared memory at shared address {addr:#x}")
        }
        Misdeed::ReadAfterWrite(w) => {
            format!("race in shared memory at {addr:#x}: warp {mine} reads what {} wrote, {tail}", who(w))
        }
        Misdeed::WriteAfterRead(w) => {
            format!("race in shared memory at {addr:#x}: warp {mine} writes what {} read, {tail}", who(w))
        }
        Misdeed::WriteAfterWrite(w) => {
            format!("race in shared memory at {addr:#x}: warp {mine} writes what {} wrote, {tail}", who(w))
        }
    };
    cx.fail(LAUNCH_FAILED, lane as u32, what)
}
