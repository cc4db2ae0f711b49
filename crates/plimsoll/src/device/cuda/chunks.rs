//! A slab put together from chunks of physical memory, mapped side by side into one range of addresses.
//!
//! Linux for Tegra 36.4.7 refuses large pieces that it has room for, and takes the same memory in chunks. The range
//! that is reserved is exactly the slab's: small boards refuse the huge ranges that other allocators reserve in
//! advance.

use std::os::fd::{FromRawFd, OwnedFd};

use super::{
    driver::{Current, Driver},
    info::CudaInfo,
    table::{AccessDescription, AllocationProperties, DevicePointer, MemLocation, VirtualMemory},
};
use crate::{
    error::{Error, Result},
    units::MIB,
};

const ALLOCATION_PINNED: i32 = 1;
const LOCATION_DEVICE: i32 = 1;
const ACCESS_READ_WRITE: u32 = 3;
const GRANULARITY_MINIMUM: u32 = 0;
const HANDLE_POSIX_FILE_DESCRIPTOR: i32 = 1;

/// How large a chunk is at most. Larger ones meet the refusals that chunks avoid; smaller ones cost calls.
const CHUNK_BYTES: u64 = 64 * MIB;

/// What taking chunks on a device needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunking {
    calls: VirtualMemory,
    properties: AllocationProperties,
    /// Chunks and ranges are multiples of this, in bytes.
    pub granularity_bytes: u64,
}

/// A slab of chunks.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub base: DevicePointer,
    bytes: u64,
    parts: Vec<VmmChunk>,
}

#[derive(Debug)]
struct VmmChunk {
    handle: u64,
    offset: u64,
    bytes: u64,
    mapped: bool,
}

impl Chunking {
    /// How this device takes chunks; nothing where it cannot.
    pub fn of(current: &Current<'_>, info: &CudaInfo) -> Option<Self> {
        let calls = current.table().virtual_memory.filter(|_| info.virtual_memory_management)?;
        let properties = AllocationProperties {
            kind: ALLOCATION_PINNED,
            handle_types: if info.posix_handles { HANDLE_POSIX_FILE_DESCRIPTOR } else { 0 },
            location: MemLocation { kind: LOCATION_DEVICE, id: current.driver.device },
            win32_meta_data: 0,
            compression: 0,
            gpu_direct_rdma: u8::from(info.virtual_memory_rdma),
            usage: 0,
            reserved: [0; 4],
        };
        let mut granularity = 0;
        // SAFETY: `granularity` is a live place for a size, and the properties are laid out as the driver's.
        let code =
            unsafe { (calls.granularity)(&raw mut granularity, &raw const properties, GRANULARITY_MINIMUM) };
        current.check("cuMemGetAllocationGranularity", code).ok()?;
        let granularity_bytes = granularity as u64;
        let sane = granularity_bytes.is_power_of_two() && granularity_bytes <= CHUNK_BYTES;
        sane.then_some(Self { calls, properties, granularity_bytes })
    }

    /// Takes `bytes`, a multiple of the granularity. Of what fails half-way nothing stays.
    pub fn take(&self, current: &Current<'_>, bytes: u64) -> Result<Chunks> {
        let mut chunks = Chunks { bytes, ..Chunks::default() };
        // SAFETY: `base` is a live place for an address.
        let code = unsafe { (self.calls.reserve)(&raw mut chunks.base, bytes as usize, 0, 0, 0) };
        current.check("cuMemAddressReserve", code)?;
        match self.fill(current, &mut chunks) {
            Ok(()) => Ok(chunks),
            Err(error) => {
                self.free(current, &mut chunks);
                Err(error)
            }
        }
    }

    fn fill(&self, current: &Current<'_>, chunks: &mut Chunks) -> Result<()> {
        let mut offset = 0;
        while offset < chunks.bytes {
            let bytes = CHUNK_BYTES.min(chunks.bytes - offset);
            let mut handle = 0;
            // SAFETY: `handle` is a live place for one; the size is a multiple of the granularity.
            let code = unsafe {
                (self.calls.create)(&raw mut handle, bytes as usize, &raw const self.properties, 0)
            };
            current.check("cuMemCreate", code)?;
            // SAFETY: the range lies in the reservation, and nothing is mapped there yet.
            let code = unsafe { (self.calls.map)(chunks.base + offset, bytes as usize, 0, handle, 0) };
            let mapped = current.check("cuMemMap", code);
            chunks.parts.push(VmmChunk { handle, offset, bytes, mapped: mapped.is_ok() });
            mapped?;
            offset += bytes;
        }
        let access = AccessDescription { location: self.properties.location, flags: ACCESS_READ_WRITE };
        // SAFETY: all of the range is mapped, and one description is given, laid out as the driver's.
        let code =
            unsafe { (self.calls.set_access)(chunks.base, chunks.bytes as usize, &raw const access, 1) };
        current.check("cuMemSetAccess", code)
    }

    /// Frees all of it. Nothing may be at work on it.
    pub fn free(&self, current: &Current<'_>, chunks: &mut Chunks) {
        for chunk in chunks.parts.drain(..) {
            if chunk.mapped {
                // SAFETY: exactly what was mapped, and nobody has the address any more.
                let code = unsafe { (self.calls.unmap)(chunks.base + chunk.offset, chunk.bytes as usize) };
                current.forgive("cuMemUnmap", code);
            }
            // SAFETY: the handle was created here and is released once.
            current.forgive("cuMemRelease", unsafe { (self.calls.release)(chunk.handle) });
        }
        // SAFETY: exactly what was reserved, with nothing mapped in it.
        let code = unsafe { (self.calls.unreserve)(chunks.base, chunks.bytes as usize) };
        current.forgive("cuMemAddressFree", code);
    }

    /// A handle for CUDA in another process. There is one for each chunk, so a slab of several has none.
    pub fn export(&self, driver: &Driver, chunks: &Chunks) -> Result<OwnedFd> {
        let [chunk] = chunks.parts.as_slice() else {
            let meaning = format!(
                "a slab of {} chunks has no single handle; take at most {} MiB",
                chunks.parts.len(),
                CHUNK_BYTES / MIB
            );
            return Err(Error::device(&driver.name, None, "export", meaning));
        };
        let current = driver.enter()?;
        let mut fd = -1_i32;
        // SAFETY: for handles of this type the driver writes a file descriptor, an int.
        let code = unsafe {
            (self.calls.export)(
                (&raw mut fd).cast(),
                chunk.handle,
                HANDLE_POSIX_FILE_DESCRIPTOR.cast_unsigned(),
                0,
            )
        };
        current.check("cuMemExportToShareableHandle", code)?;
        // SAFETY: a new file descriptor, which the driver leaves to the caller.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
