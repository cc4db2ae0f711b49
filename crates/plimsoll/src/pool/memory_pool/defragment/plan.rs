//! Which moves would mend something, found on a copy of the map: the pool goes on while they are looked for.
//!
//! The copy is made a part at a time and grows old, so each step says what to try: whoever makes a move of it looks at the
//! map itself, and tells the plan what became of it.

use std::{collections::HashMap, mem, thread, time::Instant};

use super::{
    super::{
        PoolInner,
        layout::{Placed, SlabMap},
        map::{BufferId, Held, Live},
        options::Placement,
    },
    moves::Move,
};
use crate::error::Result;

/// Buffers that are copied under one lock.
const COPIED_AT_ONCE: usize = 1024;

/// Buffers for which there was a step, and what became of the last of each.
pub(super) type Tried = HashMap<BufferId, Outcome>;

/// Slabs with what may move in them, and how far they were looked through.
///
/// The slab with the least in it of those that could be emptied goes into fuller ones, then the next. Where none can be
/// emptied any more, buffers go down in their own slab, which leaves its free bytes in one piece. That may make room for
/// others, so all is looked through again until nothing was found.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What is to be copied next.
    part: MapPart,
    /// By their numbers.
    slabs: Vec<Option<SlabCopy>>,
    /// Their numbers, that with the least in it first.
    order: Vec<usize>,
    /// The place in the order of the slab that is to be emptied next.
    to_empty: usize,
    /// That of the slab in which buffers go down.
    to_lower: usize,
    /// What is left to empty a slab, the next step last.
    emptying: Vec<PlanStep>,
    /// Whether there was a step since all was looked through from the beginning.
    found: bool,
}

/// A part of the map that is copied at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum MapPart {
    /// The next slab.
    #[default]
    Slab,
    /// The buffers from this place on.
    Buffers(usize),
    /// No part of them, but the order of what was copied of this slab.
    Order(usize),
    /// Nothing is left.
    End,
}

#[derive(Debug)]
struct SlabCopy {
    size_bytes: u64,
    layout: SlabMap,
    /// Those that may move and had no step yet, that nearest to the high end last.
    movable: Vec<Candidate>,
    /// Those of them that found no lower place since all was looked through from the beginning.
    stayed: Vec<Candidate>,
}

/// A buffer that may move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) id: BufferId,
    pub(super) slab: usize,
    pub(super) placed: Placed,
    pub(super) bytes: u64,
    pub(super) align_bytes: u64,
    pub(super) placement: Placement,
}

/// A move to be tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlanStep {
    pub(super) candidate: Candidate,
    /// Its own slab for a move downwards.
    pub(super) to_slab: usize,
    /// Its place there in the copy.
    pub(super) to: Placed,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Moved,
    /// The buffer is where it was.
    Stayed,
    /// It was freed, or moved by somebody else.
    Gone,
}

impl PlanStep {
    /// The same with its place in the copy.
    pub(super) fn as_move(&self) -> Move {
        let Self { candidate, to_slab, to } = *self;
        let Candidate { id, bytes, slab, placed, .. } = candidate;
        Move { id, bytes, from_slab: slab, from: placed.part, to_slab, to }
    }
}

impl Candidate {
    fn new(id: BufferId, live: &Live) -> Self {
        Self {
            id,
            slab: live.slab,
            placed: live.placed,
            bytes: live.requested_bytes,
            align_bytes: live.align_bytes,
            placement: live.placement,
        }
    }
}

impl SlabCopy {
    fn new(held: &Held) -> Self {
        let (movable, stayed) = (Vec::new(), Vec::new());
        Self { size_bytes: held.size_bytes(), layout: held.layout.clone(), movable, stayed }
    }

