//! The one way in which the addon locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whether or not a panic once passed through the lock: what is kept here is whole at each step, so there is nothing
/// that a poisoned lock protects.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
