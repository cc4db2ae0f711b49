//! Work on memory, and the streams that it waits in.

use std::ffi::c_void;

use crate::{
    driver::{
        Code, INVALID_DEVICE, INVALID_VALUE,
        Rule::{Frees, InContext},
        call,
    },
    stream::{Work, read},
};

use super::{blamed, check_device, put};

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
