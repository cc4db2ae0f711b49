use std::{fs, path::Path, sync::Arc, time::Duration};

use super::*;
use crate::{
    MemoryBudget,
    ledger::{LedgerHolder, LedgerWaiting},
    units::{GIB, MIB},
};

fn options(path: &Path) -> BlackBoxOptions {
    BlackBoxOptions { path: Some(path.to_owned()), ..BlackBoxOptions::default() }
}

/// Reads until that is in it: what happens is written within a quarter of a second.
fn read_until(path: &Path, is_there: impl Fn(&BlackBoxRun) -> bool) -> BlackBoxRun {
    for _ in 0..400 {
        let reading = read_black_box(path).unwrap();
        if let Some(run) = reading.told().filter(|run| is_there(run)) {
            return run.clone();
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{:?}", read_black_box(path));
}

#[test]
fn a_refusal_is_written_before_its_time_and_the_last_block_says_that_it_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.blackbox");
    let budget = MemoryBudget::new(GIB, 0).unwrap();
    let slow = BlackBoxOptions { interval: Duration::from_mins(1), ..options(&path) };
    let black_box = BlackBox::start(budget.clone(), slow).unwrap();
    let weights = budget.allocate(700 * MIB, "weights").unwrap();
    weights.commit(100 * MIB);
    assert!(budget.allocate(400 * MIB, "kv cache").is_err());
    black_box.note(HappeningKind::WaitBegin, "draft", 5);
    let run = read_until(&path, |run| {
        run.last_refusal().is_some() && run.happenings().any(|each| each.kind == HappeningKind::WaitBegin)
    });
    assert!(run.is_running && !run.was_cut());
    let refusal = run.last_refusal().unwrap();
    assert_eq!(
        (&*refusal.label, refusal.bytes, refusal.missing_bytes()),
        ("kv cache", 400 * MIB, Some(76 * MIB))
    );
    let own = run.last().unwrap().holders.iter().find(|holder| holder.is_writer).unwrap();
    assert_eq!((own.held_bytes, own.pending_bytes), (700 * MIB, 600 * MIB));
    assert_eq!(run.last().unwrap().labels[0].label, "weights");
    assert!(run.last().unwrap().machine.as_ref().unwrap().total_bytes > 0);
    black_box.close();
    black_box.close();
    // A process that another test forks at this moment has the lock for a moment, too.
    let run = read_until(&path, |run| !run.is_running);
    assert!(run.ended_cleanly);
    let stats = black_box.stats();
    assert_eq!(stats.block_count, run.moments.len() as u64);
    assert_eq!((stats.written_bytes, stats.failed_count), (stats.block_count * BLOCK_BYTES as u64, 0));
}

#[test]
fn a_file_that_is_removed_is_made_again_and_one_that_cannot_be_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("board.blackbox");
    let told = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = Arc::clone(&told);
    let budget = MemoryBudget::new(GIB, 0).unwrap();
    let black_box = BlackBox::start(
        budget,
        BlackBoxOptions {
            interval: Duration::from_millis(250),
            on_trouble: Some(Box::new(move |_| {
                counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            })),
            ..options(&path)
        },
    )
    .unwrap();
    fs::remove_file(&path).unwrap();
    let until = |is_so: &dyn Fn() -> bool| {
        (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            is_so()
        })
    };
    assert!(until(&|| path.exists()), "made again");
    fs::remove_dir_all(&inner).unwrap();
    assert!(until(&|| black_box.stats().failed_count >= 3), "{:?}", black_box.stats());
    assert_eq!(told.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(black_box.stats().trouble.unwrap().contains("board.blackbox"));
}

