//! The native half of `Device`.

use std::any::Any;

use napi::{Env, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    device::{
        BackEndKind, CudaBackend, CudaKind, DeviceChoice, DeviceContext, DeviceUsage as CoreUsage,
        HostOptions, HostSource, HugePageUse, Limits, PassedOver as CorePassedOver, RknpuBackend,
        SharedBackend, choose_device, likely_device as core_likely_device, rknpu::DomainId,
    },
};

use super::{cuda::CudaInfo, rknpu::planned};
use crate::{
    mirror::{Cross, kind_of, mirror},
    system::root_at,
    work::Work,
};

/// A device that memory can be taken from.
#[napi]
pub struct NativeDevice {
    backend: SharedBackend,
    passed_over: Vec<CorePassedOver>,
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

mirror! {
    /// What a device can and cannot do.
    #[allow(clippy::struct_excessive_bools)] // Each is a property of its own.
    pub struct DeviceLimits of Limits {
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
}

mirror! {
    /// What a device has given out in this process, and what it says of itself.
    pub struct DeviceUsage of CoreUsage {
        /// Bytes of slabs taken now.
        pub used_bytes: f64,
        /// The most there ever were at once.
        pub peak_bytes: f64,
        /// Slabs taken now.
        pub slab_count: f64,
        /// Slabs ever taken.
        pub allocated_count: f64,
        /// Requests that were refused, by the machine's headroom or by the driver.
        pub refused_count: f64,
        /// All the memory of the device, in bytes, where it says so.
        pub total_bytes: Option<f64>,
        /// What it could still give, in bytes, where it is known.
        pub free_bytes: Option<f64>,
        /// The largest slab it could still give, in bytes, where it is known.
        pub largest_free_bytes: Option<f64>,
    }
}

mirror! {
    /// A kind of device that was not chosen.
    pub struct PassedOver of CorePassedOver {
        /// The kind.
        pub kind: BackEndKind as "'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'",
        /// Why.
        pub reason: String,
    }
}

/// What `'auto'` would take, and what it would not.
#[napi(object, object_from_js = false)]
pub struct LikelyDevice {
    /// The kind that it would take.
    #[napi(ts_type = "'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'")]
    pub kind: String,
    /// The kinds that it would pass over, each with its reason.
    pub passed_over: Vec<PassedOver>,
}

/// What `'auto'` would take if every back end that seems to be there can be opened.
#[napi(catch_unwind)]
#[must_use]
pub fn likely_device(root: Option<String>) -> LikelyDevice {
    let (kind, passed_over) = core_likely_device(&root_at(root));
    LikelyDevice { kind: kind.name().to_owned(), passed_over: passed_over.cross() }
}

impl NativeDeviceOptions {
    fn choice(&self) -> CoreResult<DeviceChoice> {
        Ok(match kind_of("kind", &self.kind)? {
            BackEndKind::Host => DeviceChoice::Host(HostOptions {
                source: if self.memory_file == Some(true) {
                    HostSource::MemoryFile
                } else {
                    HostSource::Anonymous
                },
                huge_pages: self
                    .huge_pages
                    .as_deref()
                    .map_or(Ok(HugePageUse::default()), |name| kind_of("hugePages", name))?,
                lock: self.lock == Some(true),
            }),
            BackEndKind::DmaHeap => DeviceChoice::DmaHeap { heap: self.heap.clone() },
            BackEndKind::Udmabuf => DeviceChoice::Udmabuf,
            BackEndKind::Cuda => DeviceChoice::Cuda {
                ordinal: self.ordinal.unwrap_or(0),
                kind: self
                    .memory
                    .as_deref()
                    .map_or(Ok(CudaKind::default()), |name| kind_of("memory", name))?,
                library: self.library.as_ref().map(Into::into),
            },
            BackEndKind::Rknpu => DeviceChoice::Rknpu { domain: self.domain.map(DomainId::new).transpose()? },
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
        self.backend.limits().into()
    }

    #[napi(catch_unwind)]
    pub fn usage(&self) -> DeviceUsage {
        self.backend.usage().into()
    }

    /// What the device is, where it is one of CUDA's.
    #[napi(catch_unwind)]
    pub fn cuda_info(&self) -> Option<CudaInfo> {
        self.backend_as::<CudaBackend>().map(|cuda| cuda.info().clone().into())
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
        self.passed_over.clone().cross()
    }
}
