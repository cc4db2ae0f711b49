//! A buffer out of a pool: a handle whose bytes may move.

use std::{
    fmt,
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    PoolInner,
    hold::{Hold, HoldKind},
    map::BufferId,
};
use crate::{
    device::SharedBackend,
    error::{Error, Result},
};

/// A buffer of device memory. Clones are the same buffer; it is freed with the last of them.
///
/// Its bytes may be moved by defragmentation while nobody uses them. Reading, writing, mapping, [pinning](Self::pin) and
/// [exporting](Self::export_fd) keep them where they are.
#[derive(Clone)]
pub struct PoolBuffer(pub(super) Arc<Handle>);

pub(super) struct Handle {
    pub(super) pool: Arc<PoolInner>,
    pub(super) id: BufferId,
    size_bytes: u64,
    /// Whether whoever drops it may wait for the device.
    may_wait: bool,
    /// Whether somebody may still see its bytes when it is gone.
    pub(super) abandoned: AtomicBool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if *self.abandoned.get_mut() {
            return;
        }
        self.pool.free(self.id);
        if self.may_wait {
            self.pool.collect();
        }
    }
}

impl fmt::Debug for PoolBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuffer").field("size_bytes", &self.0.size_bytes).finish_non_exhaustive()
    }
}

/// A file descriptor of the slab that a buffer lies in.
#[derive(Debug)]
pub struct ExportedFd {
    /// The descriptor, which its holder owns.
    pub fd: OwnedFd,
    /// Where the buffer begins in it, in bytes.
    pub offset_bytes: u64,
    /// The size of the buffer, in bytes.
    pub size_bytes: u64,
}

impl PoolBuffer {
    pub(super) fn new(pool: &Arc<PoolInner>, id: BufferId, size_bytes: u64) -> Self {
        let abandoned = AtomicBool::new(false);
        Self(Arc::new(Handle { pool: Arc::clone(pool), id, size_bytes, may_wait: true, abandoned }))
    }

    pub(super) fn hold(&self) -> Result<Hold> {
        self.0.pool.hold(self.0.id, HoldKind::Bytes)
    }

    /// As dropping it, for a thread that must not wait for the device: a slab that becomes empty by it waits for
    /// [`collect`](super::MemoryPool::collect).
    pub fn free_without_waiting(self) {
        if let Some(mut handle) = Arc::into_inner(self.0) {
            handle.may_wait = false;
        }
    }

    /// Its number, by which [`Move`](super::Move) and traces name it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id.number()
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }

    /// Copies bytes out.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond the buffer; [`Error::Device`] as the device says;
    /// [`Error::Released`] after its pool was closed.
    pub fn read(&self, offset_bytes: u64, into: &mut [u8]) -> Result<()> {
        let hold = self.hold()?;
        let part = hold.part(offset_bytes, into.len() as u64)?;
        hold.slab.memory().read(part.start, into)
    }

    /// Copies bytes in.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn write(&self, offset_bytes: u64, from: &[u8]) -> Result<()> {
        let hold = self.hold()?;
        let part = hold.part(offset_bytes, from.len() as u64)?;
        hold.slab.memory().write(part.start, from)
    }

    /// Sets `len` bytes from `offset_bytes` on to one byte.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn fill(&self, offset_bytes: u64, len: u64, byte: u8) -> Result<()> {
        let hold = self.hold()?;
        hold.slab.memory().fill(hold.part(offset_bytes, len)?, byte)
    }

    /// Copies bytes to another buffer of the same device.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); [`Error::InvalidArgument`] for a buffer of another device, and for ranges that overlap.
    pub fn copy_to(&self, offset_bytes: u64, len: u64, to: &Self, to_offset_bytes: u64) -> Result<()> {
        let (from, into) = (self.hold()?, to.hold()?);
        if !Arc::ptr_eq(&self.0.pool.backend, &to.0.pool.backend) {
            return Err(Error::invalid_argument(
                "target",
                format!("a buffer of {}", self.0.pool.backend.name()),
                format!("one of {}", to.0.pool.backend.name()),
            ));
        }
        let (from_part, into_part) = (from.part(offset_bytes, len)?, into.part(to_offset_bytes, len)?);
        from.slab.memory().copy_to(from_part, into.slab.memory(), into_part.start)
    }

    /// The device it is of.
    #[must_use]
    pub fn backend(&self) -> &SharedBackend {
        &self.0.pool.backend
    }

    /// A new file descriptor of its slab, for another driver or process. The buffer stays where it is from now on; but
    /// whoever has the descriptor sees the whole slab, and goes on seeing it after the buffer was freed: give such a
    /// buffer a slab of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where the device exports nothing; [`Error::Released`] after its pool was closed.
    pub fn export_fd(&self) -> Result<ExportedFd> {
        let hold = self.hold()?;
        let fd = hold.slab.memory().export_fd()?;
        let offset_bytes = hold.range.start;
        // It must never move again, and counts as pinned until it is freed.
        self.pin_for_good()?;
        Ok(ExportedFd { fd, offset_bytes, size_bytes: self.size_bytes() })
    }
}
