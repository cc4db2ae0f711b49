//! The gate before a budget: open, or closed for reasons.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

use super::account::Account;
use crate::sync::lock;
use slab::Slab as Slots;

/// One relaxed load while it is open. That suffices: a grant that slips through as it shuts was asked for before.
#[derive(Debug, Default)]
pub(super) struct Gate {
    held_count: AtomicUsize,
    reasons: Mutex<Slots<String>>,
}

/// Keeps the gate of a budget closed; dropping it lets go. The gate is open when nobody keeps it closed.
#[derive(Debug)]
#[must_use = "dropping it opens the gate again"]
pub struct ClosedGate {
    gate: Arc<Gate>,
    /// Those who wait are told when it opens.
    account: Arc<Account>,
    key: usize,
}

impl Gate {
    /// Whether nobody holds it.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.held_count.load(Ordering::Relaxed) == 0
    }

    /// Why it is shut, if it is.
    #[inline]
    pub(super) fn reason(&self) -> Option<String> {
        if self.is_open() { None } else { self.first_reason() }
    }

    #[cold]
    fn first_reason(&self) -> Option<String> {
        self.reasons().iter().next().map(|(_, reason)| reason.clone())
    }

    pub(super) fn hold(self: &Arc<Self>, account: &Arc<Account>, reason: String) -> ClosedGate {
        let mut reasons = self.reasons();
        let key = reasons.insert(reason);
        self.held_count.store(reasons.len(), Ordering::Relaxed);
        ClosedGate { gate: Arc::clone(self), account: Arc::clone(account), key }
    }

    fn reasons(&self) -> MutexGuard<'_, Slots<String>> {
        lock(&self.reasons)
    }
}

impl Drop for ClosedGate {
    fn drop(&mut self) {
        let mut reasons = self.gate.reasons();
        reasons.try_remove(self.key);
        self.gate.held_count.store(reasons.len(), Ordering::Relaxed);
        drop(reasons);
        self.account.waiting.freed();
    }
}
