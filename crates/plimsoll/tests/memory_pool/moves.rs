//! Buffers that are moved together.

use std::{
    sync::{atomic::AtomicBool, atomic::Ordering},
    thread,
};

use plimsoll::{
    pool::{Access, DefragmentOptions, MemoryPool, Pin, PoolBuffer, PoolOptions},
    units::{KIB, MIB},
};

use crate::{grown, is_signed, pool, sign, small};

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

/// A pool with two slabs and a buffer in each, which one would hold.
fn two_slabs_with_a_buffer_each() -> (MemoryPool, Vec<PoolBuffer>) {
    let pool = pool(small(MIB));
    let mut buffers: Vec<_> = (0..8).map(|_| grown(&pool, 256 * KIB)).collect();
    buffers.drain(5..);
    buffers.drain(..3);
    (pool, buffers)
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
