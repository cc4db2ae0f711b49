//! What a device is, and which kind of its memory is for what.

use std::{borrow::Cow, ffi::CStr, path::Path};

use super::{
    CudaKind,
    codes::INVALID_VALUE,
    table::{CudaTable, unavailable},
};
use crate::error::Result;

/// A CUDA device, as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is an attribute of its own.
pub struct CudaInfo {
    /// Its number, from 0 on, after `CUDA_VISIBLE_DEVICES`.
    pub ordinal: u32,
    /// What the driver calls it: `"Orin"`, `"NVIDIA H200"`.
    pub name: String,
    /// The CUDA version of the driver, major and minor: (12, 6).
    pub driver_version: (u32, u32),
    /// Which library of the driver was opened.
    pub library: String,
    /// The compute capability, major and minor: (8, 7) is Orin.
    pub compute_capability: (u32, u32),
    /// All its memory, in bytes. An integrated GPU's is the machine's RAM.
    pub total_bytes: u64,
    /// Multiprocessors.
    pub multiprocessor_count: u32,
    /// Whether it shares the machine's RAM.
    pub integrated: bool,
    /// Whether host and device know memory by the same addresses.
    pub unified_addressing: bool,
    /// Whether it can work on pinned host memory where that lies.
    pub can_map_host_memory: bool,
    /// Whether it has managed memory.
    pub managed_memory: bool,
    /// Whether the processor may touch managed memory while the device works.
    pub concurrent_managed_access: bool,
    /// Whether it can work on any memory of the process.
    pub pageable_memory_access: bool,
    /// Whether memory of the process can be registered with it.
    pub host_register: bool,
    /// Whether slabs can be put together from chunks.
    pub virtual_memory_management: bool,
    /// Whether such chunks can be exported as file descriptors.
    pub posix_handles: bool,
    /// Whether such chunks can be made accessible to other devices on the bus.
    pub virtual_memory_rdma: bool,
    /// Whether ranges of its memory can be exported as dma-bufs.
    pub dma_buf: bool,
}

/// How memory will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CudaUse {
    /// By kernels alone: weights, KV cache, scratch.
    Device,
    /// Written on one side and read once on the other: inputs, outputs, tables read once in a pass.
    Shared,
    /// Large, read by kernels again and again, and touched by the processor between them.
    SharedOften,
}

/// Which kind of memory suits a use, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaAdvice {
    /// The kind.
    pub kind: CudaKind,
    /// Why.
    pub reason: String,
}

/// `CUdevice_attribute`.
mod attribute {
    pub const MULTIPROCESSOR_COUNT: u32 = 16;
    pub const INTEGRATED: u32 = 18;
    pub const CAN_MAP_HOST_MEMORY: u32 = 19;
    pub const UNIFIED_ADDRESSING: u32 = 41;
    pub const COMPUTE_CAPABILITY_MAJOR: u32 = 75;
    pub const COMPUTE_CAPABILITY_MINOR: u32 = 76;
    pub const MANAGED_MEMORY: u32 = 83;
    pub const PAGEABLE_MEMORY_ACCESS: u32 = 88;
    pub const CONCURRENT_MANAGED_ACCESS: u32 = 89;
    pub const HOST_REGISTER_SUPPORTED: u32 = 99;
    pub const VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED: u32 = 102;
    pub const HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED: u32 = 103;
    pub const GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED: u32 = 110;
    pub const DMA_BUF_SUPPORTED: u32 = 124;
}

impl CudaInfo {
    /// Every device that this process may use, by the library of that path, or by the usual one. Makes no context.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceUnavailable`](crate::Error::DeviceUnavailable) when there is no driver, or no device.
    pub fn all(library: Option<&Path>) -> Result<Vec<Self>> {
        let table = CudaTable::open(library)?;
        (0..device_count(&table)?).map(|ordinal| Self::read(&table, ordinal).map(|(_, info)| info)).collect()
    }

    /// Which kind of memory suits a use on this device. The rules are those of NVIDIA's "CUDA for Tegra" application
    /// note, section "Memory Management"; on a GPU with memory of its own the bus decides.
    #[must_use]
    pub fn advice(&self, usage: CudaUse) -> CudaAdvice {
        let (kind, reason) = match (usage, self.integrated) {
            (CudaUse::Device, _) => {
                (CudaKind::Device, Cow::Borrowed("the GPU caches it, and the processor has no part in it"))
            }
            (_, true) if !self.can_map_host_memory && !self.managed_memory => {
                (CudaKind::Device, "this GPU shares no other kind with the processor: copy".into())
            }
            (CudaUse::SharedOften, true) if self.managed_memory => {
                let care = if self.concurrent_managed_access {
                    "at any time"
                } else {
                    "but only while no kernel runs: there is no view of it, it is read and written by copies"
                };
                (
                    CudaKind::Managed,
                    format!("GPU and processor both cache it; the processor may touch it {care}").into(),
                )
            }
            (_, true) => {
                let cached = if self.compute_capability >= (7, 2) { "caches" } else { "does not cache" };
                (
                    CudaKind::Pinned,
                    format!("nothing is copied; the processor {cached} it, the GPU does not").into(),
                )
            }
            (CudaUse::Shared, false) => {
                (CudaKind::Pinned, "it crosses the bus once, while other work goes on".into())
            }
            (CudaUse::SharedOften, false) => {
                (CudaKind::Device, "over the bus every pass costs; copy it through pinned staging".into())
            }
        };
        CudaAdvice { kind, reason: reason.into_owned() }
    }

