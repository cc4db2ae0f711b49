//! The same file is a `libnvidia-ml.so.1` without a GPU, for as many of its functions as tell who holds memory.
//!
//! Settings: `nvml.init_code`, `nvml.devices`, `nvml.code` (of the lists), `nvml.list_code_v3` (of the newest alone),
//! `nvml.processes` on each GPU from `nvml.first_pid`, of which the first also draws, and `nvml.unavailable`.

use std::{
    ffi::{CStr, c_char},
    sync::PoisonError,
};

use crate::driver::DRIVER;

type Code = i32;

const SUCCESS: Code = 0;
const UNINITIALIZED: Code = 1;
const INVALID_ARGUMENT: Code = 2;
const INSUFFICIENT_SIZE: Code = 7;
const NOT_AVAILABLE: u64 = u64::MAX;

/// `nvmlProcessInfo_v1_t`.
#[repr(C)]
pub struct ShortRow {
    pid: u32,
    used: u64,
}

/// `nvmlProcessInfo_t` since its second version.
#[repr(C)]
pub struct LongRow {
    pid: u32,
    used: u64,
    gpu_instance: u32,
    compute_instance: u32,
}

trait Row {
    fn new(pid: u32, used: u64) -> Self;
}

impl Row for ShortRow {
    fn new(pid: u32, used: u64) -> Self {
        Self { pid, used }
    }
}

impl Row for LongRow {
    fn new(pid: u32, used: u64) -> Self {
        Self { pid, used, gpu_instance: u32::MAX, compute_instance: u32::MAX }
    }
}

fn number(key: &str, default: i64) -> i64 {
    DRIVER.lock().unwrap_or_else(PoisonError::into_inner).settings.number(key, default)
}

fn count_of(key: &str, default: i64) -> u32 {
    number(key, default).try_into().unwrap_or(0)
}

/// Changes how often the library is initialised, and says how often it is then.
fn initialised(change: i64) -> i64 {
    let mut driver = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    driver.nvml_count += change;
    driver.nvml_count
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> Code {
    let code = number("nvml.init_code", 0) as Code;
    if code == SUCCESS {
        initialised(1);
    }
    code
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> Code {
    if initialised(-1) < 0 { UNINITIALIZED } else { SUCCESS }
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(code: Code) -> *const c_char {
    let text: &CStr = match code {
        3 => c"Not Supported",
        4 => c"Insufficient Permissions",
        9 => c"Driver Not Loaded",
        13 => c"Function Not Found",
        _ => return std::ptr::null(),
    };
    text.as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut u32) -> Code {
    if initialised(0) < 1 {
        return UNINITIALIZED;
    }
    // SAFETY: the caller's promise: a live place for a number.
    unsafe { count.write(count_of("nvml.devices", 1)) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: u32, handle: *mut usize) -> Code {
    if index >= count_of("nvml.devices", 1) {
        return INVALID_ARGUMENT;
    }
    // SAFETY: the caller's promise: a live place for a pointer.
    unsafe { handle.write(0xd0_0000 + index as usize) };
    SUCCESS
}

/// Writes as many rows as there is room for.
unsafe fn list<R: Row>(processes: u32, code: Code, count: *mut u32, rows: *mut R) -> Code {
    if initialised(0) < 1 {
        return UNINITIALIZED;
    }
    if code != SUCCESS {
        return code;
    }
    // SAFETY: the caller's promise: a live number, and as many places for rows as it says.
    unsafe {
        let room = count.read();
        count.write(processes);
        if room < processes {
            return INSUFFICIENT_SIZE;
        }
        for index in 0..processes {
            let unavailable = number("nvml.unavailable", 0) == 1;
            let used = if unavailable { NOT_AVAILABLE } else { (u64::from(index) + 1) << 30 };
            rows.add(index as usize).write(R::new(count_of("nvml.first_pid", 1000) + index, used));
        }
    }
    SUCCESS
}

unsafe fn compute<R: Row>(code: Code, count: *mut u32, rows: *mut R) -> Code {
    // SAFETY: the caller's promise.
    unsafe { list(count_of("nvml.processes", 2), code, count, rows) }
}

unsafe fn graphics<R: Row>(code: Code, count: *mut u32, rows: *mut R) -> Code {
    // SAFETY: the caller's promise.
    unsafe { list(count_of("nvml.processes", 2).min(1), code, count, rows) }
}

fn code() -> Code {
    number("nvml.code", 0) as Code
}

fn code_v3() -> Code {
    number("nvml.list_code_v3", i64::from(code())) as Code
}

macro_rules! lists {
    ($($name:ident: $list:ident, $row:ty, $code:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(_device: usize, count: *mut u32, rows: *mut $row) -> Code {
                // SAFETY: the caller's promise.
                unsafe { $list($code, count, rows) }
            }
        )*
    };
}

lists! {
    nvmlDeviceGetComputeRunningProcesses_v3: compute, LongRow, code_v3();
    nvmlDeviceGetComputeRunningProcesses_v2: compute, LongRow, code();
    nvmlDeviceGetComputeRunningProcesses: compute, ShortRow, code();
    nvmlDeviceGetGraphicsRunningProcesses_v3: graphics, LongRow, code_v3();
    nvmlDeviceGetGraphicsRunningProcesses_v2: graphics, LongRow, code();
    nvmlDeviceGetGraphicsRunningProcesses: graphics, ShortRow, code();
}
