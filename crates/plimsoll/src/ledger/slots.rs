//! All slots together: what everybody holds, and who is dead.

use std::{os::fd::AsFd, sync::atomic::AtomicU64};

use super::{
    drain::Drain,
    file::LedgerFile,
    identity::{Identity, now_ns},
    layout::{SLOT_COUNT, SLOT_LOCKS_AT},
    locks::{Lock, try_lock, unlock},
    notice::SlotNotice,
    points::{Point, reach},
    share::SlotShare,
    state::{SlotState, Tenure},
};

/// What the slots hold together.
#[derive(Debug, Clone, Default)]
pub(super) struct SlotSums {
    /// Granted and asked for, the dead's too; in bytes.
    pub(super) held_bytes: u64,
    /// Of that, what others are asking for at this moment.
    pub(super) asked_bytes: u64,
    /// The first of those others.
    pub(super) first_asking: Option<usize>,
    /// Of the dead.
    pub(super) draining_bytes: u64,
    /// A slot that cannot be read.
    pub(super) damaged: Option<usize>,
}

/// The slots of a file as one process sees them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots<'a> {
    pub(super) file: &'a LedgerFile,
    /// Its own slot, which it never reaps.
    pub(super) own: Option<usize>,
    /// How long the dead's memory is waited for.
    pub(super) drain_ns: u64,
}

