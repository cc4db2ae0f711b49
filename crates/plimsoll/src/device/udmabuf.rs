//! `/dev/udmabuf`: a memory file made into a buffer that drivers import.
//!
//! Its pages are those of the file, so they count where ordinary memory counts: resident, in the cgroup, and in the rank
//! with the OOM killer. They are all taken as the buffer is made, and stay until it is freed.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
};

use rustix::{fs::MemfdFlags, fs::OFlags, io::Errno};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    BackEndKind, Backend, Charge, DeviceContext, DeviceMemory, DeviceUsage, Limits, Meter, Request,
    dma_buf::DmaBuf,
    errno::{mapping_meaning, meaning},
    host::memory_file,
    ioctl,
    kernel::{Kernel, RealKernel},
};
use crate::{
    error::{Error, Left, Result},
    system::{SystemRoot, obstacle},
    units::{MIB, format_bytes},
};

const NODE: &str = "/dev/udmabuf";
const DEVICE: &str = "udmabuf";

// Source: include/uapi/linux/udmabuf.h.
const CREATE: u32 = 0x4018_7542;
const CREATE_CLOEXEC: u32 = 1;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes)]
#[repr(C)]
struct Creation {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

/// Ordinary RAM that drivers import, as a back end.
#[derive(Debug)]
pub struct UdmabufBackend {
    kernel: Arc<dyn Kernel>,
    context: DeviceContext,
    name: Arc<str>,
    node: OwnedFd,
    largest_bytes: Option<u64>,
    meter: Meter,
}

impl UdmabufBackend {
    /// Opens `/dev/udmabuf`.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`] when the kernel has no such thing or this user may not open it, with the line that
    /// mends it.
    pub fn open(context: DeviceContext) -> Result<Self> {
        Self::open_on(Arc::new(RealKernel), context)
    }

    /// The same by way of another kernel.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_on(kernel: Arc<dyn Kernel>, context: DeviceContext) -> Result<Self> {
        let node = kernel.open(&context.root.followed(NODE), OFlags::RDWR).map_err(|errno| {
            let reason = obstacle(&context.root, BackEndKind::Udmabuf)
                .map_or_else(|| format!("{NODE} cannot be opened: {}", meaning(errno)), |it| it.to_string());
            Error::DeviceUnavailable { device: DEVICE.to_owned(), reason }
        })?;
        let largest_bytes = largest_bytes(&context.root);
        Ok(Self { kernel, context, name: DEVICE.into(), node, largest_bytes, meter: Meter::default() })
    }

    fn slab(&self, request: &Request<'_>) -> Result<DmaBuf> {
        request.check_size()?;
        let bytes = request.bytes.next_multiple_of(self.limits().granule_bytes);
        if let Some(most) = self.largest_bytes.filter(|most| bytes > *most) {
            return Err(beyond_limit(request, most));
        }
        self.context.within_headroom(request, Charge::Process, || self.make(request, bytes))
    }

    fn make(&self, request: &Request<'_>, bytes: u64) -> Result<DmaBuf> {
        let file = memory_file(&*self.kernel, request.label, bytes, MemfdFlags::empty())
            .map_err(|errno| self.refusal(errno, "memfd_create", meaning(errno)))?;
        let memfd = file.as_raw_fd().cast_unsigned();
        let mut creation = Creation { memfd, flags: CREATE_CLOEXEC, offset: 0, size: bytes };
        // SAFETY: the struct is the one that the call takes, and has no pointer in it.
        let fd = unsafe { ioctl::call(&*self.kernel, self.node.as_fd(), CREATE, &mut creation) }
            .map_err(|errno| self.not_created(errno, request))?;
        // SAFETY: the driver has just opened it for this call.
        let buffer = unsafe { DmaBuf::from_driver(&self.kernel, &self.name, &self.meter, fd, bytes) }?;
        buffer.set_name(request.label);
        // A map of the file counts as resident; one of the buffer would not.
        let mapping = self
            .kernel
            .map(file.as_fd(), 0, bytes as usize)
            .map_err(|errno| self.refusal(errno, "mmap", mapping_meaning(errno)))?;
        Ok(buffer.seen_through(mapping))
    }

    fn not_created(&self, errno: Errno, request: &Request<'_>) -> Error {
        match errno {
            Errno::NOMEM => self.context.exhausted(
                request,
                Charge::Process,
                "the kernel found no pages for it",
                "Ask for less, or release something first",
            ),
            Errno::INVAL => {
                let most = self.largest_bytes.map_or_else(
                    || "its size_limit_mb".to_owned(),
                    |most| format!("{} (size_limit_mb)", format_bytes(most)),
                );
                let meaning =
                    format!("expected a buffer of at most {most}, got {}", format_bytes(request.bytes));
                self.refusal(errno, "UDMABUF_CREATE", meaning)
            }
            other => self.refusal(other, "UDMABUF_CREATE", meaning(other)),
        }
    }

    fn refusal(&self, errno: Errno, call: &'static str, meaning: String) -> Error {
        Error::device(&*self.name, Some(errno.raw_os_error()), call, meaning)
    }
}

/// The largest buffer that the driver makes, in bytes, where it says so.
fn largest_bytes(root: &SystemRoot) -> Option<u64> {
    let text = root.read_text("/sys/module/udmabuf/parameters/size_limit_mb").ok()?;
    text.trim().parse::<u64>().ok()?.checked_mul(MIB)
}

fn beyond_limit(request: &Request<'_>, most: u64) -> Error {
    let why = format!("udmabuf makes buffers of at most {} (its size_limit_mb)", format_bytes(most));
    let suggestion = "Ask for several smaller ones, or raise the limit: echo 4096 | sudo tee \
                      /sys/module/udmabuf/parameters/size_limit_mb, or udmabuf.size_limit_mb=4096 for the kernel";
    request.refused(Left::whole(most), why, suggestion)
}

impl Backend for UdmabufBackend {
    fn kind(&self) -> BackEndKind {
        BackEndKind::Udmabuf
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        const SLAB_BYTES: u64 = 32 * MIB;
        Limits {
            granule_bytes: rustix::param::page_size() as u64,
            slab_bytes: self.largest_bytes.map_or(SLAB_BYTES, |most| most.min(SLAB_BYTES)),
            largest_bytes: self.largest_bytes,
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
        self.context.check_headroom(request, Charge::Process)
    }

    fn usage(&self) -> DeviceUsage {
        self.context.with_room(self.meter.usage(), Charge::Process)
    }
}
