//! The queue of an account: who waits, who holds, and the one lock under which a grant is made or cancelled.

use std::{
    mem,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use slab::Slab as Slots;

use super::{delivery::Delivery, holding::Holding};
use crate::{
    budget::{Allocation, MemoryBudget, Wake},
    error::{Error, Result},
    sync::{Mutex, MutexGuard, lock, lock_modelled},
};

mod among_processes;
mod elsewhere;
mod entry;
mod state;

pub(super) use entry::QueueEntry;
use state::{QueueState, ToAsk};

/// Is told that somebody came to wait or waits no more. It must not wait.
pub type OnChange = Arc<dyn Fn() + Send + Sync>;

/// One who waits, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingInfo {
    /// What it waits for, in words.
    pub label: String,
    /// How much, in bytes.
    pub bytes: u64,
    /// Its priority.
    pub priority: i32,
    /// What is to be loaded, if that was said.
    pub key: Option<String>,
    /// How long it has waited.
    pub waited: Duration,
}

/// A queue. All of its callers may be of different budgets, which share one account.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<QueueState<Granted>>,
    /// Whether somebody waits, or other processes may ask for what is held.
    is_served: AtomicBool,
    /// Whether anybody waits, for those who would otherwise not take the lock.
    is_waited: AtomicBool,
    watchers: StdMutex<Watchers>,
    /// In the models no thread runs the queue: they look here whether it should.
    #[cfg(loom)]
    pub(super) woken: crate::sync::AtomicU64,
}

#[derive(Default)]
struct Watchers(Slots<OnChange>);

impl std::fmt::Debug for Watchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watchers").field(&self.0.len()).finish()
    }
}

impl Wake for Queue {
    fn wake(&self) {
        #[cfg(not(loom))]
        super::signal::wake();
        #[cfg(loom)]
        self.woken.store(1, crate::sync::Ordering::Release);
    }
}

/// What was granted. Dropping it releases all of it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) queue: Arc<Queue>,
    pub(super) budget: MemoryBudget,
    pub(super) holding: Arc<Holding>,
    /// What it is for.
    pub(super) label: String,
    pub(super) allocations: Vec<Allocation>,
    /// What was taken above the floor.
    pub(super) stretch: Option<Allocation>,
    /// While it is being loaded.
    pub(super) key: Option<Arc<str>>,
}

impl Granted {
    /// Says that its load is over.
    pub(super) fn end_load(&mut self) {
        if let Some(key) = self.key.take() {
            if let Some(queue) = self.budget.shared_queue() {
                queue.end_load(&key);
            }
            self.queue.end_load(&key);
        }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.end_load();
        // First, so that nobody out of turn takes what is released for somebody who waits.
        self.queue.release(&self.holding, &self.budget);
    }
}

/// What is to be done once the lock is released.
#[derive(Default)]
struct Effects {
    settled: Vec<Arc<Delivery<Result<Granted>>>>,
    asks: Vec<ToAsk>,
    has_changed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, QueueState<Granted>> {
        lock_modelled(&self.state)
    }

    /// Takes a request on: it is granted at once, or waits. Returns its tie.
    ///
    /// # Errors
    ///
    /// [`Error::QueueFull`] when too many wait already.
    pub(super) fn submit(self: &Arc<Self>, entry: QueueEntry<Granted>, now_ns: u64) -> Result<u64> {
        let (budget, most) = (entry.budget.clone(), entry.options.max_waiting);
        let mut state = self.state();
        let tie = state.insert(entry);
        self.count(&state, &budget);
        let mut effects = self.settle(&mut state, now_ns);
        let is_left = state.waiting.iter().any(|entry| entry.waiter.tie == tie);
        let refused = if is_left { state.remove_if_full(tie, most) } else { None };
        if refused.is_some() {
            effects.join(self.settle(&mut state, now_ns));
        } else {
            effects.has_changed |= is_left;
        }
        self.finish(state, effects, &budget, now_ns);
        refused.map_or(Ok(tie), |(_entry, error)| Err(error))
    }

