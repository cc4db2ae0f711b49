//! Memory that is reused, and real device memory in pools.

mod memory_pool;
mod pages;
mod staging;
mod suballocator;

pub use memory_pool::{
    Access, BlockInfo, BufferInfo, BufferOptions, BufferRequest, Claim, DefragmentOptions, DefragmentReport,
    DefragmentRun, ExportedFd, Mapping, MemoryPool, Move, MoveInProgress, Pin, Placement, PoolBuffer,
    PoolCounter, PoolOptions, PoolStats, Scope, SlabInfo, Step, TraceEvent, TraceKind, trace_lines,
};
pub use pages::{Page, PageAllocator, PageId, StalePage};
pub use staging::{StagingBuffer, StagingPool, StagingPoolOptions, StagingPoolStats};
pub use suballocator::{Block, End, GRANULE_BYTES, NodeId, Span, StaleNode, SubAllocator};
