//! Whether a model may be loaded right now.

use super::footprint::Footprint;
use crate::budget::{Headroom, HeadroomTerm};

/// What was found right before a load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadCheck {
    /// Whether it may be loaded.
    pub fits: bool,
    /// What it takes from its start on, in bytes: the largest of its limit and of what its model takes, loaded and running.
    pub required_bytes: u64,
    /// What the machine can give it now, in bytes, the headroom left free.
    pub available_bytes: u64,
    /// What is left over, in bytes; negative where it does not fit.
    pub margin_bytes: i64,
    /// The bound that leaves least.
    pub binding: HeadroomTerm,
}

/// Weighs a load against what the machine can give now.
///
/// The headroom has what is to be left free as its floor ([`HeadroomOptions`](crate::budget::HeadroomOptions)), and
/// [`default_headroom_bytes`](super::default_headroom_bytes) is the default of that. `own_bytes` were granted for this very load,
/// so that of what is promised they are not held against it.
#[must_use]
pub fn check_before_load(
    footprint: &Footprint,
    limit_bytes: Option<u64>,
    headroom: &Headroom,
    own_bytes: u64,
) -> LoadCheck {
    let required_bytes = footprint.peak_bytes(limit_bytes);
    let of_others = headroom.promised.bytes().saturating_sub(own_bytes);
    let available_bytes = headroom.binding.room_bytes.saturating_sub(of_others);
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    LoadCheck {
        fits: required_bytes <= available_bytes,
        required_bytes,
        available_bytes,
        margin_bytes: signed(available_bytes) - signed(required_bytes),
        binding: headroom.binding.clone(),
    }
}
