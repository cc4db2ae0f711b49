//! Free blocks by size.

use std::{hint::select_unpredictable, iter};

use super::nodes::{NONE, Node, Nodes};

/// Each doubling of the size has two to this power bins.
const MANTISSA_BITS: u32 = 5;

/// Bins for sizes below 2^32.
const BINS: usize = 32 << MANTISSA_BITS;

/// Bins to a word of the bitmap.
const WORD: u32 = u64::BITS;

/// Stands for "no bin".
const NO_BIN: u32 = u32::MAX;

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
    /// No block behind the first is longer.
    rest_longest: u32,
}

const EMPTY: Bin = Bin { head: NONE, head_len: 0, rest_longest: 0 };

impl Bin {
    /// No block is longer.
    fn bound(&self) -> u32 {
        if self.head == NONE { 0 } else { self.head_len.max(self.rest_longest) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Bins {
    all: Vec<Bin>,
    /// A bit for each bin: whether it has blocks.
    filled: [u64; BINS / WORD as usize],
    /// The bin that was looked at last, as long as a block behind its first is as long as `rest_longest`.
    exact: u32,
}

impl Bins {
    /// For blocks of up to `longest` granules.
    pub fn new(longest: u32) -> Self {
        let count = if longest == 0 { 0 } else { bin_of(longest) as usize + 1 };
        Self { all: vec![EMPTY; count], filled: [0; BINS / WORD as usize], exact: NO_BIN }
    }

    /// Makes a block one of its bin's, with these bounds.
    #[inline]
    pub fn insert(&mut self, nodes: &mut Nodes, index: u32, start: u32, len: u32) {
        let at = bin_of(len);
        let mut next = EMPTY;
        if let Some(bin) = self.all.get_mut(at as usize) {
            next = *bin;
            *bin = Bin { head: index, head_len: len, rest_longest: next.rest_longest.max(next.head_len) };
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
        let Some(bin) = self.all.get_mut(at as usize) else { return };
        let Some(word) = self.filled.get_mut((at / WORD) as usize) else { return };
        let is_head = previous == NONE;
        bin.head = select_unpredictable(is_head, next, bin.head);
        bin.head_len = select_unpredictable(is_head, next_len, bin.head_len);
        *word &= !(u64::from(bin.head == NONE) << (at % WORD));
        let behind_first = select_unpredictable(is_head, next_len, len);
        if at == self.exact && behind_first == bin.rest_longest {
            self.exact = NO_BIN;
        }
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
        if let Some(bin) = self.all.get_mut(at as usize) {
            let is_head = previous == NONE;
            if at == self.exact && !is_head && old_len == bin.rest_longest {
                self.exact = NO_BIN;
            }
            bin.head_len = select_unpredictable(is_head, len, bin.head_len);
            bin.rest_longest = bin.rest_longest.max(select_unpredictable(is_head, 0, len));
        }
    }

    /// A block of at least so many granules, found in constant time: the first of the bin where that size belongs, or
    /// else the first of the next larger bin that has one. `NONE` may be wrong: later blocks of the former may do.
    #[inline]
    pub fn first_fit(&self, len: u32) -> u32 {
        let at = bin_of(len);
        let larger = self.filled_after(at).map_or(NONE, |bin| self.head(bin));
        self.all
            .get(at as usize)
            .map_or(NONE, |bin| select_unpredictable(bin.head_len >= len, bin.head, larger))
    }

    #[inline]
    fn head(&self, bin: u32) -> u32 {
        self.all.get(bin as usize).map_or(NONE, |bin| bin.head)
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
        // Says no at once to a second request that nothing here can hold.
        if self.repaired_bound(nodes, at) < len {
            return NONE;
        }
        let (mut best, mut best_len) = (NONE, u32::MAX);
        for (index, node) in self.blocks(nodes, at) {
            if (len..best_len).contains(&node.len) {
                (best, best_len) = (index, node.len);
                if node.len == len {
                    break;
                }
            }
        }
        best
    }

    /// Granules that no block has more of. Constant time.
    pub fn bound(&self) -> u32 {
        self.last_filled().and_then(|last| self.all.get(last as usize)).map_or(0, Bin::bound)
    }

    /// Granules of the longest block.
    pub fn longest(&mut self, nodes: &Nodes) -> u32 {
        self.last_filled().map_or(0, |last| self.repaired_bound(nodes, last))
    }

    /// The length of a bin's longest block. Where it is neither the first nor known to be there yet, they are looked at
    /// until one is as long as the bound.
    fn repaired_bound(&mut self, nodes: &Nodes, at: u32) -> u32 {
        let Some(bin) = self.all.get(at as usize).copied() else { return 0 };
        if bin.head == NONE || bin.head_len >= bin.rest_longest || at == self.exact {
            return bin.bound();
        }
        let mut longest = 0;
        for (_, node) in self.blocks(nodes, at).skip(1) {
            longest = longest.max(node.len);
            if longest == bin.rest_longest {
                break;
            }
        }
        self.exact = if longest > 0 { at } else { NO_BIN };
        let repaired = Bin { rest_longest: longest, ..bin };
        if let Some(bin) = self.all.get_mut(at as usize) {
            *bin = repaired;
        }
        repaired.bound()
    }

    pub fn metadata_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Bin>()
    }
}

#[cfg(test)]
impl Bins {
    /// Compares what each bin knows with a walk over its blocks.
    pub fn check(&self, nodes: &Nodes) {
        for (bin, at) in self.all.iter().zip(0..) {
            let lens: Vec<_> = self.blocks(nodes, at).map(|(_, node)| node.len).collect();
            assert_eq!(bin.head_len, lens.first().copied().unwrap_or(0));
            let rest = || lens.iter().skip(1);
            assert!(rest().all(|len| *len <= bin.rest_longest));
            assert!(at != self.exact || rest().any(|len| *len == bin.rest_longest));
        }
    }
}
