//! Whether this process runs in a container of Docker's kind, for which advice is another.

use super::root::SystemRoot;

/// What container engines leave in the container: Docker, then Podman and its kin.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Whether the machine under that root is seen from a container. Kubernetes leaves no mark, but the root is an overlay.
pub(super) fn in_container(root: &SystemRoot) -> bool {
    MARKS.iter().any(|mark| root.exists(mark)) || has_overlay_root(root)
}

/// Source: `proc_pid_mountinfo(5)`; the fifth field is where a file system is mounted, and its type follows ` - `.
fn has_overlay_root(root: &SystemRoot) -> bool {
    let mut found = false;
    let read = root.for_each_line("/proc/self/mountinfo", |line| {
        let line = String::from_utf8_lossy(line);
        let (mount, source) = line.split_once(" - ").unwrap_or_default();
        found |= mount.split(' ').nth(4) == Some("/") && source.starts_with("overlay ");
    });
    found && read.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn engines_marks_and_an_overlay_under_everything_tell() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        assert!(!in_container(&root));
        let mountinfo = |text: &str| {
            fs::create_dir_all(folder.path().join("proc/self")).unwrap();
            fs::write(folder.path().join("proc/self/mountinfo"), text).unwrap();
            in_container(&root)
        };
        assert!(!mountinfo(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n9 1 0:9 / /var/lib/x rw - overlay overlay rw\n"
        ));
        assert!(mountinfo("1 0 0:9 / / rw,relatime - overlay overlay rw,lowerdir=/a\n"));
        assert!(!mountinfo("\n"));
        fs::write(folder.path().join(".dockerenv"), "").unwrap();
        assert!(in_container(&root));
    }
}
