//! The blocks of a slab, linked in address order.

/// The index that stands for "no node". The node there is a used block of no size, and both ends of the address order
/// and of every bin lead to it: links are followed and written without asking whether they lead anywhere.
pub(super) const NONE: u32 = 0;

/// Nodes that are made together: one page of memory.
const BATCH: u32 = 128;

/// A link gives one bit of the index away.
const MAX_NODES: usize = 1 << 31;

/// A neighbour in address order, and whether it is free: a block that is released between two used ones never looks
/// at them, which would be a cache miss each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link(u32);

impl Link {
    pub const NONE: Self = Self::used(NONE);

    #[inline]
    pub const fn used(index: u32) -> Self {
        Self(index << 1)
    }

    #[inline]
    pub const fn free(index: u32) -> Self {
        Self(index << 1 | 1)
    }

    #[inline]
    pub const fn index(self) -> u32 {
        self.0 >> 1
    }

    #[inline]
    pub const fn is_free(self) -> bool {
        self.0 & 1 == 1
    }
}

/// A block of the slab, used or free, or a vacant node. Half a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Node {
    /// Its first granule.
    pub start: u32,
    /// Granules, but for what the slab has beyond its last whole granule.
    pub len: u32,
    /// The block that ends where this one starts.
    pub below: Link,
    /// The block that starts where this one ends.
    pub above: Link,
    /// The block before it in its bin, while it is free.
    pub previous: u32,
    /// The block after it in its bin, while it is free; the next vacant node, while it is vacant.
    pub next: u32,
    /// The granules of that block.
    pub next_len: u32,
    /// Counts its allocations and releases: odd while it is a used block.
    pub generation: u32,
}

const VACANT: Node = Node {
    start: 0,
    len: 0,
    below: Link::NONE,
    above: Link::NONE,
    previous: NONE,
    next: NONE,
    next_len: 0,
    generation: 0,
};

/// All nodes.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    all: Vec<Node>,
    /// The first vacant node.
    vacant: u32,
    vacant_count: u32,
}

impl Nodes {
    pub fn new() -> Self {
        Self { all: vec![Node { generation: 1, ..VACANT }], vacant: NONE, vacant_count: 0 }
    }

    #[inline]
    pub fn get(&self, index: u32) -> &Node {
        self.all.get(index as usize).unwrap_or(&VACANT)
    }

    /// Changes a node.
    #[inline]
    pub fn with(&mut self, index: u32, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.all.get_mut(index as usize) {
            change(node);
        }
    }

    /// Whether `count` nodes are vacant. More are made if not, unless the system has no memory for them.
    #[inline]
    pub fn make_room(&mut self, count: u32) -> bool {
        self.vacant_count >= count || self.grow()
    }

    #[cold]
    fn grow(&mut self) -> bool {
        let (first, batch) = (self.all.len(), BATCH as usize);
        if first + batch > MAX_NODES || self.all.try_reserve(batch).is_err() {
            return false;
        }
        let next_of = |index: usize| if index + 1 < first + batch { index as u32 + 1 } else { NONE };
        let last_vacant = self.vacant;
        self.all.extend((first..first + batch).map(|index| Node { next: next_of(index), ..VACANT }));
        self.with((first + batch) as u32 - 1, |node| node.next = last_vacant);
        self.vacant = first as u32;
        self.vacant_count += BATCH;
        true
    }

    /// Makes a vacant node a block. `make_room` must have vouched for it.
    #[inline]
    pub fn occupy(&mut self, start: u32, len: u32) -> u32 {
        let index = self.vacant;
        self.vacant = self.get(index).next;
        self.vacant_count -= 1;
        self.with(index, |node| {
            node.start = start;
            node.len = len;
        });
        index
    }

    /// Makes a free block a vacant node.
    #[inline]
    pub fn vacate(&mut self, index: u32) {
        let vacant = self.vacant;
        self.with(index, |node| node.next = vacant);
        self.vacant = index;
        self.vacant_count += 1;
    }

    /// Makes two blocks neighbours.
    #[inline]
    pub fn join(&mut self, below: Link, above: Link) {
        self.with(below.index(), |node| node.above = above);
        self.with(above.index(), |node| node.below = below);
    }

    /// Makes a free block a used one, or a used one a free one. Returns its new generation.
    #[inline]
    pub fn step(&mut self, index: u32) -> u32 {
        let generation = self.get(index).generation.wrapping_add(1);
        self.with(index, |node| node.generation = generation);
        generation
    }

    /// Blocks, used and free.
    pub fn block_count(&self) -> u32 {
        self.all.len() as u32 - 1 - self.vacant_count
    }

    pub fn metadata_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Node>()
    }
}
