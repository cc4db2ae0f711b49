//! A back end that fails when it is told to.

use std::{any::Any, ops::Range, os::fd::OwnedFd};

use plimsoll::{
    Error, Result,
    budget::Promised,
    device::{
        BackEndKind, Backend, DeviceMemory, DeviceUsage, HostView, Limits, Request, SharedBackend, SyncKind,
    },
};

use super::faults::Faults;

/// Another back end, of which any call may fail by plan: `take` and every method of a slab.
#[derive(Debug)]
pub struct Faulty {
    inner: SharedBackend,
    faults: Faults,
}

impl Faulty {
    pub fn new(inner: SharedBackend, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// One of the errors that drivers give.
    pub fn refusal(kind: u64, call: &'static str) -> Error {
        let device = "faulty";
        match kind % 4 {
            0 => Error::device(device, Some(14), call, "bad address, by plan"),
            1 => Error::device(device, Some(24), call, "too many open files, by plan"),
            2 => Error::InsufficientMemory {
                label: "by plan".to_owned(),
                requested_bytes: 1,
                available_bytes: 0,
                largest_free_bytes: 0,
                binding_constraint: "the plan of failures".to_owned(),
                suggestion: "Try again".to_owned(),
            },
            _ => Error::device(device, Some(19), call, "the device is gone, by plan"),
        }
    }
}

fn step(faults: &Faults, call: &'static str) -> Result<()> {
    faults.step().map_err(|kind| Faulty::refusal(kind, call))
}

impl Backend for Faulty {
    fn kind(&self) -> BackEndKind {
        self.inner.kind()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn is_of_this_machine(&self) -> bool {
        self.inner.is_of_this_machine()
    }

    fn take(&self, request: &Request<'_>) -> Result<Box<dyn DeviceMemory>> {
        step(&self.faults, "take")?;
        let inner = self.inner.take(request)?;
        Ok(Box::new(FaultyMemory { inner, faults: self.faults.clone() }))
    }

    fn usage(&self) -> DeviceUsage {
        self.inner.usage()
    }

    fn remarks(&self) -> Vec<String> {
        self.inner.remarks()
    }
}

#[derive(Debug)]
struct FaultyMemory {
    inner: Box<dyn DeviceMemory>,
    faults: Faults,
}

impl DeviceMemory for FaultyMemory {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn device_address(&self) -> Option<u64> {
        self.inner.device_address()
    }

    fn view(&self) -> Result<HostView> {
        step(&self.faults, "view")?;
        self.inner.view()
    }

    fn sync(&self, kind: SyncKind, range: Range<u64>) -> Result<()> {
        step(&self.faults, "sync")?;
        self.inner.sync(kind, range)
    }

    fn read(&self, offset_bytes: u64, into: &mut [u8]) -> Result<()> {
        step(&self.faults, "read")?;
        self.inner.read(offset_bytes, into)
    }

    fn write(&self, offset_bytes: u64, from: &[u8]) -> Result<()> {
        step(&self.faults, "write")?;
        self.inner.write(offset_bytes, from)
    }

    fn fill(&self, range: Range<u64>, byte: u8) -> Result<()> {
        step(&self.faults, "fill")?;
        self.inner.fill(range, byte)
    }

    fn copy_to(&self, range: Range<u64>, to: &dyn DeviceMemory, to_offset_bytes: u64) -> Result<()> {
        step(&self.faults, "copy_to")?;
        // A back end knows its own slabs, not these.
        let to = to.as_any().downcast_ref::<Self>().map_or(to, |faulty| &*faulty.inner);
        self.inner.copy_to(range, to, to_offset_bytes)
    }

    fn populate(&self, promised: Promised) -> Result<()> {
        step(&self.faults, "populate")?;
        self.inner.populate(promised)
    }

    fn discard(&self, range: Range<u64>) -> Result<()> {
        step(&self.faults, "discard")?;
        self.inner.discard(range)
    }

    fn keep_addresses(&self) -> bool {
        self.inner.keep_addresses()
    }

    fn export_fd(&self) -> Result<OwnedFd> {
        step(&self.faults, "export_fd")?;
        self.inner.export_fd()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
