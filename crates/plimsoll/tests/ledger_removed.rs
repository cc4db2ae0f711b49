//! A ledger that was removed while processes had a share in it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "ledger/seats.rs"]
mod seats;

use std::{fs, path::Path, time::Duration};

use plimsoll::{
    budget::{Sharers, Unsettled},
    ledger::{LedgerOptions, Seat},
};
use rustix::io::{FdFlags, fcntl_setfd};
use seats::{file, folder, is_granted, options, seat};

#[test]
fn a_ledger_that_was_removed_is_made_again_with_what_is_held() {
    let folder = folder();
    let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
    assert!(is_granted(&one, 60, 100) && is_granted(&other, 30, 100));
    fs::remove_file(file(folder.path())).unwrap();
    // Each takes its place in the new one as soon as it does anything.
    one.update(Unsettled::default());
    other.update(Unsettled::default());
    let late = seat(folder.path(), "late");
    assert_eq!(late.available_bytes(100), 10);
    assert!(!is_granted(&late, 11, 100) && is_granted(&late, 10, 100));
    drop((one, other));
    assert_eq!(late.available_bytes(100), 90);
}

#[test]
fn what_an_idle_process_holds_counts_in_the_ledger_that_is_made_after_a_removal() {
    for remove in [(|at: &Path| fs::remove_file(file(at))) as fn(&Path) -> _, |at| fs::remove_dir_all(at)] {
        let above = folder();
        let at = above.path().join("ledgers");
        let (idle, other) = (seat(&at, "idle"), seat(&at, "other"));
        assert!(is_granted(&idle, 60, 100) && is_granted(&other, 30, 100));
        remove(&at).unwrap();
        let late = seat(&at, "late");
        assert_eq!(late.available_bytes(100), 10);
        assert_eq!(late.pending_bytes(), 0, "both had said that they have taken it");
        let names: Vec<String> = late.holders().unwrap().into_iter().map(|holder| holder.name).collect();
        assert_eq!(names, ["idle", "other", "late"]);
        // It comes over, and counts once.
        assert!(is_granted(&other, 5, 100) && !is_granted(&late, 6, 100));
        // Once more, while one has come over and the other has not.
        remove(&at).unwrap();
        let last = seat(&at, "last");
        assert!(!is_granted(&last, 6, 100) && is_granted(&last, 5, 100));
        last.release(5, Unsettled::default());
        idle.release(60, Unsettled::default());
        drop(idle);
        assert_eq!(last.available_bytes(100), 65);
        other.release(35, Unsettled::default());
        assert_eq!(last.available_bytes(100), 100);
    }
}

#[test]
fn what_was_kept_for_a_process_goes_with_it() {
    let folder = folder();
    let runner = seat(folder.path(), "runner");
    let inherits = |flags| runner.with_descriptor(|descriptor| fcntl_setfd(descriptor, flags).unwrap());
    inherits(FdFlags::empty());
    let mut command = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    inherits(FdFlags::CLOEXEC);
    assert!(is_granted(&runner, 60, 100));
    runner.set_process(command.id()).unwrap();
    fs::remove_file(file(folder.path())).unwrap();
    let late = seat(folder.path(), "late");
    assert!(!is_granted(&late, 41, 100));
    command.kill().unwrap();
    // Not yet waited for: what has ended holds nothing.
    let ended = std::time::Instant::now();
    while !is_granted(&late, 100, 100) {
        assert!(ended.elapsed() < Duration::from_mins(1), "{:?}", late.holders());
        std::thread::sleep(Duration::from_millis(5));
    }
    command.wait().unwrap();
}

#[test]
fn a_ledger_of_another_folder_or_name_is_nobodys_here() {
    let (folder, elsewhere) = (folder(), folder());
    let other = seat(elsewhere.path(), "other");
    let voice = LedgerOptions { name: "voice".to_owned(), ..options(folder.path()) };
    let voice = Seat::take_in(&voice, "voice", Box::new(|| None)).unwrap();
    assert!(is_granted(&other, 60, 100) && is_granted(&voice, 60, 100));
    for place in [file(elsewhere.path()), folder.path().join("voice.ledger")] {
        fs::remove_file(place).unwrap();
    }
    assert_eq!(seat(folder.path(), "late").available_bytes(100), 100);
}

#[test]
fn what_a_process_keeps_that_inherited_it_counts_though_the_one_that_it_is_named_by_has_ended() {
    let folder = folder();
    let runner = seat(folder.path(), "runner");
    let mut command = std::process::Command::new("true").spawn().unwrap();
    assert!(is_granted(&runner, 60, 100));
    runner.set_process(command.id()).unwrap();
    command.wait().unwrap();
    // As `plimsoll run` does it: whoever has the descriptor, for which this process stands here, keeps the share.
    runner.abandon();
    fs::remove_file(file(folder.path())).unwrap();
    let late = seat(folder.path(), "late");
    assert!(!is_granted(&late, 41, 100) && is_granted(&late, 40, 100));
    assert_eq!(late.holders().unwrap()[0].pid, std::process::id());
}
