//! A CUDA device as a back end.

use std::sync::{Arc, OnceLock, atomic::Ordering};

use super::{
    CudaChunks, CudaInfo, CudaKind, CudaOptions, CudaStaging,
    block::{CudaBlock, Storage},
    chunks::Chunking,
    driver::Driver,
    memory::CudaMemory,
    shared::CudaShared,
    table::{CudaTable, unavailable},
};
use crate::{
    budget::DriverRule,
    device::{
        BackEndKind, Backend, DeviceContext, DeviceMemory, DeviceUsage, Limits, Meter, Request, Staging,
    },
    error::Result,
    system::DetectedBoard,
    units::MIB,
};

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
    shared: Arc<CudaShared>,
    meter: Meter,
}

impl CudaBackend {
    /// Opens a device.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`](crate::Error::DeviceUnavailable) when there is no driver, when it does not start, when
    /// there is no device of that number, or when the device has no memory of that kind;
    /// [`Error::Device`](crate::Error::Device) when the driver gives no context.
    pub fn open(options: CudaOptions) -> Result<Self> {
        let table = CudaTable::open(options.library.as_deref())?;
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
        let shared = CudaShared {
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

    fn try_take(&self, request: &Request<'_>) -> Result<CudaMemory> {
        request.check_size()?;
        let shared = &self.shared;
        let bytes = request.bytes.next_multiple_of(self.limits().granule_bytes);
        let storage = Storage::take(shared, request, shared.kind, bytes)?;
        let block = CudaBlock::new(Arc::clone(shared), storage, bytes, Some(self.meter.count(bytes)));
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
        let CudaShared { info, kind, chunking, .. } = &*self.shared;
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
    /// not got, and what is `promised`, which is the machine's, says nothing of it.
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
        Ok(Some(Box::new(CudaStaging::over(&self.shared, window_bytes)?)))
    }

    fn check_headroom(&self, request: &Request<'_>) -> Result<()> {
        match self.shared.charge(self.shared.kind) {
            Some(charge) => self.shared.context.check_headroom(request, charge),
            None => request.check_size(),
        }
    }

    /// What is free is read from the machine where the memory is the machine's; a device's own memory as the driver had
    /// it when a slab was last taken or freed.
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

impl CudaStaging {
    /// Staging of two windows of `window_bytes` each.
    ///
    /// # Errors
    ///
    /// As [`take`](super::super::Backend::take) of pinned memory.
    pub fn new(backend: &CudaBackend, window_bytes: u64) -> Result<Self> {
        Self::over(&backend.shared, window_bytes)
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
    if info.integrated && context.headroom.driver_rule.is_none() {
        let board = DetectedBoard::read(&context.root);
        // A container may hide which board it is; the newer rule costs a thousandth. GB10 is known, and has no nvmap.
        let unknown = board.soc.is_none().then_some(DriverRule::Nvmap { before_5_15: false });
        context.headroom.driver_rule = DriverRule::of_board(&board).or(unknown);
    }
    context
}
