//! The bytes of a ledger file, which every process on the board reads and writes.
//!
//! ```text
//!        0  header    magic, version, byte order, slots and their bytes, boot id, checksum
//!     4096  states    one word a slot: free, live, draining or elsewhere; whether it waits; how often it was claimed; the same
//!                     inverted
//!     8192  granted   one word a slot: all its holders were ever granted; it begins anew beyond 2^64 and outlives them
//!    12288  slots     256 of 2048 bytes: figures (two copies and which one counts), a notice (the same), how it drains, what it is asked for
//!   536576  end
//!
//!   locks   2^40 + slot   held by whoever has the slot, as long as it lives
//!           2^40 + 65536  shared by those who claim a slot, alone for who replaces the file
//! ```
//!
//! Everything is a word of the machine's own byte order, which the header names: arm64 and x86-64 have the same. What one
//! process alone writes is kept in [two copies](super::cell::Cell), so that a death in the middle of it leaves the older one.

/// Begins every ledger.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"PLIMLEDG");

/// The version of this layout; it changes with it, and with what its words mean.
pub(super) const VERSION: u32 = 3;

/// Read as anything else, the file is of a machine of the other byte order.
pub(super) const ORDER: u32 = 0x0102_0304;

/// How many processes may have a share at once.
pub const SLOT_COUNT: usize = 256;

/// Bytes of a slot.
pub(super) const SLOT_BYTES: usize = 2048;

/// Words of the header, the last of which is the checksum of those before.
pub(super) const HEADER_WORDS: usize = 7;

pub(super) const STATES_AT: usize = 4096;
pub(super) const GRANTED_AT: usize = 8192;
pub(super) const SLOTS_AT: usize = 12288;

/// Bytes of the file.
pub(super) const FILE_BYTES: usize = SLOTS_AT + SLOT_COUNT * SLOT_BYTES;

/// Where the parts of a slot begin in it.
pub(super) const FIGURES_AT: usize = 0;
pub(super) const NOTICE_AT: usize = 512;
pub(super) const DRAIN_AT: usize = 1536;
pub(super) const ASK_AT: usize = 1792;

/// Words of [`super::share::SlotShare`], of [`super::notice::SlotNotice`], and of [`super::drain::Drain`].
pub(super) const FIGURES_WORDS: usize = 24;
pub(super) const NOTICE_WORDS: usize = 40;
pub(super) const DRAIN_WORDS: usize = 4;

/// Where the locks lie, far beyond the bytes.
pub(super) const SLOT_LOCKS_AT: u64 = 1 << 40;
pub(super) const CLAIM_LOCK_AT: u64 = SLOT_LOCKS_AT + 65536;

/// Mixes words into one that tells damage. It is no protection against malice: who may write the file may write anything.
pub(super) fn checksum(words: &[u64]) -> u64 {
    // The odd constant of FxHash; a rotation lets every bit meet every other.
    let mix = |sum: u64, word: &u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    words.iter().fold(0x9e37_79b9_7f4a_7c15, mix)
}

const _: () = {
    assert!(STATES_AT + SLOT_COUNT * 8 <= GRANTED_AT && GRANTED_AT + SLOT_COUNT * 8 <= SLOTS_AT);
    // Two copies, and the word that says which one counts.
    assert!(FIGURES_AT + 8 + 2 * 8 * (FIGURES_WORDS + 1) <= NOTICE_AT);
    assert!(NOTICE_AT + 8 + 2 * 8 * (NOTICE_WORDS + 1) <= DRAIN_AT);
    assert!(DRAIN_AT + 8 + 2 * 8 * (DRAIN_WORDS + 1) <= ASK_AT && ASK_AT + 8 * 4 <= SLOT_BYTES);
};
