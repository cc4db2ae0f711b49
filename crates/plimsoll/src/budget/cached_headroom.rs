//! The last reading of headroom, as a bound on all that may be granted until the next.
//!
//! ```text
//!   read at a time t:  limit = what was granted until t + the headroom at t
//!   a grant since:     the sum of all grants rises, and stays at or below the limit
//! ```
//!
//! So "less what was granted since" is one atomic step on the sum of all grants, whoever makes them: no interleaving grants
//! more than a reading had. What is released meanwhile is not added to a reading; the next one sees it.

use super::pending::{Pending, left_below};
use crate::sync::{AtomicU64, Ordering};

/// How long a reading may serve.
pub(super) const MOST_AGE_NS: u64 = 100_000_000;

/// A request that would use more than this part of what is left wants a reading of its own.
const PART: u64 = 4;

/// All that was ever granted of the memory that is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct EverGranted<'a> {
    /// By this process.
    pub(super) pending: &'a Pending,
    /// By others, who have said so before they counted what there is.
    pub(super) elsewhere_bytes: u64,
}

impl EverGranted<'_> {
    /// The sum of all grants, which begins anew beyond 2^64.
    pub(super) fn bytes(self) -> u64 {
        self.pending.granted_bytes().wrapping_add(self.elsewhere_bytes)
    }
}

#[derive(Debug)]
pub(super) struct CachedHeadroom {
    limit_bytes: AtomicU64,
    /// When it is too old; 0 while there is none.
    until_ns: AtomicU64,
}

impl CachedHeadroom {
    pub(super) fn new() -> Self {
        Self { limit_bytes: AtomicU64::new(0), until_ns: AtomicU64::new(0) }
    }

    /// The limit, if there is a reading that is young enough at `now_ns`.
    fn limit_bytes(&self, now_ns: u64) -> Option<u64> {
        // In this order: who sees a reading's time sees its limit, or a later one.
        let is_young = now_ns < self.until_ns.load(Ordering::Acquire);
        is_young.then(|| self.limit_bytes.load(Ordering::Acquire))
    }

    /// What is left of a reading that is young enough.
    fn left_bytes(&self, granted: EverGranted<'_>, now_ns: u64) -> Option<u64> {
        self.limit_bytes(now_ns).map(|limit| left_below(limit, granted.bytes()))
    }

    /// Whether the reading may serve a request of `bytes`: it is young enough, and has four times as much left.
    pub(super) fn serves(&self, bytes: u64, granted: EverGranted<'_>, now_ns: u64) -> bool {
        bytes == 0 || self.left_bytes(granted, now_ns).is_some_and(|left| bytes <= left / PART)
    }

    /// Grants `bytes` by the reading there is, if it serves. `resident_bytes` as [`Pending::begin`] wants it.
    pub(super) fn try_grant(
        &self,
        bytes: u64,
        granted: EverGranted<'_>,
        now_ns: u64,
        resident_bytes: impl Fn(bool) -> Option<u64>,
    ) -> bool {
        if bytes == 0 {
            return true;
        }
        let Some(limit) = self.limit_bytes(now_ns) else { return false };
        if bytes > left_below(limit, granted.bytes()) / PART {
            return false;
        }
        grant_below(limit, bytes, granted, resident_bytes).is_ok()
    }

    /// Grants `bytes` by a reading that was taken for them; else says how much it had left.
    pub(super) fn grant(
        &self,
        bytes: u64,
        granted: EverGranted<'_>,
        resident_bytes: impl Fn(bool) -> Option<u64>,
    ) -> Result<(), u64> {
        let limit = self.limit_bytes.load(Ordering::Acquire);
        let left = left_below(limit, granted.bytes());
        if bytes > left { Err(left) } else { grant_below(limit, bytes, granted, resident_bytes) }
    }

    /// Takes a new reading: `granted_bytes` were granted before it was begun, and `headroom_bytes` is what it found. One
    /// thread at a time.
    pub(super) fn renew(&self, granted_bytes: u64, headroom_bytes: u64, now_ns: u64) {
        self.limit_bytes.store(granted_bytes.wrapping_add(headroom_bytes), Ordering::Release);
        self.until_ns.store(now_ns.saturating_add(MOST_AGE_NS), Ordering::Release);
    }

    /// Forgets the reading: a newer one could not be taken, or is about to be. `granted_bytes` were granted by now.
    pub(super) fn forget(&self, granted_bytes: u64) {
        self.until_ns.store(0, Ordering::Release);
        // For those who have seen its time: nothing is left of it.
        self.limit_bytes.store(granted_bytes, Ordering::Release);
    }
}

