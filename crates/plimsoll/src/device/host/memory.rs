//! A slab of ordinary RAM.

use std::{
    any::Any,
    ops::Range,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use rustix::{io::Errno, mm::Advice};

use crate::{
    budget::Promised,
    device::{
        Charge, DeviceContext, DeviceMemory, HostView, Metered, Request,
        errno::meaning,
        kernel::{Kernel, RawMapping},
        memory::checked_part,
    },
    error::{Error, Result},
};

#[derive(Debug)]
pub(super) struct HostMemory {
    kernel: Arc<dyn Kernel>,
    context: DeviceContext,
    device: &'static str,
    mapping: RawMapping,
    file: Option<OwnedFd>,
    /// What its pages measure; huge ones are no part of what the machine has available.
    page_bytes: u64,
    locked: bool,
    /// Whether every page is known to be there.
    populated: AtomicBool,
    _metered: Metered,
}

/// What was mapped, and how.
pub(super) struct Mapped {
    pub(super) mapping: RawMapping,
    pub(super) file: Option<OwnedFd>,
    pub(super) page_bytes: u64,
    pub(super) locked: bool,
}

pub(super) fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

impl HostMemory {
    /// Memory of that device, of pages that are all there where they are locked.
    pub(super) fn new(
        kernel: Arc<dyn Kernel>,
        context: DeviceContext,
        device: &'static str,
        mapped: Mapped,
        metered: Metered,
    ) -> Self {
        let Mapped { mapping, file, page_bytes, locked } = mapped;
        Self {
            kernel,
            context,
            device,
            mapping,
            file,
            page_bytes,
            locked,
            populated: AtomicBool::new(locked),
            _metered: metered,
        }
    }

    fn refusal(&self, errno: Errno, call: &'static str) -> Error {
        Error::device(self.device, Some(errno.raw_os_error()), call, meaning(errno))
    }

    fn touch_all(&self) -> Result<()> {
        let request = Request::new(self.size_bytes(), "pages of a slab");
        match self.kernel.advise(&self.mapping, 0..self.size_bytes(), Advice::LinuxPopulateWrite) {
            Ok(()) => Ok(()),
            // Kernels before 5.14 have no such advice.
            Err(Errno::INVAL) => {
                touch(self.mapping.view());
                Ok(())
            }
            Err(errno @ (Errno::NOMEM | Errno::FAULT)) => Err(self.context.exhausted(
                &request,
                Charge::Process,
                format!("the system found no page for a part of it ({errno})"),
                "Release something first",
            )),
            Err(errno) => Err(self.refusal(errno, "madvise")),
        }
    }
}

/// Writes to every page what is there.
fn touch(view: HostView) {
    let nothing = unknown_zero();
    for offset in (0..view.size_bytes()).step_by(rustix::param::page_size()) {
        let byte = view.base().as_ptr().wrapping_add(offset);
        // SAFETY: the byte lies within the view, whose slab the caller borrows. The atomic changes nothing, so that it
        // can take back nothing that somebody writes at the same time.
        unsafe { AtomicU8::from_ptr(byte) }.fetch_or(nothing, Ordering::Relaxed);
    }
}

/// Zero, which the compiler cannot know: a write that it knows to change nothing it leaves out, and no page comes.
fn unknown_zero() -> u8 {
    static ZERO: AtomicU8 = AtomicU8::new(0);
    // SAFETY: the byte is the static's, and nobody writes to it. What a volatile read returns is never assumed.
    unsafe { ZERO.as_ptr().read_volatile() }
}

impl DeviceMemory for HostMemory {
    fn size_bytes(&self) -> u64 {
        self.mapping.size_bytes() as u64
    }

    fn device_address(&self) -> Option<u64> {
        None
    }

    fn view(&self) -> Result<HostView> {
        Ok(self.mapping.view())
    }

    fn populate(&self, promised: Promised) -> Result<()> {
        if self.populated.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.page_bytes == page_bytes() {
            // What was there as the slab was taken may be gone by now.
            let request = Request { promised, ..Request::new(self.size_bytes(), "pages of a slab") };
            self.context.within_headroom(&request, Charge::Process, || self.touch_all())?;
        } else {
            self.touch_all()?;
        }
        self.populated.store(true, Ordering::Release);
        Ok(())
    }

    fn discard(&self, range: Range<u64>) -> Result<()> {
        let range = checked_part(self.size_bytes(), range)?;
        let whole =
            range.start.next_multiple_of(self.page_bytes)..range.end / self.page_bytes * self.page_bytes;
        if self.locked || whole.is_empty() {
            return Ok(());
        }
        self.populated.store(false, Ordering::Release);
        let (freed, call) = match &self.file {
            Some(file) => (self.kernel.punch(file.as_fd(), whole), "fallocate"),
            None => (self.kernel.advise(&self.mapping, whole, Advice::LinuxDontNeed), "madvise"),
        };
        match freed {
            // Kernels before 5.18 keep explicit huge pages.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.refusal(errno, call)),
        }
    }

    fn keep_addresses(&self) -> bool {
        self.mapping.keep_addresses(&*self.kernel)
    }

    fn export_fd(&self) -> Result<OwnedFd> {
        let Some(file) = &self.file else {
            return Err(Error::device(
                self.device,
                None,
                "export",
                "memory of one process has no file descriptor; use \"host:memfd\" for other processes, \"udmabuf\" or a \
                 dma-heap for drivers",
            ));
        };
        self.kernel.duplicate(file.as_fd()).map_err(|errno| self.refusal(errno, "dup"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
