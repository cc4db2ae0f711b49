//! What a process holds of the board, as it stands in its slot.

use super::layout::{FIGURES_WORDS, checksum};
use crate::budget::Unsettled;

/// How many loads of keys a process may have under way at once; one more waits.
const MOST_LOADS: usize = 8;

/// What a process holds, wants and could do without. Sizes are bytes, times nanoseconds since the board started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotShare {
    /// Granted to it, with what it is just asking for.
    pub held_bytes: u64,
    /// Of that, what it is just asking for: it may be refused yet.
    pub asked_bytes: u64,
    /// Of what it holds, what it can be asked to give back.
    pub revocable_bytes: u64,
    /// What it was granted and has not taken.
    pub unsettled: Unsettled,
    /// How important it is; higher is more.
    pub priority: i32,
    /// When it was last used, 0 where nobody says.
    pub used_at_ns: u64,
    /// The request of it that is next, if any waits.
    pub waiting: Option<LedgerWaiting>,
    /// What it loads at this moment.
    pub loads: Loads,
}

/// The keys of what a process loads, each as a number that is hardly ever another's; 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loads([u64; MOST_LOADS]);

/// A key as that number.
pub(super) fn load_of(key: &str) -> u64 {
    let words =
        key.as_bytes().chunks(8).map(|part| part.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    let words: Vec<u64> = words.chain([key.len() as u64]).collect();
    checksum(&words).max(1)
}

impl Loads {
    pub(super) fn has(&self, load: u64) -> bool {
        self.0.contains(&load)
    }

    /// Whether it was not there, and there was room for it.
    pub(super) fn insert(&mut self, load: u64) -> bool {
        let free = self.0.iter_mut().find(|place| **place == 0);
        free.map(|place| *place = load).is_some()
    }

    pub(super) fn remove(&mut self, load: u64) {
        self.0.iter_mut().filter(|place| **place == load).for_each(|place| *place = 0);
    }
}

/// A request that waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerWaiting {
    /// What it asks for, in bytes.
    pub bytes: u64,
    /// Its priority; higher comes first.
    pub priority: i32,
    /// Since when, in nanoseconds since the board started.
    pub since_ns: u64,
    /// What those who come after it must leave of what is free, in bytes.
    pub kept_bytes: u64,
    /// When its process last said that it waits.
    pub seen_ns: u64,
    /// How many of the same process wait, this one included.
    pub count: u32,
    /// Whether it is in nobody's way in other processes: what keeps it back is a bound of its own process, or a load there.
    pub stands_back: bool,
}

/// No figure.
const UNKNOWN: u64 = u64::MAX;

impl SlotShare {
    pub(super) fn to_words(self) -> [u64; FIGURES_WORDS] {
        let waiting = self.waiting.unwrap_or_default();
        let [first, second, third, fourth, fifth, sixth, seventh, eighth] = self.loads.0;
        [
            self.held_bytes,
            self.asked_bytes,
            self.revocable_bytes,
            self.unsettled.reported_bytes,
            self.unsettled.silent_bytes,
            self.unsettled.base_bytes.unwrap_or(UNKNOWN),
            priority_word(self.priority),
            self.used_at_ns,
            waiting.bytes,
            priority_word(waiting.priority),
            waiting.since_ns,
            u64::from(waiting.count),
            waiting.kept_bytes,
            waiting.seen_ns,
            u64::from(waiting.stands_back),
            0,
            first,
            second,
            third,
            fourth,
            fifth,
            sixth,
            seventh,
            eighth,
        ]
    }

    pub(super) fn from_words(words: &[u64; FIGURES_WORDS]) -> Self {
        let [
            held,
            asked,
            revocable,
            reported,
            silent,
            base,
            priority,
            used,
            wanted,
            rank,
            since,
            count,
            kept,
            seen,
            back,
            _,
            loads @ ..,
        ] = *words;
        let count = count as u32;
        Self {
            held_bytes: held,
            asked_bytes: asked.min(held),
            revocable_bytes: revocable.min(held),
            unsettled: Unsettled {
                reported_bytes: reported,
                silent_bytes: silent,
                base_bytes: Some(base).filter(|base| *base != UNKNOWN),
            },
            priority: priority_of(priority),
            used_at_ns: used,
            waiting: (count > 0).then(|| LedgerWaiting {
                bytes: wanted,
                priority: priority_of(rank),
                since_ns: since,
                kept_bytes: kept,
                seen_ns: seen,
                count,
                stands_back: back != 0,
            }),
            loads: Loads(loads),
        }
    }

    /// What of it is pending where the process has `resident_bytes` resident: what it asks for, too.
    pub(super) fn pending_bytes(&self, resident_bytes: Option<u64>) -> u64 {
        self.unsettled.pending_bytes(resident_bytes).saturating_add(self.asked_bytes).min(self.held_bytes)
    }
}

fn priority_word(priority: i32) -> u64 {
    u64::from(priority.cast_unsigned())
}

fn priority_of(word: u64) -> i32 {
    (word as u32).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_comes_back_as_it_was_written() {
        let waiting = LedgerWaiting {
            bytes: 7,
            priority: -3,
            since_ns: u64::MAX,
            kept_bytes: 4,
            seen_ns: 5,
            count: 2,
            stands_back: true,
        };
        let mut loads = Loads::default();
        assert!((1..9).all(|load| loads.insert(load)) && !loads.insert(9), "no more than eight");
        loads.remove(3);
        assert!(!loads.has(3) && loads.has(8));
        let unsettled = Unsettled { reported_bytes: 4, silent_bytes: 5, base_bytes: Some(6) };
        let share = SlotShare {
            held_bytes: 100,
            asked_bytes: 1,
            revocable_bytes: 2,
            unsettled,
            priority: i32::MIN,
            used_at_ns: 9,
            waiting: Some(waiting),
            loads,
        };
        for share in [share, SlotShare::default(), SlotShare { waiting: None, ..share }] {
            assert_eq!(SlotShare::from_words(&share.to_words()), share);
        }
    }

    #[test]
    fn pending_is_what_is_asked_for_and_what_growth_has_not_paid() {
        let unsettled = Unsettled { reported_bytes: 10, silent_bytes: 100, base_bytes: Some(1000) };
        let share = SlotShare { held_bytes: 500, asked_bytes: 7, unsettled, ..SlotShare::default() };
        assert_eq!(share.pending_bytes(None), 117);
        assert_eq!(share.pending_bytes(Some(1040)), 77);
        assert_eq!(share.pending_bytes(Some(5000)), 17);
    }
}
