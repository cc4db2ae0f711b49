//! The memory of a buffer, on the budget's account.

use std::fmt;

use memmap2::MmapMut;

use crate::budget::{Allocation, EventKind};

/// The map before the allocation: the bytes are back with the system before the budget says so.
pub(super) struct Memory {
    pub(super) map: MmapMut,
    pub(super) allocation: Option<Allocation>,
}

impl Memory {
    /// Records what the pool does with it, if anybody records its budget.
    pub(super) fn note(&self, kind: EventKind) {
        if let Some(allocation) = &self.allocation {
            allocation.note(kind);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(allocation) = &self.allocation {
            allocation.leave();
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("bytes", &self.map.len())
            .field("allocation", &self.allocation)
            .finish()
    }
}
