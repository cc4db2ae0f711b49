//! The machine's memory, read again and again: `/proc/meminfo`, and what stands for it where it is hidden.

use rustix::system::sysinfo;

use super::{
    fault::FileFault,
    mapped::with_shared,
    meminfo::{MemInfo, MemoryScope, StandIn},
    mounts::{MemInfoMount, Mounts},
    pages::HugePages,
    root::{LineBuffer, Probe, Reason, RootSource, SystemRoot, Unavailable},
};
use crate::units::MAX_BYTES;

const MEMINFO: &str = "/proc/meminfo";

/// Reads the memory of a machine, with its file kept open.
#[derive(Debug)]
pub(super) struct MemoryReader {
    root: SystemRoot,
    source: RootSource,
    /// What stood at its place when the file was opened.
    mount: Option<MemInfoMount>,
}

impl MemoryReader {
    pub(super) fn new(root: &SystemRoot) -> Self {
        Self { root: root.clone(), source: RootSource::new(root, MEMINFO), mount: None }
    }

    /// The memory now. Where `/proc/meminfo` does not tell it, what the kernel tells elsewhere [stands for
    /// it](MemInfo::stand_in).
    pub(super) fn read(&mut self, buffer: &mut LineBuffer) -> Probe<MemInfo> {
        self.read_and(buffer, |_| ())
    }

    /// The same, and shows the text that it comes from, if there is one.
    pub(super) fn read_and(&mut self, buffer: &mut LineBuffer, show: impl FnOnce(&[u8])) -> Probe<MemInfo> {
        let mount = match self.mount {
            Some(mount) => mount,
            None => *self.mount.insert(Mounts::read_if_there(&self.root)?.meminfo),
        };
        let scope = if mount == MemInfoMount::Lxcfs { MemoryScope::Container } else { MemoryScope::Machine };
        let read = self.source.read(buffer, |bytes| {
            show(bytes);
            MemInfo::parse_as(bytes, scope)
        });
        match read {
            Ok(memory) if scope == MemoryScope::Container => Ok(memory),
            Ok(memory) => {
                let fault = (mount == MemInfoMount::Other).then_some(FileFault::Foreign);
                Ok(MemInfo { fault, ..with_shared(memory, &self.root) })
            }
            Err(unavailable) => {
                // What is mounted may have changed.
                self.mount = None;
                let unavailable = explained(unavailable, mount);
                let fault = Some(FileFault::of(&unavailable.reason));
                stand_in(&self.root).map(|memory| MemInfo { fault, ..memory }).ok_or(unavailable)
            }
        }
    }
}

/// The cause, where the mounts tell it.
fn explained(unavailable: Unavailable, mount: MemInfoMount) -> Unavailable {
    let reason = match mount {
        MemInfoMount::SubsetPid if unavailable.is_absent() => Reason::SubsetPid,
        MemInfoMount::Other => Reason::Covered,
        _ => return unavailable,
    };
    Unavailable { reason, ..unavailable }
}

/// What tells of the memory besides `/proc/meminfo`. A copy of a machine has no system to ask.
fn stand_in(root: &SystemRoot) -> Option<MemInfo> {
    let memory = of_nodes(root).or_else(|| root.is_this_machine().then(of_system_call).flatten())?;
    // What was set aside is no ordinary memory: where nobody can tell how much it is, nobody knows what else there is.
    let pools = match HugePages::read(root) {
        Err(unavailable) if !unavailable.is_absent() => return None,
        pools => pools.unwrap_or_default(),
    };
    let set_aside = pools.iter().map(|pool| pool.total_count.saturating_mul(pool.page_bytes)).sum();
    let huge_pages_bytes = Some(set_aside).filter(|bytes| (1..=memory.total_bytes).contains(bytes));
    Some(MemInfo { huge_pages_bytes, ..memory })
}

