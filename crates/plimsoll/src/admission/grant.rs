//! What was granted in turn.

use std::sync::MutexGuard;

use super::{clock::now_ns, queue::Granted};
use crate::{
    budget::Allocation,
    error::{Error, Result},
    sync::lock,
};

/// Bytes that were granted together. Dropping it releases all of them.
///
/// One that was acquired with `on_revoke` is elastic: above its floor, which it keeps, it may [stretch](Self::stretch) while
/// there is room, and gives that back when it is asked to. All methods may be called from any thread.
#[derive(Debug)]
#[must_use = "dropping the grant releases the bytes at once"]
pub struct Grant(std::sync::Mutex<Granted>);

impl Grant {
    pub(super) const fn new(granted: Granted) -> Self {
        Self(std::sync::Mutex::new(granted))
    }

    fn granted(&self) -> MutexGuard<'_, Granted> {
        lock(&self.0)
    }

    /// What it has, the stretch included, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.granted().holding.bytes()
    }

    /// What of it is stretch, in bytes.
    #[must_use]
    pub fn stretch_bytes(&self) -> u64 {
        self.granted().holding.stretch_bytes()
    }

    /// Takes `bytes` more above the floor, or refuses and takes nothing. It never waits, and takes nothing while somebody is
    /// first in the queue and has waited long enough to be passed by nobody, nor while it has been asked to make room. Returns
    /// how many were granted: all of them.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`]; [`Error::InvalidArgument`] for a grant without `on_revoke`.
    pub fn stretch(&self, bytes: u64) -> Result<u64> {
        let mut granted = self.granted();
        let Granted { queue, budget, holding, stretch, label, .. } = &mut *granted;
        if !holding.is_elastic() {
            let expected = "there for a grant that is to be stretched: how else would it shrink";
            return Err(Error::invalid_argument("onRevoke", expected, "none"));
        }
        let label = || format!("{label} (stretch)");
        if let Some(kept_bytes) = queue.unstretched_for(holding, now_ns()) {
            return Err(budget.out_of_turn(bytes, kept_bytes, label()));
        }
        match stretch {
            Some(stretch) => budget.grow(stretch, bytes)?,
            None => *stretch = Some(budget.allocate(bytes, label())?),
        }
        let stretch_bytes = stretch.as_ref().map_or(0, Allocation::bytes);
        holding.set_stretch(stretch_bytes);
        Ok(bytes)
    }

    /// Gives back `bytes` of the stretch, no more than there are. Returns how many. The memory must be released before.
    #[allow(clippy::must_use_candidate)] // It is done whether or not anybody looks.
    pub fn shrink(&self, bytes: u64) -> u64 {
        let mut granted = self.granted();
        let Granted { queue, budget, holding, stretch, .. } = &mut *granted;
        let Some(allocation) = stretch else { return 0 };
        let bytes = bytes.min(allocation.bytes());
        // First, so that nobody out of turn takes what is released for somebody who waits.
        queue.credit(holding, bytes, budget);
        let left = allocation.bytes().saturating_sub(bytes);
        if left == 0 {
            *stretch = None;
        } else {
            allocation.shrink(bytes);
        }
        holding.set_stretch(left);
        queue.given(holding, bytes, budget);
        bytes
    }

    /// Notes that it is in use at this moment: it is not idle.
    pub fn touch(&self) {
        self.granted().holding.touch(now_ns());
    }

    /// Says that what its key names is loaded: the next of that key may be granted.
    pub fn ready(&self) {
        self.granted().end_load();
    }

    /// Says that it will not make the room that it was asked for, so that others are asked without waiting for the deadline.
    pub fn decline(&self) {
        let granted = self.granted();
        granted.queue.decline(&granted.holding);
    }

    /// Says that `bytes` of it, in all, have really been taken, of its parts in their order, then of the stretch. See
    /// [`Allocation::commit`].
    pub fn commit(&self, bytes: u64) {
        let granted = self.granted();
        let mut left = bytes;
        for allocation in granted.allocations.iter().chain(&granted.stretch) {
            let of_this = left.min(allocation.bytes());
            allocation.commit(of_this);
            left -= of_this;
        }
    }

    /// Takes its parts out, a guard for each request in their order; the stretch stays. The grant goes on standing for them:
    /// whoever drops one of them says so by [`part_released`](Self::part_released), just before.
    #[must_use]
    pub fn take_allocations(&self) -> Vec<Allocation> {
        std::mem::take(&mut self.granted().allocations)
    }

    /// Says that so many bytes of what was [taken out](Self::take_allocations) are about to be released.
    pub fn part_released(&self, bytes: u64) {
        let granted = self.granted();
        granted.queue.credit(&granted.holding, bytes, &granted.budget);
        granted.holding.lower_floor(bytes);
        granted.queue.given(&granted.holding, bytes, &granted.budget);
    }

    /// Releases all of it, as dropping it does.
    pub fn release(self) {
        drop(self);
    }
}
