//! A defragmentation from its first move to its last.

use std::{mem, time::Instant};

use super::{
    super::{MemoryPool, map::Map},
    moves::Move,
    plan::{Outcome, Plan, PlanStep, Tried},
};
use crate::error::Result;

/// The moves that mend something in a pool, one after the other. A buffer is asked for once in a pass, unless that is
/// [resumed](Self::resume).
///
/// It looks for them in a copy of the pool's map, so the pool is locked only for as long as a part of them is copied (up
/// to a thousand buffers, or one slab's blocks) or one move is begun. The copy is made at the first move, and anew once
/// it has no more, until a new one has none: what others do meanwhile is seen then. A copy takes some 150 bytes for each
/// buffer. Looking through it costs as much as sorting it and asking once for each buffer.
#[derive(Debug)]
pub(super) struct Pass {
    pool: MemoryPool,
    plan: Plan,
    /// The last that was handed out; what became of it is not known yet.
    offered: Option<PlanStep>,
    tried: Tried,
    /// Whether something may have changed since the map was copied.
    stale: bool,
    complete: bool,
}

impl Pass {
    /// It takes nothing until it is asked for a move, and can be dropped at any time.
    pub(super) fn new(pool: &MemoryPool) -> Self {
        let (plan, tried) = (Plan::default(), Tried::new());
        Self { pool: pool.clone(), plan, offered: None, tried, stale: false, complete: false }
    }

    /// Finds the next move and keeps its target for it, until it is begun or cancelled, which one of them has to be before the
    /// next is asked for. Its buffer can be used meanwhile. `None` when nothing is left that a move would mend.
    ///
    /// Once a time has come it copies the map no further than the part that it is at, and returns `None` without being
    /// [complete](Self::is_complete). A further call goes on with the next part.
    pub(super) fn next_move(&mut self, until: Option<Instant>) -> Result<Option<Move>> {
        if let Some(step) = self.offered.take() {
            let outcome = self.pool.0.live()?.map.outcome(&step);
            if outcome == Outcome::Moved {
                self.tried.insert(step.candidate.id, outcome);
            }
            self.plan.settle(&step, outcome);
        }
        while self.plan.read_on(&self.pool.0, &self.tried, until)? {
            let Some(step) = self.plan.next_step() else {
                if !mem::take(&mut self.stale) {
                    self.complete = true;
                    break;
                }
                self.begin_again();
                continue;
            };
            let taken = self.pool.0.live()?.map.take_target(&step);
            match taken {
                Ok(planned) => {
                    self.tried.insert(step.candidate.id, Outcome::Stayed);
                    (self.offered, self.stale) = (Some(step), true);
                    return Ok(Some(planned));
                }
                Err(outcome) => _ = self.plan.settle(&step, outcome),
            }
        }
        Ok(None)
    }

    /// Copies what is left of the map.
    pub(super) fn copy_map(&mut self) -> Result<()> {
        self.plan.read_on(&self.pool.0, &self.tried, None).map(drop)
    }

    /// Whether nothing is left that a move would mend.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Goes on after a while in which others may have done much: the map is copied once more before it is complete. With
    /// `ask_again`, the moves that were not made until now are asked for again, in the order of that copy; those that were
    /// made are not, so a pass that is resumed ever again ends, too.
    pub(super) fn resume(&mut self, ask_again: bool) {
        self.complete = false;
        let tried_before = self.tried.len();
        self.tried.retain(|_, outcome| !ask_again || *outcome == Outcome::Moved);
        if self.plan.is_read() {
            self.stale = true;
        } else if self.tried.len() < tried_before {
            self.begin_again();
        }
    }

    /// Forgets what was freed meanwhile, or a pass that goes on for days would remember ever more.
    fn begin_again(&mut self) {
        self.tried.retain(|id, _| self.pool.0.state().map.buffer(*id).is_some());
        self.plan = Plan::default();
    }
}

impl Map {
    /// What became of a step that was tried.
    fn outcome(&self, step: &PlanStep) -> Outcome {
        let candidate = &step.candidate;
        match self.buffer(candidate.id) {
            None => Outcome::Gone,
            Some(live) if (live.slab, live.placed) == (candidate.slab, candidate.placed) => Outcome::Stayed,
            Some(_) => Outcome::Moved,
        }
    }

    /// Takes the target of a step that can be tried yet.
    fn take_target(&mut self, step: &PlanStep) -> std::result::Result<Move, Outcome> {
        let candidate = &step.candidate;
        if self.outcome(step) != Outcome::Stayed {
            return Err(Outcome::Gone);
        }
        if self.buffer(candidate.id).is_none_or(|live| live.is_held() || live.moving) {
            return Err(Outcome::Stayed);
        }
        let (bytes, align_bytes) = (candidate.bytes, candidate.align_bytes);
        let to = if step.to_slab == candidate.slab {
            self.take_part_below(step.to_slab, bytes, align_bytes, candidate.placed.offset_bytes)
        } else {
            self.take_part(step.to_slab, bytes, align_bytes, candidate.placement)
        };
        to.map(|to| Move { to, ..step.as_move() }).ok_or(Outcome::Stayed)
    }
}
