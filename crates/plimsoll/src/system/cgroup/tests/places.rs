//! Where the own group lies, in every shape that systems and containers have their mounts.

use std::fs;

use super::{
    super::{Cgroup, CgroupReader, Cgroups},
    read, read_all, tree,
};
use crate::{
    system::root::{LineBuffer, Reason, SystemRoot},
    units::MIB,
};

#[test]
fn without_a_hierarchy_that_is_mounted_that_is_told() {
    let (_folder, root) = tree(&[("proc/self/cgroup", "0::/\n"), ("proc/self/mountinfo", "\n")]);
    let cgroups = read_all(&root);
    assert!(cgroups.groups.is_empty());
    assert!(cgroups.doubts[0].to_string().contains("no mounted hierarchy"), "{:?}", cgroups.doubts);
    let (_folder, root) = tree(&[("proc/self/cgroup", "1:name=systemd:/\n")]);
    assert_eq!(read_all(&root), Cgroups::default(), "a kernel without the controller limits nothing");
    let (_folder, root) = tree(&[]);
    assert!(read(&root).unwrap_err().to_string().contains("/proc/self/cgroup is not there"));
}

/// A group of version 2 in a folder, with a limit in MiB, and processes in it.
fn group(folder: &str, limit_mib: u64, processes: &str) -> Vec<(String, String)> {
    let file = |name: &str, text: String| (format!("{folder}/{name}"), text);
    vec![
        file("memory.max", format!("{}\n", limit_mib * MIB)),
        file("memory.high", "max\n".to_owned()),
        file("memory.current", "0\n".to_owned()),
        file("memory.stat", "inactive_file 0\n".to_owned()),
        file("cgroup.procs", processes.to_owned()),
    ]
}

/// The same of version 1.
fn group1(folder: &str, limit_mib: u64, processes: &str) -> Vec<(String, String)> {
    let file = |name: &str, text: String| (format!("{folder}/{name}"), text);
    vec![
        file("memory.limit_in_bytes", format!("{}\n", limit_mib * MIB)),
        file("memory.usage_in_bytes", "0\n".to_owned()),
        file("memory.stat", "total_inactive_file 0\n".to_owned()),
        file("cgroup.procs", processes.to_owned()),
    ]
}

/// What is read where process 42 has that text and there are those mounts and groups.
fn seen(own: &str, mounts: &[&str], groups: &[Vec<(String, String)>]) -> (Vec<(String, u64)>, Vec<String>) {
    let (_folder, root) = tree_of_42(own, mounts, groups);
    let cgroups = read_all(&root.of_process(42));
    assert_eq!(cgroups.unavailable, []);
    let limit = |group: &Cgroup| (group.path.clone(), group.bound_bytes().unwrap_or(0) / MIB);
    let groups = cgroups.groups.iter().map(limit).collect();
    (groups, cgroups.doubts.iter().map(ToString::to_string).collect())
}

fn tree_of_42(
    own: &str,
    mounts: &[&str],
    groups: &[Vec<(String, String)>],
) -> (tempfile::TempDir, SystemRoot) {
    let mounts: Vec<_> =
        mounts.iter().enumerate().map(|(i, mount)| format!("{} 30 0:26 {mount}\n", i + 40)).collect();
    let (mounts, own) = (mounts.concat(), own.to_owned());
    let mut files = vec![("proc/self/mountinfo", &*mounts), ("proc/42/cgroup", &*own)];
    let groups = groups.concat();
    files.extend(groups.iter().map(|(path, text)| (&**path, &**text)));
    tree(&files)
}

fn limits(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(path, mib)| ((*path).to_owned(), *mib)).collect()
}

const UNIFIED: &str = "/ /sys/fs/cgroup rw - cgroup2 cgroup2 rw";

