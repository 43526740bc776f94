//! Memory straight from the system, in its large pages where it has such.
//!
//! A step walks tens of megabytes, and a transform writes 64 rows at a time, each on a page of its own: with pages of 4 KiB
//! the core waits for address translations. Linux backs by pages of 2 MiB what asks for them, if it starts at a multiple.

use std::ptr::NonNull;

/// A large page on x86-64, and a multiple of what smaller ones anywhere are.
#[cfg(all(target_os = "linux", not(miri)))]
const LARGE: usize = 2 << 20;

/// Whether this system has what the functions below need. Others get their blocks from the allocator.
pub const AVAILABLE: bool = cfg!(all(target_os = "linux", not(miri)));

/// At least `size` bytes of zeros, from a multiple of a large page on; `None` if the system has no more.
#[cfg(all(target_os = "linux", not(miri)))]
pub fn map(size: usize) -> Option<NonNull<u8>> {
    let len = length(size)?;
    let all = len.checked_add(LARGE)?;
    // SAFETY: a new mapping at an address of the system's choice. What is cut off in front and behind was never used; a large
    // page's multiple is any smaller page's.
    unsafe {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let start = libc::mmap(std::ptr::null_mut(), all, access, kind, -1, 0);
        if start == libc::MAP_FAILED {
            return None;
        }
        let skip = start.cast::<u8>().align_offset(LARGE);
        if skip > 0 {
            libc::munmap(start, skip);
        }
        let block = start.byte_add(skip);
        libc::munmap(block.byte_add(len), LARGE - skip);
        // A system that takes no such advice says so, and gives small pages.
        libc::madvise(block, len, libc::MADV_HUGEPAGE);
        NonNull::new(block.cast())
    }
}

/// Gives a mapping back.
///
/// # Safety
/// It came from [`map`] with this size, and nobody uses it any more.
#[cfg(all(target_os = "linux", not(miri)))]
pub unsafe fn unmap(block: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(block.as_ptr().cast(), length(size).expect("it was mapped")) };
}

/// Gives back the memory of the whole pages in a part of a mapping, which stays mapped: where it was they hold zeros.
///
/// # Safety
/// The part is of a mapping from [`map`], and nobody uses it.
#[cfg(all(target_os = "linux", not(miri)))]
pub unsafe fn discard(block: NonNull<u8>, size: usize) {
    // SAFETY: it has no side effects.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let skip = block.as_ptr().align_offset(page);
    if let Some(len) = size.checked_sub(skip).map(|len| len - len % page) {
        // SAFETY: these pages have nothing but what the caller speaks of.
        unsafe { libc::madvise(block.as_ptr().add(skip).cast(), len, libc::MADV_DONTNEED) };
    }
}

/// Bytes of the mapping of a block: whole large pages.
#[cfg(all(target_os = "linux", not(miri)))]
fn length(size: usize) -> Option<usize> {
    // What slices can span.
    size.max(1).checked_next_multiple_of(LARGE).filter(|&len| len <= isize::MAX as usize)
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod elsewhere {
    use super::*;

    pub fn map(_: usize) -> Option<NonNull<u8>> {
        None
    }

    /// # Safety
    /// Never called, as nothing is mapped.
    pub unsafe fn unmap(_: NonNull<u8>, _: usize) {
        unreachable!("nothing was mapped")
    }

    /// # Safety
    /// Never called, as nothing is mapped.
    pub unsafe fn discard(_: NonNull<u8>, _: usize) {
        unreachable!("nothing was mapped")
    }
}
#[cfg(not(all(target_os = "linux", not(miri))))]
pub use elsewhere::{discard, map, unmap};

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_aligned_and_zero_and_so_is_what_was_discarded() {
        let size = LARGE + 12_345;
        let block = map(size).unwrap();
        assert_eq!(block.as_ptr() as usize % LARGE, 0);
        // SAFETY: the mapping has `size` bytes and is used here alone; it is zero or was written.
        unsafe {
            let all = std::slice::from_raw_parts_mut(block.as_ptr(), size);
            assert!(all.iter().all(|&b| b == 0));
            all.fill(7);
            // From the middle of a page to the middle of another.
            discard(block.add(100), 20_000);
            let all = std::slice::from_raw_parts(block.as_ptr(), size);
            assert!(all[..100].iter().chain(&all[20_100..]).all(|&b| b == 7));
            let zeros = all.iter().filter(|&&b| b == 0).count();
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            assert_eq!(zeros, (20_100 / page).saturating_sub(1) * page);
            unmap(block, size);
        }
        assert!(map(usize::MAX).is_none());
    }
}
