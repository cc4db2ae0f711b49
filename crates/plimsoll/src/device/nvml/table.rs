//! The few functions of NVIDIA's management library that are used, found when they are asked for; nothing is linked.

use std::{
    ffi::{CStr, OsString, c_char},
    path::Path,
};

use libloading::Library;

use super::process::{ProcessOf, Row, StructLayout};
use crate::{
    device::library::{load_first, usual_libraries},
    system::variable,
};

/// What the library answers, or why it does not.
pub(super) type Answer<T> = std::result::Result<T, String>;

/// `nvmlReturn_t`. Plain, for a newer library has codes that no list knows.
pub(super) type Code = i32;
/// `nvmlDevice_t`: a pointer of the library's own, never followed here.
pub(super) type NvmlHandle = usize;

pub(super) const SUCCESS: Code = 0;
pub(super) const INSUFFICIENT_SIZE: Code = 7;
pub(super) const FUNCTION_NOT_FOUND: Code = 13;

const LIBRARY_NAME: &str = "libnvidia-ml.so.1";

/// Names the library that is opened when none is named, and then no other is looked for.
pub(super) const LIBRARY_VARIABLE: &str = "PLIMSOLL_NVML_LIBRARY";

type ListProcesses = unsafe extern "C" fn(NvmlHandle, *mut u32, *mut Row) -> Code;

/// The library, opened and initialised until it is dropped. Others in the process may have it open too: it counts.
pub(super) struct NvmlTable {
    shutdown: unsafe extern "C" fn() -> Code,
    text: unsafe extern "C" fn(Code) -> *const c_char,
    device_count: unsafe extern "C" fn(*mut u32) -> Code,
    device: unsafe extern "C" fn(u32, *mut NvmlHandle) -> Code,
    lists: Vec<(ProcessOf, StructLayout, ListProcesses)>,
}

/// What lists there are, the newest function of each kind first.
const LISTS: [(ProcessOf, StructLayout, &str); 6] = [
    (ProcessOf::Compute, StructLayout::Long, "nvmlDeviceGetComputeRunningProcesses_v3"),
    (ProcessOf::Compute, StructLayout::Long, "nvmlDeviceGetComputeRunningProcesses_v2"),
    (ProcessOf::Compute, StructLayout::Short, "nvmlDeviceGetComputeRunningProcesses"),
    (ProcessOf::Graphics, StructLayout::Long, "nvmlDeviceGetGraphicsRunningProcesses_v3"),
    (ProcessOf::Graphics, StructLayout::Long, "nvmlDeviceGetGraphicsRunningProcesses_v2"),
    (ProcessOf::Graphics, StructLayout::Short, "nvmlDeviceGetGraphicsRunningProcesses"),
];

impl NvmlTable {
    /// Opens the library that is named, by the argument or by the environment, or the first that loads, and initialises it.
    pub fn open(path: Option<&Path>) -> Answer<Self> {
        let library = load(path)?;
        // SAFETY: a library of that name is NVIDIA's; whoever names another one answers for it. The signatures are those of
        // `nvml.h`.
        let found = unsafe {
            let init = find::<unsafe extern "C" fn() -> Code>(&library, "nvmlInit_v2");
            let table = Self::find(&library);
            init.and_then(|init| table.map(|table| (init, table)))
        };
        // Never unloaded: it keeps handlers of its own in the process.
        std::mem::forget(library);
        let (init, table) = found?;
        // SAFETY: takes nothing; may be called any number of times, from any thread.
        let code = unsafe { init() };
        if code != SUCCESS {
            let refusal = table.refusal("nvmlInit_v2", code);
            // What was not initialised is not to be shut down.
            std::mem::forget(table);
            return Err(refusal);
        }
        Ok(table)
    }

    /// # Safety
    ///
    /// The library must be NVIDIA's, or have functions of the same names and signatures.
    unsafe fn find(library: &Library) -> Answer<Self> {
        // SAFETY: the caller's promise, for each.
        unsafe {
            let lists = LISTS.iter().filter_map(|(of, layout, name)| {
                find::<ListProcesses>(library, name).ok().map(|list| (*of, *layout, list))
            });
            Ok(Self {
                shutdown: find(library, "nvmlShutdown")?,
                text: find(library, "nvmlErrorString")?,
                device_count: find(library, "nvmlDeviceGetCount_v2")?,
                device: find(library, "nvmlDeviceGetHandleByIndex_v2")?,
                lists: lists.collect(),
            })
        }
    }

