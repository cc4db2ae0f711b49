//! Pools of real device memory: slabs from a back end, buffers out of slabs.
//!
//! ```text
//!   MemoryPool                  one lock over all that follows; no device is asked under it
//!     Map                       where everything lies: slabs with their free blocks, buffers with their places
//!       Held = Arc<Slab>        device memory, and the guard by which the budget counts it
//!            + Layout           which bytes of it are free
//!     PoolBuffer                a handle: its bytes may move, unless it is pinned
//!     Counters, scopes, trace   what happened
//! ```

mod buffer;
mod counters;
mod defragment;
mod layout;
mod map;
mod options;
mod pass;
mod plan;
mod rooms;
mod slab;
mod stats;
mod trace;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

pub use buffer::{Access, Claim, ExportedFd, Mapping, Pin, PoolBuffer};
pub use counters::{Counter, Scope};
pub use defragment::{BegunMove, DefragmentOptions, DefragmentReport, Move};
pub use options::{BufferOptions, Placement, PoolOptions};
pub use pass::DefragmentPass;
pub use stats::{BlockInfo, BufferInfo, PoolStats, SlabInfo};
pub use trace::{TraceEvent, TraceKind};

use super::suballocator::GRANULE_BYTES;
use crate::{
    budget::MemoryBudget,
    device::{DeviceUsage, Limits, Request, SharedBackend},
    error::{Error, Result},
    units::format_bytes,
};
use counters::Counters;
use map::{BufferId, Map, Purpose, Spare};
use slab::Slab;
use trace::Trace;

/// A pool of one device's memory.
///
/// It takes slabs from a [`Backend`](crate::device::Backend) and hands out parts of them. What is where is kept outside
/// of the memory, so the device's memory is never read to manage it. Clones share the pool; all methods may be called
/// from any thread.
///
/// ```
/// use std::sync::Arc;
/// use plimsoll::{device::{DeviceContext, HostBackend}, pool::{BufferOptions, MemoryPool, PoolOptions}, units::MIB};
///
/// let backend = Arc::new(HostBackend::new(DeviceContext::default()));
/// let pool = MemoryPool::create(backend, PoolOptions { initial_bytes: MIB, ..PoolOptions::default() })?;
/// let buffer = pool.allocate(1000, &BufferOptions::default())?;
/// buffer.write(0, b"kept in the pool")?;
/// assert_eq!(pool.stats().buffer_count, 1);
/// drop(buffer);
/// assert_eq!(pool.stats().used_bytes, 0);
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: SharedBackend,
    limits: Limits,
    options: PoolOptions,
    state: Mutex<State>,
    /// Told when a buffer has been moved.
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    map: Map,
    counters: Counters,
    trace: Option<Trace>,
    /// Bytes of slabs that are being taken.
    coming_bytes: u64,
    /// Slabs that are no longer the pool's and not yet back with the device.
    retired: Vec<Arc<Slab>>,
    destroyed: bool,
}

/// A slab that the device gave, and the bytes that count as coming until it is entered.
struct Coming {
    slab: Arc<Slab>,
    bytes: u64,
}

const WHAT: &str = "the memory pool";

impl MemoryPool {
    /// A pool over a device. It takes `initial_bytes` at once, every page of it, which may wait for the device.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for options that contradict each other or the device; those of
    /// [`reserve`](Self::reserve).
    pub fn create(backend: SharedBackend, options: PoolOptions) -> Result<Self> {
        let limits = backend.limits();
        let options = options.checked(&limits, backend.usage().total_bytes)?;
        let initial_bytes = options.initial_bytes;
        let state = Mutex::new(State { map: Map::new(options.dedicated), ..State::default() });
        let inner = Inner { backend, limits, options, state, moved: Condvar::new() };
        let pool = Self(Arc::new(inner));
        pool.0.admit_initial(initial_bytes)?;
        let mut taken_bytes = 0;
        while taken_bytes < initial_bytes {
            let slab = pool.0.take_slab(pool.0.slab_bytes_up_to(initial_bytes - taken_bytes))?;
            taken_bytes += slab.slab.size_bytes();
            pool.0.state().enter_slab(slab, pool.0.options.page_bytes, Purpose::Beginning);
        }
        Ok(pool)
    }

