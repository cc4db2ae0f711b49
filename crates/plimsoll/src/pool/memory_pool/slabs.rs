//! How a pool comes to more slabs.

use std::sync::{Arc, MutexGuard};

use super::{
    BufferOptions, MemoryPool, PoolInner, PoolState, WHAT,
    map::{BufferId, Purpose},
    slab::{Slab, SlabCharge},
};
use crate::{
    budget::{Allocation, MemoryBudget, Promised, Uncharged},
    device::{DeviceMemory, Request},
    error::{Error, Left, Result},
    pool::suballocator::GRANULE_BYTES,
    sync::lock,
    units::format_bytes,
};

/// A slab that the device gave, and the bytes that count as coming until it is inserted.
struct Coming {
    slab: Arc<Slab>,
    bytes: u64,
}

impl MemoryPool {
    /// Makes sure that one buffer of `bytes` could be handed out now, and takes a slab for it where none has room. It may
    /// wait for the device.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`] when the pool's own maximum, the budget or the machine has not that much;
    /// [`Error::Device`] as the device says; [`Error::Released`] after [`close`](Self::close).
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        self.reserve_for(bytes, &BufferOptions::default())
    }

    /// As [`reserve`](Self::reserve), for a buffer of that alignment.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve), and [`Error::InvalidArgument`] for an invalid alignment.
    pub fn reserve_for(&self, bytes: u64, options: &BufferOptions) -> Result<()> {
        self.0.check(bytes, options)?;
        if self.0.live()?.map.reserve(surely_bytes(bytes, options.align_bytes)) {
            return Ok(());
        }
        let coming =
            self.0.take_slab_for(bytes, options).map_err(|error| self.0.as_asked(error, bytes, options))?;
        self.0.insert_slab(coming, Purpose::Reserve).map(drop)
    }
}

impl PoolInner {
    /// Takes a slab for a buffer and places that in one step, so that nobody else gets what was taken for it.
    pub(super) fn place_in_new_slab(&self, bytes: u64, options: &BufferOptions) -> Result<BufferId> {
        let coming = self.take_slab_for(bytes, options)?;
        let (mut state, slab) = self.insert_slab(coming, Purpose::Growth)?;
        let placed = if self.options.dedicated {
            state.place_in(slab, bytes, options)
        } else {
            // In a hole that others left meanwhile, if there is one: then the slab is one too many.
            state.place(bytes, options)
        };
        state.retire_surplus(self.options.max_cached_bytes.unwrap_or(0));
        let outcome =
            placed.ok_or_else(|| state.no_hole(bytes, self.label_of(options), self.options.max_bytes));
        drop(state);
        self.collect();
        outcome
    }

    /// Takes a slab in which `bytes` fit; of the usual size if it can be had, else as small as will do.
    fn take_slab_for(&self, bytes: u64, options: &BufferOptions) -> Result<Coming> {
        let needed = self.slab_bytes_for(bytes, options)?;
        let usual = if self.options.dedicated { needed } else { needed.max(self.usual_slab_bytes()) };
        match self.take_slab(usual) {
            Err(Error::InsufficientMemory { .. }) if needed < usual && !self.limits.powers_of_two => {
                self.take_slab(needed)
            }
            settled => settled,
        }
    }

    /// Inserts a slab that has come. Returns the locked state, and the slab's number.
    fn insert_slab(
        &self,
        Coming { slab, bytes }: Coming,
        purpose: Purpose,
    ) -> Result<(MutexGuard<'_, PoolState>, usize)> {
        let mut state = self.state();
        state.coming_bytes -= bytes;
        if state.closed {
            state.retired.push(slab);
            drop(state);
            self.collect();
            return Err(Error::Released { what: WHAT });
        }
        state.counters.slab_allocated(slab.size_bytes());
        let index = state.map.insert_slab(slab, self.options.page_bytes, purpose);
        Ok((state, index))
    }

    /// Takes what the pool begins with.
    pub(super) fn take_initial(&self, bytes: u64) -> Result<()> {
        let bytes = bytes.next_multiple_of(self.limits.granule_bytes);
        self.check_initial_headroom(bytes)?;
        let mut taken_bytes = 0;
        while taken_bytes < bytes {
            let coming = self.take_slab(self.slab_bytes_up_to(bytes - taken_bytes))?;
            taken_bytes += coming.slab.size_bytes();
            self.insert_slab(coming, Purpose::Beginning).map(drop)?;
        }
        Ok(())
    }

    /// Refuses a beginning that cannot end before any of it is taken.
    fn check_initial_headroom(&self, bytes: u64) -> Result<()> {
        let label = &*self.options.label;
        if let Some(budget) = &self.options.budget {
            // Released at once: each slab is granted as it is taken.
            drop(budget.allocate(bytes, label.to_owned())?);
        }
        self.backend.check_headroom(&Request { bytes, label, promised: self.promised(0) })
    }

    /// The refusal of a slab as that of the request it was for.
    pub(super) fn as_asked(&self, mut error: Error, bytes: u64, options: &BufferOptions) -> Error {
        if let Error::InsufficientMemory { label, requested_bytes, .. } = &mut error {
            self.label_of(options).clone_into(label);
            *requested_bytes = bytes;
        }
        error
    }

    /// The size of a slab that no large buffer asks for.
    fn usual_slab_bytes(&self) -> u64 {
        let most = self.options.slab_bytes;
        if !self.grows {
            return most;
        }
        let state = self.state();
        let held = state.map.held_bytes().saturating_add(state.coming_bytes);
        held.max(self.limits.slab_bytes).next_multiple_of(self.limits.granule_bytes).min(most)
    }

