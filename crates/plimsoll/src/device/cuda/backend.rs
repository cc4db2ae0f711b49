//! A CUDA device as a back end.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    CudaChunks, CudaInfo, CudaKind, CudaOptions, CudaStaging,
    block::{Block, Storage},
    chunks::Chunking,
    codes::OUT_OF_MEMORY,
    driver::{Current, Driver},
    memory::CudaMemory,
    table::{Table, unavailable},
};
use crate::{
    budget::Admission,
    device::{
        BackEndKind, Backend, Charge, DeviceContext, DeviceMemory, DeviceUsage, Limits, Meter, Request,
        Staging, admission::insufficient,
    },
    error::{Error, Result},
    system::DetectedBoard,
    units::{MIB, format_bytes},
};

const SUGGESTION: &str = "Ask for it in several slabs, or release something first; on Jetson the driver's memory stays \
                          in pieces when programs end, and a restart mends that";

/// One kind of memory of one CUDA device.
///
/// Opening it retains the device's primary context, the one that the CUDA runtime uses too; the back end, its slabs and
/// its staging hold it together, and the last of them to go releases it. No context is left current on any thread.
///
/// ```no_run
/// use plimsoll::device::{Backend, CudaBackend, CudaOptions, Request};
/// let gpu = CudaBackend::open(CudaOptions::default())?;
/// let slab = gpu.take(&Request::new(64 << 20, "weights"))?;
/// slab.write(0, b"GGUF")?;
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug)]
pub struct CudaBackend {
    shared: Arc<Shared>,
    meter: Meter,
}

/// What a back end, its slabs and its staging hold together.
#[derive(Debug)]
pub(super) struct Shared {
    pub driver: Driver,
    pub info: CudaInfo,
    pub kind: CudaKind,
    pub chunking: Option<Chunking>,
    /// Why a slab was first taken in one piece though chunks were wanted.
    pub refused_chunks: OnceLock<String>,
    context: DeviceContext,
    /// What the device said of its memory when it was last asked.
    free_bytes: AtomicU64,
    device_bytes: AtomicU64,
}

impl CudaBackend {
    /// Opens a device.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`] when there is no driver, when it does not start, when there is no device of that
    /// number, or when the device has no memory of that kind; [`Error::Device`] when the driver gives no context.
    pub fn open(options: CudaOptions) -> Result<Self> {
        let table = Table::open(options.library.as_deref())?;
        let (device, info) = CudaInfo::read(&table, options.ordinal)?;
        check_kind(&info, options.kind)?;
        let driver = Driver::retain(table, name_of(options.ordinal, options.kind), device)?;
        let chunked = options.kind == CudaKind::Device
            && match options.chunks {
                CudaChunks::Auto => info.integrated,
                CudaChunks::Preferred => true,
                CudaChunks::Never => false,
            };
        let current = driver.enter()?;
        let chunking = if chunked { Chunking::of(&current, &info) } else { None };
        let (free_bytes, device_bytes) = current.memory_info()?;
        drop(current);
        let shared = Shared {
            context: with_rule_of_driver(options.context, &info),
            kind: options.kind,
            driver,
            info,
            chunking,
            refused_chunks: OnceLock::new(),
            free_bytes: free_bytes.into(),
            device_bytes: device_bytes.into(),
        };
        // No resident memory shows what a driver has taken, where that is the machine's RAM.
        let is_ram = shared.charge(shared.kind).is_some();
        let meter = if is_ram { Meter::unseen() } else { Meter::default() };
        Ok(Self { shared: Arc::new(shared), meter })
    }

    /// What the device is.
    #[must_use]
    pub fn info(&self) -> &CudaInfo {
        &self.shared.info
    }

