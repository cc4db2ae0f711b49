//! What devices there are, what they are, and the contexts on them.

use std::ffi::{CStr, c_char};

use crate::driver::{
    CONTEXT, Code, INVALID_VALUE,
    Rule::{Anytime, InContext, Initialised, LetsGo, Switches},
    call,
};

use super::{check_device, put, total_bytes};

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
