//! Pools of device memory, over the host: content, map and bounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_for_each,
    clippy::type_complexity
)]

mod buffers;
mod given;
mod moves;
mod properties;
mod refusals;
mod slabs;

use std::sync::Arc;

use plimsoll::{
    device::{DeviceContext, HostBackend},
    pool::{BufferOptions, MemoryPool, PoolBuffer, PoolOptions},
};

fn pool(options: PoolOptions) -> MemoryPool {
    MemoryPool::create(Arc::new(HostBackend::new(DeviceContext::default())), options).unwrap()
}

fn small(slab_bytes: u64) -> PoolOptions {
    PoolOptions { slab_bytes, max_cached_bytes: Some(0), ..PoolOptions::default() }
}

fn grown(pool: &MemoryPool, bytes: u64) -> PoolBuffer {
    pool.allocate_growing(bytes, &BufferOptions::default(), &mut |_| false).unwrap()
}

fn labelled(label: &'static str) -> BufferOptions {
    BufferOptions { label: label.into(), ..BufferOptions::default() }
}

/// Fills a buffer with bytes that only it has.
fn sign(buffer: &PoolBuffer, seed: u64) {
    let bytes: Vec<u8> = (0..buffer.size_bytes()).map(|at| (at * 31 + seed * 7919) as u8).collect();
    buffer.write(0, &bytes).unwrap();
}

fn is_signed(buffer: &PoolBuffer, seed: u64) -> bool {
    let mut bytes = vec![0; buffer.size_bytes() as usize];
    buffer.read(0, &mut bytes).unwrap();
    bytes.iter().enumerate().all(|(at, byte)| *byte == (at as u64 * 31 + seed * 7919) as u8)
}
