//! Who has a slot, for those who look and for those who have to find the process.

use super::layout::NOTICE_WORDS;

/// Bytes of a name or a label; of a longer one the first of them are kept.
const TEXT_BYTES: usize = 64;

/// Words of one.
const TEXT_WORDS: usize = TEXT_BYTES / 8;

/// Who has a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotNotice {
    /// The process, as its own PID namespace numbers it.
    pub(super) pid: u32,
    pub(super) uid: u32,
    /// Field 22 of its `/proc/PID/stat`: with the number it names one process.
    pub(super) started_ticks: u64,
    /// The inode of its PID namespace.
    pub(super) pid_namespace: u64,
    /// When it took the slot, in nanoseconds since the board started.
    pub(super) since_ns: u64,
    /// What it calls itself.
    pub(super) name: String,
    /// The label of the request that is next.
    pub(super) waiting_label: String,
}

impl SlotNotice {
    pub(super) fn to_words(&self) -> [u64; NOTICE_WORDS] {
        let mut words = [0; NOTICE_WORDS];
        let numbers = [
            u64::from(self.pid) | u64::from(self.uid) << 32,
            self.started_ticks,
            self.pid_namespace,
            self.since_ns,
        ];
        let all = numbers.into_iter().chain(text_words(&self.name)).chain(text_words(&self.waiting_label));
        for (word, value) in words.iter_mut().zip(all) {
            *word = value;
        }
        words
    }

    pub(super) fn from_words(words: &[u64; NOTICE_WORDS]) -> Self {
        let [ids, started_ticks, pid_namespace, since_ns, texts @ ..] = words;
        let text = |from: usize| texts.get(from..from + TEXT_WORDS).map(text_of).unwrap_or_default();
        Self {
            pid: *ids as u32,
            uid: (*ids >> 32) as u32,
            started_ticks: *started_ticks,
            pid_namespace: *pid_namespace,
            since_ns: *since_ns,
            name: text(0),
            waiting_label: text(TEXT_WORDS),
        }
    }
}

/// The first bytes of a text, up to the end of a character.
fn text_words(text: &str) -> [u64; TEXT_WORDS] {
    let end = text.floor_char_boundary(TEXT_BYTES);
    let mut bytes = text.as_bytes().get(..end).unwrap_or_default().iter().copied();
    std::array::from_fn(|_| u64::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(0))))
}

fn text_of(words: &[u64]) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_le_bytes()).take_while(|byte| *byte != 0).collect();
    // From another process: nothing that a terminal obeys.
    String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_comes_back_as_it_was_written_long_names_cut_at_a_character() {
        let notice = SlotNotice {
            pid: 4_194_304,
            uid: u32::MAX,
            started_ticks: 1,
            pid_namespace: 2,
            since_ns: 3,
            name: "ä".repeat(32),
            waiting_label: "weights".to_owned(),
        };
        assert_eq!(SlotNotice::from_words(&notice.to_words()), notice);
        let long = SlotNotice { name: format!("x{}", "ä".repeat(40)), ..notice };
        assert_eq!(SlotNotice::from_words(&long.to_words()).name, format!("x{}", "ä".repeat(31)));
    }

    #[test]
    fn what_a_terminal_would_obey_does_not_come_back() {
        let notice = SlotNotice { name: "\u{1b}[2Jmodel\n".to_owned(), ..SlotNotice::default() };
        assert_eq!(SlotNotice::from_words(&notice.to_words()).name, "\u{fffd}[2Jmodel\u{fffd}");
    }
}
