//! A buffer out of a pool: a handle whose bytes may move, and what keeps them where they are.

use std::{
    fmt, mem,
    ops::Range,
    os::fd::OwnedFd,
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Inner, State,
    map::{BufferId, Live},
    slab::Slab,
};
use crate::{
    device::{DeviceMemory, HostView, SharedBackend, SyncKind},
    error::{Error, Result},
};

/// A buffer of device memory. Clones are the same buffer; it is freed with the last of them.
///
/// Its bytes may be moved by defragmentation while nobody uses them. Reading, writing, mapping, [pinning](Self::pin) and
/// [exporting](Self::export_fd) keep them where they are.
#[derive(Clone)]
pub struct PoolBuffer(Arc<Handle>);

struct Handle {
    pool: Arc<Inner>,
    id: BufferId,
    size_bytes: u64,
    /// Whether whoever drops it may wait for the device.
    may_wait: bool,
    /// Whether somebody may still see its bytes when it is gone.
    abandoned: AtomicBool,
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

const WHAT: &str = "the buffer";

/// A buffer that has to stay where it is.
struct Hold {
    pool: Arc<Inner>,
    id: BufferId,
    slab: Arc<Slab>,
    /// Where it lies in its slab.
    range: Range<u64>,
    kind: HoldKind,
}

/// What it is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HoldKind {
    /// Its place alone.
    Place,
    /// Its bytes, which are read, written or mapped.
    Bytes,
}

impl HoldKind {
    fn count(self, live: &mut Live) -> &mut u32 {
        match self {
            Self::Place => &mut live.pins,
            Self::Bytes => &mut live.uses,
        }
    }
}

impl Hold {
    /// The part of its bytes from `offset_bytes` on, as a range of the slab.
    fn part(&self, offset_bytes: u64, len: u64) -> Result<Range<u64>> {
        let size_bytes = self.range.end - self.range.start;
        let end = offset_bytes.checked_add(len).filter(|end| *end <= size_bytes);
        let part = end.map(|end| self.range.start + offset_bytes..self.range.start + end);
        part.ok_or_else(|| {
            Error::invalid_argument(
                "range",
                format!("within the {size_bytes} bytes of the buffer"),
                format!("{len} bytes from {offset_bytes} on"),
            )
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(live) = self.pool.state().map.buffer_mut(self.id) {
            *self.kind.count(live) -= 1;
        }
    }
}

impl Inner {
    /// Keeps a buffer where it is, or gives the lock back while it is being moved.
    fn try_hold<'s>(
        self: &Arc<Self>,
        mut state: MutexGuard<'s, State>,
        id: BufferId,
        kind: HoldKind,
    ) -> Result<std::result::Result<Hold, MutexGuard<'s, State>>> {
        let live = state.map.buffer_mut(id).ok_or(Error::Released { what: WHAT })?;
        if live.claimed && kind == HoldKind::Bytes {
            return Err(Error::Busy {
                what: WHAT,
                reason: "something is loaded into it; wait for the end of that".to_owned(),
            });
        }
        if live.moving {
            return Ok(Err(state));
        }
        *kind.count(live) += 1;
        let (index, range) = (live.slab, live.range());
        let held = state.map.slab(index).ok_or(Error::Released { what: WHAT })?;
        Ok(Ok(Hold { pool: Arc::clone(self), id, slab: Arc::clone(&held.slab), range, kind }))
    }

    /// Keeps a buffer where it is; waits for the end of a move that is under way.
    fn hold(self: &Arc<Self>, id: BufferId, kind: HoldKind) -> Result<Hold> {
        let mut state = self.live()?;
        loop {
            state = match self.try_hold(state, id, kind)? {
                Ok(hold) => return Ok(hold),
                Err(state) => self.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            if state.destroyed {
                return Err(Error::Released { what: super::WHAT });
            }
        }
    }
}

impl PoolBuffer {
    pub(super) fn new(pool: &Arc<Inner>, id: BufferId, size_bytes: u64) -> Self {
        let abandoned = AtomicBool::new(false);
        Self(Arc::new(Handle { pool: Arc::clone(pool), id, size_bytes, may_wait: true, abandoned }))
    }

