//! The ledger: what processes that share a board hold together, whatever happens to the file and to them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "ledger/seats.rs"]
mod seats;

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::Path,
    sync::Arc,
    time::Duration,
};

use plimsoll::{
    Error, MemoryBudget,
    budget::{
        HeadroomOptions, MachineOptions, SharedQueue, SharedTurn, Sharers, SystemOptions, Unsettled, Unshared,
    },
    ledger::{LedgerOptions, SLOT_COUNT, Seat, survey},
    system::SystemRoot,
    units::{GIB, MIB},
};
use seats::{file, folder, is_granted, options, refusal, seat};

fn crowded(seat: &Seat, bytes: u64, line_bytes: u64) -> (u64, String) {
    match seat.take(bytes, line_bytes) {
        Err(Unshared::Crowded(crowded)) => (crowded.available_bytes, crowded.constraint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_who_share_a_line_hold_no_more_than_it_together() {
    let folder = folder();
    let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
    assert!(is_granted(&one, 60, 100));
    assert!(is_granted(&other, 40, 100));
    let (available, constraint) = crowded(&other, 1, 100);
    assert_eq!(available, 0);
    assert!(
        constraint.contains("one (process") && constraint.contains("others hold 60 bytes"),
        "{constraint}"
    );
    one.release(10, Unsettled::default());
    assert_eq!(other.available_bytes(100), 10);
    assert!(is_granted(&other, 10, 100) && !is_granted(&other, 1, 100));
    drop(one);
    assert_eq!(other.available_bytes(100), 50, "who leaves gives all back");
}

#[test]
fn what_is_asked_for_counts_until_it_is_granted_or_cancelled() {
    let folder = folder();
    let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
    one.take(60, 100).unwrap();
    assert_eq!((other.pending_bytes(), other.granted_bytes()), (60, 60));
    one.settle(60, Unsettled { reported_bytes: 25, ..Unsettled::default() });
    assert_eq!(other.pending_bytes(), 25);
    one.update(Unsettled::default());
    assert_eq!(other.pending_bytes(), 0);
    one.take(40, 100).unwrap();
    one.cancel(40);
    assert_eq!((other.pending_bytes(), other.available_bytes(100)), (0, 40));
    assert_eq!(other.granted_bytes(), 100, "a reading from before it is not trusted with it");
}

#[test]
fn silent_holders_are_credited_with_what_their_process_has_grown_by() {
    let folder = folder();
    let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
    one.take(GIB, GIB).unwrap();
    let silent = |base_bytes| Unsettled { reported_bytes: 0, silent_bytes: GIB, base_bytes };
    one.settle(GIB, silent(Some(0)));
    let pending = other.pending_bytes();
    assert!(pending < GIB && pending > GIB - 512 * MIB, "this process has some resident: {pending}");
    one.update(silent(None));
    assert_eq!(other.pending_bytes(), GIB);
}

#[test]
fn those_who_look_see_who_holds_and_waits() {
    let folder = folder();
    assert!(
        survey(&options(folder.path()), &|| None).unwrap().is_none(),
        "there is none yet, and none is made"
    );
    assert!(!file(folder.path()).exists());
    let (one, other) = (seat(folder.path(), "llama-server"), seat(folder.path(), "whisper"));
    assert!(is_granted(&one, 60, 100));
    one.offer(0, 7, 20, 1);
    let rank = SharedTurn { priority: -2, since_ns: 5, ..SharedTurn::default() };
    let waiting = SharedTurn { bytes: 90, kept_bytes: 40, count: 3, ..rank };
    other.wait(0, Some(waiting), "weights");
    assert_eq!((one.turn_elsewhere(), one.kept_bytes()), (Some(waiting), 40));
    assert_eq!((other.turn_elsewhere(), other.kept_bytes()), (None, 0));
    let (path, holders) = survey(&options(folder.path()), &|| None).unwrap().unwrap();
    assert_eq!(path, file(folder.path()));
    let [first, second] = holders.try_into().unwrap();
    assert_eq!(
        (first.name.as_str(), first.held_bytes, first.priority, first.revocable_bytes),
        ("llama-server", 60, 7, 20)
    );
    assert_eq!(first.pid, std::process::id());
    assert!(first.is_seen && !first.is_draining && first.waiting.is_none());
    let told = second.waiting.unwrap();
    assert_eq!(
        (told.bytes, told.priority, told.count, second.waiting_label.as_str()),
        (90, -2, 3, "weights")
    );
    other.wait(0, None, "");
    assert_eq!(one.turn_elsewhere(), None);
}

#[test]
fn all_slots_may_be_taken_and_one_more_is_refused() {
    let folder = folder();
    let mut seats: Vec<Seat> =
        (0..SLOT_COUNT).map(|number| seat(folder.path(), &number.to_string())).collect();
    assert!(refusal(&options(folder.path())).contains("all its slots are taken"));
    assert!(seats.iter().all(|seat| is_granted(seat, 1, SLOT_COUNT as u64)));
    assert!(!is_granted(&seats[9], 1, SLOT_COUNT as u64));
    seats.truncate(3);
    assert_eq!(seat(folder.path(), "again").holders().unwrap().len(), 4);
}

#[test]
fn a_ledger_that_was_cut_short_or_overwritten_is_made_whole_by_those_who_hold() {
    for spoil in [
        (|file: &Path| File::options().write(true).open(file).unwrap().set_len(0).unwrap()) as fn(&Path),
        |file| File::options().write(true).open(file).unwrap().set_len(5000).unwrap(),
        |file| fs::write(file, vec![0x5a; 1 << 20]).unwrap(),
        |file| fs::write(file, "").unwrap(),
    ] {
        let folder = folder();
        let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
        assert!(is_granted(&one, 60, 100) && is_granted(&other, 30, 100));
        spoil(&file(folder.path()));
        let reason = refusal(&options(folder.path()));
        assert!(reason.contains("have a share in it"), "{reason}");
        one.update(Unsettled::default());
        other.update(Unsettled::default());
        let late = seat(folder.path(), "late");
        assert!(!is_granted(&late, 11, 100) && is_granted(&late, 10, 100));
        let names: Vec<String> = late.holders().unwrap().into_iter().map(|holder| holder.name).collect();
        assert_eq!(names, ["one", "other", "late"]);
    }
}

#[test]
fn a_slot_that_cannot_be_read_refuses_others_until_its_holder_writes_it_anew() {
    let folder = folder();
    let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
    assert!(is_granted(&one, 60, 100));
    let words = File::options().write(true).open(file(folder.path())).unwrap();
    words.write_all_at(&[0x5a; 512], 12288).unwrap();
    match other.take(1, 100) {
        Err(Unshared::Broken(Error::Ledger { reason, .. })) => {
            assert!(reason.contains("slot 0 is damaged"), "{reason}");
        }
        unexpected => panic!("{unexpected:?}"),
    }
    assert_eq!(other.available_bytes(100), 0);
    one.update(Unsettled::default());
    assert_eq!(other.available_bytes(100), 40);
    // Its state says that it is nobody's.
    words.write_all_at(&[0; 8], 4096).unwrap();
    assert!(is_granted(&one, 10, 100));
    assert_eq!(other.available_bytes(100), 30);
}

#[test]
fn a_useless_file_that_nobody_uses_is_replaced_and_a_used_one_is_not() {
    let folder = folder();
    let path = file(folder.path());
    let header = |word: usize| {
        drop(seat(folder.path(), "maker"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[word * 8] ^= 1;
        bytes
    };
    let useless = [
        Vec::new(),
        vec![0; 100],
        vec![0xff; 1 << 20],
        header(0),
        header(1),
        header(2),
        header(3),
        header(6),
    ];
    for bytes in useless {
        fs::write(&path, &bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(is_granted(&seat(folder.path(), "next"), 100, 100));
    }
    let holder = seat(folder.path(), "holder");
    assert!(is_granted(&holder, 60, 100));
    let mut other_version = fs::read(&path).unwrap();
    other_version[8] = 9;
    File::options().write(true).open(&path).unwrap().write_all_at(&other_version[..64], 0).unwrap();
    let reason = refusal(&options(folder.path()));
    assert!(reason.contains("version 9") && reason.contains("have a share in it"), "{reason}");
    let reason = survey(&options(folder.path()), &|| None).unwrap_err().to_string();
    assert!(reason.contains("version 9"), "{reason}");
}

#[test]
fn a_place_that_others_could_change_is_refused_and_nothing_is_made() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("real")).unwrap();
    symlink(at("real"), at("link")).unwrap();
    assert!(refusal(&options(&at("link"))).contains("symbolic link"));
    fs::write(at("file"), "").unwrap();
    assert!(refusal(&options(&at("file"))).contains("expected a folder"));
    fs::set_permissions(at("real"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(refusal(&options(&at("real"))).contains("not everybody can write to"));
    fs::set_permissions(at("real"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("/etc/passwd", file(&at("real"))).unwrap();
    assert!(refusal(&options(&at("real"))).contains("symbolic link"));
    fs::remove_file(file(&at("real"))).unwrap();
    fs::create_dir(file(&at("real"))).unwrap();
    assert!(!refusal(&options(&at("real"))).is_empty());
    fs::remove_dir(file(&at("real"))).unwrap();
    fs::write(file(&at("real")), "").unwrap();
    fs::set_permissions(file(&at("real")), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(&options(&at("real"))).contains("mode 0644"));
    assert!(refusal(&options(Path::new("/dev/shm/none/deeper"))).contains("above it is missing"));
    let on_disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    assert!(refusal(&options(on_disk.path())).contains("expected a file system in RAM"));
    assert!(!file(on_disk.path()).exists());
}

#[test]
fn a_name_that_would_lead_elsewhere_is_refused() {
    let folder = folder();
    for name in ["", "..", "a/b", "a\0b", "ä", &"x".repeat(65)] {
        let options = LedgerOptions { name: name.to_owned(), ..options(folder.path()) };
        let error = Seat::take_in(&options, "name", Box::new(|| None)).unwrap_err();
        assert_eq!(error.code(), "ERR_INVALID_ARGUMENT", "{name:?}: {error}");
    }
}

#[test]
fn a_file_system_on_disk_will_do_where_that_is_forced() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = LedgerOptions { force: true, ..options(folder.path()) };
    let one = Seat::take_in(&options, "one", Box::new(|| None)).unwrap();
    assert!(is_granted(&one, 60, 100) && !is_granted(&one, 60, 100));
}

/// A machine of 8 GiB with 4 GiB available, 3.5 of them above the floor.
fn budget(tree: &Path, seat: Seat, max_bytes: Option<u64>) -> MemoryBudget {
    let line = MachineOptions { max_bytes, ..MachineOptions::default() };
    let headroom = Some(HeadroomOptions { floor_bytes: Some(512 * MIB), ..HeadroomOptions::default() });
    let sharing: Option<Arc<dyn Sharers>> = Some(Arc::new(seat));
    MemoryBudget::for_system(&SystemOptions {
        root: SystemRoot::at(tree),
        line,
        sharing,
        headroom,
        ..SystemOptions::default()
    })
    .unwrap()
}

fn machine() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir(tree.path().join("proc")).unwrap();
    fs::write(tree.path().join("proc/meminfo"), "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n").unwrap();
    tree
}

#[test]
fn budgets_that_share_leave_room_for_what_the_others_have_not_taken() {
    let (folder, tree) = (folder(), machine());
    let one = budget(tree.path(), seat(folder.path(), "one"), None);
    let other = budget(tree.path(), seat(folder.path(), "other"), None);
    let weights = one.allocate(2 * GIB, "weights").unwrap();
    assert_eq!(other.available_bytes(), 3 * GIB / 2);
    assert!(!other.can_allocate(2 * GIB) && other.can_allocate(GIB));
    let error = other.allocate(2 * GIB, "weights").unwrap_err();
    assert_eq!(error.code(), "ERR_INSUFFICIENT_MEMORY");
    // Small requests, which a reading from before serves.
    let small = other.allocate(MIB, "small").unwrap();
    let more = one.allocate(GIB, "more").unwrap();
    assert!(other.allocate(600 * MIB, "no longer there").is_err());
    assert!(other.allocate(400 * MIB, "there").is_ok());
    // What is taken shows in the machine's figures, which say here that it was not.
    weights.commit(2 * GIB);
    assert_eq!(other.available_bytes(), 2 * GIB + GIB / 2 - MIB);
    drop((weights, more, small));
    assert_eq!((one.available_bytes(), other.available_bytes()), (7 * GIB / 2, 7 * GIB / 2));
}

#[test]
fn the_line_of_the_board_binds_all_and_a_maximum_of_its_own_each() {
    let (folder, tree) = (folder(), machine());
    fs::write(tree.path().join("proc/meminfo"), "MemTotal: 8388608 kB\nMemAvailable: 8388608 kB\n").unwrap();
    let one = budget(tree.path(), seat(folder.path(), "one"), Some(4 * GIB));
    let other = budget(tree.path(), seat(folder.path(), "other"), Some(4 * GIB));
    let of_board = one.line().board_bytes();
    assert!(of_board > 6 * GIB && one.line().bytes() == 4 * GIB);
    let held = one.allocate(4 * GIB, "all of its own").unwrap();
    held.commit(4 * GIB);
    assert!(one.allocate(1, "more").unwrap_err().to_string().contains("maxBytes"));
    assert!(other.available_bytes() == of_board - 4 * GIB);
    let error = other.allocate(3 * GIB, "too much for both").unwrap_err().to_string();
    assert!(error.contains("others hold 4.00 GiB of it: one (process"), "{error}");
    assert!(other.allocate(2 * GIB, "beside").is_ok());
    assert!(other.allocate(5 * GIB, "never").unwrap_err().to_string().contains("can never be granted"));
}

#[test]
fn an_allocation_that_is_cut_in_two_or_grows_stale_leaves_the_sum_as_it_is() {
    let (folder, tree) = (folder(), machine());
    let one = budget(tree.path(), seat(folder.path(), "one"), None);
    let looker = seat(folder.path(), "looker");
    let mut held = one.allocate(GIB, "model").unwrap();
    let part = held.split(512 * MIB, "part").unwrap();
    assert_eq!(looker.available_bytes(2 * GIB), GIB);
    assert_eq!(looker.pending_bytes(), GIB);
    part.commit(512 * MIB);
    assert_eq!(looker.pending_bytes(), 512 * MIB);
    drop(held);
    assert_eq!((looker.available_bytes(2 * GIB), looker.pending_bytes()), (3 * GIB / 2, 0));
    drop(part);
    assert_eq!((looker.available_bytes(2 * GIB), looker.pending_bytes()), (2 * GIB, 0));
}

#[test]
fn a_drain_of_no_time_is_none() {
    let folder = folder();
    let options = LedgerOptions { drain: Duration::ZERO, ..options(folder.path()) };
    assert!(is_granted(&Seat::take_in(&options, "one", Box::new(|| None)).unwrap(), 100, 100));
}

/// Others who share, as slow as a system call makes them.
#[derive(Debug, Default)]
struct SlowToHear(std::sync::Mutex<Unsettled>);

impl SlowToHear {
    fn hear(&self, unsettled: Unsettled) {
        std::thread::yield_now();
        *self.0.lock().unwrap() = unsettled;
    }
}

impl SharedQueue for SlowToHear {}

impl Sharers for SlowToHear {
    fn take(&self, _: u64, _: u64) -> Result<(), Unshared> {
        Ok(())
    }
    fn settle(&self, _: u64, unsettled: Unsettled) {
        self.hear(unsettled);
    }
    fn cancel(&self, _: u64) {}
    fn release(&self, _: u64, unsettled: Unsettled) {
        self.hear(unsettled);
    }
    fn update(&self, unsettled: Unsettled) {
        self.hear(unsettled);
    }
    fn available_bytes(&self, line_bytes: u64) -> u64 {
        line_bytes
    }
    fn granted_bytes(&self) -> u64 {
        0
    }
    fn pending_bytes(&self) -> u64 {
        0
    }
}

#[test]
fn what_the_others_hear_last_is_what_is_pending_however_many_threads_tell_them() {
    let tree = machine();
    let heard = Arc::new(SlowToHear::default());
    let sharing: Option<Arc<dyn Sharers>> = Some(Arc::clone(&heard) as _);
    let options = SystemOptions {
        root: SystemRoot::at(tree.path()),
        sharing,
        headroom: None,
        ..SystemOptions::default()
    };
    let budget = MemoryBudget::for_system(&options).unwrap();
    for round in 0..300 {
        let held: Vec<_> = std::thread::scope(|scope| {
            let grant = || {
                let held = budget.allocate(10, "thread").unwrap();
                held.commit(3);
                held
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(grant)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(heard.0.lock().unwrap().pending_bytes(None), 4 * 7, "round {round}");
        drop(held);
    }
}
