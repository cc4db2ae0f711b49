//! Limits that pass.

use super::{instance::PlannedInstance, memory::PlanMemory, sizes::Sizes};
use crate::units::{GIB, MIB};

/// Sets of instances that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanMode {
    /// One instance: the subject.
    Single,
    /// Three: the subject, who observes it, and who observes both.
    Matrix,
}

names!(PlanMode {
    Single => "single",
    Matrix => "matrix",
});

/// The limit of an instance of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleLimit {
    /// What the instance is called.
    pub role: &'static str,
    /// Its limit, in bytes.
    pub limit_bytes: u64,
}

/// Roles of the matrix with their shares of what is usable: those of older tools' limits of 8, 10 and 12 GB.
const MATRIX: [(&str, u64); 3] = [("subject", 8), ("observer", 10), ("god", 12)];

/// A subject by itself: 12 of 16 GB there, 13.6 of which are usable.
const SINGLE: [(&str, u64); 1] = [("subject", 1)];

/// Of 16 parts of the total, how many a single subject gets.
const SINGLE_PARTS: u64 = 12;

impl PlanMode {
    /// What its instances are called, in the order in which they start.
    pub fn roles(self) -> impl Iterator<Item = &'static str> {
        self.shares().iter().map(|(role, _)| *role)
    }

    const fn shares(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Single => &SINGLE,
            Self::Matrix => &MATRIX,
        }
    }
}

/// Limits for the roles of a mode, which pass in a memory of any size: together they are never above what is usable.
///
/// ```
/// use plimsoll::{plan::{PlanMemory, PlanMode, recommend_limits}, units::GIB};
///
/// let limits = recommend_limits(PlanMode::Matrix, &PlanMemory::of_total(32 * GIB)?);
/// assert_eq!(limits.iter().map(|it| it.limit_bytes).collect::<Vec<_>>(), [7 * GIB, 9 * GIB, 10 * GIB + GIB / 2]);
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[must_use]
pub fn recommend_limits(mode: PlanMode, memory: &PlanMemory) -> Vec<RoleLimit> {
    let all = match mode {
        PlanMode::Single => memory.usable_bytes().min(memory.total_bytes() / 16 * SINGLE_PARTS),
        PlanMode::Matrix => memory.usable_bytes(),
    };
    let shares = mode.shares();
    let sum: u64 = shares.iter().map(|(_, share)| share).sum();
    // A neat limit is at least nine tenths of what there is for it.
    let limit = |share: u64| part(all, share, sum);
    shares
        .iter()
        .map(|(role, share)| RoleLimit {
            role,
            limit_bytes: neat_below(limit(*share), limit(*share) / 10 * 9),
        })
        .collect()
}

/// Limits under which all of these instances pass in their order, each as far above what its model takes as the old ones were, in
/// proportion, and none higher than the old one; `None` where no limits would do. Who has no limit gets none.
#[must_use]
pub fn fitting_limits(memory: &PlanMemory, instances: &[PlannedInstance]) -> Option<Vec<Option<u64>>> {
    let usable_bytes = memory.usable_bytes();
    let spare =
        |it: &PlannedInstance| it.footprint.required_bytes(it.limit_bytes) - it.footprint.running_bytes;
    let all_spare = instances.iter().fold(0_u64, |sum, it| sum.saturating_add(spare(it))).max(1);
    let lowered = |kept: u64| -> Vec<PlannedInstance> {
        let limit = |it: &PlannedInstance, old: u64| {
            let least = it.footprint.running_bytes;
            let limit = least.saturating_add(part(kept, spare(it), all_spare));
            if old <= limit { old } else { neat_below(limit, least) }
        };
        instances
            .iter()
            .map(|it| PlannedInstance { limit_bytes: it.limit_bytes.map(|old| limit(it, old)), ..it.clone() })
            .collect()
    };
    let passes = |kept| Sizes::of(&lowered(kept)).peak_bytes() <= usable_bytes;
    // The more is kept of what they have to spare, the higher is the peak.
    let (mut low, mut high) = (0, all_spare);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if passes(middle) { low = middle } else { high = middle - 1 }
    }
    let found: Vec<_> = lowered(low).into_iter().map(|it| it.limit_bytes).collect();
    (passes(low) && !found.contains(&Some(0))).then_some(found)
}

/// `share` of `sum` parts of so many bytes.
fn part(bytes: u64, share: u64, sum: u64) -> u64 {
    u64::try_from(u128::from(bytes) * u128::from(share) / u128::from(sum)).unwrap_or(u64::MAX)
}

/// A size that people read easily, at most so large and at least so large.
pub(super) fn neat_below(bytes: u64, least: u64) -> u64 {
    let steps = [GIB / 2, 64 * MIB, MIB];
    let neat = steps.iter().map(|step| bytes / step * step).find(|neat| *neat >= least.max(1));
    neat.unwrap_or(bytes)
}
