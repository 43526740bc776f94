//! Device memory: allocations at addresses that no host pointer can have, each with a map of which bytes
//! were ever written.
//!
//! Simulated threads read and write allocations through raw pointers, several host threads at a time, just as
//! the threads of a GPU do; a kernel that races with itself gets one of the values, as there. No Rust
//! reference to an allocation's bytes is ever formed. An allocation cannot go away under a running kernel:
//! launches and every change of the table hold the driver's lock.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::ir::Kernel;

/// Addresses of shared and local memory within generic addressing, and where global memory begins. All lie
/// above what a process can map, so a device address that is dereferenced on the host faults at once.
pub const SHARED_WINDOW: u64 = 0x0100_0000_0000_0000;
pub const LOCAL_WINDOW: u64 = 0x0200_0000_0000_0000;
pub const GLOBAL_BASE: u64 = 0x0300_0000_0000_0000;
/// Bytes of a window.
pub const WINDOW: u64 = 1 << 32;

/// Alignment of every allocation.
pub const ALIGN: u64 = 256;
/// Addresses left free between two allocations, so that a short way past the end is no allocation.
const GAP: u64 = 1 << 20;
/// What fresh memory holds: as floating-point numbers NaN, as integers large.
pub const PATTERN: u32 = 0x7fba_dbad;
/// Freed allocations remembered for reports.
const REMEMBERED: usize = 4096;

/// A word's shadow when all of its four bytes were written.
pub const WRITTEN: u8 = 0xf;

pub struct Alloc {
    pub start: u64,
    pub size: u64,
    /// Address of the bytes on the host, and of their shadow: one byte for four, one bit each.
    pub host: usize,
    pub shadow: usize,
    /// Every byte was written: the shadow need not be looked at.
    pub all_written: AtomicBool,
    pub readonly: bool,
    /// Variable of a module, if it is one.
    pub name: Option<String>,
    /// The first kernel launched since: most likely the one that it was made for.
    launched: Option<Arc<Kernel>>,
}

impl Alloc {
    fn layouts(size: u64) -> Option<(Layout, Layout)> {
        let size = usize::try_from(size).ok()?.max(1);
        let bytes = Layout::from_size_align(size.checked_add(64)?, ALIGN as usize).ok()?;
        Some((bytes, Layout::from_size_align(size / 4 + 16, 64).ok()?))
    }

    fn new(start: u64, size: u64, name: Option<String>, readonly: bool) -> Option<Alloc> {
        let (bytes, shadow) = Self::layouts(size)?;
        // SAFETY: neither layout is empty.
        let (host, shadow_at) = unsafe { (alloc(bytes), alloc_zeroed(shadow)) };
        if host.is_null() || shadow_at.is_null() {
            // SAFETY: what is not null came from the call above with this layout.
            unsafe {
                if !host.is_null() {
                    dealloc(host, bytes);
                }
                if !shadow_at.is_null() {
                    dealloc(shadow_at, shadow);
                }
            }
            return None;
        }
        for word in 0..bytes.size() / 4 {
            // SAFETY: within the block just had, aligned to more than four bytes.
            unsafe { host.cast::<u32>().add(word).write(PATTERN) };
        }
        Some(Alloc {
            start,
            size,
            host: host.expose_provenance(),
            shadow: shadow_at.expose_provenance(),
            all_written: AtomicBool::new(false),
            readonly,
            name,
            launched: None,
        })
    }

    pub fn end(&self) -> u64 {
        self.start + self.size
    }

    /// Whether `len` bytes at `addr` lie inside.
    pub fn holds(&self, addr: u64, len: u64) -> bool {
        addr >= self.start && len <= self.size && addr - self.start <= self.size - len
    }

    /// Notes that bytes were written.
    pub fn mark(&self, addr: u64, len: u64) {
        if len == 0 || self.all_written.load(Ordering::Relaxed) {
            return;
        }
        if addr == self.start && len == self.size {
            self.all_written.store(true, Ordering::Relaxed);
        }
        mark(self.shadow, addr - self.start, len);
    }

