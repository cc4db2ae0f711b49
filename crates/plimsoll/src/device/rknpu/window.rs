//! Where buffers lie in the addresses of a domain: what is used, and the largest hole.
//!
//! ```text
//!   0     4 KiB                                                                        4 GiB
//!   |  -  |        hole        | buffer |      hole      |     buffer     | buffer |     |
//! ```
//!
//! The NPU's page tables know 32-bit addresses: a domain has 4 GiB of them, and never page 0. The kernel looks for a
//! place from the top downwards. Unless told otherwise, it starts a buffer at a multiple of its size rounded up to a
//! power of two; so in an empty domain 256 MiB fit fifteen times, 300 MiB only seven, and 2 GiB once.

use std::{collections::BTreeMap, ops::Range};

/// All addresses of a domain, in bytes.
pub const WINDOW_BYTES: u64 = 1 << 32;

/// The NPU's page; the first one is never given out.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Where a buffer may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// At a multiple of its size rounded up to a power of two: every driver's rule.
    Size,
    /// At any page: drivers since 0.9.8, where a buffer asks for it.
    Page,
}

impl Alignment {
    fn of(self, bytes: u64) -> u64 {
        match self {
            Self::Size => bytes.checked_next_power_of_two().unwrap_or(WINDOW_BYTES).max(PAGE_BYTES),
            Self::Page => PAGE_BYTES,
        }
    }
}

/// The addresses of one domain, as far as this process has filled them. What other programs hold there is not known to
/// anybody but the kernel: the window says what can fit at best.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Starts and ends of what is used.
    used: BTreeMap<u64, u64>,
}

impl Window {
    /// Marks the pages of a buffer that starts there as used.
    pub fn fill(&mut self, start: u64, bytes: u64) {
        let end = start.saturating_add(bytes).min(WINDOW_BYTES);
        self.used.insert(start, end.next_multiple_of(PAGE_BYTES));
    }

    /// Marks those of the buffer that starts there as free again.
    pub fn clear(&mut self, start: u64) {
        self.used.remove(&start);
    }

    /// Bytes of addresses in use.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used.iter().map(|(start, end)| end.saturating_sub(*start)).sum()
    }

    /// Bytes of addresses that are free, in holes of whatever size; the first page, which is never given out, is not.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        (WINDOW_BYTES - PAGE_BYTES).saturating_sub(self.used_bytes())
    }

    /// The largest buffer that has a place, in bytes.
    #[must_use]
    pub fn largest_hole_bytes(&self, alignment: Alignment) -> u64 {
        self.holes().map(|hole| largest_in(&hole, alignment)).max().unwrap_or(0)
    }

    /// Where the kernel would put a buffer: the highest place that is aligned as it must be.
    #[must_use]
    pub fn place(&self, bytes: u64, alignment: Alignment) -> Option<u64> {
        let bytes = bytes.checked_next_multiple_of(PAGE_BYTES)?;
        let highest_in = |hole: Range<u64>| {
            let start = hole.end.checked_sub(bytes)? & !(alignment.of(bytes) - 1);
            (start >= hole.start).then_some(start)
        };
        self.holes().filter_map(highest_in).max()
    }

    /// Where a buffer should go, and by which rule, when a driver heeds none stricter than this one. Powers of two lie
    /// side by side by the rule of sizes; any other size leaves a gap by it.
    #[must_use]
    pub fn fit(&self, bytes: u64, least_strict: Alignment) -> Option<(u64, Alignment)> {
        let preferred = if bytes.is_power_of_two() { Alignment::Size } else { least_strict };
        let placed = |alignment| self.place(bytes, alignment).map(|start| (start, alignment));
        placed(preferred).or_else(|| placed(least_strict))
    }

    /// The free ranges, lowest first.
    fn holes(&self) -> impl Iterator<Item = Range<u64>> {
        let starts = [PAGE_BYTES].into_iter().chain(self.used.values().copied());
        let ends = self.used.keys().copied().chain([WINDOW_BYTES]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|hole| !hole.is_empty())
    }
}

