//! The driver's functions, by the names of its library's symbols.

use std::{
    ffi::{CStr, c_char, c_void},
    fs::File,
    os::fd::IntoRawFd,
};

use crate::{
    driver::{
        Answer, CONTEXT, Code, Driver, INVALID_DEVICE, INVALID_HANDLE, INVALID_VALUE, NOT_SUPPORTED,
        OUT_OF_MEMORY,
        Rule::{Anytime, Frees, InContext, Initialised, LetsGo, Switches},
        call,
    },
    memory::{GRANULARITY, Kind},
    stream::{Work, read},
};

/// Puts an answer where the caller wants it.
unsafe fn put<T>(place: *mut T, value: T) -> Answer {
    if place.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's promise: a live place for such a value.
    unsafe { place.write(value) };
    Ok(())
}

fn check_device(driver: &Driver, device: i32) -> Answer {
    let known = (0..driver.settings.number("devices", 1)).contains(&i64::from(device));
    if known { Ok(()) } else { Err(INVALID_DEVICE) }
}

#[unsafe(no_mangle)]
pub extern "C" fn cuInit(flags: u32) -> Code {
    call("cuInit", Anytime, |driver| {
        let code = driver.settings.number("init_code", 0) as Code;
        if code != 0 {
            return Err(code);
        }
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        driver.initialised = true;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDriverGetVersion(version: *mut i32) -> Code {
    call("cuDriverGetVersion", Anytime, |driver| {
        // SAFETY: the caller's promise.
        unsafe { put(version, driver.settings.number("driver_version", 12060) as i32) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut i32) -> Code {
    call("cuDeviceGetCount", Initialised, |driver| {
        // SAFETY: the caller's promise.
        unsafe { put(count, driver.settings.number("devices", 1) as i32) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut i32, ordinal: i32) -> Code {
    call("cuDeviceGet", Initialised, |driver| {
        check_device(driver, ordinal)?;
        // SAFETY: the caller's promise.
        unsafe { put(device, ordinal) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, len: i32, device: i32) -> Code {
    const NAME: &CStr = c"Fake GPU";
    call("cuDeviceGetName", Initialised, |driver| {
        check_device(driver, device)?;
        let bytes = NAME.to_bytes_with_nul();
        if usize::try_from(len).unwrap_or(0) < bytes.len() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: room for `len` bytes.
        unsafe { name.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: i32) -> Code {
    call("cuDeviceTotalMem_v2", Initialised, |driver| {
        check_device(driver, device)?;
        // SAFETY: the caller's promise.
        unsafe { put(bytes, total_bytes(driver) as usize) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetAttribute(value: *mut i32, attribute: u32, device: i32) -> Code {
    call("cuDeviceGetAttribute", Initialised, |driver| {
        check_device(driver, device)?;
        let known = driver.settings.attributes.get(&attribute).copied();
        // SAFETY: the caller's promise.
        unsafe { put(value, known.ok_or(INVALID_VALUE)?) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut usize, device: i32) -> Code {
    call("cuDevicePrimaryCtxRetain", Initialised, |driver| {
        check_device(driver, device)?;
        // SAFETY: the caller's promise.
        unsafe { put(context, CONTEXT)? };
        driver.retain();
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRelease_v2(device: i32) -> Code {
    call("cuDevicePrimaryCtxRelease_v2", LetsGo, |driver| {
        check_device(driver, device)?;
        driver.release()
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxPushCurrent_v2(context: usize) -> Code {
    call("cuCtxPushCurrent_v2", Switches, |driver| driver.push(context))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxPopCurrent_v2(context: *mut usize) -> Code {
    call("cuCtxPopCurrent_v2", LetsGo, |driver| {
        let popped = driver.pop()?;
        // SAFETY: the caller's promise.
        unsafe { put(context, popped) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSynchronize() -> Code {
    call("cuCtxSynchronize", InContext, |driver| driver.streams.finish_all(&driver.memory))
}

fn is_integrated(driver: &Driver) -> bool {
    driver.settings.attributes.get(&18) == Some(&1)
}

fn total_bytes(driver: &Driver) -> u64 {
    driver.settings.bytes("total_bytes", 8 << 30)
}

/// An integrated GPU's memory is the machine's, so that all kinds eat from it.
fn free_bytes(driver: &Driver) -> u64 {
    let used = driver.memory.used_bytes(|kind| is_integrated(driver) || kind != Kind::Pinned);
    total_bytes(driver).saturating_sub(used)
}

fn check_room(driver: &Driver, bytes: u64) -> Answer {
    if bytes == 0 {
        return Err(INVALID_VALUE);
    }
    if bytes > free_bytes(driver) { Err(OUT_OF_MEMORY) } else { Ok(()) }
}

/// What a driver refuses in one piece though it has room for it, as that of Linux for Tegra 36.4.7 does.
fn check_one_piece(driver: &Driver, bytes: u64) -> Answer {
    let largest = driver.settings.bytes("largest_alloc_bytes", u64::MAX);
    if bytes > largest { Err(OUT_OF_MEMORY) } else { Ok(()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Code {
    call("cuMemGetInfo_v2", InContext, |driver| {
        // SAFETY: the caller's promise.
        unsafe {
            put(free, free_bytes(driver) as usize)?;
            put(total, total_bytes(driver) as usize)
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Code {
    call("cuMemAlloc_v2", InContext, |driver| {
        check_room(driver, bytes as u64)?;
        check_one_piece(driver, bytes as u64)?;
        let taken = driver.memory.take(bytes as u64, Kind::Device, false)?;
        // SAFETY: the caller's promise.
        unsafe { put(address, taken) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemFree_v2(address: u64) -> Code {
    call("cuMemFree_v2", Frees, |driver| {
        driver.streams.finish_all(&driver.memory)?;
        let kinds = |kind| matches!(kind, Kind::Device | Kind::Managed);
        blamed(driver, "cuMemFree", |driver| driver.memory.free(address, kinds))
    })
}

/// Writes a refused call of those that free down as wrong: no correct program makes one.
fn blamed(driver: &mut Driver, what: &str, body: impl FnOnce(&mut Driver) -> Answer) -> Answer {
    let answer = body(driver);
    if let Err(code) = answer {
        driver.wrong(format!("{what} of what is not there: error {code}"));
    }
    answer
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostAlloc(host: *mut *mut c_void, bytes: usize, flags: u32) -> Code {
    call("cuMemHostAlloc", InContext, |driver| {
        if flags > 7 {
            return Err(INVALID_VALUE);
        }
        check_room(driver, bytes as u64)?;
        let taken = driver.memory.take(bytes as u64, Kind::Pinned, true)?;
        // SAFETY: the caller's promise.
        unsafe { put(host, std::ptr::with_exposed_provenance_mut(taken as usize)) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemFreeHost(host: *mut c_void) -> Code {
    call("cuMemFreeHost", Frees, |driver| {
        driver.streams.finish_all(&driver.memory)?;
        let address = host.addr() as u64;
        blamed(driver, "cuMemFreeHost", |driver| driver.memory.free(address, |kind| kind == Kind::Pinned))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostGetDevicePointer_v2(
    address: *mut u64,
    host: *mut c_void,
    flags: u32,
) -> Code {
    call("cuMemHostGetDevicePointer_v2", InContext, |driver| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        let seen_at = driver.memory.pinned(host.addr() as u64)?;
        // SAFETY: the caller's promise.
        unsafe { put(address, seen_at) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocManaged(address: *mut u64, bytes: usize, flags: u32) -> Code {
    call("cuMemAllocManaged", InContext, |driver| {
        let attribute = |number| driver.settings.attributes.get(&number) == Some(&1);
        if !attribute(83) {
            return Err(NOT_SUPPORTED);
        }
        if !matches!(flags, 1 | 2) {
            return Err(INVALID_VALUE);
        }
        check_room(driver, bytes as u64)?;
        let seen_by_host = attribute(89);
        let taken = driver.memory.take(bytes as u64, Kind::Managed, seen_by_host)?;
        // SAFETY: the caller's promise.
        unsafe { put(address, taken) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemPrefetchAsync(address: u64, bytes: usize, device: i32, stream: usize) -> Code {
    call("cuMemPrefetchAsync", InContext, |driver| {
        check_device(driver, device)?;
        if stream != 0 || driver.settings.attributes.get(&89) != Some(&1) {
            return Err(INVALID_DEVICE);
        }
        driver.memory.pieces(address, bytes as u64).map(drop)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> Code {
    call("cuMemcpyHtoD_v2", InContext, |driver| {
        driver.memory.pieces(to, bytes as u64)?;
        // SAFETY: the caller's promise: so many bytes to read.
        let from = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) }.to_vec();
        driver.streams.push(0, Work::CopyOwned { to, from })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) -> Code {
    call("cuMemcpyDtoH_v2", InContext, |driver| {
        let pieces = driver.memory.pieces(from, bytes as u64)?;
        driver.streams.finish(0, &driver.memory)?;
        read(&pieces, to.cast());
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> Code {
    call("cuMemcpyDtoD_v2", InContext, |driver| {
        let len = bytes as u64;
        driver.memory.pieces(from, len)?;
        driver.memory.pieces(to, len)?;
        driver.streams.push(0, Work::Move { to, from, len })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: usize) -> Code {
    call("cuMemcpyHtoDAsync_v2", InContext, |driver| {
        driver.memory.pieces(to, bytes as u64)?;
        driver.streams.push(stream, Work::CopyIn { to, from: from.cast(), len: bytes })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemsetD8_v2(at: u64, byte: u8, bytes: usize) -> Code {
    call("cuMemsetD8_v2", InContext, |driver| {
        driver.memory.pieces(at, bytes as u64)?;
        driver.streams.push(0, Work::Fill { at, byte, len: bytes as u64 })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut usize, flags: u32) -> Code {
    call("cuStreamCreate", InContext, |driver| {
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise.
        unsafe { put(stream, driver.streams.create()) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamSynchronize(stream: usize) -> Code {
    call("cuStreamSynchronize", InContext, |driver| driver.streams.finish(stream, &driver.memory))
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamDestroy_v2(stream: usize) -> Code {
    call("cuStreamDestroy_v2", Frees, |driver| {
        blamed(driver, "cuStreamDestroy", |driver| driver.streams.destroy(stream, &driver.memory))
    })
}

/// `CUmemAllocationProp`, as far as it is looked at.
#[repr(C)]
pub struct Properties {
    kind: i32,
    handle_types: i32,
    location: [i32; 2],
    rest: [u64; 2],
}

unsafe fn check_properties(driver: &Driver, properties: *const Properties) -> Answer {
    // SAFETY: the caller's promise.
    let properties = unsafe { properties.as_ref() }.ok_or(INVALID_VALUE)?;
    let [kind, id] = properties.location;
    check_device(driver, id)?;
    let supported = properties.handle_types == 0
        || (properties.handle_types == 1 && driver.settings.attributes.get(&103) == Some(&1));
    if !supported {
        return Err(NOT_SUPPORTED);
    }
    let [meta_data, _] = properties.rest;
    if (properties.kind, kind, meta_data) == (1, 1, 0) { Ok(()) } else { Err(INVALID_VALUE) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetAllocationGranularity(
    granularity: *mut usize,
    properties: *const Properties,
    option: u32,
) -> Code {
    call("cuMemGetAllocationGranularity", Initialised, |driver| {
        if option > 1 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise.
        unsafe {
            check_properties(driver, properties)?;
            put(granularity, GRANULARITY as usize)
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAddressReserve(
    address: *mut u64,
    bytes: usize,
    alignment: usize,
    hint: u64,
    flags: u64,
) -> Code {
    call("cuMemAddressReserve", InContext, |driver| {
        if (alignment, hint, flags) != (0, 0, 0) {
            return Err(INVALID_VALUE);
        }
        if bytes as u64 > driver.settings.bytes("largest_reserve_bytes", u64::MAX) {
            return Err(OUT_OF_MEMORY);
        }
        let reserved = driver.memory.reserve(bytes as u64)?;
        // SAFETY: the caller's promise.
        unsafe { put(address, reserved) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemAddressFree(address: u64, bytes: usize) -> Code {
    call("cuMemAddressFree", Frees, |driver| {
        blamed(driver, "cuMemAddressFree", |driver| driver.memory.unreserve(address, bytes as u64))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemCreate(
    handle: *mut u64,
    bytes: usize,
    properties: *const Properties,
    flags: u64,
) -> Code {
    call("cuMemCreate", InContext, |driver| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise.
        unsafe { check_properties(driver, properties)? };
        check_room(driver, bytes as u64)?;
        check_one_piece(driver, bytes as u64)?;
        let created = driver.memory.create(bytes as u64)?;
        // SAFETY: the caller's promise.
        unsafe { put(handle, created) }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemRelease(handle: u64) -> Code {
    call("cuMemRelease", Frees, |driver| {
        blamed(driver, "cuMemRelease", |driver| driver.memory.release(handle))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemMap(address: u64, bytes: usize, offset: usize, handle: u64, flags: u64) -> Code {
    call("cuMemMap", InContext, |driver| {
        if (offset, flags) != (0, 0) {
            return Err(INVALID_VALUE);
        }
        driver.memory.map(address, bytes as u64, handle)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuMemUnmap(address: u64, bytes: usize) -> Code {
    call("cuMemUnmap", Frees, |driver| {
        if driver.streams.busy() {
            driver.wrong("cuMemUnmap while work is under way".to_owned());
        }
        blamed(driver, "cuMemUnmap", |driver| driver.memory.unmap(address, bytes as u64))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemSetAccess(
    address: u64,
    bytes: usize,
    access: *const [i32; 3],
    count: usize,
) -> Code {
    call("cuMemSetAccess", InContext, |driver| {
        // SAFETY: the caller's promise.
        let [kind, id, flags] = *unsafe { access.as_ref() }.ok_or(INVALID_VALUE)?;
        check_device(driver, id)?;
        if (kind, flags, count) != (1, 3, 1) {
            return Err(INVALID_VALUE);
        }
        driver.memory.make_accessible(address, bytes as u64)
    })
}

/// A file descriptor that stands for exported memory.
fn any_descriptor() -> Answer<i32> {
    File::open("/dev/null").map(IntoRawFd::into_raw_fd).map_err(|_| 304)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemExportToShareableHandle(
    descriptor: *mut c_void,
    handle: u64,
    kind: u32,
    flags: u64,
) -> Code {
    call("cuMemExportToShareableHandle", InContext, |driver| {
        if !driver.memory.has_handle(handle) {
            return Err(INVALID_HANDLE);
        }
        if (kind, flags) != (1, 0) {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: for this kind of handle, a place for an int.
        unsafe { put(descriptor.cast(), any_descriptor()?) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetHandleForAddressRange(
    descriptor: *mut c_void,
    address: u64,
    bytes: usize,
    kind: u32,
    flags: u64,
) -> Code {
    call("cuMemGetHandleForAddressRange", InContext, |driver| {
        if driver.settings.attributes.get(&124) != Some(&1) {
            return Err(NOT_SUPPORTED);
        }
        let whole_pages = address.is_multiple_of(4096) && bytes.is_multiple_of(4096);
        let exported = |kind| match kind {
            Kind::Pinned => is_integrated(driver),
            Kind::Device | Kind::Chunk { .. } => !is_integrated(driver),
            Kind::Managed => false,
        };
        let known = driver.memory.is_range_of(address, bytes as u64, exported);
        if (kind, flags) != (1, 0) || !whole_pages || !known {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: for this kind of handle, a place for an int.
        unsafe { put(descriptor.cast(), any_descriptor()?) }
    })
}

const TEXTS: &[(Code, &CStr, &CStr)] = &[
    (0, c"CUDA_SUCCESS", c"no error"),
    (1, c"CUDA_ERROR_INVALID_VALUE", c"invalid argument"),
    (2, c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory"),
    (3, c"CUDA_ERROR_NOT_INITIALIZED", c"initialization error"),
    (34, c"CUDA_ERROR_STUB_LIBRARY", c"CUDA driver is a stub library"),
    (100, c"CUDA_ERROR_NO_DEVICE", c"no CUDA-capable device is detected"),
    (101, c"CUDA_ERROR_INVALID_DEVICE", c"invalid device ordinal"),
    (201, c"CUDA_ERROR_INVALID_CONTEXT", c"invalid device context"),
    (700, c"CUDA_ERROR_ILLEGAL_ADDRESS", c"an illegal memory access was encountered"),
    (709, c"CUDA_ERROR_CONTEXT_IS_DESTROYED", c"context is destroyed"),
    (719, c"CUDA_ERROR_LAUNCH_FAILED", c"unspecified launch failure"),
    (801, c"CUDA_ERROR_NOT_SUPPORTED", c"operation not supported"),
    (
        803,
        c"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        c"system has unsupported display driver / cuda driver combination",
    ),
    (
        804,
        c"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
        c"forward compatibility was attempted on non supported HW",
    ),
    (999, c"CUDA_ERROR_UNKNOWN", c"unknown error"),
];

/// Puts a text of a code, or null for one that nobody knows.
unsafe fn put_text(
    place: *mut *const c_char,
    code: Code,
    pick: fn(&(Code, &'static CStr, &'static CStr)) -> *const c_char,
) -> Code {
    let known = TEXTS.iter().find(|text| text.0 == code);
    // SAFETY: the caller's promise.
    let put = unsafe { put(place, known.map_or(std::ptr::null(), pick)) };
    if known.is_some() { put.err().unwrap_or(0) } else { INVALID_VALUE }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(code: Code, name: *mut *const c_char) -> Code {
    // SAFETY: the caller's promise.
    unsafe { put_text(name, code, |text| text.1.as_ptr()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(code: Code, text: *mut *const c_char) -> Code {
    // SAFETY: the caller's promise.
    unsafe { put_text(text, code, |text| text.2.as_ptr()) }
}