#[test]
fn the_hosts_mount_in_a_namespace_of_its_own_shows_the_group_by_its_processes() {
    // As of CentOS/sig-cloud-instance-images#99: the host's hierarchy is bound into the container.
    let hosts = "/../.. /sys/fs/cgroup rw - cgroup2 cgroup rw";
    let others = [
        group("sys/fs/cgroup/system.slice", 4096, "7\n"),
        group("sys/fs/cgroup/system.slice/other.scope", 64, "41\n43\n"),
        group("sys/fs/cgroup/user.slice/deeper/still", 32, "42\n"),
        group("sys/fs/cgroup/system.slice/docker-1.scope", 1024, "0\n42\n"),
    ];
    let (groups, doubts) = seen("0::/\n", &[hosts], &others);
    assert_eq!(groups, limits(&[("/system.slice/docker-1.scope", 1024), ("/system.slice", 4096)]));
    assert_eq!(doubts, Vec::<String>::new());
    // A group below the top of the namespace ends with its name.
    let nested = [
        group("sys/fs/cgroup/a/b/x", 300, "42\n"),
        group("sys/fs/cgroup/a/b/y", 200, "42\n"),
        group("sys/fs/cgroup/a/b", 400, ""),
    ];
    assert_eq!(seen("0::/x\n", &[hosts], &nested).0, limits(&[("/a/b/x", 300), ("/a/b", 400)]));
}

#[test]
fn a_copy_that_does_not_say_who_made_it_tells_by_the_only_processes_that_can_be_seen() {
    let hosts = "/../.. /sys/fs/cgroup rw - cgroup2 cgroup rw";
    let groups = [
        group("sys/fs/cgroup/a/own", 500, "1\n9\n"),
        group("sys/fs/cgroup/a/other", 100, "0\n0\n"),
        group("sys/fs/cgroup/a", 900, ""),
    ];
    let (folder, root) = tree_of_42("", &[hosts], &groups);
    fs::write(folder.path().join("proc/self/cgroup"), "0::/\n").unwrap();
    let found = read_all(&root);
    assert_eq!(found.groups[0].bound_bytes(), Some(500 * MIB));
    fs::write(folder.path().join("sys/fs/cgroup/a/other/cgroup.procs"), "12\n").unwrap();
    let unknown = read_all(&root);
    assert!(unknown.groups.iter().all(|group| group.limit_bytes.is_none()));
    assert!(unknown.doubts[0].to_string().contains("is not found"), "{:?}", unknown.doubts);
    fs::write(folder.path().join("proc/self/status"), "Name:\tx\nPid:\t12\n").unwrap();
    assert_eq!(read_all(&root).groups[0].path, "/a/other", "unless it says");
}

#[test]
fn a_process_that_was_moved_out_of_what_is_mounted_keeps_the_limit_of_what_is_and_that_is_told() {
    // As of openjdk/jdk#21808 (CloudFoundry).
    let bound = "/garden/good/2f57 /sys/fs/cgroup/memory ro master:25 - cgroup cgroup rw,memory";
    let own = "11:memory:/garden/bad/2f57\n";
    let (groups, doubts) = seen(own, &[bound], &[group1("sys/fs/cgroup/memory", 1024, "")]);
    assert_eq!(groups, limits(&[("/garden/good/2f57", 1024)]));
    assert!(doubts[0].contains("/garden/bad/2f57 is not found"), "{doubts:?}");
    // The end of its name lies there.
    let tail = [group1("sys/fs/cgroup/memory", 1024, ""), group1("sys/fs/cgroup/memory/2f57", 256, "")];
    let (groups, doubts) = seen(own, &[bound], &tail);
    assert_eq!(groups, limits(&[("/garden/good/2f57/2f57", 256), ("/garden/good/2f57", 1024)]));
    assert_eq!(doubts.len(), 1, "{doubts:?}");
    // Its processes say so.
    let listed = [group1("sys/fs/cgroup/memory", 1024, "1\n42\n")];
    let (groups, doubts) = seen(own, &[bound], &listed);
    assert_eq!((groups, doubts.len()), (limits(&[("/garden/good/2f57", 1024)]), 0));
}

