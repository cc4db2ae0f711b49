//! What the queue does among the processes that share a ledger: it publishes who is next and what could go, notes what others
//! have given back, and has its own holders make room for others.

use std::sync::Arc;

use super::{
    super::{
        options::nanoseconds,
        policy::{Holder, asks},
    },
    elsewhere::{AWAITED_NS, Offer, PROCESS},
    entry::QueueEntry,
    state::{Awaited, OTHERS, QueueState, ToAsk},
};
use crate::budget::{MemoryBudget, SharedAnswer, SharedAsk, SharedTurn, Sharers};

impl<T> QueueState<T> {
    /// Tells this queue from others of the process: it does not move.
    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

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
        let budget = self.shared_budget();
        let Some(queue) = budget.as_ref().and_then(MemoryBudget::shared_queue) else { return };
        let others = queue.holders_elsewhere();
        for mut asked in std::mem::take(&mut self.elsewhere.asked) {
            let now = others.iter().find(|other| other.slot == asked.slot);
            let given = asked.revocable_bytes.saturating_sub(now.map_or(0, |other| other.revocable_bytes));
            asked.left_bytes = asked.bytes.saturating_sub(given);
            let answer = match queue.answer_of(asked.slot, asked.id) {
                SharedAnswer::Stands if asked.left_bytes == 0 => SharedAnswer::Over,
                SharedAnswer::Stands if asked.deadline_ns <= now_ns => SharedAnswer::Declined,
                answer => answer,
            };
            if answer == SharedAnswer::Stands {
                self.elsewhere.asked.push(asked);
                continue;
            }
            // What was said to be given is counted for a moment longer: it may just be on its way.
            let settles_ns = *asked.settles_ns.get_or_insert(now_ns.saturating_add(AWAITED_NS));
            if answer == SharedAnswer::Over && now_ns < settles_ns {
                queue.withdraw(asked.slot, asked.id);
                asked.left_bytes = asked.bytes;
                self.elsewhere.asked.push(asked);
                continue;
            }
            // One that has given its last has nothing left for which it would look and answer.
            queue.withdraw(asked.slot, asked.id);
            let asker = self.waiting.iter_mut().find(|entry| entry.waiter.tie == asked.by);
            if let Some(asker) = asker.filter(|_| asked.left_bytes > 0) {
                asker.freed_bytes = asker.freed_bytes.saturating_sub(asked.left_bytes);
                let until_ns = now_ns.saturating_add(nanoseconds(asker.options.evict_within));
                // What has just changed there is seen when it is asked anew.
                if answer == SharedAnswer::Declined {
                    asker.pass_over(PROCESS | asked.slot as u64, until_ns);
                }
            }
        }
    }

    /// Tells who asked what has become of it, once all holders that were asked for it have given that or let their time go by.
    fn answer_heard(&mut self, queue: &dyn Sharers) {
        let is_awaited = self.holders.values().any(|held| held.asked.is_some_and(|asked| asked.by == OTHERS));
        if self.elsewhere.heard == 0 || is_awaited {
            return;
        }
        let answer = if self.elsewhere.is_declined { SharedAnswer::Declined } else { SharedAnswer::Over };
        queue.answer(self.elsewhere.heard, answer);
        (self.elsewhere.heard, self.elsewhere.is_declined) = (0, false);
    }

    /// Whom to ask because another process needs room: as much as can go of what it asks for.
    pub(super) fn answer(&mut self, now_ns: u64) -> Vec<ToAsk> {
        self.lapse(now_ns);
        let budget = self.shared_budget();
        let Some(queue) = budget.as_ref().and_then(MemoryBudget::shared_queue) else { return Vec::new() };
        self.answer_heard(queue);
        let asked = queue.asked(self.number());
        let Some(ask) = asked.filter(|ask| ask.id != self.elsewhere.heard) else { return Vec::new() };
        let free = self.holders.values().filter(|held| held.asked.is_none());
        let candidates: Vec<Holder> = free.map(|held| held.holding.as_holder(ask.bytes, now_ns)).collect();
        if let Some(answer) = shortage(&ask, &candidates) {
            queue.answer(ask.id, answer);
            return Vec::new();
        }
        (self.elsewhere.heard, self.elsewhere.is_declined) = (ask.id, false);
        let mut to_ask = Vec::new();
        for wanted in asks(&candidates, ask.priority, ask.bytes) {
            let is_whole = candidates.iter().any(|holder| holder.id == wanted.id && !holder.is_divisible);
            let Some(held) = self.holders.get_mut(&wanted.id) else { continue };
            let deadline_ns = ask.until_ns.min(now_ns.saturating_add(held.holding.within_ns));
            held.asked = Some(Awaited { by: OTHERS, bytes: wanted.bytes, deadline_ns });
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
        let is_bound_by_all = |head: &QueueEntry<T>| head.waiter.bytes <= head.budget.line_available_bytes();
        let stands_back = !self.head().is_some_and(is_bound_by_all);
        let shown = self.head().or_else(|| self.waiting.first());
        let next = shown.map(|entry| SharedTurn {
            bytes: entry.waiter.bytes,
            priority: entry.waiter.priority,
            since_ns: entry.waiter.since_ns,
            kept_bytes: if stands_back { 0 } else { kept_bytes },
            goes_first: false,
            count: self.waiting.len() as u32,
            stands_back,
        });
        if next.is_some() || self.elsewhere.is_waiting {
            queue.wait(self.number(), next, &shown.map(QueueEntry::label).unwrap_or_default());
        }
        self.elsewhere.is_waiting = next.is_some();
        let can_go =
            || self.holders.values().map(|held| &held.holding).filter(|holding| holding.can_be_asked());
        let held = || self.holders.values().map(|held| held.holding.priority());
        let offer = Offer {
            priority: can_go().map(|holding| holding.priority()).min().or_else(|| held().min()).unwrap_or(0),
            revocable_bytes: can_go().map(|holding| holding.revocable_bytes()).fold(0, u64::saturating_add),
            used_at_ns: can_go().map(|holding| holding.used_at_ns()).min().unwrap_or(0),
        };
        if offer != self.elsewhere.offer {
            self.elsewhere.offer = offer;
            queue.offer(self.number(), offer.priority, offer.revocable_bytes, offer.used_at_ns);
        }
    }
}

/// What to say at once to who asks for more than can go here; none where there is enough.
fn shortage(ask: &SharedAsk, candidates: &[Holder]) -> Option<SharedAnswer> {
    let sum = |holders: &mut dyn Iterator<Item = &Holder>| {
        holders.map(|holder| holder.bytes).fold(0, u64::saturating_add)
    };
    let able = sum(&mut candidates.iter().filter(|holder| holder.may_go_for(ask.priority)));
    // Nobody goes where that would not suffice. Who asked by what stood there a moment ago may ask for what stands there now;
    // who would need what is more important asks others.
    let is_there = sum(&mut candidates.iter()) >= ask.bytes;
    (able < ask.bytes).then_some(if is_there { SharedAnswer::Declined } else { SharedAnswer::Over })
}
