//! Pools and their buffers.

mod defragment;
mod held_buffer;
mod mapping;
mod memory_pool;
mod request;
mod staging;
mod stats;
mod table;

pub use memory_pool::NativePool;
pub use staging::NativeStagingPool;
