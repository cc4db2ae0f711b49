//! Pools and their buffers.

mod buffer_pool;
mod defragment;
mod held_buffer;
mod mapping;
mod memory_pool;
mod stats;
mod table;

pub use buffer_pool::NativeBufferPool;
pub use memory_pool::NativePool;
