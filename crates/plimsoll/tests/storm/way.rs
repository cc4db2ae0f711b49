//! The ways in which a worker of the storm takes its bytes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plimsoll::{
    Allocation, MemoryBudget,
    admission::{AcquireOptions, Admission, Grant, GrantRequest, MakeRoom, MakeRoomKind, OnMakeRoom},
    budget::{Sharers, Unsettled, Unshared},
    ledger::Seat,
};

use crate::{UNIT_BYTES, fail, line_bytes, storm::Random};

/// How a worker takes its bytes.
pub enum Way {
    /// By a seat, whose grants are settled with what has not been taken.
    Seat(Arc<Seat>, Vec<u64>),
    /// By a budget of the machine, whose guards say what was taken.
    Budget(MemoryBudget, Vec<Allocation>),
    /// By the queue, in which it waits; what it holds can be evicted, or stretches and shrinks.
    Queue(Admission, Vec<(Grant, Asked)>),
}

/// What the holder of a grant was asked for.
pub type Asked = Arc<Mutex<Option<MakeRoom>>>;

/// Waits for a grant that is evictable, elastic or both, and for a moment only.
fn acquire(queue: &Admission, bytes: u64, random: &mut Random) -> Option<(Grant, Asked)> {
    let asked = Asked::default();
    let told = Arc::clone(&asked);
    let tell: OnMakeRoom = Arc::new(move |room: &MakeRoom| *told.lock().unwrap() = Some(room.clone()));
    let kind = random.below(3);
    let milliseconds = |bound| Duration::from_millis(bound);
    let options = AcquireOptions {
        priority: random.below(3) as i32,
        timeout: Some(milliseconds(random.below(60))),
        age: milliseconds(random.below(40)),
        idle: milliseconds(random.below(10)),
        evict_within: milliseconds(1 + random.below(100)),
        on_evict: (kind != 0).then(|| Arc::clone(&tell)),
        on_revoke: (kind != 1).then_some(tell),
        ..AcquireOptions::default()
    };
    match queue.acquire(vec![GrantRequest::new(bytes, "storm")], options) {
        Ok(grant) => Some((grant, asked)),
        Err(error) if matches!(error.code(), "ERR_TIMEOUT" | "ERR_NEVER_FITS") => None,
        Err(error) => fail(&error),
    }
}

impl Way {
    pub fn take(&mut self, bytes: u64, random: &mut Random) -> bool {
        match self {
            Self::Seat(seat, held) => match seat.take(bytes, line_bytes()) {
                Ok(()) => {
                    seat.settle(
                        bytes,
                        Unsettled { reported_bytes: random.below(bytes), ..Unsettled::default() },
                    );
                    held.push(bytes);
                    true
                }
                Err(Unshared::Crowded(crowded)) => {
                    assert!(crowded.available_bytes < bytes);
                    false
                }
                Err(Unshared::Broken(error)) => fail(&error),
            },
            Self::Budget(budget, held) => match budget.allocate(bytes, "storm") {
                Ok(guard) => {
                    guard.commit(random.below(bytes));
                    held.push(guard);
                    true
                }
                Err(error) if error.code() == "ERR_INSUFFICIENT_MEMORY" => false,
                Err(error) => fail(&error),
            },
            Self::Queue(queue, held) => {
                let granted = acquire(queue, bytes, random);
                let is_granted = granted.is_some();
                held.extend(granted);
                is_granted
            }
        }
    }

    /// Stretches what it holds, and returns by how much.
    pub fn stretch(&self, random: &mut Random) -> u64 {
        let Self::Queue(_, held) = self else { return 0 };
        let stretched =
            held.iter().map(|(grant, _)| grant.stretch(random.below(100 * UNIT_BYTES)).unwrap_or(0));
        stretched.sum()
    }

    /// Does what it was asked for, mostly: `before` knows how many bytes go.
    pub fn make_room(&mut self, random: &mut Random, mut before: impl FnMut(u64)) {
        let Self::Queue(_, held) = self else { return };
        let all = std::mem::take(held);
        for (grant, asked) in all {
            let Some(room) = asked.lock().unwrap().take() else {
                held.push((grant, asked));
                continue;
            };
            match random.below(8) {
                0 => grant.decline(),
                1 => {} // It lets its time go by.
                _ if room.kind == MakeRoomKind::Revoke => {
                    let bytes = room.bytes.min(grant.stretch_bytes());
                    before(bytes);
                    grant.shrink(bytes);
                }
                _ => {
                    before(grant.bytes());
                    drop(grant);
                    continue;
                }
            }
            held.push((grant, asked));
        }
    }

    pub fn count(&self) -> usize {
        match self {
            Self::Seat(_, held) => held.len(),
            Self::Budget(_, held) => held.len(),
            Self::Queue(_, held) => held.len(),
        }
    }

    /// Gives one of them back, when `before` knows how many bytes it is.
    pub fn release(&mut self, which: usize, before: impl FnOnce(u64)) {
        match self {
            Self::Seat(seat, held) => {
                let bytes = held.swap_remove(which);
                before(bytes);
                seat.release(bytes, Unsettled::default());
            }
            Self::Budget(_, held) => {
                let guard = held.swap_remove(which);
                before(guard.bytes());
                drop(guard);
            }
            Self::Queue(_, held) => {
                let (grant, _) = held.swap_remove(which);
                before(grant.bytes());
                drop(grant);
            }
        }
    }
}
