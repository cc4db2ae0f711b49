//! Slabs: what takes them, what keeps them, what gives them back.

use std::{sync::Arc, thread};

use plimsoll::{
    Error, MemoryBudget,
    device::{Backend, DeviceContext, HostBackend, SharedBackend},
    pool::{BufferOptions, MemoryPool, PoolOptions},
    units::{KIB, MIB},
};

use crate::{grown, labelled, pool, small};

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
fn a_reservation_serves_the_alignment_it_was_made_for() {
    let pool = pool(small(8192));
    let _first = grown(&pool, 256);
    let options = BufferOptions { align_bytes: 4096, ..BufferOptions::default() };
    assert!(pool.stats().largest_free_bytes >= 7000);
    assert_eq!(pool.allocate(7000, &options.clone()).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    pool.reserve_for(7000, &options).unwrap();
    pool.allocate(7000, &options).unwrap();
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
