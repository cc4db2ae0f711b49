//! Where everything lies: slabs with what is free in them, and buffers with their places.

use std::{collections::BTreeSet, sync::Arc};

pub(super) use super::entries::{BufferId, Live};
use super::{
    entries::BufferEntries,
    layout::{Placed, SlabMap, SlabPart},
    options::{BufferOptions, Placement},
    rooms::{Of, Room, Rooms},
    slab::Slab,
};

/// Which empty slabs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpareKind {
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
    pub(super) layout: SlabMap,
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

    /// What it adds to the sums of all slabs.
    fn share(&self) -> Sums {
        let (held, used) = (self.size_bytes(), self.layout.used_bytes());
        let cached = if self.is_empty() { held } else { 0 };
        Sums {
            held,
            used,
            split: held.saturating_sub(used) - cached,
            cached,
            surplus: if self.initial || self.reserved { 0 } else { cached },
            metadata: self.layout.metadata_bytes(),
        }
    }

    /// The room for another buffer. A slab whose buffer has it alone has none.
    fn room(&self, dedicated: bool) -> Room {
        let bytes = self.layout.largest_free_bound_bytes();
        match (self.is_empty(), dedicated) {
            (true, _) => Room { empty: bytes, used: 0 },
            (false, false) => Room { used: bytes, empty: 0 },
            (false, true) => Room::default(),
        }
    }
}

/// What all slabs have together, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    /// All of their own.
    held: u64,
    /// Of the blocks that buffers have.
    used: u64,
    /// Free in slabs that also hold buffers.
    split: u64,
    /// Of empty slabs.
    cached: u64,
    /// The same without those that were taken as the pool was made, or for a buffer that has not come yet.
    surplus: u64,
    /// Of their layouts.
    metadata: u64,
}

impl Sums {
    fn combine(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            held: with(self.held, other.held),
            used: with(self.used, other.used),
            split: with(self.split, other.split),
            cached: with(self.cached, other.cached),
            surplus: with(self.surplus, other.surplus),
            metadata: with(self.metadata, other.metadata),
        }
    }
}

/// What became free.
pub(super) struct Freed {
    pub(super) requested_bytes: u64,
    pub(super) block_bytes: u64,
    /// Whether its slab has no buffer left.
    pub(super) emptied: bool,
}

/// The map.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// Of a pool in which each buffer has a slab of its own, whatever is left of it: what the device rounds slabs up to.
    dedicated: Option<u64>,
    slabs: ::slab::Slab<Held>,
    /// The sums of all slabs' shares, and where they have room: kept as each slab changes, so that nothing walks them.
    sums: Sums,
    rooms: Rooms,
    /// The empty slabs: also those in which not even a page has room.
    empty: BTreeSet<usize>,
    entries: BufferEntries,
}

impl Map {
    /// The map of a pool without slabs; `dedicated` is what its device rounds slabs up to, in bytes, where each buffer is
    /// to have one of its own.
    pub(super) fn new(dedicated: Option<u64>) -> Self {
        Self { dedicated, ..Self::default() }
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.sums.held
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.sums.used
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.sums.held.saturating_sub(self.sums.used)
    }

    /// Free bytes of slabs that also hold buffers.
    pub(super) fn split_bytes(&self) -> u64 {
        self.sums.split
    }

    pub(super) fn slab_count(&self) -> usize {
        self.slabs.len()
    }

    pub(super) fn buffer_count(&self) -> usize {
        self.entries.count()
    }

    /// Bytes of the empty slabs.
    pub(super) fn cached_bytes(&self) -> u64 {
        self.sums.cached
    }

    /// The same without the slabs that somebody has asked for.
    pub(super) fn spare_bytes(&self) -> u64 {
        let spare = self.empty.iter().filter_map(|index| self.slab(*index)).filter(|held| !held.reserved);
        spare.map(Held::size_bytes).sum()
    }

    /// The same without those that were taken as the pool was made, too.
    pub(super) fn surplus_bytes(&self) -> u64 {
        self.sums.surplus
    }

    /// The largest buffer that would find a place now, in bytes.
    pub(super) fn largest_free_bytes(&mut self) -> u64 {
        loop {
            let Room { used, empty } = self.rooms.largest();
            let (of, bound): (Of, u64) =
                if used > empty { (|room| room.used, used) } else { (|room| room.empty, empty) };
            let Some(slab) = self.rooms.first(of, 0, bound) else { return 0 };
            let exactly = self.slabs.get_mut(slab).map_or(0, |held| held.layout.largest_free_bytes());
            if exactly >= bound {
                return bound;
            }
            // The bound was that of a part that has gone since.
            self.insert_room(slab);
        }
    }

    pub(super) fn metadata_bytes(&self) -> u64 {
        let slabs = self.slabs.capacity() * size_of::<Held>() + self.rooms.metadata_bytes();
        self.sums.metadata + (self.entries.metadata_bytes() + slabs) as u64
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
        self.entries.places()
    }

    pub(super) fn buffers(&self) -> impl Iterator<Item = (BufferId, &Live)> {
        self.buffers_in(0, self.buffer_places())
    }

    /// The buffers that have one of `count` places from the `first` on.
    pub(super) fn buffers_in(&self, first: usize, count: usize) -> impl Iterator<Item = (BufferId, &Live)> {
        self.entries.in_places(first, count)
    }

    /// Number and bytes of each buffer.
    pub(super) fn live_buffers(&self) -> Vec<(u64, u64)> {
        self.buffers_in(0, self.buffer_places())
            .map(|(id, live)| (id.number(), live.requested_bytes))
            .collect()
    }

