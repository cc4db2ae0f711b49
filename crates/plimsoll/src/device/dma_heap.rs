//! `/dev/dma_heap`: buffers that the drivers of accelerators, cameras and displays import without a copy.
//!
//! Nobody is charged for them. The machine's available memory falls, but neither this process's resident memory nor its
//! cgroup nor its rank with the OOM killer shows it, and the kernel refuses no request: it kills somebody instead.
//! So headroom is weighed before each.

use crate::sorting::sort_by_key;
use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use rustix::{fs::OFlags, io::Errno};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    BackEndKind, Backend, Charge, DeviceContext, DeviceMemory, DeviceUsage, Limits, Meter, Request,
    dma_buf::DmaBuf,
    errno::meaning,
    ioctl,
    kernel::{Kernel, RealKernel},
};
use crate::{
    error::{Error, Result},
    system::{Machine, SystemRoot, dma_heap_denied, dma_heap_paths, obstacle},
    units::{MIB, format_bytes},
};

// Source: include/uapi/linux/dma-heap.h.
const ALLOCATE: u32 = 0xc018_4800;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes)]
#[repr(C)]
struct HeapAllocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// A heap of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DmaHeap {
    /// Its name, by which it is chosen: `"system"`.
    pub name: String,
    /// Its node, as the system calls it.
    pub path: PathBuf,
    /// Whether its buffers are contiguous, out of an area that is small and that cameras and displays need (CMA).
    pub is_contiguous: bool,
}

impl DmaHeap {
    /// The heaps of a machine by their names, whether or not they may be used.
    #[must_use]
    pub fn all(root: &SystemRoot) -> Vec<Self> {
        let heap = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            let is_contiguous = name.contains("cma") || name == "reserved";
            Some(Self { name, path, is_contiguous })
        };
        dma_heap_paths(root).into_iter().filter_map(heap).collect()
    }

    /// The heaps that are taken when none is named, best first: what every driver takes and the processor caches. Heaps
    /// of other names have a purpose of their own.
    fn by_preference(root: &SystemRoot) -> Vec<Self> {
        let mut heaps = Self::all(root);
        heaps.retain(|heap| heap.name.starts_with("system"));
        sort_by_key(&mut heaps, |heap| (heap.name.contains("uncached"), heap.name.contains("dma32")));
        heaps
    }
}

/// A dma-heap as a back end.
#[derive(Debug)]
pub struct DmaHeapBackend {
    kernel: Arc<dyn Kernel>,
    context: DeviceContext,
    heap: DmaHeap,
    name: Arc<str>,
    node: OwnedFd,
    meter: Meter,
    remarks: Vec<String>,
}

impl DmaHeapBackend {
    /// The heap of that name, or the best that may be used: `system`, never a contiguous one.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`] when there is no such heap or this user may not open it, with the line that mends
    /// it.
    pub fn open(context: DeviceContext, heap: Option<&str>) -> Result<Self> {
        Self::open_on(Arc::new(RealKernel), context, heap)
    }

