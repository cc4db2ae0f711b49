//! Moving buffers together, a few at a time, so that whole slabs become empty and go back.
//!
//! Buffers leave the slab with the least in it for holes in fuller ones; where none can be emptied that way, they move
//! down in their own slab. A move copies with nothing locked; who uses the buffer meanwhile waits for that one copy.

use std::{
    cmp::Reverse,
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    MemoryPool, WHAT,
    layout::{Part, Placed},
    map::{BufferId, Held, Live, Map},
    options::{BufferOptions, Placement},
    trace::TraceKind,
};
use crate::error::{Error, Result};

/// How far a defragmentation goes. Whatever bound is met first ends it; it can be called again to go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefragmentOptions {
    /// Bytes moved at most. No bound by default.
    pub max_bytes: Option<u64>,
    /// Buffers moved at most. No bound by default.
    pub max_moves: Option<u64>,
    /// How long it goes on beginning moves. No bound by default.
    pub max_time: Option<Duration>,
    /// Whether nothing is moved, and the report says what would come of it.
    pub dry_run: bool,
}

/// What came of a defragmentation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
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
    id: BufferId,
    /// Its bytes as asked for.
    pub bytes: u64,
    from_slab: usize,
    from: Part,
    to_slab: usize,
    to: Placed,
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
    /// Finds the next move that mends something and takes its target; buffers in `except` stay.
    fn plan(&mut self, except: &HashSet<BufferId>) -> Option<Move> {
        let mut slabs = self.contents(except);
        slabs.sort_unstable_by_key(|slab| (slab.used_bytes, slab.index));
        self.plan_into_fuller(&slabs).or_else(|| {
            for slab in &mut slabs {
                slab.movable.sort_unstable_by_key(|(offset, _)| Reverse(*offset));
            }
            self.plan_downwards(&slabs)
        })
    }

    /// The slabs that hold buffers, with those that may move.
    fn contents(&self, except: &HashSet<BufferId>) -> Vec<Contents> {
        // A slab's number is a place in a table, so this is one, too: a pool may have many buffers.
        let mut slabs: Vec<Option<Contents>> = Vec::new();
        for (index, held) in self.slabs().filter(|(_, held)| !held.is_empty()) {
            slabs.resize_with(slabs.len().max(index + 1), || None);
            if let Some(place) = slabs.get_mut(index) {
                let used_bytes = held.layout.used_bytes();
                *place = Some(Contents { index, used_bytes, movable: Vec::new(), held_fast: false });
            }
        }
        for (id, live) in self.buffers() {
            let Some(slab) = slabs.get_mut(live.slab).and_then(Option::as_mut) else { continue };
            if live.is_held() || live.moving || except.contains(&id) {
                slab.held_fast = true;
            } else {
                slab.movable.push((live.placed.offset_bytes, id));
            }
        }
        slabs.into_iter().flatten().collect()
    }

    /// Out of the slab with the least in it of those that could be emptied, into fuller ones.
    fn plan_into_fuller(&mut self, slabs: &[Contents]) -> Option<Move> {
        for (position, from) in slabs.iter().enumerate().filter(|(_, slab)| !slab.held_fast) {
            // The fullest first, so that the next to be emptied gets nothing more.
            let fuller = slabs.get(position + 1..).unwrap_or_default();
            let targets: Vec<_> = fuller.iter().rev().map(|slab| slab.index).collect();
            if self.free_in(&targets) < from.used_bytes {
                continue;
            }
            let planned = self.take_targets(from, &targets);
            let all_fit = planned.len() == from.movable.len();
            // One is made at a time: the others find their places again when it is their turn.
            let kept = usize::from(all_fit);
            for planned in planned.iter().skip(kept) {
                self.free_part(planned.to_slab, planned.to.part);
            }
            if let Some(first) = planned.first().filter(|_| all_fit) {
                return Some(*first);
            }
        }
        None
    }

    fn free_in(&self, slabs: &[usize]) -> u64 {
        let held = slabs.iter().filter_map(|index| self.slab(*index));
        held.map(|held| held.size_bytes().saturating_sub(held.layout.used_bytes())).sum()
    }

    /// Takes a place in the targets for one buffer after the other, until one finds none.
    fn take_targets(&mut self, from: &Contents, targets: &[usize]) -> Vec<Move> {
        let to_any =
            |(_, id): &(u64, BufferId)| targets.iter().find_map(|to| self.take_target(*id, from.index, *to));
        from.movable.iter().map_while(to_any).collect()
    }

    fn take_target(&mut self, id: BufferId, from_slab: usize, to_slab: usize) -> Option<Move> {
        let live = self.buffer(id)?;
        let (bytes, align_bytes, placement) = (live.requested_bytes, live.align_bytes, live.placement);
        let from = live.placed.part;
        let to = self.take_part(to_slab, bytes, align_bytes, placement)?;
        Some(Move { id, bytes, from_slab, from, to_slab, to })
    }

    /// Down into a lower hole of the same slab, which leaves the free bytes in one piece. Transient buffers stay at the end
    /// where they belong.
    fn plan_downwards(&mut self, slabs: &[Contents]) -> Option<Move> {
        for (slab, (offset, id)) in
            slabs.iter().flat_map(|slab| slab.movable.iter().map(|item| (slab.index, *item)))
        {
            let Some(live) = self.buffer(id).filter(|live| live.placement == Placement::LongLived) else {
                continue;
            };
            let (bytes, align_bytes, from) = (live.requested_bytes, live.align_bytes, live.placed.part);
            if let Some(to) = self.take_part_below(slab, bytes, align_bytes, offset) {
                return Some(Move { id, bytes, from_slab: slab, from, to_slab: slab, to });
            }
        }
        None
    }

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

/// A slab with what a defragmentation needs to know of it.
struct Contents {
    index: usize,
    used_bytes: u64,
    /// Offset and number of each buffer that may move.
    movable: Vec<(u64, BufferId)>,
    /// Whether it also holds buffers that may not.
    held_fast: bool,
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
        let (began, mut stay) = (Instant::now(), HashSet::new());
        while report.may_go_on(options, began) {
            let Some(planned) = self.0.live()?.map.plan(&stay) else {
                report.complete = true;
                break;
            };
            // A buffer is moved once in a pass, so that every pass ends.
            stay.insert(planned.id);
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
        let mut map = self.0.live()?.map.clone();
        let mut report = DefragmentReport {
            largest_free_bytes_before: map.largest_free_bytes(),
            ..DefragmentReport::default()
        };
        let (began, mut stay) = (Instant::now(), HashSet::new());
        while report.may_go_on(options, began) {
            let Some(planned) = map.plan(&stay) else {
                report.complete = true;
                break;
            };
            stay.insert(planned.id);
            if !wanted(&planned) {
                map.free_part(planned.to_slab, planned.to.part);
                report.vetoed_count += 1;
                continue;
            }
            let emptied_bytes = map.settle(&planned).map_or(0, |old| map.leave(&planned, old));
            report.count(&planned, emptied_bytes);
        }
        report.largest_free_bytes_after = map.largest_free_bytes();
        Ok(report)
    }

    /// Finds the next move and keeps its target for it, until it is [begun](Self::begin_move) or
    /// [forgone](Self::forgo_move). Its buffer can be used meanwhile. Buffers of these numbers stay where they are.
    ///
    /// # Errors
    ///
    /// [`Error::Released`] after [`destroy`](Self::destroy).
    pub fn next_move(&self, except: &[u64]) -> Result<Option<Move>> {
        let except = except.iter().copied().map(BufferId::from_number).collect();
        Ok(self.0.live()?.map.plan(&except))
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