    fn hold(&self) -> Result<Hold> {
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

    /// Whether it is out of that pool.
    #[must_use]
    pub fn is_of(&self, pool: &super::MemoryPool) -> bool {
        Arc::ptr_eq(&self.0.pool, &pool.0)
    }

    /// Copies bytes out.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond the buffer; [`Error::Device`] as the device says;
    /// [`Error::Released`] after its pool was destroyed.
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

    /// Keeps everybody else from its bytes until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while it is mapped, read or written; [`Error::Released`] after its pool was
    /// destroyed.
    pub fn claim(&self) -> Result<Claim> {
        let hold = self.hold()?;
        let mut state = self.0.pool.live()?;
        let live = state.map.buffer_mut(self.0.id).ok_or(Error::Released { what: WHAT })?;
        if live.uses > 1 {
            drop(state); // Letting go takes the lock.
            let reason = "it is mapped, read or written; end that first".to_owned();
            return Err(Error::Busy { what: WHAT, reason });
        }
        live.claimed = true;
        drop(state);
        Ok(Claim { hold, _buffer: self.clone() })
    }

    /// Keeps it where it is until the result is dropped; waits for the end of a move that is under way.
    ///
    /// # Errors
    ///
    /// [`Error::Released`] after its pool was destroyed.
    pub fn pin(&self) -> Result<Pin> {
        Ok(Pin { hold: self.0.pool.hold(self.0.id, HoldKind::Place)?, _buffer: self.clone() })
    }

    /// As [`pin`](Self::pin), without waiting: `None` while it is being moved.
    ///
    /// Who queues work on a buffer pins it so before. Work that came to be run while its buffer is moved would wait for a
    /// move that may be queued behind it.
    ///
    /// # Errors
    ///
    /// As [`pin`](Self::pin).
    pub fn try_pin(&self) -> Result<Option<Pin>> {
        let hold = self.0.pool.try_hold(self.0.pool.live()?, self.0.id, HoldKind::Place)?;
        Ok(hold.ok().map(|hold| Pin { hold, _buffer: self.clone() }))
    }

    /// Maps a part of it for the processor. The map keeps the buffer alive and where it is.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); [`Error::Device`] where the processor cannot see the memory: use
    /// [`read`](Self::read) and [`write`](Self::write) then.
    pub fn map(&self, offset_bytes: u64, len: u64, access: Access) -> Result<Mapping> {
        let hold = self.hold()?;
        let range = hold.part(offset_bytes, len)?;
        let view = hold.slab.memory().view()?.part(range.clone())?;
        let mut map = Mapping { view, range, access: None, hold, buffer: self.clone() };
        map.begin(access)?;
        Ok(map)
    }

    /// A new file descriptor of its slab, for another driver or process. The buffer stays where it is from now on; but
    /// whoever has the descriptor sees the whole slab, and goes on seeing it after the buffer was freed: give such a
    /// buffer a slab of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where the device exports nothing; [`Error::Released`] after its pool was destroyed.
    pub fn export_fd(&self) -> Result<ExportedFd> {
        let hold = self.hold()?;
        let fd = hold.slab.memory().export_fd()?;
        let offset_bytes = hold.range.start;
        // It must never move again, and counts as pinned until it is freed.
        self.pin_for_good()?;
        Ok(ExportedFd { fd, offset_bytes, size_bytes: self.size_bytes() })
    }

    fn pin_for_good(&self) -> Result<()> {
        let mut state = self.0.pool.live()?;
        state.map.buffer_mut(self.0.id).ok_or(Error::Released { what: WHAT })?.pins += 1;
        Ok(())
    }
}

/// A buffer that stays where it is.
pub struct Pin {
    hold: Hold,
    _buffer: PoolBuffer,
}

impl Pin {
    /// The address by which the device knows its first byte, where it has one.
    #[must_use]
    pub fn device_address(&self) -> Option<u64> {
        self.hold.slab.memory().device_address().map(|address| address + self.hold.range.start)
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").finish_non_exhaustive()
    }
}

/// A buffer that one user has alone.
pub struct Claim {
    hold: Hold,
    _buffer: PoolBuffer,
}

impl Claim {
    /// The slab it lies in.
    #[must_use]
    pub fn memory(&self) -> &dyn DeviceMemory {
        self.hold.slab.memory()
    }

    /// Where it lies in the slab.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.hold.range.clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(live) = self.hold.pool.state().map.buffer_mut(self.hold.id) {
            live.claimed = false;
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
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
    /// [`Error::Device`] as the device says.
    pub fn finish(mut self) -> Result<()> {
        self.end()
    }

    /// Tells the device that what was written is written, and keeps the memory where it is. Once.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] as the device says.
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
        // Of a pool that was destroyed, nothing is moved any more.
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
