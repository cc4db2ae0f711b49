//! What this process holds, from `/proc/self/status`.

use std::{fs, io, os::unix::fs::FileExt, path::Path, sync::OnceLock};

use rustix::{
    param::page_size,
    process::{Pid, getpid},
};

use super::{root::Reason, text::kib_field};
use crate::error::{Error, Result};

/// Resident memory of a process, in bytes.
///
/// Source: `/proc/PID/status`, see `proc_pid_status(5)`. `rss_bytes` is the sum of the three parts. On kernels
/// before 4.5 the parts are not reported and read 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Resident now (`VmRSS`).
    pub rss_bytes: u64,
    /// The most that was ever resident (`VmHWM`).
    pub peak_rss_bytes: u64,
    /// Heap, stacks and other anonymous memory (`RssAnon`).
    pub anonymous_bytes: u64,
    /// Pages of mapped files (`RssFile`): the kernel can drop the clean ones.
    pub file_bytes: u64,
    /// Shared memory, memfd and tmpfs pages (`RssShmem`).
    pub shmem_bytes: u64,
}

/// Reads the memory of this process.
///
/// # Errors
///
/// [`Error::Io`] where `/proc` is not mounted or does not hold the figures.
pub fn process_memory() -> Result<ProcessMemory> {
    process_memory_at(Path::new("/proc/self"))
}

/// Reads the memory of the process whose `/proc/PID` folder is given.
///
/// # Errors
///
/// [`Error::Io`] when `status` cannot be read or lacks `VmRSS` (a kernel thread, a zombie).
pub fn process_memory_at(proc_pid: &Path) -> Result<ProcessMemory> {
    let path = proc_pid.join("status");
    let parsed = fs::read(&path).and_then(|bytes| {
        ProcessMemory::parse(&bytes).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "expected a line \"VmRSS: N kB\", found none")
        })
    });
    parsed.map_err(|source| Error::Io { path, tensor: None, offset_bytes: None, call: "read", source })
}

impl ProcessMemory {
    /// Parses the text of `/proc/PID/status`.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] without a line `VmRSS`: a kernel thread, or a process that has ended.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        // The process's name, which is the first line, may hold any bytes.
        parse_status(&String::from_utf8_lossy(bytes)).ok_or(Reason::Malformed("a line \"VmRSS: N kB\""))
    }

    /// The same with what `/proc/PID/statm` says now, which is quicker to read: resident and anonymous memory are fresh,
    /// and of the pages shared with files and with others those of files grow or shrink.
    pub(super) fn with_resident(self, statm: &[u8], page_bytes: u64) -> Result<Self, Reason> {
        let (rss_bytes, shared_bytes) =
            parse_statm(statm, page_bytes).ok_or(Reason::Malformed("\"size resident shared\""))?;
        let shmem_bytes = self.shmem_bytes.min(shared_bytes);
        Ok(Self {
            rss_bytes,
            peak_rss_bytes: self.peak_rss_bytes.max(rss_bytes),
            anonymous_bytes: rss_bytes.saturating_sub(shared_bytes),
            file_bytes: shared_bytes - shmem_bytes,
            shmem_bytes,
        })
    }
}

/// What this process has resident now, in bytes: the quick way, by the second field of `/proc/self/statm`.
pub(crate) fn resident_bytes() -> Option<u64> {
    /// The file, and the process that opened it: after a fork it goes on telling of that one.
    static STATM: OnceLock<(fs::File, Pid)> = OnceLock::new();
    let open = || fs::File::open("/proc/self/statm").ok();
    let process = getpid();
    // A process that has no descriptor left now may have one the next time.
    let (statm, owner) = if let Some(opened) = STATM.get() {
        opened
    } else {
        let opened = open()?;
        STATM.get_or_init(|| (opened, process))
    };
    let own = if *owner == process { None } else { Some(open()?) };
    let mut buffer = [0; 128];
    let length = own.as_ref().unwrap_or(statm).read_at(&mut buffer, 0).ok()?;
    parse_statm(buffer.get(..length)?, page_size() as u64).map(|(resident, _)| resident)
}

