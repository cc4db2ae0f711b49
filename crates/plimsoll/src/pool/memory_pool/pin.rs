//! Buffers that stay where they are, or that one user has alone.

use std::{fmt, ops::Range};

use super::{
    PoolBuffer,
    hold::{Hold, HoldKind, WHAT},
};
use crate::{
    device::DeviceMemory,
    error::{Error, Result},
};

impl PoolBuffer {
    /// Keeps everybody else from its bytes until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while it is mapped, read or written; [`Error::Released`] after its pool was
    /// closed.
    pub fn claim(&self) -> Result<Claim> {
        let hold = self.hold()?;
        let mut state = self.0.pool.live()?;
        let live = state.map.buffer_mut(self.0.id).ok_or(Error::Released { what: WHAT })?;
        if live.uses > 1 {
            drop(state); // Letting go takes the lock.
            let reason = "it is mapped, read or written; end that first".to_owned();
            return Err(Error::busy(WHAT, reason));
        }
        live.claimed = true;
        drop(state);
        Ok(Claim { hold, _buffer: self.clone() })
    }

    /// Keeps it where it is until the result is dropped; waits for the end of a move that is under way.
    ///
    /// # Errors
    ///
    /// [`Error::Released`] after its pool was closed.
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
