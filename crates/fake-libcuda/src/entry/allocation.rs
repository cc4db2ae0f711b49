//! Memory of each kind, taken and freed.

use std::ffi::c_void;

use crate::{
    driver::{
        Code, INVALID_VALUE, NOT_SUPPORTED,
        Rule::{Frees, InContext},
        call,
    },
    memory::Kind,
};

use super::{blamed, check_one_piece, check_room, free_bytes, put, total_bytes};

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
