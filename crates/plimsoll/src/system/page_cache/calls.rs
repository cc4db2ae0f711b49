//! `cachestat(2)` and `mincore(2)`.

// No safe interface has these two calls: rustix and memmap2 have neither. The room of devices, which makes such calls, comes
// after this one.
#![allow(unsafe_code)]

use std::{fs::File, io, os::fd::AsRawFd, ptr::from_mut};

use libc::{c_int, c_long, c_uint};
use memmap2::MmapRaw;
use rustix::param::page_size;

/// The number of `cachestat` on every architecture that this is built for.
/// Source: the kernel's `scripts/syscall.tbl` and `arch/x86/entry/syscalls/syscall_64.tbl`.
const CACHESTAT: c_long = 451;

/// Bytes of a file. Source: `struct cachestat_range` of the kernel's `include/uapi/linux/mman.h`.
#[repr(C)]
struct CountedRange {
    offset_bytes: u64,
    length_bytes: u64,
}

/// Pages of a range. Source: `struct cachestat` of the kernel's `include/uapi/linux/mman.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PageCounts {
    pub(super) cached: u64,
    pub(super) dirty: u64,
    pub(super) writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// `cachestat(2)`: the pages of a range of a file, of which those at its ends count whole. A length of 0 means the rest of the
/// file.
///
/// # Errors
///
/// `ENOSYS` before Linux 6.5; `EPERM` for who neither owns the file nor may write to it, and from sandboxes that do not know
/// the call; `EOPNOTSUPP` on hugetlbfs.
pub(super) fn cachestat(file: &File, offset_bytes: u64, length_bytes: u64) -> io::Result<PageCounts> {
    let mut range = CountedRange { offset_bytes, length_bytes };
    let mut counts = PageCounts::default();
    let no_flags: c_uint = 0;
    // SAFETY: both structs are as the kernel lays them out, and live through the call, which reads the one and writes the other.
    let outcome = unsafe {
        libc::syscall(CACHESTAT, file.as_raw_fd(), from_mut(&mut range), from_mut(&mut counts), no_flags)
    };
    if outcome == 0 { Ok(counts) } else { Err(io::Error::last_os_error()) }
}

/// `mincore(2)`: for each page of a map whether it is in memory, in the lowest bit of its byte. The map is not touched.
///
/// # Errors
///
/// `EAGAIN` when the kernel is short of memory.
pub(super) fn mincore(map: &MmapRaw, pages: &mut [u8]) -> io::Result<()> {
    if pages.len() < map.len().div_ceil(page_size()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a byte for each page of the map"));
    }
    // SAFETY: the map is live while it is borrowed, and `pages` has a byte for each of its pages.
    let outcome: c_int = unsafe { libc::mincore(map.as_mut_ptr().cast(), map.len(), pages.as_mut_ptr()) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
