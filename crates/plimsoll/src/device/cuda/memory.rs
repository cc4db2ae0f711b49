//! CUDA memory as slabs.

use std::{
    any::Any,
    ops::Range,
    os::fd::{FromRawFd, OwnedFd},
    sync::Arc,
};

use super::{
    block::{CudaBlock, Storage},
    driver::Current,
};
use crate::{
    budget::Promised,
    device::{
        DeviceMemory, HostView,
        memory::{checked_part, checked_range},
    },
    error::{Error, Result},
};

const HANDLE_DMA_BUF: u32 = 1;

/// A slab.
#[derive(Debug)]
pub(super) struct CudaMemory {
    pub block: Arc<CudaBlock>,
}

impl CudaMemory {
    fn checked(&self, offset_bytes: u64, len: usize) -> Result<Range<u64>> {
        checked_range(self.block.bytes, offset_bytes, len as u64)
    }

    fn enter(&self) -> Result<Current<'_>> {
        self.block.shared.driver.enter()
    }

    /// Pinned memory is the processor's own; all other kinds are better copied by the driver, which moves no page for
    /// it.
    fn pinned(&self) -> Option<HostView> {
        matches!(self.block.storage, Storage::Pinned { .. }).then(|| self.block.view()).flatten()
    }

    fn error(&self, call: &'static str, meaning: &str) -> Error {
        Error::device(&self.block.shared.driver.name, None, call, meaning)
    }

    fn export_dma_buf(&self) -> Result<OwnedFd> {
        let current = self.enter()?;
        let Some(calls) = current.table().dma_buf else {
            return Err(self.error("export", "the driver is too old to export a dma-buf"));
        };
        let (address, bytes) = (self.block.storage.address(), self.block.bytes as usize);
        let mut fd = -1_i32;
        // SAFETY: for handles of this type the driver writes a file descriptor, an int; the range is this slab.
        let code =
            unsafe { (calls.handle_for_range)((&raw mut fd).cast(), address, bytes, HANDLE_DMA_BUF, 0) };
        current.check("cuMemGetHandleForAddressRange", code)?;
        // SAFETY: a new file descriptor, which the driver leaves to the caller.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl DeviceMemory for CudaMemory {
    fn size_bytes(&self) -> u64 {
        self.block.bytes
    }

    fn device_address(&self) -> Option<u64> {
        Some(self.block.storage.address())
    }

    fn view(&self) -> Result<HostView> {
        // What a forked child would see there is not the parent's memory, and may be nothing.
        drop(self.enter()?);
        self.block.view().ok_or_else(|| {
            self.error(
                "view",
                match self.block.storage {
                    Storage::Managed(_) => {
                        "the processor must not touch such managed memory while a kernel runs; use read and write"
                    }
                    _ => "the processor cannot see device memory; use read and write, or the kind \"pinned\"",
                },
            )
        })
    }

    fn read(&self, offset_bytes: u64, into: &mut [u8]) -> Result<()> {
        let range = self.checked(offset_bytes, into.len())?;
        if into.is_empty() {
            return Ok(());
        }
        let current = self.enter()?;
        if let Some(view) = self.pinned() {
            return view.read(offset_bytes, into);
        }
        let from = self.block.storage.address() + range.start;
        // SAFETY: the range lies within this slab, and `into` is as long as it; the call returns when all is copied.
        let code = unsafe { (current.table().core.copy_to_host)(into.as_mut_ptr().cast(), from, into.len()) };
        current.check("cuMemcpyDtoH", code)
    }

    fn write(&self, offset_bytes: u64, from: &[u8]) -> Result<()> {
        let range = self.checked(offset_bytes, from.len())?;
        if from.is_empty() {
            return Ok(());
        }
        let current = self.enter()?;
        if let Some(view) = self.pinned() {
            return view.write(offset_bytes, from);
        }
        let to = self.block.storage.address() + range.start;
        // SAFETY: the range lies within this slab and is as long as `from`, which is waited for below.
        let code = unsafe { (current.table().core.copy_to_device)(to, from.as_ptr().cast(), from.len()) };
        current.check("cuMemcpyHtoD", code)?;
        current.wait()
    }

    fn fill(&self, range: Range<u64>, byte: u8) -> Result<()> {
        let range = checked_part(self.block.bytes, range)?;
        if range.is_empty() {
            return Ok(());
        }
        let current = self.enter()?;
        if let Some(view) = self.pinned() {
            return view.fill(range, byte);
        }
        let (at, len) = (self.block.storage.address() + range.start, range.end - range.start);
        // SAFETY: the range lies within this slab.
        let code = unsafe { (current.table().core.set)(at, byte, len as usize) };
        current.check("cuMemsetD8", code)?;
        current.wait()
    }

    fn copy_to(&self, range: Range<u64>, to: &dyn DeviceMemory, to_offset_bytes: u64) -> Result<()> {
        let range = checked_part(self.block.bytes, range)?;
        let len = range.end - range.start;
        let into = checked_range(to.size_bytes(), to_offset_bytes, len)?;
        let same_device = |other: &&Self| other.block.shared.is_device_of(&self.block.shared);
        let Some(other) = to.as_any().downcast_ref::<Self>().filter(same_device) else {
            return Err(Error::invalid_argument("target", "memory of the same CUDA device", "other memory"));
        };
        if range.is_empty() {
            return Ok(());
        }
        let source = self.block.storage.address() + range.start;
        let target = other.block.storage.address() + into.start;
        if source.abs_diff(target) < len {
            return Err(Error::invalid_argument(
                "target",
                "a range apart from the one copied",
                "ranges that overlap",
            ));
        }
        let current = self.enter()?;
        // SAFETY: both ranges lie within their slabs, which are borrowed, and do not overlap.
        let code = unsafe { (current.table().core.copy_within)(target, source, len as usize) };
        current.check("cuMemcpyDtoD", code)?;
        current.wait()
    }

    fn populate(&self, _promised: Promised) -> Result<()> {
        let shared = &self.block.shared;
        let lazy = matches!(self.block.storage, Storage::Managed(_)) && shared.info.concurrent_managed_access;
        let current = self.enter()?;
        // Where the device cannot fault pages in, the driver takes all of them at once.
        let Some(calls) = current.table().prefetch.filter(|_| lazy) else { return Ok(()) };
        let (address, bytes) = (self.block.storage.address(), self.block.bytes as usize);
        // SAFETY: the range is this slab, and the stream the default one.
        let code = unsafe { (calls.prefetch)(address, bytes, current.driver.device, 0) };
        current.check("cuMemPrefetchAsync", code)?;
        current.wait()
    }

    fn export_fd(&self) -> Result<OwnedFd> {
        let shared = &self.block.shared;
        match (&self.block.storage, &shared.chunking) {
            _ if shared.exports_dma_bufs() => self.export_dma_buf(),
            (Storage::Chunked(chunks), Some(chunking)) if shared.info.posix_handles => {
                chunking.export(&shared.driver, chunks)
            }
            _ => Err(self.error("export", "this device exports no memory of this kind")),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