    pub fn device_count(&self) -> Answer<u32> {
        let mut count = 0;
        // SAFETY: `count` is a live place for a number.
        self.check("nvmlDeviceGetCount_v2", unsafe { (self.device_count)(&raw mut count) })?;
        Ok(count)
    }

    pub fn device(&self, index: u32) -> Answer<NvmlHandle> {
        let mut handle = 0;
        // SAFETY: `handle` is a live place for a pointer.
        let code = unsafe { (self.device)(index, &raw mut handle) };
        self.check("nvmlDeviceGetHandleByIndex_v2", code)?;
        Ok(handle)
    }

    /// The rows of one kind of process on a device, as the newest function that the library and its driver have gives them.
    pub fn rows(&self, device: NvmlHandle, of: ProcessOf) -> Answer<Vec<Row>> {
        let mut refusal = format!("the library has no list of {} processes", of.name());
        for (_, layout, list) in self.lists.iter().filter(|(kind, ..)| *kind == of) {
            match listed(device, *layout, *list) {
                Ok(rows) => return Ok(rows),
                Err(FUNCTION_NOT_FOUND) => {
                    refusal = self.refusal("the list of processes", FUNCTION_NOT_FOUND);
                }
                Err(code) => return Err(self.refusal("the list of processes", code)),
            }
        }
        Err(refusal)
    }

    fn check(&self, call: &str, code: Code) -> Answer<()> {
        if code == SUCCESS { Ok(()) } else { Err(self.refusal(call, code)) }
    }

    fn refusal(&self, call: &str, code: Code) -> String {
        // SAFETY: the library's own texts live as long as it: for good. Unknown codes have one too, or null.
        let text = unsafe {
            let text = (self.text)(code);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        };
        format!("{call} of NVML failed with error {code}: {}", text.as_deref().unwrap_or("no text for it"))
    }
}

impl Drop for NvmlTable {
    fn drop(&mut self) {
        // SAFETY: undoes the initialising, once.
        unsafe { (self.shutdown)() };
    }
}

/// Asks for a list until there is room for all of it.
fn listed(device: NvmlHandle, layout: StructLayout, list: ListProcesses) -> Result<Vec<Row>, Code> {
    /// Beyond this no board has processes.
    const MOST: u32 = 1 << 16;
    /// Processes come and go between two calls.
    const TRIES: usize = 5;
    let mut room = 16_u32;
    for _ in 0..TRIES {
        // Rows of any layout fit, those of a header among them that had a field more for a while; shorter ones lie closer
        // together.
        let mut rows = vec![Row::default(); room as usize * 2];
        let mut count = room;
        // SAFETY: there is room for as many rows as the call is told, of the longest that any version writes.
        let code = unsafe { list(device, &raw mut count, rows.as_mut_ptr()) };
        match code {
            SUCCESS => return Ok(Row::laid_out(&rows, layout, count.min(room) as usize)),
            INSUFFICIENT_SIZE => room = count.saturating_add(16).max(room.saturating_mul(2)).min(MOST),
            code => return Err(code),
        }
    }
    Err(INSUFFICIENT_SIZE)
}

/// # Safety
///
/// The symbol of that name must have this type.
unsafe fn find<F: Copy>(library: &Library, name: &str) -> Answer<F> {
    // SAFETY: the caller's promise.
    let found = unsafe { library.get::<F>(name) };
    found.map(|symbol| *symbol).map_err(|_| format!("the library is no NVML: it has no {name}"))
}

fn load(path: Option<&Path>) -> Answer<Library> {
    let named: Option<OsString> =
        path.map(|path| path.as_os_str().to_owned()).or_else(|| variable(LIBRARY_VARIABLE));
    let is_named = named.is_some();
    let candidates = named.map_or_else(|| usual_libraries(LIBRARY_NAME), |name| vec![name]);
    let elsewhere = format!("; if it lies elsewhere, name it in {LIBRARY_VARIABLE}");
    let advice = if is_named { "" } else { elsewhere.as_str() };
    let loaded = load_first(&candidates).map(|(_, library)| library);
    loaded.map_err(|reasons| format!("NVML could not be loaded: {reasons}{advice}"))
}
