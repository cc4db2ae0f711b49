//! draft

#![deny(unsafe_code)]

mod bins;
mod nodes;

use bins::{Bins, Place};
use nodes::{NONE, Node, Nodes};

use crate::error::Error;

/// granule
pub const GRANULE_BYTES: u64 = 256;

/// Free blocks of one bin that a search compares.
const LOOK: usize = 4;
const LOOK2: usize = 1;

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// low
    Low,
    /// high
    High,
}

/// id
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId {
    index: u32,
    generation: u32,
}

/// A used block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// o
    pub offset_bytes: u64,
    /// s
    pub size_bytes: u64,
    /// n
    pub node: NodeId,
}

/// stale
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stale")]
pub struct StaleNode;

impl From<StaleNode> for Error {
    fn from(_: StaleNode) -> Self {
        Error::Released { what: "the block" }
    }
}

/// sub
#[derive(Debug, Clone)]
pub struct SubAllocator {
    size_bytes: u64,
    granule_shift: u32,
    used: u32,
    used_count: u32,
    nodes: Nodes,
    bins: Bins,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    bytes: u64,
    len: u32,
    align: u64,
    end: End,
}

impl Request {
    #[inline]
    fn start_in(&self, node: &Node) -> Option<u32> {
        if self.align == 1 {
            return (node.len >= self.len).then(|| match self.end {
                End::Low => node.start,
                End::High => node.end() - self.len,
            });
        }
        let start = match self.end {
            End::Low => u64::from(node.start).next_multiple_of(self.align),
            End::High => {
                let highest = u64::from(node.end().checked_sub(self.len)?);
                highest - highest % self.align
            }
        };
        let fits = start >= u64::from(node.start) && start + u64::from(self.len) <= u64::from(node.end());
        fits.then_some(start as u32)
    }
}

impl SubAllocator {
    /// new
    #[must_use]
    pub fn new(size_bytes: u64) -> Self {
        let granule_shift =
            GRANULE_BYTES.ilog2().max((u64::BITS - size_bytes.leading_zeros()).saturating_sub(u32::BITS));
        let len = (size_bytes >> granule_shift) as u32;
        let mut this = Self {
            size_bytes,
            granule_shift,
            used: 0,
            used_count: 0,
            nodes: Nodes::new(),
            bins: Bins::new(len),
        };
        if size_bytes > 0 && this.nodes.make_room(1) {
            let all = this.nodes.link(0, len, NONE, NONE);
            this.bins.insert(&mut this.nodes, all, len);
        }
        this
    }

    /// allocate
    #[inline]
    pub fn allocate(&mut self, bytes: u64, align_bytes: u64, end: End) -> Option<Block> {
        let bytes = bytes.max(1);
        let len = ((bytes - 1) >> self.granule_shift) + 1;
        let request = Request {
            bytes,
            len: u32::try_from(len).ok()?,
            align: (align_bytes >> self.granule_shift).max(1),
            end,
        };
        if !align_bytes.is_power_of_two() || !self.nodes.make_room(2) {
            return None;
        }
        let (index, start) = self.find(&request)?;
        Some(self.take(index, start, request.len))
    }

    #[inline]
    fn find(&self, request: &Request) -> Option<(u32, u32)> {
        let place = Place::of(request.len);
        if let Some(found) = self.best_of(place, request, LOOK) {
            return Some(found);
        }
        let mut next = place;
        while let Some(bin) = self.bins.first_after(next) {
            if let Some(found) = self.best_of(bin, request, LOOK2) {
                return Some(found);
            }
            next = bin;
        }
        self.best_of(place, request, usize::MAX)
    }

    #[inline]
    fn best_of(&self, place: Place, request: &Request, look: usize) -> Option<(u32, u32)> {
        let (mut index, longest) = self.bins.head(place);
        if longest < request.len {
            return None;
        }
        let mut best = None;
        let mut best_len = u32::MAX;
        let mut best_start = 0;
        for _ in 0..look {
            if index == NONE {
                break;
            }
            let node = self.nodes.get(index);
            if node.len < best_len
                || node.len == best_len && (node.start < best_start) == (request.end == End::Low)
            {
                if let Some(start) = request.start_in(node) {
                    best = Some((index, start));
                    best_len = node.len;
                    best_start = node.start;
                }
            }
            index = node.next;
        }
        best
    }