/// Nothing here has a disk that hangs: what the first block is made of does.
#[test]
fn who_starts_waits_no_longer_than_its_bound_for_the_first_block_and_nothing_is_written_after_that() {
    assert_eq!(handle::FIRST_BLOCK_WAIT, Duration::from_secs(10), "as its documents say");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.blackbox");
    let (go_on, hangs) = std::sync::mpsc::channel::<()>();
    let hangs = std::sync::Mutex::new(hangs);
    let holders = move || {
        let _ = crate::sync::lock(&hangs).recv();
        Vec::new()
    };
    let budget = MemoryBudget::new(GIB, 0).unwrap();
    let hanging = BlackBoxOptions { holders: Some(Box::new(holders)), ..options(&path) };
    let error = BlackBox::start_within(Duration::from_millis(100), budget.clone(), hanging).unwrap_err();
    assert_eq!(error.code(), "ERR_IO");
    assert!(error.to_string().contains("has not taken the first block in 100ms"), "{error}");
    drop(go_on);
    // The thread that hung lets the file go, so that it can be started again.
    let black_box = BlackBox::start(budget, options(&path)).unwrap();
    black_box.close();
    assert!(read_black_box(&path).unwrap().told().is_some_and(|run| run.ended_cleanly));
}

#[test]
fn options_that_are_none_are_refused_and_so_is_a_folder_that_is_not_there() {
    let budget = || MemoryBudget::new(GIB, 0).unwrap();
    let code = |options| BlackBox::start(budget(), options).unwrap_err().code();
    let name = |name: &str| BlackBoxOptions { name: name.to_owned(), ..BlackBoxOptions::default() };
    for wrong in ["", "a/b", "..", &"x".repeat(65)] {
        assert_eq!(code(name(wrong)), "ERR_INVALID_ARGUMENT", "{wrong}");
    }
    let path = Path::new("/nowhere/at/all");
    for interval in [Duration::ZERO, Duration::from_secs(61)] {
        assert_eq!(code(BlackBoxOptions { interval, ..options(path) }), "ERR_INVALID_ARGUMENT");
    }
    assert_eq!(code(options(path)), "ERR_IO");
}

#[test]
fn waits_that_begin_and_end_in_other_processes_and_their_deaths_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.blackbox");
    let other = LedgerHolder {
        slot: 1,
        name: "other".to_owned(),
        pid: 9,
        is_seen: true,
        uid: 0,
        age_ms: 10,
        held_bytes: 2 * GIB,
        pending_bytes: GIB,
        revocable_bytes: 0,
        priority: 0,
        is_draining: false,
        drains_for_ms: 0,
        waiting: Some(LedgerWaiting { bytes: 3 * GIB, count: 2, ..LedgerWaiting::default() }),
        waiting_label: "draft".to_owned(),
        waiting_ms: 400,
    };
    let listed = Arc::new(std::sync::Mutex::new(vec![other.clone()]));
    let source = Arc::clone(&listed);
    let budget = MemoryBudget::new(GIB, 0).unwrap();
    let black_box = BlackBox::start(
        budget,
        BlackBoxOptions {
            interval: Duration::from_millis(250),
            holders: Some(Box::new(move || source.lock().unwrap().clone())),
            ..options(&path)
        },
    )
    .unwrap();
    let kinds = |run: &BlackBoxRun| run.happenings().map(|each| each.kind).collect::<Vec<_>>();
    let run = read_until(&path, |run| !run.moments.is_empty());
    assert_eq!(run.waiting().map(|holder| holder.waiting_bytes).collect::<Vec<_>>(), [Some(3 * GIB)]);
    assert_eq!(run.last().unwrap().holders.len(), 1, "a writer that shares a ledger stands in its list");
    *listed.lock().unwrap() = vec![LedgerHolder { waiting: None, ..other.clone() }];
    read_until(&path, |run| kinds(run) == [HappeningKind::WaitBegin, HappeningKind::WaitEnd]);
    *listed.lock().unwrap() = vec![LedgerHolder { waiting: None, is_draining: true, ..other }];
    let all = [HappeningKind::WaitBegin, HappeningKind::WaitEnd, HappeningKind::Death];
    let run = read_until(&path, |run| kinds(run) == all);
    assert!(run.happenings().all(|each| (&*each.name, each.pid) == ("other", 9)));
    assert_eq!(run.verdict().unwrap().outstanding_bytes, 0, "the dead take nothing more");
    drop(black_box);
}
