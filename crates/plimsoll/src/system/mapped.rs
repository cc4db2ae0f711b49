//! How much of what is mapped is shared memory. The kernel counts mapped pages of files and of shared memory together, and
//! only the processes tell them apart.

use std::{
    fs,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{meminfo::MemInfo, process::ProcessMemory, root::SystemRoot};
use crate::units::MIB;

/// Less than this is not worth asking every process.
const NOT_WORTH_BYTES: u64 = 16 * MIB;

/// So long the last answer serves: asking a hundred processes takes a millisecond or two, which a monitor may not cost often.
const SERVES: Duration = Duration::from_secs(5);

/// What the processes said, and all the shared memory there was then.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    mapped_bytes: u64,
    shmem_bytes: u64,
}

static LAST: Mutex<Option<Asked>> = Mutex::new(None);

/// Notes in a reading of this machine how much shared memory is mapped at most, where that may be much less than there is
/// and every process can be asked.
pub(super) fn tell_shared(mut memory: MemInfo, root: &SystemRoot) -> MemInfo {
    let shmem_bytes = memory.shmem_bytes.unwrap_or(0);
    let unsure_bytes = shmem_bytes.min(memory.mapped_bytes.unwrap_or(0));
    if unsure_bytes < NOT_WORTH_BYTES || !root.is_this_machine() {
        return memory;
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|asked| asked.at.elapsed() >= SERVES) {
        let asked = sees_all_processes().then(|| asked_of_processes(root)).flatten();
        let now = asked.map(|mapped_bytes| Asked { at: Instant::now(), mapped_bytes, shmem_bytes });
        // Where they cannot be asked now, for want of descriptors, the last answer tells more than none.
        *last = now.or(*last);
    }
    memory.mapped_shmem_bytes = last.map(|asked| asked.at_most_bytes(shmem_bytes));
    memory
}

impl Asked {
    /// What of shared memory is mapped now, at most: what has come since may be mapped.
    fn at_most_bytes(self, shmem_bytes: u64) -> u64 {
        let grown = shmem_bytes.saturating_sub(self.shmem_bytes);
        self.mapped_bytes.saturating_add(grown).min(shmem_bytes)
    }
}

/// Whether no process is hidden from this one by a namespace, so that memory which nobody seen has mapped is mapped by nobody.
fn sees_all_processes() -> bool {
    /// The inode of the first namespace of processes. Source: `PROC_PID_INIT_INO` of the kernel's `include/linux/proc_ns.h`.
    const FIRST: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace.as_os_str() == FIRST)
}

/// The shared memory that processes have mapped, by what each has resident of it: what several share counts for each. `None`
/// where one cannot be asked.
fn asked_of_processes(root: &SystemRoot) -> Option<u64> {
    let mut sum = 0_u64;
    let names = root.names_in("/proc");
    let processes = names.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    for process in processes {
        match root.read(format!("/proc/{process}/status")) {
            // The kernel's own threads have no memory.
            Ok(status) => {
                let memory = ProcessMemory::parse(&status);
                sum = sum.saturating_add(memory.map_or(0, |memory| memory.shmem_bytes));
            }
            Err(ended) if ended.is_absent() => {}
            Err(_) => return None,
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_is_asked_and_what_came_since_may_be_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/1/status", "Name:\tinit\nVmRSS:\t9 kB\nRssShmem:\t3 kB\n");
        write("proc/2/status", "Name:\tkthreadd\n");
        write("proc/30/status", "Name:\tserver\nVmRSS:\t90 kB\nRssShmem:\t40 kB\n");
        write("proc/31/comm", "it has ended\n");
        write("proc/x30/status", "Name:\tnone\nVmRSS:\t90 kB\nRssShmem:\t40 kB\n");
        let mapped_bytes = asked_of_processes(&SystemRoot::at(folder.path())).unwrap();
        assert_eq!(mapped_bytes, 43 << 10);
        let asked = Asked { at: Instant::now(), mapped_bytes, shmem_bytes: 100 << 10 };
        assert_eq!(asked.at_most_bytes(100 << 10), 43 << 10);
        assert_eq!(asked.at_most_bytes(120 << 10), 63 << 10);
        assert_eq!(asked.at_most_bytes(10 << 10), 10 << 10, "never more than there is");
    }

    #[test]
    fn a_copy_of_a_machine_is_not_asked() {
        let memory =
            MemInfo { mapped_bytes: Some(1 << 40), shmem_bytes: Some(1 << 40), ..MemInfo::default() };
        assert_eq!(tell_shared(memory, &SystemRoot::at("/nowhere")).mapped_shmem_bytes, None);
    }
}
