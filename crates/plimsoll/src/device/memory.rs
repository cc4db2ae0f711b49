//! A piece of a device's memory, whoever gave it.

use std::{
    any::Any,
    fmt,
    ops::Range,
    os::fd::OwnedFd,
    ptr::{self, NonNull},
};

use crate::{
    budget::Promised,
    error::{Error, Result},
};

/// A slab of device memory. Dropping it frees it.
///
/// Its bytes are shared with a device, like a file is with other processes: reading while somebody writes gives some
/// mixture of old and new bytes, and nothing worse. Offsets and lengths are checked.
pub trait DeviceMemory: Send + Sync + fmt::Debug {
    /// Its size, in bytes.
    fn size_bytes(&self) -> u64;

    /// The address by which the device knows it, where it has one. It never reaches JavaScript.
    fn device_address(&self) -> Option<u64>;

    /// Where the processor sees it, mapped at the first call; valid as long as the slab lives.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the processor cannot see this memory, or the driver refuses to map it.
    fn view(&self) -> Result<HostView>;

    /// Makes writes of one side seen by the other, around the use of a [`view`](Self::view). Memory that is coherent
    /// has nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with the driver's code.
    fn sync(&self, kind: SyncKind, range: Range<u64>) -> Result<()> {
        let _ = (kind, range);
        Ok(())
    }

    /// Copies bytes out.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond the slab; [`Error::Device`] with the driver's code.
    fn read(&self, offset_bytes: u64, into: &mut [u8]) -> Result<()> {
        let range = checked_range(self.size_bytes(), offset_bytes, into.len() as u64)?;
        let view = self.view()?;
        reading(self, range, || view.read(offset_bytes, into))
    }

    /// Copies bytes in.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn write(&self, offset_bytes: u64, from: &[u8]) -> Result<()> {
        let range = checked_range(self.size_bytes(), offset_bytes, from.len() as u64)?;
        let view = self.view()?;
        writing(self, range, || view.write(offset_bytes, from))
    }

    /// Sets a range to one byte.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn fill(&self, range: Range<u64>, byte: u8) -> Result<()> {
        let range = checked_part(self.size_bytes(), range)?;
        let view = self.view()?;
        writing(self, range.clone(), || view.fill(range, byte))
    }

    /// Copies a range to another slab of the same back end, or to another place of this one. The ranges must not
    /// overlap.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); [`Error::InvalidArgument`] for ranges that overlap.
    fn copy_to(&self, range: Range<u64>, to: &dyn DeviceMemory, to_offset_bytes: u64) -> Result<()> {
        let range = checked_part(self.size_bytes(), range)?;
        let into = checked_range(to.size_bytes(), to_offset_bytes, range.end - range.start)?;
        let (from_view, to_view) = (self.view()?, to.view()?);
        let copy = || from_view.copy_to(range.clone(), &to_view, to_offset_bytes);
        reading(self, range.clone(), || writing(to, into, copy))
    }

    /// Makes every page of it really there, so that no later touch can fail for want of memory. What is
    /// `promised` to others, as in a [`Request`](super::Request), is left to them.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`] when the system has not got them.
    fn populate(&self, promised: Promised) -> Result<()> {
        let _ = promised;
        Ok(())
    }

    /// Says that the bytes of a range are not needed: whole pages go back to the system where they can, and the range may
    /// read zero or as before.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond the slab.
    fn discard(&self, range: Range<u64>) -> Result<()> {
        checked_part(self.size_bytes(), range).map(drop)
    }

    /// Says that somebody may look at the [`view`](Self::view) after the slab has gone: its addresses are to stay mapped
    /// then, and read zero. Returns whether they will, which is settled now; where not, the slab must be kept for good.
    fn keep_addresses(&self) -> bool {
        false
    }

    /// A new file descriptor of the memory, which the caller owns and which keeps the memory alive: a dma-buf that other
    /// drivers import, or of `host:memfd` a file that other processes map.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where there is no such thing.
    fn export_fd(&self) -> Result<OwnedFd>;

    /// Itself, for a back end that must know its own slabs again.
    fn as_any(&self) -> &dyn Any;
}

/// Does the work between a begin and its end, which comes whether or not the work failed.
fn between<M: DeviceMemory + ?Sized>(
    memory: &M,
    (begin, end): (SyncKind, SyncKind),
    range: Range<u64>,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    memory.sync(begin, range.clone())?;
    let done = work();
    done.and(memory.sync(end, range))
}

fn reading<M: DeviceMemory + ?Sized>(
    memory: &M,
    range: Range<u64>,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    between(memory, (SyncKind::BeginRead, SyncKind::EndRead), range, work)
}

fn writing<M: DeviceMemory + ?Sized>(
    memory: &M,
    range: Range<u64>,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    between(memory, (SyncKind::BeginWrite, SyncKind::EndWrite), range, work)
}

