//! How much of a file is cached.

use std::{
    fs::File,
    io,
    ops::Range,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use gguf_file::open_file;
use memmap2::MmapOptions;
use rustix::{
    fs::{Access, AtFlags, CWD, accessat, fstat, fstatfs},
    param::page_size,
    process::geteuid,
};

use super::calls::{self, PageCounts};
use crate::{
    error::{Error, Result},
    units::MIB,
};

/// What is mapped at once to ask about it.
const WINDOW_BYTES: u64 = 256 * MIB;

/// File systems whose files are those of another one, where the cached pages are, too. cachestat(2) counts none of them there,
/// mincore(2) does. Sources: `OVERLAYFS_SUPER_MAGIC` and `FUSE_SUPER_MAGIC` of the kernel's `include/uapi/linux/magic.h`; of FUSE
/// only files that are passed through.
const STACKED: [i64; 2] = [0x794c_7630, 0x6573_5546];

/// File systems that lie in memory. Sources: `TMPFS_MAGIC`, `RAMFS_MAGIC` and `HUGETLBFS_MAGIC` of the same file.
const IN_MEMORY: [i64; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];

/// Who told what is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageCacheSource {
    /// `cachestat(2)`, of Linux 6.5 and newer.
    Cachestat,
    /// `mincore(2)` of a map that is never touched.
    Mincore,
}

names!(PageCacheSource { Cachestat => "cachestat", Mincore => "mincore" });

/// What of a range of a file is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedPages {
    /// Cached, in bytes: whole pages, but no more than the range has in the file.
    pub cached_bytes: u64,
    /// Of those, not yet written to the disk and so not to be dropped; `None` where that is not told.
    pub dirty_bytes: Option<u64>,
    /// Of those, being written; `None` where that is not told.
    pub writeback_bytes: Option<u64>,
    /// Who told it.
    pub source: PageCacheSource,
}

/// What of a file is cached, or why that is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCache {
    /// The file.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// What of it is cached, in bytes.
    pub cached_bytes: Option<u64>,
    /// Of that, not yet written to the disk.
    pub dirty_bytes: Option<u64>,
    /// Of that, being written.
    pub writeback_bytes: Option<u64>,
    /// Whether the file lies in memory (tmpfs): its pages are no cache but the file itself, and are never dropped.
    pub in_memory: bool,
    /// Who told it.
    pub source: Option<PageCacheSource>,
    /// Why it is not told, where it is not.
    pub reason: Option<String>,
}

/// How much of a file is cached. Nothing of the file is read.
///
/// Only who owns the file or may write to it is told; others get a [`reason`](PageCache::reason).
///
/// # Errors
///
/// [`Error::Io`] when it cannot be opened or is no regular file.
pub fn page_cache(path: impl AsRef<Path>) -> Result<PageCache> {
    let path = path.as_ref();
    let file = opened(path)?;
    of_file(path, &file)
}

/// Opens a regular file for reading, without waiting.
pub(super) fn opened(path: &Path) -> Result<File> {
    open_file(path).map_err(|error| match error {
        gguf_file::Error::Io { source, .. } => io_error(path, "open", source),
        other => io_error(path, "open", io::Error::new(io::ErrorKind::InvalidInput, other)),
    })
}

pub(super) fn io_error(path: &Path, call: &'static str, source: io::Error) -> Error {
    Error::Io { path: path.to_owned(), tensor: None, offset_bytes: None, call, source }
}

/// The same of a file that is open.
pub(super) fn of_file(path: &Path, file: &File) -> Result<PageCache> {
    let size_bytes = size_of(file).map_err(|source| io_error(path, "fstat", source))?;
    let told = cached_pages(file, 0..size_bytes);
    let pages = told.as_ref().ok();
    Ok(PageCache {
        path: path.to_owned(),
        size_bytes,
        cached_bytes: pages.map(|pages| pages.cached_bytes),
        dirty_bytes: pages.and_then(|pages| pages.dirty_bytes),
        writeback_bytes: pages.and_then(|pages| pages.writeback_bytes),
        in_memory: is_in_memory(file),
        source: pages.map(|pages| pages.source),
        reason: told.err().map(|error| error.to_string()),
    })
}

