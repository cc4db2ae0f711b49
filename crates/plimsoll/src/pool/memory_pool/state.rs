//! What a pool knows: the map, what happened, and slabs on their way in and out.

use std::sync::Arc;

use super::{
    BufferOptions, Trace, TraceKind,
    counters::Counters,
    map::{BufferId, Map, SpareKind},
    slab::Slab,
};
use crate::{
    error::{Error, Left},
    units::format_bytes,
};

#[derive(Debug, Default)]
pub(super) struct PoolState {
    pub(super) map: Map,
    pub(super) counters: Counters,
    pub(super) trace: Option<Trace>,
    /// Bytes of slabs that are being taken.
    pub(super) coming_bytes: u64,
    /// Slabs that are no longer the pool's and not yet back with the device.
    pub(super) retired: Vec<Arc<Slab>>,
    pub(super) closed: bool,
}

impl PoolState {
    /// What to say where no slab has room, of a pool that may hold as much as `max_bytes`.
    pub(super) fn no_hole(&mut self, bytes: u64, label: &str, max_bytes: Option<u64>) -> Error {
        let largest_free_bytes = self.map.largest_free_bytes();
        let free_bytes = self.map.free_bytes();
        let left = Left { available_bytes: free_bytes, largest_free_bytes };
        let constraint = format!(
            "the pool's slabs have {} free in holes of at most {}",
            format_bytes(free_bytes),
            format_bytes(largest_free_bytes)
        );
        let advice = match max_bytes {
            Some(most) if bytes > most => format!("The pool may hold {} (maxBytes): raise that", format_bytes(most)),
            _ => "This call looks in the slabs that are held, and takes none: allocateAsync, which grows the pool, \
                  does, and before it reserve or initialBytes"
                .to_owned(),
        };
        Error::insufficient_memory(label, bytes, left, constraint, advice)
    }

    /// Finds a place for a buffer and inserts it.
    pub(super) fn place(&mut self, bytes: u64, options: &BufferOptions) -> Option<BufferId> {
        let placed = self.map.place(bytes, options);
        self.note_placed(placed, bytes, options)
    }

    /// The same in one slab.
    pub(super) fn place_in(&mut self, slab: usize, bytes: u64, options: &BufferOptions) -> Option<BufferId> {
        let placed = self.map.place_in(slab, bytes, options);
        self.note_placed(placed, bytes, options)
    }

    pub(super) fn note_placed(
        &mut self,
        placed: Option<(BufferId, u64)>,
        bytes: u64,
        options: &BufferOptions,
    ) -> Option<BufferId> {
        let (id, block_bytes) = placed?;
        self.counters.allocated(bytes, block_bytes, self.map.split_bytes());
        if let Some(trace) = &mut self.trace {
            trace.note(TraceKind::Allocate, id.number(), bytes, options);
        }
        Some(id)
    }

    pub(super) fn free(&mut self, id: BufferId, max_cached_bytes: u64) {
        let Some(freed) = self.map.free(id) else { return };
        self.counters.freed(freed.requested_bytes, freed.block_bytes, self.map.split_bytes());
        if let Some(trace) = &mut self.trace {
            trace.note(TraceKind::Free, id.number(), freed.requested_bytes, &BufferOptions::default());
        }
        if freed.emptied {
            self.retire_surplus(max_cached_bytes);
        }
    }

    pub(super) fn retire_spare(&mut self, missing_bytes: u64) {
        let (spare_bytes, surplus_bytes) = (self.map.spare_bytes(), self.map.surplus_bytes());
        let taken_bytes =
            if missing_bytes > spare_bytes { surplus_bytes } else { missing_bytes.max(surplus_bytes) };
        let taken = self.map.take_empty(spare_bytes - taken_bytes, SpareKind::AllButReserved);
        self.retire(taken);
    }

    pub(super) fn retire_empty(&mut self, keep_bytes: u64) {
        let taken = self.map.take_empty(keep_bytes, SpareKind::All);
        self.retire(taken);
    }

    /// Lets go of empty slabs beyond what is cached; those taken as the pool was made stay.
    pub(super) fn retire_surplus(&mut self, max_cached_bytes: u64) {
        if self.map.surplus_bytes() <= max_cached_bytes {
            return;
        }
        let taken = self.map.take_empty(max_cached_bytes, SpareKind::Surplus);
        self.retire(taken);
    }

    pub(super) fn retire(&mut self, slabs: Vec<Arc<Slab>>) {
        for slab in slabs {
            self.counters.slab_freed(slab.size_bytes());
            self.retired.push(slab);
        }
    }
}
