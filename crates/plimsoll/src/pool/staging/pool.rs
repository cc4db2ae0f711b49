//! Buffers reused by size class, with a cap on what is held idle, counted against a budget.

use std::sync::{Arc, Mutex};

use super::{
    buffer::StagingBuffer,
    inner::{StagingInner, class_bytes},
    options::{StagingPoolOptions, StagingPoolStats},
};
use crate::{budget::EventKind, error::Result};

/// A pool of page-aligned buffers.
///
/// Sizes are rounded up to a class, four classes to every doubling, so at most a fifth of a buffer is slack. A
/// returned buffer waits for the next request of its class, the latest returned first, while its pages are still
/// in the processor's cache. Clones share the pool; all methods may be called from any thread.
///
/// ```
/// use plimsoll::pool::{StagingPool, StagingPoolOptions};
///
/// let pool = StagingPool::new(StagingPoolOptions::default());
/// drop(pool.get(100_000)?);
/// drop(pool.get(99_000)?);
/// assert_eq!((pool.stats().hits, pool.stats().misses), (1, 1));
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StagingPool(Arc<StagingInner>);

impl StagingPool {
    /// An empty pool.
    #[must_use]
    pub fn new(options: StagingPoolOptions) -> Self {
        Self(Arc::new(StagingInner { options, state: Mutex::default() }))
    }

    /// Hands out a buffer of exactly `bytes` bytes. It returns to the pool when dropped.
    ///
    /// Unless the pool is `zeroed`, a reused buffer still holds what its last user left in it.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`](crate::Error::InsufficientMemory) when the budget, or the system, refuses; idle buffers of other classes are
    /// freed before that. [`Error::Released`](crate::Error::Released) after [`close`](Self::close). [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a
    /// size above [`MAX_BYTES`](crate::units::MAX_BYTES).
    pub fn get(&self, bytes: u64) -> Result<StagingBuffer> {
        let class_bytes = class_bytes(bytes)?;
        let memory = match self.0.reuse(class_bytes)? {
            Some(mut memory) => {
                memory.note(EventKind::Reuse);
                if self.0.options.zeroed {
                    memory.bytes_mut().get_mut(..bytes as usize).unwrap_or_default().fill(0);
                }
                memory
            }
            // Fresh pages read zero, and take no memory until they are written.
            None => self.0.take_new(class_bytes)?,
        };
        Ok(StagingBuffer::new(memory, bytes as usize, &self.0))
    }

    /// Whether buffers of so many bytes in all would find room now, among those that are idle and in what the budget has left.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let wanted = bytes.saturating_sub(self.0.state().stats.held_bytes);
        self.0.options.budget.as_ref().is_none_or(|budget| budget.can_allocate(wanted))
    }

    /// That it was not closed.
    ///
    /// # Errors
    ///
    /// [`Error::Released`](crate::Error::Released) after [`close`](Self::close).
    pub(crate) fn expect_open(&self) -> Result<()> {
        self.0.state().expect_open()
    }

    /// What the pool has done and holds.
    #[must_use]
    pub fn stats(&self) -> StagingPoolStats {
        self.0.state().stats
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &StagingPoolOptions {
        &self.0.options
    }

    /// Releases idle buffers, largest first, until at most `keep_bytes` are held. Returns the
    /// bytes released.
    #[allow(clippy::must_use_candidate)] // Called for its effect; the count is a courtesy.
    pub fn trim(&self, keep_bytes: u64) -> u64 {
        self.0.trim(keep_bytes)
    }

    /// Releases every idle buffer and hands out no more. Buffers in use go back when dropped. A second call
    /// does nothing.
    pub fn close(&self) {
        self.0.state().closed = true;
        self.0.trim(0);
    }
}

#[cfg(test)]
mod tests;
