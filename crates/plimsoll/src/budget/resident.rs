//! What this process has resident, measured no more often than it matters.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{cached_headroom::MOST_AGE_NS, clock::nanoseconds, pending::Pending};

/// A holder of less than this may be credited with growth from a little before its grant: reading a file of the kernel
/// takes longer than all else that a grant does, and the credit is never above the grant.
const SMALL_BYTES: u64 = 1 << 20;

/// Tells what the process has resident.
#[derive(Debug)]
pub(super) struct Resident {
    read: fn() -> Option<u64>,
    last_bytes: AtomicU64,
    /// When the last one is too old; 0 while there is none.
    until_ns: AtomicU64,
}

impl Resident {
    /// Where nobody can tell, or it is another machine's memory.
    pub(super) fn unknown() -> Self {
        Self::measured_by(|| None)
    }

    pub(super) fn measured_by(read: fn() -> Option<u64>) -> Self {
        Self { read, last_bytes: AtomicU64::new(0), until_ns: AtomicU64::new(0) }
    }

    /// Before a holder of `bytes` is granted them: for a small one as it was a moment ago.
    pub(super) fn before(&self, bytes: u64, now: Instant) -> Option<u64> {
        let now_ns = nanoseconds(now);
        if self.serves(bytes, now_ns) {
            return Some(self.last_bytes.load(Ordering::Relaxed));
        }
        self.measure(now_ns)
    }

    /// The same if a holder of `bytes` has it measured now.
    pub(super) fn anew(&self, bytes: u64, now: Instant) -> Option<u64> {
        let now_ns = nanoseconds(now);
        if self.serves(bytes, now_ns) { None } else { self.measure(now_ns) }
    }

    /// Whether the last measurement does for a holder of `bytes`.
    fn serves(&self, bytes: u64, now_ns: u64) -> bool {
        bytes < SMALL_BYTES && now_ns < self.until_ns.load(Ordering::Acquire)
    }

    fn measure(&self, now_ns: u64) -> Option<u64> {
        let resident = self.now()?;
        self.last_bytes.store(resident, Ordering::Relaxed);
        self.until_ns.store(now_ns.saturating_add(MOST_AGE_NS), Ordering::Release);
        Some(resident)
    }

    pub(super) fn now(&self) -> Option<u64> {
        (self.read)()
    }
}

/// Memory that a pool is releasing: from before it goes until it has gone.
#[derive(Debug)]
pub(super) struct Leaving {
    lowered_bytes: u64,
    shown_bytes: Option<u64>,
}

impl Leaving {
    /// Before `bytes`, all of which were committed, go; `resident_bytes` are the process's now.
    pub(super) fn begin(bytes: u64, pending: &Pending, resident_bytes: Option<u64>) -> Self {
        let shown_bytes = pending.shown_bytes(resident_bytes);
        Self { lowered_bytes: pending.leave(bytes, || resident_bytes), shown_bytes }
    }

    /// Once they have gone.
    pub(super) fn end(&self, bytes: u64, pending: &Pending, resident_bytes: Option<u64>) {
        let now = pending.shown_bytes(resident_bytes);
        let fallen_bytes = self.shown_bytes.zip(now).map_or(0, |(before, now)| before.saturating_sub(now));
        pending.left(bytes, self.lowered_bytes, fallen_bytes);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    static RESIDENT: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn small_holders_are_served_by_the_last_measurement_and_large_ones_by_their_own() {
        let resident = Resident::measured_by(|| Some(RESIDENT.load(Ordering::Relaxed)));
        let start = Instant::now();
        RESIDENT.store(10, Ordering::Relaxed);
        assert_eq!(resident.before(1, start), Some(10));
        RESIDENT.store(20, Ordering::Relaxed);
        assert_eq!(resident.before(SMALL_BYTES - 1, start), Some(10));
        assert_eq!(resident.before(SMALL_BYTES, start), Some(20));
        RESIDENT.store(30, Ordering::Relaxed);
        assert_eq!(resident.before(1, start + Duration::from_millis(99)), Some(20));
        assert_eq!(resident.before(1, start + Duration::from_millis(101)), Some(30));
        assert_eq!(
            resident.anew(1, start + Duration::from_millis(150)),
            None,
            "a small one measures nothing anew"
        );
        assert_eq!(resident.anew(SMALL_BYTES, start + Duration::from_millis(150)), Some(30));
        assert_eq!(Resident::unknown().before(1, start), None);
    }
}
