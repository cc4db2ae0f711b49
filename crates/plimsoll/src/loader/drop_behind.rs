//! The page cache of a file, rid of what a stream read and of nothing else.
//!
//! Pages are dropped a window at a time: behind single reads the kernel still has the newest pages on their way into its lists
//! and leaves them. What a window held before is looked up a few windows ahead of the reads, before the kernel's own reading
//! ahead gets there: marks that earlier reads left in the cache set it off, whatever it was told.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    ops::Range,
    os::unix::fs::MetadataExt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, Weak},
};

use crate::{
    sync::lock,
    system::{cached_runs, drop_range},
    units::MIB,
};

/// What is dropped at a time. Measured: windows under 2 MiB leave pages behind.
const WINDOW_BYTES: u64 = 8 * MIB;

/// Windows that are looked up ahead of a read.
const WINDOWS_AHEAD: u64 = 3;

/// The device of a file and its number there.
type FileId = (u64, u64);

/// The windows of each file that streams of this process drop behind them: what one of them has read, another does not take for
/// somebody else's.
static FILES: LazyLock<Mutex<HashMap<FileId, Weak<Mutex<CacheWindows>>>>> = LazyLock::new(Mutex::default);

/// One stream's part in the windows of a file.
#[derive(Debug)]
pub(super) struct DropBehind {
    file_id: Option<FileId>,
    windows: Arc<Mutex<CacheWindows>>,
    reader: u64,
}

/// The windows of a file that streams read in, or are about to.
#[derive(Debug, Default)]
struct CacheWindows {
    windows: BTreeMap<u64, CacheWindow>,
    /// The window of the read that began last, by stream.
    newest: HashMap<u64, u64>,
    next_reader: u64,
}

#[derive(Debug)]
struct CacheWindow {
    /// What was cached before, in order; `None` where that is not told, so that nothing is dropped.
    before: Option<Vec<Range<u64>>>,
    reads: usize,
}

fn windows_of(range: &Range<u64>) -> Range<u64> {
    range.start / WINDOW_BYTES..range.end.div_ceil(WINDOW_BYTES)
}

impl DropBehind {
    /// The part of one more stream of the file.
    pub fn of(file: &File) -> Self {
        let file_id = file.metadata().ok().map(|file| (file.dev(), file.ino()));
        let windows = file_id.map_or_else(Arc::default, |file_id| {
            let mut files = lock(&FILES);
            files.get(&file_id).and_then(Weak::upgrade).unwrap_or_else(|| {
                let windows = Arc::default();
                files.insert(file_id, Arc::downgrade(&windows));
                windows
            })
        });
        let reader = {
            let mut windows = lock(&windows);
            windows.next_reader += 1;
            windows.next_reader
        };
        Self { file_id, windows, reader }
    }

    fn windows(&self) -> MutexGuard<'_, CacheWindows> {
        lock(&self.windows)
    }

    /// A read of `range` is about to begin.
    pub fn begin(&self, file: &File, range: &Range<u64>) {
        let indexes = windows_of(range);
        let mut windows = self.windows();
        windows.newest.insert(self.reader, indexes.start);
        for index in indexes.start..indexes.end + WINDOWS_AHEAD {
            let window = windows.windows.entry(index).or_insert_with(|| {
                let bytes = index * WINDOW_BYTES..(index + 1) * WINDOW_BYTES;
                CacheWindow { before: cached_runs(file, bytes).ok(), reads: 0 }
            });
            window.reads += usize::from(index < indexes.end);
        }
    }

    /// The read of `range` has ended: drops the windows that no stream is at any more.
    pub fn end(&self, file: &File, range: &Range<u64>) {
        let mut windows = self.windows();
        for index in windows_of(range) {
            if let Some(window) = windows.windows.get_mut(&index) {
                window.reads -= 1;
            }
        }
        windows.drop_left(file);
    }

    /// No more reads of this stream will begin.
    pub fn finish(&self, file: &File) {
        let mut windows = self.windows();
        windows.newest.remove(&self.reader);
        windows.drop_left(file);
    }
}

impl Drop for DropBehind {
    fn drop(&mut self) {
        let Some(file_id) = self.file_id else { return };
        let mut files = lock(&FILES);
        // Under the lock that others join by.
        if Arc::strong_count(&self.windows) == 1 {
            files.remove(&file_id);
        }
    }
}

impl CacheWindows {
    /// Drops what no stream is at, or about to be; under the lock, so that a window that is read anew is looked up after it.
    /// A refusal leaves pages cached, and harms nobody.
    fn drop_left(&mut self, file: &File) {
        let newest: Vec<u64> = self.newest.values().copied().collect();
        let left = self.windows.extract_if(.., |index, window| {
            window.reads == 0
                && !newest.iter().any(|newest| (*newest..=newest + WINDOWS_AHEAD).contains(index))
        });
        for range in left.flat_map(|(index, window)| window.droppable(index)) {
            let _ = drop_range(file, range);
        }
    }
}

impl CacheWindow {
    /// All of the window but what was cached before.
    fn droppable(self, index: u64) -> Vec<Range<u64>> {
        let (mut start, end) = (index * WINDOW_BYTES, (index + 1) * WINDOW_BYTES);
        let Some(before) = self.before else { return Vec::new() };
        let mut ranges = Vec::new();
        for run in before {
            ranges.push(start..run.start.max(start));
            start = run.end.max(start);
        }
        ranges.push(start..end.max(start));
        ranges.retain(|range| !range.is_empty());
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_window_is_dropped_but_what_it_held_before() {
        let window = |before| CacheWindow { before, reads: 0 }.droppable(1);
        let (start, end) = (WINDOW_BYTES, 2 * WINDOW_BYTES);
        let whole = || std::iter::once(start..end).collect();
        let all: Vec<_> = whole();
        assert_eq!(window(Some(vec![])), all);
        assert_eq!(window(Some(whole())), vec![]);
        let two = vec![start + 4096..start + 8192, end - 4096..end];
        assert_eq!(window(Some(two)), vec![start..start + 4096, start + 8192..end - 4096]);
        assert_eq!(window(None), vec![]);
    }
}