/// The largest buffer with a place in a hole. By the rule of sizes, one of more than half of a power of two starts at a
/// multiple of that power, and has at most that many bytes.
fn largest_in(hole: &Range<u64>, alignment: Alignment) -> u64 {
    let after = |start: u64| hole.end.saturating_sub(start);
    match alignment {
        Alignment::Page => after(hole.start),
        Alignment::Size => (PAGE_BYTES.ilog2()..=WINDOW_BYTES.ilog2())
            .map(|power| (1 << power, after(hole.start.next_multiple_of(1 << power))))
            .map(|(most, room)| room.min(most))
            .max()
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{GIB, MIB};
    use proptest::prelude::*;

    /// How often a buffer of that size fits into an empty domain.
    fn times(bytes: u64, alignment: Alignment) -> usize {
        let mut window = Window::default();
        let place = || {
            let start = window.place(bytes, alignment)?;
            window.fill(start, bytes);
            Some(start)
        };
        std::iter::from_fn(place).count()
    }

    #[test]
    fn as_many_slabs_fit_as_boards_have_been_seen_to_take() {
        for (bytes, fit) in [
            (2 * GIB + 4096, 0),
            (2 * GIB, 1),
            (GIB + 4096, 1),
            (GIB, 3),
            (512 * MIB + 4096, 3),
            (512 * MIB, 7),
            (300 * MIB, 7),
            (256 * MIB, 15),
            (128 * MIB, 31),
            (64 * MIB, 63),
        ] {
            assert_eq!(times(bytes, Alignment::Size), fit, "{} MiB", bytes / MIB);
        }
    }

    #[test]
    fn the_sizes_that_people_reported_to_fail_are_predicted_to() {
        assert_eq!(times(3_085_697_024, Alignment::Size), 0);
        assert_eq!(times(4_022_861_824, Alignment::Size), 0);
        assert_eq!(times(1_427_746_880, Alignment::Size), 1);
        assert_eq!(times(1_418_407_808, Alignment::Size), 1);
        // Without the rule they have a place.
        assert_eq!(times(3_085_697_024, Alignment::Page), 1);
        assert_eq!(times(4_022_861_824, Alignment::Page), 1);
        assert_eq!(times(1_427_746_880, Alignment::Page), 3);
    }

    #[test]
    fn an_empty_window_has_all_but_its_first_page() {
        let window = Window::default();
        assert_eq!((window.used_bytes(), window.free_bytes()), (0, WINDOW_BYTES - PAGE_BYTES));
        assert_eq!(window.largest_hole_bytes(Alignment::Page), WINDOW_BYTES - PAGE_BYTES);
        assert_eq!(window.largest_hole_bytes(Alignment::Size), 2 * GIB);
    }

    #[test]
    fn powers_of_two_keep_to_the_rule_of_sizes_as_long_as_they_can() {
        let mut window = Window::default();
        assert_eq!(window.fit(64 * MIB, Alignment::Page), Some((WINDOW_BYTES - 64 * MIB, Alignment::Size)));
        assert_eq!(window.fit(300 * MIB, Alignment::Page), Some((WINDOW_BYTES - 300 * MIB, Alignment::Page)));
        assert_eq!(window.fit(300 * MIB, Alignment::Size), Some((WINDOW_BYTES - 512 * MIB, Alignment::Size)));
        window.fill(2 * GIB - 4096, 2 * GIB + 4096);
        assert_eq!(window.fit(GIB, Alignment::Page), Some((GIB - 4096, Alignment::Page)));
        assert_eq!(window.fit(GIB, Alignment::Size), None);
    }

    #[test]
    fn absurd_sizes_have_no_place() {
        for bytes in [WINDOW_BYTES, u64::MAX, u64::MAX - 4096, 1 << 63] {
            for alignment in [Alignment::Size, Alignment::Page] {
                assert_eq!(Window::default().place(bytes, alignment), None);
            }
        }
    }

    proptest! {
        /// The largest hole is what its name says, in windows of any shape; and no place overlaps another or page 0.
        #[test]
        fn the_largest_hole_fits_and_one_page_more_does_not(
            steps in prop::collection::vec((1_u64..(700 << 8), any::<bool>(), any::<bool>()), 1..40)
        ) {
            let mut window = Window::default();
            let mut taken: Vec<Range<u64>> = Vec::new();
            for (pages, by_page, free) in steps {
                let bytes = pages * PAGE_BYTES;
                let alignment = if by_page { Alignment::Page } else { Alignment::Size };
                if let Some(start) = window.place(bytes, alignment) {
                    let range = start..start + bytes;
                    prop_assert!(start >= PAGE_BYTES && range.end <= WINDOW_BYTES);
                    prop_assert!(taken.iter().all(|other| range.end <= other.start || other.end <= start));
                    prop_assert!(by_page || start.is_multiple_of(bytes.next_power_of_two()));
                    window.fill(start, bytes);
                    taken.push(range);
                }
                if free {
                    window.clear(taken.swap_remove(pages as usize % taken.len()).start);
                }
                for alignment in [Alignment::Size, Alignment::Page] {
                    let hole = window.largest_hole_bytes(alignment);
                    prop_assert!(hole == 0 || window.place(hole, alignment).is_some());
                    prop_assert_eq!(window.place(hole + PAGE_BYTES, alignment), None);
                }
            }
        }
    }
}
