//! The functions of the driver that are used, found in its library when it is opened; nothing is linked.
//!
//! The names are those of the library's symbols, not of the header's macros: several functions without a suffix take
//! 32-bit addresses.

use std::{
    ffi::{CStr, OsStr, OsString, c_char, c_void},
    path::Path,
};

use libloading::Library;

use super::codes::{CuResult, SUCCESS, advice};
use crate::{
    device::library::{load_first, usual_libraries},
    error::{Error, Result},
    system::{LIBRARY_NAME, LIBRARY_VARIABLE, named_library},
};

/// An address in the device's space.
pub(super) type DevicePointer = u64;
/// A context or a stream: a pointer of the driver's own, never followed here. 0 is none, or the default stream.
pub(super) type CudaHandle = usize;

/// `CUmemLocation`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MemLocation {
    pub kind: i32,
    pub id: i32,
}

/// `CUmemAllocationProp`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct AllocationProperties {
    pub kind: i32,
    pub handle_types: i32,
    pub location: MemLocation,
    pub win32_meta_data: usize,
    pub compression: u8,
    pub gpu_direct_rdma: u8,
    pub usage: u16,
    pub reserved: [u8; 4],
}

/// `CUmemAccessDesc`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct AccessDescription {
    pub location: MemLocation,
    pub flags: u32,
}

const _: () = assert!(size_of::<AllocationProperties>() == 32 && size_of::<AccessDescription>() == 12);

/// Declares a part of the table: all of its symbols are there, or the first that is missing is named.
macro_rules! symbols {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $symbol:literal ($($argument:ty),*);)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name {
            $(pub $field: unsafe extern "C" fn($($argument),*) -> CuResult,)*
        }

        impl $name {
            /// # Safety
            ///
            /// The library must be NVIDIA's driver, or have functions of the same names and signatures.
            unsafe fn find(library: &Library) -> Result<Self, &'static str> {
                Ok(Self {
                    // SAFETY: the caller's promise is that a symbol of this name has this signature.
                    $($field: *unsafe { library.get($symbol) }.map_err(|_| $symbol)?,)*
                })
            }
        }
    };
}

symbols! {
    /// What every driver has.
    Core {
        init = "cuInit" (u32);
        driver_version = "cuDriverGetVersion" (*mut i32);
        device_count = "cuDeviceGetCount" (*mut i32);
        device = "cuDeviceGet" (*mut i32, i32);
        device_name = "cuDeviceGetName" (*mut c_char, i32, i32);
        device_total = "cuDeviceTotalMem_v2" (*mut usize, i32);
        device_attribute = "cuDeviceGetAttribute" (*mut i32, u32, i32);
        context_retain = "cuDevicePrimaryCtxRetain" (*mut CudaHandle, i32);
        context_release = "cuDevicePrimaryCtxRelease_v2" (i32);
        context_push = "cuCtxPushCurrent_v2" (CudaHandle);
        context_pop = "cuCtxPopCurrent_v2" (*mut CudaHandle);
        context_synchronize = "cuCtxSynchronize" ();
        memory_info = "cuMemGetInfo_v2" (*mut usize, *mut usize);
        alloc = "cuMemAlloc_v2" (*mut DevicePointer, usize);
        free = "cuMemFree_v2" (DevicePointer);
        host_alloc = "cuMemHostAlloc" (*mut *mut c_void, usize, u32);
        host_free = "cuMemFreeHost" (*mut c_void);
        host_device_pointer = "cuMemHostGetDevicePointer_v2" (*mut DevicePointer, *mut c_void, u32);
        managed_alloc = "cuMemAllocManaged" (*mut DevicePointer, usize, u32);
        copy_to_device = "cuMemcpyHtoD_v2" (DevicePointer, *const c_void, usize);
        copy_to_host = "cuMemcpyDtoH_v2" (*mut c_void, DevicePointer, usize);
        copy_within = "cuMemcpyDtoD_v2" (DevicePointer, DevicePointer, usize);
        copy_to_device_async = "cuMemcpyHtoDAsync_v2" (DevicePointer, *const c_void, usize, CudaHandle);
        set = "cuMemsetD8_v2" (DevicePointer, u8, usize);
        stream_create = "cuStreamCreate" (*mut CudaHandle, u32);
        stream_synchronize = "cuStreamSynchronize" (CudaHandle);
        stream_destroy = "cuStreamDestroy_v2" (CudaHandle);
    }
}

symbols! {
    /// Virtual memory management, since CUDA 10.2.
    VirtualMemory {
        granularity = "cuMemGetAllocationGranularity" (*mut usize, *const AllocationProperties, u32);
        reserve = "cuMemAddressReserve" (*mut DevicePointer, usize, usize, DevicePointer, u64);
        unreserve = "cuMemAddressFree" (DevicePointer, usize);
        create = "cuMemCreate" (*mut u64, usize, *const AllocationProperties, u64);
        release = "cuMemRelease" (u64);
        map = "cuMemMap" (DevicePointer, usize, usize, u64, u64);
        unmap = "cuMemUnmap" (DevicePointer, usize);
        set_access = "cuMemSetAccess" (DevicePointer, usize, *const AccessDescription, usize);
        export = "cuMemExportToShareableHandle" (*mut c_void, u64, u32, u64);
    }
}

