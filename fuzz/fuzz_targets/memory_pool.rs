//! Any sequence of uses of a pool, beside a plain list of its buffers: whatever is moved, freed, trimmed or pinned, each
//! buffer keeps its bytes, and the account adds up.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use plimsoll::{
    device::{DeviceContext, HostBackend},
    pool::{Access, BufferOptions, DefragmentOptions, MemoryPool, Pin, Placement, PoolBuffer, PoolOptions},
    units::KIB,
};

/// Fills a buffer with bytes that only it has.
fn sign(buffer: &PoolBuffer, seed: u64) {
    let bytes: Vec<u8> = (0..buffer.size_bytes()).map(|at| (at * 31 + seed * 7919) as u8).collect();
    buffer.write(0, &bytes).expect("a buffer of its own");
}

fn check(buffer: &PoolBuffer, seed: u64) {
    let mut bytes = vec![0; buffer.size_bytes() as usize];
    buffer.read(0, &mut bytes).expect("a buffer of its own");
    assert!(
        bytes.iter().enumerate().all(|(at, byte)| *byte == (at as u64 * 31 + seed * 7919) as u8),
        "lost bytes"
    );
}

fuzz_target!(|bytes: &[u8]| {
    let Some((head, steps)) = bytes.split_at_checked(2) else { return };
    let options = PoolOptions {
        slab_bytes: 64 * KIB,
        max_bytes: Some(256 * KIB),
        max_cached_bytes: Some(u64::from(head[0] % 3) * 64 * KIB),
        initial_bytes: u64::from(head[0] / 3 % 3) * 64 * KIB,
        zero_on_free: head[1] & 1 == 1,
        page_bytes: (head[1] & 6 == 6).then_some(4 * KIB),
        ..PoolOptions::default()
    };
    let largest_bytes = options.page_bytes.unwrap_or(80 * KIB);
    let backend = Arc::new(HostBackend::new(DeviceContext::default()));
    let pool = MemoryPool::create(backend, options).expect("so much this machine has");
    let mut live: Vec<(u64, PoolBuffer)> = Vec::new();
    let mut pins: Vec<Pin> = Vec::new();
    let begin = || pool.begin_run(&DefragmentOptions::default()).expect("the pool is there");
    let mut run = begin();
    for (seed, step) in (0_u64..).zip(steps.chunks_exact(3)) {
        let number = u64::from(u16::from_le_bytes([step[1], step[2]]));
        match step[0] % 14 {
            0..=4 => {
                let placement = if step[0] & 16 == 0 { Placement::LongLived } else { Placement::Transient };
                let options = BufferOptions { placement, ..BufferOptions::default() };
                let bytes = 1 + (number * 5) % largest_bytes;
                if let Ok(buffer) = pool.allocate_growing(bytes, &options, &mut |_| false) {
                    sign(&buffer, seed);
                    live.push((seed, buffer));
                }
            }
            5..=7 if !live.is_empty() => {
                let (seed, buffer) = live.swap_remove(number as usize % live.len());
                check(&buffer, seed);
            }
            8 => {
                let bounded =
                    DefragmentOptions { max_moves: Some(number % 5), ..DefragmentOptions::default() };
                let vetoes = number & 64 != 0;
                pool.defragment(&bounded, &mut |planned| !vetoes || planned.bytes % 2 == 0)
                    .expect("RAM copies");
            }
            9 if !live.is_empty() => pins.push(live[number as usize % live.len()].1.pin().expect("live")),
            10 if !live.is_empty() => {
                let (_, buffer) = &live[number as usize % live.len()];
                drop(buffer.map(0, buffer.size_bytes(), Access::Read).expect("live"));
            }
            11 if number % 2 == 0 => drop(pool.trim(0)),
            11 => pins.clear(),
            12 if number % 16 == 0 => run = begin(),
            12 | 13 => {
                if run.next_move().expect("the pool is there").is_none() {
                    continue;
                }
                if number % 8 == 0 {
                    run.veto_move();
                } else {
                    let begun = run.begin_move().expect("the pool is there").expect("nobody was between");
                    run.count_move(begun.make().expect("RAM copies"));
                }
            }
            _ => {}
        }
        let (stats, slabs) = (pool.stats(), pool.slabs());
        let blocks = || slabs.iter().flat_map(|slab| &slab.blocks);
        let block_bytes: u64 = blocks().map(|block| block.size_bytes).sum();
        assert_eq!((block_bytes, stats.used_bytes + stats.free_bytes), (stats.held_bytes, stats.held_bytes));
        let holes = blocks().filter(|block| block.buffer.is_none());
        assert_eq!(stats.largest_free_bytes, holes.map(|hole| hole.size_bytes).max().unwrap_or(0));
        let empty = slabs.iter().filter(|slab| slab.used_bytes == 0);
        assert_eq!(stats.cached_bytes, empty.map(|slab| slab.size_bytes).sum::<u64>());
        assert_eq!(stats.slab_count, slabs.len() as u64);
        assert!(stats.held_bytes <= 256 * KIB);
    }
    live.iter().for_each(|(seed, buffer)| check(buffer, *seed));
    pins.clear();
    live.clear();
    pool.trim(0);
    assert_eq!((pool.stats().used_bytes, pool.stats().held_bytes, pool.stats().buffer_count), (0, 0, 0));
});
