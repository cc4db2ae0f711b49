//! What a pool tells of itself, as JavaScript has it.

use napi_derive::napi;
use plimsoll::pool::{
    BlockInfo as CoreBlock, BufferInfo, DefragmentReport as CoreReport, Placement, PoolStats as CoreStats,
    Scope, SlabInfo as CoreSlab, TraceEvent, trace_lines,
};

use crate::mirror::{Cross, mirror};

mirror! {
    /// What a pool holds and has done.
    pub struct PoolStats of CoreStats {
        /// Bytes of slabs taken from the device.
        pub held_bytes: f64,
        /// Bytes of the blocks that buffers have.
        pub used_bytes: f64,
        /// Bytes that buffers asked for.
        pub requested_bytes: f64,
        /// Bytes held and not used.
        pub free_bytes: f64,
        /// Bytes of slabs without buffers.
        pub cached_bytes: f64,
        /// The largest buffer that would find a place now, in bytes.
        pub largest_free_bytes: f64,
        /// Share of the free bytes that one buffer could not have, 0 to 100: 0 when they lie in one piece.
        pub fragmentation_percent: f64,
        /// The most bytes ever held.
        pub peak_held_bytes: f64,
        /// The most bytes ever used.
        pub peak_used_bytes: f64,
        /// Slabs held.
        pub slab_count: f64,
        /// Buffers handed out.
        pub buffer_count: f64,
        /// Buffers ever handed out.
        pub allocated_count: f64,
        /// Buffers ever freed.
        pub freed_count: f64,
        /// Requests that found no place in the slabs held.
        pub failed_count: f64,
        /// Requests that needed more than a new slab: other slabs released, reclaim callbacks, defragmentation.
        pub retry_count: f64,
        /// Buffers moved by defragmentation.
        pub moved_count: f64,
        /// Bytes moved by defragmentation.
        pub moved_bytes: f64,
        /// What the pool's own map takes, in bytes.
        pub metadata_bytes: f64,
    }
}

mirror! {
    /// One slab of a pool.
    pub struct SlabInfo of CoreSlab {
        /// Its number.
        pub index: u32,
        /// Its size, in bytes.
        pub size_bytes: f64,
        /// Bytes of its blocks that buffers have.
        pub used_bytes: f64,
        /// Whether it was taken as the pool was made.
        pub initial: bool,
        /// Its blocks, used and free, in the order of their addresses.
        pub blocks: Vec<BlockInfo>,
    }
}

/// One block of a slab.
#[napi(object, object_from_js = false)]
pub struct BlockInfo {
    /// Where it begins in its slab, in bytes.
    pub offset_bytes: f64,
    /// Its size, in bytes.
    pub size_bytes: f64,
    /// What the buffer in it is for; absent where it is free.
    pub label: Option<String>,
    /// Bytes that the buffer asked for.
    pub requested_bytes: Option<f64>,
    /// Whether the buffer was placed as a short-lived one.
    pub transient: Option<bool>,
    /// Whether the buffer has to stay where it is.
    pub pinned: Option<bool>,
}

/// One of PyTorch's figures.
#[napi(object, object_from_js = false)]
pub struct NativeCounter {
    pub name: String,
    pub value: f64,
}

mirror! {
    /// What was allocated and freed while a scope lasted, in bytes as asked for.
    pub struct PoolScope of Scope {
        /// What was allocated and not freed again, less what was freed that was there before.
        pub current_bytes: f64,
        /// The most that `currentBytes` ever was.
        pub peak_bytes: f64,
        /// All that was allocated.
        pub total_bytes: f64,
        /// Buffers allocated and not freed again.
        pub current_count: f64,
        /// The most that `currentCount` ever was.
        pub peak_count: f64,
        /// Buffers allocated.
        pub total_count: f64,
    }
}

/// What the lines of a trace take at most. The longest string of JavaScript's has 2^29 - 24 characters; a mebibyte of them is
/// left for the header.
const MAX_TRACE_BYTES: usize = (1 << 29) - 24 - (1 << 20);

/// What happened to a pool, an event a line.
#[napi(object, object_from_js = false)]
pub struct NativeTrace {
    pub lines: String,
    pub event_count: f64,
    pub dropped_count: f64,
}

mirror! {
    /// What came of a defragmentation.
    pub struct DefragmentReport of CoreReport {
        /// Buffers moved.
        pub moved_count: f64,
        /// Bytes moved.
        pub moved_bytes: f64,
        /// Moves that the caller did not want.
        pub vetoed_count: f64,
        /// Bytes of slabs that became empty.
        pub emptied_bytes: f64,
        /// The largest hole before, in bytes.
        pub largest_free_bytes_before: f64,
        /// The largest hole after, in bytes.
        pub largest_free_bytes_after: f64,
        /// Whether nothing is left that a move would mend.
        pub complete: bool,
    }
}

impl Cross<BlockInfo> for CoreBlock {
    fn cross(self) -> BlockInfo {
        let Self { offset_bytes, size_bytes, buffer } = self;
        let block = BlockInfo {
            offset_bytes: offset_bytes.cross(),
            size_bytes: size_bytes.cross(),
            label: None,
            requested_bytes: None,
            transient: None,
            pinned: None,
        };
        let Some(BufferInfo { id: _, label, requested_bytes, placement, pinned }) = buffer else {
            return block;
        };
        BlockInfo {
            label: Some(label.cross()),
            requested_bytes: Some(requested_bytes.cross()),
            transient: Some(placement == Placement::Transient),
            pinned: Some(pinned),
            ..block
        }
    }
}

impl From<(String, u64)> for NativeCounter {
    fn from((name, value): (String, u64)) -> Self {
        Self { name, value: value as f64 }
    }
}

impl From<(Vec<TraceEvent>, u64)> for NativeTrace {
    fn from((events, dropped_count): (Vec<TraceEvent>, u64)) -> Self {
        let (lines, event_count) = trace_lines(&events, MAX_TRACE_BYTES);
        let dropped_count = dropped_count as f64 + (events.len() - event_count) as f64;
        Self { lines, event_count: event_count as f64, dropped_count }
    }
}
