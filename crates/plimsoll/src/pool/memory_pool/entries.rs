//! The table of buffers.

use std::{borrow::Cow, ops::Range};

use super::{layout::Placed, options::Placement};

/// Which buffer: a place in the table, and which of those that ever had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BufferId {
    index: u32,
    generation: u32,
}

impl BufferId {
    /// One number for both.
    pub(super) fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

/// A buffer.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) slab: usize,
    pub(super) placed: Placed,
    pub(super) requested_bytes: u64,
    pub(super) align_bytes: u64,
    pub(super) placement: Placement,
    pub(super) label: Cow<'static, str>,
    /// What keeps it where it is and leaves its bytes to others: pins, exports.
    pub(super) pins: u32,
    /// Those who read, write or map it.
    pub(super) uses: u32,
    pub(super) moving: bool,
    /// Whether one user has it alone.
    pub(super) claimed: bool,
    /// Whether its last handle went while it was moved.
    pub(super) freed: bool,
}

impl Live {
    /// Whether it has to stay where it is.
    pub(super) fn is_held(&self) -> bool {
        self.pins > 0 || self.uses > 0
    }

    /// The bytes of the slab that its user sees.
    pub(super) fn range(&self) -> Range<u64> {
        self.placed.offset_bytes..self.placed.offset_bytes + self.requested_bytes
    }
}

#[derive(Debug, Clone, Default)]
struct Slot {
    generation: u32,
    live: Option<Live>,
}

/// Every buffer by its id.
#[derive(Debug, Default)]
pub(super) struct BufferEntries {
    slots: Vec<Slot>,
    vacant: Vec<u32>,
}

impl BufferEntries {
    /// Buffers that there are.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Above all places of buffers.
    pub(super) fn places(&self) -> usize {
        self.slots.len()
    }

    /// The buffers that have one of `count` places from the `first` on.
    pub(super) fn in_places(&self, first: usize, count: usize) -> impl Iterator<Item = (BufferId, &Live)> {
        self.slots.iter().enumerate().skip(first).take(count).filter_map(|(index, slot)| {
            let id = BufferId { index: index as u32, generation: slot.generation };
            slot.live.as_ref().map(|live| (id, live))
        })
    }

    pub(super) fn insert(&mut self, live: Live) -> BufferId {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let generation = self.slots.get_mut(index as usize).map_or(0, |slot| {
            slot.live = Some(live);
            slot.generation
        });
        BufferId { index, generation }
    }

    pub(super) fn get(&self, id: BufferId) -> Option<&Live> {
        let slot = self.slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        slot.live.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: BufferId) -> Option<&mut Live> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        slot.live.as_mut()
    }

    /// Takes a buffer out. A stale id takes nothing.
    pub(super) fn remove(&mut self, id: BufferId) -> Option<Live> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let live = slot.live.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant.push(id.index);
        Some(live)
    }

    pub(super) fn metadata_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.vacant.capacity() * size_of::<u32>()
    }
}
