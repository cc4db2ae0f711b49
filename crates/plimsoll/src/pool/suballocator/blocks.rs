//! What a slab consists of, and how it is named and walked along.

use super::nodes::{Link, NONE, Node, Nodes};
use crate::error::Error;

/// The end of the slab that a buffer is placed towards.
///
/// Buffers that stay, such as weights, from the one end and those that come and go from the other keep the holes that
/// the latter leave out of the way of the former.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// For long-lived buffers: the low end of a free block.
    Low,
    /// For transient ones: the high end of a free block.
    High,
}

/// Names a used block, until it is freed.
///
/// It says nothing of the slab it belongs to: that is for the caller to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl NodeId {
    /// A small number that no other used block of the slab has at the same time: a place in a table beside.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// A used block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Where it starts, counted from the start of the slab.
    pub offset_bytes: u64,
    /// Its size: what was asked for, rounded up to whole granules.
    pub size_bytes: u64,
    /// Its name, to free it by.
    pub node: NodeId,
}

/// A block of the slab, used or free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it starts, counted from the start of the slab.
    pub offset_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
    /// Its name, if it is used.
    pub node: Option<NodeId>,
}

impl Span {
    /// The block, if it is used.
    #[must_use]
    pub fn used(self) -> Option<Block> {
        let Self { offset_bytes, size_bytes, node } = self;
        Some(Block { offset_bytes, size_bytes, node: node? })
    }
}

/// The block was freed before, or never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a block that is in use, but it was freed; take a new one")]
pub struct StaleNode;

impl From<StaleNode> for Error {
    fn from(_: StaleNode) -> Self {
        Self::Released { what: "the pool's block" }
    }
}

/// How large a slab is, and how nodes count its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) size_bytes: u64,
    pub(super) granule_shift: u32,
}

impl Extent {
    /// The size of a node's block. The last of a slab has what is left of its last granule, too.
    #[inline]
    pub(super) fn size_of(self, node: &Node) -> u64 {
        let is_last = node.above.index() == NONE;
        let end_bytes = u64::from(node.start + node.len) << self.granule_shift;
        (if is_last { self.size_bytes } else { end_bytes }) - (u64::from(node.start) << self.granule_shift)
    }

    pub(super) fn span(self, nodes: &Nodes, index: u32) -> Span {
        let node = nodes.get(index);
        let is_used = !node.generation.is_multiple_of(2);
        Span {
            offset_bytes: u64::from(node.start) << self.granule_shift,
            size_bytes: self.size_of(node),
            node: is_used.then_some(NodeId { index, generation: node.generation }),
        }
    }
}

/// A walk along a slab.
pub(super) struct Blocks<'a> {
    pub(super) nodes: &'a Nodes,
    pub(super) extent: Extent,
    pub(super) low: Link,
    pub(super) high: Link,
    pub(super) left: usize,
}

impl Iterator for Blocks<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        self.left = self.left.checked_sub(1)?;
        let index = self.low.index();
        self.low = self.nodes.get(index).above;
        Some(self.extent.span(self.nodes, index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Blocks<'_> {
    fn next_back(&mut self) -> Option<Span> {
        self.left = self.left.checked_sub(1)?;
        let index = self.high.index();
        self.high = self.nodes.get(index).below;
        Some(self.extent.span(self.nodes, index))
    }
}

impl ExactSizeIterator for Blocks<'_> {}
