//! The driver's node: which it is, and why it does not open.

use plimsoll::units::MIB;
use rustix::io::Errno;

use crate::{
    fake_rknpu::{Board, Model},
    suite::faults::Faults,
    take,
};

#[track_caller]
fn unavailable(board: &Board, words: &str) {
    let refusal = board.open().unwrap_err();
    assert_eq!(refusal.code(), "ERR_DEVICE_UNAVAILABLE", "{refusal}");
    assert!(refusal.to_string().contains(words), "{refusal}");
}

#[test]
fn is_found_where_sys_is_not_shown() {
    let board = Board::new();
    board.remove("sys");
    take(&board.open().unwrap(), MIB).unwrap();
    // The one that answers by that name among the card nodes, where there is no other.
    board.remove("dev/dri/renderD129");
    assert!(board.open().unwrap().info().unwrap().node.ends_with("card1"));
    board.remove("dev/dri/card1");
    unavailable(&board, "renderD128 belongs to \"panfrost\"");
    board.remove("dev/dri");
    unavailable(&board, "no Rockchip NPU driver");
}

#[test]
fn of_another_driver_is_never_sent_a_call_of_this_one() {
    // The board's end asserts that none was.
    let board = Board::with(Model { name: "rocket", ..Model::default() });
    unavailable(&board, "belongs to \"rocket\"");
    board.remove("sys");
    unavailable(&board, "no DRM node is the NPU's");
}

#[test]
fn that_cannot_be_opened_says_why() {
    let board = Board::new();
    board.driver().errno = Some(Errno::ACCESS);
    board.driver().faults = Faults::once(0);
    unavailable(&board, "Permission denied");
    board.remove("dev/dri");
    unavailable(&board, "/dev/dri/renderD129 is not");
    board.add(".dockerenv");
    unavailable(&board, "the container does not show");
    board.remove("sys");
    board.add("dev/rknpu");
    unavailable(&board, "contiguous memory only; take dma-heap");
    board.remove("dev/rknpu");
    board.add("dev/accel/accel0");
    unavailable(&board, "mainline driver");
}

#[test]
fn without_an_iommu_is_not_used() {
    unavailable(&Board::with(Model { iommu: false, ..Model::default() }), "works without its IOMMU");
}
