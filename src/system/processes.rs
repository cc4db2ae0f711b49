//! The processes of this machine, for JavaScript.

use std::{fs::canonicalize, path::Path, sync::Mutex};

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use plimsoll::{
    Result as CoreResult,
    device::{GpuProcess as CoreGpuProcess, gpu_processes as core_gpu_processes},
    system::{ProcessInfo as CoreInfo, ProcessTable, mapped_file_bytes as core_mapped_file_bytes},
};

use super::root::root_at;
use crate::{
    mirror::{Cross, mirror, since_1970_ms},
    sync::lock,
    work::Work,
};

mirror! {
    /// A process at one moment.
    pub struct ProcessInfo of CoreInfo {
        /// Its id.
        pub pid: u32,
        /// The id of the process that started it, where that can be seen.
        pub parent_pid: Option<u32>,
        /// The name of its program, at most 15 bytes of it.
        pub name: String,
        /// Its command line, or the first 4096 bytes of a long one; of a kernel's thread its name.
        pub command: String,
        /// When it started, in milliseconds since 1970, to the second.
        pub start_time_ms: f64 = since_1970_ms(started_at),
        /// What it has resident, in bytes.
        pub rss_bytes: f64,
        /// The most that it ever had resident, in bytes, where this user may know.
        pub peak_rss_bytes: Option<f64> = memory.map(|memory| memory.peak_rss_bytes).cross(),
        /// Heap, stacks and other anonymous memory of it, in bytes, where this user may know.
        pub anonymous_bytes: Option<f64> = memory.map(|memory| memory.anonymous_bytes).cross(),
        /// Its pages of mapped files, in bytes, where this user may know.
        pub file_bytes: Option<f64> = memory.map(|memory| memory.file_bytes).cross(),
        /// Its shared memory, memfd and tmpfs pages, in bytes, where this user may know.
        pub shmem_bytes: Option<f64> = memory.map(|memory| memory.shmem_bytes).cross(),
    }
    reading { started_at, memory }
}

mirror! {
    /// What a process holds on a GPU.
    pub struct GpuProcess of CoreGpuProcess {
        /// Its id. Of NVML, as the machine's first namespace has it: in a container that is another.
        pub pid: u32,
        /// Its name, where the driver tells it.
        pub name: Option<String>,
        /// The GPU's number, where the driver tells it.
        pub gpu: Option<u32>,
        /// What it holds, in bytes; absent where the driver does not tell.
        pub bytes: Option<f64>,
    }
}

/// Who holds memory of the GPUs.
#[napi(catch_unwind, ts_return_type = "Promise<Array<GpuProcess>>")]
pub fn gpu_processes(root: Option<String>) -> AsyncTask<Work<Vec<CoreGpuProcess>, Vec<GpuProcess>>> {
    let root = root_at(root);
    Work::promise(move || core_gpu_processes(&root), |_, all| Ok(all.cross()))
}

/// Which processes map the addon: it keeps in mind those that do.
static TABLE: Mutex<Option<ProcessTable>> = Mutex::new(None);

/// The processes of this machine, the largest first; of `loaded` those alone that have the addon loaded, of `mapping` those
/// that have that file mapped.
#[napi(catch_unwind, ts_return_type = "Promise<Array<ProcessInfo>>")]
pub fn processes(loaded: bool, mapping: Option<String>) -> AsyncTask<Work<Vec<CoreInfo>, Vec<ProcessInfo>>> {
    let read = move || {
        let mut all = read(loaded)?;
        if let Some(path) = &mapping {
            // Who is asked once is looked at now, unlike who is watched.
            let mappers = ProcessTable::new().read_mapping(is_file(path))?;
            all.retain(|process| mappers.iter().any(|mapper| mapper.pid == process.pid));
        }
        all.sort_unstable_by(|a, b| b.rss_bytes.cmp(&a.rss_bytes).then(a.pid.cmp(&b.pid)));
        Ok(all)
    };
    Work::promise(read, |_, all| Ok(all.cross()))
}

fn read(loaded: bool) -> CoreResult<Vec<CoreInfo>> {
    let mut table = lock(&TABLE);
    let table = table.get_or_insert_default();
    if loaded { table.read_mapping(is_addon) } else { table.read() }
}

/// What a process has resident of these files through its maps, in bytes.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn mapped_file_bytes(pid: Option<u32>, files: Vec<String>) -> AsyncTask<Work<u64, f64>> {
    let folder = pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"));
    let read = move || {
        let meant: Vec<_> = files.iter().map(|path| is_file(path)).collect();
        core_mapped_file_bytes(Path::new(&folder), |path| meant.iter().any(|is_it| is_it(path)))
    };
    Work::promise(read, |_, bytes| Ok(bytes.cross()))
}

/// Tells whether a path of a map is that file, which may have been named by a link to it.
fn is_file(path: &str) -> impl Fn(&str) -> bool {
    let path = Path::new(path);
    // Of a file that is gone its last name counts.
    let whole = canonicalize(path).unwrap_or_else(|_| path.to_owned());
    move |mapped| Path::new(mapped) == whole
}

/// Whether that path is the addon's, wherever it is installed: `plimsoll.linux-arm64-gnu.node`.
fn is_addon(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let platform = name.strip_prefix("plimsoll.").and_then(|rest| rest.strip_suffix(".node"));
    platform.is_some_and(|platform| {
        !platform.is_empty()
            && platform.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}
