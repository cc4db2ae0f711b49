//! Who waits and who holds, and what follows from it. All of it is under the queue's lock.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    super::{
        holding::Holding,
        options::nanoseconds,
        policy::{Turns, asks, fits_beside, kept_bytes, order},
    },
    elsewhere::{Elsewhere, waiter_of},
    entry::{QueueEntry, Won},
};
use crate::{budget::MemoryBudget, error::Error};

#[derive(Debug)]
pub(super) struct QueueState<T> {
    /// In the order in which they are to be served.
    pub(super) waiting: Vec<QueueEntry<T>>,
    /// Keys of which a load is under way.
    pub(super) loading: HashSet<Arc<str>>,
    pub(super) holders: BTreeMap<u64, HeldBy>,
    /// The first that could not be granted, by its tie.
    head: Option<u64>,
    /// The next tie, or number of a holding.
    next_number: u64,
    pub(super) elsewhere: Elsewhere,
}

#[derive(Debug)]
pub(super) struct HeldBy {
    pub(super) holding: Arc<Holding>,
    pub(super) budget: MemoryBudget,
    pub(super) asked: Option<Awaited>,
}

/// What a holder was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Awaited {
    /// For whom, by its tie; [`OTHERS`] for somebody of another process.
    pub(super) by: u64,
    pub(super) bytes: u64,
    pub(super) deadline_ns: u64,
}

/// Whoever it is of another process, where ties are counted from 1.
pub(super) const OTHERS: u64 = 0;

/// Somebody to ask once the lock is released.
pub(super) struct ToAsk {
    pub(super) holding: Arc<Holding>,
    pub(super) bytes: u64,
    pub(super) is_whole: bool,
    pub(super) wanted_by: String,
}

/// What is free for each budget over the account, read once.
#[derive(Default)]
struct Frees(Vec<(MemoryBudget, u64)>);

impl Frees {
    fn of(&mut self, budget: &MemoryBudget) -> u64 {
        if let Some((_, bytes)) = self.0.iter().find(|(known, _)| known.is_clone_of(budget)) {
            return *bytes;
        }
        let bytes = budget.free_bytes();
        self.0.push((budget.clone(), bytes));
        bytes
    }

    /// All of them share what is allocated.
    fn take(&mut self, bytes: u64) {
        for (_, free) in &mut self.0 {
            *free = free.saturating_sub(bytes);
        }
    }
}

// Derived `Default` would ask it of `T`.
impl<T> Default for QueueState<T> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            loading: HashSet::new(),
            holders: BTreeMap::new(),
            head: None,
            next_number: 0,
            elsewhere: Elsewhere::default(),
        }
    }
}

impl<T> QueueState<T> {
    pub(super) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Puts one in its place. Returns its tie.
    pub(super) fn insert(&mut self, mut entry: QueueEntry<T>) -> u64 {
        let tie = self.take_number();
        entry.waiter.tie = tie;
        let place = self.waiting.partition_point(|other| order(&other.waiter, &entry.waiter).is_lt());
        self.waiting.insert(place, entry);
        tie
    }

    pub(super) fn remove(&mut self, tie: u64) -> Option<QueueEntry<T>> {
        let place = self.waiting.iter().position(|entry| entry.waiter.tie == tie)?;
        let entry = self.waiting.remove(place);
        self.elsewhere.forget(tie, &entry.budget);
        Some(entry)
    }

    fn is_loading(&self, entry: &QueueEntry<T>) -> bool {
        entry.key.as_ref().is_some_and(|key| self.loading.contains(key))
    }

    /// Grants what the policy lets, and takes those out of the queue.
    pub(super) fn grant(&mut self, now_ns: u64) -> Vec<Won<T>> {
        let (mut turns, mut frees, mut won) = (Turns::default(), Frees::default(), Vec::new());
        let elsewhere = self.waiting.first().and_then(|entry| entry.budget.shared_queue()?.turn_elsewhere());
        self.head = None;
        let mut place = 0;
        while let Some(entry) = self.waiting.get(place) {
            // Neither is in the way of anybody else meanwhile.
            if self.is_loading(entry) || !entry.budget.is_open() {
                place += 1;
                continue;
            }
            if let Some(turn) = elsewhere.filter(|turn| order(&waiter_of(turn), &entry.waiter).is_lt()) {
                // Where it fits it is granted as soon as its process looks, and nobody passes it meanwhile.
                let fits = turn.bytes <= frees.of(&entry.budget);
                turns.leave(if fits { turn.bytes } else { turn.kept_bytes });
            }
            let kept_bytes = turns.kept_bytes();
            let fits = fits_beside(entry.waiter.bytes, frees.of(&entry.budget), kept_bytes);
            if fits && !entry.begin_load() {
                if let Some(entry) = self.waiting.get_mut(place) {
                    entry.is_loaded_elsewhere = true;
                }
                place += 1;
                continue;
            }
            let taken = fits.then(|| entry.budget.allocate_together(&entry.parts, kept_bytes)).flatten();
            if fits && taken.is_none() {
                entry.end_load();
            }
            if let Some(allocations) = taken {
                let entry = self.waiting.remove(place);
                self.elsewhere.forget(entry.waiter.tie, &entry.budget);
                frees.take(entry.waiter.bytes);
                self.loading.extend(entry.key.clone());
                won.push((entry, allocations));
                continue;
            }
            if turns.pass(&entry.waiter, entry.freed_bytes, now_ns) {
                self.head = Some(entry.waiter.tie);
            }
            place += 1;
        }
        won
    }