    /// The size of the next slab when at least so much is wanted yet; whole slabs where the device wants such.
    fn slab_bytes_up_to(&self, bytes: u64) -> u64 {
        let slab_bytes = self.options.slab_bytes;
        if self.limits.powers_of_two { slab_bytes } else { slab_bytes.min(bytes) }
    }

    /// The size of a slab that holds a buffer of `bytes`.
    fn slab_bytes_for(&self, bytes: u64, options: &BufferOptions) -> Result<u64> {
        self.check(bytes, options)?;
        let bytes = self.options.page_bytes.unwrap_or(bytes);
        Ok(bytes.next_multiple_of(self.limits.granule_bytes))
    }

    /// Asks the device for a slab on the budget's account. No lock is held meanwhile; it counts as coming until it is inserted.
    fn take_slab(&self, bytes: u64) -> Result<Coming> {
        let label = &*self.options.label;
        {
            let mut state = self.live()?;
            let held = state.map.held_bytes().saturating_add(state.coming_bytes);
            let most = self.options.max_bytes.unwrap_or(u64::MAX);
            if held.saturating_add(bytes) > most {
                let available_bytes = most.saturating_sub(held);
                let largest_free_bytes = state.map.largest_free_bytes().max(available_bytes);
                let left = Left { available_bytes, largest_free_bytes };
                let constraint = format!(
                    "the pool may hold {} (maxBytes), and holds {}",
                    format_bytes(most),
                    format_bytes(held)
                );
                let advice = "Raise maxBytes, free buffers, or defragment the pool";
                return Err(Error::insufficient_memory(label, bytes, left, constraint, advice));
            }
            state.coming_bytes = state.coming_bytes.saturating_add(bytes);
        }
        let taken =
            self.take_from_device(bytes, label).inspect_err(|_| self.state().coming_bytes -= bytes)?;
        Ok(Coming { slab: taken, bytes })
    }

    /// What the pool was given counts a slab as far as it goes, and has it back where the device refuses.
    fn take_from_device(&self, bytes: u64, label: &str) -> Result<Arc<Slab>> {
        let part = self.split_given(bytes, label);
        let rest_bytes = bytes - part.as_ref().map_or(0, Allocation::bytes);
        match self.take_charged(bytes, rest_bytes, label) {
            Ok((memory, mut charges)) => {
                charges.extend(part.map(|part| SlabCharge { allocation: Some(part), uncharged: None }));
                for charge in &mut charges {
                    charge.arrive();
                }
                Ok(Arc::new(Slab::new(memory, charges)))
            }
            Err(error) => {
                if let (Some(part), Some(given)) = (part, lock(&self.given).as_mut()) {
                    given.join(part);
                }
                Err(error)
            }
        }
    }

    /// Takes a slab of which `charged_bytes` are still to be counted.
    fn take_charged(
        &self,
        bytes: u64,
        charged_bytes: u64,
        label: &str,
    ) -> Result<(Box<dyn DeviceMemory>, Vec<SlabCharge>)> {
        let mut charges = Vec::with_capacity(2);
        if charged_bytes > 0 {
            charges.push(self.charge(charged_bytes, label)?);
        }
        // What was promised to others; its own bytes are counted by now, and what it was given is its own.
        let promised = self.promised(bytes.saturating_add(self.given_bytes()));
        let memory = self.backend.take(&Request { bytes, label, promised })?;
        // A device may round up by more than it says.
        let surplus_bytes = memory.size_bytes().saturating_sub(bytes);
        if surplus_bytes > 0 {
            charges.push(self.charge(surplus_bytes, label)?);
        }
        memory.populate(promised)?;
        Ok((memory, charges))
    }

    /// Bytes of what the pool was given that no slab has taken.
    pub(super) fn given_bytes(&self) -> u64 {
        lock(&self.given).as_ref().map_or(0, Allocation::bytes)
    }

    /// A part of what the pool was given, as large as it has or is wanted.
    fn split_given(&self, bytes: u64, label: &str) -> Option<Allocation> {
        let mut given = lock(&self.given);
        let given = given.as_mut()?;
        let bytes = given.bytes().min(bytes);
        if bytes == 0 { None } else { given.split(bytes, label.to_owned()) }
    }

    /// Counts bytes on the budget's account, and as promised of this machine's memory.
    fn charge(&self, bytes: u64, label: &str) -> Result<SlabCharge> {
        let budget = self.options.budget.as_ref();
        let allocation = budget.map(|budget| budget.allocate(bytes, label.to_owned())).transpose()?;
        let is_charged = budget.is_some_and(MemoryBudget::is_of_this_process);
        let uncharged = (!is_charged && self.backend.is_of_this_machine()).then(|| Uncharged::coming(bytes));
        Ok(SlabCharge { allocation, uncharged })
    }

    /// What was promised and has not yet been taken, `own_bytes` of this pool's aside: of this machine by whichever budget,
    /// and by the pool's own where that is another one.
    fn promised(&self, own_bytes: u64) -> Promised {
        let takes_of_machine = self.backend.is_of_this_machine();
        let of_machine = if takes_of_machine { Promised::by_process() } else { Promised::NOTHING };
        // A budget of this machine is counted by then.
        let is_apart = |budget: &&MemoryBudget| !(takes_of_machine && budget.is_of_this_process());
        let budget = self.options.budget.as_ref().filter(is_apart);
        let of_budget = budget.map_or(Promised::NOTHING, MemoryBudget::promised);
        of_machine.less(own_bytes).and(of_budget.less(own_bytes))
    }
}

/// What has a place for so many bytes with that alignment wherever it begins: a multiple of the alignment is at most this far.
pub(super) fn surely_bytes(bytes: u64, align_bytes: u64) -> u64 {
    bytes.saturating_add(align_bytes.saturating_sub(GRANULE_BYTES))
}
