//! Pools of device memory, over the host: content, map and bounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_for_each,
    clippy::type_complexity
)]

use std::{
    os::unix::fs::FileExt,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    thread,
};

use plimsoll::{
    Error, MemoryBudget,
    device::{Backend, DeviceContext, HostBackend, HostOptions, HostSource, SharedBackend},
    pool::{
        Access, BufferOptions, DefragmentOptions, MemoryPool, Pin, Placement, PoolBuffer, PoolOptions,
        TraceKind,
    },
    units::{KIB, MIB},
};
use proptest::prelude::*;

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

#[test]
fn what_is_taken_at_the_start_serves_without_a_device() {
    let pool = pool(PoolOptions { initial_bytes: 3 * MIB, ..small(MIB) });
    assert_eq!((pool.stats().held_bytes, pool.stats().slab_count), (3 * MIB, 3));
    let buffers: Vec<_> = (0..3).map(|_| pool.allocate(MIB, &BufferOptions::default()).unwrap()).collect();
    let Err(Error::InsufficientMemory { largest_free_bytes, requested_bytes, .. }) =
        pool.allocate(1, &BufferOptions::default())
    else {
        panic!("nothing is left");
    };
    assert_eq!((largest_free_bytes, requested_bytes), (0, 1));
    drop(buffers);
    assert_eq!(pool.stats().held_bytes, 3 * MIB, "what was taken at the start stays");
    assert_eq!(pool.trim(0), 3 * MIB);
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn an_empty_slab_can_be_had_whole_at_any_odd_size() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    for bytes in [1, 12_345, 999_999, MIB - 1, MIB] {
        let buffer = pool.allocate(bytes, &BufferOptions::default()).unwrap();
        sign(&buffer, bytes);
        assert!(is_signed(&buffer, bytes));
    }
    assert_eq!(pool.stats().buffer_count, 0);
}

