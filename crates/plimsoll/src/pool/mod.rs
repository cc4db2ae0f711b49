//! Memory that is reused.

mod buffers;

pub use buffers::{BufferPool, BufferPoolOptions, BufferPoolStats, PooledBuffer};
