//! The NPU's memory as a back end.

use std::{
    collections::BTreeMap,
    os::fd::BorrowedFd,
    sync::{Arc, Mutex},
};

use super::{
    Alignment, DomainId, RknpuImport, RknpuInfo, WINDOW_BYTES, Window,
    domains::{self, Domain},
    memory::RknpuMemory,
    npu::{self, Npu},
    owner::Owner,
};
use crate::device::{
    BackEndKind, Backend, Charge, DeviceContext, DeviceMemory, DeviceUsage, Limits, Request,
    kernel::{Kernel, RealKernel},
};
use crate::{
    error::{Error, Result},
    sync::lock,
    units::MIB,
};

/// The NPU of a Rockchip board, and one of its domains.
///
/// The device is open, locked against other processes and served by a thread of its own from [`open`](Self::open) until
/// this, every slab and every import is dropped. Slabs are zeroed, cached by the processor (so views need
/// [`sync`](DeviceMemory::sync)), and can be exported; an exported descriptor keeps the memory, and its place in the
/// window, beyond the slab.
#[derive(Debug, Clone)]
pub struct RknpuBackend {
    name: String,
    kernel: Arc<dyn Kernel>,
    owner: Arc<Owner<Npu>>,
    context: DeviceContext,
    alignment: Alignment,
    /// How many domains the driver has: all of them, or the one of the older drivers.
    domain_count: usize,
    domain: Arc<Domain>,
    domains: Arc<Mutex<BTreeMap<DomainId, Arc<Domain>>>>,
}

impl RknpuBackend {
    /// Opens the NPU, in domain 0.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`] when there is none that this process may use; [`Error::Busy`], with the process,
    /// when one has it open through this crate; [`Error::Device`] when its driver refuses to say who it is.
    pub fn open(context: DeviceContext) -> Result<Self> {
        Self::open_on(Arc::new(RealKernel), context)
    }

    /// The same on a kernel of the caller's.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    #[doc(hidden)] // A test stands in for the driver; programs have one kernel.
    pub fn open_on(kernel: Arc<dyn Kernel>, context: DeviceContext) -> Result<Self> {
        let (its_kernel, its_context) = (kernel.clone(), context.clone());
        let owner = Owner::start(move || Npu::open(its_kernel, &its_context))?;
        let (alignment, domain_count) = owner.call(|npu| (npu.alignment(), npu.domain_count()))?;
        let backend = Self {
            name: String::new(),
            kernel,
            owner: Arc::new(owner),
            context,
            alignment,
            domain_count,
            domain: Arc::default(),
            domains: Arc::default(),
        };
        Ok(backend.of(DomainId::default()))
    }

    /// The same NPU, taking slabs in another domain.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`] when the driver is one of the older ones, with one domain only.
    pub fn in_domain(&self, domain: DomainId) -> Result<Self> {
        self.owner.call(move |npu| npu.check_domain(domain)).flatten()?;
        Ok(self.of(domain))
    }

    fn of(&self, domain: DomainId) -> Self {
        let number = if domain == DomainId::default() { String::new() } else { format!(":{domain}") };
        Self { name: format!("rknpu{number}"), domain: self.domain_with(domain), ..self.clone() }
    }

    fn domain_with(&self, domain: DomainId) -> Arc<Domain> {
        let mut domains = lock(&self.domains);
        domains.entry(domain).or_insert_with(|| Arc::new(Domain::new(domain))).clone()
    }

    /// The domain that slabs are taken in.
    #[must_use]
    pub fn domain(&self) -> DomainId {
        self.domain.id
    }

    /// What the driver says of itself now.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with the driver's code.
    pub fn info(&self) -> Result<RknpuInfo> {
        self.owner.call(|npu| npu.info()).flatten()
    }

    /// Makes this domain the live one, the one whose buffers the NPU sees. Taking, syncing and freeing a slab do so
    /// too. It waits up to 6 seconds for jobs that hold another.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when the jobs do not end in time.
    pub fn make_live(&self) -> Result<()> {
        let domain = self.domain();
        self.owner.call(move |npu| npu.switch_to(domain)).flatten()
    }

    /// The addresses of this domain, as this process has filled them.
    #[must_use]
    pub fn window(&self) -> Window {
        self.domain.window().clone()
    }

    /// Which domain each further buffer should go to, beside what this process has already; see [`plan()`](super::plan()).
    ///
    /// # Errors
    ///
    /// As [`plan()`](super::plan()).
    pub fn plan(&self, sizes: &[u64]) -> Result<Vec<DomainId>> {
        let domains = DomainId::all().take(self.domain_count);
        let windows: Vec<_> = domains.map(|id| self.domain_with(id).window().clone()).collect();
        domains::plan_into(&windows, sizes, self.alignment)
    }

    /// Gives a dma-buf an address of the NPU, in domain 0, where the driver puts them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] from a back end of another domain; [`Error::Busy`] for a slab of this NPU, or for what
    /// is imported already; [`Error::Device`] with the driver's code.
    pub fn import(&self, dma_buf: BorrowedFd<'_>) -> Result<RknpuImport> {
        if self.domain() != DomainId::default() {
            return Err(Error::invalid_argument("domain", "0 for an import", self.domain().to_string()));
        }
        let fd = dma_buf.try_clone_to_owned().map_err(|source| {
            Error::device(self.name(), source.raw_os_error(), "dup", "the descriptor cannot be kept")
        })?;
        let domain = self.domain.clone();
        let taken = self.owner.call(move |npu| npu.import(&fd, &domain)).flatten()?;
        Ok(RknpuImport::new(self.owner.clone(), taken))
    }
}

impl Backend for RknpuBackend {
    fn kind(&self) -> BackEndKind {
        BackEndKind::Rknpu
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits {
            granule_bytes: npu::granule_bytes(),
            slab_bytes: 64 * MIB,
            largest_bytes: Some(256 * MIB),
            powers_of_two: true,
            zeroed: true,
            mappable: true,
            needs_sync: true,
            exportable: true,
            system_memory: true,
        }
    }

    fn is_of_this_machine(&self) -> bool {
        self.limits().system_memory && self.context.is_of_this_machine()
    }

    /// Takes whole pages. A pool asks for powers of two between the [`limits`](Self::limits); a larger slab is had as
    /// long as a hole for it exists, and is refused before the driver is asked where none does.
    fn take(&self, request: &Request<'_>) -> Result<Box<dyn DeviceMemory>> {
        let (context, domain) = (self.context.clone(), self.domain.clone());
        let (label, bytes, promised) = (request.label.to_owned(), request.bytes, request.promised);
        let take =
            move |npu: &mut Npu| npu.take(&context, &Request { bytes, label: &label, promised }, &domain);
        let taken = self.owner.call(take).flatten().inspect_err(|_| self.domain.meter.refuse())?;
        Ok(Box::new(RknpuMemory::new(self.kernel.clone(), self.owner.clone(), taken)))
    }

    fn remarks(&self) -> Vec<String> {
        vec!["librknnrt takes no lock: take and free no memory of the NPU while it runs a model".to_owned()]
    }

    fn check_headroom(&self, request: &Request<'_>) -> Result<()> {
        self.context.check_headroom(request, Charge::Process)
    }

    /// The device's figures are those of this domain's window.
    fn usage(&self) -> DeviceUsage {
        let window = self.domain.window();
        DeviceUsage {
            total_bytes: Some(WINDOW_BYTES),
            free_bytes: Some(window.free_bytes()),
            largest_free_bytes: Some(window.largest_hole_bytes(self.alignment)),
            ..self.domain.meter.usage()
        }
    }
}
