//! A slab that a pool holds.

use crate::{budget::Allocation, device::DeviceMemory};

/// Device memory, and the guards by which the budget counts it. The memory goes first: it is back with the device before
/// the budget says so.
#[derive(Debug)]
pub(super) struct Slab {
    memory: Box<dyn DeviceMemory>,
    _allocations: [Option<Allocation>; 2],
}

impl Slab {
    pub(super) fn new(memory: Box<dyn DeviceMemory>, allocations: [Option<Allocation>; 2]) -> Self {
        Self { memory, _allocations: allocations }
    }

    pub(super) fn memory(&self) -> &dyn DeviceMemory {
        &*self.memory
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.memory.size_bytes()
    }
}
