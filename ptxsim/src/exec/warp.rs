//! One warp's way through a kernel: 32 lanes in step, parting at branches on which they disagree and meeting
//! again where all of their ways lead.

use std::time::Instant;

use super::{Cx, FUEL, LAUNCH_FAILED, TIMEOUT};
use crate::ir::{Bar, BarKind, Kernel, NOWHERE, Term};

/// Lanes that wait, or run: where they go on, where they meet the others, and which they are.
#[derive(Clone, Copy, Debug)]
struct Part {
    block: u32,
    join: u32,
    mask: u32,
}

/// A warp between two stretches of execution.
pub struct Warp {
    now: Part,
    /// Parts that run when this one is done or has reached its meeting point.
    stack: Vec<Part>,
    pub live: u32,
    pub done: bool,
    pub waiting: Option<Waiting>,
}

/// A warp at a barrier.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub bar: u32,
    /// Instruction that stands for it in reports.
    pub at: u32,
    pub id: u32,
    /// Threads that take part; 0: all.
    pub count: u32,
    pub mask: u32,
    pub votes: u32,
}

/// Why a warp stopped.
pub enum Stop {
    Done,
    Barrier,
    /// Instruction (or place of a terminator) that failed; the fault is in the context.
    Fault(u32),
}

impl Warp {
    pub fn new(mask: u32) -> Warp {
        Warp {
            now: Part { block: 0, join: NOWHERE, mask },
            stack: vec![],
            live: mask,
            done: false,
            waiting: None,
        }
    }

    pub fn restart(&mut self, mask: u32) {
        self.now = Part { block: 0, join: NOWHERE, mask };
        self.stack.clear();
        self.live = mask;
        self.done = false;
        self.waiting = None;
    }

    /// Runs until the warp leaves the kernel, waits at a barrier, or fails. `visits` counts basic blocks.
    pub fn run(&mut self, cx: &mut Cx<'_>, k: &Kernel, visits: &mut [u64], divergent: &mut u64) -> Stop {
        cx.live = self.live;
        loop {
            let block = &k.blocks[self.now.block as usize];
            visits[self.now.block as usize] += 1;
            cx.active = self.now.mask;
            cx.fuel -= 1;
            if cx.fuel == 0 && !self.in_time(cx) {
                return Stop::Fault(if block.start < block.end { block.start } else { block.term_at });
            }
            let active = self.now.mask;
            for (n, i) in k.code[block.start as usize..block.end as usize].iter().enumerate() {
                let mask = active & (cx.pred(i.guard) ^ i.invert);
                if mask == 0 {
                    continue;
                }
                // SAFETY: `f` was picked for this machine's instructions, and the operands of `i` were
                // resolved for the kernel whose registers `cx` holds.
                if !unsafe { (i.f)(cx, i, mask) } {
                    return Stop::Fault(block.start + n as u32);
                }
            }
            let go_on = match block.term {
                Term::Next(next) => self.go(next),
                Term::Branch { pred, invert, taken, next, join } => {
                    let yes = active & (cx.pred(pred) ^ invert);
                    if yes == active {
                        self.go(taken)
                    } else if yes == 0 {
                        self.go(next)
                    } else {
                        *divergent += 1;
                        self.part(join, &[(next, active & !yes), (taken, yes)])
                    }
                }
                Term::Table { index, first, count, join } => {
                    let index = *cx.r32(index);
                    let mut parts = vec![];
                    let mut left = active;
                    while left != 0 {
                        let lane = left.trailing_zeros() as usize;
                        let to = index[lane];
                        if to >= count {
                            cx.fail(
                                LAUNCH_FAILED,
                                lane as u32,
                                format!("brx.idx {to}: only {count} targets"),
                            );
                            return Stop::Fault(block.term_at);
                        }
                        let same = (0..32).filter(|&l| left >> l & 1 != 0 && index[l] == to);
                        let mask = same.fold(0u32, |m, l| m | 1 << l);
                        parts.push((k.table[(first + to) as usize], mask));
                        left &= !mask;
                    }
                    if parts.len() == 1 {
                        self.go(parts[0].0)
                    } else {
                        *divergent += 1;
                        self.part(join, &parts)
                    }
                }
                Term::Exit { pred, invert, next } => {
                    let gone = active & (cx.pred(pred) ^ invert);
                    self.live &= !gone;
                    cx.live = self.live;
                    self.now.mask &= !gone;
                    if self.now.mask == 0 { self.pop() } else { self.go(next) }
                }
                Term::Bar { pred, invert, bar, next } => {
                    let here = active & (cx.pred(pred) ^ invert);
                    let stop = here != 0 && !self.wait(cx, k, bar, block.term_at, here);
                    if stop {
                        return Stop::Fault(block.term_at);
                    }
                    let arrived_only = here == 0;
                    if !self.go(next) {
                        self.done = true;
                        return if arrived_only { Stop::Done } else { Stop::Barrier };
                    }
                    if !arrived_only {
                        return Stop::Barrier;
                    }
                    true
                }
            };
            if !go_on {
                self.done = true;
                return Stop::Done;
            }
        }
    }

