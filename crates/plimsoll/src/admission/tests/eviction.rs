use super::*;

type Asked = Arc<Mutex<Vec<MakeRoom>>>;

/// Notes what a holder is asked for.
fn noting() -> (OnMakeRoom, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    (Arc::new(move |ask: &MakeRoom| noted.lock().unwrap().push(ask.clone())), asked)
}

fn asked_bytes(asked: &Asked) -> Vec<(MakeRoomKind, u64)> {
    asked.lock().unwrap().iter().map(|ask| (ask.kind, ask.bytes)).collect()
}

fn hold(admission: &Admission, size: u64, options: AcquireOptions) -> Grant {
    granted(&submit(admission, bytes(size), options))
}

fn evictable(priority: i32) -> (AcquireOptions, Asked) {
    let (on_evict, asked) = noting();
    (AcquireOptions { priority, on_evict: Some(on_evict), idle: NEVER, ..patient() }, asked)
}

fn elastic(priority: i32) -> (AcquireOptions, Asked) {
    let (on_revoke, asked) = noting();
    (AcquireOptions { priority, on_revoke: Some(on_revoke), idle: NEVER, ..patient() }, asked)
}

#[test]
fn of_two_the_one_that_suffices_is_asked_and_its_bytes_are_for_the_asker() {
    let admission = line_of(100);
    let ((small, small_asked), (large, large_asked)) = (evictable(0), evictable(0));
    let (small, large) = (hold(&admission, 20, small), hold(&admission, 70, large));
    let higher = submit(&admission, bytes(50), AcquireOptions { priority: 1, ..patient() });
    assert!(asked_bytes(&small_asked).is_empty());
    assert_eq!(asked_bytes(&large_asked), [(MakeRoomKind::Evict, 70)]);
    let ask = large_asked.lock().unwrap()[0].clone();
    assert_eq!((ask.within, ask.wanted_by.as_str()), (Duration::from_secs(5), "50 bytes"));
    let fits = granted(&submit(&admission, bytes(10), patient()));
    assert_eq!(fits.bytes(), 10, "who fits does not wait for an eviction");
    drop(fits);
    drop(large);
    assert_eq!(admission.budget().available_bytes(), 30, "the head's 50 of the 80 are kept");
    assert!(admission.budget().allocate(31, "out of turn").is_err());
    admission.run(now_ns());
    assert_eq!(granted(&higher).bytes(), 50);
    drop(small);
}

#[test]
fn neither_pinned_nor_higher_nor_equal_ones_in_use_are_asked() {
    let admission = line_of(100);
    let ((pinned, pinned_asked), (higher, higher_asked), (used, used_asked)) =
        (evictable(-1), evictable(6), evictable(5));
    let _held = [
        hold(&admission, 30, AcquireOptions { pinned: true, ..pinned }),
        hold(&admission, 30, higher),
        hold(&admission, 40, used),
    ];
    let _waits = submit(&admission, bytes(10), AcquireOptions { priority: 5, ..patient() });
    for asked in [&pinned_asked, &higher_asked, &used_asked] {
        assert!(asked_bytes(asked).is_empty());
    }
    let _more = submit(&admission, bytes(10), AcquireOptions { priority: 6, ..patient() });
    assert_eq!(asked_bytes(&used_asked).len(), 1);
    assert!(asked_bytes(&pinned_asked).is_empty() && asked_bytes(&higher_asked).is_empty());
}

#[test]
fn an_equal_one_is_asked_once_it_is_idle_and_use_puts_that_off() {
    let admission = line_of(10);
    let (options, asked) = evictable(0);
    let idle = Duration::from_mins(1);
    let held = hold(&admission, 10, AcquireOptions { idle, ..options });
    let start = now_ns();
    let waits = submit(&admission, bytes(10), patient());
    held.touch();
    admission.run(start + 59_000_000_000);
    assert!(asked_bytes(&asked).is_empty());
    admission.run(now_ns() + 60_000_000_000);
    assert_eq!(asked_bytes(&asked), [(MakeRoomKind::Evict, 10)]);
    drop(held);
    admission.run(now_ns());
    assert_eq!(granted(&waits).bytes(), 10);
}

#[test]
fn who_does_not_make_room_in_time_or_says_so_is_passed_over_and_asked_again_later() {
    let admission = line_of(100);
    let ((first, first_asked), (second, second_asked), (third, third_asked)) =
        (evictable(0), evictable(1), evictable(2));
    let (_first, second, _third) =
        (hold(&admission, 30, first), hold(&admission, 30, second), hold(&admission, 40, third));
    let now = now_ns();
    let _waits =
        admission.submit_at(bytes(20), AcquireOptions { priority: 9, ..patient() }, now, now, None).unwrap();
    let counts = || [&first_asked, &second_asked, &third_asked].map(|asked| asked_bytes(asked).len());
    assert_eq!(counts(), [1, 0, 0]);
    admission.run(now + 4_999_000_000);
    assert_eq!(counts(), [1, 0, 0]);
    admission.run(now + 5_000_000_000);
    assert_eq!(counts(), [1, 1, 0]);
    second.decline();
    admission.run(now + 5_000_000_001);
    assert_eq!(counts(), [1, 1, 1]);
    admission.run(now + 10_000_000_001);
    assert_eq!(counts(), [2, 1, 1], "its time has come again");
}

