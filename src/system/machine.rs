//! What this machine is and what its kernel says of its memory.

use napi::Env;
use napi_derive::napi;
use plimsoll::system::{
    BackEnd as CoreBackEnd, Cgroup as CoreCgroup, CgroupVersion, DarkMemory as CoreDark,
    DetectedBoard as CoreBoard, HugePages as CorePool, Machine, MemInfo, NpuDriver as CoreNpuDriver,
    Pressure as CorePressure, Probe, Sampler, Signals as CoreSignals, Stall as CoreStall, SystemRoot,
    Unavailable, Zram as CoreZram, back_ends as core_back_ends, read_nvmap_clients, transparent_huge_pages,
};

use super::boards::ProcessMemory;
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

/// A pool of huge pages of one size.
#[napi(object, object_from_js = false)]
pub struct HugePages {
    /// The size of one page, in bytes.
    pub page_bytes: f64,
    /// Pages set aside.
    pub total_count: f64,
    /// Pages of these that are free.
    pub free_count: f64,
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

/// Memory of one process in the hands of a Jetson's GPU and engines.
#[napi(object, object_from_js = false)]
pub struct NvmapClient {
    /// The process's id.
    pub pid: u32,
    /// The process's name.
    pub process: String,
    /// What it holds, in bytes.
    pub bytes: f64,
}

/// What Rockchip's NPU driver says. No file tells the NPU's use of RAM.
#[napi(object, object_from_js = false)]
pub struct NpuDriver {
    /// The driver's version.
    pub version: String,
    /// Share of time that each core works, 0 to 100.
    pub load_percent: Vec<u32>,
}

/// Why a signal is not there, or a part of it: a limit that may exist and cannot be seen, a figure that another stands
/// for.
#[napi(object, object_from_js = false)]
pub struct MissingSignal {
    /// The name of the signal: a key of `Signals`.
    pub signal: String,
    /// The file that would have it.
    pub path: String,
    /// What is the matter, in words.
    pub reason: String,
    /// What to do about it, where its cause is known.
    pub remedy: Option<String>,
}

/// Every signal at one moment. What this machine does not give is absent here and listed in `missing` with the reason; what
/// of a signal is not certain is listed there too.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct Signals {
    /// The machine's memory.
    pub memory: Option<MachineMemory>,
    /// The memory cgroups over the process, its own first.
    pub cgroups: Option<Vec<Cgroup>>,
    /// Pressure stall information.
    pub pressure: Option<Pressure>,
    /// What swap on compressed RAM costs.
    pub zram: Option<Zram>,
    /// What the process has resident.
    pub process: Option<ProcessMemory>,
    /// The largest contiguous run of free pages, in bytes.
    pub largest_free_run_bytes: Option<f64>,
    /// Free blocks of 2 MiB: what a driver that maps such blocks could get at once.
    pub free_huge_block_count: Option<f64>,
    /// RAM that no counter owns: what drivers have taken.
    pub dark: Option<DarkMemory>,
    /// Kills by the kernel's killer since the start.
    pub oom_kill_count: Option<f64>,
    /// Pools of huge pages.
    pub huge_pages: Option<Vec<HugePages>>,
    /// When transparent huge pages are used: `"always"`, `"madvise"` or `"never"`.
    pub transparent_huge_pages: Option<String>,
    /// Who holds memory of the GPU, by process. Jetson, root only.
    pub nvmap_clients: Option<Vec<NvmapClient>>,
    /// The NPU's driver. RK3588 with the vendor's kernel, root only.
    pub npu_driver: Option<NpuDriver>,
    /// What is not there or not certain, and why.
    pub missing: Vec<MissingSignal>,
}