    /// Grants it if it is its turn now, and else leaves no trace.
    pub(super) fn try_now(self: &Arc<Self>, entry: QueueEntry<Granted>, now_ns: u64) {
        let budget = entry.budget.clone();
        let mut state = self.state();
        let tie = state.insert(entry);
        let mut effects = self.settle(&mut state, now_ns);
        if state.remove(tie).is_some() {
            effects.join(self.settle(&mut state, now_ns));
        }
        self.finish(state, effects, &budget, now_ns);
    }

    /// Grants what has become free, and says when to look again.
    pub(super) fn run(self: &Arc<Self>, now_ns: u64) -> Option<Duration> {
        let mut state = self.state();
        let of_waiting = state.waiting.first().map(|entry| entry.budget.clone());
        let Some(budget) = of_waiting.or_else(|| state.shared_budget()) else {
            self.is_served.store(false, Ordering::Release);
            return None;
        };
        let mut effects = self.settle(&mut state, now_ns);
        effects.asks = state.answer(now_ns);
        self.finish(state, effects, &budget, now_ns)
    }

    /// Takes a request out of the queue, if it still waits there, and leaves it an error. Whether it did.
    pub(super) fn cancel(self: &Arc<Self>, tie: u64, now_ns: u64) -> bool {
        let mut state = self.state();
        let Some(entry) = state.remove(tie) else { return false };
        entry.delivery.leave(Err(Error::Cancelled));
        let mut effects = self.settle(&mut state, now_ns);
        effects.settled.push(Arc::clone(&entry.delivery));
        effects.has_changed = true;
        self.finish(state, effects, &entry.budget, now_ns);
        true
    }

    fn settle(self: &Arc<Self>, state: &mut QueueState<Granted>, now_ns: u64) -> Effects {
        let mut effects = Effects::default();
        loop {
            for (entry, allocations) in state.grant(now_ns) {
                effects.settled.push(Arc::clone(&entry.delivery));
                self.grant(state, entry, allocations, now_ns);
            }
            // After the grants: who is served at the last moment is served.
            let expired = state.expire(now_ns);
            if expired.is_empty() {
                effects.has_changed = !effects.settled.is_empty();
                return effects;
            }
            for (entry, error) in expired {
                entry.delivery.leave(Err(error));
                effects.settled.push(entry.delivery);
            }
        }
    }

    fn grant(
        self: &Arc<Self>,
        state: &mut QueueState<Granted>,
        entry: QueueEntry<Granted>,
        allocations: Vec<Allocation>,
        now_ns: u64,
    ) {
        let id = state.take_number();
        let holding = Arc::new(Holding::new(id, entry.waiter.bytes, &entry.options, now_ns));
        state.hold(&holding, &entry.budget);
        let label = entry.label();
        let QueueEntry { budget, key, delivery, .. } = entry;
        let queue = Arc::clone(self);
        delivery.leave(Ok(Granted { queue, budget, holding, label, allocations, stretch: None, key }));
    }

    /// Publishes what has changed, releases the lock, and tells whom it concerns. Returns when to look again.
    fn finish(
        &self,
        mut state: MutexGuard<'_, QueueState<Granted>>,
        mut effects: Effects,
        budget: &MemoryBudget,
        now_ns: u64,
    ) -> Option<Duration> {
        effects.asks.append(&mut state.ask(now_ns));
        state.publish(budget, now_ns);
        self.count(&state, budget);
        let next = state.next_ns(now_ns).map(|at_ns| Duration::from_nanos(at_ns.saturating_sub(now_ns)));
        drop(state);
        for delivery in &effects.settled {
            delivery.announce();
        }
        for ToAsk { holding, bytes, is_whole, wanted_by } in &effects.asks {
            holding.ask(*bytes, *is_whole, wanted_by);
        }
        if effects.has_changed {
            self.notify();
        }
        next
    }

