//! The machine under the process, as a line and headroom need it.

use super::{
    cgroup::{Cgroup, CgroupReader, Cgroups},
    fault::FileFault,
    meminfo::{MemInfo, MemoryScope},
    memory::MemoryReader,
    root::{LineBuffer, Probe, Reason, SystemRoot, Unavailable},
};
use crate::sync::lock;
use std::{process, sync::Mutex};

/// The memory of this machine at one moment, as far as a line and headroom need it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// What the kernel counts.
    pub memory: MemInfo,
    /// The memory cgroups over this process, its own first.
    pub cgroups: Vec<Cgroup>,
    /// Where a limit may exist that cannot be seen, and figures that stand for others.
    pub doubts: Vec<Unavailable>,
}

/// The bound that a control group sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupBound<'a> {
    /// The group.
    pub cgroup: &'a Cgroup,
    /// Its bound, in bytes.
    pub bytes: u64,
}

impl Machine {
    /// Reads the machine this process runs on.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](super::Unavailable) when its memory cannot be read, or a limit over the process that is there, or when
    /// the process that is meant has ended. A machine without cgroups has none.
    pub fn read() -> Probe<Self> {
        Self::read_at(&SystemRoot::default())
    }

    /// Reads the machine whose files lie under that root.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_at(root: &SystemRoot) -> Probe<Self> {
        MachineReader::new(root.clone()).read()
    }

    /// Reads what the kernel counts and no cgroup, which takes a tenth of the time.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](super::Unavailable) when it cannot be read.
    pub fn memory_at(root: &SystemRoot) -> Probe<MemInfo> {
        MachineReader::new(root.clone()).read_memory()
    }

    /// The tightest limit over the process, if there is one below all the memory.
    #[must_use]
    pub fn tightest_limit(&self) -> Option<CgroupBound<'_>> {
        let bound = |cgroup| Cgroup::bound_bytes(cgroup).map(|bytes| CgroupBound { cgroup, bytes });
        let bounds = self.cgroups.iter().filter_map(bound);
        bounds.filter(|bound| bound.bytes < self.total_bytes()).min_by_key(|bound| bound.bytes)
    }

    /// A machine with these figures, for plans and tests.
    #[must_use]
    pub fn new(total_bytes: u64, available_bytes: u64, cgroups: Vec<Cgroup>) -> Self {
        let memory = MemInfo { total_bytes, available_bytes, ..MemInfo::default() };
        Self { memory, cgroups, doubts: Vec::new() }
    }

    /// The same memory without cgroups: for what none of them counts.
    pub(crate) fn of_memory(memory: MemInfo) -> Self {
        Self { memory, cgroups: Vec::new(), doubts: Vec::new() }
    }

    /// Fails where a limit is there that cannot be read: without it a line would be too high.
    pub(super) fn of(memory: Probe<MemInfo>, cgroups: Probe<Cgroups>) -> Probe<Self> {
        let memory = memory?;
        let cgroups = match cgroups {
            // A kernel without them.
            Err(unavailable) if unavailable.is_absent() => Cgroups::default(),
            read => read?,
        };
        if let Some(unavailable) = cgroups.unavailable.into_iter().next() {
            return Err(unavailable);
        }
        let doubts = doubt_of(&memory).into_iter().chain(cgroups.doubts).collect();
        Ok(Self { memory, cgroups: cgroups.groups, doubts })
    }

    /// What a user must be warned of unasked: every doubt, but for groups above the topmost that can be seen where one
    /// of those that can be seen has a limit below the machine's memory. That is how a container with a limit is.
    pub fn grave_doubts(&self) -> impl Iterator<Item = &Unavailable> {
        let binds = |bound_bytes: u64| bound_bytes < self.ordinary_bytes();
        let is_limited = self.cgroups.iter().any(|cgroup| cgroup.bound_bytes().is_some_and(binds));
        self.doubts.iter().filter(move |doubt| !(is_limited && doubt.reason == Reason::HiddenAbove))
    }

    /// Those of its [grave doubts](Self::grave_doubts) that nobody has asked for yet, for a log that is to have each once
    /// in a process.
    #[must_use]
    pub fn unreported_doubts(&self) -> Vec<Unavailable> {
        static REPORTED: Mutex<Vec<Unavailable>> = Mutex::new(Vec::new());
        let mut reported = lock(&REPORTED);
        let unreported: Vec<_> =
            self.grave_doubts().filter(|doubt| !reported.contains(doubt)).cloned().collect();
        reported.extend(unreported.iter().cloned());
        unreported
    }

    /// RAM the kernel manages (`MemTotal`), in bytes. Less than the board is sold with: firmware keeps a part.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.memory.total_bytes
    }

    /// RAM without what is set aside as huge pages, in bytes: what a line is drawn across.
    #[must_use]
    pub fn ordinary_bytes(&self) -> u64 {
        self.memory.ordinary_bytes()
    }

    /// RAM that programs could take without swapping (`MemAvailable`), in bytes.
    #[must_use]
    pub fn available_bytes(&self) -> u64 {
        self.memory.available_bytes
    }
}

/// What this machine could give now, in bytes, whatever anybody was promised: `MemAvailable` without the free pages that are
/// kept for devices. `None` where it cannot be read.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    let memory = Machine::memory_at(&SystemRoot::default()).ok()?;
    Some(memory.allocatable_bytes())
}

