//! Streams: how far they read ahead, what they hold, and how they end.

use std::{fs::OpenOptions as FileOptions, sync::mpsc, thread, time::Duration};

use plimsoll::{
    Error, MemoryBudget,
    loader::{Output, StreamOptions, StreamedUnit},
    pool::{StagingPool, StagingPoolOptions},
    units::MIB,
};

use crate::{
    SAMPLE,
    common::{TensorSpec, gguf, on_disk},
    expect_all_back, from_bytes, open, options, pool, reassemble, stream,
};

#[test]
fn the_reader_stays_a_few_units_ahead_and_no_further() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = pool();
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    let first = units.next().unwrap().unwrap();
    thread::sleep(Duration::from_millis(50));
    assert!(pool.stats().in_use_count <= 3, "{:?}", pool.stats());
    drop(first);
    assert_eq!(units.map(|unit| unit.unwrap().unit().chunks.len()).sum::<usize>(), 19);
    assert_eq!(pool.stats().in_use_bytes, 0);
    assert!(pool.stats().misses <= 3);
}

#[test]
fn a_stream_keeps_its_units_whatever_its_pool_keeps() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = StagingPool::new(StagingPoolOptions { max_held_bytes: 0, ..StagingPoolOptions::default() });
    let units = stream(&model, &options(Output::Raw, 2 * MIB), &pool);
    assert_eq!(units.map(|unit| unit.unwrap().unit().chunks.len()).sum::<usize>(), 10);
    let stats = pool.stats();
    assert!(stats.misses <= 3 && stats.peak_bytes <= 6 * MIB, "{stats:?}");
    assert_eq!((stats.in_use_count, stats.held_count), (0, 0), "and releases them at its end");
}

#[test]
fn a_stream_whose_pool_was_closed_ends_though_it_has_units_of_its_own() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = pool();
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    for _ in 0..6 {
        units.next().unwrap().unwrap();
    }
    pool.close();
    let error = units.find_map(Result::err).unwrap();
    assert_eq!(error.code(), "ERR_RELEASED");
    assert_eq!(pool.stats().in_use_count, 0);
}

#[test]
fn nothing_is_read_before_the_first_request_and_a_dropped_stream_gives_all_back() {
    let pool = pool();
    let mut units = stream(&open(SAMPLE), &StreamOptions::default(), &pool);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(pool.stats().misses, 0);
    assert!(units.next().is_some());
    drop(units);
    expect_all_back(&pool);
}

#[test]
fn a_cancelled_stream_tells_whoever_waits_and_gives_its_buffers_back() {
    let model = from_bytes(&[TensorSpec::patterned("big", 20 << 20, 24, 20 << 20)], 0);
    let pool = pool();
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    drop(units.next().unwrap().unwrap());
    units.cancel();
    units.cancel();
    assert!(matches!(units.next(), Some(Err(Error::Cancelled))));
    drop(units);
    expect_all_back(&pool);
}

#[test]
fn kept_units_leave_the_pool_and_hold_nothing_back() {
    let model = from_bytes(&[TensorSpec::patterned("big", 12 << 20, 24, 12 << 20)], 0);
    let pool = pool();
    let kept: Vec<_> =
        stream(&model, &options(Output::Raw, MIB), &pool).map(|unit| unit.unwrap().keep()).collect();
    assert_eq!(kept.len(), 12);
    assert_eq!((pool.stats().in_use_count, pool.stats().held_count), (0, 0));
}

