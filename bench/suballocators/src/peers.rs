//! One face for every allocator.

use std::{
    alloc::Layout,
    collections::{BTreeMap, BTreeSet},
    mem::MaybeUninit,
    ptr::NonNull,
};

use plimsoll::pool::{End, GRANULE_BYTES, NodeId, SubAllocator};

pub trait Peer {
    const NAME: &'static str;
    type Handle;
    fn new(size_bytes: u64, live: u32) -> Self;
    fn allocate(&mut self, bytes: u64) -> Option<Self::Handle>;
    fn free(&mut self, handle: Self::Handle);
}

pub struct Plimsoll(SubAllocator);

impl Peer for Plimsoll {
    const NAME: &'static str = "plimsoll";
    type Handle = NodeId;

    fn new(size_bytes: u64, _: u32) -> Self {
        Self(SubAllocator::new(size_bytes))
    }

    fn allocate(&mut self, bytes: u64) -> Option<NodeId> {
        self.0.allocate(bytes, 1, End::Low).map(|block| block.node)
    }

    fn free(&mut self, node: NodeId) {
        let _ = self.0.free(node).expect("the block is live");
    }
}

/// Counts in granules, as its sizes are of 32 bits.
pub struct Offset(offset_allocator::Allocator);

impl Peer for Offset {
    const NAME: &'static str = "offset-allocator";
    type Handle = offset_allocator::Allocation;

    fn new(size_bytes: u64, live: u32) -> Self {
        Self(offset_allocator::Allocator::with_max_allocs(
            (size_bytes / GRANULE_BYTES) as u32,
            live * 2 + 1000,
        ))
    }

    fn allocate(&mut self, bytes: u64) -> Option<Self::Handle> {
        self.0.allocate(bytes.div_ceil(GRANULE_BYTES) as u32)
    }

    fn free(&mut self, allocation: Self::Handle) {
        self.0.free(allocation);
    }
}

/// The smallest block that fits, the lowest of several: the plain way with trees.
#[derive(Default)]
pub struct BestFit {
    by_size: BTreeSet<(u64, u64)>,
    by_start: BTreeMap<u64, u64>,
}

impl BestFit {
    fn insert(&mut self, start: u64, len: u64) {
        self.by_size.insert((len, start));
        self.by_start.insert(start, len);
    }

    fn remove(&mut self, start: u64, len: u64) {
        self.by_size.remove(&(len, start));
        self.by_start.remove(&start);
    }
}

impl Peer for BestFit {
    const NAME: &'static str = "BTree best fit";
    type Handle = (u64, u64);

    fn new(size_bytes: u64, _: u32) -> Self {
        let mut this = Self::default();
        this.insert(0, size_bytes / GRANULE_BYTES);
        this
    }

    fn allocate(&mut self, bytes: u64) -> Option<Self::Handle> {
        let wanted = bytes.div_ceil(GRANULE_BYTES);
        let (len, start) = *self.by_size.range((wanted, 0)..).next()?;
        self.remove(start, len);
        if len > wanted {
            self.insert(start + wanted, len - wanted);
        }
        Some((start, wanted))
    }

    fn free(&mut self, (mut start, mut len): Self::Handle) {
        if let Some((&above, &above_len)) = self.by_start.range(start..).next()
            && start + len == above
        {
            self.remove(above, above_len);
            len += above_len;
        }
        if let Some((&below, &below_len)) = self.by_start.range(..start).next_back()
            && below + below_len == start
        {
            self.remove(below, below_len);
            (start, len) = (below, len + below_len);
        }
        self.insert(start, len);
    }
}

/// Keeps its headers inside the memory it manages: here a map that is never written but for those headers, with 32
/// bytes, its own granule, for each of ours.
pub struct Rlsf {
    tlsf: rlsf::Tlsf<'static, u32, u32, 32, 32>,
}

const RLSF_SHRINK: u64 = GRANULE_BYTES / 32;

impl Peer for Rlsf {
    const NAME: &'static str = "rlsf";
    type Handle = NonNull<u8>;

    fn new(size_bytes: u64, _: u32) -> Self {
        let len = size_bytes / RLSF_SHRINK;
        let map = memmap2::MmapOptions::new()
            .len(len as usize)
            .no_reserve_swap()
            .map_anon()
            .expect("address space");
        let memory: &'static mut memmap2::MmapMut = Box::leak(Box::new(map));
        // SAFETY: bytes are valid as bytes that may be uninitialised, and nobody else has the map.
        let memory = unsafe { &mut *(std::ptr::from_mut::<[u8]>(memory) as *mut [MaybeUninit<u8>]) };
        let mut tlsf = rlsf::Tlsf::new();
        tlsf.insert_free_block(memory);
        Self { tlsf }
    }

    fn allocate(&mut self, bytes: u64) -> Option<Self::Handle> {
        let bytes = bytes.div_ceil(GRANULE_BYTES) * 32;
        self.tlsf.allocate(Layout::from_size_align(bytes as usize, 1).ok()?)
    }

    fn free(&mut self, at: Self::Handle) {
        // SAFETY: it came from this pool, with this alignment, and is freed once.
        unsafe { self.tlsf.deallocate(at, 1) }
    }
}
