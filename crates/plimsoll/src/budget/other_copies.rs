//! Books over figures that other copies of this crate in the process count into as well.

use std::{ops::Deref, time::Duration};

use super::{allocation::AllocationInfo, books::Books};

/// A figure of these books alone, or of the whole process, other copies of this crate included.
#[derive(Debug)]
pub(super) enum Part<T: 'static> {
    Own(T),
    #[cfg_attr(loom, allow(dead_code))] // Loom's atomics cannot be static.
    Process(&'static T),
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Own(own) => own,
            Self::Process(shared) => shared,
        }
    }
}

impl Books {
    /// What other copies of this crate in the process hold of the counter, as a line of the list; none where they hold
    /// nothing.
    pub(super) fn of_other_copies(&self) -> Option<AllocationInfo> {
        let own = self.own.as_ref().filter(|_| is_shared())?;
        // The higher of two, since these books may be granting or giving at the same time.
        let before = own.allocated_bytes();
        let all_bytes = self.counter.allocated_bytes();
        let own_bytes = own.allocated_bytes().max(before);
        let bytes = all_bytes.checked_sub(own_bytes).filter(|bytes| *bytes > 0)?;
        Some(AllocationInfo {
            id: u64::MAX,
            label: label_of_others().into(),
            bytes,
            committed_bytes: None,
            age: Duration::ZERO,
            origin: None,
        })
    }
}

/// Whether another copy of this crate counts into the same counters.
fn is_shared() -> bool {
    #[cfg(not(loom))]
    return super::registry::is_shared();
    #[cfg(loom)]
    false
}

/// What holds bytes that another copy of this crate has granted.
fn label_of_others() -> String {
    #[cfg(not(loom))]
    let others = super::registry::other_copies();
    #[cfg(loom)]
    let others: Vec<String> = Vec::new();
    match &*others {
        [] => "another copy of plimsoll".to_owned(),
        [one] => format!("another copy of plimsoll ({one})"),
        several => format!("other copies of plimsoll ({})", several.join(", ")),
    }
}
