//! The control groups over this process: every ancestor that limits memory, in versions 1 and 2 and in hybrids.

use std::path::{Component, Path, PathBuf};

use super::{
    mounts::{CgroupMount, cgroup_mounts, group_of},
    root::{Buffer, Probe, Reason, Source, SystemRoot, Unavailable},
    text::{count_field, number, text, whole_number},
};
use crate::units::MAX_BYTES;

/// The version of a control group's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// The memory controller's own hierarchy.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A control group at one moment.
///
/// Sources: the kernel's `cgroup-v2.rst` and `cgroup-v1/memory.rst`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cgroup {
    /// Its path in the hierarchy as `/proc/self/cgroup` writes it; `/` for the topmost that can be seen.
    pub path: String,
    /// The version of its interface.
    pub version: CgroupVersion,
    /// The limit at which its killer acts, in bytes: `memory.max`, or `memory.limit_in_bytes`.
    pub limit_bytes: Option<u64>,
    /// The limit above which its processes are slowed down until they give back, in bytes: `memory.high`.
    pub high_bytes: Option<u64>,
    /// What it holds, page cache included, in bytes.
    pub usage_bytes: u64,
    /// Page cache that was not used for a while, in bytes: the first to be reclaimed. Of the whole subtree.
    pub inactive_file_bytes: u64,
    /// Pages of files that its processes have mapped, in bytes, as far as the kernel tells: the weights of servers that
    /// map their models. Of the whole subtree.
    pub mapped_file_bytes: u64,
    /// Kills by its own killer so far.
    pub oom_kill_count: Option<u64>,
}

impl Cgroup {
    /// A group with a limit, for plans and tests.
    #[must_use]
    pub fn with_limit(path: impl Into<String>, limit_bytes: u64) -> Self {
        Self {
            path: path.into(),
            version: CgroupVersion::V2,
            limit_bytes: Some(limit_bytes),
            high_bytes: None,
            usage_bytes: 0,
            inactive_file_bytes: 0,
            mapped_file_bytes: 0,
            oom_kill_count: None,
        }
    }

    /// The lower of limit and high, in bytes: more than that its processes never hold undisturbed.
    #[must_use]
    pub fn bound_bytes(&self) -> Option<u64> {
        self.limit_bytes.into_iter().chain(self.high_bytes).min()
    }

    /// What it holds less what is reclaimed first, in bytes. Page cache that is mapped is not: wherever the kernel keeps
    /// it, the processes that mapped it are using it.
    #[must_use]
    pub fn working_set_bytes(&self) -> u64 {
        let reclaimable = self.inactive_file_bytes.saturating_sub(self.mapped_file_bytes);
        self.usage_bytes.saturating_sub(reclaimable)
    }

    /// What its processes could still take, in bytes; `None` without a limit.
    #[must_use]
    pub fn room_bytes(&self) -> Option<u64> {
        self.bound_bytes().map(|bound| bound.saturating_sub(self.working_set_bytes()))
    }
}

/// The groups over this process at one moment, its own first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cgroups {
    /// Those that have a memory controller.
    pub groups: Vec<Cgroup>,
    /// Files that a group should have and that cannot be believed. Their groups are left out: half of a group's
    /// figures would be a wrong number.
    pub unavailable: Vec<Unavailable>,
}

/// Reads the groups over this process again and again, with their files kept open.
#[derive(Debug, Default)]
pub(super) struct CgroupReader {
    own: Option<Source>,
    /// The text of `/proc/self/cgroup` for which the groups were looked up.
    seen: Option<Vec<u8>>,
    groups: Vec<GroupReader>,
}

