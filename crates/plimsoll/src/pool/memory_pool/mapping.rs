//! Buffers that the processor sees.

use std::{
    fmt, mem,
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use super::{PoolBuffer, hold::Hold};
use crate::{
    device::{HostView, SyncKind},
    error::Result,
};

/// What is done with a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading what the device wrote.
    Read,
    /// Writing what the device will read.
    Write,
    /// Both.
    ReadWrite,
}

names!(Access {
    Read => "read",
    Write => "write",
    ReadWrite => "readwrite",
});

impl Access {
    fn reads(self) -> bool {
        self != Self::Write
    }

    fn writes(self) -> bool {
        self != Self::Read
    }
}

impl PoolBuffer {
    /// Maps a part of it for the processor. The map keeps the buffer alive and where it is.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); [`Error::Device`](crate::Error::Device) where the processor cannot see the memory: use
    /// [`read`](Self::read) and [`write`](Self::write) then.
    pub fn map(&self, offset_bytes: u64, len: u64, access: Access) -> Result<Mapping> {
        let hold = self.hold()?;
        let range = hold.part(offset_bytes, len)?;
        let view = hold.slab.memory().view()?.part(range.clone())?;
        let mut map = Mapping { view, range, access: None, hold, buffer: self.clone() };
        map.begin(access)?;
        Ok(map)
    }
}

/// A part of a buffer that the processor sees. Dropping it ends that, and makes what was written seen by the device.
pub struct Mapping {
    view: HostView,
    range: Range<u64>,
    /// What was begun and is to be ended.
    access: Option<Access>,
    // Dropped before the handle: the buffer is unpinned and only then freed.
    hold: Hold,
    buffer: PoolBuffer,
}

impl Mapping {
    /// Where the processor sees the part.
    #[must_use]
    pub fn view(&self) -> HostView {
        self.view
    }

    fn begin(&mut self, access: Access) -> Result<()> {
        let memory = self.hold.slab.memory();
        if access.reads() {
            memory.sync(SyncKind::BeginRead, self.range.clone())?;
        }
        if access.writes() {
            let begun = memory.sync(SyncKind::BeginWrite, self.range.clone());
            if begun.is_err() && access.reads() {
                // What went wrong first is what the caller has to know.
                let _ = memory.sync(SyncKind::EndRead, self.range.clone());
            }
            begun?;
        }
        self.access = Some(access);
        Ok(())
    }

    /// Ends it, and says whether the device was told.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) as the device says.
    pub fn finish(mut self) -> Result<()> {
        self.end()
    }

    /// Tells the device that what was written is written, and keeps the memory where it is. Once.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) as the device says.
    pub fn end(&mut self) -> Result<()> {
        let Some(access) = self.access.take() else { return Ok(()) };
        let memory = self.hold.slab.memory();
        let written =
            if access.writes() { memory.sync(SyncKind::EndWrite, self.range.clone()) } else { Ok(()) };
        let read = if access.reads() { memory.sync(SyncKind::EndRead, self.range.clone()) } else { Ok(()) };
        written.and(read)
    }

    /// Ends it while somebody outside Rust may still see it, and look at it at any time to come.
    ///
    /// Its buffer's place is not used again while the pool lives. As the slab goes, its memory goes back, and its
    /// addresses stay mapped and read zero. Where nothing can take their place, as in memory whose addresses are the
    /// driver's to give, which is that of CUDA, or where the kernel refuses it, the slab is kept for good, and counted.
    pub fn abandon(self) {
        self.buffer.0.abandoned.store(true, Ordering::Relaxed);
        // Of a pool that was closed, nothing is moved any more.
        let _ = self.buffer.pin_for_good();
        if !self.hold.slab.memory().keep_addresses() {
            mem::forget(Arc::clone(&self.hold.slab));
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.end();
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("view", &self.view).finish_non_exhaustive()
    }
}