    /// The first byte of a range that was never written.
    pub fn unwritten(&self, addr: u64, len: u64) -> Option<u64> {
        if self.all_written.load(Ordering::Relaxed) {
            return None;
        }
        unwritten(self.shadow, addr - self.start, len).map(|at| at + self.start)
    }
}

impl Drop for Alloc {
    fn drop(&mut self) {
        if let Some((bytes, shadow)) = Self::layouts(self.size) {
            // SAFETY: both blocks came from `new` with these layouts, and nothing else frees them.
            unsafe {
                dealloc(std::ptr::with_exposed_provenance_mut(self.host), bytes);
                dealloc(std::ptr::with_exposed_provenance_mut(self.shadow), shadow);
            }
        }
    }
}

/// The shadow byte of a word. SAFETY: the caller names a word inside the shadow's allocation or array.
unsafe fn shadow_byte<'a>(shadow: usize, word: u64) -> &'a AtomicU8 {
    // SAFETY: by the caller; shadow bytes are only ever reached as atomics or under exclusive access.
    unsafe { AtomicU8::from_ptr(std::ptr::with_exposed_provenance_mut(shadow + word as usize)) }
}

fn bits(from: u64, to: u64) -> u8 {
    ((1u16 << to) - (1u16 << from)) as u8
}

/// Sets the bits of bytes `at .. at + len` of a shadow that covers them.
pub fn mark(shadow: usize, at: u64, len: u64) {
    let (first, last) = (at / 4, (at + len - 1) / 4);
    for word in first..=last {
        let from = if word == first { at % 4 } else { 0 };
        let to = if word == last { (at + len - 1) % 4 + 1 } else { 4 };
        // SAFETY: the caller's range is covered by the shadow.
        let byte = unsafe { shadow_byte(shadow, word) };
        let set = bits(from, to);
        if set == WRITTEN {
            byte.store(WRITTEN, Ordering::Relaxed);
        } else {
            byte.fetch_or(set, Ordering::Relaxed);
        }
    }
}

/// The first byte in `at .. at + len` whose bit is not set.
pub fn unwritten(shadow: usize, at: u64, len: u64) -> Option<u64> {
    let (first, last) = (at / 4, (at + len - 1) / 4);
    for word in first..=last {
        let from = if word == first { at % 4 } else { 0 };
        let to = if word == last { (at + len - 1) % 4 + 1 } else { 4 };
        // SAFETY: the caller's range is covered by the shadow.
        let have = unsafe { shadow_byte(shadow, word) }.load(Ordering::Relaxed);
        let miss = bits(from, to) & !have;
        if miss != 0 {
            return Some(word * 4 + u64::from(miss.trailing_zeros()));
        }
    }
    None
}

/// All of a device's memory.
pub struct Memory {
    /// By address, which is also the order in which they were made.
    allocs: Vec<Alloc>,
    /// The address from which no kernel has been launched on.
    fresh: u64,
    next: u64,
    freed: VecDeque<(u64, u64)>,
    pub total: u64,
    pub used: u64,
}

/// What is wrong with a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bad {
    OutOfMemory,
    Unknown,
}

impl Memory {
    pub fn new(total: u64) -> Self {
        Memory { allocs: vec![], fresh: 0, next: GLOBAL_BASE + GAP, freed: VecDeque::new(), total, used: 0 }
    }

    pub fn alloc(&mut self, size: u64, name: Option<String>, readonly: bool) -> Result<u64, Bad> {
        let room = size.div_ceil(ALIGN).checked_mul(ALIGN).ok_or(Bad::OutOfMemory)?;
        if room > self.total - self.used {
            return Err(Bad::OutOfMemory);
        }
        let start = self.next;
        let made = Alloc::new(start, size, name, readonly).ok_or(Bad::OutOfMemory)?;
        self.allocs.push(made);
        self.next += room + GAP;
        self.used += room;
        Ok(start)
    }

    /// Frees the allocation that begins at `start`.
    pub fn free(&mut self, start: u64) -> Result<(), Bad> {
        let at = self.allocs.binary_search_by_key(&start, |a| a.start).map_err(|_| Bad::Unknown)?;
        if self.allocs[at].name.is_some() {
            return Err(Bad::Unknown);
        }
        self.remove(at);
        Ok(())
    }

