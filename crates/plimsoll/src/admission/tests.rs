use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{clock::now_ns, *};
use crate::{MemoryBudget, error::Error};

mod against_a_model;
mod eviction;
mod turns;

/// Never within a test.
const NEVER: Duration = Duration::from_hours(1);

fn line_of(bytes: u64) -> Admission {
    Admission::new(&MemoryBudget::new(bytes, 0).unwrap()).unwrap()
}

fn bytes(bytes: u64) -> Vec<GrantRequest> {
    vec![GrantRequest::new(bytes, format!("{bytes} bytes"))]
}

fn patient() -> AcquireOptions {
    AcquireOptions { age: NEVER, ..AcquireOptions::default() }
}

/// One that lets nobody pass.
fn strict() -> AcquireOptions {
    AcquireOptions { age: Duration::ZERO, ..AcquireOptions::default() }
}

/// Looks without a thread's help, so that nothing is left to time.
fn submit(admission: &Admission, requests: Vec<GrantRequest>, options: AcquireOptions) -> Ticket {
    let now_ns = now_ns();
    admission.submit_at(requests, options, now_ns, now_ns, None).unwrap()
}

fn granted(ticket: &Ticket) -> Grant {
    ticket.try_take().expect("it is settled").expect("it is granted")
}
