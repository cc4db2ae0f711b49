//! One seat for all budgets of a process that share a ledger.

use std::sync::{Arc, Mutex, Weak};

use super::{
    options::LedgerOptions,
    seat::{Measure, Seat},
};
use crate::{error::Result, sync::lock};

static SEATS: Mutex<Vec<(LedgerOptions, Weak<Seat>)>> = Mutex::new(Vec::new());

/// The seat of this process in that ledger, taken where it has none: see [`Seat::take_in`]. The name is that of who takes it.
/// It lives as long as one budget or one guard over them does.
///
/// # Errors
///
/// As of [`Seat::take_in`].
pub fn process_seat(options: &LedgerOptions, name: &str, measure: Measure) -> Result<Arc<Seat>> {
    let mut seats = lock(&SEATS);
    seats.retain(|(_, seat)| seat.strong_count() > 0);
    let found = seats.iter().filter(|(of, _)| of == options).find_map(|(_, seat)| seat.upgrade());
    if let Some(seat) = found.filter(|seat| !seat.is_in_child()) {
        return Ok(seat);
    }
    let seat = Arc::new(Seat::take_in(options, name, measure)?);
    seats.push((options.clone(), Arc::downgrade(&seat)));
    Ok(seat)
}
