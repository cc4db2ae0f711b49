//! A ledger whose words, file, drains and descriptors somebody has spoilt: no live grant is lost, and all is well again when the
//! holders have acted.

#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "ledger/seats.rs"]
mod seats;

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
    time::Duration,
};

use plimsoll::{
    Error,
    budget::{SharedQueue, Sharers, Unsettled, Unshared},
    ledger::{LedgerOptions, Seat, survey},
};
use seats::{file, folder, is_granted, options, refusal, seat};

/// Every word of a live file, spoilt in turn by a bit, by zeros and by ones, while others act.
#[test]
fn whatever_word_is_spoilt_no_more_than_the_line_is_granted_and_all_is_well_when_the_holders_have_acted() {
    use std::os::unix::fs::FileExt;
    let folder = folder();
    let options = LedgerOptions { drain: Duration::ZERO, ..options(folder.path()) };
    let take_seat = |name: &str| Seat::take_in(&options, name, Box::new(|| None)).unwrap();
    let (one, other) = (take_seat("one"), take_seat("other"));
    assert!(is_granted(&one, 60, 100) && is_granted(&other, 30, 100));
    let words = File::options().read(true).write(true).open(file(folder.path())).unwrap();
    // The header, the states and totals of the first slots, and these slots whole.
    let places = (0..7).chain(512..516).chain(1024..1028).chain(1536..1536 + 3 * 256);
    for place in places {
        for spoil in [|word: u64| word ^ 1, |word: u64| word ^ 1 << 40, |_| 0, |_| u64::MAX] {
            let mut word = [0; 8];
            words.read_exact_at(&mut word, place * 8).unwrap();
            words.write_all_at(&spoil(u64::from_ne_bytes(word)).to_ne_bytes(), place * 8).unwrap();
            // `other` acts first: what `one` holds must not be granted to it, though nobody may be able to read it.
            match other.take(11, 100) {
                Ok(()) => panic!("word {place}: 101 bytes of 100 are granted"),
                Err(Unshared::Crowded(_)) => {}
                Err(Unshared::Broken(error)) => assert_eq!(error.code(), "ERR_LEDGER", "word {place}"),
            }
            let _ = (other.holders(), other.pending_bytes(), other.granted_bytes(), other.turn_elsewhere());
            let _ = survey(&options, &|| None);
            one.update(Unsettled::default());
            assert!(is_granted(&other, 10, 100), "word {place}");
            other.release(10, Unsettled::default());
            assert_eq!((one.available_bytes(100), other.available_bytes(100)), (10, 10), "word {place}");
            if place < 7 {
                words.write_all_at(&word, place * 8).unwrap();
            }
        }
    }
    drop((one, other));
    assert_eq!(take_seat("last").available_bytes(100), 100);
}

#[test]
fn after_a_ledger_was_made_whole_nobody_is_granted_what_another_holds_who_has_not_acted_yet() {
    for spoil in [
        (|file: &Path| File::options().write(true).open(file).unwrap().set_len(0).unwrap()) as fn(&Path),
        |file| File::options().write(true).open(file).unwrap().set_len(4096 + 8).unwrap(),
        |file| fs::write(file, vec![0; 1 << 20]).unwrap(),
        |file| fs::write(file, vec![0xff; 1 << 20]).unwrap(),
    ] {
        let folder = folder();
        let (idle, other) = (seat(folder.path(), "idle"), seat(folder.path(), "other"));
        assert!(is_granted(&idle, 60, 100) && is_granted(&other, 30, 100));
        spoil(&file(folder.path()));
        match other.take(11, 100) {
            Err(Unshared::Broken(Error::Ledger { reason, .. })) => {
                assert!(reason.contains("slot 0 is damaged"), "{reason}");
            }
            unexpected => panic!("{unexpected:?}"),
        }
        let late = seat(folder.path(), "late");
        assert!(late.take(1, 100).is_err());
        idle.update(Unsettled::default());
        assert!(!is_granted(&late, 11, 100) && is_granted(&late, 10, 100));
        // Had it died instead, the others would have gone on.
        fs::write(file(folder.path()), "").unwrap();
        drop(idle);
        late.update(Unsettled::default());
        assert!(is_granted(&other, 60, 100));
    }
}