    /// Hands out a buffer from the slabs that are held. It asks no device and waits for none.
    ///
    /// The bytes are those of the last user, unless the pool zeroes what is freed.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`] when no hole fits, with the largest that there is: [`reserve`](Self::reserve)
    /// first, or use [`allocate_growing`](Self::allocate_growing). [`Error::InvalidArgument`] for zero bytes or an
    /// alignment that is none. [`Error::Released`] after [`destroy`](Self::destroy).
    pub fn allocate(&self, bytes: u64, options: &BufferOptions) -> Result<PoolBuffer> {
        self.0.check(bytes, options)?;
        let mut state = self.0.live()?;
        if let Some(id) = state.place(bytes, options) {
            drop(state);
            return Ok(PoolBuffer::new(&self.0, id, bytes));
        }
        state.counters.failed_count += 1;
        if let Some(trace) = &mut state.trace {
            trace.note(TraceKind::Refuse, u64::MAX, bytes, options);
        }
        Err(state.no_hole(bytes, self.0.label_of(options)))
    }

    /// Hands out a buffer, and does what it can before it refuses: a fitting block, a cached slab, a new slab, cached
    /// slabs of other sizes given back, `pressure`, defragmentation.
    ///
    /// `pressure` is told how many bytes are missing, and says whether it has given memory back; it is asked again until
    /// it has not.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate), and what the device or the budget said of the slab that was wanted.
    pub fn allocate_growing(
        &self,
        bytes: u64,
        options: &BufferOptions,
        pressure: &mut dyn FnMut(u64) -> bool,
    ) -> Result<PoolBuffer> {
        let mut defragmented = false;
        loop {
            let refusal = match self.allocate(bytes, options) {
                Err(refusal @ Error::InsufficientMemory { .. }) => refusal,
                settled => return settled,
            };
            let no_slab = match self.grow(bytes, options, Purpose::Growth) {
                Ok(()) => continue,
                Err(error @ Error::InsufficientMemory { .. }) => error,
                Err(error) => return Err(error),
            };
            if !self.begin_retry(bytes) {
                return Err(with_hole(no_slab, &refusal));
            }
            if self.trim_spare(missing_bytes(&no_slab)) > 0 || pressure(bytes) {
                continue;
            }
            if defragmented || self.0.state().map.free_bytes() < bytes {
                return Err(with_hole(no_slab, &refusal));
            }
            defragmented = true;
            self.defragment(&DefragmentOptions::default(), &mut |_| true)?;
        }
    }

