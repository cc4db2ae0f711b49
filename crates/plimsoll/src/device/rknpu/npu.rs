//! The open NPU: what is asked of its driver, and every buffer it has given. It lives on its owner's thread.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use rustix::io::{Errno, Result as ErrnoResult};

use super::{
    domains::{DOMAIN_COUNT, Domain, DomainId},
    drm::{self, DRIVER},
    errno::refused,
    info::RknpuInfo,
    lock::{lock, unlock},
    uapi::{Action, Command, MemCreate, MemDestroy, MemMap, MemSync, action, memory},
    window::{Alignment, PAGE_BYTES, WINDOW_BYTES, Window},
};
use crate::{
    device::{
        Charge, DeviceContext, Metered, Request,
        ioctl::call,
        kernel::{Kernel, RawMapping},
    },
    error::{Error, Left, Result},
    units::format_bytes,
};

/// The first driver that heeds [`memory::LIMIT_IOVA_ALIGNMENT`].
const PAGE_ALIGNMENT_SINCE: [u32; 3] = [0, 9, 8];

pub(super) struct Npu {
    kernel: Arc<dyn Kernel>,
    /// Closing it releases what is left, so it comes before the buffers' places in the map.
    node: OwnedFd,
    path: PathBuf,
    version: [u32; 3],
    has_domains: bool,
    /// By handle.
    buffers: BTreeMap<u32, NpuBuffer>,
    /// Handles that are to go back. The driver may refuse that while a job holds another domain.
    leaving: Vec<u32>,
}

/// A buffer as the driver knows it. It has no `Debug`: `obj_addr` is an address of the kernel.
struct NpuBuffer {
    obj_addr: u64,
    start: u64,
    domain: Arc<Domain>,
    metered: Metered,
}

/// A buffer that was allocated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allocated {
    pub(super) handle: u32,
    /// Where the NPU sees it, while its domain is live.
    pub(super) address: u64,
    pub(super) size_bytes: u64,
}

impl Npu {
    /// Finds the node, locks it against other processes, and asks the driver who it is.
    pub(super) fn open(kernel: Arc<dyn Kernel>, context: &DeviceContext) -> Result<Self> {
        let (path, node) = drm::open_npu(&*kernel, &context.root)?;
        lock(node.as_fd())?;
        let (buffers, leaving) = (BTreeMap::new(), Vec::new());
        let mut npu = Self { kernel, node, path, version: [0; 3], has_domains: false, buffers, leaving };
        let version = npu.ask(action::GET_DRV_VERSION).map_err(|errno| refused(Action::NAME, errno))?;
        npu.version = [version / 10_000, version / 100 % 100, version % 100];
        npu.has_domains = npu.ask_if_known(action::GET_IOMMU_DOMAIN_ID)?.is_some();
        if npu.ask_if_known(action::GET_IOMMU_EN)? == Some(0) {
            return Err(Error::DeviceUnavailable {
                device: DRIVER.to_owned(),
                reason:
                    "this NPU works without its IOMMU, so its buffers must be contiguous; take dma-heap's cma"
                        .to_owned(),
            });
        }
        Ok(npu)
    }

    pub(super) fn info(&self) -> Result<RknpuInfo> {
        Ok(RknpuInfo {
            node: self.path.clone(),
            driver_version: self.version,
            has_domains: self.has_domains,
            live_domain: self.live_domain()?,
            alignment: self.alignment(),
            sram_total_bytes: self.ask_if_known(action::GET_TOTAL_SRAM_SIZE)?.map(u64::from),
            sram_free_bytes: self.ask_if_known(action::GET_FREE_SRAM_SIZE)?.map(u64::from),
        })
    }

    /// The least strict rule by which the driver places buffers.
    pub(super) fn alignment(&self) -> Alignment {
        if self.version >= PAGE_ALIGNMENT_SINCE { Alignment::Page } else { Alignment::Size }
    }

    pub(super) fn domain_count(&self) -> usize {
        if self.has_domains { DOMAIN_COUNT } else { 1 }
    }

    pub(super) fn live_domain(&self) -> Result<DomainId> {
        if !self.has_domains {
            return Ok(DomainId::default());
        }
        let id = self.ask(action::GET_IOMMU_DOMAIN_ID).map_err(|errno| refused(Action::NAME, errno))?;
        u8::try_from(id).map_err(drop).and_then(|id| DomainId::new(id).map_err(drop)).map_err(|()| {
            Error::device(
                DRIVER,
                None,
                Action::NAME,
                format!("the driver names a domain {id} that it has not"),
            )
        })
    }

    pub(super) fn switch_to(&self, domain: DomainId) -> Result<()> {
        if self.live_domain()? == domain {
            return Ok(());
        }
        self.check_domain(domain)?;
        let mut switch = Action { action: action::SET_IOMMU_DOMAIN_ID, value: domain.get().into() };
        self.command(&mut switch).map_err(|errno| refused(Action::NAME, errno))
    }

