//! What the kernel says of the machine's memory.

use napi::Env;
use napi_derive::napi;
use plimsoll::system::{
    Cgroup as CoreCgroup, CgroupVersion, DarkMemory as CoreDark, Machine, MemInfo, Pressure as CorePressure,
    Stall as CoreStall, Zram as CoreZram,
};

use super::root::root_of;
use crate::error::to_js;

/// The RAM of this machine at one moment, in bytes. Source: `/proc/meminfo`, see `proc_meminfo(5)`.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct MachineMemory {
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
    pub mapped_file_bytes: Option<f64>,
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
    #[napi(ts_type = "'machine' | 'container'")]
    pub scope: String,
    /// The tightest memory limit over the process's cgroup, if there is one below `totalBytes`.
    pub cgroup: Option<CgroupLimit>,
}

/// A memory limit set on a control group.
#[napi(object, object_from_js = false)]
pub struct CgroupLimit {
    /// The group it is set on, as `/proc/self/cgroup` names it.
    pub path: String,
    /// The limit, in bytes.
    pub limit_bytes: f64,
}

/// A control group over a process at one moment.
#[napi(object, object_from_js = false)]
pub struct Cgroup {
    /// Its path in the hierarchy.
    pub path: String,
    /// The version of its interface: 1 or 2.
    pub version: u32,
    /// The limit at which its killer acts, in bytes.
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

/// How long work stood still for want of memory.
#[napi(object, object_from_js = false)]
pub struct Pressure {
    /// Some task waited.
    pub some: Stall,
    /// All tasks waited.
    pub full: Stall,
}

/// Shares of time, 0 to 100, over three windows, and their sum since the start.
#[napi(object, object_from_js = false)]
pub struct Stall {
    /// Over the last 10 seconds.
    pub avg10_percent: f64,
    /// Over the last 60 seconds.
    pub avg60_percent: f64,
    /// Over the last 300 seconds.
    pub avg300_percent: f64,
    /// Since the start, in milliseconds.
    pub total_ms: f64,
}

/// What swap on compressed RAM costs.
#[napi(object, object_from_js = false)]
pub struct Zram {
    /// What was swapped out, in bytes.
    pub stored_bytes: f64,
    /// RAM it takes all the same, in bytes.
    pub used_bytes: f64,
}

/// RAM that no counter owns: what drivers have taken for devices, which stands in no process and no cgroup.
#[napi(object, object_from_js = false)]
pub struct DarkMemory {
    /// All of it, in bytes: the total less everything that `/proc/meminfo` names. A few hundred MiB are the kernel's own; it
    /// is the growth that tells.
    pub bytes: f64,
    /// How fast it has grown since the sample before, in bytes a second, below 0 where it shrank; absent in the first, and in
    /// `signals()`, which has none before it.
    pub growth_bytes_per_second: Option<f64>,
}

impl From<&MemInfo> for MachineMemory {
    fn from(memory: &MemInfo) -> Self {
        let some = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        Self {
            total_bytes: memory.total_bytes as f64,
            available_bytes: memory.available_bytes as f64,
            free_bytes: some(memory.free_bytes),
            cma_total_bytes: some(memory.cma_total_bytes),
            cma_free_bytes: some(memory.cma_free_bytes),
            shmem_bytes: some(memory.shmem_bytes),
            mapped_file_bytes: some(memory.mapped_bytes.map(|_| memory.mapped_file_bytes())),
            swap_total_bytes: some(memory.swap_total_bytes),
            swap_free_bytes: some(memory.swap_free_bytes),
            nvmap_used_bytes: some(memory.nvmap_used_bytes),
            huge_pages_bytes: some(memory.huge_pages_bytes),
            scope: memory.scope.name().to_owned(),
            cgroup: None,
        }
    }
}

impl From<&Machine> for MachineMemory {
    fn from(machine: &Machine) -> Self {
        let cgroup = machine
            .tightest_limit()
            .map(|limit| CgroupLimit { path: limit.cgroup.path.clone(), limit_bytes: limit.bytes as f64 });
        Self { cgroup, ..Self::from(&machine.memory) }
    }
}

impl From<&CoreCgroup> for Cgroup {
    fn from(cgroup: &CoreCgroup) -> Self {
        Self {
            path: cgroup.path.clone(),
            version: if cgroup.version == CgroupVersion::V1 { 1 } else { 2 },
            limit_bytes: cgroup.limit_bytes.map(|bytes| bytes as f64),
            high_bytes: cgroup.high_bytes.map(|bytes| bytes as f64),
            usage_bytes: cgroup.usage_bytes as f64,
            inactive_file_bytes: cgroup.inactive_file_bytes as f64,
            mapped_file_bytes: cgroup.mapped_file_bytes as f64,
            oom_kill_count: cgroup.oom_kill_count.map(|count| count as f64),
        }
    }
}

impl From<&CoreZram> for Zram {
    fn from(zram: &CoreZram) -> Self {
        Self { stored_bytes: zram.stored_bytes as f64, used_bytes: zram.used_bytes as f64 }
    }
}

impl From<&CoreDark> for DarkMemory {
    fn from(dark: &CoreDark) -> Self {
        Self { bytes: dark.bytes as f64, growth_bytes_per_second: dark.growth_bytes_per_second }
    }
}

impl From<&CorePressure> for Pressure {
    fn from(pressure: &CorePressure) -> Self {
        Self { some: Stall::from(&pressure.some), full: Stall::from(&pressure.full) }
    }
}

impl From<&CoreStall> for Stall {
    fn from(stall: &CoreStall) -> Self {
        Self {
            avg10_percent: stall.avg10_percent,
            avg60_percent: stall.avg60_percent,
            avg300_percent: stall.avg300_percent,
            total_ms: stall.total_us as f64 / 1e3,
        }
    }
}

#[napi(catch_unwind)]
pub fn machine_memory(env: Env, root: Option<String>, pid: Option<u32>) -> napi::Result<MachineMemory> {
    let machine =
        Machine::read_at(&root_of(root, pid)).map_err(|unavailable| to_js(env, &unavailable.into()))?;
    Ok(MachineMemory::from(&machine))
}
