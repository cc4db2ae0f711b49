use offset_allocator::{Allocation, Allocator};
use plimsoll::pool::GRANULE_BYTES;

use super::Peer;

/// Counts in granules, as its sizes are of 32 bits.
pub struct Offset(Allocator);

impl Peer for Offset {
    const NAME: &'static str = "offset-allocator";
    type Handle = Allocation;

    fn new(size_bytes: u64, live: u32) -> Self {
        let granules = u32::try_from(size_bytes / GRANULE_BYTES).expect("at most a tebibyte");
        // Its nodes are made beforehand; free parts need some as well.
        Self(Allocator::with_max_allocs(granules, live * 2 + 1000))
    }

    fn allocate(&mut self, bytes: u64) -> Option<Allocation> {
        self.0.allocate(bytes.div_ceil(GRANULE_BYTES) as u32)
    }

    fn free(&mut self, allocation: Allocation) {
        self.0.free(allocation);
    }
}
