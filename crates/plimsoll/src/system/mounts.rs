//! What is mounted, as far as memory is concerned: `/proc/self/mountinfo`; and the groups of a process: `/proc/PID/cgroup`.

use std::path::PathBuf;

use super::{
    cgroup::CgroupVersion,
    root::{Probe, SystemRoot},
};

/// A mounted hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CgroupMount {
    pub(super) version: CgroupVersion,
    /// The group that the mount shows at its top.
    pub(super) root: String,
    /// Where it is mounted.
    pub(super) point: PathBuf,
}

/// What stands at the place of `/proc/meminfo`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum MemInfoMount {
    /// The kernel's own file.
    #[default]
    Kernel,
    /// No file: `/proc` shows processes alone.
    SubsetPid,
    /// The file of lxcfs, which tells of the container.
    Lxcfs,
    /// Something else.
    Other,
}

/// The mounts that tell of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mounts {
    /// The hierarchies that can limit memory: version 1 with its memory controller, and version 2. One that another
    /// mount lies over cannot be reached and is not among them.
    pub(super) cgroups: Vec<CgroupMount>,
    pub(super) meminfo: MemInfoMount,
    /// Whether `/proc` hides the processes of other users, or what is in them: `hidepid=`.
    pub(super) hides_processes: bool,
}

impl Mounts {
    /// Reads the table line by line: it has no bound. The mounts are those of the process that reads; another's files lie
    /// under them too.
    pub(super) fn read(root: &SystemRoot) -> Probe<Self> {
        let mut mounts = Self::default();
        root.for_each_line("/proc/self/mountinfo", |line| mounts.enter(&String::from_utf8_lossy(line)))?;
        Ok(mounts)
    }

    /// As [`read`](Self::read); a table that is not there has nothing in it.
    pub(super) fn read_if_there(root: &SystemRoot) -> Probe<Self> {
        match Self::read(root) {
            Err(unavailable) if unavailable.is_absent() => Ok(Self::default()),
            read => read,
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn parse(mountinfo: &str) -> Self {
        let mut mounts = Self::default();
        mountinfo.lines().for_each(|line| mounts.enter(line));
        mounts
    }

    /// Source of the layout: `proc_pid_mountinfo(5)`: id, parent, device, root, mount point, options, optional fields,
    /// `-`, type, source, super options.
    fn enter(&mut self, line: &str) {
        let Some((mount, filesystem)) = line.split_once(" - ") else { return };
        let mut mount = mount.split(' ').skip(3);
        let (Some(root), Some(point)) = (mount.next().map(unescape), mount.next().map(unescape)) else {
            return;
        };
        let mut filesystem = filesystem.split(' ');
        let Some(kind) = filesystem.next() else { return };
        let has_option = |wanted: &str, mut fields: std::str::Split<'_, char>| {
            fields.nth(1).is_some_and(|options| options.split(',').any(|option| option == wanted))
        };
        // Of two mounts at one place the later is what one finds there.
        self.cgroups.retain(|other| other.point.as_os_str() != point.as_str());
        match point.as_str() {
            "/proc" => {
                self.meminfo = match kind {
                    "proc" if has_option("subset=pid", filesystem.clone()) => MemInfoMount::SubsetPid,
                    "proc" => MemInfoMount::Kernel,
                    _ => MemInfoMount::Other,
                };
                let options = filesystem.clone().nth(1).unwrap_or_default();
                let hidden = options.split(',').find_map(|option| option.strip_prefix("hidepid="));
                self.hides_processes = hidden.is_some_and(|how| how != "0" && how != "off");
            }
            "/proc/meminfo" if kind == "fuse.lxcfs" => self.meminfo = MemInfoMount::Lxcfs,
            "/proc/meminfo" if kind == "proc" && root == "/meminfo" => self.meminfo = MemInfoMount::Kernel,
            "/proc/meminfo" => self.meminfo = MemInfoMount::Other,
            _ => {}
        }
        let version = match kind {
            "cgroup2" => CgroupVersion::V2,
            "cgroup" if has_option("memory", filesystem) => CgroupVersion::V1,
            _ => return,
        };
        if root.starts_with('/') && point.starts_with('/') {
            self.cgroups.push(CgroupMount { version, root, point: PathBuf::from(point) });
        }
    }
}

/// Blank, tab, line feed, backslash and whatever else the kernel escapes is written in octal: `\040`.
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, escaped)) = rest.split_once('\\') {
        text.push_str(before);
        let code =
            escaped.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        text.push(code.map_or('\\', char::from));
        rest = if code.is_some() { escaped.get(3..).unwrap_or_default() } else { escaped };
    }
    text.push_str(rest);
    text
}

/// The group of a process in the hierarchy of that version, by the text of `/proc/PID/cgroup`.
///
/// Version 1 is the line that names the memory controller; version 2 is the line `0::PATH`.
pub(super) fn group_of(text: &str, version: CgroupVersion) -> Option<&str> {
    let mut lines = text.lines().filter_map(parts_of);
    let found = lines.find(|(controllers, _)| match version {
        CgroupVersion::V1 => controllers.split(',').any(|name| name == "memory"),
        CgroupVersion::V2 => controllers.is_empty(),
    });
    found.map(|(_, path)| path).filter(|path| path.starts_with('/'))
}

