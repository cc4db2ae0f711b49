//! Pools over a device of which any call may fail: the account adds up, nothing leaks, and no buffer loses its bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod suite;

use std::sync::Arc;

use plimsoll::{
    Error, MemoryBudget,
    device::{DeviceContext, HostBackend, SharedBackend},
    pool::{Access, BufferOptions, DefragmentOptions, MemoryPool, PoolBuffer, PoolOptions},
    units::{KIB, MIB},
};
use suite::{
    faults::{Faults, mixed},
    faulty::Faulty,
};

const SLAB_BYTES: u64 = 256 * KIB;

/// The errors a user may see; anything else is a bug.
fn is_expected(error: &Error) -> bool {
    matches!(error, Error::Device { .. } | Error::InsufficientMemory { .. })
}

#[test]
fn a_map_that_cannot_begin_says_why_not_how_it_could_not_be_undone() {
    for fills in 0..8 {
        let host: SharedBackend = Arc::new(HostBackend::new(DeviceContext::default()));
        // The slab is taken and populated, the buffer filled, seen, and begun to be read; then the device is lost.
        let lost_at = 4 + fills;
        let faults = Faults::from(lost_at);
        let device = Arc::new(Faulty::new(host, faults.clone()));
        let options =
            PoolOptions { initial_bytes: SLAB_BYTES, slab_bytes: SLAB_BYTES, ..PoolOptions::default() };
        let pool = MemoryPool::create(device, options).unwrap();
        let buffer = pool.allocate(1000, &BufferOptions::default()).unwrap();
        (0..fills).for_each(|_| buffer.fill(0, 1, 0).unwrap());
        let refusal = buffer.map(0, 1000, Access::ReadWrite).unwrap_err();
        assert_eq!((faults.calls(), faults.failures()), (lost_at + 2, 2), "its end was tried");
        assert_eq!(refusal.to_string(), Faulty::refusal(mixed(lost_at), "sync").to_string());
    }
}

struct Bench {
    pool: MemoryPool,
    /// Each buffer with the byte it is filled with, where that is known.
    live: Vec<(PoolBuffer, Option<u8>)>,
}

impl Bench {
    fn allocate(&mut self, random: u64) {
        let bytes = 1 + random % (SLAB_BYTES / 2);
        match self.pool.allocate_growing(bytes, &BufferOptions::default(), &mut |_| false) {
            Ok(buffer) => self.live.push((buffer, None)),
            Err(error) => assert!(is_expected(&error), "{error}"),
        }
    }

    fn write(&mut self, random: u64) {
        let index = random as usize % self.live.len();
        let (buffer, known) = &mut self.live[index];
        let byte = random as u8;
        let outcome = buffer.fill(0, buffer.size_bytes(), byte);
        *known = outcome.is_ok().then_some(byte);
    }

    /// What a buffer was filled with is still there, wherever it was moved.
    fn check(&self, random: u64) {
        let (buffer, known) = &self.live[random as usize % self.live.len()];
        let mut bytes = vec![0; buffer.size_bytes() as usize];
        if let (Ok(()), Some(byte)) = (buffer.read(0, &mut bytes), known) {
            assert!(bytes.iter().all(|found| found == byte), "lost bytes");
        }
    }

    fn map(&self, random: u64) {
        let (buffer, _) = &self.live[random as usize % self.live.len()];
        match buffer.map(0, buffer.size_bytes(), Access::Read) {
            Ok(map) => drop(map.finish()),
            Err(error) => assert!(is_expected(&error), "{error}"),
        }
    }

    fn step(&mut self, random: u64) {
        let choice = if self.live.is_empty() { 0 } else { random % 16 };
        let random = mixed(random);
        match choice {
            0..5 => self.allocate(random),
            5..8 => drop(self.live.swap_remove(random as usize % self.live.len())),
            8..10 => self.write(random),
            10..12 => self.check(random),
            12 => self.map(random),
            13 => drop(self.pool.trim(0)),
            14 => drop(self.pool.reserve(random % SLAB_BYTES + 1)),
            _ => {
                let few = DefragmentOptions { max_moves: Some(4), ..DefragmentOptions::default() };
                if let Err(error) = self.pool.defragment(&few, &mut |_| random.is_multiple_of(2)) {
                    assert!(is_expected(&error), "{error}");
                }
            }
        }
    }
}

fn run(seed: u64, faults: Faults, zero_on_free: bool) {
    let host: SharedBackend = Arc::new(HostBackend::new(DeviceContext::default()));
    let backend = Arc::new(Faulty::new(Arc::clone(&host), faults));
    let budget = MemoryBudget::new(4 * MIB, 0).unwrap();
    let options = PoolOptions {
        slab_bytes: SLAB_BYTES,
        max_bytes: Some(2 * MIB),
        zero_on_free,
        budget: Some(budget.clone()),
        ..PoolOptions::default()
    };
    let mut bench = Bench { pool: MemoryPool::create(backend, options).unwrap(), live: Vec::new() };
    for step in 0..150 {
        bench.step(mixed(seed ^ mixed(step)));
        let stats = bench.pool.stats();
        assert_eq!(budget.allocated_bytes(), stats.held_bytes, "seed {seed}, step {step}");
        assert_eq!(host.usage().used_bytes, stats.held_bytes, "seed {seed}, step {step}");
        let blocks = bench
            .pool
            .slabs()
            .iter()
            .flat_map(|slab| &slab.blocks)
            .map(|block| block.size_bytes)
            .sum::<u64>();
        assert_eq!(blocks, stats.held_bytes, "seed {seed}, step {step}");
        assert!(stats.buffer_count as usize >= bench.live.len());
    }
    for index in 0..bench.live.len() as u64 {
        bench.check(index);
    }
    bench.live.clear();
    bench.pool.close();
    assert_eq!(
        (host.usage().used_bytes, host.usage().slab_count, budget.allocated_bytes()),
        (0, 0, 0),
        "seed {seed}"
    );
}

#[test]
fn two_hundred_random_plans_of_failures_leave_nothing() {
    for seed in 0..200 {
        run(seed, Faults::often(3 + seed % 40, seed), seed.is_multiple_of(3));
    }
}

#[test]
fn a_device_lost_at_any_call_leaves_nothing() {
    for call in 0..100 {
        run(call, Faults::from(call), call.is_multiple_of(2));
    }
}

#[test]
fn without_failures_the_same_steps_lose_nothing() {
    let faults = Faults::never();
    run(7, faults.clone(), true);
    assert!(faults.calls() > 100);
}
