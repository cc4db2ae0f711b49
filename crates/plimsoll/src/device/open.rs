//! Which device: by name, or the best that is safe here.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, Weak},
};

use super::{
    Backend, CudaBackend, CudaKind, CudaOptions, DeviceContext, DmaHeapBackend, HostBackend, HostOptions,
    RknpuBackend, SharedBackend, UdmabufBackend, rknpu::DomainId,
};
use crate::{
    error::{Error, Result},
    sync::lock,
    system::{BackEndKind, DetectedBoard, SystemRoot, Vendor, back_ends},
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
        static OPEN: OpenDevices = OpenDevices::new();
        if !context.root.is_this_machine() || *context != DeviceContext::default() {
            return self.open_anew(context);
        }
        OPEN.get_or_open(self, || self.open_anew(context))
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

/// One device, once it is open. Whoever opens it holds the lock meanwhile: two who ask at once get the same.
type Place = Arc<Mutex<Option<Weak<dyn Backend>>>>;

/// The devices that are open in this process.
struct OpenDevices(Mutex<Option<HashMap<DeviceChoice, Place>>>);

impl OpenDevices {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The device of that choice, opened if it is not; which keeps no other device from being opened.
    fn get_or_open(
        &self,
        choice: &DeviceChoice,
        open: impl FnOnce() -> Result<SharedBackend>,
    ) -> Result<SharedBackend> {
        let place = self.place(choice);
        let mut device = lock(&place);
        if let Some(backend) = device.as_ref().and_then(Weak::upgrade) {
            return Ok(backend);
        }
        let backend = open()?;
        *device = Some(Arc::downgrade(&backend));
        Ok(backend)
    }

    fn place(&self, choice: &DeviceChoice) -> Place {
        let mut places = lock(&self.0);
        let places = places.get_or_insert_default();
        // Places are lent out under this lock alone: nobody holds one that is held here only.
        places.retain(|_, place| {
            Arc::strong_count(place) > 1 || lock(place).as_ref().is_some_and(|it| it.strong_count() > 0)
        });
        places.entry(choice.clone()).or_default().clone()
    }
}

/// The NPU in a domain. It lets a process in once, so all its domains share what was opened first.
fn open_npu(context: DeviceContext, domain: Option<DomainId>) -> Result<Arc<RknpuBackend>> {
    static OPEN: Mutex<Vec<Weak<RknpuBackend>>> = Mutex::new(Vec::new());
    let mut open = lock(&OPEN);
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
    /// The kinds that were passed over.
    pub passed_over: Vec<PassedOver>,
}

/// A kind of device that was not chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The kind.
    pub kind: BackEndKind,
    /// Why.
    pub reason: String,
}

