//! Where an outcome is left for whoever waits for it.

use std::{
    fmt, mem,
    sync::{Condvar, Mutex as StdMutex},
};

use crate::sync::{lock, wait};

/// Is told that there is an outcome. It must not wait.
pub(super) type OnSettled = Box<dyn Fn() + Send + Sync>;

/// One outcome, left once and taken once.
pub(super) struct Delivery<T> {
    state: StdMutex<DeliveryState<T>>,
    left: Condvar,
    observer: Option<OnSettled>,
}

enum DeliveryState<T> {
    None,
    Left(T),
    Taken,
}

impl<T> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

impl<T> Delivery<T> {
    pub(super) fn new(observer: Option<OnSettled>) -> Self {
        Self { state: StdMutex::new(DeliveryState::None), left: Condvar::new(), observer }
    }

    /// Leaves the outcome. [`announce`](Self::announce) says so, once the caller holds no lock any more.
    pub(super) fn leave(&self, outcome: T) {
        *lock(&self.state) = DeliveryState::Left(outcome);
    }

    pub(super) fn announce(&self) {
        self.left.notify_all();
        if let Some(observer) = &self.observer {
            observer();
        }
    }

    /// The outcome, if it is there and nobody has taken it.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = lock(&self.state);
        if !matches!(*state, DeliveryState::Left(_)) {
            return None;
        }
        match mem::replace(&mut *state, DeliveryState::Taken) {
            DeliveryState::Left(outcome) => Some(outcome),
            DeliveryState::None | DeliveryState::Taken => None,
        }
    }

    /// Waits for the outcome; `None` where somebody else has taken it.
    pub(super) fn wait(&self) -> Option<T> {
        let mut state = lock(&self.state);
        while matches!(*state, DeliveryState::None) {
            state = wait(&self.left, state);
        }
        drop(state);
        self.take()
    }
}
