//! What this machine is and what it has: measured here, subtracted in [`budget`](crate::budget).

mod accelerators;
mod boards;
mod cgroup;
mod container;
mod dark;
mod detect;
mod devicetree;
mod dmi;
mod engines;
mod fault;
mod jetpack;
mod libcuda;
mod machine;
mod mapped;
mod mapped_files;
mod meminfo;
mod memory;
mod mounts;
mod page_cache;
mod pages;
mod pressure;
mod process;
mod processes;
mod root;
mod sampler;
mod shared_library;
mod swap;
mod text;
mod unavailable;

pub use accelerators::{BackEnd, BackEndKind, Obstacle, back_ends};
pub(crate) use accelerators::{dma_heap_denied, dma_heap_paths, obstacle};
pub use boards::{BOARDS, Board, Vendor, board};
pub use cgroup::{Cgroup, CgroupVersion, Cgroups};
pub use dark::DarkMemory;
pub use detect::DetectedBoard;
pub use devicetree::DeviceTree;
pub use engines::{NpuDriver, NvmapClient, nvmap_clients, read_nvmap_clients};
pub use fault::FileFault;
pub use jetpack::TegraRelease;
pub(crate) use libcuda::{LIBRARY_NAME, LIBRARY_VARIABLE, driver_libraries, named_library, variable};
pub(crate) use machine::MachineReader;
pub use machine::{CgroupBound, Machine, available_bytes};
pub use mapped_files::mapped_file_bytes;
pub use meminfo::{MemInfo, MemoryScope, StandIn};
pub use page_cache::{
    CachedPages, DroppedPages, PageCache, PageCacheSource, cached_pages, cached_runs, drop_page_cache,
    drop_range, page_cache,
};
pub use pages::{
    HugePages, free_huge_block_count, largest_free_run_bytes, oom_kill_count, transparent_huge_pages,
};
pub use pressure::{Pressure, Stall};
pub(crate) use process::resident_bytes;
#[cfg(not(loom))]
pub(crate) use process::resident_bytes_of;
pub use process::{ProcessMemory, process_memory, process_memory_at};
pub use processes::{ProcessInfo, ProcessTable};
pub use root::SystemRoot;
pub use sampler::{Sampler, Signals};
pub(crate) use shared_library::library_fault;
pub use swap::Zram;
pub use unavailable::{Probe, Reason, Unavailable};

/// The parsers that are no public API, for the fuzzer alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// The texts that say where this process's cgroups lie, and what is in their files.
    pub fn cgroup_texts(bytes: &[u8]) {
        super::cgroup::parse_all(bytes);
    }

    /// The texts of the NPU's driver.
    pub fn npu_texts(bytes: &[u8]) {
        super::engines::parse_all(bytes);
    }
}
