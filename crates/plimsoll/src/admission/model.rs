//! Every interleaving of a request with a release, a cancel and another request.

use loom::{sync::Arc, thread};

use super::{AcquireOptions, Admission, GrantRequest, Ticket};
use crate::MemoryBudget;

fn admission(line_bytes: u64) -> Admission {
    Admission::new(&MemoryBudget::new(line_bytes, 0).unwrap()).unwrap()
}

fn submit(admission: &Admission, bytes: u64) -> Ticket {
    let requests = vec![GrantRequest::new(bytes, "waits")];
    admission.submit_at(requests, AcquireOptions::default(), 0, 0, None).unwrap()
}

fn check(most_preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(most_preemptions);
    builder.check(model);
}

/// A release beside a request: either the request sees the bytes, or the release calls for a look.
#[test]
fn no_release_goes_unnoticed() {
    check(3, || {
        let admission = Arc::new(admission(10));
        let held = admission.budget().allocate(10, "held").unwrap();
        let releaser = thread::spawn(move || drop(held));
        let ticket = submit(&admission, 10);
        releaser.join().unwrap();
        if admission.take_wake() {
            admission.run(0);
        }
        assert!(ticket.try_take().is_some_and(|outcome| outcome.is_ok()));
        drop(ticket);
        assert_eq!(admission.budget().allocated_bytes(), 0);
    });
}

/// A cancel beside a look that grants: one of them wins, and the bytes are somebody's or nobody's.
#[test]
fn a_grant_that_meets_a_cancel_is_delivered_or_released() {
    check(3, || {
        let admission = Arc::new(admission(10));
        let held = admission.budget().allocate(10, "held").unwrap();
        let ticket = submit(&admission, 10);
        drop(held);
        let looking = Arc::clone(&admission);
        let thread = thread::spawn(move || looking.run(0));
        let is_cancelled = ticket.canceller().cancel();
        thread.join().unwrap();
        let outcome = ticket.try_take().unwrap();
        assert_eq!(outcome.is_err(), is_cancelled);
        assert_eq!(admission.budget().allocated_bytes(), if is_cancelled { 0 } else { 10 });
        drop(outcome);
        drop(ticket);
        assert_eq!(admission.budget().allocated_bytes(), 0);
    });
}

/// A dropped ticket beside a look that grants.
#[test]
fn a_ticket_that_is_dropped_leaves_nothing() {
    check(3, || {
        let admission = Arc::new(admission(10));
        let held = admission.budget().allocate(10, "held").unwrap();
        let ticket = submit(&admission, 10);
        drop(held);
        let looking = Arc::clone(&admission);
        let thread = thread::spawn(move || looking.run(0));
        drop(ticket);
        thread.join().unwrap();
        assert_eq!(admission.budget().allocated_bytes(), 0);
        assert!(admission.waiting().is_empty() && admission.budget().can_allocate(10));
    });
}

/// Two requests for the same bytes: one has them, the other after it.
#[test]
fn two_requests_are_served_one_after_the_other() {
    check(2, || {
        let admission = Arc::new(admission(10));
        let other = Arc::clone(&admission);
        let thread = thread::spawn(move || submit(&other, 10));
        let here = submit(&admission, 10);
        let there = thread.join().unwrap();
        let outcomes = [here.try_take(), there.try_take()];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_some()).count(), 1);
        assert_eq!(admission.budget().allocated_bytes(), 10);
        drop(outcomes);
        admission.run(0);
        assert!([here.try_take(), there.try_take()].iter().any(Option::is_some));
    });
}
