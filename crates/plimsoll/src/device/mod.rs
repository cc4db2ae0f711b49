//! Memory from the devices themselves, in slabs: one trait, and a back end for each kind.
//!
//! ```text
//!   Backend::take(Request)      admitted by headroom, then asked of the driver
//!     -> Box<dyn DeviceMemory>  a slab: read, write, copy, map, sync; dropping it frees it
//! ```
//!
//! Nothing is linked. What a machine has not got is [`Error::DeviceUnavailable`](crate::Error::DeviceUnavailable) with
//! its reason, never a crash. Addresses that a device knows memory by stay in Rust.

// Memory of devices is reached by system calls and raw addresses; each block says what makes it sound.
#![allow(unsafe_code)]

mod context;
mod cuda;
mod dma_buf;
mod dma_heap;
mod errno;
mod host;
mod ioctl;
pub mod kernel;
mod library;
mod memory;
mod meter;
mod nvml;
mod open;
pub mod rknpu;
mod staging;
mod udmabuf;

use std::{any::Any, fmt, sync::Arc};

pub use context::{Charge, DeviceContext};
pub use cuda::{CudaAdvice, CudaBackend, CudaChunks, CudaInfo, CudaKind, CudaOptions, CudaStaging, CudaUse};
pub use dma_heap::{DmaHeap, DmaHeapBackend};
pub use host::{HostBackend, HostOptions, HostSource, HugePageUse};
pub use memory::{DeviceMemory, HostView, SyncKind};
pub use meter::{DeviceUsage, Meter, Metered, unseen_bytes};
pub use nvml::{GpuProcess, gpu_processes, nvml_processes};
pub use open::{Chosen, DeviceChoice, PassedOver, choose_device, likely_device};
pub use rknpu::RknpuBackend;
pub use staging::Staging;
pub use udmabuf::UdmabufBackend;

pub use crate::system::BackEndKind;
use crate::{budget::Promised, error::Result};

/// Where slabs come from: one device, or one heap.
///
/// All methods may be called from any thread; a call may wait for a driver. A back end that needs a thread or a lock
/// of its own keeps it to itself. What only one kind has is reached by its type: `(&*backend as &dyn Any).downcast_ref()`.
pub trait Backend: Any + Send + Sync + fmt::Debug {
    /// What kind of memory it gives.
    fn kind(&self) -> BackEndKind;

    /// Its name, by which it is chosen and reported: `"host"`, `"dma-heap:system"`, `"cuda:0"`, `"rknpu"`.
    fn name(&self) -> &str;

    /// What it can and cannot do. Constant for the life of the back end.
    fn limits(&self) -> Limits;

    /// Takes memory from the device. It is zeroed only where [`Limits::zeroed`] says so.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for zero bytes or more than
    /// [`MAX_BYTES`](crate::units::MAX_BYTES); [`Error::InsufficientMemory`](crate::Error::InsufficientMemory) when the
    /// machine has not that much to give, before the driver is asked, or when the driver says so;
    /// [`Error::Device`](crate::Error::Device) with the driver's own code otherwise.
    fn take(&self, request: &Request<'_>) -> Result<Box<dyn DeviceMemory>>;

    /// Whether so much could be given now, as far as is known before the driver is asked. Nothing is taken.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take) has before the driver is asked.
    fn check_headroom(&self, request: &Request<'_>) -> Result<()> {
        request.check_size()
    }

    /// What it has given out, and what it says of itself. Never waits for a device.
    fn usage(&self) -> DeviceUsage;

    /// Windows of at least so many bytes by which memory is filled faster than by [`write`](DeviceMemory::write), where the
    /// device has such.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take): they are memory, too.
    fn staging(&self, window_bytes: u64) -> Result<Option<Box<dyn Staging>>> {
        let _ = window_bytes;
        Ok(None)
    }

    /// Whether what it takes is RAM of the machine that this process runs on, so that it must not be what others were granted
    /// of that. By default where its memory is [the machine's](Limits::system_memory); a back end that reads a copy of
    /// another machine's files says no.
    fn is_of_this_machine(&self) -> bool {
        self.limits().system_memory
    }

    /// What its user should know and would not expect: a way round something that is missing, with the line that mends
    /// it. Usually nothing.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What is asked of a [`Backend`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Bytes wanted. A slab has at least that many, rounded up to the granule of the back end.
    pub bytes: u64,
    /// What the memory is for; shown where a driver takes names.
    pub label: &'a str,
    /// What was promised to others and not yet taken: headroom without it is what can be given.
    pub promised: Promised,
}

impl<'a> Request<'a> {
    /// So many bytes, with nothing promised to others.
    #[must_use]
    pub const fn new(bytes: u64, label: &'a str) -> Self {
        Self { bytes, label, promised: Promised::NOTHING }
    }
}

/// A label as the system takes names: at most so many bytes, and no character of control.
fn shown_label(label: &str, most_bytes: usize) -> String {
    let end = label.floor_char_boundary(most_bytes);
    label.get(..end).unwrap_or_default().replace(char::is_control, " ")
}

/// What a back end can and cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is a property of its own.
pub struct Limits {
    /// Sizes are rounded up to a multiple of this, in bytes.
    pub granule_bytes: u64,
    /// The least size a pool should take at once, in bytes.
    pub slab_bytes: u64,
    /// The largest size worth asking for at once, in bytes, where the device has such a bound.
    pub largest_bytes: Option<u64>,
    /// Whether sizes must be a power of two to use the device's addresses well (a larger request gets a slab of its
    /// own).
    pub powers_of_two: bool,
    /// Whether fresh memory reads zero.
    pub zeroed: bool,
    /// Whether the processor can see the memory: [`DeviceMemory::view`] works.
    pub mappable: bool,
    /// Whether views need [`DeviceMemory::sync`] around them to be coherent with the device.
    pub needs_sync: bool,
    /// Whether memory can be handed to another driver as a file descriptor.
    pub exportable: bool,
    /// Whether it is the machine's RAM, which the machine's headroom and a budget of the machine bound. A GPU's own memory
    /// is not, nor are huge pages that were set aside.
    pub system_memory: bool,
}

/// A back end that is shared.
pub type SharedBackend = Arc<dyn Backend>;