/// What this machine is.
#[napi(object, object_from_js = false)]
pub struct DetectedBoard {
    /// What its device tree calls it, or the firmware where that names a board that is known; else a few words.
    pub name: String,
    /// The id of the preset that fits it.
    pub preset: Option<String>,
    /// Who made its system on chip.
    pub vendor: Option<String>,
    /// Its system on chip: `"Tegra234"`, `"RK3588S"`, `"GB10"`.
    pub soc: Option<String>,
    /// The number of its module: `"p3767-0005"`. Jetson only.
    pub module: Option<String>,
    /// Whether CPU and accelerator share the RAM: true of every chip that is known, and absent where it is not known.
    pub unified_memory: Option<bool>,
    /// What its device tree is compatible with; empty on machines without one.
    pub compatible: Vec<String>,
    /// The release of Linux for Tegra. Jetson only.
    #[napi(js_name = "l4t")]
    pub l4t: Option<String>,
    /// The JetPack it belongs to. Jetson only.
    pub jetpack: Option<String>,
    /// The release of its kernel.
    pub kernel_release: Option<String>,
    /// RAM the kernel manages, in bytes; 0 where it does not say.
    pub total_bytes: f64,
}

/// A kind of device memory on this machine.
#[napi(object, object_from_js = false)]
pub struct BackEnd {
    /// The kind.
    #[napi(ts_type = "'host' | 'dma-heap' | 'udmabuf' | 'cuda' | 'rknpu'")]
    pub kind: String,
    /// Whether what it needs is there and may be used by this user.
    pub available: bool,
    /// Where it was found.
    pub paths: Vec<String>,
    /// Why it cannot be used.
    pub reason: Option<String>,
    /// The line that mends it, where there is one.
    pub remedy: Option<String>,
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
        let limit = |cgroup: &CoreCgroup| cgroup.bound_bytes().filter(|limit| *limit < machine.total_bytes());
        let limits = machine.cgroups.iter().filter_map(|cgroup| Some((limit(cgroup)?, cgroup)));
        let tightest = limits.min_by_key(|(limit, _)| *limit);
        let cgroup = tightest
            .map(|(limit, cgroup)| CgroupLimit { path: cgroup.path.clone(), limit_bytes: limit as f64 });
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

/// Gathers what is there under its name, and why the rest is not.
#[derive(Default)]
struct Missing(Vec<MissingSignal>);

impl Missing {
    fn some<T, U>(&mut self, signal: &str, probe: Probe<T>, convert: impl FnOnce(T) -> U) -> Option<U> {
        match probe {
            Ok(value) => Some(convert(value)),
            Err(unavailable) => {
                self.note(signal, &unavailable);
                None
            }
        }
    }

