//! What a process has resident.

use std::path::Path;

use napi::Env;
use napi_derive::napi;
use plimsoll::system::{ProcessMemory as CoreProcessMemory, process_memory_at};

use crate::{error::to_js, mirror::mirror};

mirror! {
    /// Resident memory of a process. Source: `/proc/PID/status`, see `proc_pid_status(5)`.
    pub struct ProcessMemory of CoreProcessMemory {
        /// Resident now, in bytes; the sum of the three parts.
        pub rss_bytes: f64,
        /// The most that was ever resident, in bytes.
        pub peak_rss_bytes: f64,
        /// Heap, stacks and other anonymous memory, in bytes.
        pub anonymous_bytes: f64,
        /// Pages of mapped files, in bytes: the kernel can drop the clean ones.
        pub file_bytes: f64,
        /// Shared memory, memfd and tmpfs pages, in bytes.
        pub shmem_bytes: f64,
    }
}

#[napi(catch_unwind)]
pub fn process_memory(env: Env, pid: Option<u32>) -> napi::Result<ProcessMemory> {
    let folder = pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"));
    process_memory_at(Path::new(&folder)).map(ProcessMemory::from).map_err(|error| to_js(env, &error))
}
