//! The words by which one process asks another to give something back.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    layout::checksum,
    points::{Point, reach},
};
use crate::budget::{SharedAnswer, SharedAsk};

/// Words of a cell: who asks until when, how much, for which priority, and a checksum.
pub(super) const WORDS: usize = 4;

/// The low bits of the first word, which say who asks: its slot and one. The others are the time until when. Without a time
/// they say that what this one asked was declined.
const BY: u64 = 0x1ff;

/// How long the words of one who died while it wrote them are in the way.
const WRITING_NS: u64 = 100_000_000;

/// The longest that a request stands, so that nobody is kept from asking by one who has gone; who still needs it asks again.
const MOST_NS: u64 = 10_000_000_000;

/// What a process is asked for. Any process writes it, one at a time: until it was answered, or who asked waits no longer, or the
/// time of its request is over, or it asks anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskCell<'a>(&'a [AtomicU64]);

impl<'a> AskCell<'a> {
    pub(super) fn over(words: &'a [AtomicU64]) -> Option<Self> {
        words.get(..WORDS).map(Self)
    }

    /// Asks, as the process of that slot, and returns the id of that. None where it may not, as another asks, which is in a
    /// slot that `waits`.
    pub(super) fn write(
        &self,
        by: usize,
        ask: &SharedAsk,
        now_ns: u64,
        waits: impl Fn(usize) -> bool,
    ) -> Option<u64> {
        let [first, bytes, priority, sum] = self.0 else { return None };
        let by = (by as u64 + 1) & BY;
        let before = first.load(Ordering::Acquire);
        let stands = now_ns < before & !BY && before & !BY <= now_ns.saturating_add(MOST_NS);
        let is_of_waiter = || (before & BY).checked_sub(1).is_some_and(|slot| waits(slot as usize));
        if stands && before & BY != by && is_of_waiter() {
            return None;
        }
        let writing = now_ns.saturating_add(WRITING_NS) & !BY | by;
        first.compare_exchange(before, writing, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        reach(Point::Asking);
        let until_ns = ask.until_ns.min(now_ns.saturating_add(MOST_NS));
        let last = until_ns & !BY | by;
        let words = [last, ask.bytes, u64::from(ask.priority.cast_unsigned())];
        bytes.store(ask.bytes, Ordering::Relaxed);
        priority.store(u64::from(ask.priority.cast_unsigned()), Ordering::Relaxed);
        sum.store(checksum(&words), Ordering::Relaxed);
        first.compare_exchange(writing, last, Ordering::Release, Ordering::Relaxed).ok().map(|_| last)
    }

    /// What was asked under that id is answered. It is not where something else is asked by now.
    pub(super) fn answer(&self, id: u64, answer: SharedAnswer) {
        let word = match answer {
            SharedAnswer::Stands => return,
            SharedAnswer::Over => 0,
            SharedAnswer::Declined => id & BY,
        };
        if let Some(first) = self.0.first() {
            let _ = first.compare_exchange(id, word, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// What has become of what was asked under that id.
    pub(super) fn answer_of(&self, id: u64) -> SharedAnswer {
        match self.0.first().map(|first| first.load(Ordering::Acquire)) {
            Some(word) if word == id => SharedAnswer::Stands,
            Some(word) if word == id & BY => SharedAnswer::Declined,
            _ => SharedAnswer::Over,
        }
    }

    /// Forgets what was asked of an earlier holder of the slot.
    pub(super) fn clear(&self) {
        if let Some(first) = self.0.first() {
            first.store(0, Ordering::Release);
        }
    }

    /// What is asked for at that time, if anything whole is.
    pub(super) fn read(&self, now_ns: u64) -> Option<SharedAsk> {
        let [first, bytes, priority, sum] = self.0 else { return None };
        let id = first.load(Ordering::Acquire);
        let words = [id, bytes.load(Ordering::Relaxed), priority.load(Ordering::Relaxed)];
        let is_whole = sum.load(Ordering::Relaxed) == checksum(&words);
        let [_, bytes, priority] = words;
        let ask = SharedAsk { id, bytes, priority: (priority as u32).cast_signed(), until_ns: id & !BY };
        (is_whole && ask.until_ns > now_ns).then_some(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_at_a_time_until_its_time_is_over() {
        let words: [AtomicU64; WORDS] = std::array::from_fn(|_| AtomicU64::new(0));
        let cell = AskCell::over(&words).unwrap();
        let until = 1 << 20;
        let ask = |bytes, priority| SharedAsk { id: 0, bytes, priority, until_ns: until };
        let waits = |_| true;
        assert_eq!(cell.read(1), None);
        let id = cell.write(3, &ask(100, -2), 1, waits).unwrap();
        let read = cell.read(2).unwrap();
        assert_eq!((read.id, read.bytes, read.priority, read.until_ns), (id, 100, -2, until));
        assert_eq!(cell.write(4, &ask(50, 9), 2, waits), None, "another is asking");
        assert!(cell.write(3, &ask(70, 1), 2, waits).is_some(), "it may ask anew");
        assert_eq!(cell.read(2).unwrap().bytes, 70);
        assert_eq!(cell.read(until), None);
        assert!(cell.write(4, &SharedAsk { until_ns: until * 2, ..ask(50, 9) }, until, waits).is_some());
        assert_eq!(cell.read(until).unwrap().bytes, 50);
        words[1].store(51, Ordering::Relaxed);
        assert_eq!(cell.read(until), None, "damaged");
    }

    #[test]
    fn what_was_answered_and_what_the_asker_waits_for_no_longer_is_in_nobodys_way() {
        let words: [AtomicU64; WORDS] = std::array::from_fn(|_| AtomicU64::new(0));
        let cell = AskCell::over(&words).unwrap();
        let ask = SharedAsk { id: 0, bytes: 1, priority: 0, until_ns: 1 << 20 };
        for (answer, of) in [SharedAnswer::Over, SharedAnswer::Declined].into_iter().zip([7, 8]) {
            let id = cell.write(of, &ask, 1, |_| true).unwrap();
            assert_eq!(cell.answer_of(id), SharedAnswer::Stands);
            cell.answer(id + 512, SharedAnswer::Over);
            cell.answer(id, SharedAnswer::Stands);
            assert_eq!(cell.answer_of(id), SharedAnswer::Stands, "that was another");
            cell.answer(id, answer);
            assert_eq!((cell.answer_of(id), cell.read(2)), (answer, None));
        }
        let id = cell.write(3, &ask, 1, |_| true).unwrap();
        let next = cell.write(4, &ask, 1, |slot| slot != 3).unwrap();
        assert_eq!((cell.answer_of(id), cell.answer_of(next)), (SharedAnswer::Over, SharedAnswer::Stands));
    }
}
