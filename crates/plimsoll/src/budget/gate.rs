//! The door before a budget: open, or shut for a reason.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// One relaxed load while it is open. That suffices: a grant that slips through as it shuts was asked for before.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_shut: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Gate {
    /// Why it is shut, if it is.
    pub(super) fn reason(&self) -> Option<String> {
        if !self.is_shut.load(Ordering::Relaxed) {
            return None;
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn shut(&self, reason: Option<String>) {
        let mut current = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_shut.store(reason.is_some(), Ordering::Relaxed);
        *current = reason;
    }
}