    /// The kind of memory it gives.
    #[must_use]
    pub fn memory_kind(&self) -> CudaKind {
        self.shared.kind
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn try_take(&self, request: &Request<'_>) -> Result<CudaMemory> {
        request.check_size()?;
        let shared = &self.shared;
        let bytes = request.bytes.next_multiple_of(self.limits().granule_bytes);
        let storage = shared.take(request, shared.kind, bytes)?;
        let block = Block::new(Arc::clone(shared), storage, bytes, Some(self.meter.enter(bytes)));
        Ok(CudaMemory { block: Arc::new(block) })
    }
}

impl Backend for CudaBackend {
    fn kind(&self) -> BackEndKind {
        BackEndKind::Cuda
    }

    fn name(&self) -> &str {
        &self.shared.driver.name
    }

    fn limits(&self) -> Limits {
        let Shared { info, kind, chunking, .. } = &*self.shared;
        let page_bytes = rustix::param::page_size() as u64;
        Limits {
            granule_bytes: chunking.map_or(page_bytes, |chunking| chunking.granularity_bytes.max(page_bytes)),
            slab_bytes: 32 * MIB,
            largest_bytes: (*kind == CudaKind::Device).then_some(info.total_bytes),
            powers_of_two: false,
            zeroed: false,
            mappable: match kind {
                CudaKind::Device => false,
                CudaKind::Pinned => true,
                CudaKind::Managed => info.concurrent_managed_access,
            },
            needs_sync: false,
            exportable: self.shared.exports_dma_bufs() || (chunking.is_some() && info.posix_handles),
            system_memory: self.shared.charge(*kind).is_some(),
        }
    }

    /// Memory of a GPU that has its own is not measured against the machine's headroom: its driver refuses what it has
    /// not got, and `pending_bytes`, which are the machine's, say nothing of it.
    fn is_of_this_machine(&self) -> bool {
        self.limits().system_memory && self.shared.context.is_of_this_machine()
    }

    fn take(&self, request: &Request<'_>) -> Result<Box<dyn DeviceMemory>> {
        match self.try_take(request) {
            Ok(memory) => Ok(Box::new(memory)),
            Err(error) => {
                self.meter.refuse();
                Err(error)
            }
        }
    }

    fn staging(&self, window_bytes: u64) -> Result<Option<Box<dyn Staging>>> {
        Ok(Some(Box::new(CudaStaging::new(self, window_bytes)?)))
    }

    fn admit(&self, request: &Request<'_>) -> Result<()> {
        match self.shared.charge(self.shared.kind) {
            Some(charge) => self.shared.context.admit(request, charge),
            None => request.check_size(),
        }
    }

    /// What is free is read from the machine where the memory is the machine's; a device's own memory as the driver had
    /// it when a slab was last taken or given back.
    fn usage(&self) -> DeviceUsage {
        let shared = &self.shared;
        let usage = self.meter.usage();
        let Some(charge) = shared.charge(shared.kind) else {
            let free_bytes = shared.free_bytes.load(Ordering::Relaxed);
            return DeviceUsage {
                total_bytes: Some(shared.device_bytes.load(Ordering::Relaxed)),
                free_bytes: Some(free_bytes),
                largest_free_bytes: Some(free_bytes),
                ..usage
            };
        };
        shared.context.with_room(usage, charge)
    }

    fn remarks(&self) -> Vec<String> {
        let why = self.shared.refused_chunks.get();
        why.map(|why| format!("slabs are taken in one piece, as chunks were refused: {why}"))
            .into_iter()
            .collect()
    }
}

impl Shared {
    /// Who pays for memory of a kind; nobody for the device's own. Memory of an integrated GPU comes from a driver that
    /// charges no cgroup.
    fn charge(&self, kind: CudaKind) -> Option<Charge> {
        match kind {
            _ if self.info.integrated => Some(Charge::Machine),
            CudaKind::Device => None,
            CudaKind::Pinned | CudaKind::Managed => Some(Charge::Process),
        }
    }

