//! A slab that a pool holds.

use crate::{
    budget::{Allocation, Uncharged},
    device::DeviceMemory,
};

/// Device memory, and what counts it. The memory goes first: it is back with the device before the budget says so.
#[derive(Debug)]
pub(super) struct Slab {
    memory: Box<dyn DeviceMemory>,
    charges: Vec<SlabCharge>,
}

/// What counts a slab, or a part of it.
#[derive(Debug, Default)]
pub(super) struct SlabCharge {
    /// The guard of the pool's budget.
    pub(super) allocation: Option<Allocation>,
    /// Where that is no budget over this machine, whose memory it is.
    pub(super) uncharged: Option<Uncharged>,
}

impl Slab {
    pub(super) fn new(memory: Box<dyn DeviceMemory>, charges: Vec<SlabCharge>) -> Self {
        Self { memory, charges }
    }

    pub(super) fn memory(&self) -> &dyn DeviceMemory {
        &*self.memory
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.memory.size_bytes()
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        for charge in &mut self.charges {
            charge.leave();
        }
    }
}

impl SlabCharge {
    /// All of its memory is there.
    pub(super) fn arrive(&mut self) {
        if let Some(allocation) = &self.allocation {
            allocation.commit(allocation.bytes());
        }
        if let Some(uncharged) = &mut self.uncharged {
            uncharged.arrived();
        }
    }

    fn leave(&mut self) {
        if let Some(allocation) = &self.allocation {
            allocation.leave();
        }
        if let Some(uncharged) = &mut self.uncharged {
            uncharged.leave();
        }
    }
}