    fn note(&mut self, signal: &str, unavailable: &Unavailable) {
        self.0.push(MissingSignal {
            signal: signal.to_owned(),
            path: unavailable.path.to_string_lossy().into_owned(),
            reason: unavailable.to_string(),
            remedy: unavailable.remedy().map(str::to_owned),
        });
    }
}

fn gathered(root: &SystemRoot, read: CoreSignals) -> Signals {
    let mut missing = Missing::default();
    let pools = |pools: Vec<CorePool>| {
        let pool = |pool: CorePool| HugePages {
            page_bytes: pool.page_bytes as f64,
            total_count: pool.total_count as f64,
            free_count: pool.free_count as f64,
        };
        pools.into_iter().map(pool).collect()
    };
    let npu = |driver: CoreNpuDriver| NpuDriver {
        version: driver.version,
        load_percent: driver.load_percent.into_iter().map(u32::from).collect(),
    };
    if let Some(doubt) = &read.memory_doubt() {
        missing.note("memory", doubt);
    }
    for doubt in read.cgroups.iter().flat_map(|cgroups| cgroups.unavailable.iter().chain(&cgroups.doubts)) {
        missing.note("cgroups", doubt);
    }
    let signals = Signals {
        memory: missing.some("memory", read.memory, |memory| MachineMemory::from(&memory)),
        cgroups: missing.some("cgroups", read.cgroups, |all| all.groups.iter().map(Cgroup::from).collect()),
        pressure: missing.some("pressure", read.pressure, |pressure| Pressure::from(&pressure)),
        zram: missing.some("zram", read.zram, |zram| Zram::from(&zram)),
        process: missing.some("process", read.process, ProcessMemory::from),
        largest_free_run_bytes: missing
            .some("largestFreeRunBytes", read.largest_free_run_bytes, |b| b as f64),
        free_huge_block_count: missing
            .some("freeHugeBlockCount", read.free_huge_block_count, |count| count as f64),
        dark: missing.some("dark", read.dark, |dark| DarkMemory::from(&dark)),
        oom_kill_count: missing.some("oomKillCount", read.oom_kill_count, |count| count as f64),
        huge_pages: missing.some("hugePages", CorePool::read(root), pools),
        transparent_huge_pages: missing
            .some("transparentHugePages", transparent_huge_pages(root), |word| word),
        nvmap_clients: missing.some("nvmapClients", read_nvmap_clients(root), |clients| {
            let client = |client: plimsoll::system::NvmapClient| NvmapClient {
                pid: client.pid,
                process: client.process,
                bytes: client.bytes as f64,
            };
            clients.into_iter().map(client).collect()
        }),
        npu_driver: missing.some("npuDriver", CoreNpuDriver::read(root), npu),
        missing: Vec::new(),
    };
    Signals { missing: missing.0, ..signals }
}

pub fn root_at(root: Option<String>) -> SystemRoot {
    root.map_or_else(SystemRoot::default, SystemRoot::at)
}

pub fn root_of(root: Option<String>, pid: Option<u32>) -> SystemRoot {
    let root = root_at(root);
    match pid {
        Some(pid) => root.of_process(pid),
        None => root,
    }
}

#[napi(catch_unwind)]
pub fn machine_memory(env: Env, root: Option<String>, pid: Option<u32>) -> napi::Result<MachineMemory> {
    let machine =
        Machine::read_at(&root_of(root, pid)).map_err(|unavailable| to_js(env, &unavailable.into()))?;
    Ok(MachineMemory::from(&machine))
}

#[napi(catch_unwind)]
pub fn signals(root: Option<String>, pid: Option<u32>) -> Signals {
    let root = root_of(root, pid);
    let read = Sampler::new(root.clone()).read();
    gathered(&root, read)
}

#[napi(catch_unwind)]
pub fn detect_board(root: Option<String>) -> DetectedBoard {
    let root = root_at(root);
    let board = CoreBoard::read(&root);
    let (l4t, jetpack) = board
        .tegra_release
        .map_or((None, None), |release| (Some(release.l4t), release.jetpack.map(str::to_owned)));
    DetectedBoard {
        name: board.name,
        preset: board.preset.map(|preset| preset.id.to_owned()),
        vendor: board.vendor.map(|vendor| vendor.name().to_owned()),
        soc: board.soc.map(str::to_owned),
        module: board.module,
        unified_memory: board.unified_memory,
        compatible: board.compatible,
        l4t,
        jetpack,
        kernel_release: board.kernel_release,
        total_bytes: Machine::memory_at(&root).map_or(0.0, |memory| memory.total_bytes as f64),
    }
}

/// The preset of the board for a line, which must not be drawn higher because the board's files could not be opened.
#[napi(catch_unwind)]
pub fn detect_preset(env: Env, root: Option<String>) -> napi::Result<Option<String>> {
    let board = CoreBoard::probe(&root_at(root)).map_err(|unavailable| to_js(env, &unavailable.into()))?;
    Ok(board.preset.map(|preset| preset.id.to_owned()))
}

#[napi(catch_unwind)]
pub fn back_ends(root: Option<String>) -> Vec<BackEnd> {
    core_back_ends(&root_at(root)).into_iter().map(BackEnd::from).collect()
}

impl From<CoreBackEnd> for BackEnd {
    fn from(back_end: CoreBackEnd) -> Self {
        let kind = back_end.kind.name().to_owned();
        match back_end.state {
            Ok(paths) => {
                let paths = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
                Self { kind, available: true, paths, reason: None, remedy: None }
            }
            Err(obstacle) => Self {
                kind,
                available: false,
                paths: Vec::new(),
                reason: Some(obstacle.why),
                remedy: obstacle.remedy,
            },
        }
    }
}