    fn take(&mut self, index: u32, start: u32, len: u32) -> Block {
        let node = *self.nodes.get(index);
        let under = start - node.start;
        let over = node.end() - start - len;
        let taken = if under == 0 && over == 0 {
            self.bins.remove(&mut self.nodes, index, node.len);
            index
        } else if under == 0 {
            let taken = self.nodes.link(start, len, node.below, index);
            self.nodes.with(index, |node| {
                node.start += len;
                node.len = over;
            });
            self.bins.resize(&mut self.nodes, index, node.len, over);
            taken
        } else {
            let taken = self.nodes.link(start, len, index, node.above);
            self.nodes.with(index, |node| node.len = under);
            self.bins.resize(&mut self.nodes, index, node.len, under);
            if over > 0 {
                let rest = self.nodes.link(start + len, over, taken, node.above);
                self.bins.insert(&mut self.nodes, rest, over);
            }
            taken
        };
        self.used += len;
        self.used_count += 1;
        let generation = self
            .nodes
            .with(taken, |node| {
                node.generation = node.generation.wrapping_add(1);
                node.generation
            })
            .unwrap_or_default();
        Block {
            offset_bytes: u64::from(start) << self.granule_shift,
            size_bytes: u64::from(len) << self.granule_shift,
            node: NodeId { index: taken, generation },
        }
    }

    /// free
    #[inline]
    pub fn free(&mut self, id: NodeId) -> Result<(), StaleNode> {
        let index = id.index;
        let node = *self.nodes.get(index);
        if node.generation != id.generation {
            return Err(StaleNode);
        }
        self.used -= node.len;
        self.used_count -= 1;
        self.nodes.with(index, |node| node.generation = node.generation.wrapping_add(1));
        let below = *self.nodes.get(node.below);
        let above = *self.nodes.get(node.above);
        match (below.is_free(), above.is_free()) {
            (false, false) => self.bins.insert(&mut self.nodes, index, node.len),
            (true, false) => {
                self.nodes.unlink(index);
                self.grow(node.below, below.start, below.len, below.len + node.len);
            }
            (false, true) => {
                self.nodes.unlink(index);
                self.grow(node.above, node.start, above.len, above.len + node.len);
            }
            (true, true) => {
                self.bins.remove(&mut self.nodes, node.above, above.len);
                self.nodes.unlink(node.above);
                self.nodes.unlink(index);
                self.grow(node.below, below.start, below.len, below.len + node.len + above.len);
            }
        }
        Ok(())
    }

    #[inline]
    fn grow(&mut self, index: u32, start: u32, from: u32, to: u32) {
        self.nodes.with(index, |node| {
            node.start = start;
            node.len = to;
        });
        self.bins.resize(&mut self.nodes, index, from, to);
    }

    /// used
    pub fn used_bytes(&self) -> u64 {
        u64::from(self.used) << self.granule_shift
    }

    /// largest
    pub fn largest_free_bytes(&self) -> u64 {
        let Some(place) = self.bins.last() else { return 0 };
        let (mut index, longest) = self.bins.head(place);
        let mut largest = 0;
        while index != NONE && largest < longest {
            let node = self.nodes.get(index);
            largest = largest.max(node.len);
            index = node.next;
        }
        u64::from(largest) << self.granule_shift
    }
}
impl SubAllocator {
    pub fn is_empty(&self) -> bool {
        self.used_count == 0
    }
    pub fn metadata_bytes(&self) -> u64 {
        0
    }
    pub fn allocate_below(&mut self, bytes: u64, align: u64, limit: u64) -> Option<Block> {
        let block = self.allocate(bytes, align, End::Low)?;
        if block.offset_bytes + block.size_bytes <= limit {
            return Some(block);
        }
        let _ = self.free(block.node);
        None
    }
    pub fn blocks(&self) -> impl Iterator<Item = (u64, u64, Option<NodeId>)> + '_ {
        std::iter::empty()
    }
}