    /// Takes pinned memory beside the slabs: for staging, whatever kind the back end gives.
    pub fn take_pinned(self: &Arc<Self>, request: &Request<'_>) -> Result<Block> {
        let storage = self.take(request, CudaKind::Pinned, request.bytes)?;
        Ok(Block::new(Arc::clone(self), storage, request.bytes, None))
    }

    /// Asks the driver, after the machine where the memory is the machine's.
    fn take(&self, request: &Request<'_>, kind: CudaKind, bytes: u64) -> Result<Storage> {
        // A lock that another thread held at the fork is never given back in the child.
        self.driver.check_process()?;
        let charge = self.charge(kind);
        let ask = || {
            let current = self.driver.enter()?;
            let storage = Storage::take(self, &current, kind, bytes);
            self.look_at_memory(&current);
            storage
        };
        let taken = match charge {
            Some(charge) => self.context.admit_and(request, charge, ask),
            None => self.check_total(request).and_then(|()| ask()),
        };
        taken.map_err(|error| self.refusal(request, charge, error))
    }

    /// More than the device has at all is not asked for.
    fn check_total(&self, request: &Request<'_>) -> Result<()> {
        let total_bytes = self.device_bytes.load(Ordering::Relaxed);
        if request.bytes <= total_bytes {
            return Ok(());
        }
        let why = format!("{} has {} in all", self.driver.name, format_bytes(total_bytes));
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        Err(insufficient(request, (free_bytes, free_bytes), why, SUGGESTION))
    }

    /// Keeps what the device has free now, so that nobody who asks later waits for the device. Of memory that is the
    /// machine's, the machine tells more than the driver.
    pub fn look_at_memory(&self, current: &Current<'_>) {
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
    fn refusal(&self, request: &Request<'_>, charge: Option<Charge>, error: Error) -> Error {
        let Error::Device { errno: Some(OUT_OF_MEMORY), call, meaning, .. } = &error else { return error };
        let says = format!("{call} says {meaning}");
        if let Some(charge) = charge {
            return self.context.exhausted(request, charge, says, SUGGESTION);
        }
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        let sizes = (free_bytes, free_bytes.min(request.bytes.saturating_sub(1)));
        let why = format!("{} has {} free, and {says}", self.driver.name, format_bytes(free_bytes));
        insufficient(request, sizes, why, SUGGESTION)
    }

    /// On Tegra it is pinned memory that can be exported, elsewhere the device's own. Source: `cuda.h` of CUDA 12.9, at
    /// `cuMemGetHandleForAddressRange`.
    pub fn exports_dma_bufs(&self) -> bool {
        let exported = if self.info.integrated { CudaKind::Pinned } else { CudaKind::Device };
        self.info.dma_buf && self.kind == exported
    }
}

fn name_of(ordinal: u32, kind: CudaKind) -> String {
    match kind {
        CudaKind::Device => format!("cuda:{ordinal}"),
        kind => format!("cuda:{ordinal}:{}", kind.name()),
    }
}

fn check_kind(info: &CudaInfo, kind: CudaKind) -> Result<()> {
    let has = match kind {
        CudaKind::Device => true,
        CudaKind::Pinned => info.can_map_host_memory,
        CudaKind::Managed => info.managed_memory,
    };
    if has { Ok(()) } else { Err(unavailable(format!("{} has no {} memory", info.name, kind.name()))) }
}

/// On an integrated GPU memory is given by nvmap, which has a rule of its own for each single piece.
fn with_rule_of_driver(mut context: DeviceContext, info: &CudaInfo) -> DeviceContext {
    if info.integrated && context.headroom.admission.is_none() {
        let board = DetectedBoard::read(&context.root);
        // A container may hide which board it is; the newer rule costs a thousandth. GB10 is known, and has no nvmap.
        let unknown = board.soc.is_none().then_some(Admission::Nvmap { before_5_15: false });
        context.headroom.admission = Admission::of_board(&board).or(unknown);
    }
    context
}
