//! Seats at a ledger in a folder of a test's own.

#![allow(dead_code, reason = "each file of tests has use for some of it")]

use std::path::{Path, PathBuf};

use plimsoll::{
    Error,
    budget::{Sharers, Unsettled, Unshared},
    ledger::{LedgerOptions, Seat},
};

/// A folder in RAM.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

pub fn options(folder: &Path) -> LedgerOptions {
    LedgerOptions { directory: Some(folder.to_owned()), ..LedgerOptions::default() }
}

pub fn try_seat(folder: &Path, name: &str) -> Result<Seat, Error> {
    Seat::take_in(&options(folder), name, Box::new(|| None))
}

pub fn seat(folder: &Path, name: &str) -> Seat {
    try_seat(folder, name).unwrap()
}

pub fn file(folder: &Path) -> PathBuf {
    folder.join("board.ledger")
}

pub fn is_granted(seat: &Seat, bytes: u64, line_bytes: u64) -> bool {
    match seat.take(bytes, line_bytes) {
        Ok(()) => seat.settle(bytes, Unsettled::default()),
        Err(Unshared::Crowded(_)) => return false,
        Err(Unshared::Broken(error)) => panic!("{error}"),
    }
    true
}

/// The reason why that ledger cannot be used.
pub fn refusal(options: &LedgerOptions) -> String {
    match Seat::take_in(options, "refused", Box::new(|| None)) {
        Err(Error::Ledger { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}
