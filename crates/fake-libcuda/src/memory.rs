//! Memory: ranges of addresses, and the bytes behind them.
//!
//! Device memory has addresses at which nothing is mapped, as on a GPU: a program that touches them by mistake dies.
//! Pinned memory, and managed memory that the processor may touch at any time, has the address of its bytes.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    collections::BTreeMap,
    ptr,
    sync::Arc,
};

use crate::driver::{Answer, INVALID_VALUE, OUT_OF_MEMORY};

/// Far from where Linux maps anything by itself.
const FIRST_ADDRESS: u64 = 0x2000_0000_0000;
/// What lies between two ranges, so that a copy beyond one never meets the next.
const GAP: u64 = 1 << 21;
pub const GRANULARITY: u64 = 2 << 20;
const PAGE: u64 = 4096;

/// Bytes that live as long as somebody holds them.
pub struct Bytes {
    taken: *mut u8,
    layout: Layout,
    /// The first whole page of them.
    base: *mut u8,
}

// SAFETY: reached under the driver's lock, or by the program that took them.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Bytes {
    fn new(bytes: u64) -> Answer<Arc<Self>> {
        // Zero pages cost nothing until they are touched, but only at the alignment that the allocator has by itself.
        let layout = Layout::from_size_align((bytes + PAGE) as usize, 16).map_err(|_| OUT_OF_MEMORY)?;
        // SAFETY: of more than zero bytes.
        let taken = unsafe { alloc_zeroed(layout) };
        if taken.is_null() {
            return Err(OUT_OF_MEMORY);
        }
        let base = taken.wrapping_add(taken.align_offset(PAGE as usize));
        // Fresh memory is somebody's old memory; one page of that will do.
        // SAFETY: within the bytes just taken: what was added for alignment is a whole page.
        unsafe { ptr::write_bytes(base, 0xa5, (bytes as usize).min(PAGE as usize)) };
        Ok(Arc::new(Self { taken, layout, base }))
    }

    fn address(&self) -> u64 {
        self.base.expose_provenance() as u64
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: taken with this layout, and freed once.
        unsafe { dealloc(self.taken, self.layout) };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Device,
    Managed,
    Pinned,
    Chunk { handle: u64, accessible: bool },
}

pub struct Extent {
    pub bytes: u64,
    pub kind: Kind,
    store: Arc<Bytes>,
}

struct Handle {
    bytes: u64,
    store: Arc<Bytes>,
}

#[derive(Default)]
pub struct Memory {
    /// What can be read and written, by its first address.
    extents: BTreeMap<u64, Extent>,
    reservations: BTreeMap<u64, u64>,
    handles: BTreeMap<u64, Handle>,
    next_address: u64,
    next_handle: u64,
}

/// A piece of host memory behind a piece of device memory.
pub struct Piece {
    pub at: *mut u8,
    pub len: usize,
}

impl Memory {
    /// Ranges, reservations and handles that were not freed.
    pub fn live(&self) -> u64 {
        (self.extents.len() + self.reservations.len() + self.handles.len()) as u64
    }

    pub fn used_bytes(&self, counts: impl Fn(Kind) -> bool) -> u64 {
        let whole = self.extents.values().filter(|extent| !matches!(extent.kind, Kind::Chunk { .. }));
        let whole: u64 = whole.filter(|extent| counts(extent.kind)).map(|extent| extent.bytes).sum();
        // A chunk is in use while it is mapped, whether or not its handle is still held.
        let mut chunks: BTreeMap<u64, u64> =
            self.handles.iter().map(|(id, handle)| (*id, handle.bytes)).collect();
        for extent in self.extents.values() {
            if let Kind::Chunk { handle, .. } = extent.kind {
                chunks.insert(handle, extent.bytes);
            }
        }
        whole + chunks.values().sum::<u64>()
    }

    fn fresh_address(&mut self, bytes: u64) -> u64 {
        let at = self.next_address.max(FIRST_ADDRESS);
        self.next_address = (at + bytes).next_multiple_of(GAP) + GAP;
        at
    }

    pub fn take(&mut self, bytes: u64, kind: Kind, seen_by_host: bool) -> Answer<u64> {
        let store = Bytes::new(bytes)?;
        let address = if seen_by_host { store.address() } else { self.fresh_address(bytes) };
        self.extents.insert(address, Extent { bytes, kind, store });
        Ok(address)
    }