    /// Whether the launch may go on.
    #[cold]
    fn in_time(&self, cx: &mut Cx<'_>) -> bool {
        cx.fuel = FUEL;
        match cx.deadline {
            Some(end) if Instant::now() > end => {
                let lane = self.now.mask.trailing_zeros();
                cx.fail(
                    TIMEOUT,
                    lane,
                    "the kernel runs too long: an endless loop, or a wait for another block?",
                )
            }
            _ => true,
        }
    }

    /// Goes on at a block, or, where that is the meeting point, with who waits there.
    fn go(&mut self, to: u32) -> bool {
        if to == self.now.join {
            return self.pop();
        }
        self.now.block = to;
        true
    }

    /// The next part that still has lanes.
    fn pop(&mut self) -> bool {
        while let Some(part) = self.stack.pop() {
            let mask = part.mask & self.live;
            if mask != 0 {
                self.now = Part { mask, ..part };
                if part.block == part.join {
                    continue;
                }
                return true;
            }
        }
        false
    }

    /// Splits: each part runs up to `join`, the last one first, then all together from there.
    fn part(&mut self, join: u32, parts: &[(u32, u32)]) -> bool {
        let join = if join == NOWHERE { self.now.join } else { join };
        if join != self.now.join {
            self.stack.push(Part { block: join, ..self.now });
        }
        for &(block, mask) in parts {
            if block != join {
                self.stack.push(Part { block, join, mask });
            }
        }
        self.pop()
    }

    /// Notes that the warp waits.
    fn wait(&mut self, cx: &mut Cx<'_>, k: &Kernel, bar: u32, at: u32, here: u32) -> bool {
        let desc: &Bar = &k.bars[bar as usize];
        let first = here.trailing_zeros() as usize & 31;
        if cx.checks && here != self.live {
            let absent = self.live & !here;
            return cx.fail(
                LAUNCH_FAILED,
                absent.trailing_zeros(),
                format!(
                    "divergent barrier: lanes {here:#010x} of the warp are here, lanes {absent:#010x} are not"
                ),
            );
        }
        let id = cx.r32(desc.id)[first];
        let count = desc.count.map_or(0, |slot| cx.r32(slot)[first]);
        if id > 15 || !count.is_multiple_of(32) || (count == 0 && desc.kind == BarKind::Arrive) {
            return cx.fail(
                LAUNCH_FAILED,
                first as u32,
                format!(
                    "barrier {id} with {count} threads: numbers go up to 15, threads count in warps of 32"
                ),
            );
        }
        let votes = match desc.kind {
            BarKind::Sync | BarKind::Arrive => 0,
            _ => (cx.pred(desc.vote) ^ desc.invert) & here,
        };
        self.waiting = Some(Waiting { bar, at, id, count, mask: here, votes });
        true
    }
}