/// Whether a text has a line as `/proc/PID/cgroup` has them.
pub(super) fn names_groups(text: &str) -> bool {
    text.lines().any(|line| parts_of(line).is_some_and(|(_, path)| path.starts_with('/')))
}

/// The controllers of a hierarchy, and the path of the group in it.
fn parts_of(line: &str) -> Option<(&str, &str)> {
    let (id, rest) = line.split_once(':')?;
    id.parse::<u32>().ok()?;
    rest.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "25 30 0:23 / /sys rw - sysfs sysfs rw\n\
        33 32 0:29 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n\
        40 32 0:36 /docker/abc /sys/fs/cgroup/memory rw,nosuid shared:9 master:1 - cgroup cgroup rw,memory\n\
        41 32 0:37 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
        42 32 0:38 / /odd\\040place rw - cgroup2 none rw\n\
        nonsense\n - cgroup\n1 2 3 - cgroup2 x\n41 31 0:38  /lost rw - cgroup2 cgroup2 rw\n41 31 0:38 / lost rw - cgroup2 c rw\n";

    #[test]
    fn both_versions_are_found_among_other_mounts_and_nonsense() {
        let mounts = Mounts::parse(HYBRID).cgroups;
        let seen: Vec<_> =
            mounts.iter().map(|m| (m.version, m.root.as_str(), m.point.to_str().unwrap())).collect();
        assert_eq!(
            seen,
            [
                (CgroupVersion::V2, "/", "/sys/fs/cgroup/unified"),
                (CgroupVersion::V1, "/docker/abc", "/sys/fs/cgroup/memory"),
                (CgroupVersion::V2, "/", "/odd place"),
            ]
        );
    }

    #[test]
    fn escapes_are_octal_and_what_is_none_stays() {
        for (escaped, plain) in [
            ("/a\\040b\\011c", "/a b\tc"),
            ("/a\\134040", "/a\\040"),
            ("\\043", "#"),
            ("\\04", "\\04"),
            ("\\999é\\", "\\999é\\"),
            ("é\\0éé", "é\\0éé"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }

    #[test]
    fn of_two_mounts_at_one_place_the_later_counts() {
        let own = "41 30 0:41 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let hosts = "42 41 0:41 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let mounts = Mounts::parse(&format!("{own}{hosts}")).cgroups;
        assert_eq!((mounts.len(), mounts[0].root.as_str()), (1, "/../.."));
        let covered = format!("{own}43 41 0:50 / /sys/fs/cgroup ro - tmpfs none ro\n");
        assert!(Mounts::parse(&covered).cgroups.is_empty());
    }

    #[test]
    fn what_stands_at_the_place_of_meminfo_is_known() {
        let proc = "22 27 0:21 / /proc rw - proc proc rw\n";
        let meminfo = |more: &str| Mounts::parse(&format!("{proc}{more}")).meminfo;
        assert_eq!(meminfo(""), MemInfoMount::Kernel);
        assert_eq!(
            meminfo("23 22 0:22 / /proc rw - proc proc rw,hidepid=2,subset=pid\n"),
            MemInfoMount::SubsetPid
        );
        let lxcfs = "41 20 0:45 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw,allow_other\n";
        assert_eq!(meminfo(lxcfs), MemInfoMount::Lxcfs);
        assert_eq!(meminfo("41 20 0:45 /null /proc/meminfo rw - devtmpfs none rw\n"), MemInfoMount::Other);
        assert_eq!(
            meminfo("41 20 0:45 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw\n"),
            MemInfoMount::Kernel
        );
    }

    #[test]
    fn a_table_of_any_length_is_read_by_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("proc/self")).unwrap();
        let overlay = format!(
            "99 31 0:99 / /v/{} rw - overlay overlay rw,lowerdir={}\n",
            "x".repeat(80),
            "/l:".repeat(2000)
        );
        let endless =
            format!("98 31 0:98 / /long rw - overlay overlay rw,lowerdir={}\n", "y".repeat(300 << 10));
        let first = "31 20 0:26 / /first rw - cgroup2 cgroup2 rw\n";
        let last = "32 20 0:26 / /last rw - cgroup2 cgroup2 rw";
        let text = format!("{first}{}{endless}{last}", overlay.repeat(500));
        assert!(text.len() > 3 << 20);
        std::fs::write(folder.path().join("proc/self/mountinfo"), text).unwrap();
        let mounts = Mounts::read(&SystemRoot::at(folder.path())).unwrap().cgroups;
        let points: Vec<_> = mounts.iter().map(|mount| mount.point.to_str().unwrap()).collect();
        assert_eq!(points, ["/first", "/last"]);
    }

    #[test]
    fn the_group_is_read_from_the_line_of_its_hierarchy() {
        let text = "4:cpu,memory:/a/b\n3:cpu:/x\n0::/c:d\n";
        assert_eq!(group_of(text, CgroupVersion::V1), Some("/a/b"));
        assert_eq!(group_of(text, CgroupVersion::V2), Some("/c:d"));
        assert_eq!(group_of("1:cpu:/a\n", CgroupVersion::V2), None);
        assert_eq!(group_of("0::relative\nnonsense", CgroupVersion::V2), None);
        assert!(names_groups(text) && !names_groups("0::relative\nnonsense\nx:y:/z\n"));
    }
}