symbols! {
    /// Handing a range to another driver, since CUDA 11.7.
    DmaBuf { handle_for_range = "cuMemGetHandleForAddressRange" (*mut c_void, DevicePointer, usize, u32, u64); }
}

symbols! {
    /// Moving managed memory before it is touched. The old name, which takes a device, is still exported.
    Prefetch { prefetch = "cuMemPrefetchAsync" (DevicePointer, usize, i32, CudaHandle); }
}

symbols! {
    /// What the driver calls its codes.
    Texts {
        name = "cuGetErrorName" (CuResult, *mut *const c_char);
        text = "cuGetErrorString" (CuResult, *mut *const c_char);
    }
}

/// The driver's library, opened and initialised.
#[derive(Clone)]
pub(super) struct CudaTable {
    pub core: Core,
    pub virtual_memory: Option<VirtualMemory>,
    pub dma_buf: Option<DmaBuf>,
    pub prefetch: Option<Prefetch>,
    texts: Option<Texts>,
    /// What was opened, as it was called.
    pub library: OsString,
}

impl CudaTable {
    /// Opens the library that is named, by the argument or by the environment, or the first of the usual ones, and
    /// initialises it.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let named = path.map(|path| path.as_os_str().to_owned()).or_else(named_library);
        let is_named = named.is_some();
        let candidates = named.map_or_else(|| usual_libraries(LIBRARY_NAME), |name| vec![name]);
        let (name, library) = load_first(&candidates).map_err(|reasons| {
            let elsewhere = format!("; if it lies elsewhere, name it in {LIBRARY_VARIABLE}");
            let advice = if is_named { "" } else { elsewhere.as_str() };
            unavailable(format!("no library of NVIDIA's driver could be loaded: {reasons}{advice}"))
        })?;
        // SAFETY: a library of that name is NVIDIA's driver; whoever names another one answers for it.
        let table = unsafe { Self::find(&library, &name) };
        // Never unloaded: the driver keeps threads and handlers of its own in the process.
        std::mem::forget(library);
        let table = table?;
        table.init()?;
        Ok(table)
    }

    unsafe fn find(library: &Library, name: &OsStr) -> Result<Self> {
        // SAFETY: the caller's promise, for each of the parts.
        unsafe {
            let core = Core::find(library).map_err(|symbol| {
                unavailable(format!("{} is no driver of NVIDIA's: it has no {symbol}", name.display()))
            })?;
            Ok(Self {
                core,
                virtual_memory: VirtualMemory::find(library).ok(),
                dma_buf: DmaBuf::find(library).ok(),
                prefetch: Prefetch::find(library).ok(),
                texts: Texts::find(library).ok(),
                library: name.to_owned(),
            })
        }
    }

    /// Whatever stops the driver from starting, known or not, is "no CUDA here".
    fn init(&self) -> Result<()> {
        // SAFETY: takes no pointer; may be called any number of times, from any thread.
        let code = unsafe { (self.core.init)(0) };
        self.available("cuInit", code)
    }

    /// As [`check`](Self::check), for the calls that find out whether there is a device at all.
    pub fn available(&self, call: &str, code: CuResult) -> Result<()> {
        if code == SUCCESS {
            return Ok(());
        }
        let library = self.library.display();
        Err(unavailable(format!("{call} of {library} failed with error {code}: {}", self.meaning(code))))
    }

    /// An error of `device` unless the call succeeded.
    pub fn check(&self, device: &str, call: &'static str, code: CuResult) -> Result<()> {
        if code == SUCCESS {
            Ok(())
        } else {
            Err(Error::device(device, Some(code), call, self.meaning(code)))
        }
    }

    /// A code in words: the driver's, and what to do.
    pub fn meaning(&self, code: CuResult) -> String {
        let said = self.texts.map(|texts| [texts.name, texts.text].map(|ask| ask_text(ask, code)));
        let said = match said {
            Some([Some(name), Some(text)]) => format!("{name}, {text}"),
            Some([Some(name), None]) => name,
            _ => "a code that the driver has no name for".to_owned(),
        };
        advice(code).map_or_else(|| said.clone(), |advice| format!("{said}; {advice}"))
    }
}

fn ask_text(
    ask: unsafe extern "C" fn(CuResult, *mut *const c_char) -> CuResult,
    code: CuResult,
) -> Option<String> {
    let mut text = std::ptr::null();
    // SAFETY: `text` is a live place for a pointer; unknown codes leave null in it.
    let answer = unsafe { ask(code, &raw mut text) };
    (answer == SUCCESS && !text.is_null()).then(|| {
        // SAFETY: a text of the driver's own, which lives as long as its library: for good.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    })
}

pub(super) fn unavailable(reason: impl Into<String>) -> Error {
    Error::DeviceUnavailable { device: "cuda".to_owned(), reason: reason.into() }
}
