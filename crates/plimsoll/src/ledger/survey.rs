//! A look at a ledger by who has no share in it.

use std::path::PathBuf;

use super::{
    file::{Condition, LedgerFile},
    holder::LedgerHolder,
    identity::nanoseconds,
    listing::holders,
    options::LedgerOptions,
    place::LedgerPlace,
    seat::Seat,
    slots::Slots,
};
use crate::error::Result;

/// Where that ledger is, and who holds, waits and drains there; the dead are found first, by what `measure` says that the
/// machine can give. `None` where there is no ledger.
///
/// # Errors
///
/// [`Error::Ledger`](crate::Error::Ledger) where it lies where it must not, is another's, damaged or of another version.
pub fn survey(
    options: &LedgerOptions,
    measure: &dyn Fn() -> Option<u64>,
) -> Result<Option<(PathBuf, Vec<LedgerHolder>)>> {
    let Some(place) = LedgerPlace::of(options, false)? else { return Ok(None) };
    let Some(file) = LedgerFile::find(place)? else { return Ok(None) };
    if file.condition() != Condition::Good {
        return Ok(None);
    }
    let drain_ns = nanoseconds(options.drain);
    let slots = Slots { file: &file, own: None, drain_ns };
    slots.reap(measure);
    let list = holders(&slots);
    Ok(Some((file.place.path.clone(), list)))
}

impl Seat {
    /// As [`holders`](Self::holders), without the lock of this seat, by an open file of its own: for those who look again and
    /// again and must hold up no grant.
    ///
    /// # Errors
    ///
    /// As of [`survey`].
    pub fn look(&self) -> Result<Vec<LedgerHolder>> {
        let found = survey(&self.options, &*self.measure)?;
        Ok(found.map(|(_, holders)| holders).unwrap_or_default())
    }
}
