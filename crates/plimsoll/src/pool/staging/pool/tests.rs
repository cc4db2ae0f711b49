use super::*;
use crate::{
    MemoryBudget,
    budget::RecordOptions,
    pool::staging::inner::{LABEL, SMALLEST_CLASS_BYTES},
    units::{KIB, MAX_BYTES, MIB},
};
use proptest::prelude::*;
use std::thread;

fn pool(max_held_bytes: u64, zeroed: bool, budget: Option<&MemoryBudget>) -> StagingPool {
    StagingPool::new(StagingPoolOptions { max_held_bytes, zeroed, budget: budget.cloned() })
}

#[test]
fn a_returned_buffer_serves_the_next_request_of_its_class() {
    let pool = pool(MIB, false, None);
    let mut first = pool.get(100 * KIB).unwrap();
    first.fill(7);
    drop(first);
    let again = pool.get(97 * KIB).unwrap();
    assert_eq!(again.len() as u64, 97 * KIB);
    assert!(again.iter().all(|byte| *byte == 7));
    let stats = pool.stats();
    assert_eq!((stats.hits, stats.misses, stats.held_count, stats.in_use_count), (1, 1, 0, 1));
}

#[test]
fn a_zeroed_pool_hands_out_zeros() {
    let pool = pool(MIB, true, None);
    pool.get(8 * KIB).unwrap().fill(0xff);
    assert!(pool.get(8 * KIB).unwrap().iter().all(|byte| *byte == 0));
    assert_eq!(pool.stats().hits, 1);
}

#[test]
fn idle_bytes_never_pass_the_cap() {
    let pool = pool(64 * KIB, false, None);
    let buffers: Vec<_> = (0..4).map(|_| pool.get(32 * KIB).unwrap()).collect();
    drop(buffers);
    let stats = pool.stats();
    assert_eq!((stats.held_bytes, stats.held_count, stats.in_use_bytes), (64 * KIB, 2, 0));
    assert_eq!(stats.peak_bytes, 128 * KIB);
    assert_eq!(pool.trim(32 * KIB), 32 * KIB);
    assert_eq!(pool.trim(0), 32 * KIB);
}

#[test]
fn every_buffer_counts_against_the_budget_until_its_memory_is_gone() {
    let budget = MemoryBudget::new(100 * KIB, 0).unwrap();
    let pool = pool(MIB, false, Some(&budget));
    let mut kept = pool.get(32 * KIB).unwrap();
    drop(pool.get(64 * KIB).unwrap());
    assert_eq!(budget.allocated_bytes(), 96 * KIB, "idle buffers count");
    kept.keep();
    assert_eq!(pool.stats().in_use_count, 0, "a kept buffer is the pool's no more");
    assert_eq!(budget.allocated_bytes(), 96 * KIB, "but it is still there");
    let error = pool.get(200 * KIB).unwrap_err();
    assert_eq!(error.code(), "ERR_INSUFFICIENT_MEMORY");
    assert_eq!(budget.allocated_bytes(), 32 * KIB, "idle buffers went before the refusal");
    drop(kept);
    assert_eq!(budget.allocated_bytes(), 0);
}

#[test]
fn a_recording_of_the_budget_tells_what_becomes_of_each_buffer() {
    let budget = MemoryBudget::new(MIB, 0).unwrap();
    let pool = pool(MIB, false, Some(&budget));
    let recording = budget.record(RecordOptions::default()).unwrap();
    drop(pool.get(KIB).unwrap());
    drop(pool.get(KIB).unwrap());
    pool.trim(0);
    let record = recording.stop();
    let kinds: Vec<_> = record.events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["grant", "commit", "return", "reuse", "return", "release"]);
    assert!(record.events.iter().all(|event| event.id == record.events[0].id && &*event.label == LABEL));
}

#[test]
fn a_closed_pool_hands_out_nothing_and_takes_its_buffers_back() {
    let budget = MemoryBudget::new(MIB, 0).unwrap();
    let pool = pool(MIB, false, Some(&budget));
    let held = pool.get(1).unwrap();
    drop(pool.get(1).unwrap());
    pool.close();
    pool.close();
    assert_eq!(pool.get(1).unwrap_err().code(), "ERR_RELEASED");
    drop(held);
    assert_eq!(budget.allocated_bytes(), 0);
}

#[test]
fn absurd_sizes_are_errors() {
    let pool = pool(MIB, false, None);
    assert_eq!(pool.get(u64::MAX).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    assert_eq!(pool.get(MAX_BYTES).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    assert_eq!(pool.get(0).unwrap().len(), 0);
}

#[test]
fn threads_share_a_pool_and_leave_nothing_in_use() {
    let pool = pool(MIB, false, None);
    thread::scope(|scope| {
        for size in 1..5_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for _ in 0..200 {
                    let mut buffer = pool.get(size * 9 * KIB).unwrap();
                    buffer.fill(size as u8);
                    assert!(buffer.iter().all(|byte| *byte == size as u8), "nobody else writes here");
                }
            });
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.in_use_count, stats.hits + stats.misses), (0, 0, 800));
    assert!(stats.held_bytes <= MIB);
}

proptest! {
    #[test]
    fn a_class_holds_its_request_with_little_slack(bytes in 1_u64..(1 << 40)) {
        let class = class_bytes(bytes).unwrap();
        let page = rustix::param::page_size() as u64;
        prop_assert!(class >= bytes && class.is_multiple_of(page));
        prop_assert!(class - bytes < page.max(SMALLEST_CLASS_BYTES).max(class / 4));
        prop_assert_eq!(class_bytes(class).unwrap(), class);
    }
}
