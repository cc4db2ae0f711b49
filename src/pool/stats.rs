//! What a pool tells of itself, as JavaScript has it.

use napi_derive::napi;
use plimsoll::pool::{
    BlockInfo as CoreBlock, DefragmentReport as CoreReport, Placement, PoolStats as CoreStats, Scope,
    SlabInfo as CoreSlab, TraceEvent, trace_lines,
};

/// What a pool holds and has done.
#[napi(object, object_from_js = false)]
pub struct PoolStats {
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
    /// Requests that needed more than a new slab: others given back, pressure, defragmentation.
    pub retry_count: f64,
    /// Buffers moved by defragmentation.
    pub moved_count: f64,
    /// Bytes moved by defragmentation.
    pub moved_bytes: f64,
    /// What the pool's own books take, in bytes.
    pub metadata_bytes: f64,
}

/// One slab of a pool.
#[napi(object, object_from_js = false)]
pub struct SlabInfo {
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

/// What was allocated and freed while a scope lasted, in bytes as asked for.
#[napi(object, object_from_js = false)]
pub struct PoolScope {
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

/// What came of a defragmentation.
#[napi(object, object_from_js = false)]
pub struct DefragmentReport {
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

impl From<CoreStats> for PoolStats {
    fn from(stats: CoreStats) -> Self {
        Self {
            held_bytes: stats.held_bytes as f64,
            used_bytes: stats.used_bytes as f64,
            requested_bytes: stats.requested_bytes as f64,
            free_bytes: stats.free_bytes as f64,
            cached_bytes: stats.cached_bytes as f64,
            largest_free_bytes: stats.largest_free_bytes as f64,
            fragmentation_percent: stats.fragmentation_percent,
            peak_held_bytes: stats.peak_held_bytes as f64,
            peak_used_bytes: stats.peak_used_bytes as f64,
            slab_count: stats.slab_count as f64,
            buffer_count: stats.buffer_count as f64,
            allocated_count: stats.allocated_count as f64,
            freed_count: stats.freed_count as f64,
            failed_count: stats.failed_count as f64,
            retry_count: stats.retry_count as f64,
            moved_count: stats.moved_count as f64,
            moved_bytes: stats.moved_bytes as f64,
            metadata_bytes: stats.metadata_bytes as f64,
        }
    }
}

impl From<Scope> for PoolScope {
    fn from(scope: Scope) -> Self {
        Self {
            current_bytes: scope.current_bytes as f64,
            peak_bytes: scope.peak_bytes as f64,
            total_bytes: scope.total_bytes as f64,
            current_count: scope.current_count as f64,
            peak_count: scope.peak_count as f64,
            total_count: scope.total_count as f64,
        }
    }
}

impl From<CoreReport> for DefragmentReport {
    fn from(report: CoreReport) -> Self {
        Self {
            moved_count: report.moved_count as f64,
            moved_bytes: report.moved_bytes as f64,
            vetoed_count: report.vetoed_count as f64,
            emptied_bytes: report.emptied_bytes as f64,
            largest_free_bytes_before: report.largest_free_bytes_before as f64,
            largest_free_bytes_after: report.largest_free_bytes_after as f64,
            complete: report.complete,
        }
    }
}

impl From<CoreSlab> for SlabInfo {
    fn from(slab: CoreSlab) -> Self {
        Self {
            index: slab.index as u32,
            size_bytes: slab.size_bytes as f64,
            used_bytes: slab.used_bytes as f64,
            initial: slab.initial,
            blocks: slab.blocks.into_iter().map(BlockInfo::from).collect(),
        }
    }
}

impl From<CoreBlock> for BlockInfo {
    fn from(block: CoreBlock) -> Self {
        let buffer = block.buffer.as_ref();
        Self {
            offset_bytes: block.offset_bytes as f64,
            size_bytes: block.size_bytes as f64,
            label: buffer.map(|buffer| buffer.label.to_string()),
            requested_bytes: buffer.map(|buffer| buffer.requested_bytes as f64),
            transient: buffer.map(|buffer| buffer.placement == Placement::Transient),
            pinned: buffer.map(|buffer| buffer.pinned),
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
