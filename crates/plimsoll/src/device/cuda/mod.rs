//! GPU memory by NVIDIA's driver: `libcuda.so.1`, opened when asked for and never linked.
//!
//! ```text
//!   CudaBackend::open(CudaOptions)   the driver's library, a device, its primary context
//!     -> Backend::take               Device: cuMemAlloc, or chunks mapped side by side
//!                                    Pinned: cuMemHostAlloc; Managed: cuMemAllocManaged
//!     -> CudaStaging                 two pinned windows, copied to the device while the other is filled
//! ```
//!
//! What each kind is for, and on which board, is told in `docs/cuda.md` and by [`CudaInfo::advice`].

mod backend;
mod block;
mod chunks;
mod codes;
mod driver;
mod info;
mod memory;
mod shared;
mod staging;
mod table;

use std::path::PathBuf;

pub use backend::CudaBackend;
pub use info::{CudaAdvice, CudaInfo, CudaUse};
pub use staging::CudaStaging;

use super::DeviceContext;

/// Which device, which kind of its memory, and by which library.
#[derive(Debug, Clone, Default)]
pub struct CudaOptions {
    /// The device's number among those that the process may see, from 0 on.
    pub ordinal: u32,
    /// The kind of memory.
    pub kind: CudaKind,
    /// How memory of the kind [`Device`](CudaKind::Device) is taken.
    pub chunks: CudaChunks,
    /// The driver's library. By default what the environment variable `PLIMSOLL_CUDA_LIBRARY` names, else the usual
    /// `libcuda.so.1`.
    pub library: Option<PathBuf>,
    /// Where headroom is read, for memory that is the machine's RAM.
    pub context: DeviceContext,
}

/// The kinds of CUDA memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CudaKind {
    /// The device's own: the processor reaches it by copies alone.
    #[default]
    Device,
    /// RAM that stays where it is and that the device works on in place.
    Pinned,
    /// Memory that the driver keeps coherent between processor and device.
    Managed,
}

names!(CudaKind {
    Device => "device",
    Pinned => "pinned",
    Managed => "managed",
});

/// Whether a slab of device memory is put together from chunks of at most 64 MiB, mapped side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CudaChunks {
    /// On integrated GPUs that can: Linux for Tegra 36.4.7 refuses large allocations in one piece. Where chunks are
    /// refused, one piece is asked for.
    #[default]
    Auto,
    /// Wherever the device can; one piece where chunks are refused.
    Preferred,
    /// One piece always.
    Never,
}
