//! Pages of one size in one slab, as a cache of keys and values takes them.
//!
//! ```text
//!   taken     a bit for each page: 1 is taken
//!   full      a bit for each word of `taken`: 1 is no page free in it
//!             and so on upwards, until one word tells of all
//! ```
//!
//! The lowest free page is found by one look at each level, of which there are four for sixteen million pages; so pages
//! stay together at the low end, and the slab above them empties.

#![deny(unsafe_code)]

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// Which page, and which of those that ever had its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageId {
    index: u32,
    generation: u32,
}

/// A page that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// By which it is freed.
    pub id: PageId,
    /// Where it begins in the slab, in bytes.
    pub offset_bytes: u64,
}

/// The page was freed before, or never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StalePage;

/// Which pages of a slab are free.
#[derive(Debug, Clone)]
pub struct PageAllocator {
    page_bytes: u64,
    /// Bitmaps from the pages upwards. Bits beyond the last page, or the last word below, are set: nothing is free there.
    levels: Vec<Vec<u64>>,
    /// Counts what was taken and freed of each page: odd while it is taken.
    generations: Vec<u32>,
    used_count: u32,
}

impl PageAllocator {
    /// As many pages as fit into a slab. A page of no bytes counts as one byte.
    #[must_use]
    pub fn new(size_bytes: u64, page_bytes: u64) -> Self {
        let page_bytes = page_bytes.max(1);
        let count = u32::try_from(size_bytes / page_bytes).unwrap_or(u32::MAX) as usize;
        let mut levels = vec![bits(count)];
        while let Some(words) = levels.last().map(Vec::len).filter(|words| *words > 1) {
            levels.push(bits(words));
        }
        Self { page_bytes, levels, generations: vec![0; count], used_count: 0 }
    }

    /// Takes the lowest free page; `None` when none is free. Constant time.
    pub fn allocate(&mut self) -> Option<Page> {
        let mut index = 0;
        for level in self.levels.iter().rev() {
            let free = level.get(index)?.trailing_ones() as usize;
            index = (free < WORD).then_some(index * WORD + free)?;
        }
        let generation = self.generations.get_mut(index)?;
        *generation = generation.wrapping_add(1);
        let id = PageId { index: index as u32, generation: *generation };
        self.used_count += 1;
        self.mark_used(index);
        Some(Page { id, offset_bytes: index as u64 * self.page_bytes })
    }

    /// Frees a page. Constant time.
    ///
    /// # Errors
    ///
    /// [`StalePage`] when it was freed before; nothing is changed then.
    pub fn free(&mut self, page: PageId) -> Result<(), StalePage> {
        let index = page.index as usize;
        let generation = self.generations.get_mut(index).filter(|generation| **generation == page.generation);
        let generation = generation.ok_or(StalePage)?;
        *generation = generation.wrapping_add(1);
        self.used_count -= 1;
        self.mark_free(index);
        Ok(())
    }

    fn mark_used(&mut self, mut index: usize) {
        for level in &mut self.levels {
            let Some(word) = level.get_mut(index / WORD) else { return };
            *word |= 1 << (index % WORD);
            if *word != u64::MAX {
                return;
            }
            index /= WORD;
        }
    }

    fn mark_free(&mut self, mut index: usize) {
        for level in &mut self.levels {
            let Some(word) = level.get_mut(index / WORD) else { return };
            let was_full = *word == u64::MAX;
            *word &= !(1 << (index % WORD));
            if !was_full {
                return;
            }
            index /= WORD;
        }
    }

    /// The size of a page, in bytes.
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// Pages that are free.
    #[must_use]
    pub fn free_count(&self) -> u32 {
        self.generations.len() as u32 - self.used_count
    }

    /// Bytes of the pages that are taken.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        u64::from(self.used_count) * self.page_bytes
    }

    /// Every page from the low end on: where it begins, and by what it is freed if it is taken.
    pub fn pages(&self) -> impl Iterator<Item = (u64, Option<PageId>)> + '_ {
        self.generations.iter().zip(0_u32..).map(|(generation, index)| {
            let id = PageId { index, generation: *generation };
            (u64::from(index) * self.page_bytes, (!generation.is_multiple_of(2)).then_some(id))
        })
    }

    /// Bytes that this bookkeeping itself takes.
    #[must_use]
    pub fn metadata_bytes(&self) -> u64 {
        let words: usize = self.levels.iter().map(Vec::capacity).sum();
        (size_of::<Self>() + words * size_of::<u64>() + self.generations.capacity() * size_of::<u32>()) as u64
    }
}

/// A bitmap with `count` bits clear and those beyond them set; one word at the least.
fn bits(count: usize) -> Vec<u64> {
    let mut words = vec![0; count.div_ceil(WORD).max(1)];
    let beyond = words.len() * WORD - count;
    if let Some(last) = words.last_mut().filter(|_| beyond > 0) {
        *last = u64::MAX.checked_shl((WORD - beyond) as u32).unwrap_or(0);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_lowest_free_page_is_taken_and_no_page_twice() {
        let mut pages = PageAllocator::new(100, 10);
        let taken: Vec<_> = (0..10).map(|_| pages.allocate().unwrap()).collect();
        assert_eq!(
            taken.iter().map(|page| page.offset_bytes).collect::<Vec<_>>(),
            (0..10).map(|i| i * 10).collect::<Vec<_>>()
        );
        assert_eq!((pages.allocate(), pages.free_count(), pages.used_bytes()), (None, 0, 100));
        pages.free(taken[7].id).unwrap();
        pages.free(taken[3].id).unwrap();
        assert_eq!(pages.free(taken[3].id), Err(StalePage));
        let again = pages.allocate().unwrap();
        assert_eq!(again.offset_bytes, 30);
        assert_eq!(pages.free(taken[3].id), Err(StalePage), "the name of its last user is no longer one");
    }

    #[test]
    fn slabs_of_every_number_of_pages_give_all_of_them() {
        for count in [0, 1, 63, 64, 65, 127, 4095, 4096, 4097, 270_000] {
            let mut pages = PageAllocator::new(count * 3 + 2, 3);
            assert_eq!((0..).map_while(|_: u64| pages.allocate()).count() as u64, count, "{count} pages");
            assert_eq!(pages.pages().filter(|(_, id)| id.is_some()).count() as u64, count);
        }
    }

    proptest! {
        /// Against a plain map: the same pages, whatever the order.
        #[test]
        fn pages_follow_a_plain_map(count in 1_u64..400, steps in prop::collection::vec(any::<u16>(), 0..600)) {
            let mut pages = PageAllocator::new(count * 8, 8);
            let mut taken: BTreeMap<u64, PageId> = BTreeMap::new();
            for step in steps {
                if step % 3 == 0 && !taken.is_empty() {
                    let offset = *taken.keys().nth(step as usize % taken.len()).unwrap();
                    pages.free(taken.remove(&offset).unwrap()).unwrap();
                } else if let Some(page) = pages.allocate() {
                    let lowest = (0..count).map(|index| index * 8).find(|offset| !taken.contains_key(offset));
                    prop_assert_eq!(Some(page.offset_bytes), lowest);
                    taken.insert(page.offset_bytes, page.id);
                } else {
                    prop_assert_eq!(taken.len() as u64, count);
                }
                prop_assert_eq!(u64::from(pages.free_count()), count - taken.len() as u64);
            }
        }
    }
}
