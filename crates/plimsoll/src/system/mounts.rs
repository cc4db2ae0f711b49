//! Where the control groups are mounted: `/proc/self/mountinfo`, and this process's group: `/proc/self/cgroup`.

use std::path::PathBuf;

use super::cgroup::CgroupVersion;

/// A mounted hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CgroupMount {
    pub(super) version: CgroupVersion,
    /// The group that the mount shows at its top.
    pub(super) root: String,
    /// Where it is mounted.
    pub(super) point: PathBuf,
}

/// The hierarchies that can limit memory: version 1 with its memory controller, and version 2.
///
/// Source of the layout: `proc_pid_mountinfo(5)`: id, parent, device, root, mount point, options, optional fields,
/// `-`, type, source, super options.
pub(super) fn cgroup_mounts(mountinfo: &str) -> Vec<CgroupMount> {
    mountinfo.lines().filter_map(cgroup_mount).collect()
}

fn cgroup_mount(line: &str) -> Option<CgroupMount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (unescape(mount.next()?), unescape(mount.next()?));
    let mut filesystem = filesystem.split(' ');
    let version = match filesystem.next()? {
        "cgroup2" => CgroupVersion::V2,
        "cgroup" if filesystem.nth(1)?.split(',').any(|option| option == "memory") => CgroupVersion::V1,
        _ => return None,
    };
    let is_whole = root.starts_with('/') && point.starts_with('/');
    is_whole.then(|| CgroupMount { version, root, point: PathBuf::from(point) })
}

/// Blank, tab, line feed and backslash are written in octal: `\040`.
fn unescape(field: &str) -> String {
    const ESCAPES: [(&str, &str); 4] = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    ESCAPES.iter().fold(field.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// The group of a process in the hierarchy of that version, by the text of `/proc/PID/cgroup`.
///
/// Version 1 is the line that names the memory controller; version 2 is the line `0::PATH`.
pub(super) fn group_of(text: &str, version: CgroupVersion) -> Option<&str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let found = lines.find(|(controllers, _)| match version {
        CgroupVersion::V1 => controllers.split(',').any(|name| name == "memory"),
        CgroupVersion::V2 => controllers.is_empty(),
    });
    found.map(|(_, path)| path).filter(|path| path.starts_with('/'))
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
        let mounts = cgroup_mounts(HYBRID);
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
    fn the_group_is_read_from_the_line_of_its_hierarchy() {
        let text = "4:cpu,memory:/a/b\n3:cpu:/x\n0::/c:d\n";
        assert_eq!(group_of(text, CgroupVersion::V1), Some("/a/b"));
        assert_eq!(group_of(text, CgroupVersion::V2), Some("/c:d"));
        assert_eq!(group_of("1:cpu:/a\n", CgroupVersion::V2), None);
        assert_eq!(group_of("0::relative\nnonsense", CgroupVersion::V2), None);
    }
}
