//! The free and used blocks of one slab.

#![deny(unsafe_code)]

use super::{
    Block, End, NodeId, Span, StaleNode,
    bins::{Bins, bin_of},
    blocks::{Blocks, Extent},
    nodes::{Link, NONE, Node, Nodes},
};

/// What sizes and offsets are multiples of. Slabs of a tebibyte and more count in larger granules, powers of two.
pub const GRANULE_BYTES: u64 = 256;

/// Free blocks that are tried one by one for a request with an alignment, before one that is sure to hold it.
const TRIES: usize = 16;

/// Free blocks of each bin that are compared for the place nearest to the low end.
const PLACES: usize = 8;

/// The free and used blocks of one slab.
///
/// ```
/// use plimsoll::pool::{End, SubAllocator};
///
/// let mut slab = SubAllocator::new(12_345);
/// let weights = slab.allocate(6_000, 1, End::Low).unwrap();
/// let scratch = slab.allocate(1_000, 4_096, End::High).unwrap();
/// assert_eq!((weights.offset_bytes, scratch.offset_bytes), (0, 8_192));
/// slab.free(weights.node)?;
/// slab.free(scratch.node)?;
/// assert!(slab.free(scratch.node).is_err(), "it is gone already");
/// assert_eq!(slab.largest_free_bytes(), 12_345);
/// # Ok::<(), plimsoll::pool::StaleNode>(())
/// ```
#[derive(Debug, Clone)]
pub struct SubAllocator {
    size_bytes: u64,
    granule_shift: u32,
    /// Whole granules of the slab. What it has beyond them belongs to its last block.
    len: u32,
    used_bytes: u64,
    used_count: u32,
    pub(super) nodes: Nodes,
    pub(super) bins: Bins,
}

/// What `allocate` was asked for, in granules.
#[derive(Debug, Clone, Copy)]
struct BlockRequest {
    len: u32,
    align: u64,
    end: End,
}

impl BlockRequest {
    /// Where in a free block it would lie, if it fits.
    #[inline]
    fn start_in(&self, node: &Node) -> Option<u32> {
        let room = node.len.checked_sub(self.len)?;
        let highest = u64::from(node.start + room);
        let start = match self.end {
            End::Low => u64::from(node.start).checked_next_multiple_of(self.align)?,
            End::High => highest - highest % self.align,
        };
        (u64::from(node.start)..=highest).contains(&start).then_some(start as u32)
    }
}

impl SubAllocator {
    /// A slab of that many bytes, all free.
    #[must_use]
    pub fn new(size_bytes: u64) -> Self {
        let size_bits = u64::BITS - size_bytes.leading_zeros();
        let granule_shift = GRANULE_BYTES.ilog2().max(size_bits.saturating_sub(u32::BITS));
        let len = (size_bytes >> granule_shift) as u32;
        let (mut nodes, mut bins) = (Nodes::new(), Bins::new(len));
        if size_bytes > 0 && nodes.make_room(1) {
            let whole = nodes.occupy(0, len);
            bins.insert(&mut nodes, whole, 0, len);
            nodes.join(Link::NONE, Link::free(whole));
            nodes.join(Link::free(whole), Link::NONE);
        }
        Self { size_bytes, granule_shift, len, used_bytes: 0, used_count: 0, nodes, bins }
    }

    /// Takes a block of at least `bytes` bytes whose offset is a multiple of `align_bytes`, a power of two; 0 bytes
    /// count as 1. The offset counts from the start of the slab, so an alignment beyond that of the slab itself means
    /// nothing.
    ///
    /// Out of the smallest free blocks that fit, near enough, the latest that was freed; `end` says at which end of it.
    /// What is over, before and behind, stays free.
    ///
    /// `None` when no free block can hold it, the alignment is no power of two, or the system has no memory for the
    /// metadata. Constant time, but for a request that only a block of its own bin can hold, or with an alignment above
    /// a granule only one that is hardly larger than it: then all blocks of such sizes are looked at.
    #[inline]
    pub fn allocate(&mut self, bytes: u64, align_bytes: u64, end: End) -> Option<Block> {
        let len = (bytes.saturating_sub(1) >> self.granule_shift) + 1;
        let align = align_bytes >> self.granule_shift;
        if align > 1 || !align_bytes.is_power_of_two() || len > u64::from(u32::MAX) {
            return self.allocate_aligned(bytes, align_bytes, end);
        }
        let len = len as u32;
        if !self.nodes.make_room(2) {
            return None;
        }
        let mut hole = self.bins.first_fit(len);
        if hole == NONE {
            hole = self.bins.last_fit(&self.nodes, len);
        }
        if hole == NONE {
            return self.allocate_tail(bytes, 1);
        }
        let node = self.nodes.get(hole);
        let start = match end {
            End::Low => node.start,
            End::High => node.start + (node.len - len),
        };
        Some(self.take(hole, start, len))
    }

