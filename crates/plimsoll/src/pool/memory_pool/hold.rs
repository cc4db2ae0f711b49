//! What keeps a buffer where it is.

use std::{
    ops::Range,
    sync::{Arc, MutexGuard},
};

use super::{
    PoolInner, PoolState,
    map::{BufferId, Live},
    slab::Slab,
};
use crate::{
    error::{Error, Result},
    sync::wait,
};

pub(super) const WHAT: &str = "the buffer";

/// A buffer that has to stay where it is.
pub(super) struct Hold {
    pub(super) pool: Arc<PoolInner>,
    pub(super) id: BufferId,
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

impl PoolInner {
    /// Keeps a buffer where it is, or releases the lock while it is being moved.
    pub(super) fn try_hold<'s>(
        self: &Arc<Self>,
        mut state: MutexGuard<'s, PoolState>,
        id: BufferId,
        kind: HoldKind,
    ) -> Result<std::result::Result<Hold, MutexGuard<'s, PoolState>>> {
        let live = state.map.buffer_mut(id).ok_or(Error::Released { what: WHAT })?;
        if live.claimed && kind == HoldKind::Bytes {
            return Err(Error::busy(WHAT, "something is loaded into it; wait for the end of that"));
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
                Err(state) => wait(&self.moved, state),
            };
            if state.closed {
                return Err(Error::Released { what: super::WHAT });
            }
        }
    }
}
