use super::*;

#[test]
fn all_of_a_list_is_granted_or_nothing() {
    let admission = line_of(100);
    let held = admission.budget().allocate(30, "held").unwrap();
    let both = || vec![GrantRequest::new(50, "weights"), GrantRequest::new(30, "cache")];
    let ticket = submit(&admission, both(), patient());
    assert!(ticket.try_take().is_none());
    assert_eq!(admission.budget().allocated_bytes(), 30, "it holds nothing while it waits");
    drop(held);
    admission.run(now_ns());
    let grant = granted(&ticket);
    let labels: Vec<_> =
        admission.budget().allocations().into_iter().map(|info| (info.label, info.bytes)).collect();
    assert_eq!(labels, [("weights".into(), 50), ("cache".into(), 30)]);
    assert_eq!(grant.bytes(), 80);
    drop(grant);
    assert_eq!(admission.budget().allocated_bytes(), 0);
}

#[test]
fn what_never_fits_and_what_is_too_many_is_refused_at_once() {
    let admission = line_of(100);
    let small = admission.budget().allocate(30, "small").unwrap();
    let never = admission.submit(vec![GrantRequest::new(60, "a"), GrantRequest::new(41, "b")], patient());
    match never.unwrap_err() {
        Error::NeverFits { label, requested_bytes, available_bytes, line_bytes, .. } => {
            assert_eq!(
                (label.as_str(), requested_bytes, available_bytes, line_bytes),
                ("a, b", 101, 70, 100)
            );
        }
        other => panic!("{other:?}"),
    }
    drop(small);
    let overflowing = vec![GrantRequest::new(u64::MAX, "a"), GrantRequest::new(u64::MAX, "b")];
    assert_eq!(admission.submit(overflowing, patient()).unwrap_err().code(), "ERR_NEVER_FITS");
    let _held = admission.budget().allocate(100, "held").unwrap();
    let two = || AcquireOptions { max_waiting: 2, ..patient() };
    let _waiting = [(); 2].map(|()| submit(&admission, bytes(1), two()));
    let refused = admission.submit(bytes(1), two()).unwrap_err();
    assert!(
        matches!(refused, Error::QueueFull { requested_bytes: 1, available_bytes: 0, waiting_count: 2, .. }),
        "{refused:?}"
    );
    assert_eq!(admission.waiting().len(), 2);
    assert!(admission.submit(bytes(0), two()).is_ok(), "what fits now waits for nobody");
}

#[test]
fn the_higher_priority_and_then_the_earlier_goes_first() {
    let admission = line_of(10);
    let held = admission.budget().allocate(10, "held").unwrap();
    let of = |priority| submit(&admission, bytes(10), AcquireOptions { priority, ..patient() });
    let tickets = [of(0), of(1), of(0), of(1)];
    drop(held);
    for place in [1, 3, 0, 2] {
        admission.run(now_ns());
        let settled: Vec<_> = tickets.iter().map(Ticket::try_take).collect();
        let places: Vec<_> = (0..4).filter(|place| settled[*place].is_some()).collect();
        assert_eq!(places, [place]);
    }
}

#[test]
fn a_small_request_passes_a_large_one_until_that_is_aged_and_so_does_one_out_of_turn() {
    let admission = line_of(100);
    let budget = admission.budget();
    let held = budget.allocate(60, "held").unwrap();
    let young = submit(&admission, bytes(80), patient());
    let small = submit(&admission, bytes(10), patient());
    drop(granted(&small));
    assert!(budget.can_allocate(40) && budget.allocate(40, "out of turn").is_ok());
    drop(young);
    let aged = submit(&admission, bytes(80), strict());
    let small = submit(&admission, bytes(10), patient());
    assert!(small.try_take().is_none());
    assert_eq!((budget.available_bytes(), budget.can_allocate(1), budget.can_allocate(0)), (0, false, true));
    match budget.allocate(10, "out of turn").unwrap_err() {
        Error::InsufficientMemory { available_bytes, binding_constraint, suggestion, .. } => {
            assert_eq!(available_bytes, 0);
            assert!(binding_constraint.contains("kept for \"80 bytes\""), "{binding_constraint}");
            assert!(suggestion.contains("acquire()"), "{suggestion}");
        }
        other => panic!("{other:?}"),
    }
    let missing = budget.allocate(41, "it is not there at all").unwrap_err().to_string();
    assert!(!missing.contains("kept for \"80"), "{missing}");
    drop(held);
    admission.run(now_ns());
    assert_eq!((granted(&aged).bytes(), granted(&small).bytes()), (80, 10));
    assert_eq!(budget.available_bytes(), 100);
}

