//! Giving cached pages back.

use std::{
    fs::File,
    io,
    num::NonZeroU64,
    ops::Range,
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise, fdatasync};

use super::counts::{PageCache, PageCacheSource, io_error, is_in_memory, of_file, opened};
use crate::error::Result;

/// What dropping a file's pages has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedPages {
    /// The file.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// What of it was cached before, in bytes; `None` where that is not told.
    pub cached_before_bytes: Option<u64>,
    /// What came back, in bytes; `None` where it is not told.
    pub dropped_bytes: Option<u64>,
    /// What is cached still, in bytes: pages that a process has mapped, or that were read again meanwhile. `None` where it is not
    /// told.
    pub cached_bytes: Option<u64>,
    /// Whether the file lies in memory (tmpfs), where nothing can be dropped.
    pub in_memory: bool,
    /// Who told it.
    pub source: Option<PageCacheSource>,
    /// Why it is not told how much came back, where it is not. The pages were dropped all the same.
    pub reason: Option<String>,
}

/// Drops the cached pages of a range: `posix_fadvise(2)` with `POSIX_FADV_DONTNEED`.
///
/// Only pages that lie wholly in the range go; the last one of the file does, when the range reaches to the file's end. What is
/// dirty, mapped or being read stays. The kernel keeps its pages in larger pieces, which go as a whole or not at all: ranges below
/// 2 MiB may leave much behind. No permission is needed but to read the file, and on tmpfs nothing happens.
///
/// # Errors
///
/// An error of the system; none is known of an open regular file.
pub fn drop_range(file: &File, range: Range<u64>) -> io::Result<()> {
    // To the kernel no length means all that follows.
    let Some(length) = range.end.checked_sub(range.start).and_then(NonZeroU64::new) else { return Ok(()) };
    // A file's offsets are signed.
    let most = i64::MAX.unsigned_abs();
    if range.start >= most {
        return Ok(());
    }
    let length = NonZeroU64::new(length.get().min(most - range.start)).unwrap_or(NonZeroU64::MIN);
    Ok(fadvise(file, range.start, Some(length), Advice::DontNeed)?)
}

/// Drops all of a file that is cached and that no process has mapped. What is dirty is written to the disk first.
///
/// No permission is needed but to read the file; how much came back is told to who owns it or may write to it.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) when the file cannot be opened or is no regular file, and when what is dirty cannot be written.
pub fn drop_page_cache(path: impl AsRef<Path>) -> Result<DroppedPages> {
    let path = path.as_ref();
    let file = opened(path)?;
    let before = of_file(path, &file)?;
    if is_in_memory(&file) {
        return Ok(DroppedPages::between(&before, before.clone()));
    }
    if before.dirty_bytes.is_none_or(|bytes| bytes > 0)
        || before.writeback_bytes.is_none_or(|bytes| bytes > 0)
    {
        // A file that was opened for reading alone is written, too.
        fdatasync(&file).map_err(|errno| io_error(path, "fdatasync", errno.into()))?;
    }
    fadvise(&file, 0, None, Advice::DontNeed)
        .map_err(|errno| io_error(path, "posix_fadvise", errno.into()))?;
    Ok(DroppedPages::between(&before, of_file(path, &file)?))
}

impl DroppedPages {
    fn between(before: &PageCache, after: PageCache) -> Self {
        let dropped = before.cached_bytes.zip(after.cached_bytes);
        Self {
            path: after.path,
            size_bytes: after.size_bytes,
            cached_before_bytes: before.cached_bytes,
            dropped_bytes: dropped.map(|(before, after)| before.saturating_sub(after)),
            cached_bytes: after.cached_bytes,
            in_memory: after.in_memory,
            source: after.source,
            reason: after.reason.or_else(|| before.reason.clone()),
        }
    }
}
