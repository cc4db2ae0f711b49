//! Memory that is reused, and real device memory in pools.

mod buffers;
mod memory_pool;
mod pages;
mod suballocator;

pub use buffers::{BufferPool, BufferPoolOptions, BufferPoolStats, PooledBuffer};
pub use memory_pool::{
    Access, BegunMove, BlockInfo, BufferInfo, BufferOptions, BufferRequest, Claim, Counter,
    DefragmentOptions, DefragmentReport, DefragmentRun, ExportedFd, Mapping, MemoryPool, Move, Pin,
    Placement, PoolBuffer, PoolOptions, PoolStats, Scope, SlabInfo, Step, TraceEvent, TraceKind, trace_lines,
};
pub use pages::{Page, PageAllocator, PageId, StalePage};
pub use suballocator::{Block, End, GRANULE_BYTES, NodeId, Span, StaleNode, SubAllocator};
