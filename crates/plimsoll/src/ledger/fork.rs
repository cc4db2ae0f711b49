//! Whether this is still the process that it was.

// `MADV_WIPEONFORK` is none of memmap2's, and handlers of forks are none of the standard library's.
#![allow(unsafe_code)]

use std::sync::{
    Once,
    atomic::{AtomicU64, Ordering},
};

use memmap2::MmapMut;
use rustix::mm::{Advice, madvise};

/// How many forks lie between the first process that made a mark and this one, as far as the C library made them.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// A page that the kernel gives to a forked child empty. Source: `MADV_WIPEONFORK` of `madvise(2)`, Linux 4.14. Emulators take
/// the advice and do nothing, so that forks are counted, too; of those that bypass the C library the page alone tells.
///
/// To ask the kernel for the number of the process would cost a system call each time.
#[derive(Debug)]
pub(super) struct ForkMark {
    page: Option<MmapMut>,
    forks: u64,
}

impl ForkMark {
    pub(super) fn new() -> Self {
        static COUNTED: Once = Once::new();
        // SAFETY: the handler does nothing but add to a number. Where it cannot be registered, the page is left.
        COUNTED.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(count_fork));
        });
        let page = MmapMut::map_anon(1).ok().and_then(|mut page| {
            let (address, length) = (page.as_mut_ptr(), page.len());
            // SAFETY: the page is this map's, private and anonymous as the advice wants it; nothing is lost in this process.
            unsafe { madvise(address.cast(), length, Advice::LinuxWipeOnFork) }.ok()?;
            *page.first_mut()? = 1;
            Some(page)
        });
        Self { page, forks: FORKS.load(Ordering::Relaxed) }
    }

    /// Whether this process was forked from the one that made the mark.
    pub(super) fn is_in_child(&self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.forks
            || self.page.as_ref().is_some_and(|page| page.first() != Some(&1))
    }
}

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
