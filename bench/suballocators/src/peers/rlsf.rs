use std::{alloc::Layout, ptr::NonNull};

use memmap2::{MmapMut, MmapOptions};
use plimsoll::pool::GRANULE_BYTES;
use rlsf::Tlsf;

use super::Peer;

/// Its granule, which stands for one of ours: the memory it manages must be there, if only as addresses.
const ITS_GRANULE_BYTES: u64 = 32;

/// Keeps its headers inside the memory it manages: here a map of which nothing else is ever touched.
pub struct Rlsf {
    tlsf: Tlsf<'static, u32, u32, 32, 32>,
    /// Never looked at: it lives as long as the parts of it.
    _map: &'static MmapMut,
}

impl Peer for Rlsf {
    const NAME: &'static str = "rlsf";
    type Handle = NonNull<u8>;

    fn new(size_bytes: u64, _live: u32) -> Self {
        let len = size_bytes / GRANULE_BYTES * ITS_GRANULE_BYTES;
        let map =
            MmapOptions::new().len(len as usize).no_reserve_swap().map_anon().expect("addresses are free");
        let map = Box::leak(Box::new(map));
        let memory = NonNull::from_mut(&mut map[..]);
        let mut tlsf = Tlsf::new();
        // SAFETY: the map is leaked, so it lives for good, and is used by nobody else.
        unsafe { tlsf.insert_free_block_ptr(memory) }.expect("the map is large enough");
        Self { tlsf, _map: map }
    }

    fn allocate(&mut self, bytes: u64) -> Option<NonNull<u8>> {
        let bytes = bytes.div_ceil(GRANULE_BYTES) * ITS_GRANULE_BYTES;
        self.tlsf.allocate(Layout::from_size_align(bytes as usize, 1).ok()?)
    }

    fn free(&mut self, part: NonNull<u8>) {
        // SAFETY: it is a part of this pool, taken with this alignment, and freed once.
        unsafe { self.tlsf.deallocate(part, 1) }
    }
}