#[test]
fn of_several_mounts_the_one_counts_that_shows_the_most_of_the_way_up() {
    let subtree = "/outer/inner /mnt/part rw - cgroup2 cgroup2 rw";
    let groups = [
        group("mnt/part", 512, ""),
        group("sys/fs/cgroup/outer/inner", 512, ""),
        group("sys/fs/cgroup/outer", 256, ""),
    ];
    for mounts in [[subtree, UNIFIED], [UNIFIED, subtree]] {
        let (groups, doubts) = seen("0::/outer/inner\n", &mounts, &groups);
        assert_eq!(groups, limits(&[("/outer/inner", 512), ("/outer", 256)]));
        assert_eq!(doubts, Vec::<String>::new());
    }
    // Alone, the bound part shows itself, and that there is more above it.
    let (found, doubts) = seen("0::/outer/inner\n", &[subtree], &groups);
    assert_eq!(found, limits(&[("/outer/inner", 512)]));
    assert!(doubts[0].contains("topmost control group that can be seen"), "{doubts:?}");
    // One that shows another part of the hierarchy shows nothing of this one.
    let other = "/elsewhere /mnt/part rw - cgroup2 cgroup2 rw";
    let (found, _) = seen("0::/outer/inner\n", &[other, UNIFIED], &groups);
    assert_eq!(found, limits(&[("/outer/inner", 512), ("/outer", 256)]));
}

#[test]
fn a_mount_that_lies_under_another_is_looked_through_and_never_believed() {
    // The folder of the group is not what is at its place.
    let (groups, doubts) = seen("0::/gone\n", &[UNIFIED], &[group("sys/fs/cgroup/a", 100, "")]);
    assert!(groups.is_empty() && doubts[0].contains("/gone is not found"), "{doubts:?}");
    let listed = [group("sys/fs/cgroup/a/b", 100, "42\n")];
    assert_eq!(seen("0::/gone\n", &[UNIFIED], &listed).0, limits(&[("/a/b", 100)]));
}

#[test]
fn paths_may_hold_blanks_escapes_and_dots_and_a_group_may_be_removed_under_its_process() {
    let odd = "/a\\040b /mnt/c\\040d rw - cgroup2 cgroup2 rw";
    let groups = [group("mnt/c d/e f:g", 64, "")];
    assert_eq!(seen("0::/a b/e f:g\n", &[odd], &groups).0, limits(&[("/a b/e f:g", 64)]));
    let backslash = [group("sys/fs/cgroup/x\\040y", 32, "")];
    assert_eq!(seen("0::/x\\040y\n", &[UNIFIED], &backslash).0, limits(&[("/x\\040y", 32)]));
    let slice = [group("sys/fs/cgroup/a.slice", 128, "")];
    let (groups, doubts) = seen("0::/a.slice/b.scope (deleted)\n", &[UNIFIED], &slice);
    assert_eq!((groups, doubts.len()), (limits(&[("/a.slice", 128)]), 0));
    let named = [group("sys/fs/cgroup/b (deleted)", 16, "")];
    assert_eq!(seen("0::/b (deleted)\n", &[UNIFIED], &named).0, limits(&[("/b (deleted)", 16)]));
}

#[test]
fn in_a_hybrid_the_hierarchy_with_the_controller_counts_and_the_other_raises_no_doubt() {
    let mounts = [
        "/ /m rw - cgroup cgroup rw,memory",
        "/ /unified rw - cgroup2 cgroup2 rw",
        "/ /cpu rw - cgroup c rw,cpu",
    ];
    let own = "4:memory:/a\n2:cpu:/z\n0::/x/y\n";
    let (groups, doubts) = seen(own, &mounts, &[group1("m/a", 77, "")]);
    assert_eq!((groups, doubts.len()), (limits(&[("/a", 77)]), 0));
    // Memory of version 1 that is not mounted is told, although version 2 is.
    let (groups, doubts) = seen(own, &mounts[1..], &[]);
    assert!(groups.is_empty() && doubts[0].contains("no mounted hierarchy shows the control group /a"));
}

