//! A defragmentation from its first move to its last.

use std::{collections::HashSet, mem};

use super::{
    MemoryPool,
    defragment::Move,
    map::{BufferId, Map},
    plan::{Outcome, Plan, Step},
};
use crate::error::Result;

/// The moves that mend something in a pool, one after the other. A buffer is asked for once in a pass.
///
/// It looks for them in a copy of the pool's books, so the pool is locked only for as long as a part of them is copied (up
/// to a thousand buffers, or one slab's blocks) or one move is begun. The copy is made at the first move, and anew once
/// it has no more, until a new one has none: what others do meanwhile is seen then. A copy takes some 150 bytes for each
/// buffer. Looking through it costs as much as sorting it and asking once for each buffer.
///
/// ```
/// use std::sync::Arc;
/// use plimsoll::{device::{DeviceContext, HostBackend}, pool::{BufferOptions, MemoryPool, PoolOptions}, units::MIB};
///
/// let backend = Arc::new(HostBackend::new(DeviceContext::default()));
/// let pool = MemoryPool::create(backend, PoolOptions { initial_bytes: MIB, ..PoolOptions::default() })?;
/// let buffers = [(); 2].map(|()| pool.allocate(1000, &BufferOptions::default()));
/// let [first, second] = buffers;
/// drop(first);
/// let mut pass = pool.begin_pass();
/// let mut moved = Vec::new();
/// while let Some(planned) = pass.next_move()? {
///     if let Some(begun) = pool.begin_move(planned)? {
///         begun.make()?;
///         moved.push(planned.buffer());
///     }
/// }
/// assert_eq!(moved, [second?.id()]);
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug)]
pub struct DefragmentPass {
    pool: MemoryPool,
    plan: Plan,
    /// The last that was handed out; what became of it is not known yet.
    offered: Option<Step>,
    tried: HashSet<BufferId>,
    /// Whether something may have changed since the books were copied.
    stale: bool,
}

impl MemoryPool {
    /// Begins a defragmentation whose moves the caller makes. It takes nothing until it is asked for a move, and can be
    /// dropped at any time.
    #[must_use]
    pub fn begin_pass(&self) -> DefragmentPass {
        let (plan, tried) = (Plan::default(), HashSet::new());
        DefragmentPass { pool: self.clone(), plan, offered: None, tried, stale: true }
    }
}

impl DefragmentPass {
    /// Finds the next move and keeps its target for it, until it is [begun](MemoryPool::begin_move) or
    /// [forgone](MemoryPool::forgo_move), which one of them has to be before the next is asked for. Its buffer can be used
    /// meanwhile. `None` when nothing is left that a move would mend.
    ///
    /// # Errors
    ///
    /// [`Error::Released`](crate::Error::Released) after [`destroy`](MemoryPool::destroy).
    pub fn next_move(&mut self) -> Result<Option<Move>> {
        if let Some(step) = self.offered.take() {
            let outcome = self.pool.0.live()?.map.outcome(&step);
            self.plan.settle(&step, outcome);
        }
        loop {
            let Some(step) = self.plan.next_step() else {
                if !mem::take(&mut self.stale) {
                    return Ok(None);
                }
                self.plan = Plan::read(&self.pool.0, &self.tried)?;
                continue;
            };
            let taken = self.pool.0.live()?.map.take_target(&step);
            match taken {
                Ok(planned) => {
                    self.tried.insert(step.candidate.id);
                    (self.offered, self.stale) = (Some(step), true);
                    return Ok(Some(planned));
                }
                Err(outcome) => _ = self.plan.settle(&step, outcome),
            }
        }
    }
}

impl Map {
    /// What became of a step that was tried.
    fn outcome(&self, step: &Step) -> Outcome {
        let candidate = &step.candidate;
        match self.buffer(candidate.id) {
            None => Outcome::Gone,
            Some(live) if (live.slab, live.placed) == (candidate.slab, candidate.placed) => Outcome::Stayed,
            Some(_) => Outcome::Moved,
        }
    }

    /// Takes the target of a step that can be tried yet.
    fn take_target(&mut self, step: &Step) -> std::result::Result<Move, Outcome> {
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
