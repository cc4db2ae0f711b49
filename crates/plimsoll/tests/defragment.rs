//! A pass of defragmentation over a pool that others use meanwhile.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::type_complexity)]

use std::{collections::HashSet, sync::Arc, time::Duration};

use plimsoll::{
    device::{DeviceContext, HostBackend},
    pool::{
        BufferOptions, DefragmentOptions, DefragmentRun, MemoryPool, Move, Pin, PoolBuffer, PoolOptions,
        SlabInfo,
    },
    units::{KIB, MIB},
};
use proptest::prelude::*;

fn pool(options: PoolOptions) -> MemoryPool {
    let options = PoolOptions { max_cached_bytes: Some(0), ..options };
    MemoryPool::create(Arc::new(HostBackend::new(DeviceContext::default())), options).unwrap()
}

fn of_slabs(slab_bytes: u64) -> MemoryPool {
    pool(PoolOptions { slab_bytes, ..PoolOptions::default() })
}

/// Fills a buffer with bytes that only it has.
fn sign(buffer: &PoolBuffer) {
    let bytes: Vec<u8> = (0..buffer.size_bytes()).map(|at| (at * 31 + buffer.id() * 7919) as u8).collect();
    buffer.write(0, &bytes).unwrap();
}

fn is_signed(buffer: &PoolBuffer) -> bool {
    let mut bytes = vec![0; buffer.size_bytes() as usize];
    buffer.read(0, &mut bytes).unwrap();
    bytes.iter().enumerate().all(|(at, byte)| *byte == (at as u64 * 31 + buffer.id() * 7919) as u8)
}

fn grown(pool: &MemoryPool, bytes: u64) -> PoolBuffer {
    let buffer = pool.allocate_growing(bytes, &BufferOptions::default(), &mut |_| false).unwrap();
    sign(&buffer);
    buffer
}

fn defragment(pool: &MemoryPool) -> (u64, bool) {
    let report = pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap();
    (report.moved_count, report.complete)
}

/// A defragmentation whose moves the test makes.
fn begun(pool: &MemoryPool) -> DefragmentRun {
    pool.begin_run(&DefragmentOptions::default()).unwrap()
}

/// Makes the move that was found.
fn make(run: &mut DefragmentRun) {
    let emptied_bytes = run.begin_move().unwrap().unwrap().make().unwrap();
    run.count_move(emptied_bytes);
}

/// Makes the next move, and returns it.
fn make_next(run: &mut DefragmentRun) -> Option<Move> {
    let planned = run.next_move().unwrap()?;
    make(run);
    Some(planned)
}

/// Finds the next move, and does not make it.
fn skip_next(run: &mut DefragmentRun) -> Move {
    let planned = run.next_move().unwrap().unwrap();
    run.cancel_move();
    planned
}

/// A slab of 64 KiB with three buffers, and one with seven, which has room for those three. Each buffer is of 4 KiB, with
/// a hole of that size below it.
fn three_and_seven() -> (MemoryPool, Vec<PoolBuffer>, Vec<PoolBuffer>) {
    let pool = of_slabs(64 * KIB);
    let mut few: Vec<_> = (0..16).map(|_| grown(&pool, 4 * KIB)).collect();
    let mut more: Vec<_> = (0..16).map(|_| grown(&pool, 4 * KIB)).collect();
    for (buffers, left) in [(&mut few, 3), (&mut more, 7)] {
        let mut index = 0;
        buffers.retain(|_| {
            index += 1;
            index % 2 == 0 && index <= 2 * left
        });
    }
    assert_eq!((pool.stats().slab_count, few.len(), more.len()), (2, 3, 7));
    (pool, few, more)
}

#[test]
fn one_pass_over_thousands_of_buffers_leaves_no_slab_that_could_be_emptied() {
    let pool = of_slabs(64 * KIB);
    let all: Vec<_> = (0..4096).map(|_| grown(&pool, KIB)).collect();
    assert_eq!(pool.stats().slab_count, 64);
    let left: Vec<_> = all.into_iter().step_by(2).collect();
    let (moved_count, complete) = defragment(&pool);
    assert_eq!((pool.stats().held_bytes, pool.stats().free_bytes), (2 * MIB, 0));
    assert_eq!((moved_count, complete), (1024, true), "those of one half of the slabs, each once");
    assert_eq!(defragment(&pool), (0, true));
    assert!(left.iter().all(is_signed));
}

#[test]
fn one_pass_over_thousands_of_buffers_leaves_the_holes_of_a_slab_in_one() {
    let pool = pool(PoolOptions { initial_bytes: 8 * MIB, slab_bytes: 8 * MIB, ..PoolOptions::default() });
    let take = |index: u64| pool.allocate(KIB * (1 + index % 3), &BufferOptions::default()).unwrap();
    let all: Vec<_> = (0..4000).map(take).collect();
    all.iter().for_each(sign);
    let left: Vec<_> = all.into_iter().step_by(2).collect();
    assert!(pool.stats().fragmentation_percent > 90.0);
    let (moved_count, complete) = defragment(&pool);
    assert!(complete && moved_count <= 2000, "each buffer at most once");
    assert!(pool.stats().fragmentation_percent < 1.0, "{:?}", pool.stats());
    assert_eq!(defragment(&pool), (0, true));
    assert!(left.iter().all(is_signed));
}