impl CgroupReader {
    /// Reads the groups; a process that was moved since the last reading is followed.
    pub(super) fn read(&mut self, root: &SystemRoot, buffer: &mut Buffer) -> Probe<Cgroups> {
        let own = self.own.get_or_insert_with(|| Source::new(root, root.process_file("cgroup")));
        let seen = &self.seen;
        let changed =
            own.read(buffer, |text| Ok((seen.as_deref() != Some(text)).then(|| text.to_owned())))?;
        if let Some(text) = changed {
            self.look_up(root, &text)?;
            self.seen = Some(text);
        }
        let mut cgroups = Cgroups::default();
        for group in &mut self.groups {
            match group.read(buffer) {
                Ok(group) => cgroups.groups.extend(group),
                Err(error) => cgroups.unavailable.push(error),
            }
        }
        Ok(cgroups)
    }

    /// The groups of the last reading with their usage of now; `None` where a group has gone or changed.
    pub(super) fn refresh(&mut self, mut last: Cgroups, buffer: &mut Buffer) -> Option<Cgroups> {
        for group in &mut last.groups {
            let is_same = |reader: &&mut GroupReader| {
                reader.place.path == group.path && reader.place.version == group.version
            };
            let reader = self.groups.iter_mut().find(is_same)?;
            group.usage_bytes = reader.usage.read(buffer, number_in).ok()?;
            group.inactive_file_bytes = group.inactive_file_bytes.min(group.usage_bytes);
        }
        Some(last)
    }

    fn look_up(&mut self, root: &SystemRoot, own: &[u8]) -> Probe<()> {
        let places = places(root, &String::from_utf8_lossy(own))?;
        self.groups = places.into_iter().map(|place| GroupReader::new(root, place)).collect();
        if let Some(top) = self.groups.iter_mut().rfind(|group| group.place.version == CgroupVersion::V1) {
            top.is_topmost = true;
        }
        Ok(())
    }
}

/// Where a group's files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    version: CgroupVersion,
    path: String,
    folder: PathBuf,
}

/// Every group over this process that may hold a memory controller, its own first.
fn places(root: &SystemRoot, own: &str) -> Probe<Vec<Place>> {
    // Another process's groups are named as this one sees them, so they lie under this one's mounts.
    let mounts = cgroup_mounts(&root.read_text("/proc/self/mountinfo")?);
    let of = |version| {
        let group = group_of(own, version)?;
        mounts.iter().filter(|mount| mount.version == version).find_map(|mount| places_in(mount, group))
    };
    let places: Vec<_> =
        [CgroupVersion::V1, CgroupVersion::V2].into_iter().filter_map(of).flatten().collect();
    if places.is_empty() {
        return Err(Unavailable::new(
            root.path(root.process_file("cgroup")),
            Reason::Malformed("a memory cgroup of a mounted hierarchy"),
        ));
    }
    Ok(places)
}

/// The groups from `group` up to the top of the mount; `None` when the mount shows another part of the hierarchy.
fn places_in(mount: &CgroupMount, group: &str) -> Option<Vec<Place>> {
    let group = Path::new(group);
    // Above the top of its namespace a process sees "/..": the top is then all that can be looked at.
    let is_above = group.components().any(|part| part == Component::ParentDir);
    let inside = if is_above { Path::new("") } else { group.strip_prefix(&mount.root).ok()? };
    let place = |below: &Path| Place {
        version: mount.version,
        path: under(Path::new(&mount.root), below).to_string_lossy().into_owned(),
        folder: under(&mount.point, below),
    };
    Some(inside.ancestors().map(place).collect())
}

/// Joins without a trailing slash where there is nothing to join.
fn under(folder: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { folder.to_owned() } else { folder.join(below) }
}

#[derive(Debug)]
struct GroupReader {
    place: Place,
    /// Whether what lies above it in version 1 cannot be seen.
    is_topmost: bool,
    limit: Source,
    high: Option<Source>,
    usage: Source,
    stat: Source,
    events: Source,
}

