//! Buffers reused by size class, with a cap on what is held idle, counted against a budget.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use memmap2::MmapMut;

use super::buffer::{Memory, PooledBuffer};
use crate::{
    budget::{EventKind, MemoryBudget},
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
pub(super) struct Inner {
    options: BufferPoolOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: BTreeMap<u64, Vec<Memory>>,
    stats: BufferPoolStats,
    closed: bool,
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
        Ok(PooledBuffer::new(memory, bytes as usize, &self.0))
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

    pub(super) fn put_back(&self, memory: Memory) {
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

    pub(super) fn forget(&self, class_bytes: u64) {
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

#[cfg(test)]
mod tests;
