//! Virtual registers to as few slots as their lifetimes allow, so that a warp's registers stay in the cache.
//!
//! Lifetimes are per thread: lanes on different ways through the kernel may use one slot for different
//! registers, since every write is limited to the lanes that execute it.

use super::cfg::Flow;
use super::{Lower, Role, Width};

pub struct Alloc {
    /// Slot (or number, for predicates) of each virtual register.
    pub slot: Vec<u16>,
    pub slots: u32,
    pub preds: u32,
    /// Registers that may be read before they are written.
    pub cleared: Vec<u32>,
    /// 32-bit registers alive at once, at most.
    pub pressure: u32,
}

/// The first and last position at which a register is alive.
#[derive(Clone, Copy)]
struct Span {
    from: u32,
    to: u32,
}

const NEVER: Span = Span { from: u32::MAX, to: 0 };

impl Span {
    fn cover(&mut self, at: u32) {
        self.from = self.from.min(at);
        self.to = self.to.max(at);
    }
}

type Bits = Vec<u64>;

fn set(bits: &mut Bits, n: u32) {
    bits[n as usize / 64] |= 1 << (n % 64);
}

fn has(bits: &Bits, n: u32) -> bool {
    bits[n as usize / 64] >> (n % 64) & 1 != 0
}

pub fn allocate(l: &Lower<'_, '_>, flow: &Flow) -> Result<Alloc, String> {
    let (spans, entry) = spans(l, flow);
    let n = l.widths.len();
    let mut slot = vec![0u32; n];
    let mut counts = [0u32; 3];
    // Those never written keep a place of their own. All predicates among them are the true one.
    for v in (0..n).filter(|&v| l.fixed[v]) {
        let class = l.widths[v] as usize;
        if l.widths[v] != Width::Pred {
            slot[v] = counts[class];
            counts[class] += 1;
        }
    }
    counts[Width::Pred as usize] = 1;
    let fixed = counts;
    let mut order: Vec<u32> =
        (0..n as u32).filter(|&v| !l.fixed[v as usize] && spans[v as usize].from != u32::MAX).collect();
    order.sort_by_key(|&v| spans[v as usize].from);
    let mut free: [Vec<u32>; 3] = Default::default();
    let mut busy: std::collections::BinaryHeap<std::cmp::Reverse<(u32, u32)>> = Default::default();
    for v in order {
        let span = spans[v as usize];
        while let Some(&std::cmp::Reverse((to, old))) = busy.peek() {
            if to >= span.from {
                break;
            }
            busy.pop();
            free[l.widths[old as usize] as usize].push(slot[old as usize]);
        }
        let class = l.widths[v as usize] as usize;
        slot[v as usize] = free[class].pop().unwrap_or_else(|| {
            counts[class] += 1;
            counts[class] - 1
        });
        busy.push(std::cmp::Reverse((span.to, v)));
    }
    let [narrow, wide, preds] = counts;
    let slots = narrow + 2 * wide;
    if slots > u32::from(u16::MAX) || preds > u32::from(u16::MAX) {
        return Err(format!("{slots} registers are alive at once: too many"));
    }
    let slot = (0..n)
        .map(|v| match l.widths[v] {
            Width::W64 => 2 * slot[v] as u16,
            Width::W32 => (2 * wide + slot[v]) as u16,
            Width::Pred => slot[v] as u16,
        })
        .collect();
    let pressure = (narrow - fixed[0]) + 2 * (wide - fixed[1]);
    Ok(Alloc { slot, slots, preds, cleared: entry, pressure })
}

/// Lifetimes, and what is alive at the kernel's beginning. Instruction `at` reads at `2 at` and writes at
/// `2 at + 1`.
fn spans(l: &Lower<'_, '_>, flow: &Flow) -> (Vec<Span>, Vec<u32>) {
    let n = l.widths.len();
    let words = n.div_ceil(64);
    let nodes = &flow.nodes;
    let range = |b: usize| nodes[b].start..nodes[b].term.map_or(nodes[b].end, |t| t + 1);
    let mut spans = vec![NEVER; n];
    let (mut gen_, mut kill) = (vec![vec![0u64; words]; nodes.len()], vec![vec![0u64; words]; nodes.len()]);
    for b in 0..nodes.len() {
        for at in range(b) {
            let i = &l.insts[at as usize];
            let mut read = |v: u32, gen_: &mut Bits, kill: &Bits| {
                if !l.fixed[v as usize] {
                    spans[v as usize].cover(2 * at);
                    if !has(kill, v) {
                        set(gen_, v);
                    }
                }
            };
            for (&v, role) in i.regs.iter().zip(i.roles) {
                // A guarded write leaves the register as it was in some lanes.
                if role == Role::Use || (role == Role::Def && i.guard.is_some()) {
                    read(v, &mut gen_[b], &kill[b]);
                }
            }
            if let Some((v, _)) = i.guard {
                read(v, &mut gen_[b], &kill[b]);
            }
            for (&v, role) in i.regs.iter().zip(i.roles) {
                if role == Role::Def {
                    spans[v as usize].cover(2 * at + 1);
                    set(&mut kill[b], v);
                }
            }
        }
    }
    let mut live_in = gen_.clone();
    let mut changed = true;
    while changed {
        changed = false;
        for b in (0..nodes.len()).rev() {
            for w in 0..words {
                let out = nodes[b].next.iter().fold(0, |bits, &s| bits | live_in[s as usize][w]);
                let new = gen_[b][w] | (out & !kill[b][w]);
                if new != live_in[b][w] {
                    live_in[b][w] = new;
                    changed = true;
                }
            }
        }
    }
    for b in 0..nodes.len() {
        let r = range(b);
        for w in 0..words {
            let out = nodes[b].next.iter().fold(0, |bits, &s| bits | live_in[s as usize][w]);
            each(live_in[b][w], w, |v| spans[v as usize].cover(2 * r.start));
            each(out, w, |v| spans[v as usize].cover((2 * r.end).max(1) - 1));
        }
    }
    let mut entry = vec![];
    for w in 0..words {
        each(live_in[0][w], w, |v| entry.push(v));
    }
    (spans, entry)
}

fn each(mut bits: u64, word: usize, mut f: impl FnMut(u32)) {
    while bits != 0 {
        f(word as u32 * 64 + bits.trailing_zeros());
        bits &= bits - 1;
    }
}
