//! How much of what is mapped is shared memory. The kernel counts mapped pages of files and of shared memory together, and
//! only the processes tell them apart.

use std::{
    fs,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{meminfo::MemInfo, mounts::Mounts, process::ProcessMemory, root::SystemRoot, text::field};
use crate::sync::lock;
use crate::units::MIB;

/// Less than this is not worth asking every process.
const NOT_WORTH_BYTES: u64 = 16 * MIB;

/// So long the last answer serves: asking a hundred processes takes a millisecond or two, which a monitor may not cost often.
const SERVES: Duration = Duration::from_secs(5);

/// What the processes said, and all the shared memory there was then.
#[derive(Debug, Clone, Copy)]
struct Asked {
    mapped_bytes: u64,
    shmem_bytes: u64,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// So much is mapped, in bytes.
    Mapped(u64),
    /// Some processes cannot be seen from here.
    NotAll,
    /// They cannot be asked now, for want of descriptors or of permission.
    Nothing,
}

/// The last answer, and when it was asked for last.
#[derive(Debug, Default)]
struct SharedPages {
    tried_at: Option<Instant>,
    answer: Option<Asked>,
}

static LAST: Mutex<SharedPages> = Mutex::new(SharedPages { tried_at: None, answer: None });

/// Notes in a reading of this machine how much shared memory is mapped at most, where that may be much less than there is
/// and every process can be asked.
pub(super) fn with_shared(mut memory: MemInfo, root: &SystemRoot) -> MemInfo {
    let shmem_bytes = memory.shmem_bytes.unwrap_or(0);
    let unsure_bytes = shmem_bytes.min(memory.mapped_bytes.unwrap_or(0));
    if unsure_bytes < NOT_WORTH_BYTES || !root.is_this_machine() {
        return memory;
    }
    let mut last = lock(&LAST);
    memory.mapped_shmem_bytes = last.at_most_bytes(Instant::now(), shmem_bytes, || ask(root));
    memory
}

impl SharedPages {
    /// What of so much shared memory is mapped at most. A try that fails is as dear as one that does not, so it is
    /// remembered too.
    fn at_most_bytes(&mut self, now: Instant, shmem_bytes: u64, ask: impl FnOnce() -> Said) -> Option<u64> {
        if self.tried_at.is_none_or(|at| now.duration_since(at) >= SERVES) {
            self.tried_at = Some(now);
            match ask() {
                Said::Mapped(mapped_bytes) => self.answer = Some(Asked { mapped_bytes, shmem_bytes }),
                Said::NotAll => self.answer = None,
                // The last answer tells more than none.
                Said::Nothing => {}
            }
        }
        self.answer.map(|asked| asked.at_most_bytes(shmem_bytes))
    }
}

impl Asked {
    /// What of shared memory is mapped now, at most: what has come since may be mapped.
    fn at_most_bytes(self, shmem_bytes: u64) -> u64 {
        let grown = shmem_bytes.saturating_sub(self.shmem_bytes);
        self.mapped_bytes.saturating_add(grown).min(shmem_bytes)
    }
}

/// Asks every process, where each can be seen, so that memory which nobody seen has mapped is mapped by nobody.
fn ask(root: &SystemRoot) -> Said {
    /// The inode of the first namespace of processes. Source: `PROC_PID_INIT_INO` of the kernel's `include/linux/proc_ns.h`.
    const FIRST: &str = "pid:[4026531836]";
    if !is_in(root, "pid", FIRST) {
        return Said::NotAll;
    }
    match Mounts::read(root) {
        Ok(mounts) if mounts.hides_processes && !is_shown_all(root) => Said::NotAll,
        Ok(_) => asked_of_processes(root).map_or(Said::Nothing, Said::Mapped),
        Err(_) => Said::Nothing,
    }
}

fn is_in(root: &SystemRoot, kind: &str, namespace: &str) -> bool {
    fs::read_link(root.path(format!("/proc/self/ns/{kind}"))).is_ok_and(|own| own.as_os_str() == namespace)
}

/// Whether a `/proc` that hides processes from others shows all of them to this one: it may look into every process.
/// Source: `has_pid_permissions` of the kernel's `fs/proc/base.c`.
fn is_shown_all(root: &SystemRoot) -> bool {
    /// The inode of the first namespace of users. Source: `PROC_USER_INIT_INO` of the kernel's `include/linux/proc_ns.h`.
    const FIRST: &str = "user:[4026531837]";
    /// `CAP_SYS_PTRACE`. Source: `capabilities(7)`.
    const MAY_LOOK: u64 = 1 << 19;
    let may_read = |status: String| {
        let mask = u64::from_str_radix(field(&status, "CapEff", ':')?.trim(), 16).ok()?;
        Some(mask & MAY_LOOK != 0)
    };
    is_in(root, "user", FIRST) && root.read_text("/proc/self/status").ok().and_then(may_read) == Some(true)
}

/// The shared memory that processes have mapped, by what each has resident of it: what several share counts for each. `None`
/// where one cannot be asked.
fn asked_of_processes(root: &SystemRoot) -> Option<u64> {
    let mut sum = 0_u64;
    let names = root.folders_in("/proc").ok()?;
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
        let asked = Asked { mapped_bytes, shmem_bytes: 100 << 10 };
        assert_eq!(asked.at_most_bytes(100 << 10), 43 << 10);
        assert_eq!(asked.at_most_bytes(120 << 10), 63 << 10);
        assert_eq!(asked.at_most_bytes(10 << 10), 10 << 10, "never more than there is");
    }

    #[test]
    fn a_copy_of_a_machine_is_not_asked() {
        let memory =
            MemInfo { mapped_bytes: Some(1 << 40), shmem_bytes: Some(1 << 40), ..MemInfo::default() };
        assert_eq!(with_shared(memory, &SystemRoot::at("/nowhere")).mapped_shmem_bytes, None);
    }

    #[test]
    fn a_try_that_fails_is_remembered_as_one_that_tells_and_the_last_answer_serves() {
        let mut shared = SharedPages::default();
        let start = Instant::now();
        let mut tries = 0;
        let mut ask = |after: Duration, said: Said| {
            shared.at_most_bytes(start + after, 100, || {
                tries += 1;
                said
            })
        };
        assert_eq!(ask(Duration::ZERO, Said::Nothing), None);
        assert_eq!(ask(SERVES / 2, Said::Mapped(7)), None, "not asked again so soon");
        assert_eq!(ask(SERVES, Said::Mapped(7)), Some(7));
        assert_eq!(ask(SERVES * 2, Said::Nothing), Some(7), "for want of descriptors the last answer serves");
        assert_eq!(ask(SERVES * 5 / 2, Said::Mapped(9)), Some(7));
        assert_eq!(ask(SERVES * 3, Said::NotAll), None, "of those that are hidden nothing is known");
        assert_eq!(tries, 4);
    }

    #[test]
    fn a_list_of_processes_that_cannot_be_read_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(asked_of_processes(&SystemRoot::at(folder.path())), None);
        fs::create_dir(folder.path().join("proc")).unwrap();
        assert_eq!(asked_of_processes(&SystemRoot::at(folder.path())), Some(0));
    }

    #[test]
    fn where_a_process_is_hidden_nobody_knows_what_all_have_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let root = SystemRoot::at(folder.path());
        let link = |kind: &str, to: &str| {
            let link = folder.path().join("proc/self/ns").join(kind);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(to, link).unwrap();
        };
        let write = |path: &str, text: &str| fs::write(folder.path().join("proc").join(path), text).unwrap();
        let mount = |options: &str| {
            write("self/mountinfo", &format!("22 27 0:21 / /proc rw - proc proc {options}\n"));
            ask(&root)
        };
        fs::create_dir_all(folder.path().join("proc/self/ns")).unwrap();
        fs::create_dir_all(folder.path().join("proc/7")).unwrap();
        write("7/status", "VmRSS:\t9 kB\nRssShmem:\t3 kB\n");
        assert_eq!(ask(&root), Said::NotAll, "the namespace is not known");
        link("pid", "pid:[4026531836]");
        assert_eq!(ask(&root), Said::Nothing, "what is mounted cannot be read now");
        for options in ["rw", "rw,hidepid=0", "rw,hidepid=off"] {
            assert_eq!(mount(options), Said::Mapped(3 << 10), "{options}");
        }
        let hiding = ["hidepid=1", "gid=9,hidepid=2", "hidepid=invisible", "subset=pid,hidepid=ptraceable"];
        for (namespace, capabilities, said) in [
            ("user:[4026531837]", "0000000000000000", Said::NotAll),
            ("user:[4026531837]", "000001ffffffffff", Said::Mapped(3 << 10)),
            ("user:[4026532001]", "000001ffffffffff", Said::NotAll),
        ] {
            link("user", namespace);
            write("self/status", &format!("Name:\tx\nCapEff:\t{capabilities}\n"));
            for options in hiding {
                assert_eq!(mount(&format!("rw,{options}")), said, "{options} {namespace} {capabilities}");
            }
        }
        link("pid", "pid:[4026532002]");
        assert_eq!(mount("rw"), Said::NotAll);
    }
}
