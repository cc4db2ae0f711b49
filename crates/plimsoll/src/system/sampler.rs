//! Every signal that tells of memory, in one reading.

use super::{
    cgroup::{CgroupReader, Cgroups},
    dark::DarkMemory,
    fault::FileFault,
    machine::{Machine, doubt_of},
    meminfo::{MemInfo, MemoryScope},
    memory::MemoryReader,
    pages::{free_huge_block_count, kept_page_count, largest_free_run_bytes, oom_kill_count},
    pressure::Pressure,
    process::ProcessMemory,
    root::{LineBuffer, Probe, Reason, RootSource, SystemRoot, Unavailable},
    swap::{Zram, ZramReader},
};
use rustix::param::page_size;
use std::time::{Duration, Instant};

/// Every signal at one moment. Each may be missing: the reason stands in its place.
#[derive(Debug, Clone)]
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
    /// Free blocks of 2 MiB.
    pub free_huge_block_count: Probe<u64>,
    /// RAM that no counter owns: what drivers have taken.
    pub dark: Probe<DarkMemory>,
    /// Kills by the OOM killer since the start.
    pub oom_kill_count: Probe<u64>,
}

impl Signals {
    /// The part of it that a line and headroom need.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](super::Unavailable) when the machine's memory is unknown, or a limit that is there.
    pub fn machine(&self) -> Probe<Machine> {
        Machine::of(self.memory.clone(), self.cgroups.clone())
    }

    /// What is not certain about the machine's memory.
    #[must_use]
    pub fn memory_doubt(&self) -> Option<Unavailable> {
        self.memory.as_ref().ok().and_then(doubt_of)
    }
}

/// How old may be what is dear to read, between readings of everything.
const OLDEST_RARE: Duration = Duration::from_secs(1);

