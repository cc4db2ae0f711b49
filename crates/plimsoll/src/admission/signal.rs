//! What wakes the thread of the queues.

#[cfg(not(loom))]
use std::{
    sync::{Condvar, Mutex as StdMutex, PoisonError},
    time::Duration,
};

#[cfg(not(loom))]
static WOKEN: StdMutex<bool> = StdMutex::new(false);

#[cfg(not(loom))]
static SIGNAL: Condvar = Condvar::new();

/// Has the thread look again.
#[cfg(not(loom))]
pub(super) fn wake() {
    *crate::sync::lock(&WOKEN) = true;
    SIGNAL.notify_one();
}

/// Waits until somebody wakes the thread or the time has passed.
#[cfg(not(loom))]
pub(super) fn wait(at_most: Duration) {
    let woken = crate::sync::lock(&WOKEN);
    let waited = SIGNAL.wait_timeout_while(woken, at_most, |woken| !*woken);
    let (mut woken, _) = waited.unwrap_or_else(PoisonError::into_inner);
    *woken = false;
}