fn grant_below(
    limit_bytes: u64,
    bytes: u64,
    granted: EverGranted<'_>,
    resident_bytes: impl Fn(bool) -> Option<u64>,
) -> Result<(), u64> {
    let own_limit_bytes = limit_bytes.wrapping_sub(granted.elsewhere_bytes);
    granted.pending.begin(bytes, resident_bytes);
    granted.pending.try_grant(bytes, own_limit_bytes).inspect_err(|_| granted.pending.end(bytes, None))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{CachedHeadroom, EverGranted, MOST_AGE_NS, Pending};
    use proptest::prelude::*;

    fn alone(pending: &Pending) -> EverGranted<'_> {
        EverGranted { pending, elsewhere_bytes: 0 }
    }

    #[test]
    fn what_others_are_granted_comes_off_a_reading() {
        for before in [0, u64::MAX - 10] {
            let (cached, pending) = (CachedHeadroom::new(), Pending::new());
            let beside =
                |bytes: u64| EverGranted { pending: &pending, elsewhere_bytes: before.wrapping_add(bytes) };
            cached.renew(beside(0).bytes(), 1000, 0);
            assert_eq!(cached.grant(601, beside(400), |_| None), Err(600));
            assert_eq!(cached.grant(600, beside(400), |_| None), Ok(()));
            assert_eq!(cached.grant(1, beside(400), |_| None), Err(0));
            assert!(!cached.try_grant(1, beside(500), 0, |_| None), "they were granted more than there was");
        }
    }

    #[test]
    fn a_reading_serves_a_while_and_small_requests() {
        let (cached, pending) = (CachedHeadroom::new(), Pending::new());
        assert!(!cached.serves(1, alone(&pending), 0) && cached.serves(0, alone(&pending), 0));
        cached.renew(0, 1000, 5);
        assert!(cached.serves(250, alone(&pending), 5) && !cached.serves(251, alone(&pending), 5));
        assert!(cached.try_grant(200, alone(&pending), 5, |_| None));
        assert_eq!(cached.left_bytes(alone(&pending), 5), Some(800));
        assert!(!cached.try_grant(201, alone(&pending), 5, |_| None), "more than a quarter of what is left");
        let too_old = 5 + MOST_AGE_NS;
        assert!(
            cached.serves(200, alone(&pending), too_old - 1) && !cached.serves(200, alone(&pending), too_old)
        );
        assert_eq!(cached.grant(801, alone(&pending), |_| None), Err(800));
        assert_eq!(cached.grant(800, alone(&pending), |_| None), Ok(()));
        assert_eq!(pending.bytes(|| None), 1000);
        cached.forget(pending.granted_bytes());
        assert_eq!(cached.left_bytes(alone(&pending), 5), None);
    }

    #[test]
    fn the_sum_of_all_grants_may_begin_anew() {
        for granted in [u64::MAX - 100, u64::MAX / 2 - 100, u64::MAX - 1000] {
            let (cached, pending) = (CachedHeadroom::new(), Pending::new());
            pending.grant(granted);
            cached.renew(pending.granted_bytes(), 1000, 0);
            assert!(cached.serves(250, alone(&pending), 0));
            for _ in 0..3 {
                assert!(cached.try_grant(100, alone(&pending), 0, |_| None));
            }
            assert_eq!(cached.grant(701, alone(&pending), |_| None), Err(700));
            assert_eq!(cached.grant(700, alone(&pending), |_| None), Ok(()));
            assert_eq!(cached.grant(1, alone(&pending), |_| None), Err(0));
            pending.grant(5); // Nobody weighs it.
            assert_eq!(cached.left_bytes(alone(&pending), 0), Some(0));
            cached.forget(pending.granted_bytes());
            assert_eq!(cached.grant(1, alone(&pending), |_| None), Err(0));
        }
    }

    proptest! {
        /// Whatever is asked, granted, released, committed and measured, and in whatever order: the grants since a reading
        /// never pass what it found, and at no time is more promised and taken than the machine has.
        #[test]
        fn what_is_granted_is_there(steps in prop::collection::vec((0_u64..400, 0_u8..5), 1..120)) {
            const MACHINE: u64 = 1000;
            let (cached, pending) = (CachedHeadroom::new(), Pending::new());
            let mut held: Vec<(u64, Option<u64>)> = Vec::new();
            for (now_ns, (bytes, what)) in steps.into_iter().enumerate() {
                let now_ns = now_ns as u64;
                match what {
                    0 if !held.is_empty() => {
                        let (bytes, committed) = held.swap_remove(bytes as usize % held.len());
                        pending.end(bytes, committed);
                    }
                    1 if !held.is_empty() => {
                        let index = bytes as usize % held.len();
                        let (size, before) = &mut held[index];
                        let after = (*before).unwrap_or(0).max(bytes.min(*size));
                        pending.commit(*size, *before, after);
                        *before = Some(after);
                    }
                    _ => {
                        let by_cache = cached.try_grant(bytes, alone(&pending), now_ns, |_| None);
                        let taken: u64 = held.iter().filter_map(|(_, committed)| *committed).sum();
                        let granted = by_cache || {
                            let before = pending.granted_bytes();
                            let left = (MACHINE - taken).saturating_sub(pending.bytes(|| None));
                            cached.renew(before, left, now_ns);
                            let granted = cached.grant(bytes, alone(&pending), |_| None).is_ok();
                            prop_assert_eq!(granted, bytes <= left, "a fresh reading refuses nothing that is there");
                            granted
                        };
                        if granted {
                            held.push((bytes, None));
                        }
                    }
                }
                prop_assert!(held.iter().map(|(bytes, _)| bytes).sum::<u64>() <= MACHINE);
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{CachedHeadroom, EverGranted, Pending};
    use crate::sync::{AtomicU64, Mutex, Ordering, lock_modelled};
    use loom::{sync::Arc, thread};

    /// A machine whose free memory falls when it is taken.
    struct Machine {
        free_bytes: AtomicU64,
        cached: CachedHeadroom,
        pending: Pending,
        reading: Mutex<()>,
    }

    impl Machine {
        fn with(free_bytes: u64) -> Arc<Self> {
            Arc::new(Self {
                free_bytes: AtomicU64::new(free_bytes),
                cached: CachedHeadroom::new(),
                pending: Pending::new(),
                reading: Mutex::new(()),
            })
        }

        /// Nobody shares it.
        fn granted(&self) -> EverGranted<'_> {
            EverGranted { pending: &self.pending, elsewhere_bytes: 0 }
        }

        /// As a budget does it.
        fn allocate(&self, bytes: u64) -> bool {
            self.cached.try_grant(bytes, self.granted(), 0, |_| None) || {
                let _reading = lock_modelled(&self.reading);
                let granted = self.pending.granted_bytes();
                let pending = self.pending.bytes(|| None);
                let free = self.free_bytes.load(Ordering::Acquire);
                self.cached.renew(granted, free.saturating_sub(pending), 0);
                self.cached.grant(bytes, self.granted(), |_| None).is_ok()
            }
        }

        /// Takes what was granted, then says so.
        fn take(&self, bytes: u64) {
            let before = self.free_bytes.fetch_sub(bytes, Ordering::AcqRel);
            assert!(before >= bytes, "granted and not there");
            self.pending.commit(bytes, None, bytes);
        }
    }

    /// Two ask for more than half at the same time, one by a reading that it takes, the other perhaps by that: never both
    /// are granted, and one of them is.
    #[test]
    fn one_of_two_is_granted_when_one_fits() {
        loom::model(|| {
            let machine = Machine::with(100);
            let other = Arc::clone(&machine);
            let there = thread::spawn(move || {
                let granted = other.allocate(60);
                if granted {
                    other.take(60);
                }
                granted
            });
            let here = machine.allocate(60);
            if here {
                machine.take(60);
            }
            assert!(here != there.join().unwrap());
        });
    }

    /// One grants by the reading there is while the other renews it and takes what it got: what is granted is there in
    /// every interleaving with up to three preemptions, which is as far as that many steps stay tractable.
    #[test]
    fn what_is_granted_by_an_older_reading_is_seen_by_the_next() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let machine = Machine::with(100);
            assert!(machine.allocate(10));
            machine.take(10);
            let other = Arc::clone(&machine);
            let small = thread::spawn(move || {
                if other.allocate(20) {
                    other.take(20);
                }
            });
            if machine.allocate(80) {
                machine.take(80);
            }
            small.join().unwrap();
            assert!(machine.free_bytes.load(Ordering::Acquire) < 90, "both were refused");
            assert_eq!(machine.pending.bytes(|| None), 0);
        });
    }
}