    fn free_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.layout.used_bytes())
    }

    /// Whether nothing in it has to stay.
    fn is_movable(&self) -> bool {
        let movable_bytes: u64 = self.movable.iter().map(|candidate| candidate.placed.size_bytes).sum();
        movable_bytes > 0 && movable_bytes == self.layout.used_bytes()
    }

    fn begin_again(&mut self) {
        self.movable.append(&mut self.stayed);
        self.movable.sort_unstable_by_key(|candidate| candidate.placed.offset_bytes);
    }

    /// The next buffer with a lower place. Transient buffers stay at the end where they belong.
    fn lower(&mut self) -> Option<PlanStep> {
        while let Some(candidate) = self.movable.pop() {
            let Candidate { slab, placed, bytes, align_bytes, placement, .. } = candidate;
            let place = || self.layout.allocate_below(bytes, align_bytes, placed.offset_bytes);
            if let Some(to) = (placement == Placement::LongLived).then(place).flatten() {
                return Some(PlanStep { candidate, to_slab: slab, to });
            }
            self.stayed.push(candidate);
        }
        None
    }
}

impl Plan {
    /// Copies the map of a pool, without the buffers of `except` and those that have to stay: at least one part more,
    /// and further ones until that time comes. Whether all are copied.
    pub(super) fn read_on(
        &mut self,
        pool: &PoolInner,
        except: &Tried,
        until: Option<Instant>,
    ) -> Result<bool> {
        while !self.is_read() {
            self.part = match self.part {
                MapPart::Slab => self.copy_slab(pool)?,
                MapPart::Buffers(first) => self.copy_buffers(pool, except, first)?,
                MapPart::Order(index) => self.order_slab(index),
                MapPart::End => MapPart::End,
            };
            if until.is_some_and(|until| until <= Instant::now()) {
                break;
            }
            // The lock is not fair: who waits for it has to be let in.
            thread::yield_now();
        }
        Ok(self.is_read())
    }

    pub(super) fn is_read(&self) -> bool {
        self.part == MapPart::End
    }

    fn copy_slab(&mut self, pool: &PoolInner) -> Result<MapPart> {
        let mut state = pool.live()?;
        let index = self.slabs.len();
        if index >= state.map.slab_places() {
            return Ok(MapPart::Buffers(0));
        }
        // In the pool itself: it has to find the same places as the copy.
        state.map.order_holes(index);
        // A slab that belongs to one buffer alone takes no other.
        let may_change = |held: &&Held| !pool.options.dedicated || held.is_empty();
        self.slabs.push(state.map.slab(index).filter(may_change).map(SlabCopy::new));
        Ok(MapPart::Slab)
    }

    fn copy_buffers(&mut self, pool: &PoolInner, except: &Tried, first: usize) -> Result<MapPart> {
        let state = pool.live()?;
        if first >= state.map.buffer_places() {
            return Ok(MapPart::Order(0));
        }
        let may_move =
            |(id, live): &(BufferId, &Live)| !live.is_held() && !live.moving && !except.contains_key(id);
        for (id, live) in state.map.buffers_in(first, COPIED_AT_ONCE).filter(may_move) {
            if let Some(slab) = self.slab_mut(live.slab) {
                slab.movable.push(Candidate::new(id, live));
            }
        }
        Ok(MapPart::Buffers(first + COPIED_AT_ONCE))
    }

    fn order_slab(&mut self, index: usize) -> MapPart {
        if let Some(slab) = self.slab_mut(index) {
            slab.begin_again();
        }
        if index < self.slabs.len() {
            return MapPart::Order(index + 1);
        }
        self.order_slabs();
        MapPart::End
    }

    fn slab_mut(&mut self, index: usize) -> Option<&mut SlabCopy> {
        self.slabs.get_mut(index)?.as_mut()
    }

    fn begin_again(&mut self) {
        self.slabs.iter_mut().flatten().for_each(SlabCopy::begin_again);
        self.order_slabs();
    }