    /// Inserts a slab, and returns its number.
    pub(super) fn insert_slab(
        &mut self,
        slab: Arc<Slab>,
        page_bytes: Option<u64>,
        purpose: Purpose,
    ) -> usize {
        let layout = SlabMap::new(slab.size_bytes(), page_bytes);
        let (initial, reserved) = (purpose == Purpose::Beginning, purpose == Purpose::Reserve);
        let held = Held { slab, layout, initial, reserved };
        self.sums = self.sums.combine(held.share(), |sum, more| sum + more);
        let index = self.slabs.insert(held);
        self.insert_room(index);
        index
    }

    /// Keeps a hole of so many bytes for whoever asked for it: an empty slab that has the only such holes stays. Whether
    /// there is one.
    pub(super) fn reserve(&mut self, bytes: u64) -> bool {
        if self.largest_free_bytes() < bytes || self.dedicated.is_some() {
            return false;
        }
        if self.rooms.largest().used < bytes {
            let empty = self.rooms.first(|room| room.empty, 0, bytes);
            if let Some(held) = empty.and_then(|index| self.slabs.get_mut(index)) {
                let before = held.share();
                held.reserved = true;
                let after = held.share();
                self.sums =
                    self.sums.combine(after, |sum, more| sum + more).combine(before, |sum, less| sum - less);
            }
        }
        true
    }

    fn remove_slab(&mut self, index: usize) -> Option<Arc<Slab>> {
        let held = self.slabs.try_remove(index)?;
        self.sums = self.sums.combine(held.share(), |sum, less| sum - less);
        self.insert_room(index);
        Some(held.slab)
    }

    fn insert_room(&mut self, slab: usize) {
        let held = self.slabs.get(slab);
        if held.is_some_and(Held::is_empty) {
            self.empty.insert(slab);
        } else {
            self.empty.remove(&slab);
        }
        self.rooms.set(slab, held.map(|held| held.room(self.dedicated.is_some())).unwrap_or_default());
    }

    pub(super) fn take_all_slabs(&mut self) -> Vec<Arc<Slab>> {
        let slabs = std::mem::take(&mut self.slabs).into_iter().map(|(_, held)| held.slab).collect();
        // Every handle that is left has a generation that no slot has any longer.
        *self = Self::default();
        slabs
    }

    /// Takes empty slabs out until at most `keep_bytes` of those meant are left; those that the pool began with last.
    pub(super) fn take_empty(&mut self, keep_bytes: u64, which: SpareKind) -> Vec<Arc<Slab>> {
        let is_meant = |held: &Held| match which {
            SpareKind::All => true,
            SpareKind::AllButReserved => !held.reserved,
            SpareKind::Surplus => !held.initial && !held.reserved,
        };
        let mut empty: Vec<_> = self
            .empty
            .iter()
            .filter_map(|index| Some((*index, self.slab(*index).filter(|held| is_meant(held))?)))
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
        Some(self.insert_at(slab, placed, bytes, options))
    }

    /// The same in one slab.
    pub(super) fn place_in(
        &mut self,
        slab: usize,
        bytes: u64,
        options: &BufferOptions,
    ) -> Option<(BufferId, u64)> {
        let placed = self.take_part(slab, bytes, options.align_bytes, options.placement)?;
        Some(self.insert_at(slab, placed, bytes, options))
    }

    fn insert_at(
        &mut self,
        slab: usize,
        placed: Placed,
        bytes: u64,
        options: &BufferOptions,
    ) -> (BufferId, u64) {
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
        (self.entries.insert(live), placed.size_bytes)
    }

    /// Whether a slab may be one buffer's own: one of twice its size and more is another's.
    fn suits(&self, slab: usize, bytes: u64) -> bool {
        let size_bytes = self.slab(slab).map_or(0, Held::size_bytes);
        self.dedicated.is_none_or(|granule| size_bytes / 2 < bytes.next_multiple_of(granule))
    }

    fn find(&mut self, bytes: u64, options: &BufferOptions) -> Option<(usize, Placed)> {
        let BufferOptions { align_bytes, placement, .. } = *options;
        for of in [(|room| room.used) as Of, |room| room.empty] {
            let mut next = self.rooms.first(of, 0, bytes);
            while let Some(slab) = next {
                if self.suits(slab, bytes)
                    && let Some(placed) = self.take_part(slab, bytes, align_bytes, placement)
                {
                    return Some((slab, placed));
                }
                next = self.rooms.first(of, slab + 1, bytes);
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
    pub(super) fn free_part(&mut self, slab: usize, part: SlabPart) -> bool {
        self.change(slab, |layout| layout.free(part).then_some(layout.is_empty())).unwrap_or(false)
    }

    /// Changes a slab's layout and keeps the sums. One that did not change may have found out that it has less room.
    fn change<T>(&mut self, slab: usize, change: impl FnOnce(&mut SlabMap) -> Option<T>) -> Option<T> {
        let held = self.slabs.get_mut(slab)?;
        let before = held.share();
        let changed = change(&mut held.layout);
        let after = held.share();
        self.sums = self.sums.combine(after, |sum, more| sum + more).combine(before, |sum, less| sum - less);
        self.insert_room(slab);
        changed
    }

    pub(super) fn buffer(&self, id: BufferId) -> Option<&Live> {
        self.entries.get(id)
    }

    pub(super) fn buffer_mut(&mut self, id: BufferId) -> Option<&mut Live> {
        self.entries.get_mut(id)
    }

    /// Frees a buffer and its part. A stale id frees nothing.
    pub(super) fn free(&mut self, id: BufferId) -> Option<Freed> {
        let live = self.entries.remove(id)?;
        let emptied = self.free_part(live.slab, live.placed.part);
        Some(Freed { requested_bytes: live.requested_bytes, block_bytes: live.placed.size_bytes, emptied })
    }
}

#[cfg(test)]
mod tests;