/// The sum of the nodes' memory. Source: the kernel's `ABI/stable/sysfs-devices-node`.
fn of_nodes(root: &SystemRoot) -> Option<MemInfo> {
    const FOLDER: &str = "/sys/devices/system/node";
    let mut sum: Option<MemInfo> = None;
    let is_node = |name: &String| name.strip_prefix("node").is_some_and(|id| id.parse::<u32>().is_ok());
    for name in root.folders_in(FOLDER).ok()?.iter().filter(|name| is_node(name)) {
        let text = root.read_text(format!("{FOLDER}/{name}/meminfo")).ok()?;
        let without_node = |line: &str| line.split(' ').skip(2).collect::<Vec<_>>().join(" ");
        let lines: Vec<_> = text.lines().map(without_node).collect();
        let Ok(node) = MemInfo::parse(lines.join("\n").as_bytes()) else { continue };
        let both = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        sum = Some(sum.map_or(node, |sum| MemInfo {
            total_bytes: sum.total_bytes.saturating_add(node.total_bytes),
            available_bytes: sum.available_bytes.saturating_add(node.available_bytes),
            free_bytes: both(sum.free_bytes, node.free_bytes),
            shmem_bytes: both(sum.shmem_bytes, node.shmem_bytes),
            mapped_bytes: both(sum.mapped_bytes, node.mapped_bytes),
            file_cache_bytes: both(sum.file_cache_bytes, node.file_cache_bytes),
            unreclaimable_slab_bytes: both(sum.unreclaimable_slab_bytes, node.unreclaimable_slab_bytes),
            ..MemInfo::default()
        }));
    }
    let sum = sum.filter(|sum| sum.total_bytes <= MAX_BYTES)?;
    Some(MemInfo { stand_in: Some(StandIn::Nodes), ..sum })
}

