//! What a budget offers the room in which callers wait for their turn.

use std::{borrow::Cow, sync::Arc, time::Instant};

use super::{Allocation, MemoryBudget, sharing::Sharers, waiting::Wake, weighing::Lacking};
use crate::error::{Error, Result};

impl MemoryBudget {
    /// What is free now, in bytes, whoever it is kept for: of the line, and of the machine's memory where it is asked, which
    /// is measured anew.
    pub(crate) fn free_bytes(&self) -> u64 {
        let of_line = self.line_available_bytes().min(self.shared_available_bytes());
        self.weighing
            .as_ref()
            .map_or(of_line, |weighing| of_line.min(weighing.available_bytes(&self.account)))
    }

    /// Whether so many bytes are free beside those that are kept.
    pub(super) fn has_beside(&self, bytes: u64, kept_bytes: u64) -> bool {
        if bytes == 0 && kept_bytes > 0 {
            return true;
        }
        let Some(both) = bytes.checked_add(kept_bytes) else { return false };
        both <= self.line_available_bytes()
            && both <= self.shared_available_bytes()
            && self.weighing.as_ref().is_none_or(|weighing| weighing.has(both, &self.account))
    }

    /// Takes bytes where there are so many beside those that are kept.
    #[cold]
    pub(super) fn take_beside(
        &self,
        bytes: u64,
        kept_bytes: u64,
        now: Instant,
    ) -> std::result::Result<(), Box<Lacking>> {
        if self.has_beside(bytes, kept_bytes) {
            return self.take_of(self.usable_bytes().saturating_sub(kept_bytes), bytes, now);
        }
        if self.has_beside(bytes, 0) {
            return Err(Box::new(Lacking::Turn(kept_bytes)));
        }
        // It is not there at all, and that is what has to be said.
        Err(Box::new(Lacking::Line(self.line_available_bytes())))
    }

    /// Takes the bytes of all parts in one atomic step, beside those that are kept, and makes a guard of each; or takes nothing.
    /// `None` where there are not so many, or the gate is closed.
    pub(crate) fn allocate_together(
        &self,
        parts: &[(u64, Cow<'static, str>)],
        kept_bytes: u64,
    ) -> Option<Vec<Allocation>> {
        let bytes = parts.iter().try_fold(0_u64, |sum, (bytes, _)| sum.checked_add(*bytes))?;
        let now = Instant::now();
        if !self.is_open() {
            return None;
        }
        if kept_bytes > 0 {
            self.take_beside(bytes, kept_bytes, now).ok()?;
        } else {
            self.take_of(self.usable_bytes(), bytes, now).ok()?;
        }
        let guard = |(bytes, label): &(u64, Cow<'static, str>)| {
            Allocation::insert(&self.account, *bytes, label.clone(), None, now)
        };
        Some(parts.iter().map(guard).collect())
    }

    /// Makes a guard of this budget's larger, out of turn, as [`allocate`](Self::allocate) would grant the bytes.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub(crate) fn grow(&self, allocation: &mut Allocation, bytes: u64) -> Result<()> {
        if let Some(reason) = self.gate.reason() {
            return Err(self.refused_at_gate(bytes, reason, allocation.label()));
        }
        self.take(bytes, Instant::now())
            .map_err(|lacking| self.refusal(bytes, *lacking, allocation.label()))?;
        if allocation.grow(bytes) {
            return Ok(());
        }
        self.account.cancel_grant(bytes);
        Err(Error::Released { what: "the allocation" })
    }

    /// The error of one who may not take bytes now because so many are kept for another.
    pub(crate) fn out_of_turn(&self, bytes: u64, kept_bytes: u64, label: String) -> Error {
        self.refusal(bytes, Lacking::Turn(kept_bytes), label)
    }

    /// The queue that it has in common with other processes, if it shares a ledger.
    pub(crate) fn shared_queue(&self) -> Option<&dyn Sharers> {
        self.account.sharing()
    }

    /// Whether its gate is open.
    pub(crate) fn is_open(&self) -> bool {
        self.gate.is_open()
    }

    /// Whether both are clones of one budget, so that the same is free for both.
    pub(crate) fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ceiling, &other.ceiling)
    }

    /// What the room that waits keeps at the account: one for all budgets that share it. `None` where another room has.
    pub(crate) fn waiting_hook<T: Wake>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        self.account.waiting.hook(make)
    }

    /// Says how many wait. Of every release that is not yet visible here, the hook is told.
    pub(crate) fn set_waiting_count(&self, count: usize) {
        self.account.waiting.set_count(count);
        self.account.counter.announce();
    }

    /// Keeps so many of the bytes that are free, or that become free, from those who ask out of turn.
    pub(crate) fn keep(&self, bytes: u64, whom: impl FnOnce() -> String) {
        self.account.waiting.keep(bytes, whom);
    }
}
