//! The processes of this machine: their names, parents, start times, command lines and memory.
//!
//! The table is the crate sysinfo's, which reads `/proc` of the running system alone: there is none of a copy. Each reading
//! starts from nothing, for a process that has executed another program keeps its id and its start time and would keep
//! its old name.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::process::{ProcessMemory, process_memory_at};
use crate::error::{Error, Result};

/// A process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its id.
    pub pid: u32,
    /// The id of the process that started it; none of the first one, and of one whose parent is in another container.
    pub parent_pid: Option<u32>,
    /// The name of its program, at most 15 bytes of it.
    pub name: String,
    /// Its command line, or the first 4096 bytes of a long one; of a kernel's thread its name.
    pub command: String,
    /// When it started, to the second. With the id it tells it from an earlier process of the same id.
    pub started_at: SystemTime,
    /// What it has resident, in bytes.
    pub rss_bytes: u64,
    /// The same by its parts, where this user may know; none of a kernel's thread.
    pub memory: Option<ProcessMemory>,
}

/// Reads the processes of this machine, as far as this user may look. It keeps nothing of them but which map a file.
#[derive(Debug, Default)]
pub struct ProcessTable {
    /// Which of the processes, by id and start, are known to map the file that was looked for.
    mapping: HashMap<(Pid, u64), bool>,
    searched: Option<Instant>,
}

/// Looking through the maps of every process costs more than all the rest, and programs load a library seldom.
const SEARCH_INTERVAL: Duration = Duration::from_secs(5);

impl ProcessTable {
    /// A table that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every process, in no order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where `/proc` shows no process at all: it is not mounted.
    pub fn read(&self) -> Result<Vec<ProcessInfo>> {
        let mut system = read_system()?;
        let pids: Vec<_> = system.processes().keys().copied().collect();
        Ok(described(&mut system, &pids))
    }

    /// Those that map a file whose path `is_meant` accepts, in no order. One that maps it only now may be found 5 seconds
    /// late; one that has let it go stays until it ends.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_mapping(&mut self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<ProcessInfo>> {
        let mut system = read_system()?;
        let is_due = self.searched.is_none_or(|searched| searched.elapsed() >= SEARCH_INTERVAL);
        let mut mapping = HashMap::with_capacity(system.processes().len());
        for (pid, process) in system.processes() {
            let key = (*pid, process.start_time());
            let known = self.mapping.get(&key).copied();
            // One that has never been looked at is looked at now and then again when the search is due.
            let maps = known == Some(true) || (is_due && maps(*pid, &is_meant));
            mapping.insert(key, maps);
        }
        if is_due {
            self.searched = Some(Instant::now());
        }
        self.mapping = mapping;
        let pids: Vec<_> = self.mapping.iter().filter(|(_, maps)| **maps).map(|((pid, _), _)| *pid).collect();
        Ok(described(&mut system, &pids))
    }
}

/// What is read of every process. Threads are no processes.
fn refresh_kind() -> ProcessRefreshKind {
    ProcessRefreshKind::nothing().without_tasks().with_memory()
}

fn read_system() -> Result<System> {
    let error = |source| Error::Io {
        path: PathBuf::from("/proc"),
        tensor: None,
        offset_bytes: None,
        call: "open",
        source,
    };
    let mut system = System::new().map_err(|cause| error(io::Error::other(cause.to_string())))?;
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, refresh_kind());
    if system.processes().is_empty() {
        return Err(error(io::Error::new(io::ErrorKind::NotFound, "it shows no process; is it mounted?")));
    }
    Ok(system)
}

/// The processes of these ids, with their command lines, which are read of no others. Those that have ended are left out.
fn described(system: &mut System, pids: &[Pid]) -> Vec<ProcessInfo> {
    let kind = refresh_kind().with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(pids), true, kind);
    pids.iter().filter_map(|pid| system.process(*pid)).map(info).collect()
}

