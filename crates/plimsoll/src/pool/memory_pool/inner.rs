//! What the handles of a pool share, and what is done under its lock.

use std::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use super::{BufferOptions, PoolOptions, map::BufferId, state::PoolState};
use crate::{
    budget::Allocation,
    device::{Limits, SharedBackend},
    error::{Error, Result},
    sync::lock,
};

pub(super) const WHAT: &str = "the memory pool";

#[derive(Debug)]
pub(super) struct PoolInner {
    pub(super) backend: SharedBackend,
    pub(super) limits: Limits,
    pub(super) options: PoolOptions,
    /// Bytes of the budget that the pool was given, which its slabs take first.
    pub(super) given: Mutex<Option<Allocation>>,
    /// Whether slabs grow with the pool, up to the size among the options.
    pub(super) grows: bool,
    pub(super) state: Mutex<PoolState>,
    /// Told when a buffer has been moved.
    pub(super) moved: Condvar,
    /// Held while retired slabs go back: whoever collects waits for those who began before.
    pub(super) collecting: Mutex<()>,
    /// Bytes of the slabs that ever went back.
    pub(super) freed_bytes: AtomicU64,
}

impl PoolInner {
    pub(super) fn state(&self) -> MutexGuard<'_, PoolState> {
        lock(&self.state)
    }

    pub(super) fn live(&self) -> Result<MutexGuard<'_, PoolState>> {
        let state = self.state();
        if state.closed { Err(Error::Released { what: WHAT }) } else { Ok(state) }
    }

    pub(super) fn check(&self, bytes: u64, options: &BufferOptions) -> Result<()> {
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
    pub(super) fn label_of<'a>(&'a self, options: &'a BufferOptions) -> &'a str {
        if options.label.is_empty() { &self.options.label } else { &options.label }
    }

    /// Frees a buffer whose last handle is gone. A slab that becomes empty by it is to be [collected](Self::collect).
    pub(super) fn free(&self, id: BufferId) {
        let mut state = self.state();
        if state.closed {
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

    /// Frees retired slabs, without the lock over the map: a device may take its time. All that were retired before
    /// are back by then, whoever gives them.
    pub(super) fn collect(&self) -> u64 {
        let _alone = lock(&self.collecting);
        let retired = std::mem::take(&mut self.state().retired);
        let bytes: u64 = retired.iter().map(|slab| slab.size_bytes()).sum();
        drop(retired);
        self.freed_bytes.fetch_add(bytes, Ordering::Relaxed);
        bytes
    }
}
