//! A grid's way through the machine: blocks handed to threads in order, warps of a block in turn between
//! barriers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lanes::LANES;
use super::warp::{Stop, Waiting, Warp};
use super::{Access, Cache, Cx, Fault, LAUNCH_FAILED, Shape};
use crate::checks::SharedShadow;
use crate::counts::{KernelCounts, MemCount};
use crate::ir::{BarKind, Class, Kernel, Special};
use crate::memory::{Memory, PATTERN};

/// What to run, on what.
pub struct Launch<'a> {
    pub kernel: &'a Kernel,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic_shared: u32,
    pub params: &'a [u8],
    pub memory: &'a Memory,
    pub checks: bool,
    pub counting: bool,
    pub threads: usize,
}

/// Why a launch failed, with the place.
#[derive(Clone, Debug)]
pub struct Report {
    pub code: i32,
    pub text: String,
}

struct Failure {
    block: u64,
    fault: Fault,
    warp: u32,
    at: u32,
}

impl Launch<'_> {
    fn threads_per_block(&self) -> u32 {
        self.block.iter().product()
    }

    pub fn run(&self) -> (KernelCounts, Option<Report>) {
        let blocks: u64 = self.grid.iter().map(|&n| u64::from(n)).product();
        let next = AtomicU64::new(0);
        // Blocks from this one on need not run any more.
        let stop = AtomicU64::new(blocks);
        let first: Mutex<Option<Failure>> = Mutex::new(None);
        let total = Mutex::new(KernelCounts { launches: 1, blocks, ..Default::default() });
        let work = || {
            let mut worker = Worker::new(self);
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= stop.load(Ordering::Relaxed) {
                    break;
                }
                if let Err(failure) = worker.block(block) {
                    // The report is that of the first block to fail, however many threads there are: all
                    // blocks before it were handed out already and still run.
                    stop.fetch_min(failure.block, Ordering::Relaxed);
                    let mut first = first.lock().unwrap_or_else(|e| e.into_inner());
                    if first.as_ref().is_none_or(|f| failure.block < f.block) {
                        *first = Some(failure);
                    }
                    break;
                }
            }
            let counted = worker.counts();
            total.lock().unwrap_or_else(|e| e.into_inner()).add(&counted);
        };
        let threads = self.threads.min(blocks as usize).max(1);
        super::pool::run(threads, &work);
        let failure = first.into_inner().unwrap_or_else(|e| e.into_inner());
        let counts = total.into_inner().unwrap_or_else(|e| e.into_inner());
        (counts, failure.map(|f| self.report(&f)))
    }

    fn coordinates(&self, block: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(u64::from);
        [(block % x) as u32, (block / x % y) as u32, (block / x / y) as u32]
    }

    fn report(&self, f: &Failure) -> Report {
        let thread = f.warp * 32 + f.fault.lane;
        let [x, y, _] = self.block;
        let [bx, by, bz] = self.coordinates(f.block);
        Report {
            code: f.fault.code,
            text: format!(
                "{}\n    kernel {} at {}\n    block ({bx}, {by}, {bz}) of ({}, {}, {}), thread ({}, {}, {}) of \
                 ({}, {}, {})",
                f.fault.what,
                self.kernel.name,
                self.kernel.place(f.at),
                self.grid[0],
                self.grid[1],
                self.grid[2],
                thread % x,
                thread / x % y,
                thread / x / y,
                self.block[0],
                self.block[1],
                self.block[2],
            ),
        }
    }
}

#[repr(C, align(128))]
#[derive(Clone, Copy)]
struct Row([u32; LANES]);

/// One thread's share: the registers of a block's warps, its shared and local memory.
struct Worker<'l> {
    launch: &'l Launch<'l>,
    cx: Cx<'l>,
    warps: Vec<Warp>,
    regs: Vec<Row>,
    preds: Vec<u32>,
    // Only their addresses are used, by the context.
    shared: Vec<Row>,
    local: Vec<Row>,
    visits: Vec<u64>,
    divergent: u64,
    /// Slots that hold the block's coordinates.
    ctaid: Vec<(u16, usize)>,
}

