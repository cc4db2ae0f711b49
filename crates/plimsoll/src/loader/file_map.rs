//! A map of a file that is copied out of, never looked into.
//!
//! To touch a page beyond the end of a file that was cut off is SIGBUS. The kernel copies for us (`process_vm_readv(2)`, out of
//! this very process) and says that the page is bad.

// The kernel is told where the bytes are and where they go; each block says what is there.
#![allow(unsafe_code)]

use std::{fs::File, io};

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};

/// What the kernel maps at a time at most: to touch one page may map as many around it.
const AROUND_BYTES: usize = 2 << 20;

#[derive(Debug)]
pub(super) struct FileMap {
    map: Mmap,
}

impl FileMap {
    /// Maps the first `size_bytes` of a file. The kernel reads no more ahead than it is asked to.
    pub fn new(file: &File, size_bytes: u64) -> io::Result<Self> {
        let len = usize::try_from(size_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        // SAFETY: no reference to the mapped bytes is ever made, whatever becomes of the file: the kernel copies from there.
        let map = unsafe { MmapOptions::new().len(len).map(file) }?;
        map.advise(Advice::Random)?;
        Ok(Self { map })
    }

    /// Copies what lies at `offset_bytes`. `EFAULT` where the file does not reach that far any more.
    pub fn read(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let start = usize::try_from(offset_bytes).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buf.len()).filter(|end| *end <= self.map.len());
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut done = 0;
        while done < buf.len() {
            done += self.copy(buf.get_mut(done..).unwrap_or_default(), start + done)?;
        }
        self.forget(start, buf.len());
        Ok(())
    }

    fn copy(&self, buf: &mut [u8], start: usize) -> io::Result<usize> {
        let into = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        let from = libc::iovec {
            iov_base: self.map.as_ptr().wrapping_add(start).cast_mut().cast(),
            iov_len: buf.len(),
        };
        // SAFETY: `into` is all of `buf`, which is this call's alone. What `from` says is read by the kernel, which checks it.
        let count =
            unsafe { libc::process_vm_readv(libc::getpid(), &raw const into, 1, &raw const from, 1, 0) };
        match count {
            ..0 => Err(io::Error::last_os_error()),
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            // As many as fit in the buffer.
            count => Ok(count.unsigned_abs()),
        }
    }

    /// Takes what was copied out of this process, so that the page cache can be rid of it. There it stays.
    fn forget(&self, start: usize, len: usize) {
        let from = start / AROUND_BYTES * AROUND_BYTES;
        let until = (start + len).next_multiple_of(AROUND_BYTES).min(self.map.len());
        // SAFETY: the map is of a file and read only: pages that are dropped come back from there, and nobody looks at them.
        // A refusal leaves them resident.
        let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, from, until - from) };
    }
}
