//! The account in every interleaving of its threads.

use super::{Account, EventKind, Instant, RecordOptions};
use loom::{sync::Arc, thread};

/// A guard taken and given on a thread of its own.
fn guard_of(account: &Arc<Account>) -> thread::JoinHandle<()> {
    let account = Arc::clone(account);
    thread::spawn(move || {
        account.try_take(40, 80).unwrap();
        account.grant_unweighed(40, Instant::now());
        let key = account.insert("guard".into(), 40, None, Instant::now());
        account.remove(key);
    })
}

/// A guard taken and given on one thread while another looks: the list never tells of more than the counter
/// holds, and both end empty.
#[test]
fn the_list_never_exceeds_the_counter() {
    loom::model(|| {
        let account = Arc::new(Account::default());
        let guard = guard_of(&account);
        let listed: u64 = account.list().iter().map(|info| info.bytes).sum();
        assert!(listed <= account.peak_bytes() && account.allocated_bytes() <= 80);
        guard.join().unwrap();
        assert_eq!(account.allocated_bytes(), 0);
        assert!(account.list().is_empty());
    });
}

/// A recording that begins while a guard is taken and given on another thread: whenever it is read, its sum is that
/// of the list, and in the end it has seen a release for every allocation it knows of.
#[test]
fn a_recording_agrees_with_the_list_whenever_it_begins() {
    loom::model(|| {
        let account = Arc::new(Account::default());
        let guard = guard_of(&account);
        let recording = account.start_recording(RecordOptions::default(), None);
        let early = account.read_recording(recording, true);
        assert_eq!(early.live.iter().map(|info| info.bytes).sum::<u64>(), early.allocated_bytes);
        guard.join().unwrap();
        let late = account.read_recording(recording, true);
        assert_eq!(late.allocated_bytes, 0);
        let releases = late.events.iter().filter(|event| event.kind == EventKind::Release).count();
        assert_eq!(releases * 2, late.events.len());
        account.end_recording(recording);
    });
}
