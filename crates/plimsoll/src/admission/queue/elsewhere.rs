//! The other processes that share a ledger: whose turn it is among all of them, and who of them is asked to make room.

use super::super::policy::{Ask, Holder, Waiter};
use crate::budget::{MemoryBudget, SharedAsk, SharedTurn};

/// Marks the number of a holder that is a process, by its slot. Own numbers are counted from 1.
pub(super) const PROCESS: u64 = 1 << 63;

/// How often to look while another process is asked for something, or has asked: an answer is there in a moment.
pub(super) const AWAITED_NS: u64 = 10_000_000;

/// What another process was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedElsewhere {
    pub(super) slot: usize,
    /// Under which id.
    pub(super) id: u64,
    /// For whom, by its tie.
    pub(super) by: u64,
    /// How much, and how much of it has not gone yet.
    pub(super) bytes: u64,
    pub(super) left_bytes: u64,
    /// What it could have given then.
    pub(super) revocable_bytes: u64,
    pub(super) deadline_ns: u64,
    /// Once that was answered, until when what was given may not be back yet.
    pub(super) settles_ns: Option<u64>,
}

/// What this process has published of what it could give back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) priority: i32,
    pub(super) revocable_bytes: u64,
    pub(super) used_at_ns: u64,
}

/// What the queue knows of the other processes.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    pub(super) asked: Vec<AskedElsewhere>,
    /// The request of theirs that own holders were asked for, until it is answered; 0 for none.
    pub(super) heard: u64,
    /// Whether one of them has let its time go by.
    pub(super) is_declined: bool,
    pub(super) offer: Offer,
    pub(super) is_waiting: bool,
}

/// Somebody of another process who waits, as the policy knows waiters.
pub(super) fn waiter_of(turn: &SharedTurn) -> Waiter {
    let SharedTurn { bytes, priority, since_ns, goes_first, .. } = *turn;
    Waiter { priority, since_ns, tie: if goes_first { 0 } else { u64::MAX }, bytes, age_ns: u64::MAX }
}

impl Elsewhere {
    /// Nothing more is awaited for that request: who was asked for it and has not given anything yet keeps it.
    pub(super) fn forget(&mut self, tie: u64, budget: &MemoryBudget) {
        if let Some(queue) = budget.shared_queue() {
            self.asked.iter().filter(|asked| asked.by == tie).for_each(|it| queue.withdraw(it.slot, it.id));
        }
        self.asked.retain(|asked| asked.by != tie);
    }

    /// What was asked of other processes and has not gone yet, in bytes.
    pub(super) fn awaited_bytes(&self) -> u64 {
        self.asked.iter().map(|asked| asked.left_bytes).fold(0, u64::saturating_add)
    }

    /// The other processes that can still be asked, as the policy knows holders. `is_idle` says so of one that was not used
    /// for so many nanoseconds.
    pub(super) fn candidates(
        &self,
        budget: &MemoryBudget,
        is_idle: impl Fn(u64) -> bool,
        passes_over: impl Fn(u64) -> bool,
    ) -> Vec<Holder> {
        let Some(queue) = budget.shared_queue() else { return Vec::new() };
        let is_asked = |slot| self.asked.iter().any(|asked| asked.slot == slot);
        let holder = |slot: usize, priority, idle_ns: u64, bytes| Holder {
            id: PROCESS | slot as u64,
            priority,
            idle_ms: idle_ns / 1_000_000,
            is_idle: is_idle(idle_ns),
            bytes,
            is_divisible: true,
        };
        let all = queue.holders_elsewhere().into_iter();
        all.filter(|other| !is_asked(other.slot))
            .map(|other| holder(other.slot, other.priority, other.idle_ns, other.revocable_bytes))
            .filter(|holder| !passes_over(holder.id))
            .collect()
    }

    /// Asks another process, if that is what the holder is. How much was asked for, in bytes; none where it is of this one.
    pub(super) fn ask(
        &mut self,
        budget: &MemoryBudget,
        wanted: &Ask,
        candidates: &[Holder],
        waiter: &Waiter,
        deadline_ns: u64,
    ) -> Option<u64> {
        if wanted.id & PROCESS == 0 {
            return None;
        }
        let slot = (wanted.id & !PROCESS) as usize;
        let ask = SharedAsk { id: 0, bytes: wanted.bytes, priority: waiter.priority, until_ns: deadline_ns };
        let could = candidates.iter().find(|holder| holder.id == wanted.id).map(|holder| holder.bytes);
        let id = budget.shared_queue().and_then(|queue| queue.ask(slot, ask));
        let (Some(revocable_bytes), Some(id)) = (could, id) else { return Some(0) };
        self.asked.push(AskedElsewhere {
            slot,
            id,
            by: waiter.tie,
            bytes: wanted.bytes,
            left_bytes: wanted.bytes,
            revocable_bytes,
            deadline_ns,
            settles_ns: None,
        });
        Some(wanted.bytes)
    }

    /// When to look again at what was asked of others, or what others have asked here.
    pub(super) fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let is_awaited = !self.asked.is_empty() || self.heard != 0;
        is_awaited.then(|| now_ns.saturating_add(AWAITED_NS))
    }
}
