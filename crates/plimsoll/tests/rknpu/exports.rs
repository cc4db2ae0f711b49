//! Slabs as descriptors.

use plimsoll::{
    device::Backend,
    units::{GIB, MIB},
};
use rustix::io::Errno;

use crate::{fake_rknpu::Board, suite::faults::Faults, take};

#[test]
fn keep_the_memory_and_its_addresses_until_they_are_closed() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let slab = take(&backend, 2 * GIB).unwrap();
    let exported = slab.export_fd().unwrap();
    drop(slab);
    assert_eq!(backend.usage().used_bytes, 0);
    assert_eq!(board.driver().live_bytes(), 2 * GIB);
    let refusal = take(&backend, 3 * GIB).unwrap_err();
    assert!(refusal.to_string().contains("error 14"), "{refusal}");
    drop(exported);
    assert_eq!(board.driver().live_bytes(), 0);
}

#[test]
fn beyond_the_limit_of_open_files_are_refused() {
    let board = Board::new();
    let slab = take(&board.open().unwrap(), MIB).unwrap();
    board.driver().errno = Some(Errno::MFILE);
    board.driver().faults = Faults::once(0);
    let refusal = slab.export_fd().unwrap_err();
    assert!(refusal.to_string().contains("ulimit -n"), "{refusal}");
}
