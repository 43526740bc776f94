//! The caching pool: buffers of the CPU backend are recycled, so that a training step that repeats itself makes no
//! request to the system after its first round.

use super::super::PoolStats;
use super::pages;
use crate::DType;
use crate::error::DeviceFailure;
use bytemuck::Pod;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Mutex;

/// Every buffer starts on a cache line, which is also the widest vector's alignment.
pub const ALIGN: usize = 64;

/// Whether blocks bypass the cache: each then has exactly the bytes asked for, comes from the system filled with NaN
/// patterns and goes back to it at once. Built with `--cfg ganvil_exact_blocks` for memory checkers, which see neither
/// what overruns a buffer into the rest of its block nor what uses a block that waits in the cache.
const EXACT: bool = cfg!(ganvil_exact_blocks);

/// Smaller blocks come from the allocator.
const REGION_MIN: usize = 16 << 10;
/// Blocks of this size and more are mappings of their own.
const REGION_MAX: usize = 8 << 20;
/// Bytes of a region, which blocks of sizes between are cut from: they lie close to each other in large pages.
const REGION: usize = 32 << 20;

/// A piece of the pool's memory, 64-byte aligned, returned to the pool on drop.
///
/// Memory fresh from the system is zeroed and recycled memory holds old values, so that a buffer is always
/// initialised and plain slices of it are sound. Debug builds fill recycled buffers with NaN patterns to show
/// kernels that leave elements unwritten.
pub struct Buffer {
    ptr: NonNull<u8>,
    /// Bytes asked for.
    len: usize,
    /// Index of the size class the block belongs to.
    class: usize,
}

// SAFETY: a Buffer owns its block exclusively; it hands out `&` and `&mut` under the usual borrowing rules.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access is read-only.
unsafe impl Sync for Buffer {}

/// Free blocks by size class, and the counters.
struct Pool {
    free: Vec<Vec<NonNull<u8>>>,
    /// Blocks of regions whose memory was given back to the system, by size class.
    spare: Vec<Vec<NonNull<u8>>>,
    /// Where regions start. Blocks are cut from the last, and never joined again.
    regions: Vec<NonNull<u8>>,
    /// Bytes of the last region that no block was cut from yet, at its end.
    uncut: usize,
    stats: PoolStats,
}

impl Pool {
    /// A block of a region: of memory that was given back, or of a region's rest.
    fn cut(&mut self, size: usize) -> Option<NonNull<u8>> {
        if let Some(block) = self.spare.get_mut(class_of(size)).and_then(Vec::pop) {
            return Some(block);
        }
        if self.uncut < size {
            self.regions.push(pages::map(REGION)?);
            self.uncut = REGION;
        }
        let region = *self.regions.last()?;
        // SAFETY: `uncut` is at most a region's size, and at least the block's.
        let block = unsafe { region.add(REGION - self.uncut) };
        self.uncut -= size;
        Some(block)
    }

    fn is_of_a_region(&self, block: NonNull<u8>) -> bool {
        self.regions.iter().any(|r| (r.addr().get()..r.addr().get() + REGION).contains(&block.addr().get()))
    }

    /// Returns a block to the system: memory and addresses, or a region's block its memory alone.
    ///
    /// # Safety
    /// It came from [`Buffer::from_system`] with this size, and nobody holds it.
    unsafe fn release(&mut self, block: NonNull<u8>, size: usize) {
        if is_mapped(size) && self.is_of_a_region(block) {
            // SAFETY: the caller's promise.
            unsafe { pages::discard(block, size) };
            let class = class_of(size);
            if self.spare.len() <= class {
                self.spare.resize_with(class + 1, Vec::new);
            }
            return self.spare[class].push(block);
        }
        // SAFETY: the caller's promise; a block of no region comes from where its size says.
        unsafe {
            if is_mapped(size) && size >= REGION_MAX {
                pages::unmap(block, size)
            } else {
                // The layout was checked when it was made.
                dealloc(block.as_ptr(), Layout::from_size_align_unchecked(size, ALIGN))
            }
        }
    }
}

/// Whether blocks of a size are pages or parts of them, where there is room.
fn is_mapped(size: usize) -> bool {
    pages::AVAILABLE && !EXACT && size >= REGION_MIN
}

// SAFETY: the pointers are to blocks nobody else holds.
unsafe impl Send for Pool {}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    free: Vec::new(),
    spare: Vec::new(),
    regions: Vec::new(),
    uncut: 0,
    stats: PoolStats { misses: 0, hits: 0, in_use: 0, cached: 0, largest: 0 },
});

/// Size classes: 64 bytes times (4 + j) * 2^i / 4, that is four classes to each doubling, so that at most a fifth
/// of a block is unused.
fn class_of(len: usize) -> usize {
    let units = len.div_ceil(ALIGN).max(1);
    if units <= 4 {
        return units - 1;
    }
    let log = (units - 1).ilog2() as usize;
    // Quarter steps above 2^log.
    let step = 1usize << (log - 2);
    let j = (units - (1 << log)).div_ceil(step);
    4 + (log - 2) * 4 + j - 1
}

