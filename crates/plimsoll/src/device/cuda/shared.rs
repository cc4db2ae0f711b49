//! What a CUDA back end, its slabs and its staging hold together.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    CudaKind,
    chunks::Chunking,
    codes::OUT_OF_MEMORY,
    driver::{Current, Driver},
    info::CudaInfo,
};
use crate::{
    device::{Charge, DeviceContext, Request},
    error::{Error, Left, Result},
    units::format_bytes,
};

const SUGGESTION: &str = "Ask for it in several slabs, or release something first; on Jetson the driver's memory stays \
                          in pieces when programs end, and a restart mends that";

/// A device with its driver, one kind of its memory, and what is known of both.
#[derive(Debug)]
pub(super) struct CudaShared {
    pub driver: Driver,
    pub info: CudaInfo,
    pub kind: CudaKind,
    pub chunking: Option<Chunking>,
    /// Why a slab was first taken in one piece though chunks were wanted.
    pub refused_chunks: OnceLock<String>,
    pub context: DeviceContext,
    /// What the device said of its memory when it was last asked.
    pub free_bytes: AtomicU64,
    pub device_bytes: AtomicU64,
}

impl CudaShared {
    /// Who pays for memory of a kind; nobody for the device's own. Memory of an integrated GPU comes from a driver that
    /// charges no cgroup.
    pub fn charge(&self, kind: CudaKind) -> Option<Charge> {
        match kind {
            _ if self.info.integrated => Some(Charge::Machine),
            CudaKind::Device => None,
            CudaKind::Pinned | CudaKind::Managed => Some(Charge::Process),
        }
    }

    /// More than the device has at all is not asked for.
    pub fn check_total(&self, request: &Request<'_>) -> Result<()> {
        let total_bytes = self.device_bytes.load(Ordering::Relaxed);
        if request.bytes <= total_bytes {
            return Ok(());
        }
        let why = format!("{} has {} in all", self.driver.name, format_bytes(total_bytes));
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        Err(request.refused(Left::whole(free_bytes), why, SUGGESTION))
    }

    /// Keeps what the device has free now, so that nobody who asks later waits for the device. Of memory that is the
    /// machine's, the machine tells more than the driver.
    pub fn refresh_memory(&self, current: &Current<'_>) {
        if self.charge(self.kind).is_some() {
            return;
        }
        if let Ok((free_bytes, device_bytes)) = current.memory_info() {
            self.free_bytes.store(free_bytes, Ordering::Relaxed);
            self.device_bytes.store(device_bytes, Ordering::Relaxed);
        }
    }

    /// Whether both share a device and its context, whatever their kinds.
    pub fn is_device_of(&self, other: &Self) -> bool {
        self.info.ordinal == other.info.ordinal && self.info.library == other.info.library
    }

    /// The driver's "out of memory" with the figures that belong to it; other errors as they are.
    pub fn refusal(&self, request: &Request<'_>, charge: Option<Charge>, error: Error) -> Error {
        let Error::Device { errno: Some(OUT_OF_MEMORY), call, meaning, .. } = &error else { return error };
        let says = format!("{call} says {meaning}");
        if let Some(charge) = charge {
            return self.context.exhausted(request, charge, says, SUGGESTION);
        }
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        let why = format!("{} has {} free, and {says}", self.driver.name, format_bytes(free_bytes));
        request.refused(Left::below(free_bytes, request.bytes), why, SUGGESTION)
    }

    /// On Tegra it is pinned memory that can be exported, elsewhere the device's own. Source: `cuda.h` of CUDA 12.9, at
    /// `cuMemGetHandleForAddressRange`.
    pub fn exports_dma_bufs(&self) -> bool {
        let exported = if self.info.integrated { CudaKind::Pinned } else { CudaKind::Device };
        self.info.dma_buf && self.kind == exported
    }
}
