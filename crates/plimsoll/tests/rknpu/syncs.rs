//! What the processor writes and reads, by way of its caches.

use plimsoll::{device::SyncKind, units::MIB};

use crate::{fake_rknpu::Board, take};

#[test]
fn what_the_processor_does_is_seen_by_the_device_and_the_other_way_round() {
    const TO_DEVICE: u32 = 1;
    const FROM_DEVICE: u32 = 2;
    let board = Board::new();
    let backend = board.open().unwrap();
    let slab = take(&backend, MIB).unwrap();
    let steps = |board: &Board| std::mem::take(&mut board.driver().syncs);
    slab.write(100, &[1; 50]).unwrap();
    assert_eq!(steps(&board), [(FROM_DEVICE, 100, 50), (TO_DEVICE, 100, 50)]);
    slab.read(7, &mut [0; 9]).unwrap();
    assert_eq!(steps(&board), [(FROM_DEVICE, 7, 9)]);
    slab.fill(0..MIB, 3).unwrap();
    assert_eq!(steps(&board), [(FROM_DEVICE, 0, MIB), (TO_DEVICE, 0, MIB)]);
    slab.read(3, &mut []).unwrap();
    assert_eq!(steps(&board), []);
}

#[test]
fn what_is_being_written_is_not_thrown_away_by_a_reader() {
    let board = Board::new();
    let backend = board.open().unwrap();
    let slab = take(&backend, MIB).unwrap();
    slab.sync(SyncKind::BeginWrite, 100..200).unwrap();
    board.driver().syncs.clear();
    slab.sync(SyncKind::BeginRead, 120..180).unwrap();
    assert_eq!(board.driver().syncs, []);
    // Elsewhere the device's bytes are wanted all the same.
    slab.sync(SyncKind::BeginRead, 200..300).unwrap();
    slab.sync(SyncKind::BeginRead, 50..300).unwrap();
    assert_eq!(board.driver().syncs, [(2, 200, 100), (2, 50, 50), (2, 200, 100)]);
    slab.sync(SyncKind::EndWrite, 100..200).unwrap();
    board.driver().syncs.clear();
    slab.sync(SyncKind::BeginRead, 150..300).unwrap();
    assert_eq!(board.driver().syncs, [(2, 150, 150)]);
}

// Ranges that end before they begin are among what is tried.
#[allow(clippy::reversed_empty_ranges)]
#[test]
fn a_range_beyond_the_slab_never_reaches_the_kernel() {
    let board = Board::new();
    let slab = take(&board.open().unwrap(), MIB).unwrap();
    for range in [0..MIB + 1, MIB..MIB + 1, 2..1, u64::MAX - 1..u64::MAX] {
        let refusal = slab.sync(SyncKind::EndWrite, range).unwrap_err();
        assert_eq!(refusal.code(), "ERR_INVALID_ARGUMENT");
    }
    assert_eq!(board.driver().syncs, []);
}