/// Bytes of a class's blocks.
fn class_size(class: usize) -> usize {
    if class < 4 {
        return (class + 1) * ALIGN;
    }
    let (i, j) = ((class - 4) / 4, (class - 4) % 4 + 1);
    ((4 + j) << i) * ALIGN
}

/// Bytes of the block of a buffer of `len` bytes.
fn block_size(len: usize) -> usize {
    if EXACT { len.max(1) } else { class_size(class_of(len)) }
}

fn lock() -> std::sync::MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(|e| e.into_inner())
}

impl Buffer {
    /// A buffer of `len` bytes with arbitrary content.
    ///
    /// # Panics
    /// With [`DeviceFailure`] if the system has no memory left.
    pub fn new(len: usize) -> Buffer {
        let class = class_of(len);
        let size = block_size(len);
        let mut pool = lock();
        if pool.free.len() <= class {
            pool.free.resize_with(class + 1, Vec::new);
        }
        pool.stats.in_use += size;
        pool.stats.largest = pool.stats.largest.max(len);
        if let Some(ptr) = pool.free[class].pop() {
            pool.stats.hits += 1;
            pool.stats.cached -= size;
            drop(pool);
            if cfg!(debug_assertions) {
                // SAFETY: the block has `size` bytes and is ours alone.
                unsafe { ptr.as_ptr().write_bytes(0xFF, size) };
            }
            return Buffer { ptr, len, class };
        }
        pool.stats.misses += 1;
        let in_use = pool.stats.in_use - size;
        drop(pool);
        // Before giving up, the system gets back what other sizes have cached: of blocks of regions the memory alone.
        let ptr = Self::from_system(size).or_else(|| {
            trim();
            Self::from_system(size)
        });
        match ptr {
            Some(ptr) => {
                if EXACT {
                    // SAFETY: the block has `size` bytes and is ours alone.
                    unsafe { ptr.as_ptr().write_bytes(0xFF, size) };
                }
                Buffer { ptr, len, class }
            }
            None => {
                lock().stats.in_use -= size;
                DeviceFailure {
                    op: "allocating a tensor on cpu".into(),
                    reason: "out of memory".into(),
                    wanted: size,
                    in_use,
                    remedy: "use a smaller batch or a smaller network".into(),
                }
                .raise()
            }
        }
    }

    /// A block filled with zeros, or with what a pool's block had before its memory was given back.
    fn from_system(size: usize) -> Option<NonNull<u8>> {
        if is_mapped(size) {
            if size >= REGION_MAX {
                return pages::map(size);
            }
            if let Some(block) = lock().cut(size) {
                return Some(block);
            }
            // Where there is no room for a region there may be some for a block.
        }
        let layout = Layout::from_size_align(size, ALIGN).ok()?;
        // SAFETY: `size` is not zero, by `block_size`.
        NonNull::new(unsafe { alloc_zeroed(layout) })
    }

    /// A buffer of `len` elements of a dtype.
    pub(crate) fn of(dtype: DType, len: usize) -> Buffer {
        Buffer::new(len.checked_mul(dtype.size()).unwrap_or(usize::MAX / 4))
    }

    /// The content as elements of type T.
    pub fn as_slice<T: Pod>(&self) -> &[T] {
        // SAFETY: the block has at least `len` bytes, initialised since its birth (see the type's docs), and lives
        // as long as self.
        bytemuck::cast_slice(unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) })
    }

    /// The content as elements of type T, for writing.
    pub fn as_mut_slice<T: Pod>(&mut self) -> &mut [T] {
        // SAFETY: as in `as_slice`, and `&mut self` makes the access exclusive.
        bytemuck::cast_slice_mut(unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let size = block_size(self.len);
        let mut pool = lock();
        pool.stats.in_use -= size;
        if EXACT {
            // SAFETY: the block came from `from_system` with this size, and nobody else holds it.
            return unsafe { pool.release(self.ptr, size) };
        }
        pool.stats.cached += size;
        pool.free[self.class].push(self.ptr);
    }
}

pub(super) fn stats() -> PoolStats {
    lock().stats
}

