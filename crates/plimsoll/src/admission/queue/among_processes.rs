//! What the queue does among the processes that share a ledger: it publishes who is next and what could go, notes what others
//! have given back, and has its own holders make room for others.

use std::sync::Arc;

use super::{
    super::{
        options::nanoseconds,
        policy::{Holder, asks},
    },
    elsewhere::{Offer, PROCESS},
    entry::QueueEntry,
    state::{Awaited, QueueState, ToAsk},
};
use crate::budget::{MemoryBudget, SharedQueue, SharedTurn};

impl<T> QueueState<T> {
    /// A budget by which others are known, if they are.
    pub(super) fn shared_budget(&self) -> Option<MemoryBudget> {
        let of_waiting = self.waiting.first().map(|entry| &entry.budget);
        let budget = of_waiting.or_else(|| self.holders.values().next().map(|held| &held.budget))?;
        budget.shared_queue().map(|_| budget.clone())
    }

    /// Notes what other processes have given back since they were asked, and ends what is done or late.
    pub(super) fn lapse_elsewhere(&mut self, now_ns: u64) {
        if self.elsewhere.asked.is_empty() {
            return;
        }
        let Some(budget) = self.shared_budget() else { return };
        let others = budget.shared_queue().map(SharedQueue::holders_elsewhere).unwrap_or_default();
        let mut over = Vec::new();
        for asked in &mut self.elsewhere.asked {
            let now = others.iter().find(|other| other.slot == asked.slot);
            let given = asked.revocable_bytes.saturating_sub(now.map_or(0, |other| other.revocable_bytes));
            asked.left_bytes = asked.bytes.saturating_sub(given);
            if asked.left_bytes == 0 || asked.deadline_ns <= now_ns {
                over.push(*asked);
            }
        }
        self.elsewhere.asked.retain(|asked| asked.left_bytes > 0 && asked.deadline_ns > now_ns);
        for asked in over {
            let asker = self.waiting.iter_mut().find(|entry| entry.waiter.tie == asked.by);
            if let Some(asker) = asker.filter(|_| asked.left_bytes > 0) {
                asker.freed_bytes = asker.freed_bytes.saturating_sub(asked.left_bytes);
                let within_ns = nanoseconds(asker.options.evict_within);
                asker.pass_over(PROCESS | asked.slot as u64, now_ns.saturating_add(within_ns));
            }
        }
    }

    /// Whom to ask because another process needs room: as much as can go of what it asks for.
    pub(super) fn answer(&mut self, now_ns: u64) -> Vec<ToAsk> {
        let Some(budget) = self.shared_budget() else { return Vec::new() };
        let asked = budget.shared_queue().and_then(SharedQueue::asked);
        let Some(ask) = asked.filter(|ask| ask.id != self.elsewhere.answered) else { return Vec::new() };
        self.elsewhere.answered = ask.id;
        let free = self.holders.values().filter(|held| held.asked.is_none());
        let candidates: Vec<Holder> = free.map(|held| held.holding.as_holder(ask.bytes, now_ns)).collect();
        let able = candidates.iter().filter(|holder| holder.may_go_for(ask.priority));
        let able = able.map(|holder| holder.bytes).fold(0, u64::saturating_add);
        // Nobody goes where that would not suffice: others are asked when the time of this request is over.
        if able < ask.bytes {
            return Vec::new();
        }
        let mut to_ask = Vec::new();
        for wanted in asks(&candidates, ask.priority, ask.bytes) {
            let is_whole = candidates.iter().any(|holder| holder.id == wanted.id && !holder.is_divisible);
            let Some(held) = self.holders.get_mut(&wanted.id) else { continue };
            let deadline_ns = ask.until_ns.min(now_ns.saturating_add(held.holding.within_ns));
            held.asked = Some(Awaited { by: 0, bytes: wanted.bytes, deadline_ns });
            let holding = Arc::clone(&held.holding);
            let wanted_by = "a request of another process".to_owned();
            to_ask.push(ToAsk { holding, bytes: wanted.bytes, is_whole, wanted_by });
        }
        to_ask
    }

    /// Publishes for the other processes who is next here, and what could go.
    pub(super) fn publish_elsewhere(&mut self, budget: &MemoryBudget, kept_bytes: u64) {
        let Some(queue) = budget.shared_queue() else { return };
        // Who is being loaded by another, refused while memory is critical, or kept back by a bound of its own process alone, is
        // in nobody's way.
        let is_bound_by_all = |head: &&QueueEntry<T>| head.waiter.bytes <= head.budget.line_available_bytes();
        let next = self.head().filter(is_bound_by_all).map(|head| SharedTurn {
            bytes: head.waiter.bytes,
            priority: head.waiter.priority,
            since_ns: head.waiter.since_ns,
            kept_bytes,
            goes_first: false,
            count: self.waiting.len() as u32,
        });
        if next.is_some() || self.elsewhere.is_waiting {
            let label = self.head().map(QueueEntry::label).unwrap_or_default();
            queue.wait(next, &label);
        }
        self.elsewhere.is_waiting = next.is_some();
        let can_go = || self.holders.values().map(|held| &held.holding);
        let offer = Offer {
            priority: can_go().map(|holding| holding.priority()).min().unwrap_or(0),
            revocable_bytes: can_go().map(|holding| holding.revocable_bytes()).fold(0, u64::saturating_add),
            used_at_ns: can_go().map(|holding| holding.used_at_ns()).min().unwrap_or(0),
        };
        if offer != self.elsewhere.offer {
            self.elsewhere.offer = offer;
            queue.offer(offer.priority, offer.revocable_bytes, offer.used_at_ns);
        }
    }
}
