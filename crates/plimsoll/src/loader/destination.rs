//! Where a tensor's bytes go.

// Windows that are filled on several threads are raw memory; the constructor's contract says what makes each one thread's own.
#![allow(unsafe_code)]

use std::{ptr::NonNull, slice};

use crate::error::{Error, Result};

/// Memory that the loader fills: a JavaScript buffer, a pool's buffer, or a device's.
///
/// The loader asks for a window, fills it, and says so. Host memory lends itself as the window; a device lends
/// staging memory and copies when the window is filled. Windows never overlap. They come in ascending order, but those that are
/// [apart](Self::window_apart).
pub trait Destination: Send {
    /// Bytes that fit.
    fn capacity_bytes(&self) -> u64;

    /// Lends `len` bytes of memory that stand for the range from `offset_bytes` on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond the capacity; a device's own errors.
    fn window(&mut self, offset_bytes: u64, len: usize) -> Result<&mut [u8]>;

    /// Lends the same range as memory that may be filled while other windows are, on other threads. `None` where the
    /// destination has one window at a time. Nothing has to be said when it is full.
    ///
    /// # Errors
    ///
    /// As [`window`](Self::window).
    fn window_apart(&mut self, offset_bytes: u64, len: usize) -> Result<Option<WindowApart>> {
        let _ = (offset_bytes, len);
        Ok(None)
    }

    /// The window last lent is full. Host memory has nothing left to do.
    ///
    /// # Errors
    ///
    /// A device's own errors.
    fn filled(&mut self) -> Result<()> {
        Ok(())
    }

    /// Nothing more will be written. A device finishes what is under way.
    ///
    /// # Errors
    ///
    /// A device's own errors.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Part of a destination's memory, for the one thread that fills it.
#[derive(Debug)]
pub struct WindowApart {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is no thread's own, and by its contract nobody else's while the window lives.
unsafe impl Send for WindowApart {}

impl WindowApart {
    /// `len` bytes from `start` on.
    ///
    /// # Safety
    ///
    /// They have to be there, and nobody else may read or write them, as long as the destination lives. The loader drops every
    /// window before its destination.
    #[must_use]
    pub const unsafe fn new(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len }
    }

    /// The memory.
    #[must_use]
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: by the contract of `new`; the window is borrowed for as long as the slice lives.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// Host memory as a destination: anything that lends its bytes.
#[derive(Debug)]
pub struct SliceDestination<T>(pub T);

impl<T: AsMut<[u8]> + AsRef<[u8]> + Send> Destination for SliceDestination<T> {
    fn capacity_bytes(&self) -> u64 {
        self.0.as_ref().len() as u64
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> Result<&mut [u8]> {
        let capacity = self.capacity_bytes();
        part_of(self.0.as_mut(), offset_bytes, len).ok_or_else(|| too_small(capacity, offset_bytes, len))
    }
}

/// The `len` bytes from `offset_bytes` on, if they are there.
fn part_of(bytes: &mut [u8], offset_bytes: u64, len: usize) -> Option<&mut [u8]> {
    let start = usize::try_from(offset_bytes).ok()?;
    bytes.get_mut(start..start.checked_add(len)?)
}

pub(super) fn too_small(capacity: u64, offset_bytes: u64, len: usize) -> Error {
    let expected = format!("large enough for {len} bytes at {offset_bytes}");
    Error::invalid_argument("into", expected, format!("{capacity} bytes"))
}
