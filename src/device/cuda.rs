//! What a CUDA device is, for JavaScript.

use napi_derive::napi;
use plimsoll::device::{CudaAdvice as CoreAdvice, CudaInfo as CoreInfo, CudaKind, CudaUse};

use crate::mirror::mirror;

mirror! {
    /// A CUDA device, as its driver describes it.
    #[allow(clippy::struct_excessive_bools)] // Each is an attribute of its own.
    pub struct CudaInfo of CoreInfo {
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
        pub advice: CudaAdvice = advice,
    }
    asking info {
        advice = CudaAdvice {
            device: info.advice(CudaUse::Device).into(),
            shared: info.advice(CudaUse::Shared).into(),
            shared_often: info.advice(CudaUse::SharedOften).into(),
        },
    }
    leaving {
        ordinal, unified_addressing, pageable_memory_access, host_register, posix_handles, virtual_memory_rdma,
    }
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

mirror! {
    /// A kind of memory, and why it suits.
    pub struct CudaSuitedMemory of CoreAdvice {
        /// The kind, as `memory` of the device's options and `kind` of `manager.gpu.allocate()` take it.
        pub memory: CudaKind as "'device' | 'pinned' | 'managed'" = kind,
        /// Why.
        pub reason: String,
    }
    reading { kind }
}