    /// Takes out those that have waited too long, or that no longer fit below the line, each with its error.
    pub(super) fn expire(&mut self, now_ns: u64) -> Vec<(QueueEntry<T>, Error)> {
        let mut expired = Vec::new();
        let mut place = 0;
        while let Some(entry) = self.waiting.get(place) {
            let late = || {
                let free_bytes = entry.budget.free_bytes();
                let is_loading = entry.is_loaded_elsewhere || self.is_loading(entry);
                entry.timed_out(place + 1, free_bytes, is_loading)
            };
            let error = entry.never_fits().or_else(|| entry.is_late(now_ns).then(late));
            match error {
                Some(error) => {
                    let entry = self.waiting.remove(place);
                    self.elsewhere.forget(entry.waiter.tie, &entry.budget);
                    expired.push((entry, error));
                }
                None => place += 1,
            }
        }
        expired
    }

    pub(super) fn head(&self) -> Option<&QueueEntry<T>> {
        self.waiting.iter().find(|entry| Some(entry.waiter.tie) == self.head)
    }

    fn head_mut(&mut self) -> Option<&mut QueueEntry<T>> {
        self.waiting.iter_mut().find(|entry| Some(entry.waiter.tie) == self.head)
    }

    /// Has the account keep what is the head's, and count those who wait.
    pub(super) fn publish(&mut self, budget: &MemoryBudget, now_ns: u64) {
        let kept_bytes = self.kept_bytes(now_ns);
        self.publish_elsewhere(budget, kept_bytes);
        budget.keep(kept_bytes, || {
            let label = self.head().map(QueueEntry::label).unwrap_or_default();
            format!("{label:?}, which waits for its turn")
        });
    }

    fn kept_bytes(&self, now_ns: u64) -> u64 {
        self.head().map_or(0, |head| kept_bytes(&head.waiter, head.freed_bytes, now_ns))
    }

    /// What the head wants, if it is aged, or if that holder was asked to make room for it and has not yet.
    pub(super) fn unstretched_for(&self, id: u64, now_ns: u64) -> Option<u64> {
        let asked = self.holders.get(&id).and_then(|held| held.asked).filter(|asked| asked.bytes > 0);
        if let Some(awaited) = asked.filter(|awaited| awaited.by == OTHERS) {
            return Some(awaited.bytes);
        }
        let head = self.head()?;
        (head.waiter.is_aged(now_ns) || asked.is_some()).then_some(head.waiter.bytes)
    }

    /// Takes on a grant, if it may be asked to make room, or others are shown how important it is.
    pub(super) fn hold(&mut self, holding: &Arc<Holding>, budget: &MemoryBudget) {
        if holding.can_be_asked() || budget.shared_queue().is_some() {
            let held = HeldBy { holding: Arc::clone(holding), budget: budget.clone(), asked: None };
            self.holders.insert(holding.id, held);
        }
    }

    /// Whether the queue has to be looked after: somebody waits, or other processes may ask for what is held here.
    pub(super) fn is_served(&self) -> bool {
        let may_be_asked =
            |held: &HeldBy| held.holding.can_be_asked() && held.budget.shared_queue().is_some();
        !self.waiting.is_empty() || self.holders.values().any(may_be_asked)
    }

    pub(super) fn forget(&mut self, id: u64) {
        self.holders.remove(&id);
    }

    /// A holder is about to release bytes: what it was asked for is the head's.
    pub(super) fn credit(&mut self, id: u64, bytes: u64) {
        let Some(credited) = self.take_awaited(id, bytes, |by| by != OTHERS) else { return };
        if let Some(head) = self.head_mut() {
            head.freed_bytes = head.freed_bytes.saturating_add(credited);
        }
    }

    /// A holder has released bytes that another process asked for: only now, as that looks for them when it is answered.
    pub(super) fn given(&mut self, id: u64, bytes: u64) {
        self.take_awaited(id, bytes, |by| by == OTHERS);
    }

    /// Takes bytes off what is awaited of a holder for those; returns how many.
    fn take_awaited(&mut self, id: u64, bytes: u64, is_for: impl Fn(u64) -> bool) -> Option<u64> {
        let HeldBy { asked: Some(awaited), .. } = self.holders.get_mut(&id)? else { return None };
        let taken = is_for(awaited.by).then_some(bytes.min(awaited.bytes))?;
        awaited.bytes -= taken;
        Some(taken)
    }

