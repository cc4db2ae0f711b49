//! Which bytes of a slab are free: blocks of any size, or pages of one.

use super::options::Placement;
use crate::pool::{
    pages::{PageAllocator, PageId},
    suballocator::{End, NodeId, SubAllocator},
};

/// The map of one slab.
#[derive(Debug, Clone)]
pub(super) enum SlabMap {
    Blocks(SubAllocator),
    Pages(PageAllocator),
}

/// A taken part of a slab, by which it is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SlabPart {
    Block(NodeId),
    Page(PageId),
}

/// Where a part lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) part: SlabPart,
    pub(super) offset_bytes: u64,
    pub(super) size_bytes: u64,
}

impl SlabMap {
    pub(super) fn new(size_bytes: u64, page_bytes: Option<u64>) -> Self {
        match page_bytes {
            None => Self::Blocks(SubAllocator::new(size_bytes)),
            Some(page_bytes) => Self::Pages(PageAllocator::new(size_bytes, page_bytes)),
        }
    }

    pub(super) fn allocate(&mut self, bytes: u64, align_bytes: u64, placement: Placement) -> Option<Placed> {
        match self {
            Self::Blocks(blocks) => {
                let end = match placement {
                    Placement::LongLived => End::Low,
                    Placement::Transient => End::High,
                };
                let block = blocks.allocate(bytes, align_bytes, end)?;
                Some(Placed {
                    part: SlabPart::Block(block.node),
                    offset_bytes: block.offset_bytes,
                    size_bytes: block.size_bytes,
                })
            }
            Self::Pages(pages) => {
                let page = pages.allocate()?;
                Some(Placed {
                    part: SlabPart::Page(page.id),
                    offset_bytes: page.offset_bytes,
                    size_bytes: pages.page_bytes(),
                })
            }
        }
    }

    /// As [`allocate`](Self::allocate), wholly below an offset. Pages are taken lowest first anyway.
    pub(super) fn allocate_below(
        &mut self,
        bytes: u64,
        align_bytes: u64,
        limit_bytes: u64,
    ) -> Option<Placed> {
        match self {
            Self::Blocks(blocks) => {
                let block = blocks.allocate_below(bytes, align_bytes, limit_bytes)?;
                Some(Placed {
                    part: SlabPart::Block(block.node),
                    offset_bytes: block.offset_bytes,
                    size_bytes: block.size_bytes,
                })
            }
            Self::Pages(_) => None,
        }
    }

    /// Makes [`allocate_below`](Self::allocate_below) find the lowest holes, of however many.
    pub(super) fn order_holes(&mut self) {
        if let Self::Blocks(blocks) = self {
            blocks.order_holes();
        }
    }

    /// Whether it was taken and is now free.
    pub(super) fn free(&mut self, part: SlabPart) -> bool {
        match (self, part) {
            (Self::Blocks(blocks), SlabPart::Block(node)) => blocks.free(node).is_ok(),
            (Self::Pages(pages), SlabPart::Page(page)) => pages.free(page).is_ok(),
            _ => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used_bytes() == 0
    }

    pub(super) fn used_bytes(&self) -> u64 {
        match self {
            Self::Blocks(blocks) => blocks.used_bytes(),
            Self::Pages(pages) => pages.used_bytes(),
        }
    }

    pub(super) fn largest_free_bytes(&mut self) -> u64 {
        match self {
            Self::Blocks(blocks) => blocks.largest_free_bytes(),
            Self::Pages(_) => self.largest_free_bound_bytes(),
        }
    }

    /// No free part is larger.
    pub(super) fn largest_free_bound_bytes(&self) -> u64 {
        match self {
            Self::Blocks(blocks) => blocks.largest_free_bound_bytes(),
            Self::Pages(pages) if pages.free_count() > 0 => pages.page_bytes(),
            Self::Pages(_) => 0,
        }
    }

    pub(super) fn metadata_bytes(&self) -> u64 {
        match self {
            Self::Blocks(blocks) => blocks.metadata_bytes(),
            Self::Pages(pages) => pages.metadata_bytes(),
        }
    }

    /// Every part in the order of their addresses: offset, size, and by what it is freed if it is taken.
    pub(super) fn parts(&self) -> Box<dyn Iterator<Item = (u64, u64, Option<SlabPart>)> + '_> {
        match self {
            Self::Blocks(blocks) => Box::new(
                blocks
                    .blocks()
                    .map(|span| (span.offset_bytes, span.size_bytes, span.node.map(SlabPart::Block))),
            ),
            Self::Pages(pages) => {
                let size_bytes = pages.page_bytes();
                Box::new(
                    pages.pages().map(move |(offset, page)| (offset, size_bytes, page.map(SlabPart::Page))),
                )
            }
        }
    }
}