/// Returns all cached blocks to the system, those of regions but for their addresses.
pub(super) fn trim() {
    let mut pool = lock();
    pool.stats.cached = 0;
    let mut free = std::mem::take(&mut pool.free);
    for (class, blocks) in free.iter_mut().enumerate() {
        for ptr in blocks.drain(..) {
            // SAFETY: the block came from `from_system` with its class's size, and nobody holds it.
            unsafe { pool.release(ptr, class_size(class)) };
        }
    }
    // As long as before: buffers that live on come back to their class.
    pool.free = free;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held by tests that empty the cache, or count on what is in it.
    static CACHED: Mutex<()> = Mutex::new(());

    #[test]
    fn classes_cover_every_length_with_little_waste() {
        let step = if cfg!(miri) { 199 } else { 1 };
        for len in (0..20_000).step_by(step).chain([1 << 20, (1 << 20) + 1, 3_211_264, 123_456_789]) {
            let size = class_size(class_of(len));
            assert!(size >= len && size.is_multiple_of(ALIGN), "{len} -> {size}");
            assert!(size <= (len + len / 4).max(len + ALIGN).max(ALIGN), "{len} -> {size}");
            assert_eq!(class_of(size), class_of(len), "a block's size is in its own class");
        }
    }

    #[test]
    #[cfg_attr(ganvil_exact_blocks, ignore = "built without the cache")]
    fn a_dropped_buffer_is_used_again() {
        let _alone = CACHED.lock().unwrap_or_else(|e| e.into_inner());
        // A size no other test uses, so that parallel tests cannot take the block.
        let n = 7_654_321;
        let mut b = Buffer::new(n);
        assert_eq!(b.as_slice::<u8>().as_ptr() as usize % ALIGN, 0);
        b.as_mut_slice::<u8>()[n - 1] = 7;
        let p = b.as_slice::<u8>().as_ptr();
        drop(b);
        assert_eq!(Buffer::new(n).as_slice::<u8>().as_ptr(), p);
    }

    #[test]
    #[cfg_attr(ganvil_exact_blocks, ignore = "built without the cache")]
    fn a_buffer_outlives_what_is_given_back() {
        let _alone = CACHED.lock().unwrap_or_else(|e| e.into_inner());
        // Of classes above those of other tests.
        let held = [40_000_000, 90_000_000].map(Buffer::new);
        trim();
        drop(held);
        assert_eq!(Buffer::new(90_000_000).as_slice::<u8>().len(), 90_000_000);
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn blocks_of_regions_lie_apart_and_come_back_by_their_class() {
        let mut pool = Pool {
            free: Vec::new(),
            spare: Vec::new(),
            regions: Vec::new(),
            uncut: 0,
            stats: PoolStats::default(),
        };
        let sizes: Vec<usize> = (0..60).map(|i| class_size(class_of((16 << 10) + i * i * 2_000))).collect();
        let blocks: Vec<NonNull<u8>> = sizes.iter().map(|&size| pool.cut(size).unwrap()).collect();
        assert!(sizes.iter().sum::<usize>() > 2 * REGION && pool.regions.len() > 2);
        let mut spans: Vec<(usize, usize)> =
            blocks.iter().map(|b| b.addr().get()).zip(sizes.iter().copied()).collect();
        spans.sort();
        assert!(spans.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "blocks overlap");
        for (&block, &size) in blocks.iter().zip(&sizes) {
            assert!(block.addr().get() % ALIGN == 0 && pool.is_of_a_region(block));
            // SAFETY: the block has `size` bytes and is this test's.
            unsafe { block.as_ptr().write_bytes(7, size) };
        }
        // SAFETY: cut above with this size, and not used any more.
        unsafe { pool.release(blocks[50], sizes[50]) };
        assert_ne!(pool.cut(sizes[10]), Some(blocks[50]));
        assert_eq!(pool.cut(sizes[50]), Some(blocks[50]));
        // SAFETY: as above; no other block was touched.
        let read = |i: usize| unsafe { std::slice::from_raw_parts(blocks[i].as_ptr(), sizes[i]) };
        assert!(read(49).iter().chain(read(51)).all(|&b| b == 7));
        assert!(read(50).contains(&0), "its pages were given back");
        // SAFETY: nothing of the regions is used any more.
        pool.regions.iter().for_each(|&r| unsafe { pages::unmap(r, REGION) });
    }

    #[cfg(ganvil_exact_blocks)]
    mod exact {
        use super::*;

        #[test]
        fn blocks_have_no_slack_and_are_not_cached() {
            assert_eq!([0, 1, 63, 65, 1001].map(block_size), [1, 1, 63, 65, 1001]);
            drop(Buffer::new(7_654_321));
            assert_eq!(lock().free.iter().map(Vec::len).sum::<usize>(), 0);
            assert!(Buffer::new(1001).as_slice::<u8>().iter().all(|&b| b == 0xFF));
        }

        /// `.ci/nightly asan` runs this and the next alone and wants the report, without which the checker sees nothing
        /// of the pool.
        #[test]
        #[ignore = "wrong on purpose"]
        fn overrun() {
            let mut b = Buffer::new(1001);
            // SAFETY: none; this writes the byte behind the buffer.
            unsafe { b.as_mut_slice::<u8>().as_mut_ptr().add(1001).write_volatile(1) };
        }

        #[test]
        #[ignore = "wrong on purpose"]
        fn use_after_drop() {
            let mut b = Buffer::new(1001);
            let p = b.as_mut_slice::<u8>().as_mut_ptr();
            drop(b);
            // SAFETY: none; the buffer is gone.
            unsafe { p.write_volatile(1) };
        }
    }
}
