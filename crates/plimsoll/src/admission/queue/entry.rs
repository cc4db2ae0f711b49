//! One who waits.

use std::{borrow::Cow, sync::Arc};

use super::super::{
    delivery::Delivery,
    options::{AcquireOptions, GrantRequest, nanoseconds},
    policy::Waiter,
};
use crate::{
    budget::{Allocation, MemoryBudget, Sharers},
    error::{Error, Result},
    units::format_bytes,
};

/// A request in the queue. What it comes to is a `T`.
#[derive(Debug)]
pub(in super::super) struct QueueEntry<T> {
    pub(super) waiter: Waiter,
    pub(super) budget: MemoryBudget,
    pub(super) parts: Vec<(u64, Cow<'static, str>)>,
    pub(super) key: Option<Arc<str>>,
    pub(super) options: AcquireOptions,
    deadline_ns: Option<u64>,
    pub(super) delivery: Arc<Delivery<Result<T>>>,
    /// Whether another process was loading it when it was last looked at.
    pub(super) is_loaded_elsewhere: bool,
    /// What holders have released because it needs room; that is kept for it.
    pub(super) freed_bytes: u64,
    /// Holders that were asked for it in vain, and until when others are asked before them.
    pub(super) passed_over: Vec<(u64, u64)>,
}

/// What has been granted, and to whom.
pub(super) type Won<T> = (QueueEntry<T>, Vec<Allocation>);

impl<T> QueueEntry<T> {
    /// # Errors
    ///
    /// [`Error::NeverFits`] when all of it together is more than the line.
    pub(in super::super) fn new(
        budget: &MemoryBudget,
        requests: Vec<GrantRequest>,
        options: AcquireOptions,
        since_ns: u64,
        delivery: Arc<Delivery<Result<T>>>,
    ) -> Result<Self> {
        let bytes = requests.iter().fold(0, |sum: u64, request| sum.saturating_add(request.bytes));
        let waiter =
            Waiter { priority: options.priority, since_ns, tie: 0, bytes, age_ns: nanoseconds(options.age) };
        let entry = Self {
            waiter,
            budget: budget.clone(),
            parts: requests.into_iter().map(|request| (request.bytes, request.label)).collect(),
            key: options.key.as_deref().map(Arc::from),
            deadline_ns: options.timeout.map(|timeout| since_ns.saturating_add(nanoseconds(timeout))),
            options,
            delivery,
            is_loaded_elsewhere: false,
            freed_bytes: 0,
            passed_over: Vec::new(),
        };
        entry.never_fits().map_or(Ok(entry), Err)
    }

    /// Says to other processes that it is being loaded, unless one of them does.
    pub(super) fn begin_load(&self) -> bool {
        self.shared_key().is_none_or(|(key, queue)| queue.begin_load(key))
    }

    /// It is not, after all.
    pub(super) fn end_load(&self) {
        if let Some((key, queue)) = self.shared_key() {
            queue.end_load(key);
        }
    }

    fn shared_key(&self) -> Option<(&str, &dyn Sharers)> {
        self.key.as_deref().zip(self.budget.shared_queue())
    }

    pub(super) fn label(&self) -> String {
        let labels: Vec<&str> = self.parts.iter().map(|(_, label)| label.as_ref()).collect();
        labels.join(", ")
    }

    /// The error of one that could not be granted if nobody held anything.
    pub(super) fn never_fits(&self) -> Option<Error> {
        let line_bytes = self.budget.usable_bytes();
        (self.waiter.bytes > line_bytes).then(|| Error::NeverFits {
            label: self.label(),
            requested_bytes: self.waiter.bytes,
            available_bytes: self.budget.free_bytes(),
            line_bytes,
            binding_constraint: self.budget.binding().to_string(),
        })
    }

    /// The error of one that may not wait, as so many do already.
    pub(super) fn found_full(&self, others: usize, most: usize) -> Error {
        Error::QueueFull {
            label: self.label(),
            requested_bytes: self.waiter.bytes,
            available_bytes: self.budget.free_bytes(),
            waiting_count: others as u64,
            most_waiting: most as u64,
        }
    }

    pub(super) fn is_late(&self, now_ns: u64) -> bool {
        self.deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns)
    }

    /// Whether a holder was asked for it in vain a moment ago.
    pub(super) fn passes_over(&self, id: u64, now_ns: u64) -> bool {
        self.passed_over.iter().any(|(passed, until_ns)| *passed == id && now_ns < *until_ns)
    }

    /// Passes a holder over that has let its deadline go by, for as long again.
    pub(super) fn pass_over(&mut self, id: u64, until_ns: u64) {
        self.passed_over.retain(|(passed, _)| *passed != id);
        self.passed_over.push((id, until_ns));
    }

    /// When something changes for it by itself: it is late, or aged.
    pub(super) fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let aged_at_ns = self.waiter.since_ns.saturating_add(self.waiter.age_ns);
        let aged_at_ns = Some(aged_at_ns).filter(|at_ns| *at_ns > now_ns);
        self.deadline_ns.into_iter().chain(aged_at_ns).min()
    }

    /// The error of one that has waited too long, at its place in the queue.
    pub(super) fn timed_out(&self, place: usize, free_bytes: u64, is_loading: bool) -> Error {
        let timeout_ms = self.options.timeout.map_or(0, |timeout| timeout.as_millis() as u64);
        let key = self.options.key.as_deref().filter(|_| is_loading);
        let why = match key {
            Some(key) => format!("{key:?} is still being loaded by somebody else"),
            None if !self.budget.is_open() => "the budget refuses while memory is critical".to_owned(),
            None => {
                format!("{} were free, and it was number {place} of those who wait", format_bytes(free_bytes))
            }
        };
        Error::Timeout {
            label: self.label(),
            timeout_ms,
            requested_bytes: self.waiter.bytes,
            available_bytes: free_bytes,
            reason: format!("{why}; wait longer, ask for less, or release something"),
        }
    }
}
