//! What a CUDA device is, for JavaScript.

use napi_derive::napi;
use plimsoll::device::{CudaAdvice as CoreAdvice, CudaInfo as CoreInfo, CudaUse};

/// A CUDA device, as its driver describes it.
#[napi(object, object_from_js = false)]
#[allow(clippy::struct_excessive_bools)] // Each is an attribute of its own.
pub struct CudaInfo {
    /// What the driver calls it: `'Orin'`, `'NVIDIA H200'`.
    pub name: String,
    /// The CUDA version of the driver, major and minor: `[12, 6]`.
    #[napi(ts_type = "[number, number]")]
    pub driver_version: Vec<u32>,
    /// Which library of the driver was opened.
    pub library: String,
    /// The compute capability, major and minor: `[8, 7]` is Orin.
    #[napi(ts_type = "[number, number]")]
    pub compute_capability: Vec<u32>,
    /// All its memory, in bytes. An integrated GPU's is the machine's RAM.
    pub total_bytes: f64,
    /// Multiprocessors.
    pub multiprocessor_count: u32,
    /// Whether it shares the machine's RAM.
    pub integrated: bool,
    /// Whether it can work on pinned memory where that lies.
    pub can_map_host_memory: bool,
    /// Whether it has managed memory.
    pub managed_memory: bool,
    /// Whether the processor may touch managed memory while the device works.
    pub concurrent_managed_access: bool,
    /// Whether slabs can be put together from chunks (CUDA's virtual memory management).
    pub virtual_memory_management: bool,
    /// Whether ranges of its memory can be exported as dma-bufs.
    pub dma_buf: bool,
    /// Which kind of memory suits which use on it.
    pub advice: CudaAdvice,
}

/// Which kind of a device's memory suits each use.
#[napi(object, object_from_js = false)]
pub struct CudaAdvice {
    /// Used by kernels alone: weights, KV cache, scratch.
    pub device: CudaSuitedMemory,
    /// Written on one side and read once on the other: inputs, outputs, tables read once in a pass.
    pub shared: CudaSuitedMemory,
    /// Large, read by kernels again and again, and touched by the processor between them.
    pub shared_often: CudaSuitedMemory,
}

/// A kind of memory, and why it suits.
#[napi(object, object_from_js = false)]
pub struct CudaSuitedMemory {
    /// The kind, as `memory` of the device's options and `kind` of `manager.gpu.allocate()` take it.
    #[napi(ts_type = "'device' | 'pinned' | 'managed'")]
    pub memory: String,
    /// Why.
    pub reason: String,
}

impl From<CoreAdvice> for CudaSuitedMemory {
    fn from(CoreAdvice { kind, reason, .. }: CoreAdvice) -> Self {
        Self { memory: kind.name().to_owned(), reason }
    }
}

impl From<&CoreInfo> for CudaInfo {
    fn from(info: &CoreInfo) -> Self {
        let pair = |(major, minor): (u32, u32)| vec![major, minor];
        let advised = |usage| CudaSuitedMemory::from(info.advice(usage));
        Self {
            name: info.name.clone(),
            driver_version: pair(info.driver_version),
            library: info.library.clone(),
            compute_capability: pair(info.compute_capability),
            total_bytes: info.total_bytes as f64,
            multiprocessor_count: info.multiprocessor_count,
            integrated: info.integrated,
            can_map_host_memory: info.can_map_host_memory,
            managed_memory: info.managed_memory,
            concurrent_managed_access: info.concurrent_managed_access,
            virtual_memory_management: info.virtual_memory_management,
            dma_buf: info.dma_buf,
            advice: CudaAdvice {
                device: advised(CudaUse::Device),
                shared: advised(CudaUse::Shared),
                shared_often: advised(CudaUse::SharedOften),
            },
        }
    }
}