    /// Frees a module's variable.
    pub fn free_named(&mut self, start: u64) {
        if let Ok(at) = self.allocs.binary_search_by_key(&start, |a| a.start) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        let gone = self.allocs.remove(at);
        self.used -= gone.size.div_ceil(ALIGN) * ALIGN;
        if self.freed.len() == REMEMBERED {
            self.freed.pop_front();
        }
        self.freed.push_back((gone.start, gone.size));
    }

    /// The allocation that holds an address.
    pub fn find(&self, addr: u64) -> Option<&Alloc> {
        let at = self.allocs.partition_point(|a| a.start <= addr);
        let found = self.allocs.get(at.checked_sub(1)?)?;
        (addr < found.end() || (found.size == 0 && addr == found.start)).then_some(found)
    }

    /// The allocation that holds a whole range.
    pub fn range(&self, addr: u64, len: u64) -> Option<&Alloc> {
        self.find(addr).filter(|a| a.holds(addr, len))
    }

    /// Where an address lies, in words: inside, past or before which allocation, or in one that was freed.
    pub fn near(&self, addr: u64) -> String {
        if let Some(a) = self.find(addr) {
            return format!("byte {} of {}", addr - a.start, describe(a));
        }
        if let Some((start, size)) = self.freed.iter().find(|(s, n)| addr >= *s && addr < s + n) {
            return format!(
                "byte {} of a freed allocation of {size} bytes at {start:#x} (use after free)",
                addr - start
            );
        }
        let at = self.allocs.partition_point(|a| a.start <= addr);
        let before = at.checked_sub(1).map(|n| &self.allocs[n]);
        let after = self.allocs.get(at);
        let past = before.map(|a| addr - a.end());
        let ahead = after.map(|a| a.start - addr);
        match (past, ahead) {
            (Some(p), h) if h.is_none_or(|h| p <= h) && p < GLOBAL_BASE => {
                format!("{p} bytes past the end of {}", before.map_or(String::new(), describe))
            }
            (_, Some(h)) if addr >= GLOBAL_BASE => {
                format!("{h} bytes before {}", after.map_or(String::new(), describe))
            }
            _ if addr < 1 << 47 => "no device address (a host pointer, or null plus an offset?)".into(),
            _ => "no device address".into(),
        }
    }

    /// Notes a launch with the allocations that are younger than the one before.
    pub fn launching(&mut self, kernel: &Arc<Kernel>) {
        let young = self.allocs.partition_point(|a| a.start < self.fresh);
        self.allocs[young..].iter_mut().for_each(|a| a.launched = Some(kernel.clone()));
        self.fresh = self.next;
    }

    /// What is still allocated, module variables aside.
    pub fn held(&self) -> impl Iterator<Item = &Alloc> {
        self.allocs.iter().filter(|a| a.name.is_none())
    }

    /// The same in words, but for the one at `except`; empty if nothing is.
    pub fn leaks(&self, except: u64) -> String {
        const SHOWN: usize = 16;
        let held: Vec<&Alloc> = self.held().filter(|a| a.start != except).collect();
        if held.is_empty() {
            return String::new();
        }
        let bytes: u64 = held.iter().map(|a| a.size).sum();
        let mut text = format!("{} allocations of {bytes} bytes in all are still held", held.len());
        for a in held.iter().take(SHOWN) {
            let when = match &a.launched {
                Some(kernel) => format!("made before a launch of `{}`", kernel.name),
                None => "no kernel was launched since".into(),
            };
            text += &format!("\n  {} bytes at {:#x}, {when}", a.size, a.start);
        }
        if held.len() > SHOWN {
            text += &format!("\n  and {} more", held.len() - SHOWN);
        }
        text
    }
}

fn describe(a: &Alloc) -> String {
    match &a.name {
        Some(name) => format!("variable `{name}` of {} bytes at {:#x}", a.size, a.start),
        None => format!("the allocation of {} bytes at {:#x}", a.size, a.start),
    }
}