    /// Makes sure that one buffer of `bytes` could be handed out now, and takes a slab for it where none has room. It may
    /// wait for the device.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`] when the pool's own maximum, the budget or the machine has not that much;
    /// [`Error::Device`] as the device says; [`Error::Released`] after [`destroy`](Self::destroy).
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        self.reserve_for(bytes, &BufferOptions::default())
    }

    /// As [`reserve`](Self::reserve), for a buffer of that alignment.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve), and [`Error::InvalidArgument`] for an alignment that is none.
    pub fn reserve_for(&self, bytes: u64, options: &BufferOptions) -> Result<()> {
        self.0.check(bytes, options)?;
        // Wherever a hole begins, a multiple of the alignment is at most this far.
        let surely = bytes.saturating_add(options.align_bytes.saturating_sub(GRANULE_BYTES));
        if self.0.live()?.map.largest_free_bytes() >= surely && !self.0.options.dedicated {
            return Ok(());
        }
        self.grow(bytes, options, Purpose::Reserve)
    }

    /// Takes a slab in which `bytes` fit; of the usual size if it can be had, else as small as will do.
    fn grow(&self, bytes: u64, options: &BufferOptions, purpose: Purpose) -> Result<()> {
        let needed = self.0.slab_bytes_for(bytes, options)?;
        let usual = if self.0.options.dedicated { needed } else { needed.max(self.0.options.slab_bytes) };
        let slab = match self.0.take_slab(usual) {
            Err(Error::InsufficientMemory { .. }) if needed < usual && !self.0.limits.powers_of_two => {
                self.0.take_slab(needed)?
            }
            settled => settled?,
        };
        let mut state = self.0.state();
        if state.destroyed {
            state.retired.push(slab.slab);
            drop(state);
            self.collect();
            return Err(Error::Released { what: WHAT });
        }
        state.enter_slab(slab, self.0.options.page_bytes, purpose);
        Ok(())
    }

    /// Gives slabs without buffers back until at most `keep_bytes` of them are held; those of
    /// [`initial_bytes`](PoolOptions::initial_bytes) last. Returns the bytes given back.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn trim(&self, keep_bytes: u64) -> u64 {
        self.0.state().retire_empty(keep_bytes);
        self.collect()
    }

    /// Gives back empty slabs that nobody has asked for, so that `missing_bytes` come together for a larger one: all that
    /// were taken on the way, and as many as it takes of those that the pool began with, if that is enough. Slabs that were
    /// [reserved](Self::reserve) stay.
    #[allow(clippy::must_use_candidate)] // As above.
    pub fn trim_spare(&self, missing_bytes: u64) -> u64 {
        self.0.state().retire_spare(missing_bytes);
        self.collect()
    }

    /// Gives back the empty slabs that are merely kept for what comes next: neither [reserved](Self::reserve) nor those that
    /// the pool began with. For whoever needs memory beside others who do.
    #[allow(clippy::must_use_candidate)] // As above.
    pub fn trim_cached(&self) -> u64 {
        self.0.state().retire_surplus(0);
        self.collect()
    }

    /// Whether a buffer for which there is no slab might find room once others have given memory back: the first step of
    /// [`allocate_growing`](Self::allocate_growing) beyond a new slab, for a caller who goes through them by itself. It
    /// cannot where it is larger than all that the pool, its budget or its device may ever have.
    #[must_use]
    pub fn begin_retry(&self, bytes: u64) -> bool {
        let most = [
            self.0.options.max_bytes,
            self.0.options.budget.as_ref().map(MemoryBudget::usable_bytes),
            self.0.backend.usage().total_bytes,
        ];
        let may_fit = most.into_iter().flatten().all(|most| bytes <= most);
        self.0.state().counters.retry_count += u64::from(may_fit);
        may_fit
    }

    /// Gives back the slabs that buffers [freed without waiting](PoolBuffer::free_without_waiting) left empty. Returns their
    /// bytes.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn collect(&self) -> u64 {
        self.0.collect()
    }

    /// Bytes of slabs that wait for [`collect`](Self::collect).
    #[must_use]
    pub fn retired_bytes(&self) -> u64 {
        self.0.state().retired.iter().map(|slab| slab.size_bytes()).sum()
    }

    /// Whether slabs wait for [`collect`](Self::collect).
    #[must_use]
    pub fn has_retired(&self) -> bool {
        !self.0.state().retired.is_empty()
    }

    /// What the pool holds and has done.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.0.state().stats(self.0.options.page_bytes.is_some())
    }

    /// Every slab with its blocks, free ones too, in the order of their addresses.
    #[must_use]
    pub fn slabs(&self) -> Vec<SlabInfo> {
        self.0.state().slab_infos()
    }

    /// The same figures under the names that `memory_stats` of `PyTorch` has for them.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        self.0.state().counters.named()
    }

    /// Begins a scope: its counts are apart until it is [popped](Self::pop_scope). Scopes nest.
    pub fn push_scope(&self) {
        self.0.state().counters.push_scope();
    }

    /// Ends the innermost scope and says what was allocated and freed within; `None` when there is none.
    #[allow(clippy::must_use_candidate)] // Ending it is an effect.
    pub fn pop_scope(&self) -> Option<Scope> {
        self.0.state().counters.pop_scope()
    }

    /// Records what happens from now on, at most so many events; later ones are counted and dropped.
    pub fn start_trace(&self, capacity: usize) {
        let mut state = self.0.state();
        let held = state.map.live_buffers();
        state.trace = Some(Trace::new(capacity, held));
    }

    /// Ends the recording and returns it, with the number of events that were dropped; empty when there was none.
    #[must_use]
    pub fn stop_trace(&self) -> (Vec<TraceEvent>, u64) {
        self.0.state().trace.take().map(Trace::into_events).unwrap_or_default()
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &PoolOptions {
        &self.0.options
    }

    /// The device it takes slabs from.
    #[must_use]
    pub fn backend(&self) -> &SharedBackend {
        &self.0.backend
    }

    /// What the device has given out to all its users.
    #[must_use]
    pub fn device_usage(&self) -> DeviceUsage {
        self.0.backend.usage()
    }

    /// Whether it was destroyed.
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        self.0.state().destroyed
    }

    /// Gives every slab back. Buffers that are left are stale from now on: every use of them is
    /// [`Error::Released`]. What is mapped or in the middle of a copy stays there until that ends. Idempotent.
    pub fn destroy(&self) {
        let mut state = self.0.state();
        state.destroyed = true;
        let slabs: Vec<_> = state.map.take_all_slabs();
        state.counters.clear_current();
        drop(state);
        if self.0.options.zero_on_free {
            for slab in &slabs {
                // It goes back all the same: what a device does not let be written it does not hand on.
                let _ = slab.memory().fill(0..slab.size_bytes(), 0);
            }
        }
        self.0.state().retired.extend(slabs);
        // A buffer in the middle of a move is waited for by nobody any longer.
        self.0.moved.notify_all();
        self.collect();
    }
}