#[test]
fn beside_an_aged_head_is_granted_what_leaves_room_for_all_of_it() {
    let admission = line_of(100);
    let budget = admission.budget();
    let other = MemoryBudget::clone(budget);
    budget.set_maximum(Some(50)).unwrap();
    // Clones share the maximum; a head behind a closed gate keeps nothing.
    let gate = other.close_gate("critical");
    let head = submit(&admission, bytes(40), strict());
    assert!(head.try_take().is_none());
    drop(gate);
    admission.run(now_ns());
    let _head = granted(&head);
    let waits = submit(&admission, bytes(20), strict());
    assert_eq!(budget.available_bytes(), 0);
    budget.set_maximum(Some(65)).unwrap();
    admission.run(now_ns());
    assert!(granted(&waits).bytes() == 20 && budget.allocate(5, "beside").is_ok());
}

#[test]
fn one_load_of_a_key_at_a_time_and_nobody_else_waits_for_it() {
    let admission = line_of(100);
    let of =
        |key: &str| submit(&admission, bytes(10), AcquireOptions { key: Some(key.to_owned()), ..strict() });
    let (first, second, third, other) = (of("llama"), of("llama"), of("llama"), of("qwen"));
    let (first, other) = (granted(&first), granted(&other));
    assert!(second.try_take().is_none() && third.try_take().is_none());
    assert!(admission.budget().allocate(70, "nobody's turn is kept").is_ok());
    first.ready();
    admission.run(now_ns());
    let second = granted(&second);
    assert!(third.try_take().is_none());
    drop(second);
    admission.run(now_ns());
    drop((first, other, granted(&third)));
    assert!(granted(&of("llama")).bytes() == 10);
}

#[test]
fn a_cancelled_request_leaves_no_trace_and_a_dropped_one_releases_what_it_got() {
    let admission = line_of(100);
    let held = admission.budget().allocate(100, "held").unwrap();
    let (first, second) = (submit(&admission, bytes(80), strict()), submit(&admission, bytes(90), patient()));
    assert!(first.canceller().cancel() && !first.canceller().cancel());
    assert!(matches!(first.try_take(), Some(Err(Error::Cancelled))) && first.try_take().is_none());
    drop(held);
    admission.run(now_ns());
    assert_eq!(admission.budget().allocated_bytes(), 90);
    assert!(!second.canceller().cancel(), "it was granted before");
    drop(second);
    assert_eq!(admission.budget().allocated_bytes(), 0);
    assert!(admission.waiting().is_empty() && admission.budget().can_allocate(100));
}

