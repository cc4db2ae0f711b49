use super::*;
use proptest::prelude::*;

const AGE: u64 = 1000;

fn waiter(priority: i32, since_ns: u64, tie: u64, bytes: u64) -> Waiter {
    Waiter { priority, since_ns, tie, bytes, age_ns: AGE }
}

fn holder(id: u64, priority: i32, idle_ms: u64, bytes: u64) -> Holder {
    Holder { id, priority, idle_ms, is_idle: idle_ms >= 10, bytes, is_divisible: false }
}

fn ids(asks: &[Ask]) -> Vec<u64> {
    asks.iter().map(|ask| ask.id).collect()
}

#[test]
fn priority_goes_before_time_and_time_before_the_tie() {
    let mut waiters =
        [waiter(0, 5, 1, 1), waiter(0, 5, 0, 2), waiter(1, 9, 7, 3), waiter(0, 4, 9, 4), waiter(-1, 0, 0, 5)];
    waiters.sort_by(order);
    assert_eq!(waiters.map(|waiter| waiter.bytes), [3, 4, 2, 1, 5]);
}

#[test]
fn a_smaller_request_passes_until_the_head_is_aged_to_the_nanosecond() {
    let waiters = [waiter(0, 10, 0, 80), waiter(0, 11, 0, 20)];
    assert_eq!(granted(&waiters, 50, 10 + AGE - 1), [1]);
    assert!(granted(&waiters, 50, 10 + AGE).is_empty());
    assert!(granted(&waiters, 99, 10 + AGE).len() == 1, "the head");
    assert_eq!(granted(&waiters, 100, 10 + AGE), [0, 1]);
}

#[test]
fn with_the_head_granted_the_next_is_the_head() {
    let waiters = [waiter(0, 0, 0, 10), waiter(0, 0, 1, 80), waiter(0, 5000, 2, 5)];
    assert_eq!(granted(&waiters, 50, 5000), [0], "the second is aged and has 40 of its 80 kept");
    assert_eq!(granted(&waiters, 95, 5000), [0, 1, 2]);
}

#[test]
fn what_was_freed_for_a_head_is_kept_for_it_before_it_is_aged() {
    let head = waiter(0, 0, 0, 80);
    assert_eq!(
        [
            kept_bytes(&head, 0, 1),
            kept_bytes(&head, 30, 1),
            kept_bytes(&head, 300, 1),
            kept_bytes(&head, 0, AGE)
        ],
        [0, 30, 80, 80]
    );
    assert!(fits_beside(20, 50, 30) && !fits_beside(21, 50, 30) && fits_beside(0, 0, u64::MAX));
}

#[test]
fn a_clock_before_the_beginning_ages_nobody() {
    assert!(!waiter(0, 100, 0, 1).is_aged(50));
    assert!(Waiter { age_ns: 0, ..waiter(0, 100, 0, 1) }.is_aged(50), "who lets nobody pass");
}

#[test]
fn lower_priorities_are_asked_first_and_equal_ones_only_when_idle() {
    let holders = [holder(1, 5, 100, 50), holder(2, 0, 0, 50), holder(3, 5, 0, 500), holder(4, 6, 100, 500)];
    assert_eq!(ids(&asks(&holders, 5, 50)), [2]);
    assert_eq!(ids(&asks(&holders, 5, 100)), [2, 1]);
    assert!(asks(&holders, 5, 101).is_empty(), "the third is in use, the fourth goes before the asker");
    assert_eq!(ids(&asks(&holders, 7, 600)), [2, 1, 3]);
}

#[test]
fn the_longest_idle_goes_first_and_nobody_is_asked_in_vain() {
    let holders = [holder(1, 0, 10, 30), holder(2, 0, 30, 10), holder(3, 0, 20, 100)];
    assert_eq!(ids(&asks(&holders, 1, 10)), [2]);
    assert_eq!(ids(&asks(&holders, 1, 90)), [3], "with the third the second is not needed");
    assert_eq!(ids(&asks(&holders, 1, 105)), [2, 3]);
    assert_eq!(ids(&asks(&holders, 1, 140)), [2, 3, 1]);
    assert!(asks(&holders, 1, 0).is_empty() && asks(&[], 1, 1).is_empty());
}

#[test]
fn of_a_stretch_no_more_is_asked_than_is_lacking() {
    let stretch = Holder { is_divisible: true, ..holder(1, 0, 50, 100) };
    assert_eq!(asks(&[stretch], 1, 30), [Ask { id: 1, bytes: 30 }]);
    let whole = holder(2, 0, 40, 60);
    assert_eq!(asks(&[stretch, whole], 1, 130), [Ask { id: 1, bytes: 70 }, Ask { id: 2, bytes: 60 }]);
}

