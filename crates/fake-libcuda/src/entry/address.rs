//! Memory without an address, and addresses that it is mapped at: how expandable memory is made.

use std::{ffi::c_void, fs::File, os::fd::IntoRawFd};

use crate::{
    driver::{
        Answer, Code, Driver, INVALID_HANDLE, INVALID_VALUE, NOT_SUPPORTED, OUT_OF_MEMORY,
        Rule::{Frees, InContext, Initialised},
        call,
    },
    memory::{GRANULARITY, Kind},
};

use super::{blamed, check_device, check_one_piece, check_room, is_integrated, put};

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
        if driver.streams.uses(address, bytes as u64) {
            driver.wrong("cuMemUnmap of memory that work is under way on".to_owned());
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
