//! The memory of a process that has died: it counts until the machine has it back.

use super::layout::DRAIN_WORDS;

/// How the bytes of a dead process come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drain {
    /// What the machine could give when the death was found, in bytes; none where it could not be read.
    pub(super) available_before_bytes: Option<u64>,
    /// What the process had taken of its grants, in bytes.
    pub(super) taken_bytes: u64,
    /// When nobody waits for it any longer, in nanoseconds since the board started.
    pub(super) until_ns: u64,
    /// When the death was found.
    pub(super) since_ns: u64,
}

/// No figure.
const UNKNOWN: u64 = u64::MAX;

impl Drain {
    pub(super) fn to_words(self) -> [u64; DRAIN_WORDS] {
        [self.available_before_bytes.unwrap_or(UNKNOWN), self.taken_bytes, self.until_ns, self.since_ns]
    }

    pub(super) fn from_words(words: &[u64; DRAIN_WORDS]) -> Self {
        let [before, taken_bytes, until_ns, since_ns] = *words;
        let available_before_bytes = Some(before).filter(|bytes| *bytes != UNKNOWN);
        Self { available_before_bytes, taken_bytes, until_ns, since_ns }
    }

    /// Whether the memory is back: the machine can give that much more than when the death was found, or the time is over.
    /// No drain takes longer than `most_ns`, whatever a damaged one says.
    pub(super) fn is_over(&self, available_bytes: Option<u64>, now_ns: u64, most_ns: u64) -> bool {
        let is_late = now_ns >= self.until_ns || self.until_ns - now_ns > most_ns;
        let has_risen = match (self.available_before_bytes, available_bytes) {
            (Some(before), Some(now)) => now.saturating_sub(before) >= self.taken_bytes,
            _ => self.taken_bytes == 0,
        };
        is_late || has_risen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_ends_when_the_machine_has_it_back_or_its_time_is_over() {
        let drain = Drain { available_before_bytes: Some(100), taken_bytes: 50, until_ns: 1000, since_ns: 0 };
        assert!(!drain.is_over(Some(149), 0, 1000) && drain.is_over(Some(150), 0, 1000));
        assert!(!drain.is_over(None, 999, 1000) && drain.is_over(None, 1000, 1000));
        assert!(drain.is_over(None, 0, 999), "nobody waits longer than the longest drain");
        assert!(Drain { taken_bytes: 0, ..drain }.is_over(None, 0, 1000), "it had taken nothing");
        let unknown = Drain { available_before_bytes: None, ..drain };
        assert!(!unknown.is_over(Some(1 << 40), 0, 1000));
        for drain in [drain, unknown] {
            assert_eq!(Drain::from_words(&drain.to_words()), drain);
        }
    }
}
