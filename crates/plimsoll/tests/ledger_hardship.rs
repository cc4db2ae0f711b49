//! A ledger under hardship: no free descriptors, a full file system, other users, forked children. Each is an error or all
//! that was asked for, and nothing that another holds is lost.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "cuda/fork.rs"]
mod fork;

#[path = "ledger/seats.rs"]
mod seats;

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::{Mutex, PoisonError},
};

use plimsoll::{
    budget::{Sharers, Unsettled, Unshared},
    ledger::{LedgerOptions, Seat, survey},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seats::{is_granted, options, try_seat};

/// Descriptors and users are the whole process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Holds every descriptor that this process may have, but for so many.
struct Shortage {
    held: Vec<File>,
    before: Rlimit,
}

impl Shortage {
    fn with_free(count: usize) -> Self {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..before }).unwrap();
        let mut held: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        held.truncate(held.len() - count);
        Self { held, before }
    }
}

impl Drop for Shortage {
    fn drop(&mut self) {
        self.held.clear();
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

#[test]
fn out_of_descriptors_at_any_step_is_an_error_or_a_seat_and_costs_nobody_anything() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut seated, mut refused) = (0, 0);
    for (is_there, is_removed) in [(false, false), (true, false), (true, true)] {
        for free in 0..8 {
            let folder = tempfile::tempdir_in("/dev/shm").unwrap();
            let holder = is_there.then(|| try_seat(folder.path(), "holder").unwrap());
            assert!(holder.as_ref().is_none_or(|holder| is_granted(holder, 60, 100)));
            if is_removed {
                fs::remove_file(folder.path().join("board.ledger")).unwrap();
            }
            let (taken, seen) = {
                let _shortage = Shortage::with_free(free);
                (try_seat(folder.path(), "short"), survey(&options(folder.path()), &|| None))
            };
            match &taken {
                Ok(seat) => {
                    seated += 1;
                    assert_eq!(seat.available_bytes(100), if is_there { 40 } else { 100 }, "{free}");
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.code(), "ERR_LEDGER");
                    assert!(error.to_string().contains("Too many open files"), "{free}: {error}");
                }
            }
            assert!(seen.is_ok() || seen.unwrap_err().to_string().contains("Too many open files"), "{free}");
            // Whatever was left behind, the next one finds its place, and what is held.
            let next = try_seat(folder.path(), "next").unwrap();
            assert_eq!(next.available_bytes(100), if is_there { 40 } else { 100 }, "{free}");
            if let Some(holder) = holder.as_ref().filter(|_| !is_removed) {
                let _shortage = Shortage::with_free(0);
                assert!(is_granted(holder, 10, 100), "who has a share needs no more descriptors");
                holder.release(10, Unsettled::default());
                // Removed meanwhile, it cannot be made again now, and is later.
                fs::remove_file(folder.path().join("board.ledger")).unwrap();
                assert!(matches!(holder.take(1, 100), Err(Unshared::Broken(_))));
            }
            if let Some(holder) = holder {
                assert!(!is_granted(&holder, 41, 100) && is_granted(&holder, 40, 100));
            }
        }
    }
    assert!(seated > 0 && refused > 0, "both were met: {seated} {refused}");
}

#[test]
fn a_full_file_system_is_an_error_and_ends_no_process() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let at = folder.path().join("small");
    fs::create_dir(&at).unwrap();
    let is_mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "plimsoll-test"])
        .arg(&at)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_mounted {
        return eprintln!("skipped: nothing can be mounted here");
    }
    let fill = |bytes: usize| fs::write(at.join("filler"), vec![1; bytes]);
    fill((1 << 20) - 8192).unwrap();
    let error = try_seat(&at, "none").unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    fs::remove_file(at.join("filler")).unwrap();
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0, "nothing half made is left");
    let (holder, other) = (try_seat(&at, "holder").unwrap(), try_seat(&at, "other").unwrap());
    assert!(is_granted(&holder, 60, 100));
    let _ = fill(1 << 20);
    assert!(is_granted(&holder, 10, 100), "the whole file is there already");
    // Cut short, it cannot be made whole while others fill its room.
    File::options().write(true).open(at.join("board.ledger")).unwrap().set_len(0).unwrap();
    let _ = fill(1 << 20);
    match other.take(1, 100) {
        Err(Unshared::Broken(error)) => assert!(error.to_string().contains("No space left"), "{error}"),
        unexpected => panic!("{unexpected:?}"),
    }
    holder.release(10, Unsettled::default());
    fs::remove_file(at.join("filler")).unwrap();
    holder.update(Unsettled::default());
    other.update(Unsettled::default());
    assert!(!is_granted(&other, 41, 100) && is_granted(&other, 40, 100));
    drop((holder, other));
    assert!(Command::new("umount").arg("-l").arg(&at).status().unwrap().success());
}