#[test]
fn a_giant_gets_a_slab_of_its_own_and_takes_it_along() {
    let pool = pool(small(MIB));
    let giant = grown(&pool, 5 * MIB + 1);
    assert_eq!((pool.stats().slab_count, pool.stats().held_bytes), (1, 5 * MIB + 4 * KIB));
    let small = grown(&pool, 100);
    assert_eq!(pool.stats().slab_count, 1, "what its size leaves over is used");
    drop((small, giant));
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn slabs_count_in_the_budget_until_they_are_back() {
    let budget = MemoryBudget::new(4 * MIB, 0).unwrap();
    let pool = pool(PoolOptions { budget: Some(budget.clone()), label: "weights".into(), ..small(MIB) });
    let first = grown(&pool, 10);
    assert_eq!((budget.allocated_bytes(), budget.pending_bytes()), (MIB, 0));
    assert_eq!(budget.allocations()[0].label, "weights");
    let _three = grown(&pool, 3 * MIB);
    let refusal = pool.allocate_growing(2 * MIB, &labelled("more"), &mut |_| false).unwrap_err();
    let Error::InsufficientMemory { largest_free_bytes, ref binding_constraint, .. } = refusal else {
        panic!("{refusal}");
    };
    assert_eq!(largest_free_bytes, MIB - 256);
    assert!(binding_constraint.contains("the line is 4.00 MiB"), "{binding_constraint}");
    assert_eq!(budget.allocated_bytes(), 4 * MIB, "the refusal took nothing");
    drop(first);
    assert_eq!(budget.allocated_bytes(), 3 * MIB);
    pool.close();
    assert_eq!(budget.allocated_bytes(), 0);
}

#[test]
fn a_refusal_names_the_buffer_or_else_the_pool() {
    let pool = pool(PoolOptions { label: "weights".into(), ..small(MIB) });
    for (options, label) in [(labelled("layer 1"), "layer 1"), (BufferOptions::default(), "weights")] {
        let refusal = pool.allocate(1000, &options).unwrap_err().to_string();
        assert!(refusal.contains(&format!("asked for \"{label}\"")), "{refusal}");
    }
}

#[test]
fn callbacks_are_asked_before_a_refusal_and_what_it_releases_is_used() {
    let pool = pool(PoolOptions { max_bytes: Some(2 * MIB), ..small(MIB) });
    let mut victim = Some(grown(&pool, MIB));
    let _kept = grown(&pool, MIB);
    let mut asked = Vec::new();
    let buffer = pool
        .allocate_growing(MIB, &BufferOptions::default(), &mut |bytes| {
            asked.push(bytes);
            victim.take().is_some()
        })
        .unwrap();
    assert_eq!(asked, [MIB]);
    assert_eq!((pool.stats().retry_count, pool.stats().held_bytes), (1, 2 * MIB));
    drop(buffer);
}

#[test]
fn defragmentation_makes_room_before_a_refusal() {
    let pool = pool(PoolOptions { max_bytes: Some(2 * MIB), ..small(MIB) });
    let mut buffers: Vec<_> = (0..8).map(|seed| (seed, grown(&pool, 256 * KIB))).collect();
    for (seed, buffer) in &buffers {
        sign(buffer, *seed);
    }
    buffers.retain(|(seed, _)| seed % 2 == 0);
    assert_eq!(pool.stats().largest_free_bytes, 256 * KIB);
    assert!(pool.stats().fragmentation_percent > 70.0);
    let _large = grown(&pool, MIB);
    assert!(pool.stats().moved_count >= 2);
    assert!(buffers.iter().all(|(seed, buffer)| is_signed(buffer, *seed)), "content survives");
}

/// Four slabs of 2 MiB hold 5 MiB, which three of them would hold: then a slab of 4 MiB fits under the maximum of 10 MiB.
#[test]
fn moving_makes_room_for_more_than_all_holes_have_together() {
    let pool = pool(PoolOptions { max_bytes: Some(10 * MIB), ..small(2 * MIB) });
    let mut buffers: Vec<_> = (0..8).map(|seed| (seed, grown(&pool, MIB))).collect();
    buffers.iter().for_each(|(seed, buffer)| sign(buffer, *seed));
    buffers.retain(|(seed, _)| ![0, 2, 4].contains(seed));
    assert_eq!((pool.stats().held_bytes, pool.stats().free_bytes), (8 * MIB, 3 * MIB));
    let large = grown(&pool, 4 * MIB);
    assert_eq!((large.size_bytes(), pool.stats().held_bytes), (4 * MIB, 10 * MIB));
    assert!(buffers.iter().all(|(seed, buffer)| is_signed(buffer, *seed)), "content survives");
}

#[test]
fn a_dry_run_says_what_would_come_of_it_and_moves_nothing() {
    let pool = pool(small(MIB));
    let mut buffers: Vec<_> = (0..16).map(|_| grown(&pool, 128 * KIB)).collect();
    let mut kept = 0;
    buffers.retain(|_| {
        kept += 1;
        kept % 4 == 1
    });
    let dry = pool
        .defragment(&DefragmentOptions { dry_run: true, ..DefragmentOptions::default() }, &mut |_| true)
        .unwrap();
    assert_eq!((pool.stats().moved_count, pool.stats().held_bytes), (0, 2 * MIB));
    let real = pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap();
    assert_eq!(
        (dry.moved_count, dry.moved_bytes, dry.emptied_bytes),
        (real.moved_count, real.moved_bytes, MIB)
    );
    assert_eq!(dry.largest_free_bytes_after, real.largest_free_bytes_after.max(dry.largest_free_bytes_after));
    assert_eq!(pool.stats().held_bytes, MIB, "the slab that became empty went back");
    assert!(real.complete);
}

#[test]
fn bounds_end_a_pass_and_the_next_goes_on() {
    let pool = pool(small(MIB));
    let mut buffers: Vec<_> = (0..32).map(|seed| (seed, grown(&pool, 64 * KIB))).collect();
    buffers.retain(|(seed, _)| seed % 4 == 0);
    buffers.iter().for_each(|(seed, buffer)| sign(buffer, *seed));
    let one = DefragmentOptions { max_moves: Some(1), ..DefragmentOptions::default() };
    let report = pool.defragment(&one, &mut |_| true).unwrap();
    assert_eq!((report.moved_count, report.complete), (1, false));
    let few = DefragmentOptions { max_bytes: Some(100 * KIB), ..DefragmentOptions::default() };
    assert_eq!(pool.defragment(&few, &mut |_| true).unwrap().moved_count, 2);
    let at_once =
        DefragmentOptions { max_time: Some(std::time::Duration::ZERO), ..DefragmentOptions::default() };
    assert_eq!(pool.defragment(&at_once, &mut |_| true).unwrap().moved_count, 0);
    assert!(pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap().complete);
    assert!(buffers.iter().all(|(seed, buffer)| is_signed(buffer, *seed)));
}

#[test]
fn what_is_pinned_mapped_exported_or_vetoed_stays() {
    let pool = pool(small(MIB));
    let mut buffers: Vec<_> = (0..8).map(|_| grown(&pool, 256 * KIB)).collect();
    buffers.drain(5..);
    buffers.drain(..3);
    // One buffer in each of the two slabs now.
    let vetoed = pool.defragment(&DefragmentOptions::default(), &mut |_| false).unwrap();
    assert_eq!((vetoed.moved_count, vetoed.vetoed_count > 0), (0, true));
    let pins = (buffers[0].pin().unwrap(), buffers[1].map(0, 10, Access::ReadWrite).unwrap());
    assert_eq!(pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap().moved_count, 0);
    assert!(
        pool.slabs()
            .iter()
            .flat_map(|slab| &slab.blocks)
            .filter_map(|block| block.buffer.as_ref())
            .all(|buffer| buffer.pinned)
    );
    drop(pins);
    assert_eq!(pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap().emptied_bytes, MIB);
}

#[test]
fn a_buffer_freed_in_the_middle_of_a_move_is_freed_all_the_same() {
    for made in [true, false] {
        let (pool, mut buffers) = two_slabs_with_a_buffer_each();
        let mut run = pool.begin_run(&DefragmentOptions::default()).unwrap();
        run.next_move().unwrap().unwrap();
        let begun = run.begin_move().unwrap().unwrap();
        buffers.retain(|buffer| Some(buffer.id()) != begun.buffer());
        assert_eq!(pool.stats().buffer_count, 2, "its bytes are in use as long as they are moved");
        if made {
            begun.make().unwrap();
        } else {
            drop(begun);
        }
        assert_eq!(pool.stats().buffer_count, 1);
        buffers.clear();
        assert_eq!((pool.stats().used_bytes, pool.stats().held_bytes), (0, 0));
    }
}

#[test]
fn a_move_whose_buffer_was_freed_pinned_or_moved_since_is_not_begun() {
    let since: [fn(&MemoryPool, &mut Vec<PoolBuffer>, u64) -> Option<Pin>; 3] = [
        |_, buffers, id| {
            buffers.retain(|buffer| buffer.id() != id);
            None
        },
        |_, buffers, id| buffers.iter().find(|buffer| buffer.id() == id).unwrap().try_pin().unwrap(),
        |pool, _, _| {
            pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap();
            None
        },
    ];
    for since in since {
        let (pool, mut buffers) = two_slabs_with_a_buffer_each();
        let mut run = pool.begin_run(&DefragmentOptions::default()).unwrap();
        let planned = run.next_move().unwrap().unwrap();
        let pin = since(&pool, &mut buffers, planned.buffer());
        assert!(run.begin_move().unwrap().is_none());
        drop(pin);
        buffers.clear();
        assert_eq!((pool.stats().used_bytes, pool.stats().held_bytes), (0, 0));
    }
}

#[test]
fn whoever_is_asked_about_a_move_may_use_the_buffer() {
    let (pool, buffers) = two_slabs_with_a_buffer_each();
    let mut pins = Vec::new();
    let report = pool
        .defragment(&DefragmentOptions::default(), &mut |planned| {
            let buffer = buffers.iter().find(|buffer| buffer.id() == planned.buffer()).unwrap();
            pins.push(buffer.pin().unwrap());
            true
        })
        .unwrap();
    assert_eq!((report.moved_count, report.complete), (0, true));
}

#[test]
fn a_reservation_serves_the_alignment_it_was_made_for() {
    let pool = pool(small(8192));
    let _first = grown(&pool, 256);
    let options = BufferOptions { align_bytes: 4096, ..BufferOptions::default() };
    assert!(pool.stats().largest_free_bytes >= 7000);
    assert_eq!(pool.allocate(7000, &options.clone()).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    pool.reserve_for(7000, &options).unwrap();
    pool.allocate(7000, &options).unwrap();
}

/// A pool with two slabs and a buffer in each, which one would hold.
fn two_slabs_with_a_buffer_each() -> (MemoryPool, Vec<PoolBuffer>) {
    let pool = pool(small(MIB));
    let mut buffers: Vec<_> = (0..8).map(|_| grown(&pool, 256 * KIB)).collect();
    buffers.drain(5..);
    buffers.drain(..3);
    (pool, buffers)
}

#[test]
fn a_closed_pool_refuses_every_use_and_maps_outlive_it() {
    let budget = MemoryBudget::new(10 * MIB, 0).unwrap();
    let pool = pool(PoolOptions { budget: Some(budget.clone()), ..small(MIB) });
    let buffer = grown(&pool, 1000);
    sign(&buffer, 1);
    let map = buffer.map(0, 1000, Access::Read).unwrap();
    pool.close();
    pool.close();
    let mut byte = [0];
    for refusal in [
        buffer.read(0, &mut byte).unwrap_err(),
        buffer.pin().unwrap_err(),
        buffer.map(0, 1, Access::Read).unwrap_err(),
        pool.allocate(1, &BufferOptions::default()).unwrap_err(),
        pool.reserve(1).unwrap_err(),
        pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap_err(),
    ] {
        assert_eq!(refusal.code(), "ERR_RELEASED", "{refusal}");
    }
    assert_eq!(budget.allocated_bytes(), MIB, "what is mapped is still there, and still counts");
    assert_eq!(map.view().size_bytes(), 1000);
    map.finish().unwrap();
    drop(buffer);
    assert_eq!((budget.allocated_bytes(), pool.stats().held_bytes, pool.stats().buffer_count), (0, 0, 0));
}

#[test]
fn the_place_of_an_abandoned_map_is_not_used_again_and_its_slab_goes_with_the_pool() {
    let budget = MemoryBudget::new(10 * MIB, 0).unwrap();
    let options = PoolOptions { budget: Some(budget.clone()), initial_bytes: MIB, ..small(MIB) };
    let pool = pool(options);
    let below = grown(&pool, 400 * KIB);
    let buffer = grown(&pool, 400 * KIB);
    buffer.fill(0, buffer.size_bytes(), 7).unwrap();
    let map = buffer.map(0, 1000, Access::ReadWrite).unwrap();
    let seen = map.view().base();
    map.abandon();
    drop((below, buffer));
    assert_eq!(pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap().moved_count, 0);
    let others: Vec<_> = (0..6).map(|_| grown(&pool, 100 * KIB)).collect();
    others.iter().for_each(|other| other.fill(0, other.size_bytes(), 9).unwrap());
    // SAFETY: the addresses stay mapped; nobody writes to them any more.
    #[allow(unsafe_code)]
    let byte = || unsafe { seen.as_ptr().read_volatile() };
    assert_eq!(byte(), 7);
    pool.close();
    assert_eq!((byte(), budget.allocated_bytes()), (0, 0));
    assert_eq!(pool.device_usage().used_bytes, 0);
}

#[test]
fn what_is_freed_reads_zero_for_the_next_user_where_that_is_asked_for() {
    for zero_on_free in [true, false] {
        let pool = pool(PoolOptions { zero_on_free, initial_bytes: MIB, ..small(MIB) });
        let first = pool.allocate(4 * KIB, &BufferOptions::default()).unwrap();
        first.fill(0, 4 * KIB, 0xee).unwrap();
        drop(first);
        let mut bytes = [1; 100];
        pool.allocate(4 * KIB, &BufferOptions::default()).unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(bytes.iter().all(|byte| *byte == 0), zero_on_free);
    }
}

#[test]
fn nothing_is_left_of_live_buffers_as_a_zeroing_pool_ends() {
    let options = HostOptions { source: HostSource::MemoryFile, ..HostOptions::default() };
    let backend = Arc::new(HostBackend::with_options(DeviceContext::default(), options));
    let options = PoolOptions { zero_on_free: true, initial_bytes: MIB, ..small(MIB) };
    let pool = MemoryPool::create(backend, options).unwrap();
    let buffer = pool.allocate(100, &BufferOptions::default()).unwrap();
    buffer.fill(0, 100, 65).unwrap();
    let exported = buffer.export_fd().unwrap();
    pool.close();
    let mut seen = [1; 100];
    std::fs::File::from(exported.fd).read_exact_at(&mut seen, exported.offset_bytes).unwrap();
    assert_eq!(seen, [0; 100]);
}

#[test]
fn a_reserved_slab_stays_until_it_is_used_or_trimmed() {
    let pool = pool(small(MIB));
    let held = grown(&pool, MIB);
    pool.reserve(3 * MIB).unwrap();
    drop(held);
    assert_eq!(pool.stats().held_bytes, 3 * MIB);
    assert_eq!(pool.trim_cached(), 0, "somebody else who needs memory leaves it");
    drop(pool.allocate(3 * MIB, &BufferOptions::default()).unwrap());
    assert_eq!(pool.stats().held_bytes, 0, "once used it is a slab like others");
    pool.reserve(MIB).unwrap();
    assert_eq!(pool.trim(0), MIB);
}

#[test]
fn a_buffer_is_loaded_alone_and_pinned_or_exported_all_the_same() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    let buffer = pool.allocate(100, &BufferOptions::default()).unwrap();
    let pin = buffer.pin().unwrap();
    let claim = buffer.claim().unwrap();
    assert_eq!(buffer.write(0, &[1]).unwrap_err().code(), "ERR_BUSY");
    assert_eq!(buffer.claim().unwrap_err().code(), "ERR_BUSY");
    drop((claim, pin));
    let map = buffer.map(0, 1, Access::Read).unwrap();
    assert_eq!(buffer.claim().unwrap_err().code(), "ERR_BUSY");
    drop(map);
    assert!(buffer.claim().is_ok());
}

#[test]
fn transient_buffers_come_from_the_other_end() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    let transient = BufferOptions { placement: Placement::Transient, ..BufferOptions::default() };
    let _long = pool.allocate(1000, &BufferOptions::default()).unwrap();
    let _short = pool.allocate(1000, &transient).unwrap();
    let blocks = &pool.slabs()[0].blocks;
    let used: Vec<_> =
        blocks.iter().filter(|block| block.buffer.is_some()).map(|block| block.offset_bytes).collect();
    assert_eq!(used, [0, MIB - 1024]);
    assert_eq!(blocks.iter().map(|block| block.size_bytes).sum::<u64>(), MIB);
}