#[test]
fn a_buffer_that_comes_into_a_slab_which_is_emptied_goes_with_the_others() {
    let (pool, few, more) = three_and_seven();
    let mut pass = begun(&pool);
    let first = make_next(&mut pass).unwrap();
    let (emptied, _) = first.slabs();
    let late = pool.allocate(4 * KIB, &BufferOptions::default()).unwrap();
    sign(&late);
    assert!(pool.slabs().iter().any(|slab| slab.index == emptied && slab.used_bytes == 3 * 4 * KIB));
    while make_next(&mut pass).is_some() {}
    assert_eq!(pool.stats().slab_count, 1);
    assert!(few.iter().chain(&more).chain([&late]).all(is_signed));
}

#[test]
fn a_slab_in_which_a_buffer_has_to_stay_is_left_no_further() {
    let stays: [fn(&PoolBuffer, &mut DefragmentRun) -> Option<Pin>; 2] = [
        |buffer, _| Some(buffer.pin().unwrap()),
        |_, pass| {
            skip_next(pass);
            None
        },
    ];
    for stays in stays {
        let (pool, few, _more) = three_and_seven();
        let mut pass = begun(&pool);
        let first = make_next(&mut pass).unwrap();
        assert_ne!(first.slabs().0, first.slabs().1);
        let next = few.iter().find(|buffer| buffer.id() != first.buffer()).unwrap();
        let _pin = stays(next, &mut pass);
        while let Some(planned) = make_next(&mut pass) {
            assert_eq!(planned.slabs().0, planned.slabs().1, "only downwards");
        }
        assert_eq!(pool.stats().slab_count, 2);
    }
}

#[test]
fn a_buffer_that_is_freed_does_not_keep_the_others_where_they_are() {
    let (pool, mut few, more) = three_and_seven();
    let mut pass = begun(&pool);
    let first = make_next(&mut pass).unwrap();
    let next = few.iter().position(|buffer| buffer.id() != first.buffer()).unwrap();
    drop(few.remove(next));
    while make_next(&mut pass).is_some() {}
    assert_eq!((pool.stats().slab_count, pool.stats().buffer_count), (1, 9));
    assert!(few.iter().chain(&more).all(is_signed));
}

#[test]
fn a_pass_that_is_dropped_in_the_middle_keeps_nothing() {
    let (pool, few, more) = three_and_seven();
    let mut pass = begun(&pool);
    make_next(&mut pass).unwrap();
    pass.next_move().unwrap().unwrap();
    drop(pass);
    assert_eq!(pool.stats().used_bytes, 10 * 4 * KIB);
    assert!(defragment(&pool).1);
    assert_eq!((pool.stats().used_bytes, pool.stats().slab_count), (10 * 4 * KIB, 1));
    assert!(few.iter().chain(&more).all(is_signed));
}

/// Where every buffer of a pool lies: its slab, its offset, and its number.
fn places(pool: &MemoryPool) -> Vec<(usize, u64, u64)> {
    let in_slab = |slab: SlabInfo| {
        let used =
            slab.blocks.into_iter().filter_map(move |block| Some((block.offset_bytes, block.buffer?.id)));
        used.map(move |(offset_bytes, id)| (slab.index, offset_bytes, id)).collect::<Vec<_>>()
    };
    pool.slabs().into_iter().flat_map(in_slab).collect()
}

/// A pool of twenty slabs from which two of three buffers have gone.
fn thinned() -> (MemoryPool, Vec<PoolBuffer>) {
    let pool = of_slabs(64 * KIB);
    let all: Vec<_> = (0..640).map(|index| grown(&pool, KIB * (1 + index % 3))).collect();
    let left = all.into_iter().step_by(3).chain([grown(&pool, 10 * KIB)]).collect();
    (pool, left)
}

#[test]
fn a_pass_whose_time_is_up_gets_on_in_parts_and_ends_as_one_with_all_time() {
    let (pool, _buffers) = thinned();
    let (other, left) = thinned();
    assert!(defragment(&pool).1);
    let at_once =
        DefragmentOptions { max_time: Some(Duration::from_nanos(1)), ..DefragmentOptions::default() };
    let (mut pass, mut calls_without) = (other.begin_run(&at_once).unwrap(), 0);
    while !pass.report().complete && calls_without < 10_000 {
        pass.go_on(&at_once, true).unwrap();
        if make_next(&mut pass).is_none() {
            calls_without += 1;
        }
    }
    assert!(pass.report().complete);
    assert!(calls_without > 20, "the map of each slab is a part");
    assert_eq!(places(&other), places(&pool));
    assert!(left.iter().all(is_signed));
}