    /// The same by way of another kernel.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_on(kernel: Arc<dyn Kernel>, context: DeviceContext, heap: Option<&str>) -> Result<Self> {
        let candidates = candidates(&context.root, heap)?;
        let mut refused = Vec::new();
        for heap in candidates {
            match kernel.open(&context.root.followed(&heap.path), OFlags::RDONLY) {
                Ok(node) => return Ok(Self::new(kernel, context, heap, node, &refused)),
                Err(errno) => refused.push((heap, errno)),
            }
        }
        Err(not_opened(&refused))
    }

    fn new(
        kernel: Arc<dyn Kernel>,
        context: DeviceContext,
        heap: DmaHeap,
        node: OwnedFd,
        refused: &[(DmaHeap, Errno)],
    ) -> Self {
        let name = format!("dma-heap:{}", heap.name).into();
        let remark =
            |(other, errno): &(DmaHeap, Errno)| format!("{name} was taken, as {}", why(other, *errno));
        let remarks = refused.iter().map(remark).collect();
        Self { kernel, context, heap, name, node, meter: Meter::unseen(), remarks }
    }

    fn slab(&self, request: &Request<'_>) -> Result<DmaBuf> {
        if self.heap.is_contiguous && self.is_set_aside(request)? {
            return self.allocate(request);
        }
        self.context.within_headroom(request, Charge::Machine, || self.allocate(request))
    }

    /// Whether the contiguous area has that much free. It is no part of headroom; where it has less, other pages are
    /// moved out of it into ordinary memory.
    fn is_set_aside(&self, request: &Request<'_>) -> Result<bool> {
        request.check_size()?;
        let memory = Machine::memory_at(&self.context.root)?;
        Ok(memory.cma_free_bytes.is_some_and(|free| request.bytes <= free))
    }

    fn allocate(&self, request: &Request<'_>) -> Result<DmaBuf> {
        let fd_flags = (OFlags::RDWR | OFlags::CLOEXEC).bits();
        let mut allocation = HeapAllocation { len: request.bytes, fd: 0, fd_flags, heap_flags: 0 };
        // SAFETY: the struct is the one that the call takes, and has no pointer in it.
        unsafe { ioctl::call(&*self.kernel, self.node.as_fd(), ALLOCATE, &mut allocation) }
            .map_err(|errno| self.refusal(errno, request))?;
        // SAFETY: the driver has just opened it for this call.
        let buffer = unsafe {
            DmaBuf::from_driver(
                &self.kernel,
                &self.name,
                &self.meter,
                allocation.fd.cast_signed(),
                request.bytes,
            )
        }?;
        buffer.set_name(request.label);
        Ok(buffer)
    }

    fn refusal(&self, errno: Errno, request: &Request<'_>) -> Error {
        let suggestion = if self.heap.is_contiguous {
            "Ask for less at once, take the heap \"system\", or start the kernel with a larger cma="
        } else {
            "Ask for less, or release something first"
        };
        let meaning = match errno {
            Errno::NOMEM => {
                let why = "the kernel found no pages for it";
                return self.context.exhausted(request, Charge::Machine, why, suggestion);
            }
            Errno::INVAL => {
                format!("the heap gives no buffer of {}; take another heap", format_bytes(request.bytes))
            }
            other => meaning(other),
        };
        Error::device(&*self.name, Some(errno.raw_os_error()), "DMA_HEAP_IOCTL_ALLOC", meaning)
    }
}

impl Backend for DmaHeapBackend {
    fn kind(&self) -> BackEndKind {
        BackEndKind::DmaHeap
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits {
            granule_bytes: rustix::param::page_size() as u64,
            slab_bytes: 32 * MIB,
            largest_bytes: None,
            powers_of_two: false,
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

    fn take(&self, request: &Request<'_>) -> Result<Box<dyn DeviceMemory>> {
        let slab = self.slab(request).inspect_err(|_| self.meter.refuse())?;
        Ok(Box::new(slab))
    }

    fn check_headroom(&self, request: &Request<'_>) -> Result<()> {
        self.context.check_headroom(request, Charge::Machine)
    }

    fn usage(&self) -> DeviceUsage {
        self.context.with_room(self.meter.usage(), Charge::Machine)
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.clone()
    }
}

/// The heap of that name; of none, the heaps to be tried in turn.
fn candidates(root: &SystemRoot, name: Option<&str>) -> Result<Vec<DmaHeap>> {
    let found = match name {
        Some(name) => DmaHeap::all(root).into_iter().filter(|heap| heap.name == name).collect(),
        None => DmaHeap::by_preference(root),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let names: Vec<_> = DmaHeap::all(root).into_iter().map(|heap| heap.name).collect();
    let reason = match (name, names.join(", ")) {
        (_, none) if none.is_empty() => obstacle(root, BackEndKind::DmaHeap)
            .map_or_else(|| "there is no heap".to_owned(), |obstacle| obstacle.to_string()),
        (Some(_), names) => format!("the heaps here are {names}"),
        (None, names) => format!("the heaps here have purposes of their own: {names}; name one to use it"),
    };
    Err(Error::DeviceUnavailable { device: device_name(name), reason })
}

fn not_opened(refused: &[(DmaHeap, Errno)]) -> Error {
    let reason = refused.iter().map(|(heap, errno)| why(heap, *errno)).collect::<Vec<_>>().join("; ");
    let only = if let [(heap, _)] = refused { Some(&*heap.name) } else { None };
    Error::DeviceUnavailable { device: device_name(only), reason }
}

fn device_name(heap: Option<&str>) -> String {
    heap.map_or_else(|| "dma-heap".to_owned(), |heap| format!("dma-heap:{heap}"))
}

fn why(heap: &DmaHeap, errno: Errno) -> String {
    match errno {
        Errno::ACCESS | Errno::PERM => dma_heap_denied(&heap.path).to_string(),
        other => format!("{} cannot be opened: {}", heap.path.display(), meaning(other)),
    }
}