/// What is not certain about the memory.
pub(super) fn doubt_of(memory: &MemInfo) -> Option<Unavailable> {
    let of_container = "lxcfs tells here of the container alone: how much its host has left is not seen";
    let doubtful = |why: &str| Reason::Doubtful(why.to_owned());
    let of_scope = (memory.scope == MemoryScope::Container).then(|| doubtful(of_container));
    let cause = memory.fault.map(FileFault::reason).or(of_scope);
    let reason = match (cause, memory.stand_in) {
        (Some(cause), Some(stand_in)) => Reason::StandsIn { cause: Box::new(cause), words: stand_in.words() },
        (None, Some(stand_in)) => doubtful(stand_in.words()),
        (cause, None) => cause?,
    };
    Some(Unavailable::new("/proc/meminfo", reason))
}

/// The files of this machine and this process. They stay open, so that a limit that was once seen is not lost when the
/// process has no descriptor left.
static OWN: Mutex<Option<Files>> = Mutex::new(None);

/// Reads [`Machine`] again and again; its files stay open in between. Those of this machine and process are shared.
#[derive(Debug)]
pub(crate) struct MachineReader {
    root: SystemRoot,
    /// Those of another machine or process.
    files: Option<Files>,
}

impl MachineReader {
    pub(crate) fn new(root: SystemRoot) -> Self {
        let files = (root != SystemRoot::default()).then(|| Files::new(&root));
        Self { root, files }
    }

    /// The machine now. Where a limit may be that cannot be read, there is no reading: half of it would be a wrong number.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](super::Unavailable) when the machine's memory cannot be read, or a limit over the process.
    pub(crate) fn read(&mut self) -> Probe<Machine> {
        self.with(Files::read)
    }

    fn read_memory(&mut self) -> Probe<MemInfo> {
        self.with(|files| files.memory.read(&mut files.buffer))
    }

    fn with<T>(&mut self, read: impl FnOnce(&mut Files) -> T) -> T {
        if let Some(files) = &mut self.files {
            return read(files);
        }
        let mut own = lock(&OWN);
        *own = own.take().filter(|files| files.process == process::id());
        read(own.get_or_insert_with(|| Files::new(&self.root)))
    }
}

/// What a line and headroom need.
#[derive(Debug)]
struct Files {
    root: SystemRoot,
    /// Files of `/proc/self` stay those of the process that opened them, also after a fork.
    process: u32,
    memory: MemoryReader,
    cgroups: CgroupReader,
    buffer: LineBuffer,
}

impl Files {
    fn new(root: &SystemRoot) -> Self {
        Self {
            memory: MemoryReader::new(root),
            cgroups: CgroupReader::default(),
            buffer: LineBuffer::default(),
            process: process::id(),
            root: root.clone(),
        }
    }

    fn read(&mut self) -> Probe<Machine> {
        let memory = self.memory.read(&mut self.buffer);
        Machine::of(memory, self.cgroups.read(&self.root, &mut self.buffer))
    }
}

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
    fn a_reader_sees_what_changes_and_tells_of_a_limit_that_it_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let mut reader = MachineReader::new(SystemRoot::at(folder.path()));
        assert!(reader.read().unwrap_err().is_absent());
        write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n");
        assert_eq!(reader.read().unwrap().cgroups, [], "a machine without groups");
        write("proc/self/cgroup", "0::/a\n");
        write("proc/self/mountinfo", "33 32 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        for (name, text) in
            [("max", "100000\n"), ("high", "max\n"), ("current", "5000\n"), ("stat", "inactive_file 4000\n")]
        {
            write(&format!("sys/fs/cgroup/a/memory.{name}"), text);
        }
        assert_eq!(reader.read().unwrap().cgroups[0].room_bytes(), Some(99000));
        write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
        assert_eq!(reader.read().unwrap().available_bytes(), 400 << 10);
        write("sys/fs/cgroup/a/memory.max", "lots\n");
        let unavailable = reader.read().unwrap_err();
        assert!(unavailable.path.ends_with("a/memory.max"), "{unavailable}");
    }

    #[test]
    fn a_limit_that_binds_nothing_makes_no_doubt_less_grave() {
        let doubt = Unavailable::new("/sys/fs/cgroup", Reason::HiddenAbove);
        let grave = |limit_bytes: u64| {
            let mut machine = Machine::new(1 << 30, 1 << 29, vec![Cgroup::with_limit("/", limit_bytes)]);
            machine.doubts = vec![doubt.clone()];
            machine.grave_doubts().count()
        };
        assert_eq!((grave(1 << 29), grave(1 << 30), grave(1 << 40)), (0, 1, 1));
        let mut huge = Machine::new(1 << 30, 1 << 29, vec![Cgroup::with_limit("/", 1 << 29)]);
        huge.memory.huge_pages_bytes = Some(1 << 29);
        huge.doubts = vec![doubt.clone()];
        assert_eq!(huge.grave_doubts().count(), 1, "a line is drawn without huge pages");
    }

    #[test]
    fn the_tightest_limit_is_the_lowest_below_all_the_memory() {
        let limits = |limits: &[u64]| {
            let cgroups = limits.iter().map(|limit| Cgroup::with_limit(format!("/{limit}"), *limit));
            let machine = Machine::new(1000, 900, cgroups.collect());
            machine.tightest_limit().map(|limit| (limit.cgroup.path.clone(), limit.bytes))
        };
        assert_eq!(limits(&[]), None);
        assert_eq!(limits(&[1000, 2000]), None, "they bind nothing");
        assert_eq!(limits(&[800, 300, 500]), Some(("/300".to_owned(), 300)));
    }
}
