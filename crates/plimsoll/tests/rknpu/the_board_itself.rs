//! The driver that is played notices what a real one would not survive.

use std::{
    os::fd::{AsFd, OwnedFd},
    thread,
};

use plimsoll::device::kernel::Kernel;
use rustix::fs::OFlags;

use crate::fake_rknpu::Board;

const ACTION: u32 = 0xc008_6440;
const MEM_SYNC: u32 = 0xc020_6445;

fn call(board: &Board, node: &OwnedFd, request: u32, argument: &mut [u8]) -> String {
    // SAFETY: the board does nothing with these bytes but read and write them.
    #[allow(unsafe_code)]
    let _ = unsafe { board.kernel.ioctl(node.as_fd(), request, argument) };
    board.driver().take_offences().concat()
}

#[test]
fn notices_what_a_real_one_would_not_survive() {
    let board = Board::new();
    let open =
        |name: &str| board.kernel.open(&board.root().join("dev/dri").join(name), OFlags::RDWR).unwrap();
    let (node, other) = (open("renderD129"), open("renderD128"));
    let question = || [1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(call(&board, &node, ACTION, &mut question()), "");
    let from_elsewhere = || call(&board, &node, ACTION, &mut question());
    let offence = thread::scope(|scope| scope.spawn(from_elsewhere).join().unwrap());
    assert_eq!(offence, "a call from a second thread");
    assert!(call(&board, &other, ACTION, &mut question()).contains("another driver"));
    assert!(call(&board, &node, ACTION, &mut [6, 0, 0, 0, 0, 0, 0, 0]).contains("action 6"));
    assert!(call(&board, &node, ACTION, &mut [0; 16]).contains("with 16 bytes"));
    let made_up = &mut [7; 32];
    assert!(call(&board, &node, MEM_SYNC, made_up).contains("would have crashed"));
}