/// How much of a range of an open file is cached. Pages that lie only partly in the range count as far as they do. What of the
/// range is behind the end of the file is not there and not cached.
///
/// # Errors
///
/// Kind [`PermissionDenied`](io::ErrorKind::PermissionDenied) where the kernel does not tell this process: it neither owns the
/// file nor may write to it. Another error of the system where the file cannot be asked about, as on a file system that maps
/// no files.
pub fn cached_pages(file: &File, range: Range<u64>) -> io::Result<CachedPages> {
    let Some(range) = within(file, range)? else {
        let (none, source) = (Some(0), PageCacheSource::Cachestat);
        return Ok(CachedPages { cached_bytes: 0, dirty_bytes: none, writeback_bytes: none, source });
    };
    let size_bytes = range.end - range.start;
    let in_range = |pages: u64| pages.saturating_mul(page_bytes()).min(size_bytes);
    if let Some(counts) = counted(file, &range) {
        return Ok(CachedPages {
            cached_bytes: in_range(counts.cached),
            dirty_bytes: Some(in_range(counts.dirty)),
            writeback_bytes: Some(in_range(counts.writeback)),
            source: PageCacheSource::Cachestat,
        });
    }
    let mut cached = 0;
    let mut is_whole = true;
    for_each_page(file, &range, |_, is_cached| {
        is_whole &= is_cached;
        cached += u64::from(is_cached);
    })?;
    expect_told(file, is_whole)?;
    Ok(CachedPages {
        cached_bytes: in_range(cached),
        dirty_bytes: None,
        writeback_bytes: None,
        source: PageCacheSource::Mincore,
    })
}

/// What of a range lies in the file; `None` if nothing does.
pub(super) fn within(file: &File, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
    let end = range.end.min(size_of(file)?);
    Ok((range.start < end).then_some(range.start..end))
}

fn size_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

pub(super) fn page_bytes() -> u64 {
    page_size() as u64
}

/// How many pages a range touches.
pub(super) fn page_count(range: &Range<u64>) -> u64 {
    range.end.div_ceil(page_bytes()) - range.start / page_bytes()
}

/// What cachestat(2) says of a range that is not empty; `None` where it says nothing, or nothing that is true.
pub(super) fn counted(file: &File, range: &Range<u64>) -> Option<PageCounts> {
    if is_on(file, &STACKED) {
        return None;
    }
    calls::cachestat(file, range.start, range.end - range.start).ok()
}

/// Tells of each page of a range whether it is in memory, in order, with what of it lies in the range. Nothing is read.
pub(super) fn for_each_page(
    file: &File,
    range: &Range<u64>,
    mut each: impl FnMut(Range<u64>, bool),
) -> io::Result<()> {
    let mut start = range.start / page_bytes() * page_bytes();
    let mut pages = Vec::new();
    while start < range.end {
        let length = (range.end - start).min(WINDOW_BYTES);
        let map = MmapOptions::new().offset(start).len(length as usize).map_raw_read_only(file)?;
        pages.resize(length.div_ceil(page_bytes()) as usize, 0);
        calls::mincore(&map, &mut pages)?;
        for (page, at) in pages.iter().zip((start..).step_by(page_size())) {
            each(at.max(range.start)..(at + page_bytes()).min(range.end), page & 1 == 1);
        }
        start += length;
    }
    Ok(())
}

/// mincore(2) calls every page cached, to who may not know. One page that is not tells that it was true.
pub(super) fn expect_told(file: &File, is_whole: bool) -> io::Result<()> {
    if !is_whole || may_know(file) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the kernel tells only who owns the file or may write to it what of it is cached",
    ))
}

/// Whether mincore(2) tells this process the truth. Source: `can_do_mincore` of the kernel's `mm/mincore.c`.
fn may_know(file: &File) -> bool {
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    fstat(file).is_ok_and(|stat| stat.st_uid == geteuid().as_raw())
        || accessat(CWD, opened, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// Whether a file lies on one of these file systems.
fn is_on(file: &File, magics: &[i64]) -> bool {
    fstatfs(file).is_ok_and(|system| magics.contains(&system.f_type))
}

/// Whether a file lies in memory.
pub(super) fn is_in_memory(file: &File) -> bool {
    is_on(file, &IN_MEMORY)
}
