//! What was granted over the memory of one machine and has not been taken yet, and how much was ever granted there.

use super::sharing::Unsettled;
use crate::sync::{AtomicU64, Ordering, yield_now};

/// All ever granted, and what of it is still to be taken. Everybody who grants memory of the same machine shares one:
/// every budget of this process over this machine, those of another copy of the package too, whose layout this is then.
///
/// ```text
///   who grants     begin(bytes) -> try_grant(bytes, limit)         pending first, so that whoever sees the grant sees it pending
///   who measures   granted_bytes() -> bytes() -> read the machine  in this order: what is granted or taken meanwhile may count
///                                                                  twice until the next reading, and never not at all
/// ```
#[derive(Debug)]
#[repr(C)]
#[allow(clippy::struct_field_names)] // Sizes end in their unit.
pub(super) struct Pending {
    /// The sum of all grants since the start; it only rises, and begins anew beyond 2^64.
    granted_bytes: AtomicU64,
    /// Of holders who say what they have taken, the rest.
    reported_bytes: AtomicU64,
    /// What they have taken.
    committed_bytes: AtomicU64,
    /// What was granted to holders who say nothing.
    silent_bytes: AtomicU64,
    /// What the process had taken before the first of them was granted anything, [`UNKNOWN`] where nobody could tell.
    resident_before_bytes: AtomicU64,
    /// What the others had committed by then.
    committed_before_bytes: AtomicU64,
    /// What this process has taken of the machine's RAM and its resident memory does not show.
    unseen_bytes: AtomicU64,
}

/// No figure.
const UNKNOWN: u64 = u64::MAX;

/// Somebody is working out what the process had taken, and what the others had committed by then.
const BUSY: u64 = u64::MAX - 1;

/// How often figures are read again because some of them have changed meanwhile.
const MOST_READINGS: usize = 8;

