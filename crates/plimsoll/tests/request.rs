//! Requests for a buffer whose steps the caller makes, in any order and given up at any moment. What they come to is a table:
//! see `cases.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use plimsoll::{
    MemoryBudget,
    device::{DeviceContext, HostBackend},
    pool::{BufferOptions, BufferRequest, DefragmentOptions, MemoryPool, PoolBuffer, PoolOptions, Step},
    units::{KIB, MIB},
};
use proptest::prelude::*;

fn pool(options: PoolOptions) -> MemoryPool {
    MemoryPool::create(Arc::new(HostBackend::new(DeviceContext::default())), options).unwrap()
}

/// At most two slabs of 1 MiB, which go back as they become empty.
fn two_slabs(budget: Option<MemoryBudget>) -> MemoryPool {
    let (max_bytes, max_cached_bytes) = (Some(2 * MIB), Some(0));
    pool(PoolOptions { slab_bytes: MIB, max_bytes, max_cached_bytes, budget, ..PoolOptions::default() })
}

fn grown(pool: &MemoryPool, bytes: u64) -> PoolBuffer {
    pool.allocate_growing(bytes, &BufferOptions::default(), &mut |_| false).unwrap()
}

fn request(pool: &MemoryPool, bytes: u64) -> BufferRequest {
    pool.request(bytes, &BufferOptions::default()).unwrap()
}

/// The steps of a request for which nobody releases anything, by name.
fn steps(pool: &MemoryPool, request: &mut BufferRequest) -> Vec<&'static str> {
    let mut steps = Vec::new();
    loop {
        steps.push(match request.step() {
            Step::Take => {
                request.take();
                "take"
            }
            Step::Release => {
                request.release();
                "release"
            }
            Step::Reclaim { .. } => {
                request.reclaimed(false);
                "reclaim"
            }
            Step::Defragment { .. } => {
                pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap();
                request.defragmented();
                "defragment"
            }
            Step::Granted(_) => return [steps, vec!["granted"]].concat(),
            Step::Refused(_) => return [steps, vec!["refused"]].concat(),
        });
    }
}

#[test]
fn everything_is_tried_in_order_and_defragmentation_once() {
    let pool = two_slabs(None);
    let _both = [grown(&pool, MIB), grown(&pool, MIB)];
    let try_all = ["take", "release", "reclaim"];
    let expected = [&try_all[..], &["defragment"], &try_all, &["refused"]].concat();
    assert_eq!(steps(&pool, &mut request(&pool, MIB)), expected);
}

#[test]
fn a_hole_that_comes_meanwhile_is_had_without_the_device() {
    let pool = two_slabs(None);
    let (_held, victim) = (grown(&pool, MIB), grown(&pool, 512 * KIB));
    let _rest = grown(&pool, 512 * KIB);
    let mut request = request(&pool, 512 * KIB);
    assert!(matches!(request.step(), Step::Take));
    drop(victim);
    assert!(matches!(request.step(), Step::Granted(_)));
}

#[test]
fn a_step_is_wanted_until_it_was_made_and_no_other_does_anything() {
    let pool = two_slabs(None);
    let _both = [grown(&pool, MIB), grown(&pool, MIB)];
    let mut request = request(&pool, MIB);
    for _ in 0..2 {
        assert!(matches!(request.step(), Step::Take));
        request.reclaimed(true);
        request.defragmented();
        assert_eq!(request.release(), 0);
    }
    request.take();
    request.take();
    assert!(matches!(request.step(), Step::Release));
    request.release();
    assert!(matches!(request.step(), Step::Reclaim { missing_bytes: MIB }));
    request.reclaimed(false);
    assert!(matches!(request.step(), Step::Defragment { enough_bytes: MIB }));
    assert_eq!(pool.stats().retry_count, 1);
}

#[test]
fn after_its_end_a_request_gives_nothing_more() {
    let pool = two_slabs(None);
    let mut request = request(&pool, 1000);
    request.take();
    let Step::Granted(buffer) = request.step() else { panic!("there is room") };
    let Step::Refused(error) = request.step() else { panic!("it was granted before") };
    assert_eq!(error.code(), "ERR_RELEASED");
    drop(buffer);
    assert_eq!(pool.stats().held_bytes, 0);
}

#[test]
fn a_request_that_is_given_up_releases_what_was_taken_for_it() {
    let budget = MemoryBudget::new(2 * MIB, 0).unwrap();
    let pool = two_slabs(Some(budget.clone()));
    let mut request = request(&pool, 1000);
    request.take();
    assert_eq!((budget.allocated_bytes(), pool.stats().buffer_count), (MIB, 1));
    drop(request);
    assert_eq!((budget.allocated_bytes(), pool.stats().buffer_count), (0, 0));
}

#[test]
fn a_pool_that_is_closed_ends_its_requests() {
    let pool = two_slabs(None);
    let (mut asked, mut taking) = (request(&pool, 1000), request(&pool, 1000));
    pool.close();
    taking.take();
    for request in [&mut asked, &mut taking] {
        let Step::Refused(error) = request.step() else { panic!("the pool has gone") };
        assert_eq!(error.code(), "ERR_RELEASED");
    }
}

/// What is done with one of several requests, or beside them.
#[derive(Debug, Clone)]
enum Deed {
    Step,
    Take,
    Release,
    Reclaimed(bool),
    Defragmented,
    GiveUp,
    Free,
}

fn deed() -> impl Strategy<Value = (usize, Deed)> {
    let deed = prop_oneof![
        4 => Just(Deed::Step),
        4 => Just(Deed::Take),
        2 => Just(Deed::Release),
        2 => any::<bool>().prop_map(Deed::Reclaimed),
        2 => Just(Deed::Defragmented),
        1 => Just(Deed::GiveUp),
        2 => Just(Deed::Free),
    ];
    (0..4_usize, deed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_requests_are_stepped_the_map_adds_up(deeds in prop::collection::vec(deed(), 1..200)) {
        let budget = MemoryBudget::new(2 * MIB, 0).unwrap();
        let pool = two_slabs(Some(budget.clone()));
        let anew = |index: usize| request(&pool, (index as u64 * 300 + 200) * KIB);
        let mut requests: Vec<_> = (0..4).map(anew).collect();
        let mut granted: Vec<PoolBuffer> = Vec::new();
        for (index, deed) in deeds {
            let request = &mut requests[index];
            match deed {
                Deed::Step => match request.step() {
                    Step::Granted(buffer) => {
                        prop_assert_eq!(buffer.size_bytes(), (index as u64 * 300 + 200) * KIB);
                        granted.push(buffer);
                        *request = anew(index);
                    }
                    Step::Refused(_) => *request = anew(index),
                    _ => {}
                },
                Deed::Take => request.take(),
                Deed::Release => _ = request.release(),
                Deed::Reclaimed(came_back) => request.reclaimed(came_back),
                Deed::Defragmented => request.defragmented(),
                Deed::GiveUp => *request = anew(index),
                Deed::Free => drop(granted.pop()),
            }
            let stats = pool.stats();
            prop_assert_eq!(budget.allocated_bytes(), stats.held_bytes);
            prop_assert!(stats.held_bytes <= 2 * MIB && stats.buffer_count as usize >= granted.len());
        }
        requests.clear();
        prop_assert_eq!(pool.stats().buffer_count as usize, granted.len(), "no other took anything");
        granted.clear();
        prop_assert_eq!((pool.stats().held_bytes, budget.allocated_bytes()), (0, 0));
    }
}
