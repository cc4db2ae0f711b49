//! The machine under the process: its RAM and the cgroup limit over the process.

use std::fs;

use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// The RAM of this machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// RAM the kernel manages (`MemTotal`), in bytes. Less than the board is sold with: firmware keeps a part.
    pub total_bytes: u64,
    /// RAM that programs could take without swapping (`MemAvailable`), in bytes.
    pub available_bytes: u64,
    /// The tightest memory limit over this process's cgroup, if one is below `total_bytes`.
    pub cgroup: Option<CgroupLimit>,
}

/// A memory limit set on a control group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupLimit {
    /// The process's group, as `/proc/self/cgroup` names it. The limit may be set on it or on an ancestor.
    pub path: String,
    /// The limit, in bytes.
    pub limit_bytes: u64,
}

impl CgroupLimit {
    /// A limit of `limit_bytes` on the group `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, limit_bytes: u64) -> Self {
        Self { path: path.into(), limit_bytes }
    }
}

impl Machine {
    /// Reads the machine this process runs on.
    ///
    /// Figures come from sysinfo, which walks the memory cgroups above the process, version 1 and 2. What it
    /// cannot read counts as absent: total and available are then 0, and no line can be drawn from them.
    #[must_use]
    pub fn read() -> Self {
        let ram = MemoryRefreshKind::nothing().with_ram();
        let Ok(mut system) = System::new_with_specifics(RefreshKind::nothing().with_memory(ram)) else {
            return Self::new(0, 0, None);
        };
        let total_bytes = system.total_memory();
        let cgroup = own_cgroup_limit(&mut system)
            .filter(|limit_bytes| *limit_bytes < total_bytes)
            .map(|limit_bytes| CgroupLimit::new(own_cgroup_path(), limit_bytes));
        Self::new(total_bytes, system.available_memory(), cgroup)
    }

    /// A machine with these figures, for planning and for tests.
    #[must_use]
    pub fn new(total_bytes: u64, available_bytes: u64, cgroup: Option<CgroupLimit>) -> Self {
        Self { total_bytes, available_bytes, cgroup }
    }
}

fn own_cgroup_limit(system: &mut System) -> Option<u64> {
    let pid = sysinfo::get_current_pid().ok()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().without_tasks(),
    );
    Some(system.process(pid)?.cgroup_limits()?.total_memory)
}

/// The process's memory cgroup: the line of the version 1 memory controller, else that of version 2.
fn own_cgroup_path() -> String {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    memory_cgroup_path(&text).unwrap_or("/").to_owned()
}

fn memory_cgroup_path(text: &str) -> Option<&str> {
    let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let with = |wanted: fn(&str) -> bool| lines().find(|(names, _)| wanted(names)).map(|(_, path)| path);
    with(|names| names.split(',').any(|name| name == "memory")).or_else(|| with(str::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        let machine = Machine::read();
        assert!(machine.total_bytes > 0 && machine.available_bytes <= machine.total_bytes, "{machine:?}");
    }

    #[test]
    fn the_memory_controller_names_the_group() {
        assert_eq!(memory_cgroup_path("4:cpu,memory:/a/b\n0::/c\n"), Some("/a/b"));
        assert_eq!(memory_cgroup_path("1:cpu:/a\n0::/c:d\n"), Some("/c:d"));
        assert_eq!(memory_cgroup_path("1:cpu:/a\n"), None);
        assert_eq!(memory_cgroup_path("nonsense"), None);
    }
}
