//! Ordinary RAM as a back end.

use std::{
    fs,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, OnceLock},
};

use rustix::{
    fs::{MemfdFlags, SealFlags},
    io::{Errno, Result as Called},
    mm::{Advice, MapFlags},
    process::{Resource, getrlimit},
};

use super::{
    HostOptions, HostSource, HugePageUse,
    memory::{HostMemory, Mapped, page_bytes},
};
use crate::device::{
    BackEndKind, Backend, Charge, DeviceContext, DeviceMemory, DeviceUsage, Limits, Meter, Request,
    errno::{locking_meaning, mapping_meaning},
    kernel::{Kernel, RawMapping, RealKernel},
    shown_label,
};
use crate::{
    budget::InFlight,
    error::{Error, Left, Result},
    system::{HugePages as HugePagePool, transparent_huge_pages},
    units::{MIB, format_bytes},
};

/// The size of an explicit huge page, in bytes: the one size that every board with pages of 4 KiB has.
const HUGE_PAGE_BYTES: u64 = 2 * MIB;

/// Ordinary RAM as a back end.
#[derive(Debug)]
pub struct HostBackend {
    kernel: Arc<dyn Kernel>,
    context: DeviceContext,
    options: HostOptions,
    meter: Meter,
    /// The first time the pool of huge pages had too few.
    fall_back: OnceLock<String>,
}

impl HostBackend {
    /// RAM of this machine, anonymous and in pages of the usual size.
    #[must_use]
    pub fn new(context: DeviceContext) -> Self {
        Self::with_options(context, HostOptions::default())
    }

    /// RAM of this machine, taken in a certain way.
    #[must_use]
    pub fn with_options(context: DeviceContext, options: HostOptions) -> Self {
        Self::on(Arc::new(RealKernel), context, options)
    }

    /// RAM as another kernel gives it.
    #[must_use]
    pub fn on(kernel: Arc<dyn Kernel>, context: DeviceContext, options: HostOptions) -> Self {
        Self { kernel, context, options, meter: Meter::default(), fall_back: OnceLock::new() }
    }

    fn static_name(&self) -> &'static str {
        match self.options.source {
            HostSource::Anonymous => "host",
            HostSource::MemoryFile => "host:memfd",
        }
    }

    fn slab(&self, request: &Request<'_>) -> Result<HostMemory> {
        request.check_size()?;
        match self.options.huge_pages {
            HugePageUse::Explicit => self.huge_slab(request).or_else(|refusal| match refusal {
                Error::InsufficientMemory { binding_constraint, .. } => {
                    self.fall_back.get_or_init(|| binding_constraint);
                    self.plain_slab(request)
                }
                other => Err(other),
            }),
            HugePageUse::ExplicitOnly => self.huge_slab(request),
            HugePageUse::None | HugePageUse::Transparent => self.plain_slab(request),
        }
    }

    fn plain_slab(&self, request: &Request<'_>) -> Result<HostMemory> {
        if self.options.lock {
            // Locking takes every page.
            return self.context.within_headroom(request, Charge::Process, || self.plain_map(request));
        }
        self.context.check_headroom(request, Charge::Process)?;
        self.plain_map(request)
    }

    fn plain_map(&self, request: &Request<'_>) -> Result<HostMemory> {
        let bytes = self.rounded(request);
        let (mapping, file) = self.map(bytes, request.label, false).map_err(|errno| {
            let meaning = mapping_meaning(errno);
            if errno == Errno::NOMEM {
                let advice = "Raise the limit that stands in the way, or release something first";
                return within_addresses(self.context.exhausted(request, Charge::Process, meaning, advice));
            }
            Error::device(self.name(), Some(errno.raw_os_error()), "mmap", meaning)
        })?;
        if self.options.huge_pages != HugePageUse::None {
            // A wish: a kernel without transparent huge pages gives others.
            let _ = self.kernel.advise(&mapping, 0..bytes, Advice::LinuxHugepage);
        }
        self.slab_of(mapping, file, page_bytes())
    }

    /// A slab in huge pages of their pool, or none.
    fn huge_slab(&self, request: &Request<'_>) -> Result<HostMemory> {
        let (mapping, file) = self.huge_map(request)?;
        self.slab_of(mapping, file, HUGE_PAGE_BYTES)
    }

    /// Takes huge pages from their pool. What is in the pool has left the machine's available memory long ago, so only
    /// what the kernel would have to add to it is weighed against headroom.
    fn huge_map(&self, request: &Request<'_>) -> Result<(RawMapping, Option<OwnedFd>)> {
        let _alone = InFlight::of_huge_pages(&self.context.root);
        let pools = match HugePagePool::read(&self.context.root) {
            // A kernel without huge pages.
            Err(unavailable) if unavailable.is_absent() => Vec::new(),
            read => read?,
        };
        let pool = pools.iter().find(|pool| pool.page_bytes == HUGE_PAGE_BYTES);
        let free_count = pool.map_or(0, |pool| pool.free_count.saturating_sub(pool.reserved_count));
        let free_bytes = free_count.saturating_mul(HUGE_PAGE_BYTES);
        let lacks = |why: String| {
            let (page, free) = (format_bytes(HUGE_PAGE_BYTES), format_bytes(free_bytes));
            let wanted = request.bytes.div_ceil(HUGE_PAGE_BYTES);
            let advice =
                format!("Set more aside: sysctl vm.nr_hugepages={wanted}, best as the system starts");
            let why = format!("the pool of huge pages of {page} has {free} left ({why})");
            request.refused(Left::below(free_bytes, request.bytes), why, advice)
        };
        let bytes = self.rounded(request);
        let map = || self.map(bytes, request.label, true);
        let missing = Request { bytes: bytes.saturating_sub(free_bytes), ..*request };
        let mapped = if missing.bytes == 0 {
            map()
        } else {
            let allowed = self.context.within_headroom(&missing, Charge::Machine, || Ok(map()));
            allowed.map_err(|refusal| lacks(refusal.to_string()))?
        };
        mapped.map_err(|errno| lacks(errno.to_string()))
    }

    fn rounded(&self, request: &Request<'_>) -> u64 {
        request.bytes.next_multiple_of(self.limits().granule_bytes)
    }

    fn slab_of(&self, mapping: RawMapping, file: Option<OwnedFd>, page_bytes: u64) -> Result<HostMemory> {
        if self.options.lock {
            self.kernel.lock(&mapping).map_err(|errno| {
                let meaning = locking_meaning(errno, mapping.size_bytes() as u64);
                Error::device(self.name(), Some(errno.raw_os_error()), "mlock", meaning)
            })?;
        }
        let metered = self.meter.count(mapping.size_bytes() as u64);
        let mapped = Mapped { mapping, file, page_bytes, locked: self.options.lock };
        Ok(HostMemory::new(self.kernel.clone(), self.context.clone(), self.static_name(), mapped, metered))
    }

    fn map(&self, bytes: u64, label: &str, huge: bool) -> Called<(RawMapping, Option<OwnedFd>)> {
        match self.options.source {
            HostSource::Anonymous => {
                let flags = if huge { MapFlags::HUGETLB | MapFlags::HUGE_2MB } else { MapFlags::empty() };
                Ok((self.kernel.map_anonymous(bytes as usize, flags)?, None))
            }
            HostSource::MemoryFile => {
                let flags =
                    if huge { MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB } else { MemfdFlags::empty() };
                let file = memory_file(&*self.kernel, label, bytes, flags)?;
                Ok((self.kernel.map(file.as_fd(), 0, bytes as usize)?, Some(file)))
            }
        }
    }
}

