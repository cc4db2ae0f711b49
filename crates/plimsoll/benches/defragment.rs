//! What a pass of defragmentation costs, whatever the number of buffers: half of them have gone, every second one.
//!
//! Prints a line for each: buffers, the size of a slab in MiB, buffers moved, milliseconds of the whole pass (median of
//! three), and the longest that somebody else waited for the pool meanwhile, in microseconds (least of three), apart by
//! tabs. The last takes scheduling in: on a machine that has other work it says little.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use plimsoll::{
    device::{DeviceContext, HostBackend},
    pool::{BufferOptions, DefragmentOptions, MemoryPool, PoolBuffer, PoolOptions},
    units::MIB,
};

const RUNS: usize = 3;

fn main() -> plimsoll::Result<()> {
    for (count, slab_bytes) in [(1_000, 4 * MIB), (10_000, 4 * MIB), (50_000, 4 * MIB), (50_000, 256 * MIB)] {
        let mut passes = (0..RUNS).map(|_| pass(count, slab_bytes)).collect::<plimsoll::Result<Vec<_>>>()?;
        passes.sort_unstable_by_key(|pass| pass.took);
        let Some(median) = passes.get(RUNS / 2) else { continue };
        let waited = passes.iter().map(|pass| pass.longest_wait).min().unwrap_or_default();
        println!(
            "{count}\t{}\t{}\t{:.2}\t{:.0}",
            slab_bytes / MIB,
            median.moved_count,
            median.took.as_secs_f64() * 1e3,
            waited.as_secs_f64() * 1e6
        );
    }
    Ok(())
}

struct Pass {
    took: Duration,
    moved_count: u64,
    longest_wait: Duration,
}

fn pass(count: u64, slab_bytes: u64) -> plimsoll::Result<Pass> {
    let (pool, _buffers) = half_gone(count, slab_bytes)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| longest_wait(&pool, &done));
        let began = Instant::now();
        let report = pool.defragment(&DefragmentOptions::default(), &mut |_| true);
        let took = began.elapsed();
        done.store(true, Ordering::Relaxed);
        let longest_wait = waiting.join().unwrap_or_default();
        Ok(Pass { took, moved_count: report?.moved_count, longest_wait })
    })
}

/// Buffers of up to 4 KiB, of which every second one was freed.
fn half_gone(count: u64, slab_bytes: u64) -> plimsoll::Result<(MemoryPool, Vec<PoolBuffer>)> {
    let backend = Arc::new(HostBackend::new(DeviceContext::default()));
    let pool = MemoryPool::create(backend, PoolOptions { slab_bytes, ..PoolOptions::default() })?;
    let sizes = (0..count).map(|index| 1 + index.wrapping_mul(2_654_435_761) % 4096);
    let take = |bytes| pool.allocate_growing(bytes, &BufferOptions::default(), &mut |_| false);
    let all = sizes.map(take).collect::<plimsoll::Result<Vec<_>>>()?;
    let left = all.into_iter().step_by(2).collect();
    Ok((pool, left))
}

/// The longest that a look at the pool took until it was `done`.
fn longest_wait(pool: &MemoryPool, done: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let _ = pool.is_closed();
        longest = longest.max(began.elapsed());
        thread::sleep(Duration::from_micros(20));
    }
    longest
}
