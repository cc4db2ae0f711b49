//! The queue of processes that share a ledger. Each seat has an open file of its own, as those of several processes have.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use plimsoll::{
    MemoryBudget,
    admission::{AcquireOptions, Admission, Grant, GrantRequest, MakeRoom, MakeRoomKind, Ticket},
    budget::{MachineOptions, SharedQueue, SharedTurn, Sharers, SystemOptions},
    ledger::{LedgerOptions, Seat},
    system::SystemRoot,
    units::{GIB, MIB},
};

/// A folder with a machine whose line is 800 MiB, and a ledger.
struct Board(tempfile::TempDir);

impl Board {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        fs::create_dir(folder.path().join("proc")).unwrap();
        let text = "MemTotal: 1638400 kB\nMemAvailable: 1638400 kB\n";
        fs::write(folder.path().join("proc/meminfo"), text).unwrap();
        Self(folder)
    }

    fn seat(&self, name: &str) -> Seat {
        let options = LedgerOptions { directory: Some(self.0.path().to_owned()), ..LedgerOptions::default() };
        Seat::take_in(&options, name, Box::new(|| None)).unwrap()
    }

    /// The queue of another process, whose line is that of the board.
    fn process(&self, name: &str) -> Admission {
        self.queue(&Arc::new(self.seat(name)))
    }

    /// A queue of that process, with an account of its own.
    fn queue(&self, seat: &Arc<Seat>) -> Admission {
        let sharing: Arc<dyn Sharers> = Arc::clone(seat) as _;
        let budget = MemoryBudget::for_system(&SystemOptions {
            root: SystemRoot::at(Path::new(self.0.path())),
            line: MachineOptions { safety_margin_percent: 50.0, ..MachineOptions::default() },
            sharing: Some(sharing),
            headroom: None,
            ..SystemOptions::default()
        });
        let budget = budget.unwrap();
        assert_eq!(budget.line().board_bytes(), 800 * MIB);
        Admission::new(&budget).unwrap()
    }
}

fn request(mib: u64, label: &'static str) -> Vec<GrantRequest> {
    vec![GrantRequest::new(mib * MIB, label)]
}

fn submit(process: &Admission, mib: u64, options: AcquireOptions) -> Ticket {
    process.submit(request(mib, "waits"), options).unwrap()
}

fn hold(process: &Admission, mib: u64, options: AcquireOptions) -> Grant {
    process.try_acquire(request(mib, "holds"), options).unwrap().unwrap()
}

fn aged() -> AcquireOptions {
    AcquireOptions { age: Duration::ZERO, ..AcquireOptions::default() }
}

/// Long enough for the queue's thread to have looked.
fn looked() {
    thread::sleep(Duration::from_millis(200));
}

fn waits(process: &Admission) -> bool {
    !process.waiting().is_empty()
}

#[test]
fn what_one_process_releases_another_is_granted() {
    let board = Board::new();
    let (one, other) = (board.process("one"), board.process("other"));
    let held = hold(&one, 600, AcquireOptions::default());
    let ticket = submit(&other, 400, AcquireOptions::default());
    looked();
    assert!(waits(&other));
    assert_eq!(one.budget().line_available_bytes(), 200 * MIB);
    drop(held);
    let grant = ticket.wait().unwrap();
    assert_eq!((grant.bytes(), one.budget().available_bytes()), (400 * MIB, 400 * MIB));
}

#[test]
fn among_processes_the_one_who_came_first_is_first_and_nobody_takes_what_is_kept_for_it() {
    let board = Board::new();
    let (one, two, three) = (board.process("one"), board.process("two"), board.process("three"));
    let held = hold(&one, 700, AcquireOptions::default());
    let first = submit(&two, 500, aged());
    looked();
    let second = submit(&three, 90, aged());
    looked();
    assert!(waits(&two) && waits(&three), "there are 100 MiB free, which are kept");
    // Nor who asks out of turn, in any process.
    assert!(one.budget().allocate(90 * MIB, "out of turn").is_err());
    let refused = three.budget().allocate(90 * MIB, "out of turn").unwrap_err().to_string();
    assert!(refused.contains("waits for its turn"), "{refused}");
    drop(held);
    let (first, second) = (first.wait().unwrap(), second.wait().unwrap());
    assert_eq!((first.bytes(), second.bytes()), (500 * MIB, 90 * MIB));
}

