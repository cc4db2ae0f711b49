//! The words of a ledger file, shared with all who have it open.

// The one way to words that other processes change: a shared map, seen as atomics.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use memmap2::{MmapOptions, MmapRaw};

use super::{
    asks::{self, AskCell},
    cell::Cell,
    layout::{
        ASK_AT, DRAIN_AT, DRAIN_WORDS, FIGURES_AT, FIGURES_WORDS, FILE_BYTES, GRANTED_AT, NOTICE_AT,
        NOTICE_WORDS, SLOT_BYTES, SLOT_COUNT, SLOTS_AT, STATES_AT,
    },
};

/// The whole file as words. Whoever touches them has asked [before](super::file::LedgerFile::condition) whether the file is
/// still that long: the kernel answers a touch beyond its end with `SIGBUS`.
#[derive(Debug)]
pub(super) struct Words(MmapRaw);

impl Words {
    /// Maps the first [`FILE_BYTES`] of a file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        MmapOptions::new().len(FILE_BYTES).map_raw(file).map(Self)
    }

    fn all(&self) -> &[AtomicU64] {
        // SAFETY: the map is live as long as `self`, readable and writable, of that many bytes, and begins at a page. Words
        // that others change at any time are what atomics are for, and every bit pattern is one.
        unsafe { std::slice::from_raw_parts(self.0.as_mut_ptr().cast(), FILE_BYTES / 8) }
    }

    fn part(&self, at_byte: usize, words: usize) -> &[AtomicU64] {
        self.all().get(at_byte / 8..at_byte / 8 + words).unwrap_or_default()
    }

    /// The first word.
    pub(super) fn magic(&self) -> u64 {
        self.all().first().map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// The states of all slots.
    pub(super) fn states(&self) -> &[AtomicU64] {
        self.part(STATES_AT, SLOT_COUNT)
    }

    /// What the holders of each slot were ever granted.
    pub(super) fn granted(&self) -> &[AtomicU64] {
        self.part(GRANTED_AT, SLOT_COUNT)
    }

    fn cell<const COUNT: usize>(&self, slot: usize, at_byte: usize) -> Option<Cell<'_, COUNT>> {
        Cell::over(self.part(SLOTS_AT + slot * SLOT_BYTES + at_byte, Cell::<COUNT>::WORDS))
    }

    pub(super) fn share(&self, slot: usize) -> Option<Cell<'_, FIGURES_WORDS>> {
        self.cell(slot, FIGURES_AT)
    }

    pub(super) fn notice(&self, slot: usize) -> Option<Cell<'_, NOTICE_WORDS>> {
        self.cell(slot, NOTICE_AT)
    }

    /// What the process of a slot is asked to give back.
    pub(super) fn ask(&self, slot: usize) -> Option<AskCell<'_>> {
        AskCell::over(self.part(SLOTS_AT + slot * SLOT_BYTES + ASK_AT, asks::WORDS))
    }

    pub(super) fn drain(&self, slot: usize) -> Option<Cell<'_, DRAIN_WORDS>> {
        self.cell(slot, DRAIN_AT)
    }
}
