//! The processes of this machine, for JavaScript.

use std::sync::Mutex;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use plimsoll::{
    device::{GpuProcess as CoreGpuProcess, gpu_processes as core_gpu_processes},
    system::{ProcessInfo as CoreInfo, ProcessTable},
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

/// The processes of this machine, the largest first; of `loaded` those alone that have the addon loaded.
#[napi(catch_unwind, ts_return_type = "Promise<Array<ProcessInfo>>")]
pub fn processes(loaded: bool) -> AsyncTask<Work<Vec<CoreInfo>, Vec<ProcessInfo>>> {
    let read = move || {
        let mut table = lock(&TABLE);
        let table = table.get_or_insert_default();
        let mut all = if loaded { table.read_mapping(is_addon)? } else { table.read()? };
        all.sort_unstable_by(|a, b| b.rss_bytes.cmp(&a.rss_bytes).then(a.pid.cmp(&b.pid)));
        Ok(all)
    };
    Work::promise(read, |_, all| Ok(all.cross()))
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
