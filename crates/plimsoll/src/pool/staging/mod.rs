//! Buffers that streams and loads read into, reused by size class.

mod buffer;
mod pool;

pub use buffer::PooledBuffer;
pub use pool::{BufferPool, BufferPoolOptions, BufferPoolStats};
