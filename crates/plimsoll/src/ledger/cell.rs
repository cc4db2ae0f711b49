//! Words that one process writes and all may read, at any moment and whatever happens to the writer.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::layout::checksum;

/// How often a reader tries again because the writer was faster.
const MOST_READINGS: usize = 1000;

/// `COUNT` words in two copies, each with its checksum, and a turn that says which one counts.
///
/// The writer fills the other copy and then raises the turn, in one store. Killed or stopped before that, it leaves the older
/// words as they were. A reader takes the copy that counts, and takes it again where the turn has moved meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a, const COUNT: usize> {
    /// The turn, then the copies.
    words: &'a [AtomicU64],
}

/// What a [`Cell`] holds cannot be what somebody wrote into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

impl<'a, const COUNT: usize> Cell<'a, COUNT> {
    /// Words of a cell: the turn, and two copies with a checksum each.
    pub(super) const WORDS: usize = 1 + 2 * (COUNT + 1);

    /// The cell in these words; none where there are not so many.
    pub(super) fn over(words: &'a [AtomicU64]) -> Option<Self> {
        words.get(..Self::WORDS).map(|words| Self { words })
    }

    fn turn(&self) -> Option<&'a AtomicU64> {
        self.words.first()
    }

    /// The copy that counts at that turn.
    fn copy(&self, turn: u64) -> &'a [AtomicU64] {
        let from = if turn.is_multiple_of(2) { 1 } else { COUNT + 2 };
        self.words.get(from..from + COUNT + 1).unwrap_or_default()
    }

    /// Writes all words. One thread of one process at a time.
    pub(super) fn write(&self, words: &[u64; COUNT]) {
        let Some(turn) = self.turn() else { return };
        let next = turn.load(Ordering::Relaxed).wrapping_add(1);
        let sum = checksum(words) ^ next;
        // A reader that sees any of what follows sees that the turn has moved since it began: on arm64 too, where the stores
        // below could otherwise pass the last one of the turn.
        fence(Ordering::Release);
        for (place, word) in self.copy(next).iter().zip(words.iter().chain([&sum])) {
            place.store(*word, Ordering::Relaxed);
        }
        turn.store(next, Ordering::Release);
    }

    /// The words that were written last.
    ///
    /// # Errors
    ///
    /// [`Damaged`] where they are none that somebody wrote here.
    pub(super) fn read(&self) -> Result<[u64; COUNT], Damaged> {
        let turn = self.turn().ok_or(Damaged)?;
        let mut before = turn.load(Ordering::Acquire);
        for _ in 0..MOST_READINGS {
            let copy = self.copy(before);
            let mut words = [0; COUNT];
            for (word, place) in words.iter_mut().zip(copy) {
                *word = place.load(Ordering::Relaxed);
            }
            let sum = copy.last().ok_or(Damaged)?.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            let after = turn.load(Ordering::Relaxed);
            // One write meanwhile has not touched the copy that was read.
            if sum == checksum(&words) ^ before {
                return Ok(words);
            }
            if after == before {
                return Err(Damaged);
            }
            before = after;
        }
        Err(Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{array, thread};

    type Words = [AtomicU64; Cell::<3>::WORDS];

    fn words() -> Words {
        array::from_fn(|_| AtomicU64::new(0))
    }

    #[test]
    fn what_was_written_last_is_read_and_nothing_from_a_write_that_did_not_end() {
        let words = words();
        let cell = Cell::<3>::over(&words).unwrap();
        assert_eq!(cell.read(), Err(Damaged), "nobody has written anything");
        cell.write(&[1, 2, 3]);
        cell.write(&[4, 5, 6]);
        assert_eq!(cell.read(), Ok([4, 5, 6]));
        // A write that was killed before it raised the turn.
        for place in cell.copy(3) {
            place.store(99, Ordering::Relaxed);
        }
        assert_eq!(cell.read(), Ok([4, 5, 6]));
        cell.write(&[7, 8, 9]);
        assert_eq!(cell.read(), Ok([7, 8, 9]));
    }

    #[test]
    fn a_bit_that_flips_in_what_counts_is_damage() {
        for place in 0..Cell::<3>::WORDS {
            for bit in 0..64 {
                let words = words();
                let cell = Cell::<3>::over(&words).unwrap();
                cell.write(&[1, 2, 3]);
                cell.write(&[4, 5, 6]);
                words[place].fetch_xor(1 << bit, Ordering::Relaxed);
                let is_other_copy = (Cell::<3>::WORDS / 2 + 1..).contains(&place);
                let read = cell.read();
                assert!(read == Err(Damaged) || (is_other_copy && read == Ok([4, 5, 6])), "{place} {bit}");
            }
        }
    }

    #[test]
    fn a_reader_beside_a_busy_writer_never_sees_halves() {
        let words = words();
        let cell = Cell::<3>::over(&words).unwrap();
        cell.write(&[0; 3]);
        thread::scope(|scope| {
            let turns = if cfg!(miri) { 500 } else { 200_000 };
            scope.spawn(move || (0..turns).for_each(|turn| cell.write(&[turn, turn + 1, turn * 3])));
            let mut last = 0;
            while last < turns - 1 {
                let [first, second, third] = cell.read().unwrap();
                assert!(first == 0 || (second, third) == (first + 1, first * 3));
                assert!(first >= last);
                last = first;
            }
        });
    }
}
