//! Numbers and texts in few bytes.

/// Collects numbers and texts. A number takes as many bytes as it has sevens of bits (LEB128), a text its length before it.
#[derive(Debug, Default)]
pub(super) struct PayloadWriter(pub(super) Vec<u8>);

impl PayloadWriter {
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A number that may be missing.
    pub(super) fn maybe(&mut self, number: Option<u64>) {
        self.number(number.map_or(0, |number| number.saturating_add(1)));
    }

    /// The first bytes of a text, up to the end of a character.
    pub(super) fn text(&mut self, text: &str, most_bytes: usize) {
        let text = text.get(..text.floor_char_boundary(most_bytes)).unwrap_or_default();
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    /// As many items as fit before `end`, their count before them. Returns how many were left out.
    pub(super) fn list<T>(&mut self, items: &[T], end: usize, write: impl Fn(&mut Self, &T)) -> usize {
        let mut list = Self::default();
        let mut count = 0;
        for item in items {
            let before = list.0.len();
            write(&mut list, item);
            // The count takes up to three bytes.
            if self.0.len() + 3 + list.0.len() > end {
                list.0.truncate(before);
                break;
            }
            count += 1;
        }
        self.number(count as u64);
        self.0.extend(list.0);
        items.len() - count
    }
}

/// The bytes end before what should be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended;

/// Takes them apart again. Whatever the bytes are, it ends with them.
#[derive(Debug)]
pub(super) struct PayloadReader<'a>(pub(super) &'a [u8]);

impl PayloadReader<'_> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number that may be missing; by `Err` where there is none to read.
    pub(super) fn maybe(&mut self) -> Result<Option<u64>, Ended> {
        Ok(self.number().ok_or(Ended)?.checked_sub(1))
    }

    /// A text, with nothing in it that a terminal obeys.
    pub(super) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let text = String::from_utf8_lossy(text);
        Some(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
    }

    /// Items with their count before them. No room is kept for more of them than there are bytes.
    pub(super) fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())?;
        (0..count).map(|_| read(self)).collect()
    }
}
