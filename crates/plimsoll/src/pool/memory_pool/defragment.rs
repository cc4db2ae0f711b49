//! Moving buffers together, a few at a time, so that whole slabs become empty and go back.
//!
//! A move copies with nothing locked; who uses the buffer meanwhile waits for that one copy.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    MemoryPool, WHAT,
    layout::{Part, Placed},
    map::{BufferId, Held, Live, Map},
    options::BufferOptions,
    plan::{Outcome, Plan, Tried},
    trace::TraceKind,
};
use crate::error::{Error, Result};

/// How far a defragmentation goes. Whatever bound is met first ends it; another begins from what it left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefragmentOptions {
    /// Bytes moved at most. No bound by default.
    pub max_bytes: Option<u64>,
    /// Buffers moved at most. No bound by default.
    pub max_moves: Option<u64>,
    /// How long it goes on beginning moves. No bound by default. The books are copied whatever it is; a
    /// [pass](MemoryPool::begin_pass) of your own can go on with that in a further call.
    pub max_time: Option<Duration>,
    /// Whether nothing is moved, and the report says what would come of it.
    pub dry_run: bool,
}

/// What came of a defragmentation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DefragmentReport {
    /// Buffers moved.
    pub moved_count: u64,
    /// Bytes moved.
    pub moved_bytes: u64,
    /// Moves that the caller did not want.
    pub vetoed_count: u64,
    /// Bytes of slabs that became empty.
    pub emptied_bytes: u64,
    /// The largest hole before, in bytes.
    pub largest_free_bytes_before: u64,
    /// The largest hole after, in bytes.
    pub largest_free_bytes_after: u64,
    /// Whether nothing is left that a move would mend.
    pub complete: bool,
}

/// A move that could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub(super) id: BufferId,
    /// Its bytes as asked for.
    pub bytes: u64,
    pub(super) from_slab: usize,
    pub(super) from: Part,
    pub(super) to_slab: usize,
    pub(super) to: Placed,
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
    /// Enters a buffer at its new place. The old one is still taken.
    fn settle(&mut self, planned: &Move) -> Option<Part> {
        let live = self.buffer_mut(planned.id)?;
        let old = live.placed.part;
        (live.slab, live.placed) = (planned.to_slab, planned.to);
        Some(old)
    }

    /// Frees the old place of a buffer that was moved; bytes of its slab if that is empty now.
    fn leave(&mut self, planned: &Move, old: Part) -> u64 {
        let emptied = self.free_part(planned.from_slab, old);
        let slab_bytes = self.slab(planned.from_slab).map_or(0, Held::size_bytes);
        if emptied { slab_bytes } else { 0 }
    }
}

impl MemoryPool {
    /// Moves buffers together within the bounds of `options`. `wanted` is asked of each move before it is made. Slabs that
    /// become empty are given back or cached as with freed buffers.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when a copy failed: that buffer stays as it was, and what was moved before stays moved.
    /// [`Error::Released`] after [`destroy`](Self::destroy).
    pub fn defragment(
        &self,
        options: &DefragmentOptions,
        wanted: &mut dyn FnMut(&Move) -> bool,
    ) -> Result<DefragmentReport> {
        if options.dry_run {
            return self.defragment_dry(options, wanted);
        }
        let mut report = DefragmentReport {
            largest_free_bytes_before: self.0.live()?.map.largest_free_bytes(),
            ..DefragmentReport::default()
        };
        let (began, mut pass) = (Instant::now(), self.begin_pass());
        while report.may_go_on(options, began) {
            let Some(planned) = pass.next_move()? else {
                report.complete = true;
                break;
            };
            if !wanted(&planned) {
                self.forgo_move(&planned);
                report.vetoed_count += 1;
                continue;
            }
            if let Some(begun) = self.begin_move(planned)? {
                report.count(&planned, begun.make()?);
            }
        }
        self.collect();
        report.largest_free_bytes_after = self.0.state().map.largest_free_bytes();
        Ok(report)
    }

    fn defragment_dry(
        &self,
        options: &DefragmentOptions,
        wanted: &mut dyn FnMut(&Move) -> bool,
    ) -> Result<DefragmentReport> {
        let mut report = DefragmentReport {
            largest_free_bytes_before: self.0.live()?.map.largest_free_bytes(),
            ..DefragmentReport::default()
        };
        let (began, mut plan) = (Instant::now(), Plan::default());
        plan.read_on(&self.0, &Tried::new(), None)?;
        while report.may_go_on(options, began) {
            let Some(step) = plan.next_step() else {
                report.complete = true;
                break;
            };
            let planned = step.as_move();
            if wanted(&planned) {
                report.count(&planned, plan.settle(&step, Outcome::Moved));
            } else {
                plan.settle(&step, Outcome::Stayed);
                report.vetoed_count += 1;
            }
        }
        report.largest_free_bytes_after = plan.largest_free_bytes();
        Ok(report)
    }

    /// Begins a move that was found: whoever wants to use the buffer from now on waits for the end of it. `None`, and the
    /// move is forgone, where it was freed, pinned, or moved by somebody else since.
    ///
    /// # Errors
    ///
    /// [`Error::Released`] after [`destroy`](Self::destroy).
    pub fn begin_move(&self, planned: Move) -> Result<Option<BegunMove>> {
        let mut state = self.0.live()?;
        let may_move = |live: &&mut Live| {
            !live.is_held()
                && !live.moving
                && (live.slab, live.placed.part) == (planned.from_slab, planned.from)
        };
        if let Some(live) = state.map.buffer_mut(planned.id).filter(may_move) {
            live.moving = true;
            return Ok(Some(BegunMove { pool: self.clone(), planned: Some(planned) }));
        }
        drop(state);
        self.forgo_move(&planned);
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
                self.forgo_move(planned);
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

    fn note_move(&self, planned: &Move, old: Part, may_leave: bool) -> u64 {
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

    /// Gives the target of a move that was not begun free again. A slab that becomes empty by it is to be
    /// [collected](MemoryPool::collect).
    pub fn forgo_move(&self, planned: &Move) {
        let mut state = self.0.state();
        if !state.destroyed && state.map.free_part(planned.to_slab, planned.to.part) {
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
pub struct BegunMove {
    pool: MemoryPool,
    planned: Option<Move>,
}

impl BegunMove {
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

impl Drop for BegunMove {
    fn drop(&mut self) {
        if let Some(planned) = self.planned.take() {
            self.pool.forgo_move(&planned);
            self.pool.end_move(planned.id);
        }
    }
}

impl DefragmentReport {
    fn may_go_on(&self, options: &DefragmentOptions, began: Instant) -> bool {
        options.max_bytes.is_none_or(|most| self.moved_bytes < most)
            && options.max_moves.is_none_or(|most| self.moved_count < most)
            && options.max_time.is_none_or(|most| began.elapsed() < most)
    }

    fn count(&mut self, planned: &Move, emptied_bytes: u64) {
        self.moved_count += 1;
        self.moved_bytes += planned.bytes;
        self.emptied_bytes += emptied_bytes;
    }
}
