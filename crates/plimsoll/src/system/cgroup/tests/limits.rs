//! Which limits bind, and what is known of one that cannot be read.

use std::fs;

use super::{
    super::{Cgroup, CgroupReader, Cgroups},
    V2, read, read_all, tree,
};
use crate::{system::root::LineBuffer, units::MIB};

#[test]
fn every_ancestor_of_version_2_is_read_and_high_binds_below_max() {
    let (_folder, root) = tree(V2);
    let groups = read(&root).unwrap();
    let paths: Vec<_> = groups.iter().map(|group| group.path.as_str()).collect();
    assert_eq!(paths, ["/outer/inner", "/outer"]);
    assert_eq!(groups[0].room_bytes(), None);
    assert_eq!(groups[0].inactive_file_bytes, 1, "never more than the usage");
    assert_eq!(groups[1].room_bytes(), Some((512 - 60) * MIB));
    assert_eq!((groups[0].oom_kill_count, groups[1].oom_kill_count), (None, Some(2)));
}

#[test]
fn mapped_files_are_no_cache_that_is_reclaimed_first() {
    let stat = "inactive_file 41943040\nfile_mapped 31457280\nshmem 10485760\n";
    let (folder, root) = tree(V2);
    fs::write(folder.path().join("sys/fs/cgroup/outer/memory.stat"), stat).unwrap();
    let outer = read(&root).unwrap().remove(1);
    assert_eq!(outer.mapped_file_bytes, 20 * MIB);
    assert_eq!(outer.working_set_bytes(), 80 * MIB, "20 MiB of the cache are mapped");
    let more = Cgroup { mapped_file_bytes: 1 << 40, ..outer };
    assert_eq!(more.working_set_bytes(), 100 * MIB, "never more than it holds");
    let active = format!("active_file {}\n{stat}", 5 * MIB);
    fs::write(folder.path().join("sys/fs/cgroup/outer/memory.stat"), active).unwrap();
    assert_eq!(read(&root).unwrap()[1].working_set_bytes(), 75 * MIB, "5 MiB of them may be in use already");
}