/// What is about to happen to a view, or has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncKind {
    /// The processor is about to read what the device wrote.
    BeginRead,
    /// The processor has read.
    EndRead,
    /// The processor is about to write.
    BeginWrite,
    /// The processor has written what the device will read.
    EndWrite,
}

/// Where the processor sees a slab. It says nothing of how long: whoever keeps one keeps the slab.
#[derive(Debug, Clone, Copy)]
pub struct HostView {
    base: NonNull<u8>,
    size_bytes: usize,
}

// SAFETY: the memory behind a view is a map of the whole process; copies in and out go through raw pointers and make no
// reference to it.
unsafe impl Send for HostView {}
// SAFETY: as above.
unsafe impl Sync for HostView {}

impl HostView {
    /// A view of `size_bytes` bytes from `base` on.
    ///
    /// # Safety
    ///
    /// The range must be mapped, readable and writable, as long as any copy of the view is used, which is as long as
    /// the slab lives that gives it out.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, size_bytes: usize) -> Self {
        Self { base, size_bytes }
    }

    /// The first byte.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its size, in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The view of a part of it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond it.
    pub fn part(&self, range: Range<u64>) -> Result<Self> {
        let range = self.checked(range.start, range.end.saturating_sub(range.start))?;
        let base = NonNull::new(self.at(&range)).unwrap_or(self.base);
        Ok(Self { base, size_bytes: (range.end - range.start) as usize })
    }

    fn at(&self, range: &Range<u64>) -> *mut u8 {
        // In bounds: every caller has checked the range against the size.
        self.base.as_ptr().wrapping_add(range.start as usize)
    }

    fn checked(&self, offset_bytes: u64, len: u64) -> Result<Range<u64>> {
        checked_range(self.size_bytes as u64, offset_bytes, len)
    }

    pub(super) fn read(&self, offset_bytes: u64, into: &mut [u8]) -> Result<()> {
        let range = self.checked(offset_bytes, into.len() as u64)?;
        // SAFETY: the range lies within the view, which is mapped while its slab lives, and the slab is borrowed by the
        // caller; `into` is a live exclusive borrow. It may be a map of the same slab, so they may overlap.
        unsafe { ptr::copy(self.at(&range), into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    pub(super) fn write(&self, offset_bytes: u64, from: &[u8]) -> Result<()> {
        let range = self.checked(offset_bytes, from.len() as u64)?;
        // SAFETY: as in `read`, with the directions changed.
        unsafe { ptr::copy(from.as_ptr(), self.at(&range), from.len()) };
        Ok(())
    }

    pub(super) fn fill(&self, range: Range<u64>, byte: u8) -> Result<()> {
        let range = checked_part(self.size_bytes as u64, range)?;
        // SAFETY: the range lies within the view, which is mapped while its slab lives.
        unsafe { ptr::write_bytes(self.at(&range), byte, (range.end - range.start) as usize) };
        Ok(())
    }

    pub(super) fn copy_to(&self, range: Range<u64>, to: &Self, to_offset_bytes: u64) -> Result<()> {
        let from = checked_part(self.size_bytes as u64, range)?;
        let len = from.end - from.start;
        let into = to.checked(to_offset_bytes, len)?;
        let (source, target) = (self.at(&from), to.at(&into));
        if source.addr().abs_diff(target.addr()) < len as usize {
            return Err(Error::invalid_argument(
                "target",
                "a range apart from the one copied",
                "ranges that overlap",
            ));
        }
        // SAFETY: both ranges lie within their views, which are mapped while their slabs live, and do not overlap.
        unsafe { ptr::copy_nonoverlapping(source, target, len as usize) };
        Ok(())
    }
}

/// The range, if it lies within `size_bytes` and does not end before it begins.
pub(super) fn checked_part(size_bytes: u64, range: Range<u64>) -> Result<Range<u64>> {
    let is_within = range.start <= range.end && range.end <= size_bytes;
    let received = format!("{} to {}", range.start, range.end);
    is_within.then_some(range).ok_or_else(|| {
        Error::invalid_argument("range", format!("within the {size_bytes} bytes of the memory"), received)
    })
}

/// The range of `len` bytes from `offset_bytes` on, if it lies within `size_bytes`.
pub(super) fn checked_range(size_bytes: u64, offset_bytes: u64, len: u64) -> Result<Range<u64>> {
    let end = offset_bytes.checked_add(len).filter(|end| *end <= size_bytes);
    end.map(|end| offset_bytes..end).ok_or_else(|| {
        Error::invalid_argument(
            "range",
            format!("within the {size_bytes} bytes of the memory"),
            format!("{len} bytes from {offset_bytes} on"),
        )
    })
}
