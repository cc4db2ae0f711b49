//! The machine under the process: one reading of every signal that tells of its memory.

use super::{
    cgroup::{Cgroup, CgroupReader, Cgroups},
    meminfo::MemInfo,
    pages::{largest_free_run_bytes, oom_kill_count},
    pressure::Pressure,
    process::ProcessMemory,
    root::{Buffer, Probe, Reason, Source, SystemRoot},
    swap::{Zram, ZramReader},
};
use rustix::param::page_size;
use std::time::{Duration, Instant};

/// The memory of this machine at one moment, as far as a line and headroom need it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// What the kernel counts.
    pub memory: MemInfo,
    /// The memory cgroups over this process, its own first.
    pub cgroups: Vec<Cgroup>,
}

impl Machine {
    /// Reads the machine this process runs on.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](super::Unavailable) when `/proc/meminfo` cannot be read. A machine without cgroups has none.
    pub fn read() -> Probe<Self> {
        Self::read_at(&SystemRoot::default())
    }

    /// Reads the machine whose files lie under that root.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_at(root: &SystemRoot) -> Probe<Self> {
        let mut buffer = Buffer::default();
        let memory = Source::new(root, "/proc/meminfo").read(&mut buffer, MemInfo::parse)?;
        let cgroups = CgroupReader::default().read(root, &mut buffer).unwrap_or_default();
        Ok(Self { memory, cgroups: cgroups.groups })
    }

    /// A machine with these figures, for plans and tests.
    #[must_use]
    pub fn new(total_bytes: u64, available_bytes: u64, cgroups: Vec<Cgroup>) -> Self {
        Self { memory: MemInfo { total_bytes, available_bytes, ..MemInfo::default() }, cgroups }
    }

    /// RAM the kernel manages (`MemTotal`), in bytes. Less than the board is sold with: firmware keeps a part.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.memory.total_bytes
    }

    /// RAM that programs could take without swapping (`MemAvailable`), in bytes.
    #[must_use]
    pub fn available_bytes(&self) -> u64 {
        self.memory.available_bytes
    }
}

/// Every signal at one moment. Each may be missing: the reason stands in its place.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Signals {
    /// `/proc/meminfo`.
    pub memory: Probe<MemInfo>,
    /// The memory cgroups over this process.
    pub cgroups: Probe<Cgroups>,
    /// Pressure stall information.
    pub pressure: Probe<Pressure>,
    /// What swap on compressed RAM costs.
    pub zram: Probe<Zram>,
    /// What the process has resident.
    pub process: Probe<ProcessMemory>,
    /// The largest contiguous run of free pages, in bytes.
    pub largest_free_run_bytes: Probe<u64>,
    /// Kills by the kernel's killer since the start.
    pub oom_kill_count: Probe<u64>,
}

impl Signals {
    /// The part of it that a line and headroom need.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](super::Unavailable) when the machine's memory is unknown.
    pub fn machine(&self) -> Probe<Machine> {
        let cgroups = self.cgroups.as_ref().map(|cgroups| cgroups.groups.clone()).unwrap_or_default();
        self.memory.clone().map(|memory| Machine { memory, cgroups })
    }
}

/// Reads every signal again and again; files stay open in between, which makes a reading several times cheaper.
#[derive(Debug)]
pub struct Sampler {
    root: SystemRoot,
    memory: Source,
    cgroups: CgroupReader,
    pressure: Source,
    zram: ZramReader,
    process: Source,
    buddyinfo: Source,
    vmstat: Source,
    buffer: Buffer,
    rare: Option<(Instant, Rare)>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new(SystemRoot::default())
    }
}

impl Sampler {
    /// A reader of the signals under that root.
    #[must_use]
    pub fn new(root: SystemRoot) -> Self {
        Self {
            memory: Source::new(&root, "/proc/meminfo"),
            cgroups: CgroupReader::default(),
            pressure: Source::new(&root, "/proc/pressure/memory"),
            zram: ZramReader::new(&root),
            process: Source::new(&root, root.process_file("status")),
            buddyinfo: Source::new(&root, "/proc/buddyinfo"),
            vmstat: Source::new(&root, "/proc/vmstat"),
            buffer: Buffer::default(),
            rare: None,
            root,
        }
    }

    /// Reads every signal.
    pub fn read(&mut self) -> Signals {
        self.rare = None;
        self.read_often()
    }

    /// As [`read`](Self::read), for many readings a second: the signals that are dear to read and tell of no level (free
    /// runs, kills, the cost of swap) are up to a second old.
    pub fn read_often(&mut self) -> Signals {
        let known = self.rare.take().filter(|(at, _)| at.elapsed() < OLDEST_RARE);
        let (at, rare) = known.unwrap_or_else(|| (Instant::now(), self.read_rare()));
        self.rare = Some((at, rare.clone()));
        let buffer = &mut self.buffer;
        Signals {
            memory: self.memory.read(buffer, MemInfo::parse),
            cgroups: self.cgroups.read(&self.root, buffer),
            pressure: self.pressure.read(buffer, Pressure::parse),
            zram: rare.zram,
            process: self.process.read(buffer, ProcessMemory::parse),
            largest_free_run_bytes: rare.largest_free_run_bytes,
            oom_kill_count: rare.oom_kill_count,
        }
    }

    fn read_rare(&mut self) -> Rare {
        let (buffer, is_this_machine) = (&mut self.buffer, self.root.is_this_machine());
        Rare {
            zram: self.zram.read(buffer),
            largest_free_run_bytes: self.buddyinfo.read(buffer, |bytes| {
                // A copy does not say how large its pages are, and the pages of this machine may be others.
                let unknown = Reason::Unreadable("the size of its pages is not in the copy".to_owned());
                let page_bytes = is_this_machine.then(|| page_size() as u64).ok_or(unknown)?;
                largest_free_run_bytes(bytes, page_bytes)
            }),
            oom_kill_count: self.vmstat.read(buffer, oom_kill_count),
        }
    }
}

/// The signals that are not read anew each time.
#[derive(Debug, Clone)]
struct Rare {
    zram: Probe<Zram>,
    largest_free_run_bytes: Probe<u64>,
    oom_kill_count: Probe<u64>,
}

const OLDEST_RARE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        let machine = Machine::read().unwrap();
        assert!(
            machine.total_bytes() > 0 && machine.available_bytes() <= machine.total_bytes(),
            "{machine:?}"
        );
    }

    #[test]
    fn a_tree_without_files_gives_a_reason_for_each_signal() {
        let folder = tempfile::tempdir().unwrap();
        let signals = Sampler::new(SystemRoot::at(folder.path())).read();
        assert!(signals.memory.unwrap_err().is_absent());
        assert!(signals.cgroups.unwrap_err().is_absent());
        assert!(signals.pressure.unwrap_err().is_absent());
        assert!(signals.zram.unwrap_err().is_absent());
        assert!(signals.process.unwrap_err().is_absent());
        assert!(signals.largest_free_run_bytes.unwrap_err().is_absent());
        assert!(signals.oom_kill_count.unwrap_err().is_absent());
    }
}
