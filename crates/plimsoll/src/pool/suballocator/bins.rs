//! Free blocks by size.

use std::{hint::select_unpredictable, iter};

use super::nodes::{NONE, Node, Nodes};

/// Each doubling of the size has two to this power bins.
const MANTISSA_BITS: u32 = 5;

/// Bins for sizes below 2^32.
const BINS: usize = 32 << MANTISSA_BITS;

/// Bins to a word of the bitmap.
const WORD: u32 = u64::BITS;

/// Where a size belongs: its exponent and the first bits of its mantissa, as a float has them. No bin for size 0.
#[inline]
pub(super) fn bin_of(len: u32) -> u32 {
    const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;
    const ONE: u64 = 1.0_f64.to_bits() >> SHIFT;
    (f64::from(len).to_bits() >> SHIFT).wrapping_sub(ONE) as u32
}

/// A list of free blocks, the latest first, whose sizes differ by less than 1/32.
#[derive(Debug, Clone, Copy)]
struct Bin {
    head: u32,
    /// Granules of the first block: whether it will do is known without looking at it.
    head_len: u32,
    /// No block of the bin is longer.
    longest: u32,
}

const EMPTY: Bin = Bin { head: NONE, head_len: 0, longest: 0 };

#[derive(Debug, Clone)]
pub(super) struct Bins {
    bins: Vec<Bin>,
    /// A bit for each bin: whether it has blocks.
    filled: [u64; BINS / WORD as usize],
}

impl Bins {
    /// For blocks of up to `longest` granules.
    pub fn new(longest: u32) -> Self {
        let count = if longest == 0 { 0 } else { bin_of(longest) as usize + 1 };
        Self { bins: vec![EMPTY; count], filled: [0; BINS / WORD as usize] }
    }

    /// Makes a block one of its bin's, with these bounds.
    #[inline]
    pub fn insert(&mut self, nodes: &mut Nodes, index: u32, start: u32, len: u32) {
        let at = bin_of(len);
        let mut next = EMPTY;
        if let Some(bin) = self.bins.get_mut(at as usize) {
            next = *bin;
            *bin = Bin { head: index, head_len: len, longest: next.longest.max(len) };
        }
        if let Some(word) = self.filled.get_mut((at / WORD) as usize) {
            *word |= 1 << (at % WORD);
        }
        nodes.with(next.head, |node| node.previous = index);
        nodes.with(index, |node| {
            node.start = start;
            node.len = len;
            node.previous = NONE;
            node.next = next.head;
            node.next_len = next.head_len;
        });
    }

    /// Takes a block out of its bin.
    #[inline]
    pub fn remove(&mut self, nodes: &mut Nodes, index: u32) {
        let Node { len, previous, next, next_len, .. } = *nodes.get(index);
        nodes.with(next, |node| node.previous = previous);
        nodes.with(previous, |node| {
            node.next = next;
            node.next_len = next_len;
        });
        let at = bin_of(len);
        let Some(bin) = self.bins.get_mut(at as usize) else { return };
        let Some(word) = self.filled.get_mut((at / WORD) as usize) else { return };
        let is_head = previous == NONE;
        bin.head = select_unpredictable(is_head, next, bin.head);
        bin.head_len = select_unpredictable(is_head, next_len, bin.head_len);
        *word &= !(u64::from(bin.head == NONE) << (at % WORD));
    }

    /// Gives a block other bounds, and moves it to the bin it then belongs to.
    #[inline]
    pub fn resize(&mut self, nodes: &mut Nodes, index: u32, start: u32, len: u32) {
        let Node { len: old_len, previous, .. } = *nodes.get(index);
        let at = bin_of(len);
        if at != bin_of(old_len) {
            self.remove(nodes, index);
            self.insert(nodes, index, start, len);
            return;
        }
        nodes.with(index, |node| {
            node.start = start;
            node.len = len;
        });
        nodes.with(previous, |node| node.next_len = len);
        if let Some(bin) = self.bins.get_mut(at as usize) {
            bin.head_len = select_unpredictable(previous == NONE, len, bin.head_len);
            bin.longest = bin.longest.max(len);
        }
    }