    /// A holder will not do what it was asked: its deadline is now.
    pub(super) fn decline(&mut self, id: u64) {
        if let Some(HeldBy { asked: Some(awaited), .. }) = self.holders.get_mut(&id) {
            awaited.deadline_ns = 0;
        }
    }

    /// Whom to ask so that the head is granted, besides those that were asked already and may still make room.
    pub(super) fn ask(&mut self, now_ns: u64) -> Vec<ToAsk> {
        self.lapse(now_ns);
        self.lapse_elsewhere(now_ns);
        let Some(first) = self.head() else { return Vec::new() };
        if self.holders.is_empty() && first.budget.shared_queue().is_none() {
            return Vec::new();
        }
        let awaited_bytes = self.holders.values().filter_map(|held| held.asked).map(|awaited| awaited.bytes);
        let coming_bytes = awaited_bytes.fold(first.budget.free_bytes(), u64::saturating_add);
        let coming_bytes = coming_bytes.saturating_add(self.elsewhere.awaited_bytes());
        let lacking_bytes = first.waiter.bytes.saturating_sub(coming_bytes);
        if lacking_bytes == 0 {
            return Vec::new();
        }
        let can_be_asked =
            |held: &&HeldBy| held.asked.is_none() && !first.passes_over(held.holding.id, now_ns);
        let elsewhere = self.elsewhere.candidates(
            &first.budget,
            |idle_ns| idle_ns >= nanoseconds(first.options.idle),
            |id| first.passes_over(id, now_ns),
        );
        let candidates: Vec<_> = self
            .holders
            .values()
            .filter(can_be_asked)
            .map(|held| held.holding.as_holder(lacking_bytes, now_ns))
            .chain(elsewhere)
            .collect();
        let (wanted_by, waiter, budget) = (first.label(), first.waiter, first.budget.clone());
        let (priority, by) = (waiter.priority, waiter.tie);
        let until_ns = now_ns.saturating_add(nanoseconds(first.options.evict_within));
        let (mut to_ask, mut coming_bytes) = (Vec::new(), 0_u64);
        for wanted in asks(&candidates, priority, lacking_bytes) {
            if let Some(bytes) = self.elsewhere.ask(&budget, &wanted, &candidates, &waiter, until_ns) {
                coming_bytes = coming_bytes.saturating_add(bytes);
                continue;
            }
            let is_whole = candidates.iter().any(|holder| holder.id == wanted.id && !holder.is_divisible);
            let Some(held) = self.holders.get_mut(&wanted.id) else { continue };
            let deadline_ns = now_ns.saturating_add(held.holding.within_ns);
            held.asked = Some(Awaited { by, bytes: wanted.bytes, deadline_ns });
            let holding = Arc::clone(&held.holding);
            to_ask.push(ToAsk { holding, bytes: wanted.bytes, is_whole, wanted_by: wanted_by.clone() });
        }
        // Kept for it from now on: what another process gives back is anybody's else before it is seen here.
        if let Some(head) = self.head_mut() {
            head.freed_bytes = head.freed_bytes.saturating_add(coming_bytes);
        }
        to_ask
    }

    /// Ends what has been asked for and was done, or was not done in time: that holder is passed over.
    pub(super) fn lapse(&mut self, now_ns: u64) {
        for (id, held) in &mut self.holders {
            let Some(awaited) = held.asked else { continue };
            let is_late = awaited.deadline_ns <= now_ns;
            if awaited.bytes > 0 && !is_late {
                continue;
            }
            held.asked = None;
            self.elsewhere.is_declined |= awaited.by == OTHERS && awaited.bytes > 0;
            let asker = self.waiting.iter_mut().find(|entry| entry.waiter.tie == awaited.by);
            if let Some(asker) = asker.filter(|_| awaited.bytes > 0) {
                asker.pass_over(*id, now_ns.saturating_add(held.holding.within_ns));
            }
        }
    }

    /// When to look again without being woken.
    pub(super) fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let of_waiters = self.waiting.iter().filter_map(|entry| entry.next_ns(now_ns));
        let of_holders =
            self.holders.values().filter_map(|held| held.asked).map(|awaited| awaited.deadline_ns);
        of_waiters.chain(of_holders).chain(self.elsewhere.next_ns(now_ns)).min()
    }

    /// Takes out one who waits where more than `most` do, with the error.
    pub(super) fn remove_if_full(&mut self, tie: u64, most: usize) -> Option<(QueueEntry<T>, Error)> {
        let others = self.waiting.len().checked_sub(1).filter(|others| *others >= most)?;
        let entry = self.remove(tie)?;
        let error = entry.found_full(others, most);
        Some((entry, error))
    }
}
