//! One process at a time: boards have crashed when two used the NPU at once.
//!
//! The lock is on the device node itself: it is there wherever the device is, needs no folder to write to, whoever may
//! use the device may take it and nobody else, and the kernel drops it with the process.

use std::{fs, os::fd::BorrowedFd, process};

use rustix::{
    fs::{FlockOperation, flock, fstat, major, minor},
    io::Errno,
};

use super::{drm::DRIVER, errno::meaning};
use crate::error::{Error, Result};

/// Locks the node as long as its descriptor is open.
pub(super) fn lock(node: BorrowedFd<'_>) -> Result<()> {
    match flock(node, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(Error::busy("the NPU", reason(holder(node)))),
        Err(errno) => {
            Err(Error::device(DRIVER, Some(errno.raw_os_error()), "flock", meaning("flock", errno)))
        }
    }
}

/// Unlocks the node before its descriptor is closed, of which a process that is being spawned may have a copy still.
pub(super) fn unlock(node: BorrowedFd<'_>) {
    // Where it fails, closing does it.
    let _ = flock(node, FlockOperation::Unlock);
}

fn reason(holder: Option<u32>) -> String {
    let user = match holder {
        Some(pid) if pid == process::id() => {
            return "this process has opened it already; share that back end".to_owned();
        }
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({}) uses it", name.trim_end())
        }
        None => "a process that cannot be seen from here uses it".to_owned(),
    };
    user + ", and two at once have crashed boards; end that process, or use dma-heap, which can be shared"
}

/// Who holds the lock, by the kernel's list: `1: FLOCK  ADVISORY  WRITE <pid> <major>:<minor>:<inode> 0 EOF`.
fn holder(node: BorrowedFd<'_>) -> Option<u32> {
    let stat = fstat(node).ok()?;
    let file = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    fs::read_to_string("/proc/locks").ok()?.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, place, ..] if *place == file => pid.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_second_holder_hears_who_the_first_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        lock(file.as_fd()).unwrap();
        let again = fs::File::open(file.path()).unwrap();
        let refusal = lock(again.as_fd()).unwrap_err();
        assert_eq!(refusal.code(), "ERR_BUSY");
        assert!(refusal.to_string().contains("this process has opened it already"), "{refusal}");
        let copy = file.as_file().try_clone().unwrap();
        unlock(file.as_fd());
        lock(again.as_fd()).unwrap();
        drop(copy);
    }

    #[test]
    fn another_process_is_named() {
        let parent = std::os::unix::process::parent_id();
        let said = reason(Some(parent));
        assert!(said.contains(&format!("process {parent} (")) && said.contains("end that process"), "{said}");
        assert!(reason(None).contains("cannot be seen"));
    }
}
