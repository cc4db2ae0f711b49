//! Moving one buffer. It is copied with nothing locked; who uses it meanwhile waits for that one copy.

use std::sync::Arc;

use super::super::{
    MemoryPool, WHAT,
    layout::{Placed, SlabPart},
    map::{BufferId, Held, Live, Map},
    options::BufferOptions,
    trace::TraceKind,
};
use crate::error::{Error, Result};

/// A move that could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub(in super::super) id: BufferId,
    /// Its bytes as asked for.
    pub bytes: u64,
    pub(in super::super) from_slab: usize,
    pub(in super::super) from: SlabPart,
    pub(in super::super) to_slab: usize,
    pub(in super::super) to: Placed,
}

impl Move {
    /// The number of the buffer.
    #[must_use]
    pub fn buffer(&self) -> u64 {
        self.id.number()
    }

    /// The slab it lies in, and the slab it would go to.
    #[must_use]
    pub fn slabs(&self) -> (usize, usize) {
        (self.from_slab, self.to_slab)
    }
}

impl Map {
    /// Inserts a buffer at its new place. The old one is still taken.
    fn settle(&mut self, planned: &Move) -> Option<SlabPart> {
        let live = self.buffer_mut(planned.id)?;
        let old = live.placed.part;
        (live.slab, live.placed) = (planned.to_slab, planned.to);
        Some(old)
    }

    /// Frees the old place of a buffer that was moved; bytes of its slab if that is empty now.
    fn leave(&mut self, planned: &Move, old: SlabPart) -> u64 {
        let emptied = self.free_part(planned.from_slab, old);
        let slab_bytes = self.slab(planned.from_slab).map_or(0, Held::size_bytes);
        if emptied { slab_bytes } else { 0 }
    }
}

impl MemoryPool {
    /// Begins a move that was found: whoever wants to use the buffer from now on waits for the end of it. `None`, and the
    /// move is cancelled, where it was freed, pinned, or moved by somebody else since.
    ///
    /// # Errors
    ///
    /// [`Error::Released`] after [`close`](Self::close).
    pub(super) fn begin_move(&self, planned: Move) -> Result<Option<MoveInProgress>> {
        let mut state = self.0.live()?;
        let may_move = |live: &&mut Live| {
            !live.is_held()
                && !live.moving
                && (live.slab, live.placed.part) == (planned.from_slab, planned.from)
        };
        if let Some(live) = state.map.buffer_mut(planned.id).filter(may_move) {
            live.moving = true;
            return Ok(Some(MoveInProgress { pool: self.clone(), planned: Some(planned) }));
        }
        drop(state);
        self.cancel_move(&planned);
        Ok(None)
    }

    fn make(&self, planned: &Move) -> Result<u64> {
        let slabs = {
            let state = self.0.live()?;
            let map = &state.map;
            let slab = |index| map.slab(index).map(|held| Arc::clone(&held.slab));
            let from = map.buffer(planned.id).map(Live::range);
            slab(planned.from_slab).zip(slab(planned.to_slab)).zip(from)
        };
        let Some(((from, to), range)) = slabs else {
            return Err(Error::Released { what: WHAT });
        };
        if let Err(error) = from.memory().copy_to(range.clone(), to.memory(), planned.to.offset_bytes) {
            // Part of the content may be there already. What cannot be zeroed is not handed out again.
            let target = planned.to.offset_bytes..planned.to.offset_bytes + planned.bytes;
            if !self.0.options.zero_on_free || to.memory().fill(target, 0).is_ok() {
                self.cancel_move(planned);
            }
            self.end_move(planned.id);
            return Err(error);
        }
        let Some(old) = self.0.live()?.map.settle(planned) else {
            return Err(Error::Released { what: WHAT });
        };
        // What cannot be zeroed is not handed out again: its old block stays taken.
        let may_leave = !self.0.options.zero_on_free || from.memory().fill(range, 0).is_ok();
        let emptied_bytes = self.note_move(planned, old, may_leave);
        self.end_move(planned.id);
        Ok(emptied_bytes)
    }

    fn note_move(&self, planned: &Move, old: SlabPart, may_leave: bool) -> u64 {
        let mut state = self.0.state();
        let emptied_bytes = if may_leave { state.map.leave(planned, old) } else { 0 };
        let split_bytes = state.map.split_bytes();
        state.counters.moved(planned.bytes, split_bytes);
        if let Some(trace) = &mut state.trace {
            trace.note(TraceKind::Move, planned.id.number(), planned.bytes, &BufferOptions::default());
        }
        if emptied_bytes > 0 {
            state.retire_surplus(self.0.options.max_cached_bytes.unwrap_or(0));
        }
        emptied_bytes
    }

    /// Frees the target of a move that was cancelled. A slab that becomes empty by it is to be
    /// [collected](MemoryPool::collect).
    pub(super) fn cancel_move(&self, planned: &Move) {
        let mut state = self.0.state();
        if !state.closed && state.map.free_part(planned.to_slab, planned.to.part) {
            // What was beside the target is gone.
            state.retire_surplus(self.0.options.max_cached_bytes.unwrap_or(0));
        }
    }

    /// Lets those go on who wait for the buffer, and frees it if its last handle went meanwhile.
    fn end_move(&self, id: BufferId) {
        let freed = self.0.state().map.buffer_mut(id).is_some_and(|live| {
            live.moving = false;
            live.freed
        });
        self.0.moved.notify_all();
        if freed {
            self.0.free(id);
        }
        self.collect();
    }
}

/// A move that was begun. Dropped without being made, it leaves the buffer where it is.
#[derive(Debug)]
pub struct MoveInProgress {
    pool: MemoryPool,
    planned: Option<Move>,
}

impl MoveInProgress {
    /// The number of the buffer.
    #[must_use]
    pub fn buffer(&self) -> Option<u64> {
        self.planned.as_ref().map(Move::buffer)
    }

    /// Copies the buffer to its new place. Returns the bytes of the slab that became empty by it, if one did.
    ///
    /// # Errors
    ///
    /// As [`defragment`](MemoryPool::defragment).
    pub fn make(mut self) -> Result<u64> {
        let Some(planned) = self.planned else { return Ok(0) };
        let made = self.pool.make(&planned);
        // Until here a panic left the buffer where it was.
        self.planned = None;
        made
    }
}

impl Drop for MoveInProgress {
    fn drop(&mut self) {
        if let Some(planned) = self.planned.take() {
            self.pool.cancel_move(&planned);
            self.pool.end_move(planned.id);
        }
    }
}