fn any_waiters() -> impl Strategy<Value = Vec<Waiter>> {
    let any = (-2..3_i32, 0..20_u64, 0..200_u64)
        .prop_map(|(priority, since, bytes)| waiter(priority, since * 100, 0, bytes));
    prop::collection::vec(any, 0..12).prop_map(|mut waiters| {
        for (tie, waiter) in (0..).zip(&mut waiters) {
            waiter.tie = tie;
        }
        waiters.sort_by(order);
        waiters
    })
}

fn any_holders() -> impl Strategy<Value = Vec<Holder>> {
    let any = (-2..3_i32, 0..20_u64, 0..200_u64, any::<bool>()).prop_map(
        |(priority, idle_ms, bytes, is_divisible)| Holder {
            is_divisible,
            ..holder(0, priority, idle_ms, bytes)
        },
    );
    prop::collection::vec(any, 0..12).prop_map(|mut holders| {
        for (id, holder) in (0..).zip(&mut holders) {
            holder.id = id;
        }
        holders
    })
}

proptest! {
    #[test]
    fn never_more_is_granted_than_is_free(waiters in any_waiters(), free in 0..600_u64, now in 0..4000_u64) {
        let places = granted(&waiters, free, now);
        prop_assert!(places.is_sorted());
        prop_assert!(places.iter().map(|place| waiters[*place].bytes).sum::<u64>() <= free);
    }

    #[test]
    fn the_first_that_fits_is_granted_unless_an_aged_head_needs_the_room(waiters in any_waiters(), free in 0..600_u64, now in 0..4000_u64) {
        let places = granted(&waiters, free, now);
        let first_left = (0..waiters.len()).find(|place| !places.contains(place));
        let Some(head) = first_left else { return Ok(()) };
        let taken_before: u64 = waiters[..head].iter().map(|waiter| waiter.bytes).sum();
        prop_assert!(waiters[head].bytes > free - taken_before, "a head that fits is granted");
        let passed: u64 = places.iter().filter(|place| **place > head).map(|place| waiters[*place].bytes).sum();
        let left = free - taken_before - passed;
        if waiters[head].is_aged(now) {
            prop_assert!(passed == 0, "what an aged head lacks is left to it");
        } else {
            let fits = |place: &usize| !places.contains(place) && waiters[*place].bytes <= left;
            prop_assert_eq!((head + 1..waiters.len()).find(fits), None, "whoever fits is granted");
        }
    }

    #[test]
    fn who_is_asked_suffices_is_allowed_and_is_needed(holders in any_holders(), priority in -2..4_i32, lacking in 0..900_u64) {
        let asked = asks(&holders, priority, lacking);
        let of = |ask: &Ask| holders[usize::try_from(ask.id).unwrap()];
        let allowed = |holder: &Holder| holder.priority < priority || holder.priority == priority && holder.is_idle;
        let able: u64 = holders.iter().filter(|holder| allowed(holder)).map(|holder| holder.bytes).sum();
        let sum: u64 = asked.iter().map(|ask| ask.bytes).sum();
        prop_assert_eq!(asked.is_empty(), lacking == 0 || able < lacking);
        if !asked.is_empty() {
            prop_assert!(sum >= lacking);
        }
        for ask in &asked {
            let holder = of(ask);
            prop_assert!(allowed(&holder) && ask.bytes > 0 && ask.bytes <= holder.bytes);
            prop_assert!(holder.is_divisible || ask.bytes == holder.bytes);
            prop_assert!(sum - ask.bytes < lacking, "who is not needed is not asked");
            if holder.is_divisible {
                prop_assert!(sum == lacking || ask.bytes == 0 || sum - lacking < ask.bytes);
            }
        }
        prop_assert_eq!(asks(&holders, priority, lacking), asked, "the same again");
    }

    #[test]
    fn nobody_of_a_higher_priority_is_asked_where_the_lower_suffice(holders in any_holders(), priority in -2..4_i32, lacking in 1..900_u64) {
        let asked = asks(&holders, priority, lacking);
        let highest = asked.iter().map(|ask| holders[usize::try_from(ask.id).unwrap()].priority).max();
        let Some(highest) = highest else { return Ok(()) };
        let below: u64 = holders.iter().filter(|holder| holder.priority < highest).map(|holder| holder.bytes).sum();
        prop_assert!(below < lacking);
    }
}
