//! The native half of `Device`.

use std::any::Any;

use napi::{Env, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    device::{
        BackEndKind, CudaBackend, CudaKind, DeviceChoice, DeviceContext, DeviceUsage as CoreUsage,
        HostOptions, HostSource, HugePages, RknpuBackend, SharedBackend, choose_device, rknpu::DomainId,
    },
};

use super::{cuda::CudaInfo, rknpu::planned};
use crate::work::Work;

/// A device that memory can be taken from.
#[napi]
pub struct NativeDevice {
    backend: SharedBackend,
    passed_over: Vec<(BackEndKind, String)>,
}

/// Which device. `kind` is checked by `lib/`, and so is which of the others belongs to it.
#[napi(object, object_to_js = false)]
pub struct NativeDeviceOptions {
    pub kind: String,
    pub memory_file: Option<bool>,
    pub huge_pages: Option<String>,
    pub lock: Option<bool>,
    pub heap: Option<String>,
    pub ordinal: Option<u32>,
    pub memory: Option<String>,
    pub library: Option<String>,
    pub domain: Option<u8>,
}

/// What a device can and cannot do.
#[napi(object, object_from_js = false)]
#[allow(clippy::struct_excessive_bools)] // Each is a property of its own.
pub struct DeviceLimits {
    /// Sizes are rounded up to a multiple of this, in bytes.
    pub granule_bytes: f64,
    /// The least size a pool should take at once, in bytes.
    pub slab_bytes: f64,
    /// The largest size worth asking for at once, in bytes, where the device has such a bound.
    pub largest_bytes: Option<f64>,
    /// Whether slabs are powers of two, so that the device's addresses are used well.
    pub powers_of_two: bool,
    /// Whether fresh memory reads zero.
    pub zeroed: bool,
    /// Whether buffers can be mapped for the processor.
    pub mappable: bool,
    /// Whether maps are synchronised with the device as they begin and end.
    pub needs_sync: bool,
    /// Whether buffers can be handed to another driver as a file descriptor.
    pub exportable: bool,
    /// Whether it is the machine's RAM, which a budget of the machine counts. A GPU's own memory is not.
    pub system_memory: bool,
}

/// What a device has given out in this process, and what it says of itself.
#[napi(object, object_from_js = false)]
pub struct DeviceUsage {
    /// Bytes of slabs taken now.
    pub used_bytes: f64,
    /// The most there ever were at once.
    pub peak_bytes: f64,
    /// Slabs taken now.
    pub slab_count: f64,
    /// Slabs ever taken.
    pub taken_count: f64,
    /// Requests that were refused, by the machine's headroom or by the driver.
    pub refused_count: f64,
    /// All the memory of the device, in bytes, where it says so.
    pub total_bytes: Option<f64>,
    /// What it could still give, in bytes, where it is known.
    pub free_bytes: Option<f64>,
    /// The largest slab it could still give, in bytes, where it is known.
    pub largest_free_bytes: Option<f64>,
}

/// A kind of device that was not chosen.
#[napi(object, object_from_js = false)]
pub struct PassedOver {
    /// The kind.
    #[napi(ts_type = "'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'")]
    pub kind: String,
    /// Why.
    pub reason: String,
}

impl From<CoreUsage> for DeviceUsage {
    fn from(usage: CoreUsage) -> Self {
        let size = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        Self {
            used_bytes: usage.used_bytes as f64,
            peak_bytes: usage.peak_bytes as f64,
            slab_count: usage.slab_count as f64,
            taken_count: usage.taken_count as f64,
            refused_count: usage.refused_count as f64,
            total_bytes: size(usage.total_bytes),
            free_bytes: size(usage.free_bytes),
            largest_free_bytes: size(usage.largest_free_bytes),
        }
    }
}

