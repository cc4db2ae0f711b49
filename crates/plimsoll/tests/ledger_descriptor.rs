//! What becomes of a seat whose descriptor the program closes, or puts something else in its place. It is alone in its process: the
//! number that is free then would be that of a file which another test opens.

#![allow(unsafe_code, clippy::unwrap_used, clippy::panic)]

#[path = "ledger/seats.rs"]
mod seats;

use std::fs::File;

use plimsoll::budget::{Sharers, Unsettled};
use seats::{folder, is_granted, seat};

#[test]
fn a_descriptor_that_was_closed_or_is_anothers_by_now_costs_nobody_anything() {
    let folder = folder();
    let (one, other) = (seat(folder.path(), "one"), seat(folder.path(), "other"));
    for is_taken in [false, true] {
        assert!(is_granted(&one, 30, 100));
        let strangers = File::open("/dev/zero").unwrap();
        let descriptor = one.with_descriptor(|descriptor| std::os::fd::AsRawFd::as_raw_fd(&descriptor));
        // SAFETY: numbers of open files; what this test is about.
        unsafe {
            if is_taken {
                libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&strangers), descriptor);
            } else {
                libc::close(descriptor);
            }
        }
        one.update(Unsettled::default());
        if is_taken {
            // SAFETY: as above.
            assert!(unsafe { libc::close(descriptor) } == 0, "it was not closed by who had it before");
        }
        assert!(!is_granted(&other, 71, 100));
    }
    let held: u64 = one
        .holders()
        .unwrap()
        .iter()
        .filter(|holder| !holder.is_draining && holder.name == "one")
        .map(|holder| holder.held_bytes)
        .sum();
    assert_eq!(held, 60);
}