#[test]
fn pages_are_all_of_one_size() {
    let pool = pool(PoolOptions { page_bytes: Some(16 * KIB), initial_bytes: 64 * KIB, ..small(64 * KIB) });
    let pages: Vec<_> = (0..4).map(|_| pool.allocate(10 * KIB, &BufferOptions::default()).unwrap()).collect();
    assert!(pool.allocate(1, &BufferOptions::default()).is_err());
    let refusal = pool.allocate(16 * KIB + 1, &BufferOptions::default()).unwrap_err();
    assert!(refusal.to_string().contains("a page of 16384 bytes"), "{refusal}");
    pages.iter().zip(0..).for_each(|(page, seed)| sign(page, seed));
    assert!(pages.iter().zip(0..).all(|(page, seed)| is_signed(page, seed)));
}

#[test]
fn free_pages_are_not_scattered() {
    let pool = pool(PoolOptions { page_bytes: Some(4 * KIB), initial_bytes: 64 * KIB, ..small(64 * KIB) });
    assert!(pool.stats().fragmentation_percent < f64::EPSILON);
}

#[test]
fn a_beginning_that_cannot_end_takes_nothing() {
    let backend = Arc::new(HostBackend::new(DeviceContext::default()));
    let budget = MemoryBudget::new(3 * MIB, 0).unwrap();
    let beyond_machine = PoolOptions { initial_bytes: 1 << 43, ..small(MIB) };
    let beyond_budget = PoolOptions { initial_bytes: 4 * MIB, budget: Some(budget.clone()), ..small(MIB) };
    for options in [beyond_machine, beyond_budget] {
        let refusal = MemoryPool::create(Arc::clone(&backend) as SharedBackend, options).unwrap_err();
        assert_eq!(refusal.code(), "ERR_INSUFFICIENT_MEMORY", "{refusal}");
    }
    assert_eq!((backend.usage().allocated_count, budget.peak_bytes()), (0, 0));
}