    /// Refuses domains that an old driver does not know, and would silently take for the only one.
    pub(super) fn check_domain(&self, domain: DomainId) -> Result<()> {
        if self.has_domains || domain == DomainId::default() {
            return Ok(());
        }
        Err(Error::DeviceUnavailable {
            device: format!("{DRIVER} domain {domain}"),
            reason: format!(
                "driver {} has one domain only; use domain 0",
                self.version.map(|number| number.to_string()).join(".")
            ),
        })
    }

    /// Takes a buffer of whole pages, if the machine has the memory and the domain the addresses.
    pub(super) fn take(
        &mut self,
        context: &DeviceContext,
        request: &Request<'_>,
        domain: &Arc<Domain>,
    ) -> Result<Allocated> {
        self.free_leaving();
        context.within_headroom(request, Charge::Process, || {
            let size = request.bytes.next_multiple_of(granule_bytes());
            let fit = domain.window().fit(size, self.alignment());
            let (_, alignment) = fit.ok_or_else(|| self.no_place(request, domain))?;
            let mut create = MemCreate {
                flags: flags(alignment),
                size,
                iommu_domain_id: domain.id.get().into(),
                ..MemCreate::default()
            };
            self.command(&mut create).map_err(|errno| self.not_created(errno, context, request, domain))?;
            self.accept(&create, size, domain)
        })
    }

    /// Enters a buffer that the driver has just given, unless it cannot be what was asked for.
    fn accept(&mut self, given: &MemCreate, least_bytes: u64, domain: &Arc<Domain>) -> Result<Allocated> {
        let &MemCreate { handle, size, obj_addr, dma_addr, .. } = given;
        let fits = dma_addr > 0 && dma_addr.checked_add(size).is_some_and(|end| end <= WINDOW_BYTES);
        let fresh = handle > 0 && !self.buffers.contains_key(&handle);
        if !fresh || obj_addr == 0 || size < least_bytes || !fits {
            let meaning = format!(
                "the driver gave {size} bytes, or an address beyond its window, for {least_bytes} bytes"
            );
            if fresh {
                self.free(handle);
            }
            return Err(Error::device(DRIVER, None, MemCreate::NAME, meaning));
        }
        domain.window().fill(dma_addr, size);
        let buffer = NpuBuffer {
            obj_addr,
            start: dma_addr,
            domain: domain.clone(),
            metered: domain.meter.count(size),
        };
        self.buffers.insert(handle, buffer);
        Ok(Allocated { handle, address: dma_addr, size_bytes: size })
    }

    /// Frees a buffer. Where the driver refuses, it stays in the map, and is tried again at the next occasion;
    /// closing the node ends it in any case.
    pub(super) fn free(&mut self, handle: u32) {
        self.leaving.push(handle);
        self.free_leaving();
    }

    /// The youngest first, and no further than the first refusal: each can take the driver 18 seconds. The call of DRM
    /// for handles would not be refused, but the driver then loses the memory for good.
    fn free_leaving(&mut self) {
        while let Some(handle) = self.leaving.pop() {
            if self.command(&mut MemDestroy { handle, ..MemDestroy::default() }).is_err() {
                return self.leaving.push(handle);
            }
            if let Some(buffer) = self.buffers.remove(&handle) {
                buffer.domain.window().clear(buffer.start);
            }
        }
    }

    /// Maps a buffer of this NPU.
    pub(super) fn map(&self, taken: Allocated) -> Result<RawMapping> {
        let mut map = MemMap { handle: taken.handle, ..MemMap::default() };
        self.command(&mut map).map_err(|errno| refused(MemMap::NAME, errno))?;
        let mapped = self
            .kernel
            .map(self.node.as_fd(), map.offset, taken.size_bytes as usize)
            .map_err(|errno| refused("mmap", errno))?;
        if let Some(buffer) = self.buffers.get(&taken.handle) {
            buffer.metered.seen();
        }
        Ok(mapped)
    }

    /// Brings the processor's caches and a part of a buffer in step.
    pub(super) fn sync(&self, handle: u32, direction: u32, range: Range<u64>) -> Result<()> {
        let buffer = self.buffers.get(&handle).ok_or(Error::Released { what: "a slab of the NPU" })?;
        let mut sync = MemSync {
            flags: direction,
            obj_addr: buffer.obj_addr,
            offset: range.start,
            size: range.end.saturating_sub(range.start),
            ..MemSync::default()
        };
        self.command(&mut sync).map_err(|errno| refused(MemSync::NAME, errno))
    }

    pub(super) fn export(&self, handle: u32) -> Result<OwnedFd> {
        drm::export_fd(&*self.kernel, self.node.as_fd(), handle)
            .map_err(|errno| refused("PRIME_HANDLE_TO_FD", errno))
    }