/// Reads every signal again and again; files stay open in between, which makes a reading several times cheaper.
#[derive(Debug)]
pub struct Sampler {
    root: SystemRoot,
    memory: MemoryReader,
    cgroups: CgroupReader,
    pressure: RootSource,
    zram: ZramReader,
    process: RootSource,
    resident: RootSource,
    buddyinfo: RootSource,
    zoneinfo: RootSource,
    vmstat: RootSource,
    buffer: LineBuffer,
    /// What no line counted when the pages that processors keep were last read, and those pages; both in bytes.
    kept: Option<(u64, u64)>,
    /// The last reading of what no counter owns, and when that was.
    dark: Option<(Instant, DarkMemory)>,
    /// The last reading of everything, and when that was.
    rare: Option<(Instant, Signals)>,
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
            memory: MemoryReader::new(&root),
            cgroups: CgroupReader::default(),
            pressure: RootSource::new(&root, "/proc/pressure/memory"),
            zram: ZramReader::new(&root),
            process: RootSource::new(&root, root.process_file("status")),
            resident: RootSource::new(&root, root.process_file("statm")),
            buddyinfo: RootSource::new(&root, "/proc/buddyinfo"),
            zoneinfo: RootSource::new(&root, "/proc/zoneinfo"),
            vmstat: RootSource::new(&root, "/proc/vmstat"),
            buffer: LineBuffer::default(),
            kept: None,
            dark: None,
            rare: None,
            root,
        }
    }

    /// Reads every signal.
    pub fn read(&mut self) -> Signals {
        let signals = self.read_all();
        self.rare = Some((Instant::now(), signals.clone()));
        signals
    }

    /// As [`read`](Self::read), for many readings a second while there is room: what tells at once that it shrinks (the
    /// machine's memory, each group's usage, what the process has resident) is fresh, and all else up to a second old.
    pub fn read_often(&mut self) -> Signals {
        let known = self.rare.take().filter(|(at, _)| at.elapsed() < OLDEST_RARE);
        let Some((at, before)) = known else { return self.read() };
        let Some(signals) = self.refresh(&before) else { return self.read() };
        self.rare = Some((at, before));
        signals
    }

    fn read_all(&mut self) -> Signals {
        let zram = self.zram.read(&mut self.buffer);
        let (memory, dark) = self.read_memory(&zram);
        let (largest_free_run_bytes, free_huge_block_count) = self.read_free_runs();
        let buffer = &mut self.buffer;
        Signals {
            memory,
            dark,
            cgroups: self.cgroups.read(&self.root, buffer),
            pressure: self.pressure.read(buffer, Pressure::parse),
            process: self.process.read(buffer, ProcessMemory::parse),
            zram,
            largest_free_run_bytes,
            free_huge_block_count,
            oom_kill_count: self.vmstat.read(buffer, oom_kill_count),
        }
    }

    /// What the kernel counts, and what it does not: both from one text, so that they belong together.
    fn read_memory(&mut self, zram: &Probe<Zram>) -> (Probe<MemInfo>, Probe<DarkMemory>) {
        let mut dark = Err(Reason::Missing);
        let memory = self.memory.read_and(&mut self.buffer, |bytes| dark = DarkMemory::parse(bytes));
        // A file that could not be read says why.
        let missing = |reason| match (&memory, reason) {
            (Err(unavailable), Reason::Missing) => unavailable.clone(),
            (Ok(MemInfo { fault: Some(fault), .. }), _) if *fault != FileFault::Foreign => {
                Unavailable::new(self.root.path("/proc/meminfo"), fault.reason())
            }
            (_, reason) => Unavailable::new(self.root.path("/proc/meminfo"), reason),
        };
        if memory.as_ref().is_ok_and(|memory| memory.scope == MemoryScope::Container) {
            let why = "lxcfs tells here of the container alone, and what drivers hold is the machine's";
            dark = Err(Reason::Doubtful(why.to_owned()));
        }
        let dark: Probe<DarkMemory> = dark.map_err(missing);
        let dark = dark.map(|dark| {
            let kept_bytes = self.kept_bytes(dark.bytes);
            let dark = dark.less(kept_bytes.saturating_add(zram.as_ref().map_or(0, |zram| zram.used_bytes)));
            let now = Instant::now();
            let dark = self
                .dark
                .map_or(dark, |(at, before)| dark.since(&before, now.duration_since(at).as_secs_f64()));
            self.dark = Some((now, dark));
            dark
        });
        (memory, dark)
    }

    /// The free pages that processors keep apart, in bytes, which are among those that no line counts. To read them takes
    /// several times as long as the rest, so it is done when that rest has moved.
    fn kept_bytes(&mut self, uncounted_bytes: u64) -> u64 {
        const MOVED_BYTES: u64 = 2 << 20;
        // Of a copy the size of its pages is not known.
        if !self.root.is_this_machine() {
            return 0;
        }
        if let Some((then, kept_bytes)) = self.kept
            && then.abs_diff(uncounted_bytes) < MOVED_BYTES
        {
            return kept_bytes;
        }
        let pages = self.zoneinfo.read(&mut self.buffer, kept_page_count).unwrap_or(0);
        let kept_bytes = pages.saturating_mul(page_size() as u64);
        self.kept = Some((uncounted_bytes, kept_bytes));
        kept_bytes
    }

    /// The largest free run, in bytes, and the free blocks of 2 MiB.
    fn read_free_runs(&mut self) -> (Probe<u64>, Probe<u64>) {
        let is_this_machine = self.root.is_this_machine();
        let both = self.buddyinfo.read(&mut self.buffer, |bytes| {
            // A copy does not say how large its pages are, and the pages of this machine may be others.
            let unknown = Reason::Unreadable("the size of its pages is not in the copy".to_owned());
            let page_bytes = is_this_machine.then(|| page_size() as u64).ok_or(unknown)?;
            Ok((largest_free_run_bytes(bytes, page_bytes)?, free_huge_block_count(bytes, page_bytes)?))
        });
        (both.clone().map(|(largest, _)| largest), both.map(|(_, blocks)| blocks))
    }

    /// The signals of before, with fresh figures where that is cheap; `None` where something is not as it was.
    fn refresh(&mut self, before: &Signals) -> Option<Signals> {
        let mut signals = before.clone();
        let (memory, dark) = self.read_memory(&before.zram);
        (signals.memory, signals.dark) = (Ok(memory.ok()?), dark);
        let buffer = &mut self.buffer;
        if let Ok(cgroups) = signals.cgroups {
            signals.cgroups = Ok(self.cgroups.refresh(cgroups, buffer)?);
        }
        if let Ok(process) = signals.process {
            let page_bytes = page_size() as u64;
            let now = self.resident.read(buffer, |bytes| process.with_resident(bytes, page_bytes));
            signals.process = Ok(now.ok()?);
        }
        Some(signals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn often_and_whole_readings_tell_the_same() {
        let mut sampler = Sampler::default();
        let whole = sampler.read();
        let often = sampler.read_often();
        assert_eq!(often.memory.unwrap().total_bytes, whole.memory.unwrap().total_bytes);
        let paths = |cgroups: Probe<Cgroups>| {
            cgroups.map(|cgroups| cgroups.groups.into_iter().map(|group| group.path).collect::<Vec<_>>())
        };
        assert_eq!(paths(often.cgroups), paths(whole.cgroups));
        let (often, whole) = (often.process.unwrap(), whole.process.unwrap());
        assert!(often.anonymous_bytes.abs_diff(whole.anonymous_bytes) < 8 << 20, "{often:?} {whole:?}");
        assert_eq!(often.anonymous_bytes + often.file_bytes + often.shmem_bytes, often.rss_bytes);
    }

    #[test]
    fn what_changes_between_two_readings_is_seen_by_the_second() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let memory = |available: u64| {
            write("proc/meminfo", &format!("MemTotal: 1000 kB\nMemAvailable: {available} kB\n"));
        };
        memory(900);
        write("proc/self/cgroup", "0::/a\n");
        write("proc/self/mountinfo", "33 32 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        for (name, text) in
            [("max", "100000\n"), ("high", "max\n"), ("current", "5000\n"), ("stat", "inactive_file 4000\n")]
        {
            write(&format!("sys/fs/cgroup/a/memory.{name}"), text);
        }
        let mut sampler = Sampler::new(SystemRoot::at(folder.path()));
        sampler.read();
        memory(400);
        write("sys/fs/cgroup/a/memory.current", "3000\n");
        let signals = sampler.read_often();
        assert_eq!(signals.memory.unwrap().available_bytes, 400 << 10);
        let groups = signals.cgroups.unwrap().groups;
        assert_eq!((groups[0].usage_bytes, groups[0].inactive_file_bytes), (3000, 3000));
        std::fs::write(folder.path().join("sys/fs/cgroup/a/memory.current"), "nonsense").unwrap();
        let signals = sampler.read_often();
        let full = signals.cgroups.as_ref().unwrap();
        assert_eq!(full.groups[0].room_bytes(), Some(0), "read anew, and its use taken for the worst");
        assert!(signals.machine().unwrap_err().path.ends_with("memory.current"));
        std::fs::write(folder.path().join("sys/fs/cgroup/a/memory.max"), "nonsense").unwrap();
        let unknown = sampler.read().machine().unwrap_err();
        assert!(unknown.path.ends_with("memory.max"), "a limit that is unknown is none to go without");
    }

    #[test]
    fn a_process_that_ends_between_two_readings_leaves_no_machine_without_its_limits() {
        let mut child = process::Command::new("sleep").arg("60").spawn().unwrap();
        let root = SystemRoot::default().of_process(child.id());
        let mut sampler = Sampler::new(root.clone());
        let before = sampler.read();
        assert!(before.process.is_ok() && before.machine().is_ok(), "{before:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        for after in [sampler.read_often(), sampler.read(), Sampler::new(root.clone()).read()] {
            assert!(after.process.as_ref().unwrap_err().is_absent(), "{after:?}");
            assert_eq!(after.machine().unwrap_err().reason, Reason::Ended, "{after:?}");
        }
        assert_eq!(Machine::read_at(&root).unwrap_err().reason, Reason::Ended);
    }

    #[test]
    fn what_no_counter_owns_is_fresh_in_every_reading_and_grows_by_what_a_driver_takes() {
        const MIB: u64 = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("proc")).unwrap();
        let meminfo = |free_mib: u64| {
            let text = format!(
                "MemTotal: 1024000 kB\nMemAvailable: 500000 kB\nMemFree: {} kB\nBuffers: 0 kB\nCached: 102400 kB\n\
                 AnonPages: 0 kB\nSlab: 0 kB\n",
                free_mib * 1024
            );
            std::fs::write(folder.path().join("proc/meminfo"), text).unwrap();
        };
        meminfo(800);
        let mut sampler = Sampler::new(SystemRoot::at(folder.path()));
        let first = sampler.read().dark.unwrap();
        assert_eq!((first.bytes, first.growth_bytes_per_second), (100 * MIB, None));
        meminfo(700);
        std::thread::sleep(Duration::from_millis(5));
        let second = sampler.read_often().dark.unwrap();
        assert_eq!(second.bytes, 200 * MIB);
        assert!(second.growth_bytes_per_second.unwrap() > 0.0);
        std::fs::write(folder.path().join("proc/meminfo"), "MemTotal: 10 kB\nMemAvailable: 5 kB\n").unwrap();
        let none = sampler.read_often();
        assert!(none.memory.is_ok() && none.dark.unwrap_err().to_string().contains("AnonPages"));
    }

    #[test]
    fn in_a_container_of_lxcfs_what_no_counter_owns_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        // Its total is the container's, and what drivers hold is the host's.
        let meminfo = "MemTotal: 1024000 kB\nMemAvailable: 500000 kB\nMemFree: 500000 kB\nBuffers: 0 kB\n\
                       Cached: 1024 kB\nAnonPages: 0 kB\nSlab: 0 kB\n";
        std::fs::write(folder.path().join("proc/meminfo"), meminfo).unwrap();
        assert!(Sampler::new(SystemRoot::at(folder.path())).read().dark.is_ok());
        let lxcfs = "41 20 0:45 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n";
        std::fs::write(folder.path().join("proc/self/mountinfo"), lxcfs).unwrap();
        let mut sampler = Sampler::new(SystemRoot::at(folder.path()));
        for signals in [sampler.read(), sampler.read_often()] {
            assert!(signals.memory.is_ok());
            let unknown = signals.dark.unwrap_err();
            assert!(matches!(unknown.reason, Reason::Doubtful(_)), "{unknown}");
            assert!(unknown.to_string().contains("lxcfs"), "{unknown}");
        }
    }

    #[test]
    fn what_no_counter_owns_is_missing_for_the_reason_for_which_the_memory_is_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 9 kB\nNode 0 MemFree: 3 kB\n");
        write("proc/self/mountinfo", "41 20 0:5 /null /proc/meminfo rw - devtmpfs none rw\n");
        write("proc/meminfo", "");
        let signals = Sampler::new(SystemRoot::at(folder.path())).read();
        assert!(signals.memory.is_ok());
        assert_eq!(signals.dark.unwrap_err().reason, Reason::Covered);
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
        assert!(signals.free_huge_block_count.unwrap_err().is_absent());
        assert!(signals.dark.unwrap_err().is_absent());
        assert!(signals.oom_kill_count.unwrap_err().is_absent());
    }
}