#[test]
fn a_pass_that_is_resumed_asks_again_for_what_was_skipped_where_that_is_wanted() {
    for ask_again in [false, true] {
        let pool = of_slabs(64 * KIB);
        let all: Vec<_> = (0..6).map(|_| grown(&pool, 4 * KIB)).collect();
        let left: Vec<_> = all.into_iter().skip(1).step_by(2).collect();
        let mut pass = begun(&pool);
        let made = make_next(&mut pass).unwrap();
        let skipped = skip_next(&mut pass);
        pass.go_on(&DefragmentOptions::default(), ask_again).unwrap();
        let mut asked = Vec::new();
        while let Some(planned) = make_next(&mut pass) {
            asked.push(planned.buffer());
        }
        assert_eq!(asked.contains(&skipped.buffer()), ask_again);
        assert!(!asked.contains(&made.buffer()), "moved once");
        assert!(left.iter().all(is_signed));
    }
}

#[test]
fn a_pass_that_is_resumed_sees_what_others_did_meanwhile() {
    let (pool, few, more) = three_and_seven();
    let pins: Vec<_> = few.iter().chain(&more).map(|buffer| buffer.pin().unwrap()).collect();
    let mut pass = begun(&pool);
    assert!(pass.next_move().unwrap().is_none() && pass.report().complete);
    drop(pins);
    assert!(pass.next_move().unwrap().is_none());
    pass.go_on(&DefragmentOptions::default(), false).unwrap();
    assert!(!pass.report().complete && make_next(&mut pass).is_some());
}

#[test]
fn a_pass_over_a_pool_that_is_closed_says_so() {
    let (pool, _few, _more) = three_and_seven();
    let mut pass = begun(&pool);
    make_next(&mut pass).unwrap();
    pool.close();
    assert_eq!(pass.next_move().unwrap_err().code(), "ERR_RELEASED");
}

#[test]
fn a_slab_that_belongs_to_one_buffer_gets_no_other() {
    let pool = pool(PoolOptions { dedicated: true, ..PoolOptions::default() });
    let _buffers = [10, 20].map(|bytes| grown(&pool, bytes));
    let dry = DefragmentOptions { dry_run: true, ..DefragmentOptions::default() };
    let dry = pool.defragment(&dry, &mut |_| true).unwrap();
    assert_eq!((dry.moved_count, dry.largest_free_bytes_after), (0, dry.largest_free_bytes_before));
    assert_eq!(defragment(&pool), (0, true));
    assert_eq!(pool.stats().slab_count, 2);
}

/// What happens between two moves of a pass.
#[derive(Debug, Clone)]
enum Step {
    Make,
    Cancel,
    Allocate(u64),
    Free(usize),
    Pin(usize),
    Unpin,
    BeginAgain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Make),
        1 => Just(Step::Cancel),
        2 => (1_u64..16 * KIB).prop_map(Step::Allocate),
        3 => any::<usize>().prop_map(Step::Free),
        1 => any::<usize>().prop_map(Step::Pin),
        1 => Just(Step::Unpin),
        1 => Just(Step::BeginAgain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_between_its_moves_a_pass_asks_once_for_each_buffer_and_loses_none(
        sizes in prop::collection::vec(1_u64..16 * KIB, 1..100),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let pool = of_slabs(64 * KIB);
        let mut live: Vec<_> = sizes.into_iter().map(|bytes| grown(&pool, bytes)).collect();
        let (mut pass, mut asked, mut pins) = (begun(&pool), HashSet::new(), Vec::new());
        for step in steps {
            match step {
                Step::Make | Step::Cancel => {
                    let Some(planned) = pass.next_move().unwrap() else { continue };
                    prop_assert!(asked.insert(planned.buffer()), "asked for twice");
                    if matches!(step, Step::Make) {
                        make(&mut pass);
                    } else {
                        pass.cancel_move();
                    }
                }
                Step::Allocate(bytes) => live.push(grown(&pool, bytes)),
                Step::Free(index) if !live.is_empty() => {
                    let buffer = live.swap_remove(index % live.len());
                    prop_assert!(is_signed(&buffer));
                }
                Step::Pin(index) if !live.is_empty() => pins.push(live[index % live.len()].pin().unwrap()),
                Step::Unpin => pins.clear(),
                Step::BeginAgain => {
                    pass = begun(&pool);
                    asked.clear();
                }
                Step::Free(_) | Step::Pin(_) => {}
            }
        }
        pins.clear();
        let blocks: Vec<_> = pool.slabs().into_iter().flat_map(|slab| slab.blocks).collect();
        let used = blocks.iter().filter(|block| block.buffer.is_some());
        prop_assert_eq!(used.clone().count(), live.len());
        prop_assert_eq!(used.map(|block| block.size_bytes).sum::<u64>(), pool.stats().used_bytes, "no target is left");
        prop_assert!(live.iter().all(is_signed));
        live.clear();
        prop_assert_eq!((pool.stats().used_bytes, pool.stats().held_bytes), (0, 0));
    }
}
