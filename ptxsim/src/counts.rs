//! What a profiler counts: instructions by class, sectors and banks of memory accesses, divergence, launches
//! and copies.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::exec::lanes::{FULL, LANES};
use crate::exec::{Cx, Shape};
use crate::ir::{CLASSES, Class};

/// Bytes of a sector, the unit in which global memory is fetched.
const SECTOR: u64 = 32;
const BANKS: u64 = 32;

/// The counts of one memory instruction, and the pattern it showed last: a warp's addresses relative to the
/// first lane's mostly repeat, and with them what they cost.
#[derive(Clone)]
pub struct MemCount {
    pub requests: u64,
    /// Sectors touched (global), or passes over the banks (shared).
    pub cost: u64,
    /// The least that as many bytes could take.
    pub ideal: u64,
    pattern: [u32; LANES],
    key: (u32, u32),
    last: u64,
}

impl Default for MemCount {
    fn default() -> Self {
        MemCount { requests: 0, cost: 0, ideal: 0, pattern: [0; LANES], key: (0, u32::MAX), last: 0 }
    }
}

#[inline(always)]
fn relative(addr: &[u64; LANES], mask: u32) -> ([u32; LANES], u64) {
    let base = addr[mask.trailing_zeros() as usize & 31];
    let mut out = [0; LANES];
    for l in 0..LANES {
        out[l] = if mask >> l & 1 != 0 { addr[l].wrapping_sub(base) as u32 } else { 0 };
    }
    (out, base)
}

/// Counts an access to global memory.
#[inline(always)]
pub fn global(cx: &mut Cx<'_>, mem: usize, mask: u32, size: u32, addr: &[u64; LANES], shape: Shape) {
    let lanes = u64::from(mask.count_ones());
    let count = &mut cx.counts[mem];
    count.requests += 1;
    let size = u64::from(size);
    match shape {
        Shape::Row => {
            count.ideal += (lanes * size).div_ceil(SECTOR);
            count.cost += (addr[0] % SECTOR + 32 * size).div_ceil(SECTOR);
        }
        Shape::Same => {
            count.ideal += 1;
            count.cost += 1;
        }
        Shape::Scattered => {
            count.ideal += (lanes * size).div_ceil(SECTOR);
            let (pattern, base) = relative(addr, mask);
            let key = (mask, (base % SECTOR) as u32);
            if count.key != key || count.pattern != pattern {
                count.last = sectors(addr, mask, size);
                (count.key, count.pattern) = (key, pattern);
            }
            count.cost += count.last;
        }
    }
}

/// Distinct sectors.
fn sectors(addr: &[u64; LANES], mask: u32, size: u64) -> u64 {
    let mut seen = [u64::MAX; LANES * 2];
    let mut n = 0;
    for l in (0..LANES).filter(|l| mask >> l & 1 != 0) {
        for s in [addr[l] / SECTOR, (addr[l] + size - 1) / SECTOR] {
            if !seen[..n].contains(&s) {
                seen[n] = s;
                n += 1;
            }
        }
    }
    n as u64
}

/// Counts an access to shared memory.
#[inline(always)]
pub fn shared(cx: &mut Cx<'_>, mem: usize, mask: u32, size: u32, addr: &[u64; LANES], shape: Shape) {
    let count = &mut cx.counts[mem];
    count.requests += 1;
    let least = if mask == FULL && shape == Shape::Row { u64::from(size).div_ceil(4) } else { 1 };
    match shape {
        Shape::Same => {
            count.ideal += 1;
            count.cost += 1;
        }
        Shape::Row => {
            count.ideal += least;
            count.cost += least;
        }
        Shape::Scattered => {
            let (pattern, base) = relative(addr, mask);
            let key = (mask, (base % 4) as u32);
            if count.key != key || count.pattern != pattern {
                let (passes, ideal) = banks(addr, mask, u64::from(size));
                count.last = passes << 32 | ideal;
                (count.key, count.pattern) = (key, pattern);
            }
            count.cost += count.last >> 32;
            count.ideal += count.last & 0xffff_ffff;
        }
    }
}

