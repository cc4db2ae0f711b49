use super::Pending;
use proptest::prelude::*;

#[test]
fn silent_holders_are_credited_with_growth_and_never_above_their_grants() {
    let pending = Pending::new();
    pending.begin(300, |_| Some(1000));
    assert_eq!(pending.bytes(|| Some(1000)), 300);
    pending.begin(50, |is_first| (!is_first).then_some(1100));
    assert_eq!(pending.bytes(|| Some(1100)), 250);
    assert_eq!(pending.bytes(|| Some(900)), 350, "shrinking takes no credit");
    assert_eq!(pending.bytes(|| Some(9000)), 0);
    pending.end(300, None);
    pending.end(50, None);
    // All have gone: the next one starts from what is resident then.
    pending.begin(70, |_| Some(9000));
    assert_eq!(pending.bytes(|| Some(9000)), 70);
    pending.end(70, None);
    assert_eq!(pending.bytes(|| Some(1)), 0);
}

#[test]
fn growth_that_is_nobodys_does_not_pay_for_a_later_holder() {
    let pending = Pending::new();
    pending.begin(2, |_| Some(1000));
    pending.begin(250, |_| Some(1250));
    assert_eq!(pending.bytes(|| Some(1250)), 250, "nothing of it is taken");
    assert_eq!(pending.bytes(|| Some(1500)), 0);
    // The earlier one has taken a part by now; what it takes later is its own.
    pending.begin(40, |_| Some(1300));
    assert_eq!(pending.bytes(|| Some(1300)), 240);
    assert_eq!(pending.bytes(|| Some(1500)), 40);
    // No figure of this moment: nothing is settled by one.
    pending.begin(10, |_| None);
    assert_eq!(pending.bytes(|| Some(1550)), 0);
}

#[test]
fn what_others_committed_is_no_growth_of_nobodys() {
    let pending = Pending::new();
    pending.begin(100, |_| Some(1000));
    pending.begin(400, |_| Some(1000));
    pending.commit(400, None, 400);
    pending.begin(50, |_| Some(1400));
    assert_eq!(pending.bytes(|| Some(1400)), 150);
    assert_eq!(pending.bytes(|| Some(1550)), 0, "both have taken theirs");
}

#[test]
fn what_a_holder_says_counts_for_it_alone() {
    let pending = Pending::new();
    let resident = || Some(5000);
    pending.begin(400, |_| resident());
    pending.commit(400, None, 100);
    assert_eq!(pending.bytes(resident), 300);
    pending.begin(10, |_| resident());
    assert_eq!(pending.bytes(resident), 310, "committed bytes are not the silent one's growth");
    pending.commit(400, Some(100), 400);
    assert_eq!(pending.bytes(resident), 10);
    pending.end(10, None);
    pending.end(400, Some(400));
    assert_eq!(pending.bytes(resident), 0);
}

#[test]
fn what_was_committed_before_the_first_silent_holder_is_no_part_of_its_growth() {
    let pending = Pending::new();
    pending.begin(400, |_| Some(1000));
    pending.commit(400, None, 400);
    pending.begin(100, |_| Some(1400));
    assert_eq!(pending.bytes(|| Some(1400)), 100);
    assert_eq!(pending.bytes(|| Some(1500)), 0);
    pending.begin(50, |_| Some(1500));
    pending.commit(50, None, 50);
    assert_eq!(pending.bytes(|| Some(1550)), 0, "its growth is its own");
}

#[test]
fn memory_of_devices_that_no_resident_memory_shows_is_no_growth_that_is_missing() {
    let pending = Pending::new();
    pending.begin(100, |_| Some(1000));
    // A pool takes 400 of a dma-heap and says so, and the silent holder its 100: resident are only these.
    pending.begin(400, |_| Some(1000));
    pending.add_unseen(400);
    pending.commit(400, None, 400);
    assert_eq!(pending.bytes(|| Some(1100)), 0);
    pending.remove_unseen(400);
    pending.end(400, Some(400));
    assert_eq!(pending.bytes(|| Some(1100)), 0);
}

#[test]
fn where_nothing_can_be_measured_a_grant_is_pending_until_its_holder_speaks() {
    let pending = Pending::new();
    pending.begin(8, |_| None);
    assert_eq!(pending.bytes(|| Some(1 << 40)), 8);
    pending.commit(8, None, 8);
    assert_eq!(pending.bytes(|| None), 0);
}

