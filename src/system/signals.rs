//! Every signal at once, and why the rest is missing.

use napi_derive::napi;
use plimsoll::system::{
    HugePages as CorePool, NpuDriver as CoreNpuDriver, NvmapClient as CoreClient, Probe, Sampler,
    Signals as CoreSignals, SystemRoot, Unavailable, read_nvmap_clients, transparent_huge_pages,
};

use super::{
    memory::{Cgroup, DarkMemory, MachineMemory, Pressure, Zram},
    process::ProcessMemory,
    root::root_of,
};
use crate::mirror::{Cross, mirror};

mirror! {
    /// A pool of huge pages of one size.
    pub struct HugePages of CorePool {
        /// The size of one page, in bytes.
        pub page_bytes: f64,
        /// Pages set aside.
        pub total_count: f64,
        /// Pages of these that are free.
        pub free_count: f64,
    }
    leaving { reserved_count }
}

mirror! {
    /// Memory of one process in the hands of a Jetson's GPU and engines.
    pub struct NvmapClient of CoreClient {
        /// The process's id.
        pub pid: u32,
        /// The process's name.
        pub process: String,
        /// What it holds, in bytes.
        pub bytes: f64,
    }
}

mirror! {
    /// What Rockchip's NPU driver says. No file tells the NPU's use of RAM.
    pub struct NpuDriver of CoreNpuDriver {
        /// The driver's version.
        pub version: String,
        /// Share of time that each core works, 0 to 100.
        pub load_percent: Vec<u32>,
    }
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
    /// Kills by the OOM killer since the start.
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

/// Gathers what is there under its name, and why the rest is not.
#[derive(Default)]
struct Missing(Vec<MissingSignal>);

impl Missing {
    fn some<C: Cross<J>, J>(&mut self, signal: &str, probe: Probe<C>) -> Option<J> {
        match probe {
            Ok(value) => Some(value.cross()),
            Err(unavailable) => {
                self.note(signal, &unavailable);
                None
            }
        }
    }

    fn note(&mut self, signal: &str, unavailable: &Unavailable) {
        self.0.push(MissingSignal {
            signal: signal.to_owned(),
            path: unavailable.path.clone().cross(),
            reason: unavailable.to_string(),
            remedy: unavailable.remedy().map(str::to_owned),
        });
    }
}

fn gathered(root: &SystemRoot, read: CoreSignals) -> Signals {
    let mut missing = Missing::default();
    if let Some(doubt) = &read.memory_doubt() {
        missing.note("memory", doubt);
    }
    for doubt in read.cgroups.iter().flat_map(|cgroups| cgroups.unavailable.iter().chain(&cgroups.doubts)) {
        missing.note("cgroups", doubt);
    }
    let CoreSignals {
        memory,
        cgroups,
        pressure,
        zram,
        process,
        largest_free_run_bytes,
        free_huge_block_count,
        dark,
        oom_kill_count,
    } = read;
    let signals = Signals {
        memory: missing.some("memory", memory),
        cgroups: missing.some("cgroups", cgroups.map(|cgroups| cgroups.groups)),
        pressure: missing.some("pressure", pressure),
        zram: missing.some("zram", zram),
        process: missing.some("process", process),
        largest_free_run_bytes: missing.some("largestFreeRunBytes", largest_free_run_bytes),
        free_huge_block_count: missing.some("freeHugeBlockCount", free_huge_block_count),
        dark: missing.some("dark", dark),
        oom_kill_count: missing.some("oomKillCount", oom_kill_count),
        huge_pages: missing.some("hugePages", CorePool::read(root)),
        transparent_huge_pages: missing.some("transparentHugePages", transparent_huge_pages(root)),
        nvmap_clients: missing.some("nvmapClients", read_nvmap_clients(root)),
        npu_driver: missing.some("npuDriver", CoreNpuDriver::read(root)),
        missing: Vec::new(),
    };
    Signals { missing: missing.0, ..signals }
}

#[napi(catch_unwind)]
pub fn signals(root: Option<String>, pid: Option<u32>) -> Signals {
    let root = root_of(root, pid);
    let read = Sampler::new(root.clone()).read();
    gathered(&root, read)
}