impl PassedOver {
    fn new(kind: BackEndKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// One that was not tried, as another before it was there.
    fn after(chosen: BackEndKind, kind: BackEndKind) -> Self {
        Self::new(kind, format!("{} comes before it, and is there", chosen.name()))
    }
}

/// The best device that is safe: CUDA where there is a GPU of NVIDIA's, a dma-heap on a board of Rockchip's, whose NPU
/// imports such buffers, and else ordinary RAM. Rockchip's own NPU driver is taken by name only.
///
/// # Errors
///
/// [`Error::Io`] when not even RAM can be taken, for the machine's memory cannot be read.
pub fn choose_device(context: &DeviceContext) -> Result<Chosen> {
    let vendor = DetectedBoard::read(&context.root).vendor;
    let (opened, passed_over) = choose(vendor, |kind| {
        let choice = match kind {
            BackEndKind::Cuda => DeviceChoice::Cuda { ordinal: 0, kind: CudaKind::default(), library: None },
            _ => DeviceChoice::DmaHeap { heap: None },
        };
        choice.open(context).map_err(reason)
    });
    let backend = match opened {
        Some(backend) => backend,
        None => DeviceChoice::Host(HostOptions::default()).open(context)?,
    };
    Ok(Chosen { backend, passed_over })
}

/// The kind that [`choose_device`] would take on a machine if every back end that seems to be there can be opened, and the
/// kinds that it would pass over. Nothing is opened.
#[must_use]
pub fn likely_device(root: &SystemRoot) -> (BackEndKind, Vec<PassedOver>) {
    let found = back_ends(root);
    let (kind, passed_over) = choose(DetectedBoard::read(root).vendor, |kind| {
        let state = found.iter().find(|back_end| back_end.kind == kind).map(|back_end| &back_end.state);
        match state {
            Some(Ok(_)) => Ok(kind),
            Some(Err(obstacle)) => Err(obstacle.why.clone()),
            None => Err("no reason is known".to_owned()),
        }
    });
    (kind.unwrap_or(BackEndKind::Host), passed_over)
}

/// The order in which kinds are tried before ordinary RAM, and those that are not: what the first was that could be had, if
/// one could, and why not each of the others.
fn choose<T>(
    vendor: Option<Vendor>,
    mut take: impl FnMut(BackEndKind) -> std::result::Result<T, String>,
) -> (Option<T>, Vec<PassedOver>) {
    let mut passed_over = vec![
        PassedOver::new(
            BackEndKind::Rknpu,
            "it is taken by name only: two programs at once have crashed boards",
        ),
        PassedOver::new(
            BackEndKind::Udmabuf,
            "it is taken by name only: for buffers of drivers that a cgroup must count",
        ),
    ];
    let mut taken: Option<(BackEndKind, T)> = None;
    for kind in [BackEndKind::Cuda, BackEndKind::DmaHeap] {
        if let Some((chosen, _)) = &taken {
            passed_over.push(PassedOver::after(*chosen, kind));
        } else if kind == BackEndKind::DmaHeap && vendor != Some(Vendor::Rockchip) {
            passed_over.push(PassedOver::new(kind, "nothing on this board is known to import its buffers"));
        } else {
            match take(kind) {
                Ok(got) => taken = Some((kind, got)),
                Err(reason) => passed_over.push(PassedOver::new(kind, reason)),
            }
        }
    }
    if let Some((chosen, _)) = &taken {
        passed_over.push(PassedOver::after(*chosen, BackEndKind::Host));
    }
    (taken.map(|(_, got)| got), passed_over)
}

fn reason(error: Error) -> String {
    match error {
        Error::DeviceUnavailable { reason, .. } => reason,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
            mpsc::channel,
        },
        thread,
        time::Duration,
    };

    fn host() -> SharedBackend {
        Arc::new(HostBackend::new(DeviceContext::default()))
    }

    const OTHER: DeviceChoice = DeviceChoice::Udmabuf;
    const HEAP: DeviceChoice = DeviceChoice::DmaHeap { heap: None };

    #[test]
    fn a_device_that_takes_its_time_to_open_keeps_no_other_from_opening() {
        static OPEN: OpenDevices = OpenDevices::new();
        let ((asked, is_asked), (answer, answered)) = (channel(), channel());
        let slow = thread::spawn(move || {
            OPEN.get_or_open(&HEAP, || {
                asked.send(()).unwrap();
                answered.recv().unwrap();
                Ok(host())
            })
        });
        is_asked.recv().unwrap();
        let (done, is_done) = channel();
        let quick =
            thread::spawn(move || OPEN.get_or_open(&OTHER, || Ok(host())).map(|_| done.send(()).unwrap()));
        let came = is_done.recv_timeout(Duration::from_mins(1));
        answer.send(()).unwrap();
        slow.join().unwrap().unwrap();
        quick.join().unwrap().unwrap();
        assert!(came.is_ok(), "it waited for the other device");
    }

    #[test]
    fn a_device_is_opened_once_and_again_only_when_nobody_has_it() {
        static OPEN: OpenDevices = OpenDevices::new();
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let counted = || {
            OPENED.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
            Ok(host())
        };
        let together = Arc::new(Barrier::new(8));
        let askers = [(); 8].map(|()| {
            let together = together.clone();
            thread::spawn(move || {
                together.wait();
                OPEN.get_or_open(&HEAP, counted).unwrap()
            })
        });
        let devices = askers.map(|asker| asker.join().unwrap());
        assert!(devices.iter().all(|device| Arc::ptr_eq(device, &devices[0])));
        assert_eq!(OPENED.load(Ordering::Relaxed), 1);
        drop(devices);
        OPEN.get_or_open(&HEAP, counted).unwrap();
        assert_eq!(OPENED.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_device_that_did_not_open_is_tried_anew() {
        let open = OpenDevices::new();
        assert!(open.get_or_open(&HEAP, || Err(Error::Cancelled)).is_err());
        open.get_or_open(&HEAP, || Ok(host())).unwrap();
        assert_eq!(open.0.lock().unwrap().as_ref().map(HashMap::len), Some(1));
    }
}