impl Pending {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self {
            granted_bytes: AtomicU64::new(0),
            reported_bytes: AtomicU64::new(0),
            committed_bytes: AtomicU64::new(0),
            silent_bytes: AtomicU64::new(0),
            resident_before_bytes: AtomicU64::new(UNKNOWN),
            committed_before_bytes: AtomicU64::new(0),
            unseen_bytes: AtomicU64::new(0),
        }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self {
            granted_bytes: AtomicU64::new(0),
            reported_bytes: AtomicU64::new(0),
            committed_bytes: AtomicU64::new(0),
            silent_bytes: AtomicU64::new(0),
            resident_before_bytes: AtomicU64::new(UNKNOWN),
            committed_before_bytes: AtomicU64::new(0),
            unseen_bytes: AtomicU64::new(0),
        }
    }

    /// All ever granted, in bytes.
    pub(super) fn granted_bytes(&self) -> u64 {
        self.granted_bytes.load(Ordering::Acquire)
    }

    /// Counts `bytes` as pending, of a holder who has said nothing yet. `resident_bytes` tells what the process has
    /// resident: the first such holder wants to know it as well as it can be had, a later one, for whom it is reported `false`,
    /// only if it is of this moment.
    pub(super) fn begin(&self, bytes: u64, resident_bytes: impl Fn(bool) -> Option<u64>) {
        if self.silent_bytes.load(Ordering::Acquire) > 0 {
            self.settle(|| resident_bytes(false));
            let beside = |silent| (silent > 0).then(|| u64::saturating_add(silent, bytes));
            if self.silent_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, beside).is_ok() {
                return;
            }
        }
        let before = self.claim();
        let before = self.first(before, || resident_bytes(true));
        self.silent_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.release(before);
    }

    /// Waits until nobody else works out what the process had taken before the first silent holder, and returns what is
    /// known of it. [`release`](Self::release) says what it is from then on.
    fn claim(&self) -> u64 {
        loop {
            let before = self.resident_before_bytes.load(Ordering::Acquire);
            let exchange = |before| {
                self.resident_before_bytes.compare_exchange(before, BUSY, Ordering::AcqRel, Ordering::Relaxed)
            };
            if before != BUSY && exchange(before).is_ok() {
                return before;
            }
            yield_now();
        }
    }

    fn release(&self, before: u64) {
        self.resident_before_bytes.store(before, Ordering::Release);
    }

    /// What the process had taken before the first silent holder: it is now where there is none yet, else what it was.
    fn first(&self, before: u64, resident_bytes: impl FnOnce() -> Option<u64>) -> u64 {
        if self.silent_bytes.load(Ordering::Acquire) > 0 {
            return before;
        }
        // In this order: what is committed meanwhile counts twice then, and never not at all.
        let committed = self.committed_bytes.load(Ordering::Acquire);
        self.committed_before_bytes.store(committed, Ordering::Release);
        self.shown_bytes(resident_bytes()).map_or(UNKNOWN, |shown| shown.min(BUSY - 1))
    }

    /// Before another silent holder comes: growth beyond all that the earlier ones were granted is nobody's, and must not
    /// pay for what the new one has not taken. Growth within their grants stays theirs, who may be taking them slowly.
    fn settle(&self, resident_bytes: impl FnOnce() -> Option<u64>) {
        let figures = self.figures();
        if figures.resident_before == UNKNOWN {
            return;
        }
        let Some(now) = self.shown_bytes(resident_bytes()) else { return };
        let surplus = figures.growth(now).saturating_sub(figures.silent);
        if surplus == 0 {
            return;
        }
        let before = self.claim();
        // Where others came, went or spoke meanwhile, the figures do not belong together: the next one settles.
        let is_still = self.figures_since(before) == figures;
        self.release(if is_still { before.saturating_add(surplus).min(BUSY - 1) } else { before });
    }

    fn figures(&self) -> Figures {
        loop {
            let before = self.resident_before_bytes.load(Ordering::Acquire);
            if before != BUSY {
                return self.figures_since(before);
            }
            yield_now();
        }
    }

    fn figures_since(&self, resident_before: u64) -> Figures {
        Figures {
            silent: self.silent_bytes.load(Ordering::Acquire),
            committed: self.committed_bytes.load(Ordering::Acquire),
            committed_before: self.committed_before_bytes.load(Ordering::Acquire),
            resident_before,
        }
    }

    /// What the process has taken of the machine's RAM, if what it has resident is known.
    pub(super) fn shown_bytes(&self, resident_bytes: Option<u64>) -> Option<u64> {
        resident_bytes.map(|resident| resident.saturating_add(self.unseen_bytes()))
    }

    /// Grants what [`begin`](Self::begin) has counted if the sum of all grants stays at or below `limit_bytes`; else says
    /// how much was left.
    pub(super) fn try_grant(&self, bytes: u64, limit_bytes: u64) -> Result<(), u64> {
        let mut granted = self.granted_bytes();
        loop {
            let left = left_below(limit_bytes, granted);
            if bytes > left {
                return Err(left);
            }
            match self.granted_bytes.compare_exchange_weak(
                granted,
                granted.wrapping_add(bytes),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(current) => granted = current,
            }
        }
    }

    /// Counts a grant that nobody weighed.
    pub(super) fn grant(&self, bytes: u64) {
        self.granted_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Notes that a holder of `bytes` has really taken `after` of them in all, where it had said `before`.
    pub(super) fn commit(&self, bytes: u64, before: Option<u64>, after: u64) {
        let newly = after - before.unwrap_or(0);
        self.committed_bytes.fetch_add(newly, Ordering::AcqRel);
        if before.is_some() {
            self.reported_bytes.fetch_sub(newly, Ordering::AcqRel);
        } else {
            // In this order, so that nobody who looks in between misses the rest.
            self.reported_bytes.fetch_add(bytes - after, Ordering::AcqRel);
            self.silent_bytes.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// Ends what was begun: the holder has gone, or was granted nothing.
    pub(super) fn end(&self, bytes: u64, committed: Option<u64>) {
        let Some(committed) = committed else {
            self.silent_bytes.fetch_sub(bytes, Ordering::AcqRel);
            return;
        };
        self.reported_bytes.fetch_sub(bytes - committed, Ordering::AcqRel);
        self.committed_bytes.fetch_sub(committed, Ordering::AcqRel);
    }

    /// A holder who had committed all of its `bytes` is about to release memory that the process's resident memory may
    /// show: from now on it is a silent one who has taken them. [`left`](Self::left) ends it. Returns by how much less the
    /// process is taken to have had resident before the first silent holder: what is about to go was part of that.
    pub(super) fn leave(&self, bytes: u64, resident_bytes: impl FnOnce() -> Option<u64>) -> u64 {
        let before = self.claim();
        let before = self.first(before, resident_bytes);
        self.silent_bytes.fetch_add(bytes, Ordering::AcqRel);
        let committed = self.committed_bytes.fetch_sub(bytes, Ordering::AcqRel);
        let base = self.committed_before_bytes.load(Ordering::Acquire);
        let of_base = base.saturating_sub(committed - bytes) - base.saturating_sub(committed);
        self.committed_before_bytes.store(base - of_base, Ordering::Release);
        let lowered = if before == UNKNOWN { 0 } else { of_base.min(before) };
        self.release(before - lowered);
        lowered
    }

    /// The holder who [left](Self::leave) has released its memory. `lowered_bytes` is what that returned, `fallen_bytes`
    /// by how much less the process has resident since.
    pub(super) fn left(&self, bytes: u64, lowered_bytes: u64, fallen_bytes: u64) {
        // Of what was never resident none has gone from there.
        let too_low = lowered_bytes.saturating_sub(fallen_bytes);
        let before = self.claim();
        self.silent_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.release(if before == UNKNOWN { before } else { before.saturating_add(too_low).min(BUSY - 1) });
    }

    pub(super) fn unseen_bytes(&self) -> u64 {
        self.unseen_bytes.load(Ordering::Acquire)
    }

    pub(super) fn add_unseen(&self, bytes: u64) {
        self.unseen_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn remove_unseen(&self, bytes: u64) {
        self.unseen_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// The figures by which another process can tell the same.
    pub(super) fn unsettled(&self) -> Unsettled {
        let figures = self.figures();
        let by_others = figures.committed.saturating_sub(figures.committed_before);
        let base = figures.resident_before.saturating_add(by_others).saturating_sub(self.unseen_bytes());
        Unsettled {
            reported_bytes: self.reported_bytes.load(Ordering::Acquire),
            silent_bytes: figures.silent,
            base_bytes: (figures.resident_before != UNKNOWN).then_some(base),
        }
    }

    /// Bytes granted and not yet taken: of each holder that says what it took, the rest; of the silent ones together,
    /// what they were granted less what the process has grown by since the first of them, the others' share aside.
    pub(super) fn bytes(&self, resident_bytes: impl Fn() -> Option<u64>) -> u64 {
        let mut figures = self.figures();
        for _ in 0..MOST_READINGS {
            let reported = self.reported_bytes.load(Ordering::Acquire);
            if figures.silent == 0 {
                return reported;
            }
            let now = self.shown_bytes(resident_bytes());
            let after = self.figures();
            if after == figures {
                let grown = now.map_or(0, |now| figures.growth(now));
                return reported.saturating_add(figures.silent.saturating_sub(grown));
            }
            figures = after;
        }
        // Others never rest. What they have taken may count twice for once.
        figures.silent.saturating_add(self.reported_bytes.load(Ordering::Acquire))
    }
}

/// What is left below a limit on the sum of all grants, which may have begun anew between the two.
pub(super) fn left_below(limit_bytes: u64, granted_bytes: u64) -> u64 {
    u64::try_from(limit_bytes.wrapping_sub(granted_bytes).cast_signed()).unwrap_or(0)
}

/// What tells how much of their grants silent holders have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Figures {
    silent: u64,
    committed: u64,
    committed_before: u64,
    resident_before: u64,
}

impl Figures {
    /// What the process has grown by since the first silent holder where it shows `now` bytes, the others' share aside; 0
    /// where nobody knows what it had then.
    fn growth(&self, now: u64) -> u64 {
        let by_others = self.committed.saturating_sub(self.committed_before);
        now.saturating_sub(self.resident_before).saturating_sub(by_others)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

#[cfg(all(test, loom))]
mod model {
    use super::Pending;
    use crate::sync::{AtomicU64, Ordering};
    use loom::{sync::Arc, thread};

    /// A pool's memory goes while a silent holder comes and takes nothing: in no interleaving is it credited, and in the end
    /// it is credited with what it takes, to the byte.
    fn comes_while_a_neighbour_goes(others_bytes: u64, most_preemptions: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(most_preemptions);
        model.check(move || {
            let pending = Arc::new(Pending::new());
            let resident = Arc::new(AtomicU64::new(1000));
            pending.begin(40, |_| Some(960));
            pending.commit(40, None, 40);
            if others_bytes > 0 {
                pending.begin(others_bytes, |_| Some(1000));
            }
            let (theirs, shown) = (Arc::clone(&pending), Arc::clone(&resident));
            let pool = thread::spawn(move || {
                let lowered = theirs.leave(40, || Some(shown.load(Ordering::Acquire)));
                shown.fetch_sub(40, Ordering::AcqRel);
                theirs.left(40, lowered, 40);
            });
            pending.begin(100, |_| Some(resident.load(Ordering::Acquire)));
            assert!(pending.bytes(|| Some(resident.load(Ordering::Acquire))) >= 100 + others_bytes);
            pool.join().unwrap();
            assert_eq!(pending.bytes(|| Some(960)), 100 + others_bytes);
            assert_eq!(pending.bytes(|| Some(1060)), others_bytes);
        });
    }

    #[test]
    fn the_first_silent_holder_comes_while_a_neighbour_goes() {
        comes_while_a_neighbour_goes(0, 2);
    }

    #[test]
    fn another_silent_holder_comes_while_a_neighbour_goes() {
        comes_while_a_neighbour_goes(7, 2);
    }
}
