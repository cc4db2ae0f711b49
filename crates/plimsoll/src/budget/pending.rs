//! What was granted over the memory of one machine and has not been taken yet, and how much was ever granted there.

use crate::sync::{AtomicU64, Ordering};

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
    /// The sum of all grants since the start; it only rises.
    granted_bytes: AtomicU64,
    /// Of holders who say what they have taken, the rest.
    told_bytes: AtomicU64,
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

impl Pending {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self {
            granted_bytes: AtomicU64::new(0),
            told_bytes: AtomicU64::new(0),
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
            told_bytes: AtomicU64::new(0),
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
    /// resident: the first such holder wants to know it as well as it can be had, a later one, for whom it is told `false`,
    /// only if it is of this moment.
    pub(super) fn begin(&self, bytes: u64, resident_bytes: impl FnOnce(bool) -> Option<u64>) {
        if self.silent_bytes.load(Ordering::Acquire) == 0 {
            // In this order: what is committed meanwhile counts twice then, and never not at all.
            let committed = self.committed_bytes.load(Ordering::Acquire);
            let before = self.shown_bytes(resident_bytes(true)).unwrap_or(UNKNOWN);
            // Whoever came first meanwhile has measured before it took anything.
            if self.silent_bytes.load(Ordering::Acquire) == 0 {
                self.resident_before_bytes.store(before, Ordering::Relaxed);
                self.committed_before_bytes.store(committed, Ordering::Relaxed);
            }
        } else {
            self.settle(|| resident_bytes(false));
        }
        self.silent_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Before another silent holder comes: growth beyond all that the earlier ones were granted is nobody's, and must not
    /// pay for what the new one has not taken. Growth within their grants stays theirs, who may be taking them slowly.
    fn settle(&self, resident_bytes: impl FnOnce() -> Option<u64>) {
        let silent = self.silent_bytes.load(Ordering::Acquire);
        let committed = self.committed_bytes.load(Ordering::Acquire);
        let committed_before = self.committed_before_bytes.load(Ordering::Acquire);
        let before = self.resident_before_bytes.load(Ordering::Acquire);
        if before == UNKNOWN {
            return;
        }
        let Some(now) = self.shown_bytes(resident_bytes()) else { return };
        let accounted =
            before.saturating_add(committed.saturating_sub(committed_before)).saturating_add(silent);
        let surplus = now.saturating_sub(accounted);
        // Where others came, went or spoke meanwhile, the figures do not belong together: the next one settles.
        let is_still = self.silent_bytes.load(Ordering::Acquire) == silent
            && self.committed_bytes.load(Ordering::Acquire) == committed
            && self.committed_before_bytes.load(Ordering::Acquire) == committed_before;
        if surplus > 0 && is_still {
            let after = before + surplus; // No overflow: at most what is resident now.
            // Who was quicker has written the same off.
            let _ = self.resident_before_bytes.compare_exchange(
                before,
                after,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
        }
    }

    /// What the process has taken of the machine's RAM, if what it has resident is known.
    fn shown_bytes(&self, resident_bytes: Option<u64>) -> Option<u64> {
        resident_bytes.map(|resident| resident.saturating_add(self.unseen_bytes()))
    }

    /// Grants what [`begin`](Self::begin) has counted if the sum of all grants stays at or below `limit_bytes`; else says
    /// how much was left.
    pub(super) fn try_grant(&self, bytes: u64, limit_bytes: u64) -> Result<(), u64> {
        let mut granted = self.granted_bytes();
        loop {
            let left = limit_bytes.saturating_sub(granted);
            if bytes > left {
                return Err(left);
            }
            // No overflow: bytes <= limit - granted.
            match self.granted_bytes.compare_exchange_weak(
                granted,
                granted + bytes,
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
            self.told_bytes.fetch_sub(newly, Ordering::AcqRel);
        } else {
            // In this order, so that nobody who looks in between misses the rest.
            self.told_bytes.fetch_add(bytes - after, Ordering::AcqRel);
            self.silent_bytes.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// Ends what was begun: the holder has gone, or was granted nothing.
    pub(super) fn end(&self, bytes: u64, committed: Option<u64>) {
        let Some(committed) = committed else {
            self.silent_bytes.fetch_sub(bytes, Ordering::AcqRel);
            return;
        };
        self.told_bytes.fetch_sub(bytes - committed, Ordering::AcqRel);
        self.committed_bytes.fetch_sub(committed, Ordering::AcqRel);
    }

    /// Counts `bytes` that are being taken without a budget; [`arrived`](Self::arrived) ends it.
    pub(super) fn coming(&self, bytes: u64) {
        self.told_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.grant(bytes);
    }

    pub(super) fn arrived(&self, bytes: u64) {
        self.told_bytes.fetch_sub(bytes, Ordering::AcqRel);
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

    /// Bytes granted and not yet taken: of each holder that says what it took, the rest; of the silent ones together,
    /// what they were granted less what the process has grown by since the first of them, the others' share aside.
    pub(super) fn bytes(&self, resident_bytes: impl FnOnce() -> Option<u64>) -> u64 {
        let silent = self.silent_bytes.load(Ordering::Acquire);
        let told = self.told_bytes.load(Ordering::Acquire);
        if silent == 0 {
            return told;
        }
        let before = self.resident_before_bytes.load(Ordering::Relaxed);
        let now = self.shown_bytes(resident_bytes());
        let grown = now.filter(|_| before != UNKNOWN).map_or(0, |now| now.saturating_sub(before));
        let committed = self.committed_bytes.load(Ordering::Acquire);
        let by_others = committed.saturating_sub(self.committed_before_bytes.load(Ordering::Relaxed));
        told.saturating_add(silent.saturating_sub(grown.saturating_sub(by_others)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Pending;

    #[test]
    fn silent_holders_are_credited_with_growth_and_never_above_their_grants() {
        let pending = Pending::new();
        pending.begin(300, |_| Some(1000));
        assert_eq!(pending.bytes(|| Some(1000)), 300);
        pending.begin(50, |is_first| (!is_first).then_some(1100));
        assert_eq!(pending.bytes(|| Some(1100)), 250);
        assert_eq!(pending.bytes(|| Some(900)), 350, "shrinking takes no credit");
        assert_eq!(pending.bytes(|| Some(9000)), 0);
        pending.end(300, None);
        pending.end(50, None);
        // All have gone: the next one starts from what is resident then.
        pending.begin(70, |_| Some(9000));
        assert_eq!(pending.bytes(|| Some(9000)), 70);
        pending.end(70, None);
        assert_eq!(pending.bytes(|| Some(1)), 0);
    }

    #[test]
    fn growth_that_is_nobodys_does_not_pay_for_a_later_holder() {
        let pending = Pending::new();
        pending.begin(2, |_| Some(1000));
        pending.begin(250, |_| Some(1250));
        assert_eq!(pending.bytes(|| Some(1250)), 250, "nothing of it is taken");
        assert_eq!(pending.bytes(|| Some(1500)), 0);
        // The earlier one has taken a part by now; what it takes later is its own.
        pending.begin(40, |_| Some(1300));
        assert_eq!(pending.bytes(|| Some(1300)), 240);
        assert_eq!(pending.bytes(|| Some(1500)), 40);
        // No figure of this moment: nothing is settled by one.
        pending.begin(10, |_| None);
        assert_eq!(pending.bytes(|| Some(1550)), 0);
    }

    #[test]
    fn what_others_committed_is_no_growth_of_nobodys() {
        let pending = Pending::new();
        pending.begin(100, |_| Some(1000));
        pending.begin(400, |_| Some(1000));
        pending.commit(400, None, 400);
        pending.begin(50, |_| Some(1400));
        assert_eq!(pending.bytes(|| Some(1400)), 150);
        assert_eq!(pending.bytes(|| Some(1550)), 0, "both have taken theirs");
    }

    #[test]
    fn what_a_holder_says_counts_for_it_alone() {
        let pending = Pending::new();
        let resident = || Some(5000);
        pending.begin(400, |_| resident());
        pending.commit(400, None, 100);
        assert_eq!(pending.bytes(resident), 300);
        pending.begin(10, |_| resident());
        assert_eq!(pending.bytes(resident), 310, "committed bytes are not the silent one's growth");
        pending.commit(400, Some(100), 400);
        assert_eq!(pending.bytes(resident), 10);
        pending.end(10, None);
        pending.end(400, Some(400));
        assert_eq!(pending.bytes(resident), 0);
    }

    #[test]
    fn what_was_committed_before_the_first_silent_holder_is_no_part_of_its_growth() {
        let pending = Pending::new();
        pending.begin(400, |_| Some(1000));
        pending.commit(400, None, 400);
        pending.begin(100, |_| Some(1400));
        assert_eq!(pending.bytes(|| Some(1400)), 100);
        assert_eq!(pending.bytes(|| Some(1500)), 0);
        pending.begin(50, |_| Some(1500));
        pending.commit(50, None, 50);
        assert_eq!(pending.bytes(|| Some(1550)), 0, "its growth is its own");
    }

    #[test]
    fn memory_of_devices_that_no_resident_memory_shows_is_no_growth_that_is_missing() {
        let pending = Pending::new();
        pending.begin(100, |_| Some(1000));
        // A pool takes 400 of a dma-heap and says so, and the silent holder its 100: resident are only these.
        pending.begin(400, |_| Some(1000));
        pending.add_unseen(400);
        pending.commit(400, None, 400);
        assert_eq!(pending.bytes(|| Some(1100)), 0);
        pending.remove_unseen(400);
        pending.end(400, Some(400));
        assert_eq!(pending.bytes(|| Some(1100)), 0);
    }

    #[test]
    fn where_nothing_can_be_measured_a_grant_is_pending_until_its_holder_speaks() {
        let pending = Pending::new();
        pending.begin(8, |_| None);
        assert_eq!(pending.bytes(|| Some(1 << 40)), 8);
        pending.commit(8, None, 8);
        assert_eq!(pending.bytes(|| None), 0);
    }

    #[test]
    fn what_comes_without_a_budget_is_pending_until_it_has_come() {
        let pending = Pending::new();
        pending.coming(30);
        assert_eq!((pending.bytes(|| None), pending.granted_bytes()), (30, 30));
        pending.arrived(30);
        assert_eq!((pending.bytes(|| None), pending.granted_bytes()), (0, 30));
    }
}