impl NativeDeviceOptions {
    fn choice(&self) -> CoreResult<DeviceChoice> {
        Ok(match self.kind.as_str() {
            "dma-heap" => DeviceChoice::DmaHeap { heap: self.heap.clone() },
            "udmabuf" => DeviceChoice::Udmabuf,
            "cuda" => DeviceChoice::Cuda {
                ordinal: self.ordinal.unwrap_or(0),
                kind: match self.memory.as_deref() {
                    Some("pinned") => CudaKind::Pinned,
                    Some("managed") => CudaKind::Managed,
                    _ => CudaKind::Device,
                },
                library: self.library.as_ref().map(Into::into),
            },
            "rknpu" => DeviceChoice::Rknpu { domain: self.domain.map(DomainId::new).transpose()? },
            _ => DeviceChoice::Host(HostOptions {
                source: if self.memory_file == Some(true) {
                    HostSource::MemoryFile
                } else {
                    HostSource::Anonymous
                },
                huge_pages: match self.huge_pages.as_deref() {
                    Some("transparent") => HugePages::Transparent,
                    Some("explicit") => HugePages::Explicit,
                    Some("explicit-only") => HugePages::ExplicitOnly,
                    _ => HugePages::None,
                },
                lock: self.lock == Some(true),
            }),
        })
    }
}

#[napi]
impl NativeDevice {
    /// Opens a device; `auto` is the best that is safe here.
    #[napi(ts_return_type = "Promise<NativeDevice>", catch_unwind)]
    pub fn open(options: NativeDeviceOptions) -> AsyncTask<Work<NativeDevice, NativeDevice>> {
        let open = move || {
            let context = DeviceContext::default();
            if options.kind == "auto" {
                let chosen = choose_device(&context)?;
                return Ok(Self { backend: chosen.backend, passed_over: chosen.passed_over });
            }
            Ok(Self { backend: options.choice()?.open(&context)?, passed_over: Vec::new() })
        };
        Work::promise(open, |_, device| Ok(device))
    }

    pub(crate) fn backend(&self) -> &SharedBackend {
        &self.backend
    }

    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> String {
        self.backend.name().to_owned()
    }

    #[napi(getter, catch_unwind)]
    pub fn kind(&self) -> String {
        self.backend.kind().name().to_owned()
    }

    #[napi(catch_unwind)]
    pub fn limits(&self) -> DeviceLimits {
        let limits = self.backend.limits();
        DeviceLimits {
            granule_bytes: limits.granule_bytes as f64,
            slab_bytes: limits.slab_bytes as f64,
            largest_bytes: limits.largest_bytes.map(|bytes| bytes as f64),
            powers_of_two: limits.powers_of_two,
            zeroed: limits.zeroed,
            mappable: limits.mappable,
            needs_sync: limits.needs_sync,
            exportable: limits.exportable,
            system_memory: limits.system_memory,
        }
    }

    #[napi(catch_unwind)]
    pub fn usage(&self) -> DeviceUsage {
        self.backend.usage().into()
    }

    /// What the device is, where it is one of CUDA's.
    #[napi(catch_unwind)]
    pub fn cuda_info(&self) -> Option<CudaInfo> {
        self.backend_as::<CudaBackend>().map(|cuda| cuda.info().into())
    }

    /// Which domain of the NPU each further buffer should go to.
    #[napi(catch_unwind)]
    pub fn plan_domains(&self, env: Env, sizes: Vec<f64>) -> napi::Result<Vec<u32>> {
        planned(env, &sizes, |sizes| {
            let npu = self.backend_as::<RknpuBackend>();
            npu.ok_or_else(|| self.without_domains()).and_then(|npu| npu.plan(sizes))
        })
    }

    fn without_domains(&self) -> CoreError {
        let meaning = "only memory by Rockchip's NPU driver is divided into domains: open the device 'rknpu'";
        CoreError::device(self.backend.name(), None, "planDomains", meaning)
    }

    fn backend_as<T: Any>(&self) -> Option<&T> {
        (&*self.backend as &dyn Any).downcast_ref()
    }

    #[napi(catch_unwind)]
    pub fn remarks(&self) -> Vec<String> {
        self.backend.remarks()
    }

    #[napi(catch_unwind)]
    pub fn passed_over(&self) -> Vec<PassedOver> {
        let item = |(kind, reason): &(BackEndKind, String)| PassedOver {
            kind: kind.name().to_owned(),
            reason: reason.clone(),
        };
        self.passed_over.iter().map(item).collect()
    }
}
