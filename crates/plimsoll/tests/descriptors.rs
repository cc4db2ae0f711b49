//! A process that may open no more files loses no limit: what it saw before it still sees, and what it cannot see is an
//! error, never a machine without limits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs::{self, File},
    path::Path,
    sync::mpsc::channel,
    time::Duration,
};

use plimsoll::{
    MemoryBudget,
    budget::MachineOptions,
    device::{Charge, DeviceContext, Request},
    monitor::{Level, Monitor, MonitorOptions, Notice},
    system::{DetectedBoard, Machine, Sampler, SystemRoot},
    units::{GIB, MIB},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const SOON: Duration = Duration::from_secs(20);

/// Holds every descriptor that this process may have, but for so many.
struct Shortage {
    held: Vec<File>,
    before: Rlimit,
}

impl Shortage {
    fn with_free(count: usize) -> Self {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..before }).unwrap();
        let mut held: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        held.truncate(held.len() - count);
        Self { held, before }
    }
}

impl Drop for Shortage {
    fn drop(&mut self) {
        self.held.clear();
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

/// A board with 8 GiB of memory and a group of 400 MiB, nearly all of it in use, below one of 4 GiB.
fn board(folder: &Path) -> SystemRoot {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 7000000 kB\nMemAvailable: 7500000 kB\n");
    write(
        "proc/device-tree/compatible",
        "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0",
    );
    write("proc/self/cgroup", "0::/a/b\n");
    write("proc/self/mountinfo", "33 32 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    write("proc/self/status", "VmHWM: 20 kB\nVmRSS: 20 kB\nRssAnon: 20 kB\nRssFile: 0 kB\nRssShmem: 0 kB\n");
    for (group, limit, usage) in [("a", 4 * GIB, 500 * MIB), ("a/b", 400 * MIB, 383 * MIB)] {
        write(&format!("sys/fs/cgroup/{group}/memory.max"), &limit.to_string());
        write(&format!("sys/fs/cgroup/{group}/memory.high"), "max\n");
        write(&format!("sys/fs/cgroup/{group}/memory.current"), &usage.to_string());
        write(&format!("sys/fs/cgroup/{group}/memory.stat"), "inactive_file 0\n");
    }
    SystemRoot::at(folder)
}

/// The limits it knows of.
fn limits(machine: &Machine) -> Vec<(String, Option<u64>)> {
    machine.cgroups.iter().map(|cgroup| (cgroup.path.clone(), cgroup.limit_bytes)).collect()
}

/// The number of descriptors is the whole process's, so that the tests run one after the other.
#[test]
fn short_of_descriptors_no_limit_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let root = board(folder.path());
    what_was_not_seen_before_is_an_error_or_all_there(&root);
    what_was_seen_before_is_seen_on();
    a_monitor_that_cannot_read_is_critical(&root);
    a_monitor_that_could_read_still_does(&root);
}

fn what_was_not_seen_before_is_an_error_or_all_there(root: &SystemRoot) {
    let (whole, preset) = (Machine::read_at(root).unwrap(), DetectedBoard::read(root).preset);
    assert_eq!((limits(&whole).len(), preset.is_some()), (2, true));
    let (mut read, mut refused) = (0, 0);
    for free in 0..20 {
        let (machine, sampled, board, allowed) = {
            let _shortage = Shortage::with_free(free);
            let context = DeviceContext { root: root.clone(), ..DeviceContext::default() };
            (
                Machine::read_at(root),
                Sampler::new(root.clone()).read().machine(),
                DetectedBoard::probe(root),
                context.check_headroom(&Request::new(GIB, "slab"), Charge::Process),
            )
        };
        assert!(allowed.is_err(), "{free}: above the limit whether it is seen or not");
        if let Ok(board) = board {
            assert_eq!(board.preset, preset, "{free}");
        }
        for machine in [machine, sampled] {
            match machine {
                Ok(machine) => {
                    read += 1;
                    assert_eq!(limits(&machine), limits(&whole), "{free} descriptors");
                    let line = MemoryBudget::for_machine(&machine, &MachineOptions::default()).unwrap();
                    assert_eq!(line.usable_bytes(), (400 - 16) * MIB, "{free} descriptors");
                }
                Err(unavailable) => {
                    refused += 1;
                    assert!(unavailable.to_string().contains("ulimit -n"), "{free}: {unavailable}");
                }
            }
        }
    }
    assert!(read > 0 && refused > 0, "both were met: {read} {refused}");
}

fn what_was_seen_before_is_seen_on() {
    let before = Machine::read().unwrap();
    let again: Vec<_> = (0..5)
        .map(|free| {
            let _shortage = Shortage::with_free(free);
            Machine::read().unwrap()
        })
        .collect();
    for machine in again {
        assert_eq!(limits(&machine), limits(&before));
        assert_eq!(machine.total_bytes(), before.total_bytes());
    }
}

fn started(root: &SystemRoot) -> (MemoryBudget, Monitor, std::sync::mpsc::Receiver<Notice>) {
    let budget = MemoryBudget::new(1024 * GIB, 0).unwrap();
    let (sender, notices) = channel();
    let interval = Some(Duration::from_millis(20));
    let options = MonitorOptions { root: root.clone(), interval, ..MonitorOptions::default() };
    let monitor = Monitor::start(budget.clone(), options, move |notice| drop(sender.send(notice))).unwrap();
    (budget, monitor, notices)
}

fn a_monitor_that_cannot_read_is_critical(root: &SystemRoot) {
    // Its thread is there before the descriptors go, and looks at another root.
    let (_other, _kept, running) = started(&SystemRoot::default());
    running.recv_timeout(SOON).unwrap();
    let shortage = Shortage::with_free(0);
    let (budget, monitor, notices) = started(root);
    let first = notices.recv_timeout(SOON).unwrap();
    assert!(matches!(first, Notice::Unavailable(_)), "{first:?}");
    assert_eq!(monitor.level(), Level::Critical);
    let refusal = budget.allocate(1, "blind").unwrap_err().to_string();
    assert!(refusal.contains("cannot be told"), "{refusal}");
    drop(shortage);
    loop {
        if let Notice::Sample { sample, .. } = notices.recv_timeout(SOON).unwrap() {
            assert_eq!(sample.level, Level::Critical, "for what it reads now");
            break;
        }
    }
}

fn a_monitor_that_could_read_still_does(root: &SystemRoot) {
    let (_budget, monitor, notices) = started(root);
    let Notice::Sample { sample, .. } = notices.recv_timeout(SOON).unwrap() else { panic!("no sample") };
    assert_eq!(sample.level, Level::Critical);
    let _shortage = Shortage::with_free(0);
    while notices.try_recv().is_ok() {}
    for _ in 0..5 {
        let told = notices.recv_timeout(SOON).unwrap();
        let Notice::Sample { sample, .. } = told else { panic!("no sample: {told:?}") };
        assert_eq!(limits(&sample.signals.machine().unwrap()).len(), 2);
    }
    assert_eq!(monitor.level(), Level::Critical);
}
