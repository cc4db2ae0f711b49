//! What other copies of this crate in the process hold of an account.

use std::time::Duration;

use super::{account::Account, allocation_info::AllocationInfo};

impl Account {
    /// What other copies of this crate in the process hold of the counter, as a line of the list; none where they hold
    /// nothing.
    pub(super) fn of_other_copies(&self) -> Option<AllocationInfo> {
        let own = self.own.as_ref().filter(|_| is_shared())?;
        // The higher of two, since this account may be granting or releasing at the same time.
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