fn info(process: &Process) -> ProcessInfo {
    let pid = process.pid().as_u32();
    let name = process.name().to_string_lossy().into_owned();
    let memory = process_memory_at(Path::new(&format!("/proc/{pid}"))).ok();
    ProcessInfo {
        pid,
        parent_pid: process.parent().map(Pid::as_u32),
        command: command(process).unwrap_or_else(|| name.clone()),
        name,
        started_at: UNIX_EPOCH + Duration::from_secs(process.start_time()),
        rss_bytes: memory.map_or_else(|| process.memory(), |memory| memory.rss_bytes),
        memory,
    }
}

/// The command line as one text; `None` of an empty one.
fn command(process: &Process) -> Option<String> {
    const MOST_BYTES: usize = 4096;
    let mut text = String::new();
    for word in process.cmd() {
        if text.len() > MOST_BYTES {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word.to_string_lossy());
    }
    text.truncate(text.floor_char_boundary(MOST_BYTES));
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Whether a process maps a file whose path is meant; false of one that this user may not look into.
fn maps(pid: Pid, is_meant: impl Fn(&str) -> bool) -> bool {
    let Ok(file) = File::open(format!("/proc/{pid}/maps")) else { return false };
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    // A path may hold any bytes.
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if path_of(&String::from_utf8_lossy(&line)).is_some_and(&is_meant) {
            return true;
        }
        line.clear();
    }
    false
}

/// The path in a line of `/proc/PID/maps`, behind five fields. Source: `proc_pid_maps(5)`.
pub(super) fn path_of(line: &str) -> Option<&str> {
    let path = line.get(line.find('/')?..)?.trim_end_matches('\n');
    // An update may have replaced the file meanwhile.
    Some(path.strip_suffix(" (deleted)").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_and_its_child_are_in_the_table_with_what_they_are() {
        let long = "x".repeat(10_000);
        let script = "read line";
        let mut child =
            Command::new("sh").args(["-c", script, "a name", &long]).stdin(Stdio::piped()).spawn().unwrap();
        // An emulator's child is there before it is what it was started as.
        let is_shell = |all: &[ProcessInfo]| all.iter().any(|it| it.pid == child.id() && it.name == "sh");
        let all =
            std::iter::repeat_with(|| ProcessTable::new().read().unwrap()).find(|all| is_shell(all)).unwrap();
        let find = |pid: u32| all.iter().find(|process| process.pid == pid).unwrap();
        let found = find(child.id());
        assert_eq!(found.parent_pid, Some(std::process::id()));
        assert!(found.command.starts_with("sh -c read line a name xxx"), "{found:?}");
        assert!(found.command.len() == 4096 && found.name == "sh", "{found:?}");
        let age = SystemTime::now().duration_since(found.started_at).unwrap_or_default();
        assert!(age < Duration::from_mins(1), "{age:?}");
        let memory = find(std::process::id()).memory.unwrap();
        assert_eq!(memory.rss_bytes, find(std::process::id()).rss_bytes);
        assert!(memory.rss_bytes > 0 && found.rss_bytes > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        let after = ProcessTable::new().read().unwrap();
        assert!(after.iter().all(|process| process.pid != child.id()));
    }

    #[test]
    fn those_that_map_a_file_are_found_and_no_others() {
        let own = std::env::current_exe().unwrap();
        let mut table = ProcessTable::new();
        let meant = |path: &str| Path::new(path) == own;
        let pids = |found: Vec<ProcessInfo>| found.iter().map(|it| it.pid).collect::<Vec<_>>();
        assert!(pids(table.read_mapping(meant).unwrap()).contains(&std::process::id()));
        assert!(pids(table.read_mapping(meant).unwrap()).contains(&std::process::id()), "it is remembered");
        assert!(ProcessTable::new().read_mapping(|_| false).unwrap().is_empty());
    }

    #[test]
    fn the_path_of_a_map_is_what_follows_its_numbers() {
        for (line, path) in [
            ("7f-80 r-xp 0 08:01 12    /usr/lib/a b.so\n", Some("/usr/lib/a b.so")),
            ("7f-80 r-xp 0 08:01 12    /usr/lib/a.so (deleted)\n", Some("/usr/lib/a.so")),
            ("7f-80 rw-p 0 00:00 0    [heap]\n", None),
            ("7f-80 rw-p 0 00:00 0\n", None),
        ] {
            assert_eq!(path_of(line), path);
        }
    }
}