#[test]
fn with_slabs_of_their_own_nothing_is_shared_or_kept() {
    let pool = pool(PoolOptions { dedicated: true, ..PoolOptions::default() });
    let (first, second) = (grown(&pool, 10), grown(&pool, 20));
    assert_eq!(pool.stats().slab_count, 2);
    drop(first);
    assert_eq!(pool.stats().slab_count, 1);
    drop(second);
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn slabs_wait_to_be_released_where_that_is_asked_for() {
    let pool = pool(small(MIB));
    grown(&pool, 100).free_without_waiting();
    assert_eq!((pool.stats().held_bytes, pool.retired_bytes()), (0, MIB));
    assert_eq!((pool.collect(), pool.retired_bytes()), (MIB, 0));
    // Whoever has the last handle decides.
    let buffer = grown(&pool, 100);
    let last = buffer.clone();
    buffer.free_without_waiting();
    drop(last);
    assert_eq!((pool.stats().held_bytes, pool.retired_bytes()), (0, 0));
}

#[test]
fn what_the_pool_began_with_goes_only_for_a_buffer_that_then_fits() {
    let beginning = PoolOptions { initial_bytes: 2 * MIB, max_bytes: Some(4 * MIB), ..small(MIB) };
    let pool = pool(PoolOptions { max_cached_bytes: Some(MIB), ..beginning });
    let mut asked = 0;
    let mut grow = |bytes| {
        pool.allocate_growing(bytes, &BufferOptions::default(), &mut |_| {
            asked += 1;
            false
        })
    };
    let refusal = grow(5 * MIB).unwrap_err();
    assert_eq!((refusal.code(), pool.stats().retry_count), ("ERR_INSUFFICIENT_MEMORY", 0));
    assert_eq!(pool.stats().held_bytes, 2 * MIB, "nothing goes for what can never be");
    let weights = grow(2 * MIB).unwrap();
    let scratch = grow(100).unwrap();
    assert_eq!(grow(2 * MIB).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    assert_eq!(pool.stats().held_bytes, 4 * MIB, "it would not have been enough");
    drop(scratch);
    drop(grow(2 * MIB).unwrap());
    drop(weights);
    assert_eq!(asked, 2, "before its own buffers are moved, and once more after");
}

#[test]
fn at_the_same_moment_each_gets_a_slab_of_its_own_size() {
    let pool = pool(PoolOptions { dedicated: true, max_cached_bytes: Some(0), ..small(MIB) });
    for _ in 0..20 {
        let takers: Vec<_> = [9, 1, 8, 2, 6, 3, 10]
            .map(|mib| {
                let pool = pool.clone();
                thread::spawn(move || grown(&pool, mib * MIB))
            })
            .into();
        let buffers: Vec<_> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        assert!(pool.slabs().iter().all(|slab| slab.used_bytes == slab.size_bytes));
        assert_eq!(pool.stats().held_bytes, 39 * MIB);
        drop(buffers);
        assert_eq!(pool.stats().held_bytes, 0);
    }
}

#[test]
fn a_slab_of_its_own_is_none_that_is_twice_as_large() {
    let pool = pool(PoolOptions { dedicated: true, max_cached_bytes: Some(64 * MIB), ..small(MIB) });
    drop(grown(&pool, 10 * MIB));
    let small = grown(&pool, MIB);
    assert_eq!(pool.stats().held_bytes, 11 * MIB);
    assert_eq!(grown(&pool, 8 * MIB).size_bytes(), 8 * MIB);
    assert_eq!(pool.stats().held_bytes, 11 * MIB, "what is cached serves what is nearly as large");
    drop(small);
}

#[test]
fn others_who_need_memory_get_what_is_cached_and_no_more() {
    let options = PoolOptions { initial_bytes: MIB, max_cached_bytes: Some(4 * MIB), ..small(MIB) };
    let pool = pool(options);
    let large = grown(&pool, 2 * MIB);
    pool.reserve(3 * MIB).unwrap();
    drop(large);
    assert_eq!((pool.trim_cached(), pool.stats().held_bytes), (2 * MIB, 4 * MIB));
    assert_eq!(pool.trim(0), 4 * MIB);
}

#[test]
fn a_trace_tells_every_event_and_what_was_there_before() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    let before = pool.allocate(100, &BufferOptions::default()).unwrap();
    pool.start_trace(4);
    drop(pool.allocate(200, &BufferOptions::default()).unwrap());
    let _refused = pool.allocate(2 * MIB, &BufferOptions::default()).unwrap_err();
    drop(before);
    let (events, dropped) = pool.stop_trace();
    let seen: Vec<_> = events.iter().map(|event| (event.kind, event.bytes)).collect();
    let expected = [
        (TraceKind::Present, 100),
        (TraceKind::Allocate, 200),
        (TraceKind::Free, 200),
        (TraceKind::Refuse, 2 * MIB),
    ];
    assert_eq!((seen.as_slice(), dropped), (expected.as_slice(), 1));
    assert!(pool.stop_trace().0.is_empty());
}

#[test]
fn options_that_contradict_each_other_or_the_device_are_named() {
    let dedicated = PoolOptions { dedicated: true, ..PoolOptions::default() };
    for (name, options) in [
        ("pageBytes", PoolOptions { page_bytes: Some(4 * KIB), ..dedicated.clone() }),
        ("initialBytes", PoolOptions { initial_bytes: 1, ..dedicated.clone() }),
        ("maxBytes", PoolOptions { max_bytes: Some(1), ..PoolOptions::default() }),
        ("maxBytes", PoolOptions { max_bytes: Some(1), ..dedicated.clone() }),
        ("maxBytes", PoolOptions { max_bytes: Some(MIB), page_bytes: Some(2 * MIB), ..small(MIB) }),
        ("slabBytes", small(1 << 52)),
    ] {
        let backend = Arc::new(HostBackend::new(DeviceContext::default()));
        let refusal = MemoryPool::create(backend, options).unwrap_err();
        let Error::InvalidArgument { name: named, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!(*named, name, "{refusal}");
    }
    // The least that can hold anything is enough.
    let page_bytes = HostBackend::new(DeviceContext::default()).limits().granule_bytes;
    for options in [dedicated, PoolOptions::default()] {
        let pool = pool(PoolOptions { max_bytes: Some(page_bytes), ..options });
        assert_eq!(grown(&pool, page_bytes).size_bytes(), page_bytes);
    }
}

#[test]
fn unfit_sizes_alignments_and_options_are_named() {
    let pool = pool(small(MIB));
    let misaligned = BufferOptions { align_bytes: 3, ..BufferOptions::default() };
    for (bytes, options) in [
        (0, BufferOptions::default()),
        (u64::MAX, BufferOptions::default()),
        (1, misaligned),
        (1, BufferOptions { align_bytes: 0, ..BufferOptions::default() }),
        (1, BufferOptions { align_bytes: 1 << 40, ..BufferOptions::default() }),
    ] {
        assert_eq!(pool.allocate(bytes, &options).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    }
    let backend = pool.backend();
    for (name, options) in [
        ("slabBytes", PoolOptions { slab_bytes: u64::MAX, ..PoolOptions::default() }),
        ("pageBytes", PoolOptions { page_bytes: Some(0), ..PoolOptions::default() }),
        ("initialBytes", PoolOptions { initial_bytes: 2, max_bytes: Some(1), ..PoolOptions::default() }),
    ] {
        let refusal = MemoryPool::create(Arc::clone(backend), options).unwrap_err();
        assert!(refusal.to_string().contains(name), "{refusal}");
    }
    let buffer = grown(&pool, 100);
    let mut bytes = [0; 10];
    for offset in [91, 100, u64::MAX] {
        assert_eq!(buffer.read(offset, &mut bytes).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    }
}

#[test]
fn threads_share_a_pool_while_it_is_defragmented() {
    let pool = pool(PoolOptions { max_cached_bytes: Some(MIB), ..small(MIB) });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..3_u64)
            .map(|worker| {
                let pool = &pool;
                scope.spawn(move || {
                    let mut live: Vec<(u64, PoolBuffer)> = Vec::new();
                    for step in 0..300_u64 {
                        let seed = worker * 1000 + step;
                        let buffer = grown(pool, 1 + (seed * 7919) % (200 * KIB));
                        sign(&buffer, seed);
                        live.push((seed, buffer));
                        if live.len() > 12 {
                            let (seed, buffer) = live.swap_remove((step * 5 % 12) as usize);
                            assert!(is_signed(&buffer, seed));
                        }
                    }
                    assert!(live.iter().all(|(seed, buffer)| is_signed(buffer, *seed)));
                })
            })
            .collect();
        let (pool, done) = (&pool, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                pool.defragment(
                    &DefragmentOptions { max_moves: Some(8), ..DefragmentOptions::default() },
                    &mut |_| true,
                )
                .unwrap();
                thread::yield_now();
            }
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    let stats = pool.stats();
    assert_eq!((stats.buffer_count, stats.used_bytes, stats.requested_bytes), (0, 0, 0));
    assert_eq!(stats.allocated_count, stats.freed_count);
}

#[derive(Debug, Clone)]
enum Step {
    Allocate { bytes: u64, transient: bool },
    Free(usize),
    Defragment(u64),
    Trim,
    Pin(usize),
    Unpin,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1_u64..100_000, any::<bool>()).prop_map(|(bytes, transient)| Step::Allocate { bytes, transient }),
        4 => any::<usize>().prop_map(Step::Free),
        1 => (0_u64..6).prop_map(Step::Defragment),
        1 => Just(Step::Trim),
        1 => any::<usize>().prop_map(Step::Pin),
        1 => Just(Step::Unpin),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a plain list: nothing overlaps, nothing is lost, content survives whatever is moved.
    #[test]
    fn buffers_keep_their_bytes_and_the_books_add_up(steps in prop::collection::vec(step(), 1..120)) {
        let pool = pool(PoolOptions { max_bytes: Some(MIB), ..small(256 * KIB) });
        let mut live: Vec<(u64, PoolBuffer)> = Vec::new();
        let mut pins = Vec::new();
        for (seed, step) in (0_u64..).zip(steps) {
            match step {
                Step::Allocate { bytes, transient } => {
                    let placement = if transient { Placement::Transient } else { Placement::LongLived };
                    let options = BufferOptions { placement, ..BufferOptions::default() };
                    if let Ok(buffer) = pool.allocate_growing(bytes, &options, &mut |_| false) {
                        sign(&buffer, seed);
                        live.push((seed, buffer));
                    }
                }
                Step::Free(index) if !live.is_empty() => {
                    let (seed, buffer) = live.swap_remove(index % live.len());
                    prop_assert!(is_signed(&buffer, seed));
                }
                Step::Defragment(moves) => {
                    let bounded = DefragmentOptions { max_moves: Some(moves), ..DefragmentOptions::default() };
                    pool.defragment(&bounded, &mut |_| true).unwrap();
                }
                Step::Pin(index) if !live.is_empty() => pins.push(live[index % live.len()].1.pin().unwrap()),
                Step::Trim => drop(pool.trim(0)),
                Step::Unpin => pins.clear(),
                Step::Free(_) | Step::Pin(_) => {}
            }
            let stats = pool.stats();
            let blocks: u64 = pool.slabs().iter().flat_map(|slab| &slab.blocks).map(|block| block.size_bytes).sum();
            prop_assert_eq!(blocks, stats.held_bytes, "no byte is lost");
            prop_assert_eq!(stats.used_bytes + stats.free_bytes, stats.held_bytes);
            prop_assert!(stats.held_bytes <= MIB && stats.buffer_count as usize >= live.len());
        }
        prop_assert!(live.iter().all(|(seed, buffer)| is_signed(buffer, *seed)));
        drop(pins);
        live.clear();
        prop_assert_eq!(pool.stats().used_bytes, 0);
        pool.trim(0);
        prop_assert_eq!(pool.stats().held_bytes, 0);
    }
}
