//! Where everything lies: slabs with what is free in them, and buffers with their places.

use std::{borrow::Cow, ops::Range, sync::Arc};

use super::{
    layout::{Layout, Part, Placed},
    options::{BufferOptions, Placement},
    slab::Slab,
};

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

/// Which empty slabs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spare {
    /// Every one.
    All,
    /// All but those taken for a buffer that has not come yet.
    AllButReserved,
    /// Nor those that the pool began with.
    Surplus,
}

/// What a slab is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The pool begins with it.
    Beginning,
    /// A buffer that is to come.
    Reserve,
    /// A buffer that waits for it.
    Growth,
}

/// A slab in the pool.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) slab: Arc<Slab>,
    pub(super) layout: Layout,
    /// Whether it was taken as the pool was made.
    pub(super) initial: bool,
    /// Whether it was taken for a buffer that has not come yet.
    reserved: bool,
}

impl Held {
    pub(super) fn size_bytes(&self) -> u64 {
        self.slab.size_bytes()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.layout.is_empty()
    }

    fn split_bytes(&self) -> u64 {
        if self.is_empty() { 0 } else { self.size_bytes().saturating_sub(self.layout.used_bytes()) }
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

/// What became free.
pub(super) struct Freed {
    pub(super) requested_bytes: u64,
    pub(super) block_bytes: u64,
    /// Whether its slab has no buffer left.
    pub(super) emptied: bool,
}

/// The books.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// Whether each buffer has a slab of its own, whatever is left of it.
    dedicated: bool,
    slabs: ::slab::Slab<Held>,
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    held_bytes: u64,
    used_bytes: u64,
    split_bytes: u64,
}

impl Map {
    pub(super) fn new(dedicated: bool) -> Self {
        Self { dedicated, ..Self::default() }
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.held_bytes.saturating_sub(self.used_bytes)
    }

    /// Free bytes of slabs that also hold buffers.
    pub(super) fn split_bytes(&self) -> u64 {
        self.split_bytes
    }

    pub(super) fn slab_count(&self) -> usize {
        self.slabs.len()
    }

