//! The memory of a buffer, on the budget's account.

use std::fmt;

use memmap2::MmapMut;

use super::maps;
use crate::budget::{Allocation, EventKind};

/// The map before the allocation: the bytes are back with the system before the budget says so.
pub(super) struct Memory {
    /// There until it is dropped.
    map: Option<MmapMut>,
    pub(super) allocation: Option<Allocation>,
}

impl Memory {
    pub(super) const fn new(map: MmapMut, allocation: Option<Allocation>) -> Self {
        Self { map: Some(map), allocation }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.map.as_deref_mut().unwrap_or_default()
    }

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
        if let Some(map) = self.map.take() {
            maps::free(map);
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("bytes", &self.bytes().len())
            .field("allocation", &self.allocation)
            .finish_non_exhaustive()
    }
}
