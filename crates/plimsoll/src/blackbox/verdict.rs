//! Who held what at the end, and what was missing.

use super::{
    happening::Happening,
    moment::{BlackBoxMoment, HolderMoment},
};

/// What the last block comes to. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The holder that had most still to take; where all had taken everything, the one with the most.
    pub holder: Option<HolderMoment>,
    /// What had been granted to anybody and was still to be taken.
    pub outstanding_bytes: u64,
    /// What the machine could give; none where it could not be read.
    pub room_bytes: Option<u64>,
    /// What of the first was missing in the second.
    pub missing_bytes: u64,
    /// What the last refusal lacked; none where nothing was refused.
    pub refused_missing_bytes: Option<u64>,
}

impl Verdict {
    pub(super) fn of(last: &BlackBoxMoment, refusal: Option<&Happening>) -> Self {
        let living = || last.holders.iter().filter(|holder| !holder.is_draining);
        let outstanding_bytes = living().fold(0_u64, |sum, holder| sum.saturating_add(holder.pending_bytes));
        let room_bytes = last.machine.as_ref().map(|machine| machine.room_bytes);
        Self {
            holder: living()
                .filter(|holder| holder.held_bytes > 0)
                .max_by_key(|holder| (holder.pending_bytes, holder.held_bytes))
                .cloned(),
            outstanding_bytes,
            room_bytes,
            missing_bytes: room_bytes.map_or(0, |room| outstanding_bytes.saturating_sub(room)),
            refused_missing_bytes: refusal.and_then(Happening::missing_bytes),
        }
    }
}
