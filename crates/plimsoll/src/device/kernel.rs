//! The system calls by which memory is had, as a trait, so that a test can stand in for the kernel.

use std::{
    fmt, mem,
    ops::Range,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
    ptr::{self, NonNull},
    sync::OnceLock,
};

use rustix::{
    fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, SeekFrom},
    io::Result,
    ioctl::{Ioctl, IoctlOutput, Opcode},
    mm::{Advice, MapFlags, MremapFlags, ProtFlags},
};

use super::HostView;

/// The system calls that back ends make. Each method does what its call does; a test overrides those it wants to
/// answer, count or fail.
pub trait Kernel: Send + Sync + fmt::Debug {
    /// `open(2)` with `O_CLOEXEC`.
    ///
    /// # Errors
    ///
    /// The call's errno, as for every method.
    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// `ioctl(2)`. Returns what the call returns: file descriptors of some drivers come this way.
    ///
    /// # Errors
    ///
    /// The call's errno.
    ///
    /// # Safety
    ///
    /// `argument` must be what the driver expects at `request`, in size and in layout, and pointers in it must be valid
    /// for what the driver does with them.
    unsafe fn ioctl(&self, fd: BorrowedFd<'_>, request: u32, argument: &mut [u8]) -> Result<i32> {
        // SAFETY: the caller vouches for the bytes; they are borrowed exclusively while the driver writes to them.
        unsafe { rustix::ioctl::ioctl(fd, Raw { request, argument }) }
    }

    /// `lseek(2)` to the end: the size of a file or a dma-buf, in bytes.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn size_bytes(&self, fd: BorrowedFd<'_>) -> Result<u64> {
        rustix::fs::seek(fd, SeekFrom::End(0))
    }

    /// `fcntl(2)` with `F_DUPFD_CLOEXEC`.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn duplicate(&self, fd: BorrowedFd<'_>) -> Result<OwnedFd> {
        rustix::io::fcntl_dupfd_cloexec(fd, 0)
    }

    /// `mmap(2)` of a file, shared, readable and writable.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn map(&self, fd: BorrowedFd<'_>, offset_bytes: u64, size_bytes: usize) -> Result<RawMapping> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses a free place, so nothing that exists is changed.
        let base =
            unsafe { rustix::mm::mmap(ptr::null_mut(), size_bytes, protection, flags, fd, offset_bytes) }?;
        Ok(RawMapping::new(base.cast(), size_bytes))
    }

    /// `mmap(2)` of anonymous private memory, readable and writable, with further flags.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn map_anonymous(&self, size_bytes: usize, flags: MapFlags) -> Result<RawMapping> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | flags);
        // SAFETY: the kernel chooses a free place, so nothing that exists is changed.
        let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), size_bytes, protection, flags) }?;
        Ok(RawMapping::new(base.cast(), size_bytes))
    }

    /// `memfd_create(2)`.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn memory_file(&self, name: &str, flags: MemfdFlags) -> Result<OwnedFd> {
        rustix::fs::memfd_create(name, flags)
    }

    /// `ftruncate(2)`.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn resize(&self, fd: BorrowedFd<'_>, size_bytes: u64) -> Result<()> {
        rustix::fs::ftruncate(fd, size_bytes)
    }

    /// `fcntl(2)` with `F_ADD_SEALS`.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn seal(&self, fd: BorrowedFd<'_>, seals: SealFlags) -> Result<()> {
        rustix::fs::fcntl_add_seals(fd, seals)
    }

    /// `fallocate(2)` with `FALLOC_FL_PUNCH_HOLE`: frees pages of a memory file.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn punch(&self, fd: BorrowedFd<'_>, range: Range<u64>) -> Result<()> {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(fd, how, range.start, range.end.saturating_sub(range.start))
    }

    /// `madvise(2)` on a part of a mapping.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn advise(&self, mapping: &RawMapping, range: Range<u64>, advice: Advice) -> Result<()> {
        let (start, len) = mapping.part(range);
        // SAFETY: the range lies within a live mapping, whose bytes nobody holds a reference to.
        unsafe { rustix::mm::madvise(start.cast(), len, advice) }
    }

    /// `mlock(2)` on a whole mapping.
    ///
    /// # Errors
    ///
    /// The call's errno.
    fn lock(&self, mapping: &RawMapping) -> Result<()> {
        // SAFETY: the mapping is live.
        unsafe { rustix::mm::mlock(mapping.base.as_ptr().cast(), mapping.size_bytes) }
    }
}