#[test]
fn a_higher_priority_of_another_process_goes_first_and_a_small_request_passes_until_the_head_is_aged() {
    let board = Board::new();
    let (one, two, three) = (board.process("one"), board.process("two"), board.process("three"));
    let held = hold(&one, 600, AcquireOptions::default());
    let patient = AcquireOptions { age: Duration::from_mins(10), ..AcquireOptions::default() };
    let low = submit(&two, 700, patient.clone());
    looked();
    assert!(submit(&three, 150, patient).wait().is_ok(), "it fits beside, and the head is young");
    let high = submit(&three, 700, AcquireOptions { priority: 5, ..aged() });
    looked();
    drop(held);
    let high = high.wait().unwrap();
    assert!(waits(&two));
    drop(high);
    assert!(low.wait().is_ok());
}

/// A process that has been asked for room, and what for.
fn told() -> (AcquireOptions, mpsc::Receiver<MakeRoom>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let tell = Arc::new(move |asked: &MakeRoom| {
        let _ = sender.lock().unwrap().send(asked.clone());
    });
    let options = AcquireOptions {
        on_evict: Some(tell),
        idle: Duration::ZERO,
        evict_within: Duration::from_secs(20),
        ..AcquireOptions::default()
    };
    (options, receiver)
}

#[test]
fn a_grant_of_another_process_is_asked_to_go_and_what_it_gives_is_for_who_asked() {
    let board = Board::new();
    let (one, two, three) = (board.process("one"), board.process("two"), board.process("three"));
    let (options, asked) = told();
    let ticket = one.submit(request(700, "idle model"), options).unwrap();
    let held = ticket.wait().unwrap();
    looked();
    let wants =
        AcquireOptions { priority: 1, evict_within: Duration::from_secs(20), ..AcquireOptions::default() };
    let ticket = submit(&two, 500, wants);
    let room = asked.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((room.kind, room.bytes), (MakeRoomKind::Evict, 700 * MIB));
    assert!(room.wanted_by.contains("another process"));
    drop(held);
    // A third, who asks at that very moment and of lower priority, finds nothing but the rest.
    let greedy = three.try_acquire(request(700, "greedy"), AcquireOptions::default()).unwrap();
    assert!(greedy.is_none());
    assert_eq!(ticket.wait().unwrap().bytes(), 500 * MIB);
}

#[test]
fn a_grant_of_higher_priority_in_another_process_is_not_asked() {
    let board = Board::new();
    let (one, two) = (board.process("one"), board.process("two"));
    let (options, asked) = told();
    let _held =
        one.submit(request(700, "important"), AcquireOptions { priority: 3, ..options }).unwrap().wait();
    looked();
    let ticket = submit(&two, 500, AcquireOptions::default());
    looked();
    assert!(waits(&two) && asked.try_recv().is_err());
    drop(ticket);
}

#[test]
fn the_stretch_of_another_process_shrinks_when_somebody_needs_the_room_and_its_floor_stays() {
    let board = Board::new();
    let (one, two) = (board.process("one"), board.process("two"));
    let (sender, asked) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = AcquireOptions {
        on_revoke: Some(Arc::new(move |room: &MakeRoom| {
            let _ = sender.lock().unwrap().send(room.clone());
        })),
        idle: Duration::ZERO,
        ..AcquireOptions::default()
    };
    let cache = one.submit(request(200, "cache"), options).unwrap().wait().unwrap();
    cache.stretch(500 * MIB).unwrap();
    looked();
    let ticket = submit(&two, 400, AcquireOptions::default());
    let room = asked.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((room.kind, room.bytes), (MakeRoomKind::Revoke, 300 * MIB), "no more than is lacking");
    cache.shrink(room.bytes);
    assert_eq!(ticket.wait().unwrap().bytes(), 400 * MIB);
    assert_eq!(cache.bytes(), 400 * MIB);
}

#[test]
fn nobody_waits_for_a_process_that_is_stopped_while_it_waits() {
    let board = Board::new();
    let (one, stopped) = (board.process("one"), board.seat("stopped"));
    let turn = SharedTurn {
        bytes: GIB,
        priority: 9,
        since_ns: 1,
        kept_bytes: 800 * MIB,
        goes_first: false,
        count: 1,
        stands_back: false,
    };
    stopped.wait(0, Some(turn), "it says so once");
    assert!(one.budget().allocate(MIB, "out of turn").is_err());
    // Nobody hears of it any more.
    thread::sleep(Duration::from_millis(1200));
    assert!(one.budget().allocate(MIB, "free").is_ok());
    assert_eq!(submit(&one, 100, AcquireOptions::default()).wait().unwrap().bytes(), 100 * MIB);
}

