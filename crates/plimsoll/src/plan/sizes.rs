//! What instances take one after the other: the rule.

use std::cmp::{Ordering, Reverse};

use super::instance::PlannedInstance;
use crate::sorting::sort_by_key;

/// What instances take in the order of start.
pub(super) struct Sizes(Vec<Size>);

#[derive(Clone, Copy)]
struct Size {
    /// Once it runs.
    required_bytes: u64,
    /// While it is loaded, whatever its limit.
    loading_bytes: u64,
}

impl Size {
    fn peak_bytes(self) -> u64 {
        self.required_bytes.max(self.loading_bytes)
    }
}

impl Sizes {
    pub(super) fn of(instances: &[PlannedInstance]) -> Self {
        let size = |it: &PlannedInstance| Size {
            required_bytes: it.footprint.required_bytes(it.limit_bytes),
            loading_bytes: it.footprint.loading_bytes,
        };
        Self(instances.iter().map(size).collect())
    }

    /// What all take once they run.
    pub(super) fn required_bytes(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, it| sum.saturating_add(it.required_bytes))
    }

    /// What all take while each of them starts: those before it, and it.
    pub(super) fn starts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().scan(0_u64, |held, it| {
            let peak = held.saturating_add(it.peak_bytes());
            *held = held.saturating_add(it.required_bytes);
            Some(peak)
        })
    }

    /// The most that is taken at once.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.starts().max().unwrap_or(0)
    }

    /// What each takes at most if nothing else runs.
    pub(super) fn alone(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|it| it.peak_bytes())
    }

    pub(super) fn without(&self, index: usize) -> Self {
        Self(self.0.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, it)| *it).collect())
    }

    pub(super) fn in_order(&self, order: &[usize]) -> Self {
        Self(order.iter().filter_map(|at| self.0.get(*at).copied()).collect())
    }

    /// Whose load takes most more than it requires later goes first: by exchange of two neighbours no other order has a lower peak.
    pub(super) fn best_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        let surplus = |at: &usize| self.0.get(*at).map_or(0, |it| it.peak_bytes() - it.required_bytes);
        sort_by_key(&mut order, |at| Reverse(surplus(at)));
        order
    }

    /// What one of them may require at most for all to stay within `usable_bytes`, loaded as it is; 0 where that does not depend on it.
    pub(super) fn room_bytes(&self, index: usize, usable_bytes: u64) -> u64 {
        let (mut before, mut room) = (0_u64, usable_bytes);
        for (at, it) in self.0.iter().enumerate() {
            let is_other = at.cmp(&index);
            let fixed = if is_other == Ordering::Equal { it.loading_bytes } else { it.peak_bytes() };
            let left = usable_bytes.checked_sub(before.saturating_add(fixed));
            room = match (is_other, left) {
                (_, None) => return 0,
                (Ordering::Less, _) => room,
                (Ordering::Equal, _) => room.min(usable_bytes.saturating_sub(before)),
                (Ordering::Greater, Some(left)) => room.min(left),
            };
            if is_other != Ordering::Equal {
                before = before.saturating_add(it.required_bytes);
            }
        }
        room
    }
}
