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
mod request;
mod rooms;
mod slab;
mod slabs;
mod stats;
mod trace;

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

pub use buffer::{Access, Claim, ExportedFd, Mapping, Pin, PoolBuffer};
pub use counters::{Counter, Scope};
pub use defragment::{BegunMove, DefragmentOptions, DefragmentReport, DefragmentRun, Move};
pub use options::{BufferOptions, Placement, PoolOptions};
pub use request::{BufferRequest, Step};
pub use stats::{BlockInfo, BufferInfo, PoolStats, SlabInfo};
pub use trace::{TraceEvent, TraceKind, trace_lines};

use crate::{
    device::{DeviceUsage, Limits, SharedBackend},
    error::{Error, Result},
    units::format_bytes,
};
use counters::Counters;
use map::{BufferId, Map, Spare};
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
    /// Held while retired slabs go back: whoever collects waits for those who began before.
    collecting: Mutex<()>,
    /// Bytes of the slabs that ever went back.
    given_back_bytes: AtomicU64,
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
        let dedicated = options.dedicated.then_some(limits.granule_bytes);
        let initial_bytes = options.initial_bytes;
        let state = Mutex::new(State { map: Map::new(dedicated), ..State::default() });
        let inner = Inner {
            backend,
            limits,
            options,
            state,
            moved: Condvar::new(),
            collecting: Mutex::default(),
            given_back_bytes: AtomicU64::new(0),
        };
        let pool = Self(Arc::new(inner));
        if initial_bytes > 0 {
            pool.0.take_initial(initial_bytes)?;
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
    fn trim_spare(&self, missing_bytes: u64) -> u64 {
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

    /// Gives back the slabs that buffers [freed without waiting](PoolBuffer::free_without_waiting) left empty. Returns their
    /// bytes.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn collect(&self) -> u64 {
        self.0.collect()
    }

    /// Bytes of the slabs that ever went back, whoever gave them.
    fn given_back_bytes(&self) -> u64 {
        self.0.given_back_bytes.load(Ordering::Relaxed)
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

    /// Gives retired slabs back, without the lock over the books: a device may take its time. All that were retired before
    /// are back by then, whoever gives them.
    fn collect(&self) -> u64 {
        let _alone = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        let retired = std::mem::take(&mut self.state().retired);
        let bytes: u64 = retired.iter().map(|slab| slab.size_bytes()).sum();
        drop(retired);
        self.given_back_bytes.fetch_add(bytes, Ordering::Relaxed);
        bytes
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
        let placed = self.map.place(bytes, options);
        self.note_placed(placed, bytes, options)
    }

    /// The same in one slab.
    fn place_in(&mut self, slab: usize, bytes: u64, options: &BufferOptions) -> Option<BufferId> {
        let placed = self.map.place_in(slab, bytes, options);
        self.note_placed(placed, bytes, options)
    }

    fn note_placed(
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
}

/// The time since the pool's clock began, for traces.
fn now_us(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
