//! One piece of CUDA memory, of whichever kind, from the call that takes it to the call that frees it.

use std::{
    ffi::c_void,
    ptr::{self, NonNull},
    sync::Arc,
};

use super::{CudaKind, chunks::Chunks, driver::Current, shared::CudaShared, table::DevicePointer};
use crate::{
    device::{HostView, Metered, Request},
    error::{Error, Result},
};

const HOST_ALLOC_PORTABLE: u32 = 1;
const HOST_ALLOC_DEVICE_MAP: u32 = 2;
const ATTACH_GLOBAL: u32 = 1;

/// Taken memory. Whoever has work under way on it keeps it alive.
#[derive(Debug)]
pub(super) struct CudaBlock {
    pub shared: Arc<CudaShared>,
    pub storage: Storage,
    pub bytes: u64,
    _metered: Option<Metered>,
}

/// How the memory was taken, which says how it is freed.
#[derive(Debug)]
pub(super) enum Storage {
    Linear(DevicePointer),
    Chunked(Chunks),
    Pinned { host: NonNull<c_void>, device: DevicePointer },
    Managed(DevicePointer),
}

// SAFETY: the pointer is to memory of the whole process, which is reached through views and driver calls alone.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Storage {
    /// Asks the driver for memory of that kind, after the machine where the memory is the machine's.
    pub fn take(shared: &CudaShared, request: &Request<'_>, kind: CudaKind, bytes: u64) -> Result<Self> {
        // A lock that another thread held at the fork is never unlocked in the child.
        shared.driver.check_process()?;
        let charge = shared.charge(kind);
        let ask = || {
            let current = shared.driver.enter()?;
            let storage = Self::ask(shared, &current, kind, bytes);
            shared.refresh_memory(&current);
            storage
        };
        let taken = match charge {
            Some(charge) => shared.context.within_headroom(request, charge, ask),
            None => shared.check_total(request).and_then(|()| ask()),
        };
        taken.map_err(|error| shared.refusal(request, charge, error))
    }

    fn ask(shared: &CudaShared, current: &Current<'_>, kind: CudaKind, bytes: u64) -> Result<Self> {
        match kind {
            CudaKind::Device => Self::take_device(shared, current, bytes),
            CudaKind::Pinned => Self::take_pinned(current, bytes),
            CudaKind::Managed => Self::take_managed(current, bytes),
        }
    }

    /// Chunks where they are wanted; where they are refused, for whatever reason, one piece may still be had.
    fn take_device(shared: &CudaShared, current: &Current<'_>, bytes: u64) -> Result<Self> {
        let Some(chunking) = &shared.chunking else { return Self::take_linear(current, bytes) };
        chunking.take(current, bytes).map(Self::Chunked).or_else(|refusal| {
            let piece = Self::take_linear(current, bytes)?;
            shared.refused_chunks.get_or_init(|| refusal.to_string());
            Ok(piece)
        })
    }

    fn take_linear(current: &Current<'_>, bytes: u64) -> Result<Self> {
        let mut address = 0;
        // SAFETY: `address` is a live place for one.
        let code = unsafe { (current.table().core.alloc)(&raw mut address, bytes as usize) };
        current.check("cuMemAlloc", code)?;
        Ok(Self::Linear(address))
    }

    fn take_managed(current: &Current<'_>, bytes: u64) -> Result<Self> {
        let mut address = 0;
        // SAFETY: `address` is a live place for one.
        let code =
            unsafe { (current.table().core.managed_alloc)(&raw mut address, bytes as usize, ATTACH_GLOBAL) };
        current.check("cuMemAllocManaged", code)?;
        Ok(Self::Managed(address))
    }

    fn take_pinned(current: &Current<'_>, bytes: u64) -> Result<Self> {
        const CALL: &str = "cuMemHostAlloc";
        let calls = &current.table().core;
        let mut host = ptr::null_mut();
        let flags = HOST_ALLOC_PORTABLE | HOST_ALLOC_DEVICE_MAP;
        // SAFETY: `host` is a live place for a pointer.
        current.check(CALL, unsafe { (calls.host_alloc)(&raw mut host, bytes as usize, flags) })?;
        let host = NonNull::new(host)
            .ok_or_else(|| Error::device(&current.driver.name, None, CALL, "the driver gave no address"))?;
        let mut device = 0;
        // SAFETY: `device` is a live place for an address, and the memory was taken mapped for the device.
        let code = unsafe { (calls.host_device_pointer)(&raw mut device, host.as_ptr(), 0) };
        let storage = Self::Pinned { host, device };
        match current.check("cuMemHostGetDevicePointer", code) {
            Ok(()) => Ok(storage),
            Err(error) => {
                storage.free_whole(current);
                Err(error)
            }
        }
    }

    /// Where the device sees it.
    pub fn address(&self) -> DevicePointer {
        match self {
            Self::Linear(address) | Self::Managed(address) => *address,
            Self::Chunked(chunks) => chunks.base,
            Self::Pinned { device, .. } => *device,
        }
    }

    fn free(&mut self, shared: &CudaShared, current: &Current<'_>) {
        match self {
            Self::Chunked(chunks) => {
                // Unlike the other calls that free, unmapping does not wait for work under way.
                // SAFETY: takes nothing.
                current.forgive("cuCtxSynchronize", unsafe { (current.table().core.context_synchronize)() });
                if let Some(chunking) = &shared.chunking {
                    chunking.free(current, chunks);
                }
            }
            whole => whole.free_whole(current),
        }
    }

    fn free_whole(&self, current: &Current<'_>) {
        let core = &current.table().core;
        match self {
            Self::Linear(address) | Self::Managed(address) => {
                // SAFETY: taken by the call that this undoes, and freed once: by the only owner, as it goes.
                current.forgive("cuMemFree", unsafe { (core.free)(*address) });
            }
            Self::Pinned { host, .. } => {
                // SAFETY: as above.
                current.forgive("cuMemFreeHost", unsafe { (core.host_free)(host.as_ptr()) });
            }
            Self::Chunked(_) => {}
        }
    }
}

impl CudaBlock {
    pub fn new(shared: Arc<CudaShared>, storage: Storage, bytes: u64, metered: Option<Metered>) -> Self {
        Self { shared, storage, bytes, _metered: metered }
    }

    /// Pinned memory beside the slabs: for staging, whatever kind the back end gives.
    pub fn take_pinned(shared: &Arc<CudaShared>, request: &Request<'_>) -> Result<Self> {
        let storage = Storage::take(shared, request, CudaKind::Pinned, request.bytes)?;
        Ok(Self::new(Arc::clone(shared), storage, request.bytes, None))
    }

    /// Where the processor sees it, if it may look at any time.
    pub fn view(&self) -> Option<HostView> {
        let base = match self.storage {
            Storage::Pinned { host, .. } => Some(host.cast()),
            Storage::Managed(address) if self.shared.info.concurrent_managed_access => {
                NonNull::new(ptr::with_exposed_provenance_mut(address as usize))
            }
            _ => None,
        };
        // SAFETY: pinned memory is mapped for the processor, and so is managed memory, which the device lets it touch
        // at any time; both stay until this block goes, which outlives every use of the view.
        base.map(|base| unsafe { HostView::new(base, self.bytes as usize) })
    }
}

impl Drop for CudaBlock {
    fn drop(&mut self) {
        if let Some(current) = self.shared.driver.enter_to_free() {
            self.storage.free(&self.shared, &current);
            self.shared.refresh_memory(&current);
        }
    }
}
