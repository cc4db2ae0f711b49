//! Several domains, of which one is live.

use plimsoll::{Error, device::Backend, units::MIB};

use crate::{
    domain,
    fake_rknpu::{Board, Model},
    suite::faults::Faults,
    take,
};

#[test]
fn the_domain_of_a_slab_is_made_live_when_it_is_used() {
    let board = Board::new();
    let (zero, three) = {
        let zero = board.open().unwrap();
        let three = zero.in_domain(domain(3)).unwrap();
        (zero, three)
    };
    let slab = take(&three, MIB).unwrap();
    assert_eq!(zero.info().unwrap().live_domain, domain(3));
    zero.make_live().unwrap();
    assert_eq!(board.driver().live, 0);
    slab.write(0, b"x").unwrap();
    assert_eq!(board.driver().live, 3);
}

#[test]
fn a_domain_that_a_job_holds_is_busy_and_says_so() {
    let board = Board::new();
    let backend = board.open().unwrap();
    board.driver().held = true;
    let other = backend.in_domain(domain(1)).unwrap();
    for refusal in [other.make_live().unwrap_err(), take(&other, MIB).unwrap_err()] {
        let Error::Device { errno, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!(*errno, Some(22));
        assert!(refusal.to_string().contains("held a different one for 6 seconds"), "{refusal}");
    }
    backend.make_live().unwrap();
    take(&backend, MIB).unwrap();
}

#[test]
fn a_driver_of_old_has_one() {
    let board = Board::with(Model::old());
    let backend = board.open().unwrap();
    backend.make_live().unwrap();
    backend.in_domain(domain(0)).unwrap();
    let refusal = backend.in_domain(domain(1)).unwrap_err();
    assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE");
    assert!(refusal.to_string().contains("use domain 0"), "{refusal}");
}

#[test]
fn what_cannot_be_freed_now_stays_in_the_map_and_goes_at_the_next_occasion() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let other = backend.in_domain(domain(1)).unwrap();
    let slab = take(&other, 64 * MIB).unwrap();
    backend.make_live().unwrap();
    board.driver().faults = Faults::from(0);
    drop(slab);
    board.driver().faults = Faults::never();
    assert_eq!((other.usage().used_bytes, other.usage().slab_count), (64 * MIB, 1));
    assert_eq!(other.window().used_bytes(), 64 * MIB);
    assert_eq!(board.driver().live_bytes(), 64 * MIB);
    take(&backend, MIB).unwrap();
    assert_eq!((other.usage().used_bytes, other.window().used_bytes()), (0, 0));
    assert_eq!(board.driver().live_bytes(), 0);
}

#[test]
fn a_slab_whose_domain_cannot_be_live_goes_back_when_it_can() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let other = backend.in_domain(domain(1)).unwrap();
    let slab = take(&other, MIB).unwrap();
    backend.make_live().unwrap();
    board.driver().held = true;
    drop(slab);
    // Those of the live one are not kept waiting by it.
    drop(take(&backend, 2 * MIB).unwrap());
    assert_eq!((backend.usage().used_bytes, other.usage().used_bytes), (0, MIB));
    assert_eq!(board.driver().live_bytes(), MIB);
    board.driver().held = false;
    drop(take(&backend, MIB).unwrap());
    assert_eq!((other.usage().used_bytes, board.driver().live_bytes()), (0, 0));
}
