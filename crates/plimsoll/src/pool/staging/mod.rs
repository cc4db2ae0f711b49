//! Buffers that streams and loads read into, reused by size class.

mod buffer;
mod inner;
mod memory;
mod options;
mod pool;

pub use buffer::PooledBuffer;
pub use options::{BufferPoolOptions, BufferPoolStats};
pub use pool::BufferPool;