    /// Gives a buffer of another driver an address in domain 0: the driver maps it into whichever domain is live and
    /// believes later that it was 0.
    pub(super) fn import(&mut self, fd: &OwnedFd, domain: &Arc<Domain>) -> Result<Allocated> {
        self.free_leaving();
        self.switch_to(domain.id)?;
        let handle = drm::import_fd(&*self.kernel, self.node.as_fd(), fd.as_fd())
            .map_err(|errno| refused("PRIME_FD_TO_HANDLE", errno))?;
        // The same buffer has the same handle, which must not be closed twice.
        if self.buffers.contains_key(&handle) {
            return Err(Error::busy(
                "the dma-buf",
                "the NPU knows it already: it is a slab of its own, or was imported before",
            ));
        }
        let mut describe = MemCreate { handle, ..MemCreate::default() };
        match self.command(&mut describe) {
            Ok(()) => self.accept(&describe, 1, domain),
            Err(errno) => {
                // Its domain is live, so that this is all it takes.
                if drm::close_handle(&*self.kernel, self.node.as_fd(), handle).is_err() {
                    self.leaving.push(handle);
                }
                Err(refused(MemCreate::NAME, errno))
            }
        }
    }

    fn ask(&self, question: u32) -> ErrnoResult<u32> {
        let mut action = Action { action: question, value: 0 };
        self.command(&mut action)?;
        Ok(action.value)
    }

    /// The answer; none from a driver that does not know the question.
    fn ask_if_known(&self, question: u32) -> Result<Option<u32>> {
        match self.ask(question) {
            Ok(answer) => Ok(Some(answer)),
            Err(Errno::INVAL) => Ok(None),
            Err(errno) => Err(refused(Action::NAME, errno)),
        }
    }

    fn command<C: Command>(&self, argument: &mut C) -> ErrnoResult<()> {
        // SAFETY: the struct is that of the request, and the node is that driver's, whose name was asked. The one address
        // in a struct, a buffer's `obj_addr`, is the driver's own for a buffer that this NPU holds.
        unsafe { call(&*self.kernel, self.node.as_fd(), C::REQUEST, argument) }.map(drop)
    }

    /// The largest buffer that has a place: sizes are rounded up to the kernel's pages, which may be larger than the NPU's.
    fn largest_bytes(&self, window: &Window) -> u64 {
        let hole = window.largest_hole_bytes(self.alignment());
        hole - hole % granule_bytes()
    }

    fn no_place(&self, request: &Request<'_>, domain: &Domain) -> Error {
        let window = domain.window();
        let hole = self.largest_bytes(&window);
        let constraint = format!(
            "the largest hole in domain {} of the NPU takes {}, of {} that are free there",
            domain.id,
            format_bytes(hole),
            format_bytes(window.free_bytes())
        );
        let suggestion = "Take slabs of 64 to 256 MiB in powers of two, or another domain";
        request.refused(
            Left { available_bytes: window.free_bytes(), largest_free_bytes: hole },
            constraint,
            suggestion,
        )
    }

    fn not_created(
        &self,
        errno: Errno,
        context: &DeviceContext,
        request: &Request<'_>,
        domain: &Domain,
    ) -> Error {
        match errno {
            Errno::NOMEM => {
                let why = "the NPU's driver found no free pages (MEM_CREATE, error 12)";
                context.exhausted(request, Charge::Process, why, "Release something first")
            }
            Errno::FAULT => {
                let window = domain.window();
                let hole = self.largest_bytes(&window).min(request.bytes - 1);
                let why = format!(
                    "the driver found no place in domain {} of the NPU (MEM_CREATE, error 14), where other programs have \
                     buffers too",
                    domain.id
                );
                let suggestion = "Take smaller slabs or another domain, or end the other program";
                let left = Left { available_bytes: window.free_bytes(), largest_free_bytes: hole };
                request.refused(left, why, suggestion)
            }
            other => refused(MemCreate::NAME, other),
        }
    }
}

impl Drop for Npu {
    /// Lets the next one in, unless the close that follows has buffers to free.
    fn drop(&mut self) {
        self.free_leaving();
        if self.leaving.is_empty() {
            unlock(self.node.as_fd());
        }
    }
}

impl fmt::Debug for Npu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Npu").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A buffer that both sides cache and that starts as zeros.
fn flags(alignment: Alignment) -> u32 {
    let data = memory::NON_CONTIGUOUS | memory::CACHEABLE | memory::IOMMU | memory::ZEROING;
    match alignment {
        Alignment::Size => data,
        Alignment::Page => data | memory::LIMIT_IOVA_ALIGNMENT,
    }
}

/// What sizes are rounded up to: a page of the NPU, or of the kernel where that is larger.
pub(super) fn granule_bytes() -> u64 {
    PAGE_BYTES.max(rustix::param::page_size() as u64)
}
