//! Buffers that streams and loads read into, reused by size class.

mod buffer;
mod inner;
mod maps;
mod memory;
mod options;
mod pool;

pub use buffer::StagingBuffer;
pub use options::{StagingPoolOptions, StagingPoolStats};
pub use pool::StagingPool;
