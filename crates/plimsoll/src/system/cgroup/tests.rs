//! What is read of control groups, in every shape that systems and containers have them.

mod limits;
mod places;

use super::*;
use crate::system::root::{LineBuffer, Probe, SystemRoot};
use std::fs;

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, SystemRoot) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let root = SystemRoot::at(folder.path());
    (folder, root)
}

fn read(root: &SystemRoot) -> Probe<Vec<Cgroup>> {
    CgroupReader::default().read(root, &mut LineBuffer::default()).map(|cgroups| cgroups.groups)
}

fn read_all(root: &SystemRoot) -> Cgroups {
    CgroupReader::default().read(root, &mut LineBuffer::default()).unwrap()
}

const V2: &[(&str, &str)] = &[
    ("proc/self/cgroup", "0::/outer/inner\n"),
    ("proc/self/mountinfo", "33 32 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
    ("sys/fs/cgroup/outer/memory.max", "1073741824\n"),
    ("sys/fs/cgroup/outer/memory.high", "536870912\n"),
    ("sys/fs/cgroup/outer/memory.current", "104857600\n"),
    ("sys/fs/cgroup/outer/memory.stat", "anon 1\ninactive_file 41943040\n"),
    ("sys/fs/cgroup/outer/memory.events", "low 0\noom_kill 2\n"),
    ("sys/fs/cgroup/outer/inner/memory.max", "max\n"),
    ("sys/fs/cgroup/outer/inner/memory.high", "max\n"),
    ("sys/fs/cgroup/outer/inner/memory.current", "1\n"),
    ("sys/fs/cgroup/outer/inner/memory.stat", "inactive_file 9\n"),
    ("sys/fs/cgroup/cgroup.controllers", "memory\n"),
];

#[test]
fn an_empty_list_of_groups_is_none() {
    let (_folder, root) = tree(&[V2, &[("proc/self/cgroup", "")]].concat());
    assert!(read(&root).is_err());
}

#[test]
fn the_groups_of_another_process_are_found_under_ones_own_mounts() {
    let (_folder, root) = tree(&[V2, &[("proc/42/cgroup", "0::/outer\n")]].concat());
    let groups = read(&root.of_process(42)).unwrap();
    assert_eq!(groups.iter().map(|group| group.path.as_str()).collect::<Vec<_>>(), ["/outer"]);
    let gone = read(&root.of_process(43)).unwrap_err();
    assert!(gone.to_string().contains("/proc/43/cgroup is not there"), "{gone}");
}
