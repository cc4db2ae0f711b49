//! Locks of a byte that end with the process that holds them.
//!
//! Source: `F_OFD_SETLK` and `F_OFD_GETLK` of `fcntl(2)`, "Open file description locks". They belong to the open file, not to
//! the process: a descriptor that is inherited or duplicated keeps them, and the kernel drops them with the last of those,
//! after `SIGKILL` too.

// No safe interface has these locks: rustix knows only those of a process, which any close of the file drops.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Which lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// With others that do the same.
    Shared,
    /// Alone.
    Exclusive,
}

/// Takes a lock of one byte without waiting; whether it was free. What the same open file holds is replaced.
pub(crate) fn try_lock(file: BorrowedFd<'_>, at_byte: u64, lock: Lock) -> io::Result<bool> {
    let kind = match lock {
        Lock::Shared => libc::F_RDLCK,
        Lock::Exclusive => libc::F_WRLCK,
    };
    match call(file, libc::F_OFD_SETLK, &mut request(kind, at_byte, 1)) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets a lock go.
pub(crate) fn unlock(file: BorrowedFd<'_>, at_byte: u64) -> io::Result<()> {
    call(file, libc::F_OFD_SETLK, &mut request(libc::F_UNLCK, at_byte, 1))
}

/// Whether another open file holds a lock of any of these bytes.
pub(crate) fn is_locked(file: BorrowedFd<'_>, at_byte: u64, byte_count: u64) -> io::Result<bool> {
    let mut asked = request(libc::F_WRLCK, at_byte, byte_count);
    call(file, libc::F_OFD_GETLK, &mut asked)?;
    Ok(i32::from(asked.l_type) != libc::F_UNLCK)
}

fn request(kind: i32, at_byte: u64, byte_count: u64) -> libc::flock {
    // SAFETY: a struct of integers, for which all bits zero are values; musl has padding in it that no literal can name.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind as _;
    request.l_whence = libc::SEEK_SET as _;
    request.l_start = at_byte.cast_signed() as _;
    request.l_len = byte_count.cast_signed() as _;
    request
}

fn call(file: BorrowedFd<'_>, command: i32, request: &mut libc::flock) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open while it is borrowed, and the struct is the one that these commands read and write.
        let outcome = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(request)) };
        if outcome == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsFd};

    fn opened(path: &std::path::Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_lock_is_seen_by_other_open_files_until_its_own_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (one, other) = (opened(file.path()), opened(file.path()));
        let (byte, next) = (1 << 40, (1 << 40) + 1);
        assert!(try_lock(one.as_fd(), byte, Lock::Exclusive).unwrap());
        assert!(!try_lock(other.as_fd(), byte, Lock::Exclusive).unwrap());
        assert!(!try_lock(other.as_fd(), byte, Lock::Shared).unwrap());
        assert!(is_locked(other.as_fd(), byte, 1).unwrap() && !is_locked(other.as_fd(), next, 1).unwrap());
        assert!(!is_locked(one.as_fd(), byte, 1).unwrap(), "its own is none");
        // A duplicate keeps it; closing another descriptor of the file does not drop it.
        let twin = one.try_clone().unwrap();
        drop(one);
        drop(opened(file.path()));
        assert!(is_locked(other.as_fd(), byte, 1).unwrap());
        drop(twin);
        assert!(try_lock(other.as_fd(), byte, Lock::Shared).unwrap());
        unlock(other.as_fd(), byte).unwrap();
    }
}
