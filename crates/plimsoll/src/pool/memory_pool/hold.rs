//! What keeps a buffer where it is, and its bytes from others.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, MutexGuard, PoisonError},
};

use super::{
    Inner, PoolBuffer, State,
    map::{BufferId, Live},
    slab::Slab,
};
use crate::{
    device::DeviceMemory,
    error::{Error, Result},
};

const WHAT: &str = "the buffer";

/// A buffer that has to stay where it is.
pub(super) struct Hold {
    pool: Arc<Inner>,
    id: BufferId,
    pub(super) slab: Arc<Slab>,
    /// Where it lies in its slab.
    pub(super) range: Range<u64>,
    kind: HoldKind,
}

/// What it is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldKind {
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
    pub(super) fn part(&self, offset_bytes: u64, len: u64) -> Result<Range<u64>> {
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
    pub(super) fn hold(self: &Arc<Self>, id: BufferId, kind: HoldKind) -> Result<Hold> {
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

    pub(super) fn pin_for_good(&self) -> Result<()> {
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
