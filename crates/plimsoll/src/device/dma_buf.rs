//! Memory that drivers share, as one of them exported it: a dma-buf.

use std::{
    any::Any,
    ops::Range,
    os::fd::{AsFd, FromRawFd, OwnedFd, RawFd},
    sync::{Arc, Mutex, OnceLock},
};

use rustix::io::Errno;

use super::{
    DeviceMemory, HostView, Meter, Metered, SyncKind,
    errno::{mapping_meaning, meaning},
    ioctl,
    kernel::{Kernel, RawMapping},
    shown_label,
};
use crate::error::{Error, Result};
use crate::sync::lock;

// Source: include/uapi/linux/dma-buf.h.
const SYNC: u32 = 0x4008_6200;
const SYNC_READ_AND_WRITE: u64 = 3;
const SYNC_START: u64 = 0;
const SYNC_END: u64 = 4;
const SET_NAME: u32 = 0x4008_6201;
const NAME_BYTES: usize = 32;

/// A dma-buf, mapped at the first view.
#[derive(Debug)]
pub(super) struct DmaBuf {
    kernel: Arc<dyn Kernel>,
    /// The back end, in errors.
    device: Arc<str>,
    fd: OwnedFd,
    size_bytes: u64,
    mapping: OnceLock<RawMapping>,
    /// Writes through the view that have begun and not ended.
    open_writes: Mutex<u64>,
    _metered: Metered,
}

impl DmaBuf {
    /// The dma-buf whose descriptor a driver has just returned, of at least so many bytes.
    ///
    /// # Safety
    ///
    /// Nothing else may own the descriptor.
    pub(super) unsafe fn from_driver(
        kernel: &Arc<dyn Kernel>,
        device: &Arc<str>,
        meter: &Meter,
        fd: RawFd,
        least_bytes: u64,
    ) -> Result<Self> {
        if fd < 0 {
            return Err(Error::device(&**device, None, "ioctl", "the driver returned no file descriptor"));
        }
        // SAFETY: as the caller vouches.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let size_bytes = kernel
            .size_bytes(fd.as_fd())
            .map_err(|errno| Error::device(&**device, Some(errno.raw_os_error()), "lseek", meaning(errno)))?;
        if size_bytes < least_bytes {
            let meaning = format!("expected a buffer of {least_bytes} bytes, got one of {size_bytes}");
            return Err(Error::device(&**device, None, "lseek", meaning));
        }
        Ok(Self {
            kernel: kernel.clone(),
            device: device.clone(),
            fd,
            size_bytes,
            mapping: OnceLock::new(),
            open_writes: Mutex::default(),
            _metered: meter.count(size_bytes),
        })
    }

    /// The same seen through a map of the same memory that already is.
    pub(super) fn seen_through(self, mapping: RawMapping) -> Self {
        Self { mapping: OnceLock::from(mapping), ..self }
    }

    /// Shows a label to those who look for what holds the memory. A kernel before 5.3 shows none.
    pub(super) fn set_name(&self, label: &str) {
        let mut name = [0; NAME_BYTES];
        let label = shown_label(label, NAME_BYTES - 1);
        name.iter_mut().zip(label.bytes()).for_each(|(to, from)| *to = from);
        // SAFETY: the driver reads a string that ends with a zero from there, of at most 32 bytes.
        let _ = unsafe { ioctl::call(&*self.kernel, self.fd.as_fd(), SET_NAME, &mut name) };
    }

    fn refusal(&self, errno: Errno, call: &'static str) -> Error {
        Error::device(&*self.device, Some(errno.raw_os_error()), call, meaning(errno))
    }

    fn sync_all(&self, edge: u64) -> Result<()> {
        let mut flags = SYNC_READ_AND_WRITE | edge;
        // SAFETY: the call takes a struct of one number.
        unsafe { ioctl::call(&*self.kernel, self.fd.as_fd(), SYNC, &mut flags) }
            .map(drop)
            .map_err(|errno| self.refusal(errno, "DMA_BUF_IOCTL_SYNC"))
    }
}

impl DeviceMemory for DmaBuf {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn device_address(&self) -> Option<u64> {
        None
    }

    fn view(&self) -> Result<HostView> {
        if let Some(mapping) = self.mapping.get() {
            return Ok(mapping.view());
        }
        let mapped = self.kernel.map(self.fd.as_fd(), 0, self.size_bytes as usize).map_err(|errno| {
            Error::device(&*self.device, Some(errno.raw_os_error()), "mmap", mapping_meaning(errno))
        })?;
        // Another thread may have been first; then this one's map goes.
        Ok(self.mapping.get_or_init(|| mapped).view())
    }

    /// The kernel syncs a buffer as a whole: a begin throws the processor's caches of it away, an end writes them back.
    /// An end harms nobody. A begin would lose what another thread is writing at that moment elsewhere in the buffer, so
    /// it is left out while a write is open; and every write begins as a read does, for the lines that it fills only in
    /// part.
    fn sync(&self, kind: SyncKind, _: Range<u64>) -> Result<()> {
        let mut open_writes = lock(&self.open_writes);
        match kind {
            SyncKind::BeginRead | SyncKind::BeginWrite => {
                if *open_writes == 0 {
                    self.sync_all(SYNC_START)?;
                }
                *open_writes += u64::from(kind == SyncKind::BeginWrite);
                Ok(())
            }
            SyncKind::EndRead => self.sync_all(SYNC_END),
            SyncKind::EndWrite => {
                *open_writes = open_writes.saturating_sub(1);
                self.sync_all(SYNC_END)
            }
        }
    }

    fn keep_addresses(&self) -> bool {
        self.mapping.get().is_some_and(|mapping| mapping.keep_addresses(&*self.kernel))
    }

    fn export_fd(&self) -> Result<OwnedFd> {
        self.kernel.duplicate(self.fd.as_fd()).map_err(|errno| self.refusal(errno, "dup"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
