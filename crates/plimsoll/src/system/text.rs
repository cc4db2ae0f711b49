//! Reading the kernel's small texts: names, numbers, sizes. Nothing here panics or guesses: what is no number is none.

use super::root::Reason;
use crate::units::{KIB, MAX_BYTES};

/// The text of a file of the kernel.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(bytes).map_err(|_| Reason::Malformed("text"))
}

/// A whole number and nothing else but blanks around it.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    let digits = text.trim();
    // `parse` would take "+1".
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

/// A whole number of the size of a figure: no machine has more bytes, pages or kills than [`MAX_BYTES`].
pub(super) fn number(text: &str) -> Option<u64> {
    whole_number(text).filter(|number| *number <= MAX_BYTES)
}

/// A number of KiB, in bytes.
pub(super) fn kib(text: &str) -> Option<u64> {
    number(text)?.checked_mul(KIB).filter(|bytes| *bytes <= MAX_BYTES)
}

/// The rest of the first line that begins with `name`, which must be followed by `separator`.
pub(super) fn field<'t>(text: &'t str, name: &str, separator: char) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(separator))
}

/// The size behind `name:`, written in kB as `/proc` does, in bytes.
pub(super) fn kib_field(text: &str, name: &str) -> Option<u64> {
    kib(field(text, name, ':')?.trim().strip_suffix("kB")?)
}

/// The number behind `name` and a blank, as in `/proc/vmstat` and `memory.stat`.
pub(super) fn count_field(text: &str, name: &str) -> Option<u64> {
    number(field(text, name, ' ')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_are_numbers() {
        assert_eq!(number(" 12\n"), Some(12));
        for text in ["", "+1", "-1", "1.5", "0x10", "18446744073709551616", "9007199254740992", "1 2", "max"]
        {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "oom_kill_extra 7\noom_kill 3\n";
        assert_eq!(count_field(text, "oom_kill"), Some(3));
        assert_eq!(count_field(text, "oom"), None);
        assert_eq!(kib_field("MemTotal:       2 kB\n", "MemTotal"), Some(2048));
        for text in [
            "MemTotal: 2",
            "MemTotal: 2 MB",
            "MemTotal 2 kB",
            "XMemTotal: 2 kB",
            "MemTotal: 99999999999999999 kB",
            "MemTotal: 8796093022208 kB",
        ] {
            assert_eq!(kib_field(text, "MemTotal"), None, "{text:?}");
        }
    }
}