#[test]
fn another_user_gets_an_error_and_no_share_unless_a_group_has_it() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: not root");
    }
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let holder = try_seat(folder.path(), "holder").unwrap();
    assert!(is_granted(&holder, 60, 100));
    let path = folder.path().to_owned();
    let as_user = |group: Option<u32>, path: std::path::PathBuf| {
        fork::in_child((), move |()| {
            // SAFETY: this child alone becomes another user.
            let has_become = unsafe {
                libc::setgroups(0, std::ptr::null()) == 0
                    && libc::setgid(12345) == 0
                    && libc::setuid(12345) == 0
            };
            let options = LedgerOptions { group, ..options(&path) };
            match Seat::take_in(&options, "stranger", Box::new(|| None)) {
                _ if !has_become => 9,
                Ok(seat) => 1 + u8::from(is_granted(&seat, 41, 100)),
                Err(error) if error.code() == "ERR_LEDGER" => 0,
                Err(_) => 8,
            }
        })
        .1
    };
    assert_eq!(as_user(None, path.clone()), 0, "the file is root's alone");
    fs::remove_file(path.join("board.ledger")).unwrap();
    assert_eq!(as_user(None, path.clone()), 0, "the folder is root's alone");
    drop(holder);
    let of_group = path.join("group");
    let grouped = LedgerOptions { group: Some(12345), ..options(&of_group) };
    let holder = Seat::take_in(&grouped, "holder", Box::new(|| None)).unwrap();
    assert!(is_granted(&holder, 60, 100));
    assert_eq!(as_user(Some(12345), of_group.clone()), 1, "it has a share and sees what root holds");
    assert_eq!(as_user(None, of_group), 1);
}

#[test]
fn a_forked_child_has_no_share_and_gives_nothing_of_its_parents_away() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let seat = try_seat(folder.path(), "parent").unwrap();
    assert!(is_granted(&seat, 60, 100));
    let path = folder.path().to_owned();
    let (seat, status) = fork::in_child(seat, move |seat| {
        let is_refused =
            seat.take(1, 100).is_err() && seat.holders().is_err() && seat.available_bytes(100) == 0;
        seat.release(60, Unsettled::default());
        seat.update(Unsettled::default());
        drop(seat);
        // A seat of its own it may have.
        let own = Seat::take_in(&options(&path), "child", Box::new(|| None));
        u8::from(is_refused)
            + 2 * u8::from(own.is_ok_and(|own| is_granted(&own, 40, 100) && !is_granted(&own, 1, 100)))
    });
    assert_eq!(status, 3);
    assert_eq!(seat.holders().unwrap().iter().filter(|holder| !holder.is_draining).count(), 1);
    assert!(seat.holders().unwrap()[0].held_bytes == 60);
}

#[test]
fn a_share_that_was_abandoned_stays_as_it_is_until_the_last_descriptor_is_closed() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let seat = |name| try_seat(folder.path(), name).unwrap();
    let (one, other) = (seat("one"), seat("other"));
    assert!(is_granted(&one, 60, 100));
    // As a process has it that inherited it.
    let kept = one.with_descriptor(|descriptor| descriptor.try_clone_to_owned().unwrap());
    one.abandon();
    one.release(60, Unsettled::default());
    assert!(one.holders().is_err() && one.take(1, 100).is_err());
    drop(one);
    assert_eq!(other.available_bytes(100), 40);
    drop(kept);
    // It had ended, so there is nothing to wait for.
    assert_eq!(other.available_bytes(100), 100);
}