#[test]
fn memory_that_a_neighbour_releases_is_not_missing_from_the_growth_of_others() {
    let pending = Pending::new();
    pending.begin(256, |_| Some(1000));
    pending.commit(256, None, 256);
    pending.begin(128, |_| Some(1256));
    assert_eq!(pending.bytes(|| Some(1384)), 0, "taken");
    let lowered = pending.leave(256, || Some(1384));
    assert_eq!(pending.bytes(|| Some(1384)), 0, "it goes");
    assert_eq!(pending.bytes(|| Some(1284)), 100, "for a moment what goes counts as still to be taken");
    pending.left(256, lowered, 256);
    assert_eq!(pending.bytes(|| Some(1128)), 0, "taken memory stays taken");
    // What comes next is no growth of the silent one's either.
    pending.begin(256, |_| Some(1128));
    pending.commit(256, None, 256);
    assert_eq!(pending.bytes(|| Some(1384)), 0);
    assert_eq!(pending.bytes(|| Some(1256)), 128);
}

#[test]
fn a_holder_that_comes_while_a_neighbour_goes_is_pending_all_the_same() {
    let pending = Pending::new();
    pending.begin(256, |_| Some(1000));
    pending.commit(256, None, 256);
    let lowered = pending.leave(256, || Some(1256));
    pending.begin(100, |_| Some(1100));
    pending.left(256, lowered, 256);
    assert_eq!(pending.bytes(|| Some(1000)), 100, "nothing of it is taken");
    assert_eq!(pending.bytes(|| Some(1100)), 0);
}

#[test]
fn memory_that_was_never_resident_makes_no_growth_as_it_goes() {
    let pending = Pending::new();
    pending.begin(5000, |_| Some(1000));
    pending.commit(5000, None, 5000);
    pending.begin(100, |_| Some(1000));
    let lowered = pending.leave(5000, || Some(1000));
    assert_eq!(lowered, 1000);
    assert!(pending.bytes(|| Some(1000)) >= 100);
    pending.left(5000, lowered, 0);
    assert_eq!(pending.bytes(|| Some(1000)), 100);
    assert_eq!(pending.bytes(|| Some(1100)), 0);
}

#[test]
fn where_nothing_can_be_measured_leaving_changes_nothing_for_others() {
    let pending = Pending::new();
    pending.begin(50, |_| None);
    pending.commit(50, None, 50);
    pending.begin(7, |_| None);
    let lowered = pending.leave(50, || None);
    pending.left(50, lowered, 0);
    assert_eq!((lowered, pending.bytes(|| None), pending.bytes(|| Some(1 << 40))), (0, 7, 7));
}

proptest! {
    /// Pools and silent holders who take all of theirs at once, whatever comes, goes and grows beside them: where each
    /// byte is shown, nothing that was taken is pending, and what was not is, to the byte.
    #[test]
    fn what_was_taken_is_not_pending_and_the_rest_is(
        steps in prop::collection::vec((1_u64..400, 0_u8..6), 1..60),
    ) {
        let pending = Pending::new();
        let (mut resident, mut slabs, mut silent, mut untaken) = (1000, Vec::new(), Vec::new(), Vec::new());
        for (bytes, what) in steps {
            match what {
                0 => {
                    pending.begin(bytes, |_| Some(resident));
                    resident += bytes;
                    pending.commit(bytes, None, bytes);
                    slabs.push(bytes);
                }
                1 if !slabs.is_empty() => {
                    let bytes = slabs.swap_remove(bytes as usize % slabs.len());
                    let lowered = pending.leave(bytes, || Some(resident));
                    resident -= bytes;
                    pending.left(bytes, lowered, bytes);
                }
                2 => {
                    pending.begin(bytes, |_| Some(resident));
                    resident += bytes;
                    silent.push(bytes);
                }
                3 if !silent.is_empty() => {
                    let bytes = silent.swap_remove(bytes as usize % silent.len());
                    resident -= bytes;
                    pending.end(bytes, None);
                }
                4 => {
                    pending.begin(bytes, |_| Some(resident));
                    untaken.push(bytes);
                }
                5 if !untaken.is_empty() => {
                    pending.end(untaken.swap_remove(bytes as usize % untaken.len()), None);
                }
                _ => {}
            }
            prop_assert_eq!(pending.bytes(|| Some(resident)), untaken.iter().sum::<u64>());
        }
    }
}
