//! What a pool says of itself: cheap figures, and a walk over everything.

use std::{borrow::Cow, collections::HashMap};

use super::{PoolState, options::Placement};

/// What a pool holds and has done. Kept up to date by each event: asking costs the same, however many
/// slabs and buffers there are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PoolStats {
    /// Bytes of slabs taken from the device.
    pub held_bytes: u64,
    /// Bytes of the blocks that buffers have.
    pub used_bytes: u64,
    /// Bytes that buffers asked for.
    pub requested_bytes: u64,
    /// Bytes held and not used.
    pub free_bytes: u64,
    /// Bytes of slabs without buffers.
    pub cached_bytes: u64,
    /// The largest buffer that would find a place now, in bytes.
    pub largest_free_bytes: u64,
    /// Share of the free bytes that one buffer could not have, 0 to 100: 0 when they lie in one piece.
    pub fragmentation_percent: f64,
    /// The most bytes ever held.
    pub peak_held_bytes: u64,
    /// The most bytes ever used.
    pub peak_used_bytes: u64,
    /// Slabs held.
    pub slab_count: u64,
    /// Buffers handed out.
    pub buffer_count: u64,
    /// Buffers ever handed out.
    pub allocated_count: u64,
    /// Buffers ever freed.
    pub freed_count: u64,
    /// Requests that found no place in the slabs held.
    pub failed_count: u64,
    /// Requests that needed more than a new slab: other slabs released, reclaim callbacks, defragmentation.
    pub retry_count: u64,
    /// Buffers moved by defragmentation.
    pub moved_count: u64,
    /// Bytes moved by defragmentation.
    pub moved_bytes: u64,
    /// What the pool's own map takes, in bytes.
    pub metadata_bytes: u64,
}

/// One slab of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct SlabInfo {
    /// Its number.
    pub index: usize,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Bytes of its blocks that buffers have.
    pub used_bytes: u64,
    /// Whether it was taken as the pool was made.
    pub initial: bool,
    /// Its blocks, used and free, in the order of their addresses.
    pub blocks: Vec<BlockInfo>,
}

/// One block of a slab.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockInfo {
    /// Where it begins in its slab, in bytes.
    pub offset_bytes: u64,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// The buffer that has it; `None` when it is free.
    pub buffer: Option<BufferInfo>,
}

/// A buffer in a block.
#[derive(Debug, Clone, PartialEq)]
pub struct BufferInfo {
    /// Its number.
    pub id: u64,
    /// What it is for.
    pub label: Cow<'static, str>,
    /// Bytes asked for.
    pub requested_bytes: u64,
    /// How it was placed.
    pub placement: Placement,
    /// Whether it has to stay where it is.
    pub pinned: bool,
}

impl PoolState {
    /// `in_pages`: whether every buffer is a page, which any hole holds.
    pub(super) fn stats(&mut self, in_pages: bool) -> PoolStats {
        let largest_free_bytes = self.map.largest_free_bytes();
        let (map, counters) = (&self.map, &self.counters);
        let free_bytes = map.free_bytes();
        let scattered_bytes = if in_pages { 0 } else { free_bytes.saturating_sub(largest_free_bytes) };
        PoolStats {
            held_bytes: map.held_bytes(),
            used_bytes: map.used_bytes(),
            requested_bytes: counters.requested.current,
            free_bytes,
            cached_bytes: map.cached_bytes(),
            largest_free_bytes,
            fragmentation_percent: if free_bytes == 0 {
                0.0
            } else {
                scattered_bytes as f64 / free_bytes as f64 * 100.0
            },
            peak_held_bytes: counters.held.peak,
            peak_used_bytes: counters.used.peak,
            slab_count: map.slab_count() as u64,
            buffer_count: map.buffer_count() as u64,
            allocated_count: counters.buffers.allocated,
            freed_count: counters.buffers.freed,
            failed_count: counters.failed_count,
            retry_count: counters.retry_count,
            moved_count: counters.moved_count,
            moved_bytes: counters.moved_bytes,
            metadata_bytes: map.metadata_bytes(),
        }
    }

    pub(super) fn slab_infos(&self) -> Vec<SlabInfo> {
        let of_part: HashMap<_, _> =
            self.map.buffers().map(|(id, live)| ((live.slab, live.placed.part), (id, live))).collect();
        let info = |(index, held): (usize, &super::map::Held)| SlabInfo {
            index,
            size_bytes: held.size_bytes(),
            used_bytes: held.layout.used_bytes(),
            initial: held.initial,
            blocks: held
                .layout
                .parts()
                .map(|(offset_bytes, size_bytes, part)| BlockInfo {
                    offset_bytes,
                    size_bytes,
                    buffer: part.and_then(|part| of_part.get(&(index, part))).map(|(id, live)| BufferInfo {
                        id: id.number(),
                        label: live.label.clone(),
                        requested_bytes: live.requested_bytes,
                        placement: live.placement,
                        pinned: live.is_held(),
                    }),
                })
                .collect(),
        };
        self.map.slabs().map(info).collect()
    }
}