#[test]
fn a_grant_that_was_had_at_once_is_asked_to_go_too_and_one_that_is_gone_is_offered_no_longer() {
    let board = Board::new();
    let (one, two, looker) = (board.process("one"), board.process("two"), board.seat("looker"));
    let (options, asked) = told();
    let held = one.try_acquire(request(700, "idle model"), options).unwrap().unwrap();
    looked();
    assert_eq!(looker.holders_elsewhere().len(), 1);
    let ticket = submit(&two, 500, AcquireOptions { priority: 1, ..AcquireOptions::default() });
    assert_eq!(asked.recv_timeout(Duration::from_secs(10)).unwrap().bytes, 700 * MIB);
    drop(held);
    assert_eq!(ticket.wait().unwrap().bytes(), 500 * MIB);
    assert_eq!(looker.holders_elsewhere(), []);
}

#[test]
fn nobody_goes_where_that_would_not_suffice() {
    let board = Board::new();
    let (one, two) = (board.process("one"), board.process("two"));
    let ((low, asked_low), (high, asked_high)) = (told(), told());
    let _low = hold(&one, 50, low);
    let _high = hold(&one, 700, AcquireOptions { priority: 10, ..high });
    looked();
    let ticket = submit(&two, 500, AcquireOptions { priority: 5, ..AcquireOptions::default() });
    looked();
    assert!(waits(&two) && asked_low.try_recv().is_err() && asked_high.try_recv().is_err());
    drop(ticket);
}

#[test]
fn who_is_kept_back_by_its_own_bound_alone_is_in_nobodys_way() {
    let board = Board::new();
    let (one, two) = (board.process("one"), board.process("two"));
    one.budget().set_maximum(Some(100 * MIB)).unwrap();
    let _held = hold(&one, 80, AcquireOptions::default());
    let ticket = submit(&one, 50, aged());
    looked();
    assert!(waits(&one));
    assert_eq!(hold(&two, 720, AcquireOptions::default()).bytes(), 720 * MIB);
    drop(ticket);
}

/// A grant that waits for a long time to be given back, and what its holder is asked.
fn elastic(process: &Admission, mib: u64, stretch_mib: u64) -> (Grant, mpsc::Receiver<MakeRoom>) {
    let (sender, asked) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = AcquireOptions {
        on_revoke: Some(Arc::new(move |room: &MakeRoom| {
            let _ = sender.lock().unwrap().send(room.clone());
        })),
        idle: Duration::ZERO,
        evict_within: Duration::from_mins(1),
        ..AcquireOptions::default()
    };
    let grant = process.try_acquire(request(mib, "elastic"), options).unwrap().unwrap();
    grant.stretch(stretch_mib * MIB).unwrap();
    looked();
    (grant, asked)
}