    /// Begins with the slab that has the least in it.
    fn order_slabs(&mut self) {
        let used_bytes =
            |(index, slab): (usize, &Option<SlabCopy>)| Some((slab.as_ref()?.layout.used_bytes(), index));
        let mut order: Vec<_> = self.slabs.iter().enumerate().filter_map(used_bytes).collect();
        order.sort_unstable();
        self.order = order.into_iter().map(|(_, index)| index).collect();
        (self.to_empty, self.to_lower, self.found) = (0, 0, false);
    }

    /// The next move to be tried. What became of the last has to be [settled](Self::settle) before.
    pub(super) fn next_step(&mut self) -> Option<PlanStep> {
        loop {
            while self.emptying.is_empty() && self.to_empty < self.order.len() {
                self.emptying = self.steps_to_empty(self.to_empty).unwrap_or_default();
                self.to_empty += 1;
            }
            if let Some(step) = self.emptying.pop().or_else(|| self.step_downwards()) {
                self.found = true;
                return Some(step);
            }
            if !self.found {
                return None;
            }
            self.begin_again();
        }
    }

    /// Into the fullest slabs first, so that the next to be emptied gets nothing more.
    fn steps_to_empty(&mut self, place: usize) -> Option<Vec<PlanStep>> {
        let (index, fuller) = self.order.get(place..)?.split_first()?;
        let (index, targets) = (*index, fuller.iter().rev().copied().collect::<Vec<_>>());
        let free_bytes: u64 =
            targets.iter().filter_map(|to| self.slabs.get(*to)?.as_ref()).map(SlabCopy::free_bytes).sum();
        let from = self.slab_mut(index)?;
        if !from.is_movable() || free_bytes < from.layout.used_bytes() {
            return None;
        }
        let movable = mem::take(&mut from.movable);
        let mut steps: Vec<_> =
            movable.iter().map_while(|candidate| self.step_into(&targets, *candidate)).collect();
        if steps.len() < movable.len() {
            for step in &steps {
                self.free_target(step);
            }
            self.slab_mut(index)?.movable = movable;
            return None;
        }
        steps.reverse();
        Some(steps)
    }

    fn step_into(&mut self, targets: &[usize], candidate: Candidate) -> Option<PlanStep> {
        let Candidate { bytes, align_bytes, placement, .. } = candidate;
        targets.iter().find_map(|index| {
            let to = self.slab_mut(*index)?.layout.allocate(bytes, align_bytes, placement)?;
            Some(PlanStep { candidate, to_slab: *index, to })
        })
    }

    fn step_downwards(&mut self) -> Option<PlanStep> {
        while let Some(index) = self.order.get(self.to_lower).copied() {
            if let Some(step) = self.slab_mut(index).and_then(SlabCopy::lower) {
                return Some(step);
            }
            self.to_lower += 1;
        }
        None
    }

    /// Notes what became of a step. Returns the bytes of the slab that it left empty, if it did.
    pub(super) fn settle(&mut self, step: &PlanStep, outcome: Outcome) -> u64 {
        if outcome != Outcome::Moved {
            self.free_target(step);
        }
        if outcome == Outcome::Stayed {
            self.give_up_emptying();
            return 0;
        }
        let Candidate { slab, placed, .. } = step.candidate;
        let Some(from) = self.slab_mut(slab) else { return 0 };
        from.layout.free(placed.part);
        if from.layout.is_empty() { from.size_bytes } else { 0 }
    }

    /// A slab in which one buffer stays is not emptied.
    fn give_up_emptying(&mut self) {
        while let Some(step) = self.emptying.pop() {
            self.free_target(&step);
            if let Some(from) = self.slab_mut(step.candidate.slab) {
                from.movable.push(step.candidate);
            }
        }
    }

    fn free_target(&mut self, step: &PlanStep) {
        if let Some(slab) = self.slab_mut(step.to_slab) {
            slab.layout.free(step.to.part);
        }
    }

    /// The largest hole in the copy, in bytes.
    pub(super) fn largest_free_bytes(&mut self) -> u64 {
        self.slabs.iter_mut().flatten().map(|slab| slab.layout.largest_free_bytes()).max().unwrap_or(0)
    }
}
