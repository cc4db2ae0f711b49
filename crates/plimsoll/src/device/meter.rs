//! What a back end has given out.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::budget::{self, Unseen};
use crate::sync::lock;

/// What this process has taken of the machine's RAM through devices and what its resident memory does not show, in bytes.
#[must_use]
pub fn unseen_bytes() -> u64 {
    budget::unseen_bytes()
}

/// What a back end has given out, and what it knows of its device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceUsage {
    /// Bytes of live slabs, taken through this back end.
    pub used_bytes: u64,
    /// The most there ever were at once.
    pub peak_bytes: u64,
    /// Live slabs.
    pub slab_count: u64,
    /// Slabs ever taken.
    pub allocated_count: u64,
    /// Requests that were refused, by the machine's headroom or by the driver.
    pub refused_count: u64,
    /// All the memory of the device, in bytes, where it says so.
    pub total_bytes: Option<u64>,
    /// What the device could still give, in bytes, where it is known.
    pub free_bytes: Option<u64>,
    /// The largest slab it could still give, in bytes, where it is known.
    pub largest_free_bytes: Option<u64>,
}

/// Counts what a back end gives out.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    counts: Arc<Counts>,
    /// Whether its slabs are RAM that no resident memory shows.
    unseen: bool,
}

#[derive(Debug, Default)]
struct Counts {
    used: AtomicU64,
    peak: AtomicU64,
    slabs: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
}

/// A slab on its meter; it leaves when dropped.
#[derive(Debug)]
#[must_use = "dropping the mark takes the slab off the meter"]
pub struct Metered {
    meter: Meter,
    bytes: u64,
    unseen: Mutex<Option<Unseen>>,
}

impl Meter {
    /// A meter of slabs that are the machine's RAM and that the resident memory of this process does not show.
    #[must_use]
    pub fn unseen() -> Self {
        Self { unseen: true, ..Self::default() }
    }

    /// Counts a slab of so many bytes until the result is dropped.
    pub fn count(&self, bytes: u64) -> Metered {
        let counts = &self.counts;
        let used = counts.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        counts.peak.fetch_max(used, Ordering::Relaxed);
        counts.slabs.fetch_add(1, Ordering::Relaxed);
        counts.taken.fetch_add(1, Ordering::Relaxed);
        let unseen = Mutex::new(self.unseen.then(|| Unseen::taken(bytes)));
        Metered { meter: self.clone(), bytes, unseen }
    }

    /// Counts a refusal.
    pub fn refuse(&self) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    #[must_use]
    pub fn usage(&self) -> DeviceUsage {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DeviceUsage {
            used_bytes: read(&self.counts.used),
            peak_bytes: read(&self.counts.peak),
            slab_count: read(&self.counts.slabs),
            allocated_count: read(&self.counts.taken),
            refused_count: read(&self.counts.refused),
            ..DeviceUsage::default()
        }
    }
}

impl Metered {
    /// From now on the resident memory shows the slab.
    pub fn seen(&self) {
        drop(lock(&self.unseen).take());
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.seen();
        self.meter.counts.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.meter.counts.slabs.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_resident_memory_does_not_show_is_counted_until_it_does_or_is_gone() {
        let before = unseen_bytes();
        let meter = Meter::unseen();
        let (first, second) = (meter.count(1 << 40), meter.count(1 << 41));
        let _seen = Meter::default().count(1 << 42);
        assert_eq!(unseen_bytes() - before, (1 << 40) + (1 << 41));
        first.seen();
        first.seen();
        drop(first);
        assert_eq!(unseen_bytes() - before, 1 << 41);
        drop(second);
        assert_eq!((unseen_bytes() - before, meter.usage().used_bytes), (0, 0));
    }
}
