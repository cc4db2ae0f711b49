//! What this machine is and what this process holds.

use std::path::Path;

use napi::Env;
use napi_derive::napi;
use plimsoll::{
    system::{BOARDS, Board, ProcessMemory as CoreProcessMemory, process_memory_at},
    units,
};

use crate::error::to_js;

/// A board preset.
#[napi(object, object_from_js = false)]
pub struct BoardPreset {
    /// The id that options and the command line take: `"orin-nano-8gb"`.
    pub id: String,
    /// The name people know it by.
    pub name: String,
    /// Who made its system on chip.
    pub vendor: String,
    /// Its system on chip.
    pub soc: String,
    /// Whether CPU and accelerator share the RAM.
    pub unified_memory: bool,
    /// RAM it is sold with, in bytes.
    pub total_bytes: f64,
    /// What is kept for the system, in bytes.
    pub reserved_bytes: f64,
    /// What may be used: total less reserve, in bytes.
    pub usable_bytes: f64,
}

/// Resident memory of a process. Source: `/proc/PID/status`, see `proc_pid_status(5)`.
#[napi(object, object_from_js = false)]
pub struct ProcessMemory {
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

impl From<&Board> for BoardPreset {
    fn from(board: &Board) -> Self {
        Self {
            id: board.id.to_owned(),
            name: board.name.to_owned(),
            vendor: board.vendor.name().to_owned(),
            soc: board.soc.to_owned(),
            unified_memory: board.unified_memory,
            total_bytes: board.total_bytes as f64,
            reserved_bytes: board.reserved_bytes as f64,
            usable_bytes: board.usable_bytes() as f64,
        }
    }
}

#[napi(catch_unwind)]
pub fn board_presets() -> Vec<BoardPreset> {
    BOARDS.iter().map(BoardPreset::from).collect()
}

impl From<CoreProcessMemory> for ProcessMemory {
    fn from(memory: CoreProcessMemory) -> Self {
        Self {
            rss_bytes: memory.rss_bytes as f64,
            peak_rss_bytes: memory.peak_rss_bytes as f64,
            anonymous_bytes: memory.anonymous_bytes as f64,
            file_bytes: memory.file_bytes as f64,
            shmem_bytes: memory.shmem_bytes as f64,
        }
    }
}

#[napi(catch_unwind)]
pub fn process_memory(env: Env, pid: Option<u32>) -> napi::Result<ProcessMemory> {
    let folder = pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"));
    process_memory_at(Path::new(&folder)).map(ProcessMemory::from).map_err(|error| to_js(env, &error))
}

#[napi(catch_unwind)]
pub fn parse_bytes(env: Env, text: String) -> napi::Result<f64> {
    plimsoll::parse_bytes(&text).map(|bytes| bytes as f64).map_err(|error| to_js(env, &error))
}

#[napi(catch_unwind)]
pub fn format_bytes(bytes: f64) -> String {
    units::format_bytes(bytes as u64)
}

/// The instruction set that the dequantisers run with on this machine.
#[napi(catch_unwind)]
pub fn instruction_set() -> &'static str {
    gguf_dequant::instruction_set()
}

/// The version of the addon, which has to be that of the package around it.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