#[test]
fn who_waits_too_long_is_told_so_and_who_is_served_at_the_last_moment_is_served() {
    let admission = line_of(100);
    let held = admission.budget().allocate(60, "held").unwrap();
    let timed = || AcquireOptions { timeout: Some(Duration::from_millis(5)), ..strict() };
    let now = now_ns();
    let at = |requests| admission.submit_at(requests, timed(), now, now, None).unwrap();
    let (late, passed) = (at(bytes(50)), at(bytes(20)));
    admission.run(now + 4_999_999);
    assert!(late.try_take().is_none() && passed.try_take().is_none());
    admission.run(now + 5_000_000);
    match late.try_take() {
        Some(Err(Error::Timeout {
            timeout_ms: 5,
            requested_bytes: 50,
            available_bytes: 40,
            label,
            reason,
            ..
        })) => {
            assert_eq!(label, "50 bytes");
            assert!(reason.contains("number 1 of those"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(passed.try_take().unwrap().unwrap_err().code(), "ERR_TIMEOUT");
    let saved = at(bytes(50));
    drop(held);
    admission.run(now + 5_000_000);
    assert_eq!(granted(&saved).bytes(), 50);
}

#[test]
fn a_line_that_is_lowered_below_a_request_ends_its_wait() {
    let admission = line_of(100);
    let _held = admission.budget().allocate(50, "held").unwrap();
    let ticket = submit(&admission, bytes(80), strict());
    admission.budget().set_maximum(Some(79)).unwrap();
    admission.run(now_ns());
    assert_eq!(ticket.try_take().unwrap().unwrap_err().code(), "ERR_NEVER_FITS");
    assert!(admission.budget().can_allocate(29), "nothing is kept for it");
}

#[test]
fn budgets_of_one_account_have_one_queue_and_others_their_own() {
    let admission = line_of(100);
    let again = Admission::new(&admission.budget().clone()).unwrap();
    let _held = admission.budget().allocate(100, "held").unwrap();
    let _ticket = submit(
        &admission,
        bytes(10),
        AcquireOptions { priority: 3, key: Some("llama".to_owned()), ..patient() },
    );
    let [info] = again.waiting().try_into().unwrap();
    assert_eq!(
        (info.label.as_str(), info.bytes, info.priority, info.key.as_deref()),
        ("10 bytes", 10, 3, Some("llama"))
    );
    assert!(line_of(100).waiting().is_empty());
}

#[test]
fn who_asks_without_waiting_gets_its_turn_or_nothing() {
    let admission = line_of(100);
    let held = admission.try_acquire(bytes(60), patient()).unwrap().unwrap();
    assert!(admission.try_acquire(bytes(60), patient()).unwrap().is_none());
    assert!(admission.waiting().is_empty() && admission.budget().can_allocate(40));
    let _head = submit(&admission, bytes(80), strict());
    assert!(admission.try_acquire(bytes(10), patient()).unwrap().is_none(), "it is not its turn");
    let higher = AcquireOptions { priority: 1, ..patient() };
    assert!(admission.try_acquire(bytes(10), higher).unwrap().is_some());
    drop(held);
}

#[test]
fn threads_that_wait_are_woken_and_the_thread_that_wakes_them_ends() {
    let admission = line_of(4);
    let most = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..8 {
            let (admission, most) = (&admission, &most);
            scope.spawn(move || {
                for step in 0..40 {
                    let grant = admission.acquire(bytes((seed + step) % 4 + 1), strict()).unwrap();
                    most.fetch_max(
                        usize::try_from(admission.budget().allocated_bytes()).unwrap(),
                        Ordering::Relaxed,
                    );
                    drop(grant);
                }
            });
        }
    });
    assert!(most.load(Ordering::Relaxed) <= 4);
    assert_eq!((admission.budget().allocated_bytes(), admission.waiting().len()), (0, 0));
}

#[test]
fn a_waiting_thread_is_released_by_its_canceller_its_timeout_and_an_opening_gate() {
    let admission = line_of(4);
    let gate = admission.budget().close_gate("critical");
    let short = AcquireOptions { timeout: Some(Duration::from_millis(1)), ..patient() };
    let late = admission.acquire(bytes(1), short).unwrap_err();
    assert!(late.to_string().contains("critical"), "{late}");
    let ticket = admission.submit(bytes(1), patient()).unwrap();
    let canceller = ticket.canceller();
    let waiting = thread::spawn(move || ticket.wait());
    canceller.cancel();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
    let ticket = admission.submit(bytes(1), patient()).unwrap();
    let waiting = thread::spawn(move || ticket.wait());
    drop(gate);
    assert_eq!(waiting.join().unwrap().unwrap().bytes(), 1);
}

#[test]
fn a_grant_that_meets_a_cancel_is_delivered_or_released_and_never_lost() {
    let admission = line_of(1);
    for _ in 0..300 {
        let held = admission.budget().allocate(1, "held").unwrap();
        let ticket = admission.submit(bytes(1), patient()).unwrap();
        let canceller = ticket.canceller();
        thread::scope(|scope| {
            scope.spawn(move || drop(held));
            scope.spawn(move || canceller.cancel());
            match ticket.wait() {
                Ok(grant) => assert_eq!(grant.bytes(), 1),
                Err(error) => assert!(matches!(error, Error::Cancelled)),
            }
        });
        assert_eq!(admission.budget().allocated_bytes(), 0);
    }
}

#[test]
fn who_watches_is_told_of_those_who_come_and_go() {
    let admission = line_of(1);
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let watch = admission.watch(Arc::new(move || {
        counting.fetch_add(1, Ordering::Relaxed);
    }));
    let held = granted(&submit(&admission, bytes(1), patient()));
    let before = count.load(Ordering::Relaxed);
    let ticket = submit(&admission, bytes(1), patient());
    assert_eq!(count.load(Ordering::Relaxed), before + 1);
    drop(ticket);
    assert_eq!(count.load(Ordering::Relaxed), before + 2);
    drop(watch);
    drop(submit(&admission, bytes(1), patient()));
    assert_eq!(count.load(Ordering::Relaxed), before + 2);
    drop(held);
}
