//! Which device: by name, or the best that is safe here.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{
    Backend, CudaBackend, CudaKind, CudaOptions, DeviceContext, DmaHeapBackend, HostBackend, HostOptions,
    RknpuBackend, SharedBackend, UdmabufBackend, rknpu::DomainId,
};
use crate::{
    error::{Error, Result},
    system::{BackEndKind, DetectedBoard, Vendor},
};

/// A device by its kind and what that kind wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// Ordinary RAM.
    Host(HostOptions),
    /// A dma-heap by name, or the best there is.
    DmaHeap {
        /// The heap's name: `"system"`.
        heap: Option<String>,
    },
    /// Ordinary RAM made into a dma-buf.
    Udmabuf,
    /// NVIDIA's driver.
    Cuda {
        /// The device's number.
        ordinal: u32,
        /// The kind of memory.
        kind: CudaKind,
        /// The driver's library, where it is not the usual one.
        library: Option<PathBuf>,
    },
    /// Rockchip's NPU driver itself.
    Rknpu {
        /// The domain slabs are taken in; 0 by default.
        domain: Option<DomainId>,
    },
}

impl DeviceChoice {
    /// The kind of its memory.
    #[must_use]
    pub const fn kind(&self) -> BackEndKind {
        match self {
            Self::Host(_) => BackEndKind::Host,
            Self::DmaHeap { .. } => BackEndKind::DmaHeap,
            Self::Udmabuf => BackEndKind::Udmabuf,
            Self::Cuda { .. } => BackEndKind::Cuda,
            Self::Rknpu { .. } => BackEndKind::Rknpu,
        }
    }

    /// Opens the device, or gives the one that this process has open already.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`] with the reason, and the line that mends it where there is one;
    /// [`Error::Busy`] when another process has an NPU.
    pub fn open(&self, context: &DeviceContext) -> Result<SharedBackend> {
        static OPEN: Mutex<Option<HashMap<DeviceChoice, Weak<dyn Backend>>>> = Mutex::new(None);
        if !context.root.is_this_machine() || *context != DeviceContext::default() {
            return self.open_anew(context);
        }
        // Held meanwhile: two who ask at once get one device, and an NPU lets nobody in twice.
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        if let Some(backend) = open.get(self).and_then(Weak::upgrade) {
            return Ok(backend);
        }
        let backend = self.open_anew(context)?;
        open.retain(|_, backend| backend.strong_count() > 0);
        open.insert(self.clone(), Arc::downgrade(&backend));
        Ok(backend)
    }

    fn open_anew(&self, context: &DeviceContext) -> Result<SharedBackend> {
        let context = context.clone();
        Ok(match self {
            Self::Host(options) => Arc::new(HostBackend::with_options(context, *options)),
            Self::DmaHeap { heap } => Arc::new(DmaHeapBackend::open(context, heap.as_deref())?),
            Self::Udmabuf => Arc::new(UdmabufBackend::open(context)?),
            Self::Cuda { ordinal, kind, library } => Arc::new(CudaBackend::open(CudaOptions {
                ordinal: *ordinal,
                kind: *kind,
                library: library.clone(),
                context,
                ..CudaOptions::default()
            })?),
            Self::Rknpu { domain } => open_npu(context, *domain)?,
        })
    }
}

/// The NPU in a domain. It lets a process in once, so all its domains share what was opened first.
fn open_npu(context: DeviceContext, domain: Option<DomainId>) -> Result<Arc<RknpuBackend>> {
    static OPEN: Mutex<Vec<Weak<RknpuBackend>>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|npu| npu.strong_count() > 0);
    let known = open.iter().find_map(Weak::upgrade).map(|npu| (*npu).clone());
    let npu = match (known, domain) {
        (None, None) => RknpuBackend::open(context)?,
        (None, Some(domain)) => RknpuBackend::open(context)?.in_domain(domain)?,
        (Some(npu), domain) => npu.in_domain(domain.unwrap_or_default())?,
    };
    let npu = Arc::new(npu);
    open.push(Arc::downgrade(&npu));
    Ok(npu)
}

/// A device that was chosen, and why not another.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chosen {
    /// The device.
    pub backend: SharedBackend,
    /// The kinds that were passed over, each with its reason.
    pub passed_over: Vec<(BackEndKind, String)>,
}

/// The best device that is safe: CUDA where there is a GPU of NVIDIA's, a dma-heap on a board of Rockchip's, whose NPU
/// imports such buffers, and else ordinary RAM. Rockchip's own NPU driver is taken by name only.
///
/// # Errors
///
/// [`Error::Io`] when not even RAM can be taken, for the machine's memory cannot be read.
pub fn choose_device(context: &DeviceContext) -> Result<Chosen> {
    let mut passed_over = vec![
        (BackEndKind::Rknpu, "it is taken by name only: two programs at once have crashed boards".to_owned()),
        (
            BackEndKind::Udmabuf,
            "it is taken by name only: for buffers of drivers that a cgroup must count".to_owned(),
        ),
    ];
    let is_rockchip = DetectedBoard::read(&context.root).vendor == Some(Vendor::Rockchip);
    let cuda = DeviceChoice::Cuda { ordinal: 0, kind: CudaKind::default(), library: None };
    match cuda.open(context) {
        Ok(backend) => return Ok(Chosen::before_others(backend, passed_over)),
        Err(error) => passed_over.push((BackEndKind::Cuda, reason(error))),
    }
    if is_rockchip {
        match (DeviceChoice::DmaHeap { heap: None }).open(context) {
            Ok(backend) => return Ok(Chosen::before_others(backend, passed_over)),
            Err(error) => passed_over.push((BackEndKind::DmaHeap, reason(error))),
        }
    } else {
        let why = "nothing on this board is known to import its buffers".to_owned();
        passed_over.push((BackEndKind::DmaHeap, why));
    }
    let backend = DeviceChoice::Host(HostOptions::default()).open(context)?;
    Ok(Chosen::before_others(backend, passed_over))
}

impl Chosen {
    /// A device, with the kinds that were not reached beside those that were passed over.
    fn before_others(backend: SharedBackend, mut passed_over: Vec<(BackEndKind, String)>) -> Self {
        let chosen = backend.kind();
        for kind in [BackEndKind::DmaHeap, BackEndKind::Host] {
            if kind != chosen && passed_over.iter().all(|(passed, _)| *passed != kind) {
                passed_over.push((kind, format!("{} comes before it, and is there", chosen.name())));
            }
        }
        Self { backend, passed_over }
    }
}

fn reason(error: Error) -> String {
    match error {
        Error::DeviceUnavailable { reason, .. } => reason,
        other => other.to_string(),
    }
}