/// A seat whose process has died: its descriptor is closed, and nothing was tidied up.
fn die(seat: Seat) {
    let descriptor = seat.with_descriptor(|descriptor| std::os::fd::AsRawFd::as_raw_fd(&descriptor));
    // SAFETY: the seat knows its file by more than the number, and closes none that is not its.
    unsafe { libc::close(descriptor) };
    // The map goes with it, which keeps the lock as a descriptor does. Nothing is written: what is not there cannot be.
    drop(seat);
}

#[test]
fn a_drain_that_ended_while_it_was_measured_does_not_end_the_next_one_of_that_slot() {
    use std::sync::{Mutex, OnceLock};
    let folder = folder();
    let patient = LedgerOptions { drain: Duration::from_hours(1), ..options(folder.path()) };
    let hasty = LedgerOptions { drain: Duration::ZERO, ..patient.clone() };
    let first = Seat::take_in(&patient, "first", Box::new(|| Some(0))).unwrap();
    assert!(is_granted(&first, 60, 100));
    die(first);
    // Buried, with 60 bytes to come back.
    let looker = Seat::take_in(&patient, "looker", Box::new(|| Some(0))).unwrap();
    assert_eq!(looker.available_bytes(100), 40);
    let meanwhile: Arc<OnceLock<()>> = Arc::default();
    let next = Arc::new(Mutex::new(None));
    let measure = {
        let (folder, patient, next) = (folder.path().to_owned(), patient.clone(), Arc::clone(&next));
        move || {
            meanwhile.get_or_init(|| {
                // Another process frees the slot, one more claims it and dies there, and is found dead.
                drop(Seat::take_in(&hasty, "hasty", Box::new(|| None)).unwrap());
                let second = Seat::take_in(&patient, "second", Box::new(|| None)).unwrap();
                assert!(is_granted(&second, 70, 100), "{folder:?}");
                die(second);
                *next.lock().unwrap() = Some(looker.available_bytes(100));
            });
            Some(60)
        }
    };
    let late = Seat::take_in(&patient, "late", Box::new(measure)).unwrap();
    assert_eq!(*next.lock().unwrap(), Some(30));
    assert_eq!(late.available_bytes(100), 30, "70 bytes are still to come back");
}

#[test]
fn a_request_beyond_all_numbers_is_refused_and_takes_nothing_from_what_is_held() {
    let folder = folder();
    let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
    assert!(is_granted(&one, 60, 100));
    for bytes in [u64::MAX, u64::MAX - 59, u64::MAX - 60, 101] {
        assert!(!is_granted(&one, bytes, 100) && !is_granted(&other, bytes, 100));
        assert_eq!(other.available_bytes(100), 40, "{bytes}");
    }
}

#[test]
fn a_stranger_can_plant_no_ledger_in_a_folder_that_everybody_can_write_to() {
    let folder = folder();
    let at = folder.path().join("open");
    fs::create_dir(&at).unwrap();
    if std::os::unix::fs::chown(&at, Some(0), None).is_err() {
        return eprintln!("skipped: not root");
    }
    drop(seat(&at, "maker"));
    let path = file(&at);
    for (group_bits, folder_mode, is_refused) in
        [(0o660, 0o1777, true), (0o600, 0o1777, true), (0o600, 0o2770, true), (0o660, 0o2770, false)]
    {
        fs::set_permissions(&at, fs::Permissions::from_mode(folder_mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(12345), Some(12345)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(group_bits)).unwrap();
        let taken = Seat::take_in(&options(&at), "next", Box::new(|| None));
        assert_eq!(taken.is_err(), is_refused, "{group_bits:o} in {folder_mode:o}: {taken:?}");
    }
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
    for end in ["link", "link/", "link/.", "link//"] {
        assert!(refusal(&options(&folder.path().join(end))).contains("symbolic link"), "{end}");
    }
}