/// How many bytes would have to be given back for a slab that was refused.
fn missing_bytes(refusal: &Error) -> u64 {
    match refusal {
        Error::InsufficientMemory { requested_bytes, available_bytes, .. } => {
            requested_bytes.saturating_sub(*available_bytes)
        }
        _ => 0,
    }
}

/// The device's refusal, with the largest hole of the pool.
fn with_hole(error: Error, hole: &Error) -> Error {
    let Error::InsufficientMemory { largest_free_bytes: pool_hole_bytes, .. } = hole else { return error };
    match error {
        Error::InsufficientMemory {
            label,
            requested_bytes,
            available_bytes,
            largest_free_bytes,
            binding_constraint,
            suggestion,
        } => Error::InsufficientMemory {
            label,
            requested_bytes,
            available_bytes,
            largest_free_bytes: largest_free_bytes.max(*pool_hole_bytes),
            binding_constraint: format!(
                "{binding_constraint}; the largest hole in the pool is {}",
                format_bytes(*pool_hole_bytes)
            ),
            suggestion,
        },
        other => other,
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.destroyed { Err(Error::Released { what: WHAT }) } else { Ok(state) }
    }

    fn check(&self, bytes: u64, options: &BufferOptions) -> Result<()> {
        let most = crate::units::MAX_BYTES;
        if !(1..=most).contains(&bytes) {
            return Err(Error::invalid_argument("bytes", format!("1 to {most}"), bytes.to_string()));
        }
        // Pages begin at multiples of their size.
        let of_pages = self.options.page_bytes.map_or(u64::MAX, |bytes| 1 << bytes.trailing_zeros());
        let most_aligned = of_pages.min(self.limits.granule_bytes);
        if !options.align_bytes.is_power_of_two() || options.align_bytes > most_aligned {
            return Err(Error::invalid_argument(
                "alignBytes",
                format!("a power of two up to {most_aligned}"),
                options.align_bytes.to_string(),
            ));
        }
        if let Some(page_bytes) = self.options.page_bytes.filter(|page_bytes| bytes > *page_bytes) {
            let expected = format!("at most a page of {page_bytes} bytes");
            return Err(Error::invalid_argument("bytes", expected, bytes.to_string()));
        }
        Ok(())
    }

    /// What a refusal calls a buffer: the pool's own label where it has none.
    fn label_of<'a>(&'a self, options: &'a BufferOptions) -> &'a str {
        if options.label.is_empty() { &self.options.label } else { &options.label }
    }

    /// Refuses a beginning that cannot end before any of it is taken.
    fn admit_initial(&self, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let label = &*self.options.label;
        if let Some(budget) = &self.options.budget {
            // Given back at once: each slab is granted as it is taken.
            drop(budget.allocate(bytes, label.to_owned())?);
        }
        let pending_bytes = self.options.budget.as_ref().map_or(0, MemoryBudget::pending_bytes);
        self.backend.admit(&Request { bytes, label, pending_bytes })
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

    /// Asks the device for a slab on the budget's account. No lock is held meanwhile; it counts as coming until it is entered.
    fn take_slab(&self, bytes: u64) -> Result<Coming> {
        let label = &*self.options.label;
        {
            let mut state = self.live()?;
            let held = state.map.held_bytes().saturating_add(state.coming_bytes);
            let most = self.options.max_bytes.unwrap_or(u64::MAX);
            if held.saturating_add(bytes) > most {
                let available_bytes = most.saturating_sub(held);
                return Err(Error::InsufficientMemory {
                    label: label.to_owned(),
                    requested_bytes: bytes,
                    available_bytes,
                    largest_free_bytes: state.map.largest_free_bytes().max(available_bytes),
                    binding_constraint: format!(
                        "the pool may hold {} (maxBytes), and holds {}",
                        format_bytes(most),
                        format_bytes(held)
                    ),
                    suggestion: "Raise maxBytes, free buffers, or defragment the pool".to_owned(),
                });
            }
            state.coming_bytes = state.coming_bytes.saturating_add(bytes);
        }
        let taken =
            self.take_from_device(bytes, label).inspect_err(|_| self.state().coming_bytes -= bytes)?;
        Ok(Coming { slab: taken, bytes })
    }

    fn take_from_device(&self, bytes: u64, label: &str) -> Result<Arc<Slab>> {
        let budget = self.options.budget.as_ref();
        let granted = |bytes: u64| {
            budget.filter(|_| bytes > 0).map(|budget| budget.allocate(bytes, label.to_owned())).transpose()
        };
        let allocation = granted(bytes)?;
        let pending = budget.map_or(0, |budget| budget.pending_bytes().saturating_sub(bytes));
        let memory = self.backend.take(&Request { bytes, label, pending_bytes: pending })?;
        // A device may round up by more than it says.
        let surplus = granted(memory.size_bytes().saturating_sub(bytes))?;
        memory.populate(pending)?;
        let allocations = [allocation, surplus];
        for allocation in allocations.iter().flatten() {
            allocation.commit(allocation.bytes());
        }
        Ok(Arc::new(Slab::new(memory, allocations)))
    }

    /// Frees a buffer whose last handle is gone. A slab that becomes empty by it is to be [collected](Self::collect).
    fn free(&self, id: BufferId) {
        let mut state = self.state();
        if state.destroyed {
            return;
        }
        let Some(live) = state.map.buffer_mut(id) else { return };
        if live.moving {
            // Whoever moves it frees it.
            live.freed = true;
            return;
        }
        if self.options.zero_on_free {
            live.uses += 1; // Nobody moves it meanwhile.
            let (index, range) = (live.slab, live.range());
            let slab = state.map.slab(index).map(|held| Arc::clone(&held.slab));
            drop(state);
            // What cannot be zeroed is not handed out again: its block stays taken.
            if slab.is_none_or(|slab| slab.memory().fill(range, 0).is_err()) {
                return;
            }
            state = self.state();
        }
        state.free(id, self.options.max_cached_bytes.unwrap_or(0));
    }

    /// Gives retired slabs back, without the lock: a device may take its time.
    fn collect(&self) -> u64 {
        let retired = std::mem::take(&mut self.state().retired);
        retired.iter().map(|slab| slab.size_bytes()).sum()
    }
}

impl State {
    fn no_hole(&mut self, bytes: u64, label: &str) -> Error {
        let largest_free_bytes = self.map.largest_free_bytes();
        let free_bytes = self.map.free_bytes();
        Error::InsufficientMemory {
            label: label.to_owned(),
            requested_bytes: bytes,
            available_bytes: free_bytes,
            largest_free_bytes,
            binding_constraint: format!(
                "the pool's slabs have {} free in holes of at most {}",
                format_bytes(free_bytes),
                format_bytes(largest_free_bytes)
            ),
            suggestion: "Reserve more first, or defragment the pool".to_owned(),
        }
    }

    /// Finds a place for a buffer and enters it.
    fn place(&mut self, bytes: u64, options: &BufferOptions) -> Option<BufferId> {
        let (id, block_bytes) = self.map.place(bytes, options)?;
        self.counters.allocated(bytes, block_bytes, self.map.split_bytes());
        if let Some(trace) = &mut self.trace {
            trace.note(TraceKind::Allocate, id.number(), bytes, options);
        }
        Some(id)
    }

    fn free(&mut self, id: BufferId, max_cached_bytes: u64) {
        let Some(freed) = self.map.free(id) else { return };
        self.counters.freed(freed.requested_bytes, freed.block_bytes, self.map.split_bytes());
        if let Some(trace) = &mut self.trace {
            trace.note(TraceKind::Free, id.number(), freed.requested_bytes, &BufferOptions::default());
        }
        if freed.emptied {
            self.retire_surplus(max_cached_bytes);
        }
    }

    fn retire_spare(&mut self, missing_bytes: u64) {
        let (spare_bytes, surplus_bytes) = (self.map.spare_bytes(), self.map.surplus_bytes());
        let taken_bytes =
            if missing_bytes > spare_bytes { surplus_bytes } else { missing_bytes.max(surplus_bytes) };
        let taken = self.map.take_empty(spare_bytes - taken_bytes, Spare::AllButReserved);
        self.retire(taken);
    }

    fn retire_empty(&mut self, keep_bytes: u64) {
        let taken = self.map.take_empty(keep_bytes, Spare::All);
        self.retire(taken);
    }

    /// Lets go of empty slabs beyond what is cached; those taken as the pool was made stay.
    fn retire_surplus(&mut self, max_cached_bytes: u64) {
        if self.map.surplus_bytes() <= max_cached_bytes {
            return;
        }
        let taken = self.map.take_empty(max_cached_bytes, Spare::Surplus);
        self.retire(taken);
    }

    fn retire(&mut self, slabs: Vec<Arc<Slab>>) {
        for slab in slabs {
            self.counters.slab_given_back(slab.size_bytes());
            self.retired.push(slab);
        }
    }

    fn enter_slab(&mut self, Coming { slab, bytes }: Coming, page_bytes: Option<u64>, purpose: Purpose) {
        self.coming_bytes -= bytes;
        self.counters.slab_taken(slab.size_bytes());
        self.map.enter_slab(slab, page_bytes, purpose);
    }
}

/// The time since the pool's clock began, for traces.
fn now_us(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