/// Passes over the banks, and how few would do for the distinct words asked for. A warp asks in parts of
/// 128 bytes: all lanes at once for words, half of them for double words, a quarter for four words.
fn banks(addr: &[u64; LANES], mask: u32, size: u64) -> (u64, u64) {
    let together = if size <= 4 { LANES } else { LANES * 4 / size as usize };
    let (mut passes, mut ideal) = (0, 0);
    for first in (0..LANES).step_by(together) {
        let mut words = [u64::MAX; LANES];
        let mut n = 0;
        for l in (first..first + together).filter(|l| mask >> l & 1 != 0) {
            for w in addr[l] / 4..=(addr[l] + size - 1) / 4 {
                if !words[..n].contains(&w) && n < LANES {
                    words[n] = w;
                    n += 1;
                }
            }
        }
        let mut per_bank = [0u64; BANKS as usize];
        for w in &words[..n] {
            per_bank[(w % BANKS) as usize] += 1;
        }
        passes += per_bank.iter().max().copied().unwrap_or(0);
        ideal += u64::from(n > 0);
    }
    (passes, ideal)
}

/// The counts of one kernel, or of all.
#[derive(Clone, Default, Debug)]
pub struct KernelCounts {
    pub launches: u64,
    pub blocks: u64,
    pub classes: [u64; CLASSES],
    pub divergent: u64,
    pub global_requests: u64,
    pub sectors: u64,
    pub ideal_sectors: u64,
    pub shared_requests: u64,
    pub passes: u64,
    pub ideal_passes: u64,
}

impl KernelCounts {
    pub fn add(&mut self, other: &KernelCounts) {
        self.launches += other.launches;
        self.blocks += other.blocks;
        for (a, b) in self.classes.iter_mut().zip(other.classes) {
            *a += b;
        }
        self.divergent += other.divergent;
        self.global_requests += other.global_requests;
        self.sectors += other.sectors;
        self.ideal_sectors += other.ideal_sectors;
        self.shared_requests += other.shared_requests;
        self.passes += other.passes;
        self.ideal_passes += other.ideal_passes;
    }

    pub fn instructions(&self) -> u64 {
        self.classes.iter().sum()
    }

    fn json(&self, out: &mut String) {
        let _ = write!(
            out,
            "{{\"launches\":{},\"blocks\":{},\"warp_instructions\":{},\"by_class\":{{",
            self.launches,
            self.blocks,
            self.instructions()
        );
        for (n, name) in Class::NAMES.iter().enumerate() {
            let _ = write!(out, "{}\"{name}\":{}", if n > 0 { "," } else { "" }, self.classes[n]);
        }
        let _ = write!(
            out,
            "}},\"divergent_branches\":{},\"global\":{{\"requests\":{},\"sectors\":{},\"ideal_sectors\":{}}},\
             \"shared\":{{\"requests\":{},\"wavefronts\":{},\"ideal_wavefronts\":{},\"bank_conflicts\":{}}}}}",
            self.divergent,
            self.global_requests,
            self.sectors,
            self.ideal_sectors,
            self.shared_requests,
            self.passes,
            self.ideal_passes,
            self.passes - self.ideal_passes.min(self.passes)
        );
    }
}

/// Everything counted since the last reset.
#[derive(Default)]
pub struct Counts {
    pub kernels: BTreeMap<String, KernelCounts>,
    pub htod: (u64, u64),
    pub dtoh: (u64, u64),
    pub dtod: (u64, u64),
    pub memsets: (u64, u64),
}

impl Counts {
    pub fn json(&self) -> String {
        let mut out = String::from("{\"kernels\":{");
        let mut total = KernelCounts::default();
        for (n, (name, k)) in self.kernels.iter().enumerate() {
            let _ = write!(out, "{}\"{name}\":", if n > 0 { "," } else { "" });
            k.json(&mut out);
            total.add(k);
        }
        out.push_str("},\"total\":");
        total.json(&mut out);
        let pair = |(n, bytes): (u64, u64)| format!("{{\"calls\":{n},\"bytes\":{bytes}}}");
        let _ = write!(
            out,
            ",\"copies\":{{\"host_to_device\":{},\"device_to_host\":{},\"device_to_device\":{},\"memset\":{}}}}}",
            pair(self.htod),
            pair(self.dtoh),
            pair(self.dtod),
            pair(self.memsets)
        );
        out
    }
}
