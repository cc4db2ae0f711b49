//! Whose turn it is, and who is asked to make room: numbers in, a decision out. No clock, no lock, no budget.
//!
//! The times are nanoseconds of one clock that all waiters share, processes included (`CLOCK_BOOTTIME`). So the same
//! functions judge waiters and holders of one process and of several.

use crate::sorting::sort_by;
use std::cmp::Ordering;

/// Who waits, as far as it matters for whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    /// A higher one goes first.
    pub priority: i32,
    /// Since when it waits, in nanoseconds; among equals the earlier goes first.
    pub since_ns: u64,
    /// What tells apart those of one moment; the lower goes first.
    pub tie: u64,
    /// What it waits for, in bytes, all at once.
    pub bytes: u64,
    /// How long others may pass it, in nanoseconds. Having waited that long as the first, it has what becomes free kept for it.
    pub age_ns: u64,
}

impl Waiter {
    /// Whether it has waited so long that nobody passes it any more.
    #[must_use]
    pub const fn is_aged(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.since_ns) >= self.age_ns
    }
}

/// Who goes first: the higher priority, then who came first, then the lower tie.
#[must_use]
pub fn order(one: &Waiter, other: &Waiter) -> Ordering {
    (other.priority.cmp(&one.priority)).then(one.since_ns.cmp(&other.since_ns)).then(one.tie.cmp(&other.tie))
}

/// What those who pass the head must leave beside what they take, in bytes: the head's whole request once it is aged,
/// before that only what was freed for it.
#[must_use]
pub fn kept_bytes(head: &Waiter, freed_bytes: u64, now_ns: u64) -> u64 {
    if head.is_aged(now_ns) { head.bytes } else { freed_bytes.min(head.bytes) }
}

/// Whether so much may be taken of what is free, where some of that is kept for somebody else.
#[must_use]
pub const fn fits_beside(bytes: u64, free_bytes: u64, kept_bytes: u64) -> bool {
    bytes <= free_bytes.saturating_sub(kept_bytes)
}

/// Goes through waiters in their [order], and says of each what it must leave.
///
/// The first that is not granted is the head; all after it may only take what they leave it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turns {
    kept_bytes: Option<u64>,
    /// For those of other processes who come before.
    elsewhere_bytes: u64,
}

impl Turns {
    /// What whoever is next must leave, in bytes.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes.unwrap_or(0).max(self.elsewhere_bytes)
    }

    /// Somebody of another process comes before all who follow, for whom they must leave so much.
    pub const fn leave(&mut self, bytes: u64) {
        self.elsewhere_bytes = bytes;
    }

    /// It cannot be granted now. Whether it is the head.
    pub fn pass(&mut self, waiter: &Waiter, freed_bytes: u64, now_ns: u64) -> bool {
        let is_head = self.kept_bytes.is_none();
        if is_head {
            self.kept_bytes = Some(kept_bytes(waiter, freed_bytes, now_ns));
        }
        is_head
    }
}

/// Who of waiters in their [order] is granted now, by their places, where so much is free for all of them alike.
///
/// ```
/// use plimsoll::admission::policy::{Waiter, granted};
///
/// let waiter = |bytes, since_ns| Waiter { priority: 0, since_ns, tie: 0, bytes, age_ns: 100 };
/// let waiters = [waiter(80, 0), waiter(30, 1), waiter(40, 2)];
/// assert_eq!(granted(&waiters, 50, 10), [1], "the small one passes the large one");
/// assert!(granted(&waiters, 50, 100).is_empty(), "until that has waited long enough");
/// assert_eq!(granted(&waiters, 115, 100), [0, 1]);
/// ```
#[must_use]
pub fn granted(waiters: &[Waiter], free_bytes: u64, now_ns: u64) -> Vec<usize> {
    let (mut turns, mut left) = (Turns::default(), free_bytes);
    let mut places = Vec::new();
    for (place, waiter) in waiters.iter().enumerate() {
        if fits_beside(waiter.bytes, left, turns.kept_bytes()) {
            left -= waiter.bytes;
            places.push(place);
        } else {
            turns.pass(waiter, 0, now_ns);
        }
    }
    places
}

/// Who holds something that can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Which one.
    pub id: u64,
    /// The priority it was granted at.
    pub priority: i32,
    /// How long it has not been used, in milliseconds.
    pub idle_ms: u64,
    /// Whether that is long enough to call it idle.
    pub is_idle: bool,
    /// What can go, in bytes: the whole grant of one that can be evicted, the stretch of an elastic one.
    pub bytes: u64,
    /// Whether a part of it can go: a stretch can be shrunk, a grant is evicted as a whole.
    pub is_divisible: bool,
}

impl Holder {
    /// Whether a waiter of that priority may have it asked: it has something that can go, and is less important, or as important
    /// and idle.
    #[must_use]
    pub const fn may_go_for(&self, priority: i32) -> bool {
        self.bytes > 0 && (self.priority < priority || self.priority == priority && self.is_idle)
    }
}

/// What a holder is asked to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Which holder.
    pub id: u64,
    /// How much, in bytes.
    pub bytes: u64,
}

/// Which holders to ask, so that a waiter of that priority gets the bytes it lacks; nobody where all of them together have
/// not got so many, since then nothing would be won.
///
/// Lower priorities go before higher, and none above the waiter's is asked; of its own priority only those that are idle.
/// Among equals the longest idle goes first. Nobody is asked who is not needed, and of a stretch no more than is lacking.
#[must_use]
pub fn asks(holders: &[Holder], priority: i32, lacking_bytes: u64) -> Vec<Ask> {
    let mut able: Vec<Holder> =
        holders.iter().filter(|holder| holder.may_go_for(priority)).copied().collect();
    sort_by(&mut able, |one, other| {
        (one.priority.cmp(&other.priority)).then(other.idle_ms.cmp(&one.idle_ms)).then(one.id.cmp(&other.id))
    });
    let (mut chosen, mut sum) = (Vec::new(), 0_u64);
    for holder in able {
        if sum >= lacking_bytes {
            break;
        }
        sum = sum.saturating_add(holder.bytes);
        chosen.push(holder);
    }
    if sum < lacking_bytes {
        return Vec::new();
    }
    without_surplus(chosen, sum, lacking_bytes)
}

/// Drops those that the rest can do without, the dearest first, and takes no more of a stretch than is needed.
fn without_surplus(mut chosen: Vec<Holder>, mut sum: u64, lacking_bytes: u64) -> Vec<Ask> {
    for place in (0..chosen.len()).rev() {
        let Some(holder) = chosen.get(place) else { continue };
        if sum.saturating_sub(holder.bytes) >= lacking_bytes {
            sum = sum.saturating_sub(holder.bytes);
            chosen.remove(place);
        }
    }
    let mut surplus = sum.saturating_sub(lacking_bytes);
    let mut asks: Vec<Ask> = Vec::with_capacity(chosen.len());
    // The dearest first again: it keeps what it can.
    for holder in chosen.iter().rev() {
        let spared = if holder.is_divisible { surplus.min(holder.bytes) } else { 0 };
        surplus -= spared;
        asks.push(Ask { id: holder.id, bytes: holder.bytes - spared });
    }
    asks.reverse();
    asks.retain(|ask| ask.bytes > 0);
    asks
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