/// What another process has resident now, in bytes; none where there is no such process, or it is hidden.
#[cfg(not(loom))] // For the ledger.
pub(crate) fn resident_bytes_of(pid: u32) -> Option<u64> {
    let text = fs::read(format!("/proc/{pid}/statm")).ok()?;
    parse_statm(&text, page_size() as u64).map(|(resident, _)| resident)
}

/// Bytes resident, and bytes of them shared with files or other processes. Source: `proc_pid_statm(5)`.
fn parse_statm(bytes: &[u8], page_bytes: u64) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut sizes =
        text.split_ascii_whitespace().skip(1).map(|pages| pages.parse::<u64>().ok()?.checked_mul(page_bytes));
    let (resident, shared) = (sizes.next()??, sizes.next()??);
    Some((resident, shared.min(resident)))
}

fn parse_status(text: &str) -> Option<ProcessMemory> {
    let field = |name: &str| kib_field(text, name);
    let rss_bytes = field("VmRSS")?;
    Some(ProcessMemory {
        rss_bytes,
        peak_rss_bytes: field("VmHWM").unwrap_or(rss_bytes).max(rss_bytes),
        anonymous_bytes: field("RssAnon").unwrap_or(0),
        file_bytes: field("RssFile").unwrap_or(0),
        shmem_bytes: field("RssShmem").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::KIB;

    const STATUS: &str = "Name:\tnode\nVmPeak:\t  900 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n\
                          RssAnon:\t  120 kB\nRssFile:\t   70 kB\nRssShmem:\t   10 kB\n";

    #[test]
    fn the_parts_are_read_apart() {
        let memory = parse_status(STATUS).unwrap();
        assert_eq!(memory.rss_bytes, 200 * KIB);
        assert_eq!(memory.peak_rss_bytes, 300 * KIB);
        assert_eq!(memory.anonymous_bytes + memory.file_bytes + memory.shmem_bytes, memory.rss_bytes);
    }

    #[test]
    fn what_is_resident_now_leaves_the_parts_a_sum() {
        let before = parse_status(STATUS).unwrap();
        let now = before.with_resident(b"900 80 5 1 0 9 0\n", 4096).unwrap();
        assert_eq!((now.rss_bytes, now.anonymous_bytes), (320 * KIB, 300 * KIB));
        assert_eq!((now.shmem_bytes, now.file_bytes), (10 * KIB, 10 * KIB));
        assert_eq!(now.peak_rss_bytes, 320 * KIB);
        for text in ["", "1", "1 2", "1 x 3", "1 99999999999999999999 3", "\u{ff}"] {
            assert!(before.with_resident(text.as_bytes(), 4096).is_err(), "{text:?}");
        }
        let odd = before.with_resident(b"1 2 3", 4096).unwrap();
        assert_eq!((odd.rss_bytes, odd.anonymous_bytes), (8192, 0), "more shared than resident");
    }

    #[test]
    fn nonsense_is_no_figure() {
        for text in
            ["", "VmRSS:", "VmRSS: -1 kB", "VmRSS: 12", "VmRSS: 99999999999999999999 kB", "XVmRSS: 1 kB"]
        {
            assert_eq!(parse_status(text), None, "{text:?}");
        }
    }

    #[test]
    fn this_process_is_resident() {
        let memory = process_memory().unwrap();
        assert!(memory.rss_bytes > 0 && memory.peak_rss_bytes >= memory.rss_bytes);
    }

    #[test]
    fn both_ways_tell_the_same_to_a_few_pages() {
        let (quick, full) = (resident_bytes().unwrap(), process_memory().unwrap().rss_bytes);
        assert!(quick.abs_diff(full) < 8 << 20, "{quick} {full}");
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_it() {
        let error = process_memory_at(Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/status"), "{error}");
    }
}