impl<'l> Worker<'l> {
    fn new(launch: &'l Launch<'l>) -> Self {
        let k = launch.kernel;
        let threads = launch.threads_per_block();
        let warps = threads.div_ceil(32);
        let shared_size = k.shared + launch.dynamic_shared;
        let mut shared = vec![Row([0; LANES]); shared_size.div_ceil(128) as usize + 1];
        let mut local = vec![Row([PATTERN; LANES]); (k.local * warps) as usize / 4 + 1];
        let mut regs = vec![Row([0; LANES]); (k.slots * warps) as usize + 1];
        let mut preds = vec![0; (k.preds * warps) as usize];
        let shadow = (launch.checks && shared_size > 0)
            .then(|| Box::new(SharedShadow::new(shared_size, k.shared_grain)));
        let cx = Cx::new(
            (regs.as_mut_ptr().cast(), k.slots),
            (preds.as_mut_ptr(), k.preds),
            (shared.as_mut_ptr().expose_provenance(), shared_size),
            (local.as_mut_ptr().expose_provenance(), k.local),
            launch,
            shadow,
        );
        let mut worker = Worker {
            launch,
            cx,
            warps: (0..warps).map(|w| Warp::new(lanes_of(w, threads))).collect(),
            regs,
            preds,
            shared,
            local,
            visits: vec![0; k.blocks.len()],
            divergent: 0,
            ctaid: vec![],
        };
        worker.constants();
        worker
    }

    /// Registers that no instruction writes.
    fn constants(&mut self) {
        let k = self.launch.kernel;
        for w in 0..self.warps.len() as u32 {
            self.select(w);
            self.cx.set_pred(0, u32::MAX);
            for &(slot, wide, value) in &k.consts {
                if wide {
                    *self.cx.r64_mut(slot) = [value; LANES];
                } else {
                    *self.cx.r32_mut(slot) = [value as u32; LANES];
                }
            }
            for &(slot, special) in &k.specials {
                let value = self.special(special, w);
                *self.cx.r32_mut(slot) = value;
            }
        }
        self.ctaid = k
            .specials
            .iter()
            .filter_map(|&(slot, s)| match s {
                Special::Ctaid(d) => Some((slot, d as usize % 3)),
                _ => None,
            })
            .collect();
    }

    fn special(&self, special: Special, warp: u32) -> [u32; LANES] {
        let [x, y, _] = self.launch.block;
        let tid = |l: usize, d: u8| {
            let t = warp * 32 + l as u32;
            match d {
                0 => t % x,
                1 => t / x % y,
                _ => t / x / y,
            }
        };
        let per_lane = |f: &dyn Fn(usize) -> u32| std::array::from_fn(f);
        match special {
            Special::Tid(d) => per_lane(&|l| tid(l, d)),
            Special::Ntid(d) => [self.launch.block[d as usize % 3]; LANES],
            Special::Nctaid(d) => [self.launch.grid[d as usize % 3]; LANES],
            Special::Ctaid(_) | Special::SmId | Special::GridId => [0; LANES],
            Special::NSmId => [1; LANES],
            Special::LaneId => per_lane(&|l| l as u32),
            Special::WarpId => [warp; LANES],
            Special::NWarpId => [self.warps.len() as u32; LANES],
            Special::LaneMaskEq => per_lane(&|l| 1 << l),
            Special::LaneMaskLt => per_lane(&|l| (1 << l) - 1),
            Special::LaneMaskLe => per_lane(&|l| ((1u64 << (l + 1)) - 1) as u32),
            Special::LaneMaskGe => per_lane(&|l| !((1 << l) - 1)),
            Special::LaneMaskGt => per_lane(&|l| !(((1u64 << (l + 1)) - 1) as u32)),
            Special::DynamicShared => [self.launch.dynamic_shared; LANES],
            Special::TotalShared => [self.cx.shared_size; LANES],
        }
    }

    /// Makes a warp's registers the context's.
    fn select(&mut self, warp: u32) {
        let k = self.launch.kernel;
        self.cx.select(
            warp,
            // SAFETY: there is a row for every slot of every warp, and a predicate likewise.
            unsafe { self.regs.as_mut_ptr().add((warp * k.slots) as usize).cast() },
            // SAFETY: as above.
            unsafe { self.preds.as_mut_ptr().add((warp * k.preds) as usize) },
            self.local.as_mut_ptr().expose_provenance() + (warp * k.local) as usize * LANES,
        );
    }