#[test]
fn a_stretch_is_taken_while_there_is_room_and_asked_back_by_no_more_than_is_lacking() {
    let admission = line_of(100);
    let (options, asked) = elastic(0);
    let cache = hold(&admission, 20, options);
    assert_eq!((cache.stretch(30).unwrap(), cache.stretch(30).unwrap()), (30, 30));
    assert_eq!((cache.bytes(), cache.stretch_bytes(), admission.budget().allocated_bytes()), (80, 60, 80));
    let labels: Vec<_> =
        admission.budget().allocations().into_iter().map(|info| info.label.into_owned()).collect();
    assert_eq!(labels, ["20 bytes", "20 bytes (stretch)"]);
    assert_eq!(cache.stretch(21).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
    let waits = submit(&admission, bytes(50), AcquireOptions { priority: 1, ..patient() });
    assert_eq!(asked_bytes(&asked), [(MakeRoomKind::Revoke, 30)]);
    assert_eq!(cache.shrink(10), 10);
    admission.run(now_ns());
    assert_eq!(asked_bytes(&asked).len(), 1, "the rest is still expected");
    assert_eq!(
        cache.stretch(11).unwrap_err().code(),
        "ERR_INSUFFICIENT_MEMORY",
        "what it gave back is not its"
    );
    assert_eq!(cache.shrink(20), 20);
    admission.run(now_ns());
    assert_eq!(granted(&waits).bytes(), 50);
    assert_eq!((cache.shrink(1000), cache.bytes(), cache.shrink(1)), (30, 20, 0));
    drop(cache);
    assert_eq!(admission.budget().allocated_bytes(), 0);
}

#[test]
fn nobody_stretches_beside_an_aged_head_nor_without_saying_how_it_shrinks() {
    let admission = line_of(100);
    let cache = hold(&admission, 20, elastic(5).0);
    let waits = submit(&admission, bytes(90), strict());
    let refused = cache.stretch(1).unwrap_err().to_string();
    assert!(refused.contains("kept for"), "{refused}");
    drop(waits);
    assert_eq!(cache.stretch(1).unwrap(), 1);
    let rigid = hold(&admission, 5, patient());
    assert_eq!(rigid.stretch(1).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
}

#[test]
fn a_grant_that_is_both_shrinks_where_that_suffices_and_goes_where_it_does_not() {
    let admission = line_of(100);
    let ((evicting, evicted), (stretching, revoked)) = (evictable(0), elastic(0));
    let held = hold(&admission, 50, AcquireOptions { on_revoke: stretching.on_revoke, ..evicting });
    held.stretch(50).unwrap();
    let first = submit(&admission, bytes(40), AcquireOptions { priority: 1, ..patient() });
    assert_eq!((asked_bytes(&revoked), asked_bytes(&evicted)), (vec![(MakeRoomKind::Revoke, 40)], vec![]));
    held.shrink(40);
    admission.run(now_ns());
    let _first = granted(&first);
    let _second = submit(&admission, bytes(60), AcquireOptions { priority: 1, ..patient() });
    assert_eq!(asked_bytes(&evicted), [(MakeRoomKind::Evict, 60)]);
}

#[test]
fn a_holder_may_make_room_there_and_then() {
    let admission = line_of(10);
    let slot: Arc<Mutex<Option<Grant>>> = Arc::default();
    let emptied = Arc::clone(&slot);
    let on_evict: OnMakeRoom = Arc::new(move |_| drop(emptied.lock().unwrap().take()));
    let held = hold(&admission, 10, AcquireOptions { on_evict: Some(on_evict), ..patient() });
    *slot.lock().unwrap() = Some(held);
    let grant = admission.acquire(bytes(10), AcquireOptions { priority: 1, ..patient() }).unwrap();
    assert_eq!((grant.bytes(), admission.budget().allocated_bytes()), (10, 10));
}

#[test]
fn parts_that_are_taken_out_go_one_by_one() {
    let admission = line_of(100);
    let both = vec![GrantRequest::new(40, "a"), GrantRequest::new(50, "b")];
    let (options, asked) = evictable(0);
    let grant = granted(&submit(&admission, both, options));
    let [a, b] = grant.take_allocations().try_into().unwrap();
    grant.part_released(40);
    drop(a);
    assert_eq!(grant.bytes(), 50);
    let _waits = submit(&admission, bytes(60), AcquireOptions { priority: 1, ..patient() });
    assert_eq!(asked_bytes(&asked), [(MakeRoomKind::Evict, 50)]);
    drop(grant);
    assert_eq!(admission.budget().allocated_bytes(), 50, "it is its own by now");
    drop(b);
}

#[test]
fn what_is_committed_is_no_longer_pending() {
    let admission = line_of(100);
    let grant = hold(&admission, 20, elastic(0).0);
    grant.stretch(10).unwrap();
    assert_eq!(admission.budget().pending_bytes(), 30);
    grant.commit(25);
    assert_eq!(admission.budget().pending_bytes(), 5);
    grant.shrink(7);
    assert_eq!(admission.budget().pending_bytes(), 0, "what was not taken goes first");
    grant.stretch(4).unwrap();
    assert_eq!(admission.budget().pending_bytes(), 4);
}