impl<'a> Slots<'a> {
    /// Every slot that is somebody's, with its state.
    pub(super) fn taken(&self) -> impl Iterator<Item = (usize, Tenure)> + 'a {
        let states = self.file.words.states().iter().enumerate();
        states
            .map(|(slot, word)| (slot, SlotState::of(word).tenure()))
            .filter(|(_, tenure)| *tenure != Tenure::Free)
    }

    /// The share that stands in a slot, if it can be read.
    pub(super) fn share(&self, slot: usize) -> Option<SlotShare> {
        self.file.words.share(slot)?.read().ok().map(|words| SlotShare::from_words(&words))
    }

    pub(super) fn notice(&self, slot: usize) -> Option<SlotNotice> {
        self.file.words.notice(slot)?.read().ok().map(|words| SlotNotice::from_words(&words))
    }

    pub(super) fn drain(&self, slot: usize) -> Option<Drain> {
        self.file.words.drain(slot)?.read().ok().map(|words| Drain::from_words(&words))
    }

    /// What all hold. Nothing in between is stored anywhere.
    pub(super) fn sums(&self) -> SlotSums {
        let mut sums = SlotSums::default();
        for (slot, tenure) in self.taken() {
            let Some(share) = self.share(slot).filter(|_| tenure != Tenure::Damaged) else {
                sums.damaged.get_or_insert(slot);
                continue;
            };
            sums.held_bytes = sums.held_bytes.saturating_add(share.held_bytes);
            if tenure == Tenure::Draining {
                sums.draining_bytes = sums.draining_bytes.saturating_add(share.held_bytes);
            } else if Some(slot) != self.own && share.asked_bytes > 0 {
                sums.asked_bytes = sums.asked_bytes.saturating_add(share.asked_bytes);
                sums.first_asking.get_or_insert(slot);
            }
        }
        sums
    }

    /// What others were granted and have not taken, in bytes. What cannot be read is damaged, and refuses grants elsewhere.
    pub(super) fn pending_of_others(&self) -> u64 {
        let lives = |tenure| matches!(tenure, Tenure::Live | Tenure::Elsewhere);
        let others = self.taken().filter(|(slot, tenure)| lives(*tenure) && Some(*slot) != self.own);
        others.map(|(slot, _)| self.pending(slot)).fold(0, u64::saturating_add)
    }

    /// What the process of a slot was granted and has not taken.
    pub(super) fn pending(&self, slot: usize) -> u64 {
        let Some(share) = self.share(slot) else { return 0 };
        let needs_resident = share.unsettled.silent_bytes > 0;
        let identity = self.notice(slot).filter(|_| needs_resident).map(|notice| notice.identity());
        share.pending_bytes(identity.and_then(|identity| identity.resident_bytes()))
    }

    /// What the holders of all other slots were ever granted.
    pub(super) fn granted_to_others(&self) -> u64 {
        let granted = self.file.words.granted().iter().enumerate();
        let others = granted.filter(|(slot, _)| Some(*slot) != self.own);
        others.map(|(_, word)| word.load(std::sync::atomic::Ordering::SeqCst)).fold(0, u64::wrapping_add)
    }

    /// Whether another process loads that.
    pub(super) fn loads_elsewhere(&self, load: u64) -> bool {
        let others = self.taken().filter(|(slot, tenure)| *tenure == Tenure::Live && Some(*slot) != self.own);
        others.filter_map(|(slot, _)| self.share(slot)).any(|share| share.loads.has(load))
    }

    /// The slots of other processes that wait.
    pub(super) fn waiting_elsewhere(&self) -> impl Iterator<Item = usize> + use<'a> {
        let (own, states) = (self.own, self.file.words.states().iter().enumerate());
        let waits =
            move |(slot, word): &(usize, &AtomicU64)| Some(*slot) != own && SlotState::of(word).waits();
        states.filter(waits).map(|(slot, _)| slot)
    }

    /// Finds the dead, and those of them whose memory is back. Whether anything has changed. `available_bytes` says what
    /// the machine can give; it is asked only where somebody has died.
    pub(super) fn reap(&self, available_bytes: &dyn Fn() -> Option<u64>) -> bool {
        let mut available = None;
        let mut measure = || *available.get_or_insert_with(available_bytes);
        let others: Vec<_> = self.taken().filter(|(slot, _)| Some(*slot) != self.own).collect();
        others.into_iter().fold(false, |changed, (slot, tenure)| {
            let outcome = match tenure {
                Tenure::Elsewhere if self.is_kept(slot) => false,
                Tenure::Live | Tenure::Elsewhere | Tenure::Damaged => self.bury(slot, tenure, &mut measure),
                Tenure::Draining => self.free(slot, &mut measure),
                Tenure::Free => false,
            };
            outcome || changed
        })
    }

    /// Holds the lock of a slot while nobody else does, and its word is still what it was.
    fn locked(&self, slot: usize, tenure: Tenure, act: impl FnOnce(SlotState) -> bool) -> bool {
        let (file, at_byte) = (self.file.file.as_fd(), SLOT_LOCKS_AT + slot as u64);
        if !try_lock(file, at_byte, Lock::Exclusive).unwrap_or(false) {
            return false;
        }
        let outcome = self.state(slot).filter(|state| state.tenure() == tenure).is_some_and(act);
        // It fails only for a descriptor that is closed, with which the lock has gone.
        let _ = unlock(file, at_byte);
        outcome
    }

    pub(super) fn state(&self, slot: usize) -> Option<SlotState> {
        self.file.words.states().get(slot).map(SlotState::of)
    }

    pub(super) fn write_state(&self, slot: usize, state: SlotState) {
        if let Some(word) = self.file.words.states().get(slot) {
            state.write_to(word);
        }
    }

    /// A slot whose lock nobody holds is a dead process's.
    fn bury(&self, slot: usize, tenure: Tenure, measure: &mut dyn FnMut() -> Option<u64>) -> bool {
        self.locked(slot, tenure, |state| {
            let share = self.share(slot);
            if share.is_none()
                && let Some(cell) = self.file.words.share(slot)
            {
                cell.write(&SlotShare::default().to_words()); // What it held nobody can tell.
            }
            let share = share.unwrap_or_default();
            let not_taken = share.asked_bytes.saturating_add(share.unsettled.reported_bytes);
            let now = now_ns();
            let drain = Drain {
                available_before_bytes: measure(),
                taken_bytes: share.held_bytes.saturating_sub(not_taken),
                until_ns: now.saturating_add(self.drain_ns),
                since_ns: now,
            };
            if let Some(cell) = self.file.words.drain(slot) {
                cell.write(&drain.to_words());
            }
            reach(Point::Buried);
            // Where it had taken nothing, there is nothing to wait for.
            self.write_state(slot, if drain.taken_bytes == 0 { state.freed() } else { state.draining() });
            true
        })
    }

    /// The memory of a dead process is back.
    fn free(&self, slot: usize, measure: &mut dyn FnMut() -> Option<u64>) -> bool {
        // A drain that cannot be read has no end of its own: it is over.
        let is_over = |drain: Drain, available| drain.is_over(available, now_ns(), self.drain_ns);
        let before = self.state(slot);
        if self.drain(slot).is_some_and(|drain| !is_over(drain, measure())) {
            return false;
        }
        // While that was measured, the slot may have been freed, claimed, and left by another who died: its drain is not this.
        self.locked(slot, Tenure::Draining, |state| {
            if Some(state) != before {
                return false;
            }
            reach(Point::Freed);
            self.write_state(slot, state.freed());
            true
        })
    }

    /// Whether the process of a slot that is elsewhere may live: one that cannot be seen from here for as long as its slot is
    /// kept, and no longer.
    fn is_kept(&self, slot: usize) -> bool {
        let is_late = || self.drain(slot).is_none_or(|drain| now_ns() >= drain.until_ns);
        self.notice(slot).is_some_and(|notice| notice.identity().is_alive().unwrap_or_else(|| !is_late()))
    }

    /// Takes the slot that was kept for this share, or a free one; its lock is held from then on. None where all are taken.
    pub(super) fn claim(
        &self,
        share: &SlotShare,
        notice: &SlotNotice,
    ) -> std::io::Result<Option<(usize, SlotState)>> {
        // In its place, so that nobody who counts meanwhile misses it.
        let is_own = |slot: usize| self.notice(slot).is_some_and(|kept| kept.is_of_share(notice));
        let kept = self.taken().filter(|(_, tenure)| *tenure == Tenure::Elsewhere);
        for slot in kept.map(|(slot, _)| slot).filter(|slot| is_own(*slot)) {
            if let Some(claim) = self.try_claim(slot, Tenure::Elsewhere, share, notice)? {
                return Ok(Some((slot, claim)));
            }
        }
        for slot in 0..SLOT_COUNT {
            if let Some(claim) = self.try_claim(slot, Tenure::Free, share, notice)? {
                return Ok(Some((slot, claim)));
            }
        }
        Ok(None)
    }

    /// Takes a slot that is still of that tenure, if nobody holds its lock.
    fn try_claim(
        &self,
        slot: usize,
        tenure: Tenure,
        share: &SlotShare,
        notice: &SlotNotice,
    ) -> std::io::Result<Option<SlotState>> {
        let (file, at_byte) = (self.file.file.as_fd(), SLOT_LOCKS_AT + slot as u64);
        let state = || self.state(slot).filter(|state| state.tenure() == tenure);
        if state().is_none() || !try_lock(file, at_byte, Lock::Exclusive)? {
            return Ok(None);
        }
        let Some(state) = state() else {
            // Another process has claimed it meanwhile, and died.
            unlock(file, at_byte)?;
            return Ok(None);
        };
        reach(Point::Locked);
        if let Some(cell) = self.file.words.ask(slot) {
            cell.clear();
        }
        self.write(slot, share);
        self.write_notice(slot, notice);
        reach(Point::Claimed);
        let claim = state.claimed();
        self.write_state(slot, claim);
        Ok(Some(claim))
    }

    /// Makes its own slot nobody's.
    pub(super) fn leave(&self, slot: usize, claim: SlotState) {
        self.write(slot, &SlotShare::default());
        self.write_state(slot, claim.freed());
    }

    pub(super) fn write(&self, slot: usize, share: &SlotShare) {
        if let Some(cell) = self.file.words.share(slot) {
            cell.write(&share.to_words());
        }
    }

    pub(super) fn write_notice(&self, slot: usize, notice: &SlotNotice) {
        if let Some(cell) = self.file.words.notice(slot) {
            cell.write(&notice.to_words());
        }
    }
}

impl SlotNotice {
    /// Whether both tell of one share, which keeps the moment when it was first taken wherever it goes.
    pub(super) fn is_of_share(&self, other: &Self) -> bool {
        (self.since_ns, self.uid) == (other.since_ns, other.uid)
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            pid: self.pid,
            uid: self.uid,
            started_ticks: self.started_ticks,
            pid_namespace: self.pid_namespace,
        }
    }
}