/// The kernel this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealKernel;

impl Kernel for RealKernel {}

/// Mapped memory, readable and writable; dropping it is `munmap(2)`, unless its addresses are kept.
#[derive(Debug)]
pub struct RawMapping {
    base: NonNull<u8>,
    size_bytes: usize,
    /// What comes into its place at its end, if its addresses are kept.
    successor: OnceLock<Box<Self>>,
}

// SAFETY: a mapping belongs to the whole process, and its bytes are only reached by raw pointers.
unsafe impl Send for RawMapping {}
// SAFETY: as above.
unsafe impl Sync for RawMapping {}

impl RawMapping {
    /// What `mmap` has just returned; it is never null on success.
    fn new(base: *mut u8, size_bytes: usize) -> Self {
        let base = NonNull::new(base).unwrap_or(NonNull::dangling());
        Self { base, size_bytes, successor: OnceLock::new() }
    }

    /// Its size, in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The view of it that a slab gives out.
    #[must_use]
    pub(super) const fn view(&self) -> HostView {
        // SAFETY: the memory is mapped, readable and writable as long as the slab lives that owns the mapping.
        unsafe { HostView::new(self.base, self.size_bytes) }
    }

    /// Lets the end of it take the memory alone: the addresses stay mapped for good, and read zero then. Returns whether
    /// they will.
    ///
    /// What comes into its place is had now. At the end it would be too late to learn that there is none: kernels before
    /// 6.12 told to map over memory take it away first, and a refusal that comes after leaves a hole.
    pub(super) fn keep_addresses(&self, kernel: &dyn Kernel) -> bool {
        self.successor.get().is_some()
            || kernel
                .map_anonymous(self.size_bytes, MapFlags::NORESERVE)
                // Another thread may have been first; then this one's map goes.
                .map(|successor| self.successor.get_or_init(|| Box::new(successor)))
                .is_ok()
    }

    /// Moves another mapping of the same size into its place, in one step for whoever looks.
    ///
    /// The kernel's accounts are asked for nothing: both sizes are entered. What is left to refuse is one more map than a
    /// process may have, and kernels since 5.1 know that before they take anything away. The memory then stays, rather than
    /// a hole that the next map of anybody would fill.
    fn give_way_to(&self, successor: Self) {
        let (from, to) = (successor.base.as_ptr().cast(), self.base.as_ptr().cast());
        let size_bytes = self.size_bytes;
        // SAFETY: both ranges are whole mappings, each its value's own, and apart. They are no allocations that the
        // compiler knows of, and nobody holds a reference to their bytes; whoever looks on from outside Rust finds
        // memory at the addresses before and after. Whole, the old one may be taken away though its pages are huge.
        let moved =
            unsafe { rustix::mm::mremap_fixed(from, size_bytes, size_bytes, MremapFlags::MAYMOVE, to) };
        if moved.is_ok() {
            // Its own addresses are no longer its own.
            mem::forget(successor);
        }
    }

    /// Where a range begins, and how much of it lies within.
    fn part(&self, range: Range<u64>) -> (*mut u8, usize) {
        let size_bytes = self.size_bytes as u64;
        let (start, end) = (range.start.min(size_bytes), range.end.min(size_bytes));
        (self.base.as_ptr().wrapping_add(start as usize), end.saturating_sub(start) as usize)
    }
}

impl Drop for RawMapping {
    fn drop(&mut self) {
        if let Some(successor) = self.successor.take() {
            return self.give_way_to(*successor);
        }
        // SAFETY: the mapping is this value's own; whoever keeps a view keeps the slab that keeps this value.
        // It fails only for a range that is no mapping.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.size_bytes) };
    }
}

/// `madvise(2)` with `MADV_DONTNEED`: the pages of an anonymous private map go back to the system. It stays mapped and reads
/// zero.
pub(crate) fn discard_pages(map: &mut memmap2::MmapMut) -> std::io::Result<()> {
    // SAFETY: the map is anonymous and private, and nobody else's while it is borrowed.
    unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) }
}

/// An ioctl whose number and argument are known only as it is made.
struct Raw<'a> {
    request: u32,
    argument: &'a mut [u8],
}

// SAFETY: the argument is borrowed exclusively, and the call is said to write to it; what it means is vouched for by the
// caller of `Kernel::ioctl`.
unsafe impl Ioctl for Raw<'_> {
    type Output = i32;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.request
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        self.argument.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut std::ffi::c_void) -> Result<i32> {
        Ok(output)
    }
}