impl GroupReader {
    fn new(root: &SystemRoot, place: Place) -> Self {
        let source = |name: &str| Source::new(root, place.folder.join(name));
        let (limit, high, usage, events) = match place.version {
            CgroupVersion::V1 => {
                ("memory.limit_in_bytes", None, "memory.usage_in_bytes", "memory.oom_control")
            }
            CgroupVersion::V2 => ("memory.max", Some("memory.high"), "memory.current", "memory.events"),
        };
        Self {
            limit: source(limit),
            high: high.map(source),
            usage: source(usage),
            stat: source("memory.stat"),
            events: source(events),
            is_topmost: false,
            place,
        }
    }

    /// The group now. One without a memory controller, or that has just been removed, limits nothing and is `None`;
    /// but where one file is there, the others must be too.
    fn read(&mut self, buffer: &mut Buffer) -> Probe<Option<Cgroup>> {
        match self.usage.read(buffer, number_in) {
            Ok(usage_bytes) => self.read_rest(usage_bytes, buffer).map(Some),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_rest(&mut self, usage_bytes: u64, buffer: &mut Buffer) -> Probe<Cgroup> {
        let version = self.place.version;
        let own_limit_bytes = self.limit.read(buffer, limit_in)?;
        let high_bytes = self.high.as_mut().map_or(Ok(None), |high| high.read(buffer, limit_in))?;
        let stat = self.stat.read(buffer, |bytes| Stat::parse(bytes, version))?;
        let limit_above_bytes = stat.hierarchical_limit_bytes.filter(|_| self.is_topmost);
        Ok(Cgroup {
            path: self.place.path.clone(),
            version,
            limit_bytes: own_limit_bytes.into_iter().chain(limit_above_bytes).min(),
            high_bytes,
            usage_bytes,
            // The two files are read one after the other, so one may be a moment ahead.
            inactive_file_bytes: stat.inactive_file_bytes.min(usage_bytes),
            mapped_file_bytes: stat.mapped_file_bytes,
            oom_kill_count: self.events.read(buffer, oom_kill_in).ok(),
        })
    }
}

fn number_in(bytes: &[u8]) -> Result<u64, Reason> {
    number(text(bytes)?).ok_or(Reason::Malformed("a number of bytes"))
}

/// A limit, if it is one. "max" is none, and so is what version 1 writes for none: the most pages a counter holds.
fn limit_in(bytes: &[u8]) -> Result<Option<u64>, Reason> {
    let text = text(bytes)?.trim();
    if text == "max" {
        return Ok(None);
    }
    whole_number(text).map(limit_of).ok_or(Reason::Malformed("a number of bytes or \"max\""))
}

fn limit_of(bytes: u64) -> Option<u64> {
    Some(bytes).filter(|bytes| *bytes <= MAX_BYTES)
}

/// What is wanted from `memory.stat`.
#[allow(clippy::struct_field_names)] // Each is a size, and says so.
struct Stat {
    inactive_file_bytes: u64,
    /// What is mapped, less shared memory: the kernel counts both together.
    mapped_file_bytes: u64,
    /// Version 1 alone: the lowest limit on the way up, those of groups that cannot be seen from here included.
    hierarchical_limit_bytes: Option<u64>,
}

impl Stat {
    fn parse(bytes: &[u8], version: CgroupVersion) -> Result<Self, Reason> {
        let text = text(bytes)?;
        // Version 1 writes the group's own figure under the short name and the subtree's under the long one.
        let (inactive, mapped, shmem) = match version {
            CgroupVersion::V1 => ("total_inactive_file", "total_mapped_file", "total_shmem"),
            CgroupVersion::V2 => ("inactive_file", "file_mapped", "shmem"),
        };
        let told = |name| count_field(text, name).unwrap_or(0);
        Ok(Self {
            inactive_file_bytes: count_field(text, inactive)
                .ok_or(Reason::Malformed("a line \"inactive_file N\""))?,
            mapped_file_bytes: told(mapped).saturating_sub(told(shmem)),
            hierarchical_limit_bytes: count_field(text, "hierarchical_memory_limit").and_then(limit_of),
        })
    }
}

fn oom_kill_in(bytes: &[u8]) -> Result<u64, Reason> {
    count_field(text(bytes)?, "oom_kill").ok_or(Reason::Malformed("a line \"oom_kill N\""))
}

/// Every parser of this room on the same bytes; text and mounts apart at the first empty line.
#[cfg(fuzzing)]
pub(super) fn parse_all(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (own, mountinfo) = text.split_once("\n\n").unwrap_or((&text, ""));
    for version in [CgroupVersion::V1, CgroupVersion::V2] {
        let _ = Stat::parse(bytes, version);
        for mount in cgroup_mounts(mountinfo) {
            let places =
                group_of(own, version).and_then(|group| places_in(&mount, group)).unwrap_or_default();
            assert!(places.iter().all(|place| place.folder.starts_with(&mount.point)));
        }
    }
    let _ = (number_in(bytes), limit_in(bytes), oom_kill_in(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::MIB;
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
        CgroupReader::default().read(root, &mut Buffer::default()).map(|cgroups| cgroups.groups)
    }

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
                "inactive_file 1\nmapped_file 1\ntotal_inactive_file 3000\ntotal_mapped_file 900\ntotal_shmem 400\n",
            ),
            ("m/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
        ]);
        let groups = read(&root).unwrap();
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].path.as_str(), groups[0].room_bytes()), ("/a", Some(8500)));
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
    fn nonsense_in_a_group_leaves_the_group_out_and_the_others_in() {
        for (name, text) in [
            ("max", "lots"),
            ("current", "-4"),
            ("stat", "inactive_file ?"),
            ("high", ""),
            ("current", "1\0"),
        ] {
            let (folder, root) = tree(V2);
            fs::write(folder.path().join(format!("sys/fs/cgroup/outer/memory.{name}")), text).unwrap();
            let cgroups = CgroupReader::default().read(&root, &mut Buffer::default()).unwrap();
            assert_eq!(cgroups.groups.len(), 1, "{name} {text:?}");
            assert_eq!(cgroups.groups[0].path, "/outer/inner");
            assert!(cgroups.unavailable[0].path.ends_with(format!("outer/memory.{name}")), "{name} {text:?}");
        }
    }

    #[test]
    fn a_group_with_a_limit_and_a_missing_file_is_told_and_not_forgotten() {
        for name in ["max", "high", "stat"] {
            let (folder, root) = tree(V2);
            fs::remove_file(folder.path().join(format!("sys/fs/cgroup/outer/memory.{name}"))).unwrap();
            let cgroups = CgroupReader::default().read(&root, &mut Buffer::default()).unwrap();
            assert_eq!(cgroups.groups.len(), 1, "{name}");
            assert!(cgroups.unavailable[0].path.ends_with(format!("outer/memory.{name}")), "{name}");
        }
    }

    #[test]
    fn a_group_that_vanishes_between_two_readings_is_left_out() {
        let (folder, root) = tree(V2);
        let mut reader = CgroupReader::default();
        assert_eq!(reader.read(&root, &mut Buffer::default()).unwrap().groups.len(), 2);
        fs::write(folder.path().join("proc/self/cgroup"), "0::/outer\n").unwrap();
        fs::remove_dir_all(folder.path().join("sys/fs/cgroup/outer/inner")).unwrap();
        let Cgroups { groups, unavailable } = reader.read(&root, &mut Buffer::default()).unwrap();
        assert_eq!((groups.len(), unavailable.len()), (1, 0));
        assert_eq!(groups[0].path, "/outer");
    }

    #[test]
    fn without_a_hierarchy_the_reason_is_said() {
        let (_folder, root) = tree(&[("proc/self/cgroup", "0::/\n"), ("proc/self/mountinfo", "\n")]);
        assert!(read(&root).unwrap_err().to_string().contains("mounted hierarchy"));
        let (_folder, root) = tree(&[]);
        assert!(read(&root).unwrap_err().to_string().contains("/proc/self/cgroup is not there"));
    }
}