#[test]
fn version_1_counts_the_subtree_and_knows_its_way_of_writing_no_limit() {
    let (_folder, root) = tree(&[
        ("proc/self/cgroup", "9:cpu:/x\n4:memory:/a\n0::/ignored\n"),
        ("proc/self/mountinfo", "40 32 0:36 / /m rw - cgroup cgroup rw,memory\n"),
        ("m/memory.limit_in_bytes", "9223372036854771712\n"),
        ("m/memory.usage_in_bytes", "5000\n"),
        ("m/memory.stat", "inactive_file 1\ntotal_inactive_file 3000\n"),
        ("m/a/memory.limit_in_bytes", "10000\n"),
        ("m/a/memory.usage_in_bytes", "4000\n"),
        (
            "m/a/memory.stat",
            "inactive_file 1\nmapped_file 1\ntotal_inactive_file 3000\ntotal_mapped_file 900\ntotal_shmem 400\n\
             active_file 1\ntotal_active_file 300\n",
        ),
        ("m/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
    ]);
    let groups = read(&root).unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!((groups[0].path.as_str(), groups[0].room_bytes()), ("/a", Some(8800)));
    assert_eq!((groups[1].path.as_str(), groups[1].room_bytes()), ("/", None));
}

#[test]
fn a_container_that_sees_only_its_part_of_the_hierarchy_still_finds_itself() {
    let (_folder, root) = tree(&[
        ("proc/self/cgroup", "4:memory:/docker/abc\n"),
        ("proc/self/mountinfo", "40 32 0:36 /docker/abc /m ro - cgroup cgroup rw,memory\n"),
        ("m/memory.limit_in_bytes", "10000\n"),
        ("m/memory.usage_in_bytes", "4000\n"),
        ("m/memory.stat", "hierarchical_memory_limit 9000\ntotal_inactive_file 0\n"),
    ]);
    let groups = read(&root).unwrap();
    assert_eq!(groups[0].path, "/docker/abc");
    assert_eq!(groups[0].limit_bytes, Some(9000), "a limit above what it sees counts too");
}

#[test]
fn a_process_above_the_top_of_its_namespace_looks_at_the_top() {
    let (_folder, root) = tree(&[
        ("proc/self/cgroup", "0::/../sibling\n"),
        ("proc/self/mountinfo", "33 32 0:29 / /c rw - cgroup2 cgroup2 rw\n"),
        ("c/memory.max", "10000\n"),
        ("c/memory.high", "max\n"),
        ("c/memory.current", "4000\n"),
        ("c/memory.stat", "inactive_file 0\n"),
    ]);
    assert_eq!(read(&root).unwrap()[0].limit_bytes, Some(10000));
}

#[test]
fn a_limit_that_is_nonsense_is_unavailable_and_the_others_are_kept() {
    for (name, text) in [("max", "lots"), ("max", ""), ("high", ""), ("high", "-1"), ("max", "1\0")] {
        let (folder, root) = tree(V2);
        fs::write(folder.path().join(format!("sys/fs/cgroup/outer/memory.{name}")), text).unwrap();
        let cgroups = read_all(&root);
        assert_eq!(cgroups.groups.len(), 1, "{name} {text:?}");
        assert_eq!(cgroups.groups[0].path, "/outer/inner");
        assert!(cgroups.unavailable[0].path.ends_with(format!("outer/memory.{name}")), "{name} {text:?}");
    }
}

#[test]
fn a_limit_is_kept_whatever_else_of_its_group_is_missing_and_the_rest_is_taken_for_the_worst() {
    for (name, text) in
        [("current", None), ("current", Some("-4")), ("stat", None), ("stat", Some("inactive_file ?"))]
    {
        let (folder, root) = tree(V2);
        let path = folder.path().join(format!("sys/fs/cgroup/outer/memory.{name}"));
        text.map_or_else(|| fs::remove_file(&path), |text| fs::write(&path, text)).unwrap();
        let cgroups = read_all(&root);
        let outer = &cgroups.groups[1];
        assert_eq!(outer.bound_bytes(), Some(512 * MIB), "{name} {text:?}");
        let expected = if name == "current" { 0 } else { (512 - 100) * MIB };
        assert_eq!(outer.room_bytes(), Some(expected), "{name} {text:?}");
        let closes = name == "current" && text.is_some();
        let told = if closes { &cgroups.unavailable } else { &cgroups.doubts };
        assert!(told[0].path.ends_with(format!("outer/memory.{name}")), "{name} {text:?}");
        assert_eq!(cgroups.unavailable.len(), usize::from(closes), "{name} {text:?}");
    }
}

#[test]
fn of_two_limits_the_one_that_is_there_counts_and_the_other_is_told() {
    for (name, left) in [("max", 512), ("high", 1024)] {
        let (folder, root) = tree(V2);
        fs::remove_file(folder.path().join(format!("sys/fs/cgroup/outer/memory.{name}"))).unwrap();
        let cgroups = read_all(&root);
        assert_eq!(cgroups.groups[1].bound_bytes(), Some(left * MIB), "{name}");
        assert!(cgroups.doubts[0].path.ends_with(format!("outer/memory.{name}")), "{name}");
    }
}

#[test]
fn a_group_that_vanishes_between_two_readings_is_left_out() {
    let (folder, root) = tree(V2);
    let mut reader = CgroupReader::default();
    assert_eq!(reader.read(&root, &mut LineBuffer::default()).unwrap().groups.len(), 2);
    fs::write(folder.path().join("proc/self/cgroup"), "0::/outer\n").unwrap();
    fs::remove_dir_all(folder.path().join("sys/fs/cgroup/outer/inner")).unwrap();
    let Cgroups { groups, unavailable, .. } = reader.read(&root, &mut LineBuffer::default()).unwrap();
    assert_eq!((groups.len(), unavailable.len()), (1, 0));
    assert_eq!(groups[0].path, "/outer");
}
