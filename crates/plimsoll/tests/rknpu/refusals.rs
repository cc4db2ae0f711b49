//! What the driver and the machine refuse, and what is told of it.

use std::os::fd::AsFd;

use plimsoll::{
    Error,
    budget::Promised,
    device::{Backend, Request, RknpuBackend, rknpu::WINDOW_BYTES},
    units::MIB,
};
use rustix::io::Errno;

use crate::{fake_rknpu::Board, foreign_buffer, hole_of, suite::faults::Faults, take};

#[track_caller]
fn refused(board: &Board, backend: &RknpuBackend, errno: Errno) -> Error {
    board.driver().errno = Some(errno);
    board.driver().faults = Faults::once(0);
    let refusal = take(backend, MIB).unwrap_err();
    assert_eq!(board.driver().faults.failures(), 1);
    refusal
}

#[test]
fn have_a_meaning() {
    let board = Board::new();
    let backend = board.open().unwrap();
    for (errno, code, words) in [
        (Errno::NOMEM, "ERR_INSUFFICIENT_MEMORY", "no free pages"),
        (Errno::FAULT, "ERR_INSUFFICIENT_MEMORY", "no place in domain 0"),
        (Errno::INVAL, "ERR_DEVICE", "held a different one"),
        (Errno::MFILE, "ERR_DEVICE", "ulimit -n"),
        (Errno::ACCESS, "ERR_DEVICE", "usermod -aG render"),
        (Errno::NODEV, "ERR_DEVICE", "the NPU is lost"),
        (Errno::IO, "ERR_DEVICE", "the NPU is lost"),
        (Errno::PIPE, "ERR_DEVICE", "the NPU is lost"),
    ] {
        let refusal = refused(&board, &backend, errno);
        assert_eq!(refusal.code(), code, "{refusal}");
        assert!(refusal.to_string().contains(words), "{refusal}");
        assert!(refusal.to_string().contains("MEM_CREATE"), "{refusal}");
    }
    assert_eq!(backend.usage().refused_count, 8);
}

#[test]
fn of_pages_are_told_with_what_the_machine_has() {
    let board = Board::new();
    let backend = board.open().unwrap();
    board.driver().pages_left = 256;
    take(&backend, MIB).unwrap();
    let refusal = take(&backend, 2 * MIB).unwrap_err();
    assert!(refusal.to_string().contains("error 12"), "{refusal}");
    assert!(hole_of(&refusal) < 2 * MIB);
}

#[test]
fn by_headroom_come_before_the_driver_is_asked() {
    let board = Board::new();
    let backend = board.open().unwrap();
    board.set_available(356 * MIB);
    take(&backend, 100 * MIB).unwrap();
    take(&backend, 100 * MIB + 1).unwrap_err();
    let pending = Request { promised: Promised::granted(50 * MIB), ..Request::new(64 * MIB, "promised") };
    assert!(hole_of(&backend.take(&pending).unwrap_err()) <= 50 * MIB);
    assert_eq!(board.driver().created.len(), 1);
}

#[test]
fn meet_a_driver_whose_answer_cannot_be() {
    let board = Board::new();
    let backend = board.open().unwrap();
    for lie in [(8, 4096), (8, u64::MAX), (16, 0), (24, 0), (24, WINDOW_BYTES), (24, u64::MAX - 4096)] {
        board.driver().lie = Some(lie);
        let refusal = take(&backend, MIB).unwrap_err();
        assert!(refusal.to_string().contains("the driver gave"), "{refusal}");
        assert_eq!((backend.usage().used_bytes, board.driver().live_bytes()), (0, 0), "{lie:?}");
    }
    let held = take(&backend, MIB).unwrap();
    // A handle that is known already must not be closed under its holder.
    board.driver().lie = Some((0, 7));
    take(&backend, MIB).unwrap_err();
    held.write(0, b"whole").unwrap();
}

#[test]
fn of_a_lost_device_leave_nothing_behind() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let (slab, mapped) = (take(&backend, MIB).unwrap(), take(&backend, MIB).unwrap());
    mapped.write(0, b"before").unwrap();
    board.driver().errno = Some(Errno::NODEV);
    board.driver().faults = Faults::from(0);
    let refusals = [
        slab.write(0, b"after").unwrap_err(),
        mapped.read(0, &mut [0]).unwrap_err(),
        slab.export_fd().unwrap_err(),
        take(&backend, MIB).unwrap_err(),
        backend.info().unwrap_err(),
        backend.make_live().unwrap_err(),
        backend.import(foreign_buffer(MIB).as_fd()).unwrap_err(),
    ];
    for refusal in refusals {
        assert!(refusal.to_string().contains("the NPU is lost"), "{refusal}");
    }
    // Views are of the process and stay.
    assert!(mapped.view().is_ok());
}
