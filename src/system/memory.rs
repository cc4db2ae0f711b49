//! What the kernel says of the machine's memory.

use napi::Env;
use napi_derive::napi;
use plimsoll::system::{
    Cgroup as CoreCgroup, CgroupVersion, DarkMemory as CoreDark, Machine, MemInfo, MemoryScope,
    Pressure as CorePressure, Stall as CoreStall, Zram as CoreZram,
};

use super::root::root_of;
use crate::{
    error::to_js,
    mirror::{Cross, mirror},
};

mirror! {
    /// The RAM of this machine at one moment, in bytes. Source: `/proc/meminfo`, see `proc_meminfo(5)`.
    #[derive(Default)]
    pub struct MachineMemory of MemInfo {
        /// RAM the kernel manages (`MemTotal`), in bytes. Less than the board is sold with: firmware keeps a part.
        pub total_bytes: f64,
        /// RAM that programs could take without swapping (`MemAvailable`), in bytes. It counts free CMA pages.
        pub available_bytes: f64,
        /// Unused RAM (`MemFree`), in bytes.
        pub free_bytes: Option<f64>,
        /// Set aside for contiguous allocations (`CmaTotal`), in bytes.
        pub cma_total_bytes: Option<f64>,
        /// Free in that area (`CmaFree`), in bytes; most allocations cannot use it.
        pub cma_free_bytes: Option<f64>,
        /// Shared memory, tmpfs and most driver memory (`Shmem`), in bytes.
        pub shmem_bytes: Option<f64>,
        /// Pages of files that live processes have mapped, in bytes: `Mapped` less shared memory. They count as available,
        /// and are not headroom: they are the weights of servers that map their models.
        pub mapped_file_bytes: Option<f64> = mapped_file_bytes.cross(),
        /// Swap, compressed RAM included (`SwapTotal`), in bytes.
        pub swap_total_bytes: Option<f64>,
        /// Free swap (`SwapFree`), in bytes. It never counts as headroom.
        pub swap_free_bytes: Option<f64>,
        /// Held by GPU and engines of a Jetson (`NvMapMemUsed`), in bytes.
        pub nvmap_used_bytes: Option<f64>,
        /// Set aside as huge pages of every size (`Hugetlb`), in bytes: in `totalBytes`, and nothing that ordinary allocations
        /// get. A line is drawn without them.
        pub huge_pages_bytes: Option<f64>,
        /// Whose memory it is: in a container with lxcfs the container's, by its control group.
        pub scope: MemoryScope as "'machine' | 'container'",
        /// The tightest memory limit over the process's cgroup, if there is one below `totalBytes`.
        pub cgroup: Option<CgroupLimit> = None,
    }
    // Of files that are mapped the core tells what is not headroom, where the kernel says what is mapped at all.
    asking memory { mapped_file_bytes = memory.mapped_bytes.map(|_| memory.mapped_file_bytes()) }
    leaving {
        mapped_bytes, mapped_shmem_bytes, file_cache_bytes, unreclaimable_slab_bytes, stand_in, fault,
    }
}

/// A memory limit set on a control group.
#[napi(object, object_from_js = false)]
pub struct CgroupLimit {
    /// The group it is set on, as `/proc/self/cgroup` names it.
    pub path: String,
    /// The limit, in bytes.
    pub limit_bytes: f64,
}

mirror! {
    /// A control group over a process at one moment.
    pub struct Cgroup of CoreCgroup {
        /// Its path in the hierarchy.
        pub path: String,
        /// The version of its interface: 1 or 2.
        pub version: u32 = match version {
            CgroupVersion::V1 => 1,
            CgroupVersion::V2 => 2,
        },
        /// The limit at which its OOM killer acts, in bytes.
        pub limit_bytes: Option<f64>,
        /// The limit above which its processes are slowed down, in bytes. Version 2 only.
        pub high_bytes: Option<f64>,
        /// What it holds, page cache included, in bytes.
        pub usage_bytes: f64,
        /// Page cache that is reclaimed first, in bytes.
        pub inactive_file_bytes: f64,
        /// Pages of files that its processes have mapped, in bytes. Headroom takes them for used.
        pub mapped_file_bytes: f64,
        /// Kills by its own killer so far.
        pub oom_kill_count: Option<f64>,
    }
    reading { version }
    leaving { active_file_bytes }
}

mirror! {
    /// How long work stood still for want of memory.
    pub struct Pressure of CorePressure {
        /// Some task waited.
        pub some: Stall,
        /// All tasks waited.
        pub full: Stall,
    }
}

mirror! {
    /// Shares of time, 0 to 100, over three windows, and their sum since the start.
    pub struct Stall of CoreStall {
        /// Over the last 10 seconds.
        pub avg10_percent: f64,
        /// Over the last 60 seconds.
        pub avg60_percent: f64,
        /// Over the last 300 seconds.
        pub avg300_percent: f64,
        /// Since the start, in milliseconds.
        pub total_ms: f64 = total_us as f64 / 1e3,
    }
    reading { total_us }
}

mirror! {
    /// What swap on compressed RAM costs.
    pub struct Zram of CoreZram {
        /// What was swapped out, in bytes.
        pub stored_bytes: f64,
        /// RAM it takes all the same, in bytes.
        pub used_bytes: f64,
    }
}

mirror! {
    /// RAM that no counter owns: what drivers have taken for devices, which stands in no process and no cgroup.
    pub struct DarkMemory of CoreDark {
        /// All of it, in bytes: the total less everything that `/proc/meminfo` names. A few hundred MiB are the kernel's own; it
        /// is the growth that tells.
        pub bytes: f64,
        /// How fast it has grown since the sample before, in bytes a second, below 0 where it shrank; absent in the first, and in
        /// `signals()`, which has none before it.
        pub growth_bytes_per_second: Option<f64>,
    }
}

impl From<&Machine> for MachineMemory {
    fn from(machine: &Machine) -> Self {
        let cgroup = machine
            .tightest_limit()
            .map(|limit| CgroupLimit { path: limit.cgroup.path.clone(), limit_bytes: limit.bytes.cross() });
        Self { cgroup, ..Self::from(machine.memory) }
    }
}

#[napi(catch_unwind)]
pub fn machine_memory(env: Env, root: Option<String>, pid: Option<u32>) -> napi::Result<MachineMemory> {
    let machine =
        Machine::read_at(&root_of(root, pid)).map_err(|unavailable| to_js(env, &unavailable.into()))?;
    Ok(MachineMemory::from(&machine))
}