    /// Takes a block that ends at `limit_bytes` or before it, for moving buffers towards the low end: the lowest place
    /// in the first 8 free blocks of each bin, so there may be a lower one unless they are
    /// [in order](Self::order_holes). Otherwise as [`allocate`](Self::allocate).
    pub fn allocate_below(&mut self, bytes: u64, align_bytes: u64, limit_bytes: u64) -> Option<Block> {
        let request = self.request(bytes, align_bytes, End::Low)?;
        // The last block has what the slab has beyond its whole granules.
        let end_of = |start: u32| match start + request.len {
            end if end == self.len => self.size_bytes,
            end => u64::from(end) << self.granule_shift,
        };
        let (start, hole) = (self.bins)
            .blocks_from(&self.nodes, bin_of(request.len), PLACES)
            .filter_map(|(hole, node)| Some((request.start_in(node)?, hole)))
            .filter(|(start, _)| end_of(*start) <= limit_bytes)
            .min()?;
        Some(self.take(hole, start, request.len))
    }

    /// Puts the free blocks of each bin into the order of their addresses, the lowest first: those are then found by
    /// [`allocate_below`](Self::allocate_below), until others are freed. Goes over all blocks.
    pub fn order_holes(&mut self) {
        let Self { nodes, bins, .. } = self;
        let mut link = nodes.get(NONE).below;
        while link.index() != NONE {
            let Node { start, len, below, .. } = *nodes.get(link.index());
            if link.is_free() {
                bins.remove(nodes, link.index());
                bins.insert(nodes, link.index(), start, len);
            }
            link = below;
        }
    }

    #[cold]
    fn allocate_aligned(&mut self, bytes: u64, align_bytes: u64, end: End) -> Option<Block> {
        let request = self.request(bytes, align_bytes, end)?;
        let holes = |tries| self.bins.blocks_from(&self.nodes, bin_of(request.len), tries).take(tries);
        let place_in = |(hole, node): (u32, &Node)| Some((hole, request.start_in(node)?));
        let surely = u32::try_from(u64::from(request.len) + request.align - 1).unwrap_or(u32::MAX);
        let sure_hole = || self.bins.first_fit(surely);
        let place = (holes(TRIES).find_map(place_in))
            .or_else(|| place_in((sure_hole(), self.nodes.get(sure_hole()))))
            .or_else(|| holes(usize::MAX).find_map(place_in));
        match place {
            Some((hole, start)) => Some(self.take(hole, start, request.len)),
            None => self.allocate_tail(bytes, request.align),
        }
    }

    /// Takes the end of the last block, if that is free and what the slab has beyond its last granule makes it fit.
    #[cold]
    fn allocate_tail(&mut self, bytes: u64, align: u64) -> Option<Block> {
        let hole = self.nodes.get(NONE).below;
        let node = self.nodes.get(hole.index());
        let highest = self.size_bytes.checked_sub(bytes.max(1))? >> self.granule_shift;
        let start = highest - highest % align;
        let fits = hole.is_free() && start >= u64::from(node.start);
        fits.then(|| self.take(hole.index(), start as u32, self.len - start as u32))
    }

    /// `None` for what no slab can hold, and without memory for the nodes that an allocation takes.
    fn request(&mut self, bytes: u64, align_bytes: u64, end: End) -> Option<BlockRequest> {
        let len = (bytes.saturating_sub(1) >> self.granule_shift) + 1;
        let align = (align_bytes >> self.granule_shift).max(1);
        let is_possible = align_bytes.is_power_of_two() && self.nodes.make_room(2);
        is_possible.then_some(BlockRequest { len: u32::try_from(len).ok()?, align, end })
    }

    /// Uses a part of a free block; what is over stays free.
    #[inline]
    fn take(&mut self, hole: u32, start: u32, len: u32) -> Block {
        let Self { nodes, bins, .. } = self;
        let Node { start: hole_start, len: hole_len, below, above, .. } = *nodes.get(hole);
        let under = start - hole_start;
        let over = hole_len - under - len;
        let taken = if under == 0 && over == 0 { hole } else { nodes.occupy(start, len) };
        let used = Link::used(taken);
        if taken == hole {
            bins.remove(nodes, hole);
            nodes.join(below, used);
            nodes.join(used, above);
        } else if under == 0 {
            bins.resize(nodes, hole, start + len, over);
            nodes.join(below, used);
            nodes.join(used, Link::free(hole));
        } else {
            bins.resize(nodes, hole, hole_start, under);
            nodes.join(Link::free(hole), used);
            if over == 0 {
                nodes.join(used, above);
            } else {
                let rest = nodes.occupy(start + len, over);
                bins.insert(nodes, rest, start + len, over);
                nodes.join(used, Link::free(rest));
                nodes.join(Link::free(rest), above);
            }
        }
        let generation = nodes.step(taken);
        let size_bytes = self.size_of(self.nodes.get(taken));
        self.used_bytes += size_bytes;
        self.used_count += 1;
        let offset_bytes = u64::from(start) << self.granule_shift;
        Block { offset_bytes, size_bytes, node: NodeId { index: taken, generation } }
    }

