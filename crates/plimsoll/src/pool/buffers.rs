//! Buffers reused by size class, with a cap on what is held idle, counted against a budget.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use memmap2::MmapMut;

use crate::{
    budget::{Allocation, EventKind, MemoryBudget},
    error::{Error, Result},
    units::{MAX_BYTES, MIB},
};

/// The label under which a pool's buffers stand in their budget.
const LABEL: &str = "buffer pool";

/// The smallest class. Smaller buffers do not pay for a map of their own.
const SMALLEST_CLASS_BYTES: u64 = 4096;

/// How a [`BufferPool`] behaves.
#[derive(Debug, Clone)]
pub struct BufferPoolOptions {
    /// Bytes kept idle for reuse at most; a buffer that would pass the cap goes back to the system. 16 MiB by
    /// default.
    pub max_held_bytes: u64,
    /// Whether a reused buffer is zeroed before it is handed out. A new one always reads zero. `false` by
    /// default: the loader overwrites what it takes.
    pub zeroed: bool,
    /// The budget that every buffer, idle or in use, counts against. None by default.
    pub budget: Option<MemoryBudget>,
}

impl Default for BufferPoolOptions {
    fn default() -> Self {
        Self { max_held_bytes: 16 * MIB, zeroed: false, budget: None }
    }
}

/// What a [`BufferPool`] has done and holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BufferPoolStats {
    /// Requests served by an idle buffer.
    pub hits: u64,
    /// Requests that took new memory.
    pub misses: u64,
    /// Bytes held idle for reuse.
    pub held_bytes: u64,
    /// Buffers held idle.
    pub held_count: u64,
    /// Bytes in the hands of users.
    pub in_use_bytes: u64,
    /// Buffers in the hands of users.
    pub in_use_count: u64,
    /// The most bytes, idle and in use, there ever were at once.
    pub peak_bytes: u64,
}

/// A pool of page-aligned buffers.
///
/// Sizes are rounded up to a class, four classes to every doubling, so at most a fifth of a buffer is slack. A
/// returned buffer waits for the next request of its class, the latest returned first, while its pages are still
/// in the processor's cache. Clones share the pool; all methods may be called from any thread.
///
/// ```
/// use plimsoll::pool::{BufferPool, BufferPoolOptions};
///
/// let pool = BufferPool::new(BufferPoolOptions::default());
/// drop(pool.get(100_000)?);
/// drop(pool.get(99_000)?);
/// assert_eq!((pool.stats().hits, pool.stats().misses), (1, 1));
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BufferPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: BufferPoolOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: BTreeMap<u64, Vec<Memory>>,
    stats: BufferPoolStats,
    closed: bool,
}

/// The map before the allocation: the bytes are back with the system before the budget says so.
struct Memory {
    map: MmapMut,
    allocation: Option<Allocation>,
}

