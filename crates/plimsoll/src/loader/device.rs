//! Tensors straight into the memory of a device.

// A map of a buffer is raw memory; the block says what makes it this destination's alone.
#![allow(unsafe_code)]

use std::{ops::Range, slice};

use super::destination::{Destination, too_small};
use crate::{
    device::{SharedBackend, Staging, SyncKind},
    error::{Error, Result},
    pool::{Claim, PoolBuffer},
    units::MIB,
};

/// A buffer of a pool as destination, or a part of it. From the first window on nobody else in this process reads or writes
/// the buffer, as long as the destination lives.
#[derive(Debug)]
pub struct BufferDestination {
    buffer: PoolBuffer,
    offset_bytes: u64,
    capacity_bytes: u64,
    /// From the first window on: what waits for a device waits on the reader's thread.
    open: Option<Open>,
}

/// A buffer that is being filled.
#[derive(Debug)]
struct Open {
    way: Way,
    backend: SharedBackend,
    claim: Claim,
    /// What was lent last and is not there yet, as a range of the slab.
    lent: Option<Range<u64>>,
}

/// How bytes get there.
#[derive(Debug)]
enum Way {
    /// The processor sees the memory: it is the window.
    Mapped,
    /// The device copies from windows of its own.
    Staged(Box<dyn Staging>),
    /// The device is handed a copy.
    Copied(Vec<u8>),
}

impl Open {
    fn new(buffer: &PoolBuffer) -> Result<Self> {
        /// The usual size of a chunk for a destination.
        const WINDOW_BYTES: u64 = 4 * MIB;
        let backend = SharedBackend::clone(buffer.backend());
        let claim = buffer.claim()?;
        let way = if backend.limits().mappable {
            Way::Mapped
        } else {
            backend.staging(WINDOW_BYTES)?.map_or_else(|| Way::Copied(Vec::new()), Way::Staged)
        };
        Ok(Self { way, backend, claim, lent: None })
    }

    /// The window last lent is not written any more.
    fn end_write(&mut self) -> Result<()> {
        match (&self.way, self.lent.take()) {
            (Way::Mapped, Some(range)) => self.claim.memory().sync(SyncKind::EndWrite, range),
            _ => Ok(()),
        }
    }

    fn window(&mut self, range: Range<u64>) -> Result<&mut [u8]> {
        let len = (range.end - range.start) as usize;
        self.end_write()?;
        match &mut self.way {
            Way::Mapped => {
                let memory = self.claim.memory();
                let view = memory.view()?.part(range.clone())?;
                memory.sync(SyncKind::BeginWrite, range.clone())?;
                self.lent = Some(range);
                // SAFETY: the view is mapped as long as the slab lives, which the claim holds. The claim lets nobody else of
                // this process near the buffer's bytes, the window borrows this destination, and a device writes there no
                // more than to any memory that it was lent: by its program's leave.
                Ok(unsafe { slice::from_raw_parts_mut(view.base().as_ptr(), view.size_bytes()) })
            }
            Way::Staged(staging) => {
                if staging.window_bytes() < len as u64 {
                    staging.finish()?;
                    if let Some(larger) = self.backend.staging(len as u64)? {
                        *staging = larger;
                    }
                }
                let window = staging.window(len)?;
                self.lent = Some(range);
                Ok(window)
            }
            Way::Copied(bytes) => {
                bytes.resize(len, 0);
                self.lent = Some(range);
                Ok(bytes)
            }
        }
    }

    fn filled(&mut self) -> Result<()> {
        let Some(range) = self.lent.clone() else { return Ok(()) };
        match &mut self.way {
            Way::Mapped => self.end_write(),
            Way::Staged(staging) => staging.flush(self.claim.memory(), range.start),
            Way::Copied(bytes) => self.claim.memory().write(range.start, bytes),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Whoever gave the load up is not told more.
        let _ = self.end_write();
    }
}

impl BufferDestination {
    /// The part of `buffer` from `offset_bytes` on. A buffer that is in use is [`Error::Busy`] at the first window.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an offset beyond it.
    pub fn new(buffer: &PoolBuffer, offset_bytes: u64) -> Result<Self> {
        let size_bytes = buffer.size_bytes();
        let capacity_bytes = size_bytes.checked_sub(offset_bytes).ok_or_else(|| {
            let expected = format!("within the {size_bytes} bytes of the buffer");
            Error::invalid_argument("offsetBytes", expected, offset_bytes.to_string())
        })?;
        Ok(Self { buffer: buffer.clone(), offset_bytes, capacity_bytes, open: None })
    }
}

impl Destination for BufferDestination {
    fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> Result<&mut [u8]> {
        let end = offset_bytes.checked_add(len as u64).filter(|end| *end <= self.capacity_bytes);
        let end = end.ok_or_else(|| too_small(self.capacity_bytes, offset_bytes, len))?;
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(Open::new(&self.buffer)?),
        };
        let start = open.claim.range().start + self.offset_bytes;
        open.window(start + offset_bytes..start + end)
    }

    fn filled(&mut self) -> Result<()> {
        self.open.as_mut().map_or(Ok(()), Open::filled)
    }

    fn finish(&mut self) -> Result<()> {
        match self.open.as_mut().map(|open| &mut open.way) {
            Some(Way::Staged(staging)) => staging.finish(),
            _ => Ok(()),
        }
    }
}