fn impatient(priority: i32) -> AcquireOptions {
    AcquireOptions { priority, evict_within: Duration::from_mins(1), ..AcquireOptions::default() }
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_process_that_was_asked_can_be_asked_by_others_as_soon_as_it_has_given_that_or_nobody_needs_it() {
    let board = Board::new();
    let (one, two, three) = (board.process("one"), board.process("two"), board.process("three"));
    let (held, asked) = elastic(&one, 100, 600);
    let ticket = submit(&two, 300, impatient(1));
    let room = asked.recv_timeout(SOON).unwrap();
    assert_eq!(room.bytes, 200 * MIB);
    held.shrink(room.bytes);
    let first = ticket.wait().unwrap();
    // Given: it stands in nobody's way for the rest of its minute.
    let ticket = submit(&three, 100, impatient(1));
    let room = asked.recv_timeout(SOON).unwrap();
    assert_eq!(room.bytes, 100 * MIB);
    held.shrink(room.bytes);
    let second = ticket.wait().unwrap();
    // Cancelled: the same.
    let cancelled = submit(&two, 50, impatient(1));
    assert_eq!(asked.recv_timeout(SOON).unwrap().bytes, 50 * MIB);
    drop(cancelled);
    held.shrink(50 * MIB);
    let again = submit(&three, 120, impatient(1));
    assert_eq!(asked.recv_timeout(SOON).unwrap().bytes, 70 * MIB);
    held.shrink(70 * MIB);
    assert_eq!(again.wait().unwrap().bytes(), 120 * MIB);
    drop((first, second));
}

#[test]
fn what_another_process_is_asked_for_is_not_stretched_again_meanwhile() {
    let board = Board::new();
    let (one, two) = (board.process("one"), board.process("two"));
    let (held, asked) = elastic(&one, 100, 600);
    let ticket = submit(&two, 300, impatient(1));
    let room = asked.recv_timeout(SOON).unwrap();
    held.shrink(room.bytes - MIB);
    assert!(held.stretch(MIB).unwrap_err().to_string().contains("kept"), "it has not given all of it");
    held.shrink(MIB);
    assert_eq!(ticket.wait().unwrap().bytes(), 300 * MIB);
}

#[test]
fn a_process_that_will_not_make_room_says_so_and_another_is_asked_at_once() {
    let board = Board::new();
    let (one, two, three) = (board.process("one"), board.process("two"), board.process("three"));
    let ((first, asked_first), (_second, asked_second)) = (elastic(&one, 100, 250), elastic(&two, 100, 250));
    let ticket = submit(&three, 300, impatient(1));
    // The longest idle is asked first.
    assert_eq!(asked_first.recv_timeout(SOON).unwrap().bytes, 200 * MIB);
    first.decline();
    assert_eq!(asked_second.recv_timeout(SOON).unwrap().bytes, 200 * MIB);
    drop(ticket);
}

#[test]
fn of_one_key_one_load_is_under_way_among_all_processes_and_it_keeps_back_nobody_else() {
    let board = Board::new();
    let (one, two) = (board.process("one"), board.process("two"));
    let llama = || AcquireOptions { key: Some("llama".to_owned()), ..aged() };
    let first = hold(&one, 100, llama());
    let second = submit(&two, 100, llama());
    let whisper = AcquireOptions { key: Some("whisper".to_owned()), ..aged() };
    assert_eq!(submit(&two, 100, whisper).wait().unwrap().bytes(), 100 * MIB);
    looked();
    assert!(waits(&two), "the other loads it");
    first.ready();
    assert_eq!(second.wait().unwrap().bytes(), 100 * MIB);
    drop(first);
    // Released, or dead, without a word that it is ready: the next may try.
    for ends in [true, false] {
        let loading = hold(&one, 100, llama());
        let next = submit(&two, 100, llama());
        looked();
        assert!(waits(&two));
        if ends {
            drop(loading);
        } else {
            loading.ready();
        }
        assert!(next.wait().is_ok());
    }
    assert!(one.try_acquire(request(700, "all"), llama()).unwrap().is_some(), "nothing is left of the loads");
}

#[test]
fn two_queues_of_one_process_are_shown_and_asked_side_by_side() {
    let board = Board::new();
    let seat = Arc::new(board.seat("two queues"));
    let (one, other, looker) = (board.queue(&seat), board.queue(&seat), board.process("looker"));
    let (held, asked) = elastic(&one, 100, 500);
    let urgent = submit(&other, 790, AcquireOptions { priority: 3, ..aged() });
    let patient = AcquireOptions { age: Duration::from_mins(1), priority: -1, ..AcquireOptions::default() };
    let low = submit(&one, 780, patient);
    looked();
    let shown = |seat: &Seat| {
        let holder = seat.holders().unwrap().into_iter().find(|holder| holder.name == "two queues").unwrap();
        (holder.waiting.map(|waiting| (waiting.bytes, waiting.count)), holder.revocable_bytes)
    };
    assert_eq!(shown(&seat), (Some((790 * MIB, 2)), 500 * MIB), "neither overwrites the other");
    assert!(looker.budget().allocate(MIB, "out of turn").is_err(), "what the aged one waits for is kept");
    drop(urgent);
    looked();
    assert_eq!(shown(&seat), (Some((780 * MIB, 1)), 500 * MIB));
    drop(low);
    looked();
    assert_eq!(shown(&seat), (None, 500 * MIB));
    let ticket = submit(&looker, 400, impatient(1));
    held.shrink(asked.recv_timeout(SOON).unwrap().bytes);
    assert!(ticket.wait().is_ok());
}

#[test]
fn who_is_kept_back_by_its_own_bound_is_shown_all_the_same_and_so_is_how_important_a_holder_is() {
    let board = Board::new();
    let (one, looker) = (board.process("one"), board.seat("looker"));
    one.budget().set_maximum(Some(100 * MIB)).unwrap();
    let _held = hold(&one, 80, AcquireOptions { priority: 7, ..AcquireOptions::default() });
    let ticket = submit(&one, 50, aged());
    looked();
    let holders = looker.holders().unwrap();
    let [shown, _] = &holders[..] else { panic!("{holders:?}") };
    let waiting = shown.waiting.unwrap();
    assert_eq!((waiting.bytes, waiting.stands_back, waiting.kept_bytes), (50 * MIB, true, 0));
    assert_eq!((shown.priority, shown.revocable_bytes), (7, 0));
    assert_eq!((looker.turn_elsewhere(), looker.kept_bytes()), (None, 0));
    drop(ticket);
}