    pub fn free(&mut self, address: u64, of_kind: impl Fn(Kind) -> bool) -> Answer {
        match self.extents.get(&address) {
            Some(extent) if of_kind(extent.kind) => {
                self.extents.remove(&address);
                Ok(())
            }
            _ => Err(INVALID_VALUE),
        }
    }

    pub fn reserve(&mut self, bytes: u64) -> Answer<u64> {
        if bytes == 0 || !bytes.is_multiple_of(GRANULARITY) {
            return Err(INVALID_VALUE);
        }
        let address = self.fresh_address(bytes);
        self.reservations.insert(address, bytes);
        Ok(address)
    }

    pub fn unreserve(&mut self, address: u64, bytes: u64) -> Answer {
        let mapped = self.extents.range(address..address + bytes).next().is_some();
        if mapped || self.reservations.get(&address) != Some(&bytes) {
            return Err(INVALID_VALUE);
        }
        self.reservations.remove(&address);
        Ok(())
    }

    pub fn create(&mut self, bytes: u64) -> Answer<u64> {
        if bytes == 0 || !bytes.is_multiple_of(GRANULARITY) {
            return Err(INVALID_VALUE);
        }
        let store = Bytes::new(bytes)?;
        self.next_handle += 1;
        self.handles.insert(self.next_handle, Handle { bytes, store });
        Ok(self.next_handle)
    }

    pub fn has_handle(&self, handle: u64) -> bool {
        self.handles.contains_key(&handle)
    }

    pub fn release(&mut self, handle: u64) -> Answer {
        self.handles.remove(&handle).map(drop).ok_or(INVALID_VALUE)
    }

    pub fn map(&mut self, address: u64, bytes: u64, handle: u64) -> Answer {
        let of_handle = self.handles.get(&handle).filter(|of_handle| of_handle.bytes == bytes);
        let store = Arc::clone(&of_handle.ok_or(INVALID_VALUE)?.store);
        let reserved = self
            .reservations
            .range(..=address)
            .next_back()
            .is_some_and(|(start, len)| address + bytes <= start + len);
        if !reserved || self.extents.range(address..address + bytes).next().is_some() {
            return Err(INVALID_VALUE);
        }
        let kind = Kind::Chunk { handle, accessible: false };
        self.extents.insert(address, Extent { bytes, kind, store });
        Ok(())
    }

    pub fn unmap(&mut self, address: u64, bytes: u64) -> Answer {
        match self.extents.get(&address) {
            Some(Extent { kind: Kind::Chunk { .. }, bytes: mapped, .. }) if *mapped == bytes => {
                self.extents.remove(&address);
                Ok(())
            }
            _ => Err(INVALID_VALUE),
        }
    }

    /// Every byte of the range must be mapped.
    pub fn make_accessible(&mut self, address: u64, bytes: u64) -> Answer {
        let mut expected = address;
        for (start, extent) in self.extents.range_mut(address..address + bytes) {
            if *start != expected {
                return Err(INVALID_VALUE);
            }
            expected += extent.bytes;
            if let Kind::Chunk { accessible, .. } = &mut extent.kind {
                *accessible = true;
            }
        }
        if expected == address + bytes { Ok(()) } else { Err(INVALID_VALUE) }
    }

    /// Where pinned memory is seen by the device.
    pub fn pinned(&self, host: u64) -> Answer<u64> {
        let extent = self.extents.get(&host).filter(|extent| extent.kind == Kind::Pinned);
        extent.map(|_| host).ok_or(INVALID_VALUE)
    }

    /// Whether a range begins where memory of such a kind does, and is mapped whole.
    pub fn is_range_of(&self, address: u64, bytes: u64, of_kind: impl Fn(Kind) -> bool) -> bool {
        let begins = self.extents.get(&address).is_some_and(|extent| of_kind(extent.kind));
        begins && self.pieces(address, bytes).is_ok()
    }

    /// The host memory behind a range, which must lie within one allocation, or within chunks side by side.
    pub fn pieces(&self, address: u64, bytes: u64) -> Answer<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut at = address;
        let end = address.checked_add(bytes).ok_or(INVALID_VALUE)?;
        while at < end {
            let (start, extent) = self.extents.range(..=at).next_back().ok_or(INVALID_VALUE)?;
            let within = at - start;
            let len = extent.bytes.saturating_sub(within).min(end - at);
            let closed = matches!(extent.kind, Kind::Chunk { accessible: false, .. });
            if len == 0 || closed {
                return Err(INVALID_VALUE);
            }
            pieces.push(Piece { at: extent.store.base.wrapping_add(within as usize), len: len as usize });
            at += len;
        }
        Ok(pieces)
    }
}