/// Source: `sysinfo(2)`.
fn of_system_call() -> Option<MemInfo> {
    let told = sysinfo();
    let bytes = |units: u64| units.checked_mul(told.mem_unit.into()).filter(|bytes| *bytes <= MAX_BYTES);
    let total_bytes = bytes(told.totalram).filter(|total| *total > 0)?;
    let free_bytes = bytes(told.freeram)?.min(total_bytes);
    Some(MemInfo {
        total_bytes,
        available_bytes: free_bytes,
        free_bytes: Some(free_bytes),
        shmem_bytes: bytes(told.sharedram),
        swap_total_bytes: bytes(told.totalswap),
        swap_free_bytes: bytes(told.freeswap),
        stand_in: Some(StandIn::SystemCall),
        ..MemInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{system::machine::doubt_of, units::KIB};
    use std::fs;

    fn read(files: &[(&str, &str)]) -> Probe<MemInfo> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        MemoryReader::new(&SystemRoot::at(folder.path())).read(&mut LineBuffer::default())
    }

    const SUBSET: (&str, &str) =
        ("proc/self/mountinfo", "40 30 0:50 / /proc rw,nosuid - proc proc rw,subset=pid\n");

    #[test]
    fn the_file_of_lxcfs_tells_of_a_container() {
        let text =
            "MemTotal: 4000 kB\nMemFree: 900 kB\nMemAvailable: 1000 kB\nCmaTotal: 999 kB\nCmaFree: 998 kB\n";
        let lxcfs = "41 20 0:45 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw,user_id=0\n";
        let own = read(&[("proc/meminfo", text), ("proc/self/mountinfo", lxcfs)]).unwrap();
        assert_eq!((own.scope, own.allocatable_bytes()), (MemoryScope::Container, 1000 * KIB));
        let host = read(&[("proc/meminfo", text)]).unwrap();
        assert_eq!((host.scope, host.allocatable_bytes()), (MemoryScope::Machine, 2 * KIB));
    }

    #[test]
    fn what_hides_the_file_is_said_with_what_shows_it() {
        let hidden = read(&[SUBSET]).unwrap_err();
        assert!(hidden.to_string().contains("ProcSubset=all"), "{hidden}");
        assert!(hidden.remedy().unwrap().contains("ProcSubset=all"));
        let covered = "41 20 0:45 /x /proc/meminfo ro - tmpfs none ro\n";
        let covered = read(&[("proc/meminfo", ""), ("proc/self/mountinfo", covered)]).unwrap_err();
        assert!(covered.to_string().contains("mounted over it") && covered.remedy().is_some(), "{covered}");
        let missing = read(&[]).unwrap_err();
        assert!(missing.is_absent() && missing.remedy().is_none());
        let odd = read(&[("proc/meminfo", "nonsense")]).unwrap_err();
        assert!(matches!(odd.reason, Reason::Malformed(_)), "{odd}");
    }

    #[test]
    fn nodes_stand_for_a_file_that_is_hidden() {
        let node = |id: u32| {
            format!(
                "Node {id} MemTotal: 1000 kB\nNode {id} MemFree: 300 kB\nNode {id} Inactive(file): 100 kB\n"
            )
        };
        let memory = read(&[
            SUBSET,
            ("sys/devices/system/node/node0/meminfo", &node(0)),
            ("sys/devices/system/node/node1/meminfo", &node(1)),
            ("sys/devices/system/node/has_cpu/meminfo", "nonsense"),
            ("sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages", "2\n"),
            ("sys/kernel/mm/hugepages/hugepages-64kB/free_hugepages", "2\n"),
            ("sys/kernel/mm/hugepages/hugepages-64kB/resv_hugepages", "0\n"),
        ])
        .unwrap();
        assert_eq!((memory.total_bytes, memory.available_bytes), (2000 * KIB, 800 * KIB));
        assert_eq!((memory.stand_in, memory.ordinary_bytes()), (Some(StandIn::Nodes), 1872 * KIB));
        let doubt = doubt_of(&memory).unwrap();
        let said = doubt.to_string();
        assert!(said.contains("subset=pid") && said.contains("are taken from /sys/devices"), "{said}");
        assert!(doubt.remedy().unwrap().contains("ProcSubset=all"), "{doubt:?}");
    }

    #[test]
    fn nothing_stands_for_the_file_where_nobody_can_tell_what_was_set_aside() {
        let node =
            ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 1000 kB\nNode 0 MemFree: 300 kB\n");
        assert!(read(&[SUBSET, node]).is_ok());
        let odd = ("sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages", "many\n");
        assert!(read(&[SUBSET, node, odd]).is_err());
    }

    #[test]
    fn the_system_call_tells_what_the_file_does() {
        let told = of_system_call().unwrap();
        let file = MemoryReader::new(&SystemRoot::default()).read(&mut LineBuffer::default()).unwrap();
        if file.scope == MemoryScope::Machine {
            assert_eq!(told.total_bytes, file.total_bytes);
        }
        assert!(told.available_bytes <= told.total_bytes && told.stand_in == Some(StandIn::SystemCall));
    }

    #[test]
    fn what_stands_for_the_file_is_told_with_what_is_the_matter_with_it_and_a_remedy_for_that() {
        const TMPFS: &str = "41 20 0:45 /x /proc/meminfo ro - tmpfs none ro\n";
        let node = ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 9 kB\nNode 0 MemFree: 3 kB\n");
        for (mountinfo, meminfo, cause, remedy) in [
            (TMPFS, Some(""), "hidden by something", Some("mounted over it")),
            ("\n", None, "is not there", Some("Mount /proc")),
            ("\n", Some("nonsense"), "does not hold a line \"MemTotal", None),
            (SUBSET.1, None, "subset=pid", Some("ProcSubset=all")),
        ] {
            let mut files = vec![node, ("proc/self/mountinfo", mountinfo)];
            files.extend(meminfo.map(|text| ("proc/meminfo", text)));
            let doubt = doubt_of(&read(&files).unwrap()).unwrap();
            let said = doubt.to_string();
            assert!(said.contains(cause) && said.contains("are taken from /sys/devices"), "{said}");
            let found = doubt.remedy();
            assert_eq!(found.is_some(), remedy.is_some(), "{found:?}");
            assert!(remedy.is_none_or(|words| found.unwrap().contains(words)), "{found:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_the_kernels_is_believed_and_that_is_told() {
        let text = "MemTotal: 4000 kB\nMemAvailable: 1000 kB\n";
        let doubt = |mounts: &str, text: &str| {
            doubt_of(&read(&[("proc/meminfo", text), ("proc/self/mountinfo", mounts)]).unwrap())
        };
        for mounts in [
            "41 20 0:45 /copy /proc/meminfo ro - ext4 /dev/sda1 rw\n",
            "41 20 0:45 /stat /proc/meminfo ro - proc proc rw\n",
            "22 27 0:21 / /proc rw - tmpfs none rw\n",
        ] {
            let foreign = doubt(mounts, text).unwrap();
            assert!(foreign.to_string().contains("not the kernel's"), "{foreign}");
            assert!(foreign.remedy().unwrap().contains("mounted over it"));
            let odd = doubt(mounts, "MemTotal: 4000 kB\nMemFree: 1000 kB\n").unwrap().to_string();
            assert!(odd.contains("not the kernel's") && odd.contains("MemAvailable is missing"), "{odd}");
        }
        assert_eq!(doubt("41 20 0:21 /meminfo /proc/meminfo ro - proc proc rw\n", text), None);
        let lxcfs = "41 20 0:45 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n";
        let odd = doubt(lxcfs, "MemTotal: 40 kB\nMemFree: 10 kB\nMemAvailable: 90 kB\n").unwrap().to_string();
        assert!(odd.contains("lxcfs tells") && odd.contains("MemAvailable is missing"), "{odd}");
    }
}
