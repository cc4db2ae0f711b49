//! Buffers that a reader uses again and again.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::{
    error::Result,
    pool::{StagingBuffer, StagingPool},
    sync::lock,
};

/// The buffers of a reader's units that came back, for its units to come.
///
/// A pool keeps a few megabytes at most, whoever returns them. Units larger than its cap would be released to the system one
/// by one, and taken, mapped and faulted in anew for each. What is spare counts as in use in the pool, and goes back to it
/// when the reader ends, or with the last unit that is out then.
#[derive(Debug, Clone)]
pub(super) struct Spare(Arc<Mutex<Option<Vec<StagingBuffer>>>>);

impl Spare {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    fn buffers(&self) -> MutexGuard<'_, Option<Vec<StagingBuffer>>> {
        lock(&self.0)
    }

    pub fn is_empty(&self) -> bool {
        self.buffers().as_ref().is_none_or(Vec::is_empty)
    }

    /// A buffer of `bytes` bytes, which is the same for all of a reader's units: one that came back, else one of the pool's.
    pub fn get(&self, pool: &StagingPool, bytes: u64) -> Result<StagingBuffer> {
        let spare = self.buffers().as_mut().and_then(Vec::pop);
        match spare {
            Some(buffer) => pool.expect_open().map(|()| buffer),
            None => pool.get(bytes),
        }
    }

    /// Takes a buffer back.
    pub fn put(&self, buffer: StagingBuffer) {
        let mut buffers = self.buffers();
        if let Some(spare) = buffers.as_mut() {
            return spare.push(buffer);
        }
        drop(buffers); // Returning it may unmap it.
        drop(buffer);
    }

    /// Gives what is spare to the pool; whether there was any.
    pub fn release(&self) -> bool {
        let spare = self.buffers().as_mut().map(std::mem::take).unwrap_or_default();
        !spare.is_empty()
    }

    /// Nothing is read any more.
    pub fn close(&self) {
        let spare = self.buffers().take();
        drop(spare);
    }
}
