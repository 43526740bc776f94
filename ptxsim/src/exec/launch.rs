//! A grid's way through the machine: blocks handed to threads in order, and the report on the first to fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Fault;
use super::worker::Worker;
use crate::counts::KernelCounts;
use crate::ir::Kernel;
use crate::memory::Memory;

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
    /// When to give up.
    pub deadline: Option<std::time::Instant>,
}

/// Why a launch failed, with the place.
#[derive(Clone, Debug)]
pub struct Report {
    pub code: i32,
    pub text: String,
}

/// A fault, and where.
pub(super) struct Failure {
    pub block: u64,
    pub fault: Fault,
    pub warp: u32,
    pub at: u32,
}

impl Launch<'_> {
    pub(super) fn threads_per_block(&self) -> u32 {
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

    pub(super) fn coordinates(&self, block: u64) -> [u32; 3] {
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
