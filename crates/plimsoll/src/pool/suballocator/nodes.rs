//! The blocks of a slab, linked in address order.

/// The index that stands for "no node". The node there is a used block of no size that both ends of the address order
/// and of every list run into, so links are followed and written without asking whether they lead anywhere.
pub(super) const NONE: u32 = 0;

/// Nodes to make room for when the first one is needed: one page.
const FIRST_ROOM: usize = 128;

/// One block of the slab, used or free. Half a cache line: a million live blocks are bound by cache misses.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Node {
    /// First granule.
    pub start: u32,
    /// Granules.
    pub len: u32,
    /// The block that ends where this one starts.
    pub below: u32,
    /// The block that starts where this one ends.
    pub above: u32,
    /// The free block before this one in its bin.
    pub previous: u32,
    /// The free block, or the vacant node, after this one in its list.
    pub next: u32,
    /// Steps with every allocation and every release: odd while the block is used.
    pub generation: u32,
}

impl Node {
    const END: Self =
        Self { start: 0, len: 0, below: NONE, above: NONE, previous: NONE, next: NONE, generation: 1 };

    pub fn is_free(&self) -> bool {
        self.generation.is_multiple_of(2)
    }

    /// The granule behind its last.
    pub fn end(&self) -> u32 {
        self.start + self.len
    }
}

/// All nodes, and those among them that wait for a block.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    vacant: u32,
}

impl Nodes {
    pub fn new() -> Self {
        Self { nodes: vec![Node::END], vacant: NONE }
    }

    #[inline]
    pub fn get(&self, index: u32) -> &Node {
        self.nodes.get(index as usize).unwrap_or(&Node::END)
    }

    /// Changes a node.
    #[inline]
    pub fn with<T>(&mut self, index: u32, change: impl FnOnce(&mut Node) -> T) -> Option<T> {
        self.nodes.get_mut(index as usize).map(change)
    }

    /// Whether `count` more nodes can be taken; tries to make room for them.
    #[inline]
    pub fn make_room(&mut self, count: usize) -> bool {
        self.nodes.capacity() - self.nodes.len() >= count
            || self.nodes.try_reserve(count.max(FIRST_ROOM)).is_ok()
    }

    /// Puts a free block between two neighbours, on a node that `make_room` vouched for.
    #[inline]
    pub fn link(&mut self, start: u32, len: u32, below: u32, above: u32) -> u32 {
        let vacant = *self.get(self.vacant);
        let index = if self.vacant == NONE { self.nodes.len() as u32 } else { self.vacant };
        let generation = if self.vacant == NONE { 0 } else { vacant.generation };
        let node = Node { start, len, below, above, previous: NONE, next: NONE, generation };
        if self.vacant == NONE {
            self.nodes.push(node);
        } else {
            self.vacant = vacant.next;
            self.with(index, |slot| *slot = node);
        }
        self.with(below, |node| node.above = index);
        self.with(above, |node| node.below = index);
        index
    }

    /// Takes a free block out of the address order; its neighbours become each other's.
    #[inline]
    pub fn unlink(&mut self, index: u32) {
        let Node { below, above, .. } = *self.get(index);
        self.with(below, |node| node.above = above);
        self.with(above, |node| node.below = below);
        let vacant = self.vacant;
        self.with(index, |node| node.next = vacant);
        self.vacant = index;
    }

    pub fn metadata_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }
}