    /// Says how many wait: from then on every release wakes the queue.
    fn count(&self, state: &QueueState<Granted>, budget: &MemoryBudget) {
        self.is_waited.store(!state.waiting.is_empty(), Ordering::Release);
        self.is_served.store(state.is_served(), Ordering::Release);
        budget.set_waiting_count(state.waiting.len());
    }

    /// Whether it has to be looked after: somebody waits, or other processes may ask for what is held here.
    #[cfg(not(loom))] // In the models no thread looks after it.
    pub(super) fn is_served(&self) -> bool {
        self.is_served.load(Ordering::Acquire)
    }

    /// Whether anybody waits.
    pub(super) fn is_waited(&self) -> bool {
        self.is_waited.load(Ordering::Acquire)
    }

    /// Who waits, in the order in which they are to be served.
    pub(super) fn waiting(&self, now_ns: u64) -> Vec<WaitingInfo> {
        let info = |entry: &QueueEntry<Granted>| WaitingInfo {
            label: entry.label(),
            bytes: entry.waiter.bytes,
            priority: entry.waiter.priority,
            key: entry.options.key.clone(),
            waited: Duration::from_nanos(now_ns.saturating_sub(entry.waiter.since_ns)),
        };
        self.state().waiting.iter().map(info).collect()
    }

    fn end_load(&self, key: &Arc<str>) {
        let mut state = self.state();
        state.loading.remove(key);
        drop(state);
        if self.is_waited() {
            self.wake();
        }
    }

    /// A grant is about to release all that it has.
    fn release(&self, holding: &Holding, budget: &MemoryBudget) {
        if !holding.can_be_asked() && budget.shared_queue().is_none() {
            return;
        }
        let mut state = self.state();
        state.credit(holding.id, holding.bytes());
        state.forget(holding.id);
        if self.is_waited() || budget.shared_queue().is_some() {
            state.publish(budget, super::clock::now_ns());
        }
        self.is_served.store(state.is_served(), Ordering::Release);
    }

    /// A holder is about to release so many of its bytes.
    pub(super) fn credit(&self, holding: &Holding, bytes: u64, budget: &MemoryBudget) {
        if !holding.can_be_asked() {
            return;
        }
        let mut state = self.state();
        state.credit(holding.id, bytes);
        if self.is_waited() || budget.shared_queue().is_some() {
            state.publish(budget, super::clock::now_ns());
        }
    }

    /// A holder has released so many of its bytes: another process may have asked for them.
    pub(super) fn given(&self, holding: &Holding, bytes: u64, budget: &MemoryBudget) {
        if holding.can_be_asked() && budget.shared_queue().is_some() {
            self.state().given(holding.id, bytes);
        }
    }

    /// A holder will not make room: others are asked.
    pub(super) fn decline(&self, holding: &Holding) {
        self.state().decline(holding.id);
        if self.is_served.load(Ordering::Acquire) {
            self.wake();
        }
    }

    /// What somebody waits for, beside which this holder may not stretch.
    pub(super) fn unstretched_for(&self, holding: &Holding, now_ns: u64) -> Option<u64> {
        if self.is_served.load(Ordering::Acquire) {
            self.state().unstretched_for(holding.id, now_ns)
        } else {
            None
        }
    }

    pub(super) fn watch(&self, on_change: OnChange) -> usize {
        lock(&self.watchers).0.insert(on_change)
    }

    pub(super) fn unwatch(&self, key: usize) {
        let watcher = lock(&self.watchers).0.try_remove(key);
        drop(watcher);
    }

    fn notify(&self) {
        let watchers: Vec<OnChange> = lock(&self.watchers).0.iter().map(|(_, it)| Arc::clone(it)).collect();
        for watcher in watchers {
            watcher();
        }
    }
}

impl Effects {
    fn join(&mut self, mut other: Self) {
        self.settled.append(&mut mem::take(&mut other.settled));
        self.asks.append(&mut mem::take(&mut other.asks));
        self.has_changed |= other.has_changed;
    }
}