    fn block(&mut self, block: u64) -> Result<(), Failure> {
        let k = self.launch.kernel;
        let at = self.launch.coordinates(block);
        self.cx.block = block;
        self.shared.fill(Row([PATTERN; LANES]));
        if let Some(shadow) = &mut self.cx.shared_shadow {
            shadow.new_block();
        }
        let threads = self.launch.threads_per_block();
        for w in 0..self.warps.len() as u32 {
            self.warps[w as usize].restart(lanes_of(w, threads));
            self.select(w);
            for &(slot, d) in &self.ctaid {
                *self.cx.r32_mut(slot) = [at[d]; LANES];
            }
            for &slot in &k.cleared {
                *self.cx.r32_mut(slot) = [0; LANES];
            }
            for &pred in &k.cleared_preds {
                self.cx.set_pred(pred, 0);
            }
        }
        let mut arrived = [0u32; 16];
        loop {
            let mut ran = false;
            for w in 0..self.warps.len() {
                if self.warps[w].waiting.is_some() || self.warps[w].done {
                    continue;
                }
                ran = true;
                self.select(w as u32);
                let stop = self.warps[w].run(&mut self.cx, k, &mut self.visits, &mut self.divergent);
                match stop {
                    Stop::Fault(at) => {
                        let fault = self.cx.fault.take().unwrap_or_else(|| Fault {
                            code: LAUNCH_FAILED,
                            what: "an instruction failed".into(),
                            lane: 0,
                        });
                        return Err(Failure { block, fault, warp: w as u32, at });
                    }
                    Stop::Barrier | Stop::Done => {}
                }
                // Who only arrives goes on.
                if let Some(wait) = self.warps[w].waiting
                    && k.bars[wait.bar as usize].kind == BarKind::Arrive
                {
                    arrived[wait.id as usize & 15] += 32;
                    self.warps[w].waiting = None;
                }
            }
            let waiting = self.warps.iter().any(|w| w.waiting.is_some());
            if !waiting && self.warps.iter().all(|w| w.done) {
                return Ok(());
            }
            if waiting {
                let released = self.release(block, &mut arrived)?;
                if !released && !ran {
                    return Err(self.stuck(block));
                }
            }
        }
    }

    /// Lets go the warps whose barrier is complete.
    fn release(&mut self, block: u64, arrived: &mut [u32; 16]) -> Result<bool, Failure> {
        let mut any = false;
        for id in 0..16u32 {
            let here: Vec<(usize, Waiting)> = self
                .warps
                .iter()
                .enumerate()
                .filter_map(|(w, s)| s.waiting.filter(|b| b.id == id).map(|b| (w, b)))
                .collect();
            let Some(&(first, wait)) = here.first() else { continue };
            let complete = if wait.count == 0 {
                self.warps
                    .iter()
                    .all(|w| w.waiting.is_some_and(|b| b.id == id) || (w.done && w.waiting.is_none()))
            } else {
                here.len() as u32 * 32 + arrived[id as usize] >= wait.count
            };
            if !complete {
                continue;
            }
            if self.launch.checks && wait.count == 0 {
                self.consistent(block, first, &here)?;
            }
            arrived[id as usize] = 0;
            any = true;
            self.reduce(&here);
            for &(w, _) in &here {
                self.warps[w].waiting = None;
            }
            if let Some(shadow) = &mut self.cx.shared_shadow {
                shadow.barrier();
            }
        }
        Ok(any)
    }

    /// All warps must wait at the same instruction, and no thread may have left before it.
    fn consistent(&self, block: u64, first: usize, here: &[(usize, Waiting)]) -> Result<(), Failure> {
        let k = self.launch.kernel;
        let fail = |warp: usize, at: u32, lane: u32, what: String| {
            Err(Failure { block, fault: Fault { code: LAUNCH_FAILED, what, lane }, warp: warp as u32, at })
        };
        let at = here[0].1.at;
        if let Some((w, other)) = here.iter().find(|(_, b)| b.at != at) {
            let what = format!(
                "divergent barrier: warp {first} waits at {}, warp {w} at {}",
                k.place(at),
                k.place(other.at)
            );
            return fail(first, at, 0, what);
        }
        for (w, warp) in self.warps.iter().enumerate() {
            let full = lanes_of(w as u32, self.launch.threads_per_block());
            let here_mask = warp.waiting.map_or(0, |b| b.mask);
            let gone = full & !here_mask;
            if gone != 0 {
                let lane = gone.trailing_zeros();
                let what = format!(
                    "divergent barrier: warp {first} waits, but thread {} has left the kernel",
                    w as u32 * 32 + lane
                );
                return fail(first, at, 0, what);
            }
        }
        Ok(())
    }

