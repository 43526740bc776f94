//! Barriers: when they are complete, what they compute, and what is wrong with them.

use super::lanes::{LANES, put, put_pred};
use super::launch::Failure;
use super::warp::Waiting;
use super::worker::{Worker, lanes_of};
use super::{Fault, LAUNCH_FAILED};
use crate::ir::BarKind;

impl Worker<'_> {
    /// Lets go the warps whose barrier is complete.
    pub(super) fn release(&mut self, block: u64, arrived: &mut [u32; 16]) -> Result<bool, Failure> {
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
                    put(&mut self.cx, bar.dst, wait.mask, &[votes; LANES]);
                    continue;
                }
                BarKind::And => all,
                BarKind::Or => votes > 0,
            };
            let bits = if yes { u32::MAX } else { 0 };
            put_pred(&mut self.cx, bar.dst, wait.mask, bits);
        }
    }

    /// No warp can go on.
    pub(super) fn stuck(&self, block: u64) -> Failure {
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
}