/// A memory file that keeps its size, whoever else holds it: one made shorter would kill those who read its end.
pub(in crate::device) fn memory_file(
    kernel: &dyn Kernel,
    label: &str,
    bytes: u64,
    flags: MemfdFlags,
) -> Called<OwnedFd> {
    const MOST_NAME_BYTES: usize = 249; // As the kernel.
    let flags = flags | MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = kernel.memory_file(&shown_label(label, MOST_NAME_BYTES), flags)?;
    kernel.resize(file.as_fd(), bytes)?;
    kernel.seal(file.as_fd(), SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// A refusal by what is left of the process's addresses, where those are limited (`ulimit -v`).
fn within_addresses(mut refusal: Error) -> Error {
    let left = || {
        let most = getrlimit(Resource::As).current?;
        let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse().ok()?;
        Some(most.saturating_sub(pages * page_bytes()))
    };
    if let Error::InsufficientMemory { available_bytes, largest_free_bytes, .. } = &mut refusal
        && let Some(left) = left()
    {
        *available_bytes = left.min(*available_bytes);
        *largest_free_bytes = left.min(*largest_free_bytes);
    }
    refusal
}

impl Backend for HostBackend {
    fn kind(&self) -> BackEndKind {
        BackEndKind::Host
    }

    fn name(&self) -> &str {
        self.static_name()
    }

    fn limits(&self) -> Limits {
        let explicit = self.options.huge_pages.explicit();
        Limits {
            granule_bytes: if explicit { HUGE_PAGE_BYTES } else { page_bytes() },
            slab_bytes: 2 * MIB,
            largest_bytes: None,
            powers_of_two: false,
            zeroed: true,
            mappable: true,
            needs_sync: false,
            exportable: self.options.source == HostSource::MemoryFile,
            // What is set aside is none of the memory that a line is drawn across.
            system_memory: self.options.huge_pages != HugePageUse::ExplicitOnly,
        }
    }

    fn is_of_this_machine(&self) -> bool {
        self.limits().system_memory && self.context.is_of_this_machine()
    }

    fn take(&self, request: &Request<'_>) -> Result<Box<dyn DeviceMemory>> {
        match self.slab(request) {
            Ok(slab) => Ok(Box::new(slab)),
            Err(refusal) => {
                self.meter.refuse();
                Err(refusal)
            }
        }
    }

    fn check_headroom(&self, request: &Request<'_>) -> Result<()> {
        self.context.check_headroom(request, Charge::Process)
    }

    fn usage(&self) -> DeviceUsage {
        self.context.with_room(self.meter.usage(), Charge::Process)
    }

    fn remarks(&self) -> Vec<String> {
        let fell_back =
            self.fall_back.get().map(|why| format!("transparent huge pages were taken, as {why}"));
        let never = self.options.huge_pages != HugePageUse::None
            && transparent_huge_pages(&self.context.root).is_ok_and(|word| word == "never");
        let off = never.then(|| {
            "transparent huge pages are off; turn them on: \
             echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
                .to_owned()
        });
        fell_back.into_iter().chain(off).collect()
    }
}