impl Memory {
    /// Records what the pool does with it, if anybody records its budget.
    fn note(&self, kind: EventKind) {
        if let Some(allocation) = &self.allocation {
            allocation.note(kind);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(allocation) = &self.allocation {
            allocation.leave();
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("bytes", &self.map.len())
            .field("allocation", &self.allocation)
            .finish()
    }
}

impl BufferPool {
    /// An empty pool.
    #[must_use]
    pub fn new(options: BufferPoolOptions) -> Self {
        Self(Arc::new(Inner { options, state: Mutex::default() }))
    }

    /// Hands out a buffer of exactly `bytes` bytes. It returns to the pool when dropped.
    ///
    /// Unless the pool is `zeroed`, a reused buffer still holds what its last user left in it.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`] when the budget, or the system, refuses; idle buffers of other classes are
    /// freed before that. [`Error::Released`] after [`close`](Self::close). [`Error::InvalidArgument`] for a
    /// size above [`MAX_BYTES`].
    pub fn get(&self, bytes: u64) -> Result<PooledBuffer> {
        let class_bytes = class_bytes(bytes)?;
        let memory = match self.0.reuse(class_bytes)? {
            Some(mut memory) => {
                memory.note(EventKind::Reuse);
                if self.0.options.zeroed {
                    memory.map.get_mut(..bytes as usize).unwrap_or_default().fill(0);
                }
                memory
            }
            // Fresh pages read zero, and take no memory until they are written.
            None => self.0.take_new(class_bytes)?,
        };
        Ok(PooledBuffer { memory: Some(memory), len: bytes as usize, pool: Some(Arc::clone(&self.0)) })
    }

    /// That it was not closed.
    ///
    /// # Errors
    ///
    /// [`Error::Released`] after [`close`](Self::close).
    pub(crate) fn expect_open(&self) -> Result<()> {
        self.0.state().expect_open()
    }

    /// What the pool has done and holds.
    #[must_use]
    pub fn stats(&self) -> BufferPoolStats {
        self.0.state().stats
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &BufferPoolOptions {
        &self.0.options
    }

    /// Gives idle buffers back to the system, largest first, until at most `keep_bytes` are held. Returns the
    /// bytes given back.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn trim(&self, keep_bytes: u64) -> u64 {
        self.0.trim(keep_bytes)
    }

    /// Gives every idle buffer back and hands out no more. Buffers in use go back when dropped. A second call
    /// does nothing.
    pub fn close(&self) {
        self.0.state().closed = true;
        self.0.trim(0);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reuse(&self, class_bytes: u64) -> Result<Option<Memory>> {
        let mut state = self.state();
        state.expect_open()?;
        let found = state.idle.get_mut(&class_bytes).and_then(Vec::pop);
        if found.is_some() {
            state.stats.hits += 1;
            state.stats.held_bytes -= class_bytes;
            state.stats.held_count -= 1;
            state.hand_out(class_bytes);
        }
        Ok(found)
    }

    fn take_new(&self, class_bytes: u64) -> Result<Memory> {
        let allocation = match &self.options.budget {
            None => None,
            Some(budget) => Some(budget.allocate(class_bytes, LABEL).or_else(|refusal| {
                // Our own idle buffers may be what stands in the way.
                if self.trim(0) == 0 { Err(refusal) } else { budget.allocate(class_bytes, LABEL) }
            })?),
        };
        let map_anew = || MmapMut::map_anon(class_bytes as usize);
        let map = map_anew().or_else(|refusal| if self.trim(0) == 0 { Err(refusal) } else { map_anew() });
        let map = map.map_err(|cause| Error::InsufficientMemory {
            label: LABEL.to_owned(),
            requested_bytes: class_bytes,
            available_bytes: 0,
            largest_free_bytes: 0,
            binding_constraint: format!("the system refused to map memory ({cause})"),
            suggestion: "Ask for less, or raise the limit on the process's address space".to_owned(),
        })?;
        let mut state = self.state();
        state.stats.misses += 1;
        state.hand_out(class_bytes);
        Ok(Memory { map, allocation })
    }

    fn put_back(&self, memory: Memory) {
        let class_bytes = memory.map.len() as u64;
        if let Some(allocation) = &memory.allocation {
            // Its user has filled it; until then what the process grew by speaks for it.
            allocation.commit(class_bytes);
        }
        memory.note(EventKind::Return);
        let mut state = self.state();
        state.stats.in_use_bytes -= class_bytes;
        state.stats.in_use_count -= 1;
        if state.closed || state.stats.held_bytes + class_bytes > self.options.max_held_bytes {
            drop(state); // Unmapping needs no lock.
            drop(memory);
            return;
        }
        state.stats.held_bytes += class_bytes;
        state.stats.held_count += 1;
        state.idle.entry(class_bytes).or_default().push(memory);
    }

    fn forget(&self, class_bytes: u64) {
        let mut state = self.state();
        state.stats.in_use_bytes -= class_bytes;
        state.stats.in_use_count -= 1;
    }

    fn trim(&self, keep_bytes: u64) -> u64 {
        let mut freed = Vec::new();
        let mut state = self.state();
        while state.stats.held_bytes > keep_bytes {
            let Some(mut class) = state.idle.last_entry() else { break };
            let (class_bytes, memory) = (*class.key(), class.get_mut().pop());
            let Some(memory) = memory else {
                class.remove();
                continue;
            };
            state.stats.held_bytes -= class_bytes;
            state.stats.held_count -= 1;
            freed.push(memory);
        }
        drop(state);
        freed.iter().map(|memory| memory.map.len() as u64).sum()
    }
}

impl State {
    fn expect_open(&self) -> Result<()> {
        if self.closed { Err(Error::Released { what: "the buffer pool" }) } else { Ok(()) }
    }

    fn hand_out(&mut self, class_bytes: u64) {
        self.stats.in_use_bytes += class_bytes;
        self.stats.in_use_count += 1;
        self.stats.peak_bytes = self.stats.peak_bytes.max(self.stats.in_use_bytes + self.stats.held_bytes);
    }
}

/// Rounds up to a class: quarters of a power of two, whole pages.
fn class_bytes(bytes: u64) -> Result<u64> {
    if bytes > MAX_BYTES {
        return Err(Error::invalid_argument("bytes", format!("at most {MAX_BYTES}"), bytes.to_string()));
    }
    let page_bytes = (rustix::param::page_size() as u64).max(SMALLEST_CLASS_BYTES);
    let quarter = (bytes.max(1).next_power_of_two() / 8).max(page_bytes);
    Ok(bytes.max(1).next_multiple_of(quarter))
}

/// A buffer out of a [`BufferPool`]. Dropping it returns it; it starts on a page.
pub struct PooledBuffer {
    memory: Option<Memory>,
    len: usize,
    pool: Option<Arc<Inner>>,
}

impl PooledBuffer {
    /// Takes the buffer out of its pool for good: when dropped its memory goes back to the system. Until then it
    /// still counts against the pool's budget.
    pub fn keep(&mut self) {
        if let (Some(pool), Some(memory)) = (self.pool.take(), &self.memory) {
            pool.forget(memory.map.len() as u64);
        }
    }

    /// Takes the buffer out of its pool and never unmaps it: for memory that somebody outside Rust may still see.
    /// It stops counting against the budget, so its pages should have been given back before.
    pub fn leak(mut self) {
        self.keep();
        if let Some(mut memory) = self.memory.take() {
            drop(memory.allocation.take());
            std::mem::forget(memory);
        }
    }

    /// Bytes of memory behind the buffer: its size rounded up to its class.
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        self.memory.as_ref().map_or(0, |memory| memory.map.len() as u64)
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let (Some(pool), Some(memory)) = (self.pool.take(), self.memory.take()) {
            pool.put_back(memory);
        }
    }
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.as_ref().and_then(|memory| memory.map.get(..self.len)).unwrap_or_default()
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut().and_then(|memory| memory.map.get_mut(..self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for PooledBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.capacity_bytes();
        f.debug_struct("PooledBuffer")
            .field("len", &self.len)
            .field("capacity_bytes", &capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{budget::RecordOptions, units::KIB};
    use proptest::prelude::*;
    use std::thread;

    fn pool(max_held_bytes: u64, zeroed: bool, budget: Option<&MemoryBudget>) -> BufferPool {
        BufferPool::new(BufferPoolOptions { max_held_bytes, zeroed, budget: budget.cloned() })
    }

    #[test]
    fn a_returned_buffer_serves_the_next_request_of_its_class() {
        let pool = pool(MIB, false, None);
        let mut first = pool.get(100 * KIB).unwrap();
        first.fill(7);
        drop(first);
        let again = pool.get(97 * KIB).unwrap();
        assert_eq!(again.len() as u64, 97 * KIB);
        assert!(again.iter().all(|byte| *byte == 7));
        let stats = pool.stats();
        assert_eq!((stats.hits, stats.misses, stats.held_count, stats.in_use_count), (1, 1, 0, 1));
    }

    #[test]
    fn a_zeroed_pool_hands_out_zeros() {
        let pool = pool(MIB, true, None);
        pool.get(8 * KIB).unwrap().fill(0xff);
        assert!(pool.get(8 * KIB).unwrap().iter().all(|byte| *byte == 0));
        assert_eq!(pool.stats().hits, 1);
    }

    #[test]
    fn idle_bytes_never_pass_the_cap() {
        let pool = pool(64 * KIB, false, None);
        let buffers: Vec<_> = (0..4).map(|_| pool.get(32 * KIB).unwrap()).collect();
        drop(buffers);
        let stats = pool.stats();
        assert_eq!((stats.held_bytes, stats.held_count, stats.in_use_bytes), (64 * KIB, 2, 0));
        assert_eq!(stats.peak_bytes, 128 * KIB);
        assert_eq!(pool.trim(32 * KIB), 32 * KIB);
        assert_eq!(pool.trim(0), 32 * KIB);
    }

    #[test]
    fn every_buffer_counts_against_the_budget_until_its_memory_is_gone() {
        let budget = MemoryBudget::new(100 * KIB, 0).unwrap();
        let pool = pool(MIB, false, Some(&budget));
        let mut kept = pool.get(32 * KIB).unwrap();
        drop(pool.get(64 * KIB).unwrap());
        assert_eq!(budget.allocated_bytes(), 96 * KIB, "idle buffers count");
        kept.keep();
        assert_eq!(pool.stats().in_use_count, 0, "a kept buffer is the pool's no more");
        assert_eq!(budget.allocated_bytes(), 96 * KIB, "but it is still there");
        let error = pool.get(200 * KIB).unwrap_err();
        assert_eq!(error.code(), "ERR_INSUFFICIENT_MEMORY");
        assert_eq!(budget.allocated_bytes(), 32 * KIB, "idle buffers went before the refusal");
        drop(kept);
        assert_eq!(budget.allocated_bytes(), 0);
    }

    #[test]
    fn a_recording_of_the_budget_tells_what_becomes_of_each_buffer() {
        let budget = MemoryBudget::new(MIB, 0).unwrap();
        let pool = pool(MIB, false, Some(&budget));
        let recording = budget.record(RecordOptions::default()).unwrap();
        drop(pool.get(KIB).unwrap());
        drop(pool.get(KIB).unwrap());
        pool.trim(0);
        let record = recording.stop();
        let kinds: Vec<_> = record.events.iter().map(|event| event.kind.name()).collect();
        assert_eq!(kinds, ["grant", "commit", "return", "reuse", "return", "release"]);
        assert!(record.events.iter().all(|event| event.id == record.events[0].id && &*event.label == LABEL));
    }

    #[test]
    fn a_closed_pool_hands_out_nothing_and_takes_its_buffers_back() {
        let budget = MemoryBudget::new(MIB, 0).unwrap();
        let pool = pool(MIB, false, Some(&budget));
        let held = pool.get(1).unwrap();
        drop(pool.get(1).unwrap());
        pool.close();
        pool.close();
        assert_eq!(pool.get(1).unwrap_err().code(), "ERR_RELEASED");
        drop(held);
        assert_eq!(budget.allocated_bytes(), 0);
    }

    #[test]
    fn absurd_sizes_are_errors() {
        let pool = pool(MIB, false, None);
        assert_eq!(pool.get(u64::MAX).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
        assert_eq!(pool.get(MAX_BYTES).unwrap_err().code(), "ERR_INSUFFICIENT_MEMORY");
        assert_eq!(pool.get(0).unwrap().len(), 0);
    }

    #[test]
    fn threads_share_a_pool_and_leave_nothing_in_use() {
        let pool = pool(MIB, false, None);
        thread::scope(|scope| {
            for size in 1..5_u64 {
                let pool = &pool;
                scope.spawn(move || {
                    for _ in 0..200 {
                        let mut buffer = pool.get(size * 9 * KIB).unwrap();
                        buffer.fill(size as u8);
                        assert!(buffer.iter().all(|byte| *byte == size as u8), "nobody else writes here");
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!((stats.in_use_bytes, stats.in_use_count, stats.hits + stats.misses), (0, 0, 800));
        assert!(stats.held_bytes <= MIB);
    }

    proptest! {
        #[test]
        fn a_class_holds_its_request_with_little_slack(bytes in 1_u64..(1 << 40)) {
            let class = class_bytes(bytes).unwrap();
            let page = rustix::param::page_size() as u64;
            prop_assert!(class >= bytes && class.is_multiple_of(page));
            prop_assert!(class - bytes < page.max(SMALLEST_CLASS_BYTES).max(class / 4));
            prop_assert_eq!(class_bytes(class).unwrap(), class);
        }
    }
}