#[test]
fn a_budget_without_room_ends_the_stream_with_its_refusal() {
    let budget = MemoryBudget::new(MIB, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let model = from_bytes(&[TensorSpec::patterned("big", 4 << 20, 24, 4 << 20)], 0);
    let mut units = stream(&model, &options(Output::Raw, 2 * MIB), &pool);
    assert!(matches!(units.next(), Some(Err(Error::InsufficientMemory { .. }))));
    assert!(units.next().is_none(), "an error is told once");
    assert_eq!(budget.allocated_bytes(), 0);
}

/// The budget has room for one unit, so the reader is refused while the consumer holds one, and must notice every
/// return however it falls.
#[test]
fn a_budget_with_room_for_one_unit_is_slow_but_never_stuck_nor_refused() {
    let model = from_bytes(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0);
    for room in [MIB, 2 * MIB] {
        for _ in 0..50 {
            let budget = MemoryBudget::new(room, 0).unwrap();
            let options_of_pool =
                StagingPoolOptions { budget: Some(budget.clone()), ..StagingPoolOptions::default() };
            let pool = StagingPool::new(options_of_pool);
            let units = stream(&model, &options(Output::Raw, MIB), &pool);
            assert_eq!(units.map(|unit| unit.unwrap().unit().chunks.len()).sum::<usize>(), 8);
            assert!(budget.peak_bytes() <= room);
        }
    }
}

/// A consumer that keeps every unit fills the budget for good: the refusal comes, and soon.
#[test]
fn a_budget_filled_by_kept_units_ends_the_stream() {
    let budget = MemoryBudget::new(3 * MIB, 0).unwrap();
    let pool = StagingPool::new(StagingPoolOptions {
        budget: Some(budget.clone()),
        ..StagingPoolOptions::default()
    });
    let model = from_bytes(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0);
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool);
    let kept: Vec<_> = units.by_ref().map_while(Result::ok).map(StreamedUnit::keep).collect();
    assert_eq!((kept.len(), budget.allocated_bytes()), (3, 3 * MIB));
}

/// The budget has room for three units, as many as a stream would read ahead.
#[test]
fn streams_that_share_a_budget_all_get_on_whichever_began_first() {
    let model = from_bytes(&[TensorSpec::patterned("big", 24 << 20, 24, 24 << 20)], 0);
    for room in [2 * MIB, 3 * MIB] {
        let budget = MemoryBudget::new(room, 0).unwrap();
        let pool = StagingPool::new(StagingPoolOptions {
            budget: Some(budget.clone()),
            ..StagingPoolOptions::default()
        });
        let mut first = stream(&model, &options(Output::Raw, MIB), &pool);
        let mut second = stream(&model, &options(Output::Raw, MIB), &pool);
        let (sender, taken) = mpsc::channel();
        thread::spawn(move || {
            drop(first.next().unwrap().unwrap());
            // Time to read ahead, which shall not take the room of the other.
            thread::sleep(Duration::from_millis(50));
            // In turn, so that neither can wait for the other's end.
            for place in 0..23 {
                sender.send((place, second.next(), first.next())).unwrap();
            }
            sender.send((23, second.next(), None)).unwrap();
            assert!(second.next().is_none() && first.next().is_none());
        });
        for expected in 0..24 {
            let (place, second, first) =
                taken.recv_timeout(Duration::from_mins(1)).expect("no stream waits for the other");
            assert!(second.unwrap().is_ok() && first.is_none_or(|unit| unit.is_ok()));
            assert_eq!(place, expected);
        }
        assert!(budget.peak_bytes() <= room);
    }
}

#[test]
fn a_file_that_shrinks_is_an_error_that_names_tensor_and_offset() {
    let (_folder, path) = on_disk(&gguf(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0));
    let model = open(&path);
    let mut units = stream(&model, &options(Output::Raw, MIB), &pool());
    drop(units.next().unwrap().unwrap());
    FileOptions::new().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let error = units.find_map(Result::err).expect("the rest of the file is not there");
    assert!(
        matches!(&error, Error::Io { tensor: Some(name), offset_bytes: Some(_), .. } if name == "big"),
        "{error}"
    );
}

#[test]
fn a_file_changed_in_place_is_refused_and_one_replaced_goes_on() {
    let bytes = gguf(&[TensorSpec::patterned("big", 8 << 20, 24, 8 << 20)], 0);
    let (folder, path) = on_disk(&bytes);
    let model = open(&path);
    let replacement = folder.path().join("other");
    std::fs::write(&replacement, b"another file altogether").unwrap();
    std::fs::rename(&replacement, &path).unwrap();
    assert_eq!(reassemble(stream(&model, &StreamOptions::default(), &pool()))[&0].len(), 8 << 20);

    let (_folder, path) = on_disk(&bytes);
    let model = open(&path);
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    FileOptions::new().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let error = stream(&model, &StreamOptions::default(), &pool()).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("it was changed since"), "{error}");
}
