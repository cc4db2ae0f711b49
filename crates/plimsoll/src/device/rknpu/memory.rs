//! A slab of the NPU's memory.

use std::{
    any::Any,
    ops::Range,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    npu::{Allocated, Npu},
    owner::Owner,
    uapi::sync,
};
use crate::{
    device::{
        DeviceMemory, HostView, SyncKind,
        kernel::{Kernel, RawMapping},
        memory::checked_part,
    },
    error::Result,
    sync::lock,
};

/// A buffer of the NPU. It keeps the device open, and its owner's thread alive.
#[derive(Debug)]
pub(super) struct RknpuMemory {
    kernel: Arc<dyn Kernel>,
    owner: Arc<Owner<Npu>>,
    taken: Allocated,
    mapping: Mutex<Option<RawMapping>>,
    /// Parts that the processor is writing to.
    open_writes: Mutex<Vec<Range<u64>>>,
}

impl RknpuMemory {
    pub(super) fn new(kernel: Arc<dyn Kernel>, owner: Arc<Owner<Npu>>, taken: Allocated) -> Self {
        Self { kernel, owner, taken, mapping: Mutex::default(), open_writes: Mutex::default() }
    }

    fn step(&self, direction: u32, range: Range<u64>) -> Result<()> {
        let handle = self.taken.handle;
        self.owner.call(move |npu| npu.sync(handle, direction, range)).flatten()
    }
}

/// The parts of a range that none of the others has.
fn outside(range: Range<u64>, others: &[Range<u64>]) -> Vec<Range<u64>> {
    others.iter().fold(vec![range], |parts, other| {
        let beside = |part: Range<u64>| {
            let below = part.start..part.end.min(other.start);
            let above = part.start.max(other.end)..part.end;
            [below, above].into_iter().filter(|part| !part.is_empty())
        };
        parts.into_iter().flat_map(beside).collect()
    })
}

impl DeviceMemory for RknpuMemory {
    fn size_bytes(&self) -> u64 {
        self.taken.size_bytes
    }

    fn device_address(&self) -> Option<u64> {
        Some(self.taken.address)
    }

    fn view(&self) -> Result<HostView> {
        let mut mapping = lock(&self.mapping);
        if let Some(mapping) = &*mapping {
            return Ok(mapping.view());
        }
        let taken = self.taken;
        let mapped = self.owner.call(move |npu| npu.map(taken)).flatten()?;
        Ok(mapping.insert(mapped).view())
    }

    /// Before the processor looks, it forgets what it has cached; a write that fills a line only in part looks too. What
    /// others are writing at that moment is not forgotten.
    fn sync(&self, kind: SyncKind, range: Range<u64>) -> Result<()> {
        let range = checked_part(self.size_bytes(), range)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut writes = lock(&self.open_writes);
        match kind {
            SyncKind::BeginRead | SyncKind::BeginWrite => {
                for part in outside(range.clone(), &writes) {
                    self.step(sync::FROM_DEVICE, part)?;
                }
                if kind == SyncKind::BeginWrite {
                    writes.push(range);
                }
                Ok(())
            }
            SyncKind::EndRead => Ok(()),
            SyncKind::EndWrite => {
                if let Some(index) = writes.iter().position(|write| *write == range) {
                    writes.swap_remove(index);
                }
                self.step(sync::TO_DEVICE, range)
            }
        }
    }

    fn keep_addresses(&self) -> bool {
        let mapping = lock(&self.mapping);
        mapping.as_ref().is_some_and(|mapping| mapping.keep_addresses(&*self.kernel))
    }

    fn export_fd(&self) -> Result<OwnedFd> {
        let handle = self.taken.handle;
        self.owner.call(move |npu| npu.export(handle)).flatten()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for RknpuMemory {
    fn drop(&mut self) {
        let mapping = self.mapping.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let handle = self.taken.handle;
        // It fails only when the thread is no more; the device was closed with it.
        let _ = self.owner.call(move |npu| {
            drop(mapping);
            npu.free(handle);
        });
    }
}