    pub(super) fn buffer_count(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Bytes of the empty slabs.
    pub(super) fn cached_bytes(&self) -> u64 {
        self.slabs.iter().filter(|(_, held)| held.is_empty()).map(|(_, held)| held.size_bytes()).sum()
    }

    /// The same without the slabs that somebody has asked for.
    pub(super) fn spare_bytes(&self) -> u64 {
        let spare = self.slabs.iter().filter(|(_, held)| held.is_empty() && !held.reserved);
        spare.map(|(_, held)| held.size_bytes()).sum()
    }

    /// The same without those that were taken as the pool was made, too.
    pub(super) fn surplus_bytes(&self) -> u64 {
        let surplus =
            self.slabs.iter().filter(|(_, held)| held.is_empty() && !held.initial && !held.reserved);
        surplus.map(|(_, held)| held.size_bytes()).sum()
    }

    /// The largest buffer that would find a place now, in bytes.
    pub(super) fn largest_free_bytes(&self) -> u64 {
        let usable = self.slabs.iter().filter(|(_, held)| !self.dedicated || held.is_empty());
        usable.map(|(_, held)| held.layout.largest_free_bytes()).max().unwrap_or(0)
    }

    pub(super) fn metadata_bytes(&self) -> u64 {
        let layouts: u64 = self.slabs.iter().map(|(_, held)| held.layout.metadata_bytes()).sum();
        let slots = self.slots.capacity() * size_of::<Slot>() + self.vacant.capacity() * size_of::<u32>();
        layouts + slots as u64 + (self.slabs.capacity() * size_of::<Held>()) as u64
    }

    pub(super) fn slabs(&self) -> impl Iterator<Item = (usize, &Held)> {
        self.slabs.iter()
    }

    pub(super) fn slab(&self, index: usize) -> Option<&Held> {
        self.slabs.get(index)
    }

    /// Puts the holes of a slab in order, which changes nothing that can be seen.
    pub(super) fn order_holes(&mut self, index: usize) {
        if let Some(held) = self.slabs.get_mut(index) {
            held.layout.order_holes();
        }
    }

    /// Above all numbers of slabs.
    pub(super) fn slab_places(&self) -> usize {
        self.slabs.capacity()
    }

    /// Above all places of buffers.
    pub(super) fn buffer_places(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn buffers(&self) -> impl Iterator<Item = (BufferId, &Live)> {
        self.buffers_in(0, self.buffer_places())
    }

    /// The buffers that have one of `count` places from the `first` on.
    pub(super) fn buffers_in(&self, first: usize, count: usize) -> impl Iterator<Item = (BufferId, &Live)> {
        self.slots.iter().enumerate().skip(first).take(count).filter_map(|(index, slot)| {
            let id = BufferId { index: index as u32, generation: slot.generation };
            slot.live.as_ref().map(|live| (id, live))
        })
    }

    /// Number and bytes of each buffer.
    pub(super) fn live_buffers(&self) -> Vec<(u64, u64)> {
        self.buffers_in(0, self.buffer_places())
            .map(|(id, live)| (id.number(), live.requested_bytes))
            .collect()
    }

    pub(super) fn enter_slab(&mut self, slab: Arc<Slab>, page_bytes: Option<u64>, purpose: Purpose) {
        let layout = Layout::new(slab.size_bytes(), page_bytes);
        self.held_bytes += slab.size_bytes();
        let (initial, reserved) = (purpose == Purpose::Beginning, purpose == Purpose::Reserve);
        self.slabs.insert(Held { slab, layout, initial, reserved });
    }

    fn remove_slab(&mut self, index: usize) -> Option<Arc<Slab>> {
        let held = self.slabs.try_remove(index)?;
        self.held_bytes -= held.size_bytes();
        Some(held.slab)
    }

    pub(super) fn take_all_slabs(&mut self) -> Vec<Arc<Slab>> {
        let slabs = std::mem::take(&mut self.slabs).into_iter().map(|(_, held)| held.slab).collect();
        // Every handle that is left has a generation that no slot has any longer.
        *self = Self::default();
        slabs
    }

    /// Takes empty slabs out until at most `keep_bytes` of those meant are left; those that the pool began with last.
    pub(super) fn take_empty(&mut self, keep_bytes: u64, which: Spare) -> Vec<Arc<Slab>> {
        let is_meant = |held: &Held| match which {
            Spare::All => held.is_empty(),
            Spare::AllButReserved => held.is_empty() && !held.reserved,
            Spare::Surplus => held.is_empty() && !held.initial && !held.reserved,
        };
        let mut empty: Vec<_> = self
            .slabs
            .iter()
            .filter(|(_, held)| is_meant(held))
            .map(|(index, held)| (held.initial, std::cmp::Reverse(held.size_bytes()), index))
            .collect();
        empty.sort_unstable();
        let mut left: u64 = empty.iter().map(|(_, size, _)| size.0).sum();
        let mut taken = Vec::new();
        for (_, size, index) in empty {
            if left <= keep_bytes {
                break;
            }
            left -= size.0;
            taken.extend(self.remove_slab(index));
        }
        taken
    }

    /// Finds a place in a slab and enters a buffer there: in slabs that hold buffers first, so that the others empty.
    pub(super) fn place(&mut self, bytes: u64, options: &BufferOptions) -> Option<(BufferId, u64)> {
        let (slab, placed) = self.find(bytes, options)?;
        if let Some(held) = self.slabs.get_mut(slab) {
            held.reserved = false;
        }
        let live = Live {
            slab,
            placed,
            requested_bytes: bytes,
            align_bytes: options.align_bytes,
            placement: options.placement,
            label: options.label.clone(),
            pins: 0,
            uses: 0,
            moving: false,
            claimed: false,
            freed: false,
        };
        Some((self.enter(live), placed.size_bytes))
    }

    fn find(&mut self, bytes: u64, options: &BufferOptions) -> Option<(usize, Placed)> {
        let BufferOptions { align_bytes, placement, .. } = *options;
        for of_empty in [false, true] {
            for index in 0..self.slabs.capacity() {
                let fits = |held: &Held| held.is_empty() == of_empty;
                if (self.dedicated && !of_empty) || !self.slabs.get(index).is_some_and(fits) {
                    continue;
                }
                if let Some(placed) = self.take_part(index, bytes, align_bytes, placement) {
                    return Some((index, placed));
                }
            }
        }
        None
    }

    /// Takes a part of a slab.
    pub(super) fn take_part(
        &mut self,
        slab: usize,
        bytes: u64,
        align_bytes: u64,
        placement: Placement,
    ) -> Option<Placed> {
        self.change(slab, |layout| layout.allocate(bytes, align_bytes, placement))
    }

    /// Takes a part that lies wholly below an offset of a slab.
    pub(super) fn take_part_below(
        &mut self,
        slab: usize,
        bytes: u64,
        align_bytes: u64,
        limit_bytes: u64,
    ) -> Option<Placed> {
        self.change(slab, |layout| layout.allocate_below(bytes, align_bytes, limit_bytes))
    }

    /// Frees a part of a slab, and says whether the slab is empty.
    pub(super) fn free_part(&mut self, slab: usize, part: Part) -> bool {
        self.change(slab, |layout| layout.free(part).then_some(layout.is_empty())).unwrap_or(false)
    }

    /// Changes a slab's layout and keeps the sums.
    fn change<T>(&mut self, slab: usize, change: impl FnOnce(&mut Layout) -> Option<T>) -> Option<T> {
        let held = self.slabs.get_mut(slab)?;
        let (split_before, used_before) = (held.split_bytes(), held.layout.used_bytes());
        let changed = change(&mut held.layout)?;
        self.split_bytes = self.split_bytes + held.split_bytes() - split_before;
        self.used_bytes = self.used_bytes + held.layout.used_bytes() - used_before;
        Some(changed)
    }

    fn enter(&mut self, live: Live) -> BufferId {
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

    pub(super) fn buffer(&self, id: BufferId) -> Option<&Live> {
        let slot = self.slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        slot.live.as_ref()
    }

    pub(super) fn buffer_mut(&mut self, id: BufferId) -> Option<&mut Live> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        slot.live.as_mut()
    }

    /// Frees a buffer and its part. A stale id frees nothing.
    pub(super) fn free(&mut self, id: BufferId) -> Option<Freed> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let live = slot.live.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant.push(id.index);
        let emptied = self.free_part(live.slab, live.placed.part);
        Some(Freed { requested_bytes: live.requested_bytes, block_bytes: live.placed.size_bytes, emptied })
    }
}