    /// Gives `bar.red` its result.
    fn reduce(&mut self, here: &[(usize, Waiting)]) {
        let k = self.launch.kernel;
        let votes: u32 = here.iter().map(|(_, b)| b.votes.count_ones()).sum();
        let all = here.iter().all(|(_, b)| b.votes == b.mask);
        for &(w, wait) in here {
            let bar = &k.bars[wait.bar as usize];
            self.select(w as u32);
            let yes = match bar.kind {
                BarKind::Sync | BarKind::Arrive => continue,
                BarKind::Popc => {
                    super::lanes::put(&mut self.cx, bar.dst, wait.mask, &[votes; LANES]);
                    continue;
                }
                BarKind::And => all,
                BarKind::Or => votes > 0,
            };
            let bits = if yes { u32::MAX } else { 0 };
            super::lanes::put_pred(&mut self.cx, bar.dst, wait.mask, bits);
        }
    }

    /// No warp can go on.
    fn stuck(&self, block: u64) -> Failure {
        let (warp, wait) = self
            .warps
            .iter()
            .enumerate()
            .find_map(|(w, s)| s.waiting.map(|b| (w as u32, b)))
            .expect("some warp waits, or none would be stuck");
        let what = format!(
            "barrier {} is never complete: {} of the block's warps wait there, the others wait elsewhere or have left",
            wait.id,
            self.warps.iter().filter(|w| w.waiting.is_some_and(|b| b.id == wait.id)).count()
        );
        Failure { block, fault: Fault { code: LAUNCH_FAILED, what, lane: 0 }, warp, at: wait.at }
    }

    /// What was counted.
    fn counts(&self) -> KernelCounts {
        let mut out = KernelCounts { divergent: self.divergent, ..Default::default() };
        let k = self.launch.kernel;
        for (block, &n) in k.blocks.iter().zip(&self.visits) {
            if n == 0 {
                continue;
            }
            for at in (block.start..block.end).chain([block.term_at]) {
                if let Some(class) = k.classes.get(at as usize).copied().flatten() {
                    out.classes[class as usize] += n;
                    let _: Class = class;
                }
            }
        }
        for (count, &shared) in self.cx.counts.iter().zip(&k.mem_shared) {
            if shared {
                out.shared_requests += count.requests;
                out.passes += count.cost;
                out.ideal_passes += count.ideal;
            } else {
                out.global_requests += count.requests;
                out.sectors += count.cost;
                out.ideal_sectors += count.ideal;
            }
        }
        out
    }
}

/// The lanes of a warp that are threads of the block.
fn lanes_of(warp: u32, threads: u32) -> u32 {
    let left = threads - warp * 32;
    if left >= 32 { u32::MAX } else { (1 << left) - 1 }
}

impl<'l> Cx<'l> {
    fn new(
        (regs, slots): (*mut u32, u32),
        (preds, npreds): (*mut u32, u32),
        (shared, shared_size): (usize, u32),
        (local, local_size): (usize, u32),
        launch: &'l Launch<'l>,
        shared_shadow: Option<Box<SharedShadow>>,
    ) -> Self {
        let mems = launch.kernel.mems as usize;
        Cx {
            regs,
            preds,
            slots,
            npreds,
            active: 0,
            live: 0,
            warp: 0,
            block: 0,
            shared,
            shared_size,
            shared_shadow,
            local,
            local_size,
            params: launch.params,
            memory: launch.memory,
            kernel: launch.kernel,
            resolvers: super::resolve::resolvers(),
            caches: vec![Cache::EMPTY; mems],
            access: Access { shape: Shape::Same, base: 0, off: [0; LANES] },
            checks: launch.checks,
            counting: launch.counting,
            counts: vec![MemCount::default(); mems],
            fault: None,
        }
    }

    fn select(&mut self, warp: u32, regs: *mut u32, preds: *mut u32, local: usize) {
        (self.warp, self.regs, self.preds, self.local) = (warp, regs, preds, local);
    }
}
