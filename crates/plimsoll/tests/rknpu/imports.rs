//! Buffers of other drivers.

use std::{fs::File, os::fd::AsFd};

use plimsoll::{device::Backend, units::MIB};

use crate::{domain, fake_rknpu::Board, fill, foreign_buffer, take};

#[test]
fn have_an_address_and_a_place_in_the_window() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let buffer = foreign_buffer(256 * MIB);
    let import = backend.import(buffer.as_fd()).unwrap();
    assert_eq!(import.size_bytes(), 256 * MIB);
    assert!(import.device_address().is_multiple_of(256 * MIB));
    assert_eq!(backend.window().used_bytes(), 256 * MIB);
    assert_eq!(fill(&backend, 256 * MIB).len(), 14);
    drop(import);
    assert_eq!((backend.window().used_bytes(), backend.usage().used_bytes), (0, 0));
    drop(backend.import(buffer.as_fd()).unwrap());
}

#[test]
fn of_the_same_buffer_twice_would_be_closed_twice() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let buffer = foreign_buffer(MIB);
    let import = backend.import(buffer.as_fd()).unwrap();
    assert_eq!(backend.import(buffer.as_fd()).unwrap_err().code(), "ERR_BUSY");
    let slab = take(&backend, MIB).unwrap();
    let exported = slab.export_fd().unwrap();
    let refusal = backend.import(exported.as_fd()).unwrap_err();
    assert!(refusal.to_string().contains("a slab of its own"), "{refusal}");
    assert_eq!(board.driver().live_bytes(), 2 * MIB);
    drop(import);
    slab.write(0, b"whole").unwrap();
}

#[test]
fn go_to_domain_0_and_to_no_other() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let other = backend.in_domain(domain(2)).unwrap();
    other.make_live().unwrap();
    let buffer = foreign_buffer(MIB);
    assert_eq!(other.import(buffer.as_fd()).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    // The driver would put it into the live one, and take it out of 0 later.
    drop(backend.import(buffer.as_fd()).unwrap());
    assert_eq!(board.driver().live, 0);
}

#[test]
fn of_what_is_no_buffer_are_refused() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    assert_eq!(backend.import(file.as_fd()).unwrap_err().code(), "ERR_DEVICE");
}
