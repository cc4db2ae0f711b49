//! The handle of a pool.

use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::{
    BufferOptions, PoolBuffer, PoolOptions, PoolStats, Scope, SlabInfo, TraceEvent, TraceKind,
    inner::PoolInner, map::Map, state::PoolState, trace::Trace,
};
use crate::{
    budget::Allocation,
    device::{DeviceUsage, SharedBackend},
    error::{Error, Result},
    sync::lock,
};

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
pub struct MemoryPool(pub(super) Arc<PoolInner>);

impl MemoryPool {
    /// A pool over a device. It takes `initial_bytes` at once, every page of it, which may wait for the device.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for options that contradict each other or the device; those of
    /// [`reserve`](Self::reserve).
    pub fn create(backend: SharedBackend, options: PoolOptions) -> Result<Self> {
        let limits = backend.limits();
        let grows = options.grows(&limits);
        let options = options.checked(&limits, backend.usage().total_bytes)?;
        let dedicated = options.dedicated.then_some(limits.granule_bytes);
        let initial_bytes = options.initial_bytes;
        let state = Mutex::new(PoolState { map: Map::new(dedicated), ..PoolState::default() });
        let inner = PoolInner {
            backend,
            limits,
            options,
            given: Mutex::default(),
            grows,
            state,
            moved: Condvar::new(),
            collecting: Mutex::default(),
            freed_bytes: AtomicU64::new(0),
        };
        let pool = Self(Arc::new(inner));
        if initial_bytes > 0 {
            pool.0.take_initial(initial_bytes)?;
        }
        Ok(pool)
    }

    /// As [`create`](Self::create), with bytes of the budget that were allocated before. Slabs take them first, and only
    /// what goes beyond them from the budget, which should be the one that they are of. What a slab took is released with the
    /// slab, what none took as the pool is closed.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and [`Error::InvalidArgument`](crate::Error::InvalidArgument) where slabs are to be taken
    /// at once, for which there is [`reserve`](Self::reserve); with the allocation as it was.
    pub fn create_from(
        backend: SharedBackend,
        options: PoolOptions,
        given: Allocation,
    ) -> std::result::Result<Self, (Error, Allocation)> {
        if options.initial_bytes > 0 {
            let expected = "left out where the pool begins with an allocation; reserve takes slabs of that";
            let error = Error::invalid_argument("initialBytes", expected, options.initial_bytes.to_string());
            return Err((error, given));
        }
        match Self::create(backend, options) {
            Ok(pool) => {
                *lock(&pool.0.given) = Some(given);
                Ok(pool)
            }
            Err(error) => Err((error, given)),
        }
    }

    /// Hands out a buffer from the slabs that are held. It asks no device and waits for none.
    ///
    /// The bytes are those of the last user, unless the pool zeroes what is freed.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`](crate::Error::InsufficientMemory) when no hole fits, with the largest that there is:
    /// [`reserve`](Self::reserve) first, or use [`allocate_growing`](Self::allocate_growing).
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for zero bytes or an alignment that is none.
    /// [`Error::Released`](crate::Error::Released) after [`close`](Self::close).
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
        Err(state.no_hole(bytes, self.0.label_of(options), self.0.options.max_bytes))
    }

    /// Releases slabs without buffers until at most `keep_bytes` of them are held; those of
    /// [`initial_bytes`](PoolOptions::initial_bytes) last. Returns the bytes released.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn trim(&self, keep_bytes: u64) -> u64 {
        self.0.state().retire_empty(keep_bytes);
        self.collect()
    }

    /// Releases empty slabs that nobody has asked for, so that `missing_bytes` come together for a larger one: all that
    /// were taken on the way, and as many as it takes of those that the pool began with, if that is enough. Slabs that were
    /// [reserved](Self::reserve) stay.
    pub(super) fn trim_spare(&self, missing_bytes: u64) -> u64 {
        self.0.state().retire_spare(missing_bytes);
        self.collect()
    }

    /// Releases the empty slabs that are merely kept for what comes next: neither [reserved](Self::reserve) nor those that
    /// the pool began with. For whoever needs memory beside others who do.
    #[allow(clippy::must_use_candidate)] // As above.
    pub fn trim_cached(&self) -> u64 {
        self.0.state().retire_surplus(0);
        self.collect()
    }

    /// Releases the slabs that buffers [freed without waiting](PoolBuffer::free_without_waiting) left empty. Returns their
    /// bytes.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn collect(&self) -> u64 {
        self.0.collect()
    }

    /// Bytes of the slabs that ever went back, whoever gave them.
    pub(super) fn freed_bytes(&self) -> u64 {
        self.0.freed_bytes.load(Ordering::Relaxed)
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

    /// Bytes of what the pool was given that no slab of it has taken.
    #[must_use]
    pub fn given_bytes(&self) -> u64 {
        self.0.given_bytes()
    }

    /// What the device has given out to all its users.
    #[must_use]
    pub fn device_usage(&self) -> DeviceUsage {
        self.0.backend.usage()
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.state().closed
    }

    /// Releases every slab. Buffers that are left are stale from now on: every use of them is
    /// [`Error::Released`](crate::Error::Released). What is mapped or in the middle of a copy stays there until that ends.
    /// Idempotent.
    pub fn close(&self) {
        let mut state = self.0.state();
        state.closed = true;
        let slabs: Vec<_> = state.map.take_all_slabs();
        state.counters.clear_current();
        drop(state);
        if self.0.options.zero_on_free {
            for slab in &slabs {
                // It goes back all the same: what a device does not let be written it does not hand on.
                let _ = slab.memory().fill(0..slab.size_bytes(), 0);
            }
        }
        drop(lock(&self.0.given).take());
        self.0.state().retired.extend(slabs);
        // A buffer in the middle of a move is waited for by nobody any longer.
        self.0.moved.notify_all();
        self.collect();
    }
}

impl PoolBuffer {
    /// Whether it is out of that pool.
    #[must_use]
    pub fn is_of(&self, pool: &MemoryPool) -> bool {
        Arc::ptr_eq(&self.0.pool, &pool.0)
    }
}
