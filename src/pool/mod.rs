//! Pools and their buffers.

mod staging;
mod defragment;
mod held_buffer;
mod mapping;
mod memory_pool;
mod request;
mod stats;
mod table;

pub use staging::NativeStagingPool;
pub use memory_pool::NativePool;
