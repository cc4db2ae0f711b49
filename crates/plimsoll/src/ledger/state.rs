//! The word that says what a slot is.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenure {
    /// Nobody's.
    Free,
    /// Of a process that lives, or has not been found dead.
    Live,
    /// Of a dead one, whose memory is not back yet.
    Draining,
    /// Of a process that lives and has its share in a file that was removed: it comes over when it next acts.
    Elsewhere,
    /// Nobody can tell: something else was written there. Who has it, if anybody lives, holds its lock.
    Damaged,
}

/// The word of a slot: what it is, whether its process waits, and how often it was claimed; above, the same inverted, so that
/// neither a bit that flips nor bytes of one value make a slot nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotState(u64);

const TENURE: u32 = 0b11;
const WAITS: u32 = 0b100;
const CLAIM: u32 = 1 << 8;

impl SlotState {
    /// Nobody's, and never claimed.
    pub(super) const FREE: Self = Self::whole(0);

    const fn whole(half: u32) -> Self {
        Self((!half as u64) << 32 | half as u64)
    }

    fn half(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn of(word: &AtomicU64) -> Self {
        Self(word.load(Ordering::Acquire))
    }

    pub(super) fn write_to(self, word: &AtomicU64) {
        word.store(self.0, Ordering::Release);
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_ne_bytes()
    }

    pub(super) fn tenure(self) -> Tenure {
        match self.half() & TENURE {
            _ if Self::whole(self.half()) != self => Tenure::Damaged,
            0 => Tenure::Free,
            1 => Tenure::Live,
            2 => Tenure::Draining,
            _ => Tenure::Elsewhere,
        }
    }

    pub(super) fn waits(self) -> bool {
        self.tenure() == Tenure::Live && self.half() & WAITS != 0
    }

    /// Claimed once more.
    pub(super) fn claimed(self) -> Self {
        Self::whole((self.half() & !(CLAIM - 1)).wrapping_add(CLAIM) | 1)
    }

    pub(super) fn draining(self) -> Self {
        Self::whole(self.half() & !(CLAIM - 1) | 2)
    }

    /// Of one whose share is in another file.
    pub(super) fn elsewhere(self) -> Self {
        Self::whole(self.half() & !(CLAIM - 1) | 3)
    }

    pub(super) fn freed(self) -> Self {
        Self::whole(self.half() & !(CLAIM - 1))
    }

    pub(super) fn waiting(self, waits: bool) -> Self {
        Self::whole(if waits { self.half() | WAITS } else { self.half() & !WAITS })
    }

    /// A word that tells nothing.
    pub(super) const DAMAGED: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_claimed_waits_drains_and_is_free_again() {
        let free = SlotState::FREE;
        let live = free.claimed();
        assert_eq!((free.tenure(), live.tenure()), (Tenure::Free, Tenure::Live));
        assert!(live.waiting(true).waits() && !live.waiting(true).waiting(false).waits());
        let draining = live.waiting(true).draining();
        assert_eq!((draining.tenure(), draining.waits()), (Tenure::Draining, false));
        assert_eq!(draining.freed().tenure(), Tenure::Free);
        assert_eq!(free.elsewhere().tenure(), Tenure::Elsewhere);
        assert_eq!(free.elsewhere().draining().tenure(), Tenure::Draining);
        assert_ne!(draining.freed().claimed(), live, "another claim is told from the first");
        assert_eq!(SlotState(u64::MAX).claimed().tenure(), Tenure::Live, "the count begins anew");
    }

    #[test]
    fn a_bit_that_flips_and_bytes_of_one_value_are_damage() {
        let states = [
            SlotState::FREE,
            SlotState::FREE.claimed().waiting(true),
            SlotState::FREE.claimed().draining(),
            SlotState::FREE.elsewhere(),
        ];
        for state in states {
            assert!(
                (0..64).all(|bit| SlotState(state.0 ^ 1 << bit).tenure() == Tenure::Damaged),
                "{state:?}"
            );
        }
        assert!((0..=255).all(|byte| SlotState(u64::from_ne_bytes([byte; 8])).tenure() == Tenure::Damaged));
        assert_eq!(SlotState::DAMAGED.tenure(), Tenure::Damaged);
        assert_eq!(SlotState::DAMAGED.claimed().tenure(), Tenure::Live);
    }
}
