//! The door to the queue of a budget.

use std::sync::Arc;
#[cfg(not(loom))]
use std::time::Duration;

use super::{
    clock::now_ns,
    delivery::{Delivery, OnSettled},
    grant::Grant,
    options::{AcquireOptions, GrantRequest},
    queue::{Granted, OnChange, Queue, QueueEntry, WaitingInfo},
    ticket::Ticket,
};
use crate::{
    budget::MemoryBudget,
    error::{Error, Result},
};

/// Where callers wait for bytes of a budget. All budgets that share an account have one queue, whichever of them is asked.
///
/// ```
/// use plimsoll::{MemoryBudget, admission::{AcquireOptions, Admission, GrantRequest}};
///
/// let admission = Admission::new(&MemoryBudget::new(100, 0)?)?;
/// let requests = vec![GrantRequest::new(60, "weights"), GrantRequest::new(20, "kv cache")];
/// let grant = admission.acquire(requests, AcquireOptions::default())?;
/// assert_eq!((grant.bytes(), admission.budget().allocated_bytes()), (80, 80));
///
/// let never = admission.acquire(vec![GrantRequest::new(101, "too much")], AcquireOptions::default());
/// assert_eq!(never.unwrap_err().code(), "ERR_NEVER_FITS");
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Admission {
    budget: MemoryBudget,
    queue: Arc<Queue>,
}

/// Is told when somebody comes to wait or waits no more, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct QueueWatch {
    queue: Arc<Queue>,
    key: usize,
}

impl Admission {
    /// The queue of that budget.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`], never.
    pub fn new(budget: &MemoryBudget) -> Result<Self> {
        let queue = budget.waiting_hook(Queue::default);
        let queue = queue.ok_or_else(|| Error::internal("another room than admission waits at a budget"))?;
        Ok(Self { budget: budget.clone(), queue })
    }

    /// The budget.
    #[must_use]
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Takes all that is asked for together, or waits until that can be had: for its turn, and for room. It holds nothing
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::NeverFits`] at once when all of it together is more than the line, and [`Error::QueueFull`] when too many wait;
    /// [`Error::Timeout`]; [`Error::Io`] when no thread can be started.
    #[cfg(not(loom))]
    pub fn acquire(&self, requests: Vec<GrantRequest>, options: AcquireOptions) -> Result<Grant> {
        self.submit(requests, options)?.wait()
    }

    /// The same without waiting: the ticket comes to a grant or to an error.
    ///
    /// # Errors
    ///
    /// [`Error::NeverFits`], [`Error::QueueFull`] and [`Error::Io`] as [`acquire`](Self::acquire).
    #[cfg(not(loom))]
    pub fn submit(&self, requests: Vec<GrantRequest>, options: AcquireOptions) -> Result<Ticket> {
        self.submit_since(requests, options, Self::now(), None)
    }

    /// The time by the clock of the queue, since the machine was started.
    #[cfg(not(loom))]
    #[must_use]
    pub fn now() -> Duration {
        Duration::from_nanos(now_ns())
    }

    /// As [`submit`](Self::submit), for one who has waited elsewhere since a [moment](Self::now). `observer` is told, by
    /// whichever thread, that the ticket has come to something; it must not wait.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    #[cfg(not(loom))]
    pub fn submit_since(
        &self,
        requests: Vec<GrantRequest>,
        options: AcquireOptions,
        since: Duration,
        observer: Option<Box<dyn Fn() + Send + Sync>>,
    ) -> Result<Ticket> {
        let now_ns = now_ns();
        let since_ns = super::options::nanoseconds(since).min(now_ns);
        let ticket = self.submit_at(requests, options, since_ns, now_ns, observer)?;
        if self.queue.is_served() {
            super::thread::serve(&self.queue)?;
        }
        Ok(ticket)
    }

    pub(super) fn submit_at(
        &self,
        requests: Vec<GrantRequest>,
        options: AcquireOptions,
        since_ns: u64,
        now_ns: u64,
        observer: Option<OnSettled>,
    ) -> Result<Ticket> {
        let delivery: Arc<Delivery<Result<Granted>>> = Arc::new(Delivery::new(observer));
        let entry = QueueEntry::new(&self.budget, requests, options, since_ns, Arc::clone(&delivery))?;
        let tie = self.queue.submit(entry, now_ns)?;
        Ok(Ticket::new(Arc::clone(&self.queue), tie, delivery))
    }

    /// Takes all that is asked for together if it is its turn and there is room, and else waits for nothing: `None`.
    ///
    /// # Errors
    ///
    /// [`Error::NeverFits`] when all of it together is more than the line.
    pub fn try_acquire(&self, requests: Vec<GrantRequest>, options: AcquireOptions) -> Result<Option<Grant>> {
        let delivery: Arc<Delivery<Result<Granted>>> = Arc::new(Delivery::new(None));
        let now_ns = now_ns();
        let entry = QueueEntry::new(&self.budget, requests, options, now_ns, Arc::clone(&delivery))?;
        self.queue.try_now(entry, now_ns);
        // Other processes may ask for what was granted.
        #[cfg(not(loom))]
        if self.queue.is_served() {
            super::thread::serve(&self.queue)?;
        }
        delivery.take().map(|outcome| outcome.map(Grant::new)).transpose()
    }

    /// Who waits, in the order in which they are to be served.
    #[must_use]
    pub fn waiting(&self) -> Vec<WaitingInfo> {
        self.queue.waiting(now_ns())
    }

    /// Calls `on_change` whenever somebody comes to wait or waits no more, on whichever thread; it must not wait.
    pub fn watch(&self, on_change: OnChange) -> QueueWatch {
        QueueWatch { queue: Arc::clone(&self.queue), key: self.queue.watch(on_change) }
    }

    /// Looks whether anybody can be granted something at that moment.
    #[cfg(test)]
    pub(super) fn run(&self, now_ns: u64) {
        self.queue.run(now_ns);
    }

    /// Whether a release has called for a look since the last time that was asked.
    #[cfg(all(test, loom))]
    pub(super) fn take_wake(&self) -> bool {
        self.queue.woken.swap(0, crate::sync::Ordering::AcqRel) != 0
    }
}

impl Drop for QueueWatch {
    fn drop(&mut self) {
        self.queue.unwatch(self.key);
    }
}