    pub(super) fn read(table: &CudaTable, ordinal: u32) -> Result<(i32, Self)> {
        let count = device_count(table)?;
        if ordinal >= count {
            return Err(unavailable(format!("there is no device {ordinal}: the driver shows {count}")));
        }
        let mut device = 0;
        // SAFETY: `device` is a live place for a number.
        let code = unsafe { (table.core.device)(&raw mut device, ordinal.cast_signed()) };
        table.available("cuDeviceGet", code)?;
        let number = |attribute| read_attribute(table, device, attribute);
        let flag = |attribute| number(attribute).map(|value| value != 0);
        let info = Self {
            ordinal,
            name: read_name(table, device)?,
            driver_version: driver_version(table)?,
            library: table.library.to_string_lossy().into_owned(),
            compute_capability: (
                number(attribute::COMPUTE_CAPABILITY_MAJOR)?,
                number(attribute::COMPUTE_CAPABILITY_MINOR)?,
            ),
            total_bytes: read_total(table, device)?,
            multiprocessor_count: number(attribute::MULTIPROCESSOR_COUNT)?,
            integrated: flag(attribute::INTEGRATED)?,
            unified_addressing: flag(attribute::UNIFIED_ADDRESSING)?,
            can_map_host_memory: flag(attribute::CAN_MAP_HOST_MEMORY)?,
            managed_memory: flag(attribute::MANAGED_MEMORY)?,
            concurrent_managed_access: flag(attribute::CONCURRENT_MANAGED_ACCESS)?,
            pageable_memory_access: flag(attribute::PAGEABLE_MEMORY_ACCESS)?,
            host_register: flag(attribute::HOST_REGISTER_SUPPORTED)?,
            virtual_memory_management: flag(attribute::VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)?
                && table.virtual_memory.is_some(),
            posix_handles: flag(attribute::HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED)?,
            virtual_memory_rdma: flag(attribute::GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED)?,
            dma_buf: flag(attribute::DMA_BUF_SUPPORTED)? && table.dma_buf.is_some(),
        };
        Ok((device, info))
    }
}

fn device_count(table: &CudaTable) -> Result<u32> {
    let mut count = 0;
    // SAFETY: `count` is a live place for a number.
    table.available("cuDeviceGetCount", unsafe { (table.core.device_count)(&raw mut count) })?;
    Ok(count.try_into().unwrap_or(0))
}

fn driver_version(table: &CudaTable) -> Result<(u32, u32)> {
    let mut version = 0;
    // SAFETY: `version` is a live place for a number.
    table.available("cuDriverGetVersion", unsafe { (table.core.driver_version)(&raw mut version) })?;
    let version = u32::try_from(version).unwrap_or(0);
    Ok((version / 1000, version % 1000 / 10))
}

fn read_name(table: &CudaTable, device: i32) -> Result<String> {
    let mut name = [0; 256];
    // SAFETY: the array has room for as many bytes as the call is told; one is kept back, so that it ends in zero.
    let code = unsafe { (table.core.device_name)(name.as_mut_ptr().cast(), 255, device) };
    table.available("cuDeviceGetName", code)?;
    Ok(CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy().into_owned())
}

fn read_total(table: &CudaTable, device: i32) -> Result<u64> {
    let mut total = 0_usize;
    // SAFETY: `total` is a live place for a size.
    table.available("cuDeviceTotalMem", unsafe { (table.core.device_total)(&raw mut total, device) })?;
    Ok(total as u64)
}

/// An attribute that the driver is too old to know of is one that the device has not got.
fn read_attribute(table: &CudaTable, device: i32, attribute: u32) -> Result<u32> {
    let mut value = 0;
    // SAFETY: `value` is a live place for a number.
    let code = unsafe { (table.core.device_attribute)(&raw mut value, attribute, device) };
    if code != INVALID_VALUE {
        table.available("cuDeviceGetAttribute", code)?;
    }
    Ok(value.try_into().unwrap_or(0))
}