    /// A block of at least so many granules, found in constant time: the first of the bin where that size belongs, or
    /// else the first of the next larger bin that has one. `NONE` may be wrong: later blocks of the former may do.
    #[inline]
    pub fn first_fit(&self, len: u32) -> u32 {
        let at = bin_of(len);
        let larger = self.filled_after(at).map_or(NONE, |bin| self.head(bin));
        self.bins
            .get(at as usize)
            .map_or(NONE, |bin| select_unpredictable(bin.head_len >= len, bin.head, larger))
    }

    #[inline]
    fn head(&self, bin: u32) -> u32 {
        self.bins.get(bin as usize).map_or(NONE, |bin| bin.head)
    }

    /// The first bin behind one that has blocks.
    #[inline]
    pub fn filled_after(&self, bin: u32) -> Option<u32> {
        let at = bin.wrapping_add(1);
        let row = at / WORD;
        let word = self.filled.get(row as usize)? & u64::MAX << (at % WORD);
        if word != 0 {
            return Some(row * WORD + word.trailing_zeros());
        }
        let (row, word) =
            self.filled.iter().enumerate().skip(row as usize + 1).find(|(_, word)| **word != 0)?;
        Some(row as u32 * WORD + word.trailing_zeros())
    }

    /// The last bin that has blocks.
    fn last_filled(&self) -> Option<u32> {
        let (row, word) = self.filled.iter().enumerate().rfind(|(_, word)| **word != 0)?;
        Some(row as u32 * WORD + word.checked_ilog2()?)
    }

    /// The blocks of a bin.
    fn blocks<'a>(&'a self, nodes: &'a Nodes, bin: u32) -> impl Iterator<Item = (u32, &'a Node)> {
        let present = |index: u32| (index != NONE).then(|| (index, nodes.get(index)));
        iter::successors(present(self.head(bin)), move |(_, node)| present(node.next))
    }

    /// The blocks of a bin and of all larger ones, bin after bin, at most so many of each.
    pub fn blocks_from<'a>(
        &'a self,
        nodes: &'a Nodes,
        bin: u32,
        of_each: usize,
    ) -> impl Iterator<Item = (u32, &'a Node)> {
        iter::successors(Some(bin), |bin| self.filled_after(*bin))
            .flat_map(move |bin| self.blocks(nodes, bin).take(of_each))
    }

    /// A block of at least so many granules, when none is in a larger bin than that where this size belongs.
    #[cold]
    pub fn last_fit(&mut self, nodes: &Nodes, len: u32) -> u32 {
        let at = bin_of(len);
        if self.bins.get(at as usize).is_none_or(|bin| bin.longest < len) {
            return NONE;
        }
        let (mut best, mut best_len, mut longest) = (NONE, u32::MAX, 0);
        for (index, node) in self.blocks(nodes, at) {
            longest = longest.max(node.len);
            if (len..best_len).contains(&node.len) {
                (best, best_len) = (index, node.len);
            }
        }
        if let Some(bin) = self.bins.get_mut(at as usize) {
            // Says no at once to the next request that nothing here can hold.
            bin.longest = longest;
        }
        best
    }

    /// Granules of the longest block.
    pub fn longest(&self, nodes: &Nodes) -> u32 {
        let Some(last) = self.last_filled() else { return 0 };
        let bound = self.bins.get(last as usize).map_or(0, |bin| bin.longest);
        let mut longest = 0;
        for (_, node) in self.blocks(nodes, last) {
            longest = longest.max(node.len);
            if longest == bound {
                break;
            }
        }
        longest
    }

    pub fn metadata_bytes(&self) -> usize {
        self.bins.capacity() * size_of::<Bin>()
    }
}