#[test]
fn what_lies_above_a_container_is_told_where_it_could_limit() {
    let container = [group("sys/fs/cgroup", 512, "")];
    let (groups, doubts) = seen("0::/\n", &[UNIFIED], &container);
    assert_eq!(groups, limits(&[("/", 512)]));
    assert!(doubts[0].contains("not the topmost there is"), "{doubts:?}");
    // Without the controller in it, too.
    let bare = vec![("sys/fs/cgroup/cgroup.events".to_owned(), "populated 1\n".to_owned())];
    assert_eq!(seen("0::/\n", &[UNIFIED], &[bare]).1.len(), 1);
    let host = vec![("sys/fs/cgroup/cgroup.controllers".to_owned(), "memory\n".to_owned())];
    assert_eq!(seen("0::/\n", &[UNIFIED], &[host]), (vec![], vec![]));
    // Version 1 names the limit, and not who else is under it.
    let mut parts = group1("m", 512, "");
    parts.push(("m/memory.stat".to_owned(), format!("hierarchical_memory_limit {}\n", 300 * MIB)));
    let (groups, doubts) = seen("4:memory:/a\n", &["/a /m rw - cgroup cgroup rw,memory"], &[parts]);
    assert_eq!(groups, limits(&[("/a", 300)]));
    assert!(doubts.iter().any(|doubt| doubt.contains("a group above that cannot be seen")), "{doubts:?}");
}

#[test]
fn a_limit_in_a_table_of_mounts_of_more_than_a_mebibyte_is_found() {
    // As of moby/moby#45760.
    let overlay =
        format!("/ /var/{} rw - overlay overlay rw,lowerdir={}", "x".repeat(64), "/l/y:".repeat(400));
    let mut mounts = vec![&*overlay; 600];
    mounts.insert(0, UNIFIED);
    assert_eq!(seen("0::/a\n", &mounts, &[group("sys/fs/cgroup/a", 1024, "")]).0, limits(&[("/a", 1024)]));
}

#[test]
fn a_process_that_is_not_there_has_no_groups_that_could_be_read_and_is_no_kernel_without_them() {
    let (folder, root) = tree(&[("proc/self/mountinfo", "\n")]);
    let gone = read(&root.of_process(42)).unwrap_err();
    assert_eq!(gone.reason, Reason::Ended);
    assert!(gone.to_string().contains("/proc/42/cgroup is not there"), "{gone}");
    // It is there, and nothing is mounted that could limit it.
    fs::create_dir_all(folder.path().join("proc/42")).unwrap();
    assert!(read(&root.of_process(42)).unwrap_err().is_absent());
}

#[test]
fn where_a_hierarchy_is_mounted_and_the_own_group_is_not_named_the_limits_that_can_be_seen_count_and_that_is_told()
 {
    let top = [group("sys/fs/cgroup", 512, "")];
    let owner = [group("sys/fs/cgroup", 512, ""), group("sys/fs/cgroup/a/b", 64, "7\n42\n")];
    for (groups, found) in
        [(&top[..], limits(&[("/", 512)])), (&owner[..], limits(&[("/a/b", 64), ("/", 512)]))]
    {
        let (folder, root) = tree_of_42("", &[UNIFIED], groups);
        fs::remove_file(folder.path().join("proc/42/cgroup")).unwrap();
        let mut reader = CgroupReader::default();
        for _ in 0..2 {
            let read = reader.read(&root.of_process(42), &mut LineBuffer::default()).unwrap();
            let seen: Vec<_> = read
                .groups
                .iter()
                .filter(|group| group.bound_bytes().is_some())
                .map(|group| (group.path.clone(), group.bound_bytes().unwrap() / MIB))
                .collect();
            assert_eq!(seen, found);
            let doubt = &read.doubts[0];
            assert!(
                doubt.path.ends_with("proc/42/cgroup") && doubt.to_string().contains("not seen"),
                "{doubt}"
            );
        }
        // Once it is named, by its name.
        fs::write(folder.path().join("proc/42/cgroup"), "0::/\n").unwrap();
        let named = reader.read(&root.of_process(42), &mut LineBuffer::default()).unwrap();
        assert_eq!(named.groups.len(), 1);
        assert!(named.doubts.iter().all(|doubt| doubt.reason == Reason::HiddenAbove), "{:?}", named.doubts);
    }
    let (_folder, root) = tree(&[("proc/self/mountinfo", "40 30 0:26 / /m rw - cgroup cgroup rw,memory\n")]);
    let read = read_all(&root);
    assert!(read.groups.is_empty() && read.doubts[0].path.ends_with("proc/self/cgroup"), "{read:?}");
}
