//! A buffer that is reused.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use super::{inner::StagingInner, memory::Memory};

/// A buffer out of a [`StagingPool`](super::StagingPool). Dropping it returns it; it starts on a page.
pub struct StagingBuffer {
    memory: Option<Memory>,
    len: usize,
    pool: Option<Arc<StagingInner>>,
}

impl StagingBuffer {
    pub(super) fn new(memory: Memory, len: usize, pool: &Arc<StagingInner>) -> Self {
        Self { memory: Some(memory), len, pool: Some(Arc::clone(pool)) }
    }

    /// Takes the buffer out of its pool for good: when dropped its memory goes back to the system. Until then it
    /// still counts against the pool's budget.
    pub fn keep(&mut self) {
        if let (Some(pool), Some(memory)) = (self.pool.take(), &self.memory) {
            pool.forget(memory.bytes().len() as u64);
        }
    }

    /// Takes the buffer out of its pool and never unmaps it: for memory that somebody outside Rust may still see.
    /// It stops counting against the budget, so its pages should have been released before.
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
        self.memory.as_ref().map_or(0, |memory| memory.bytes().len() as u64)
    }
}

impl Drop for StagingBuffer {
    fn drop(&mut self) {
        if let (Some(pool), Some(memory)) = (self.pool.take(), self.memory.take()) {
            pool.put_back(memory);
        }
    }
}

impl Deref for StagingBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.as_ref().and_then(|memory| memory.bytes().get(..self.len)).unwrap_or_default()
    }
}

impl DerefMut for StagingBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut().and_then(|memory| memory.bytes_mut().get_mut(..self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for StagingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.capacity_bytes();
        f.debug_struct("StagingBuffer")
            .field("len", &self.len)
            .field("capacity_bytes", &capacity)
            .finish_non_exhaustive()
    }
}