    /// Releases a block, and returns its size. It becomes one with the free blocks beside it.
    ///
    /// # Errors
    ///
    /// [`StaleNode`] when it was released before. (A name is told from a later one of the same node by a count that
    /// starts anew after 2^31 uses of that node.)
    #[inline]
    pub fn free(&mut self, node: NodeId) -> Result<u64, StaleNode> {
        let index = node.index;
        let size_bytes = self.size_of(self.live(node)?);
        let Self { nodes, bins, .. } = self;
        let Node { start, mut len, below, mut above, .. } = *nodes.get(index);
        nodes.step(index);
        if above.is_free() {
            let hole = above.index();
            len += nodes.get(hole).len;
            above = nodes.get(hole).above;
            bins.remove(nodes, hole);
            nodes.vacate(hole);
        }
        if below.is_free() {
            let Node { start, len: below_len, .. } = *nodes.get(below.index());
            bins.resize(nodes, below.index(), start, below_len + len);
            nodes.join(below, above);
            nodes.vacate(index);
        } else {
            bins.insert(nodes, index, start, len);
            nodes.join(below, Link::free(index));
            nodes.join(Link::free(index), above);
        }
        self.used_bytes -= size_bytes;
        self.used_count -= 1;
        Ok(size_bytes)
    }

    /// Where a block lies, unless it was freed.
    ///
    /// # Errors
    ///
    /// [`StaleNode`] when it was freed.
    pub fn block(&self, node: NodeId) -> Result<Block, StaleNode> {
        self.live(node).map(|_| self.span(node.index))?.used().ok_or(StaleNode)
    }

    #[inline]
    fn live(&self, id: NodeId) -> Result<&Node, StaleNode> {
        let node = self.nodes.get(id.index);
        if node.generation == id.generation { Ok(node) } else { Err(StaleNode) }
    }

    #[inline]
    fn size_of(&self, node: &Node) -> u64 {
        self.extent().size_of(node)
    }

    #[inline]
    fn extent(&self) -> Extent {
        Extent { size_bytes: self.size_bytes, granule_shift: self.granule_shift }
    }

    fn span(&self, index: u32) -> Span {
        self.extent().span(&self.nodes, index)
    }

    /// All blocks, used and free, from the low end to the high end. No two neighbours are free.
    #[must_use]
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = Span> + ExactSizeIterator {
        let ends = self.nodes.get(NONE);
        let (nodes, left) = (&self.nodes, self.nodes.block_count() as usize);
        Blocks { nodes, extent: self.extent(), low: ends.above, high: ends.below, left }
    }

    /// Its size.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The sizes of all used blocks together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// The sizes of all free blocks together.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.size_bytes - self.used_bytes
    }

    /// The size of the largest free block: [`allocate`](Self::allocate) grants that much, and no more, with an
    /// alignment of a granule or less. Constant time, unless such a block has gone since: then free blocks of nearly its
    /// size are looked at, once.
    #[must_use]
    pub fn largest_free_bytes(&mut self) -> u64 {
        let longest = self.bins.longest(&self.nodes);
        self.largest_bytes(longest)
    }

    /// No free block is larger. The largest may be smaller by 1/32. Constant time.
    #[must_use]
    pub fn largest_free_bound_bytes(&self) -> u64 {
        self.largest_bytes(self.bins.bound())
    }

    /// Bytes of the largest free block, whose granules are given. The last block has what the slab has beyond them.
    fn largest_bytes(&self, granules: u32) -> u64 {
        let last = self.nodes.get(NONE).below;
        let last_bytes = if last.is_free() { self.size_of(self.nodes.get(last.index())) } else { 0 };
        last_bytes.max(u64::from(granules) << self.granule_shift)
    }

    /// Used blocks.
    #[must_use]
    pub fn block_count(&self) -> u32 {
        self.used_count
    }

    /// Whether no block is used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used_count == 0
    }

    /// Bytes that this bookkeeping itself takes: 32 for each block at the most there ever were, and 12 KiB for a slab of
    /// a tebibyte.
    #[must_use]
    pub fn metadata_bytes(&self) -> u64 {
        (size_of::<Self>() + self.nodes.metadata_bytes() + self.bins.metadata_bytes()) as u64
    }
}
