//! Ordinary RAM: anonymous maps.

use std::{any::Any, os::fd::OwnedFd, ptr::NonNull};

use memmap2::{MmapMut, MmapOptions};

use super::{
    BackEndKind, Backend, DeviceContext, DeviceMemory, DeviceUsage, HostView, Limits, Meter, Request,
    admission::Charge, meter::Metered,
};
use crate::{
    error::{Error, Result},
    units::MIB,
};

/// Ordinary RAM as a back end.
#[derive(Debug)]
pub struct HostBackend {
    context: DeviceContext,
    meter: Meter,
}

impl HostBackend {
    /// RAM of this machine.
    #[must_use]
    pub fn new(context: DeviceContext) -> Self {
        Self { context, meter: Meter::default() }
    }
}

impl Backend for HostBackend {
    fn kind(&self) -> BackEndKind {
        BackEndKind::Host
    }

    fn name(&self) -> &'static str {
        "host"
    }

    fn limits(&self) -> Limits {
        Limits {
            granule_bytes: rustix::param::page_size() as u64,
            slab_bytes: 2 * MIB,
            largest_bytes: None,
            powers_of_two: false,
            zeroed: true,
            mappable: true,
            needs_sync: false,
            exportable: false,
        }
    }

    fn take(&self, request: &Request<'_>) -> Result<Box<dyn DeviceMemory>> {
        self.context.admit(request, Charge::Process).inspect_err(|_| self.meter.refuse())?;
        let bytes = request.bytes.next_multiple_of(self.limits().granule_bytes);
        let map = MmapOptions::new().len(bytes as usize).map_anon().map_err(|source| {
            self.meter.refuse();
            Error::device("host", source.raw_os_error(), "mmap", "the system refused to map memory")
        })?;
        Ok(Box::new(HostMemory { map, _metered: self.meter.enter(bytes) }))
    }

    fn usage(&self) -> DeviceUsage {
        self.meter.usage()
    }
}

#[derive(Debug)]
struct HostMemory {
    map: MmapMut,
    _metered: Metered,
}

impl DeviceMemory for HostMemory {
    fn size_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    fn device_address(&self) -> Option<u64> {
        None
    }

    fn view(&self) -> Result<HostView> {
        let base = NonNull::new(self.map.as_ptr().cast_mut()).unwrap_or(NonNull::dangling());
        // SAFETY: the map is readable, writable and private, and lives as long as this slab.
        Ok(unsafe { HostView::new(base, self.map.len()) })
    }

    fn export_fd(&self) -> Result<OwnedFd> {
        Err(Error::device("host", None, "export", "private memory has no file descriptor; use udmabuf"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
