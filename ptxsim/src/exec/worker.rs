//! One thread's share of a launch: block after block, the warps of a block in turn between barriers.

use super::lanes::LANES;
use super::launch::{Failure, Launch};
use super::warp::{Stop, Warp};
use super::{Access, Cache, Cx, FUEL, Fault, LAUNCH_FAILED, Shape};
use crate::checks::SharedShadow;
use crate::counts::{KernelCounts, MemCount};
use crate::ir::{BarKind, Class, Special};
use crate::memory::PATTERN;

#[repr(C, align(128))]
#[derive(Clone, Copy)]
struct Row([u32; LANES]);

/// One thread's share: the registers of a block's warps, its shared and local memory.
pub(super) struct Worker<'l> {
    pub(super) launch: &'l Launch<'l>,
    pub(super) cx: Cx<'l>,
    pub(super) warps: Vec<Warp>,
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
    pub(super) fn new(launch: &'l Launch<'l>) -> Self {
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
    pub(super) fn select(&mut self, warp: u32) {
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

    pub(super) fn block(&mut self, block: u64) -> Result<(), Failure> {
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

    /// What was counted.
    pub(super) fn counts(&self) -> KernelCounts {
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
pub(super) fn lanes_of(warp: u32, threads: u32) -> u32 {
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
            deadline: launch.deadline,
            fuel: FUEL,
        }
    }

    fn select(&mut self, warp: u32, regs: *mut u32, preds: *mut u32, local: usize) {
        (self.warp, self.regs, self.preds, self.local) = (warp, regs, preds, local);
    }
}
