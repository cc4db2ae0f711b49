//! What a back end has given out.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What a back end has given out, and what it knows of its device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceUsage {
    /// Bytes of live slabs, taken through this back end.
    pub used_bytes: u64,
    /// The most there ever were at once.
    pub peak_bytes: u64,
    /// Live slabs.
    pub slab_count: u64,
    /// Slabs ever taken.
    pub taken_count: u64,
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
pub struct Meter(Arc<Counts>);

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
}

impl Meter {
    /// Counts a slab of so many bytes until the result is dropped.
    pub fn enter(&self, bytes: u64) -> Metered {
        let counts = &self.0;
        let used = counts.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        counts.peak.fetch_max(used, Ordering::Relaxed);
        counts.slabs.fetch_add(1, Ordering::Relaxed);
        counts.taken.fetch_add(1, Ordering::Relaxed);
        Metered { meter: self.clone(), bytes }
    }

    /// Counts a refusal.
    pub fn refuse(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    #[must_use]
    pub fn usage(&self) -> DeviceUsage {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DeviceUsage {
            used_bytes: read(&self.0.used),
            peak_bytes: read(&self.0.peak),
            slab_count: read(&self.0.slabs),
            taken_count: read(&self.0.taken),
            refused_count: read(&self.0.refused),
            ..DeviceUsage::default()
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.meter.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.meter.0.slabs.fetch_sub(1, Ordering::Relaxed);
    }
}
