//! A slot that was taken, and how that is done.

use std::{path::Path, sync::atomic::Ordering};

use super::{
    file::{Condition, LedgerFile},
    identity::nanoseconds,
    notice::SlotNotice,
    options::LedgerOptions,
    place::{LedgerPlace, ledger_error},
    share::SlotShare,
    slots::Slots,
    state::SlotState,
};
use crate::error::Result;

/// What is behind the lock of a [`Seat`].
#[derive(Debug)]
pub(super) struct Seated {
    pub(super) file: LedgerFile,
    pub(super) slot: usize,
    /// The state of the slot since it was claimed.
    pub(super) claim: SlotState,
    pub(super) share: SlotShare,
    pub(super) notice: SlotNotice,
    /// What the holders of the slot were ever granted.
    pub(super) granted_bytes: u64,
}

/// Takes a place in the ledger there, with what is held already.
pub(super) fn seated(
    options: &LedgerOptions,
    share: SlotShare,
    notice: SlotNotice,
    measure: &dyn Fn() -> Option<u64>,
) -> Result<Seated> {
    const MOST_CLAIMS: usize = 16;
    for _ in 0..MOST_CLAIMS {
        let place = LedgerPlace::of(options, true)?.ok_or_else(|| {
            ledger_error(Path::new(&options.name), "its folder was removed again and again")
        })?;
        let file = LedgerFile::open(place)?;
        let claimed = file.claiming(|| {
            let slots = Slots { file: &file, own: None, drain_ns: nanoseconds(options.drain) };
            slots.reap(measure);
            let slot = slots.claim(&share, &notice);
            slot.map_err(|error| ledger_error(&file.place.path, format!("fcntl: {error}")))?.ok_or_else(
                || ledger_error(&file.place.path, "all its slots are taken: end a process that shares it"),
            )
        })?;
        // Where it has been removed since, who makes the next one may have looked too early.
        if let Some((slot, claim)) = claimed.filter(|_| file.condition() == Condition::Good) {
            let granted = file.words.granted().get(slot);
            let granted_bytes = granted.map_or(0, |word| word.load(Ordering::SeqCst));
            return Ok(Seated { file, slot, claim, share, notice, granted_bytes });
        }
        // Another process has replaced the file meanwhile.
    }
    Err(ledger_error(
        Path::new(&options.name),
        "other processes replace it again and again: see who does that",
    ))
}
