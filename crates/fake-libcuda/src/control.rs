//! What a test says to the fake, and asks of it.

use std::{
    ffi::{CStr, CString, c_char},
    sync::{MutexGuard, PoisonError},
};

use crate::driver::{DRIVER, Driver, Failures};

fn driver() -> MutexGuard<'static, Driver> {
    DRIVER.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe fn text<'a>(key: *const c_char) -> &'a str {
    // SAFETY: the caller's promise: a text that ends in zero.
    unsafe { CStr::from_ptr(key) }.to_str().unwrap_or_default()
}

/// Sets what the device is like: `orin`, `attribute.N`, `devices`, `init_code`, `total_bytes`, `largest_alloc_bytes`,
/// `largest_reserve_bytes`, `driver_version`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fake_cuda_set(key: *const c_char, value: i64) -> i32 {
    // SAFETY: the caller's promise.
    let key = unsafe { text(key) };
    i32::from(!driver().settings.set(key, value))
}

/// Tells: `live` things not freed, the primary context `retained`, contexts `pushed`, how often `nvml` is in use, `calls`, `injected`
/// failures, calls of one function by its name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fake_cuda_get(key: *const c_char) -> i64 {
    // SAFETY: the caller's promise.
    let key = unsafe { text(key) };
    let driver = driver();
    let count = match key {
        "live" => driver.memory.live() + driver.streams.live(),
        "retained" => driver.retained,
        "pushed" => return driver.pushed,
        "nvml" => return driver.nvml_count,
        "calls" => driver.call_count,
        "injected" => driver.failures.injected,
        name => driver.calls.get(name).copied().unwrap_or_default(),
    };
    count.cast_signed()
}

/// The call after so many others fails with that code.
#[unsafe(no_mangle)]
pub extern "C" fn fake_cuda_fail_after(calls: u64, code: i32) {
    driver().failures.after(calls, code);
}

/// So many calls in a thousand fail from now on, of a sequence that the seed decides; 0 ends that.
#[unsafe(no_mangle)]
pub extern "C" fn fake_cuda_fail_randomly(seed: u64, per_mille: u64) {
    driver().failures.randomly(seed, per_mille);
}

/// A kernel has done something that ends the context with that code.
#[unsafe(no_mangle)]
pub extern "C" fn fake_cuda_lose(code: i32) {
    driver().lose(code);
}

/// As if the process had started anew, but for the settings. Nothing may be in use.
#[unsafe(no_mangle)]
pub extern "C" fn fake_cuda_reset() {
    let mut driver = driver();
    driver.failures = Failures::default();
    driver.calls.clear();
    driver.wrongs.clear();
    driver.call_count = 0;
}

/// What the program has done wrong, a line each. The caller frees it with [`fake_cuda_free_text`].
#[unsafe(no_mangle)]
pub extern "C" fn fake_cuda_wrongs() -> *mut c_char {
    CString::new(driver().wrongs.join("\n")).unwrap_or_default().into_raw()
}

/// Frees what [`fake_cuda_wrongs`] gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fake_cuda_free_text(text: *mut c_char) {
    // SAFETY: the caller's promise: a text of `fake_cuda_wrongs`, once.
    drop(unsafe { CString::from_raw(text) });
}
