// Lists of runs, of which there may be one.
#![allow(clippy::single_range_in_vec_init)]

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{Advice, CWD, FileType, Mode, fadvise, mknodat};
use tempfile::TempDir;

use super::{
    counts::{cached_pages, counted, is_in_memory, page_bytes, page_cache, page_count},
    dropping::{drop_page_cache, drop_range},
    runs::{cached_runs, runs_by_halves, runs_by_pages},
};
use crate::{error::Error, units::MIB};

/// A file on a disk that is written and not cached.
struct OnDisk {
    file: File,
    path: PathBuf,
    _folder: TempDir,
}

/// `None` where there is no disk: in a guest that lives in memory there is nothing to drop.
fn on_disk(size_bytes: u64) -> Option<OnDisk> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, vec![7; size_bytes as usize]).unwrap();
    let file = File::open(&path).unwrap();
    if is_in_memory(&file) {
        return None;
    }
    file.sync_all().unwrap();
    drop_page_cache(&path).unwrap();
    // Each page is read alone, and kept alone.
    fadvise(&file, 0, None, Advice::Random).unwrap();
    assert_eq!(cached_runs(&file, 0..size_bytes).unwrap(), []);
    Some(OnDisk { file, path, _folder: folder })
}

impl OnDisk {
    fn read_page(&self, page: u64) {
        self.file.read_at(&mut [0], page * page_bytes()).unwrap();
    }

    fn runs(&self) -> Vec<Range<u64>> {
        cached_runs(&self.file, 0..u64::MAX).unwrap()
    }

    fn map(&self) -> MmapRaw {
        MmapOptions::new().populate().map_raw_read_only(&self.file).unwrap()
    }
}

fn pages(range: Range<u64>) -> Range<u64> {
    range.start * page_bytes()..range.end * page_bytes()
}

#[test]
fn the_pages_that_were_read_are_told_and_no_others_by_whichever_way() {
    let size = 64 * page_bytes() + 100;
    let Some(disk) = on_disk(size) else { return };
    for page in [3, 4, 10, 63, 64] {
        disk.read_page(page);
    }
    let expected = [pages(3..5), pages(10..11), pages(63..64).start..size];
    let all = 0..size;
    assert_eq!(disk.runs(), expected);
    assert_eq!(runs_by_pages(&disk.file, &all).unwrap(), expected);
    if let Some(counts) = counted(&disk.file, &all) {
        assert_eq!(counts.cached, 5);
        assert_eq!(runs_by_halves(&disk.file, &all, counts.cached).unwrap(), expected);
    }
    let told = page_cache(&disk.path).unwrap();
    assert_eq!((told.size_bytes, told.cached_bytes), (size, Some(5 * page_bytes())), "{told:?}");
    assert_eq!((told.in_memory, told.reason), (false, None));
    assert_eq!(disk.runs(), expected, "asking reads nothing");
}

#[test]
fn a_range_that_begins_and_ends_within_pages_is_told_as_it_is() {
    let Some(disk) = on_disk(64 * page_bytes()) else { return };
    for page in [3, 4, 10] {
        disk.read_page(page);
    }
    let part = 3 * page_bytes() + 7..10 * page_bytes() + 9;
    let expected = [part.start..5 * page_bytes(), 10 * page_bytes()..part.end];
    assert_eq!(cached_runs(&disk.file, part.clone()).unwrap(), expected);
    assert_eq!(runs_by_pages(&disk.file, &part).unwrap(), expected);
    if let Some(counts) = counted(&disk.file, &part) {
        assert_eq!(runs_by_halves(&disk.file, &part, counts.cached).unwrap(), expected);
    }
    let within = 3 * page_bytes() + 7..3 * page_bytes() + 8;
    assert_eq!(cached_runs(&disk.file, within.clone()).unwrap(), std::slice::from_ref(&within));
    assert_eq!(cached_pages(&disk.file, within).unwrap().cached_bytes, 1);
    assert_eq!(cached_runs(&disk.file, pages(5..10)).unwrap(), []);
}

#[test]
fn windows_of_a_long_range_are_told_as_one() {
    let Some(disk) = on_disk(page_bytes()) else { return };
    // Holes take no room; the windows by which a file is mapped are smaller than that.
    let size = 600 * MIB + 5;
    fs::OpenOptions::new().write(true).open(&disk.path).unwrap().set_len(size).unwrap();
    let around = 256 * MIB / page_bytes();
    for page in [0, around - 1, around, size / page_bytes()] {
        disk.read_page(page);
    }
    let expected = [pages(0..1), pages(around - 1..around + 1), size / page_bytes() * page_bytes()..size];
    assert_eq!(disk.runs(), expected);
    assert_eq!(runs_by_pages(&disk.file, &(0..size)).unwrap(), expected);
}

#[test]
fn an_empty_file_an_empty_range_and_one_behind_the_end_hold_nothing() {
    let Some(empty) = on_disk(0) else { return };
    assert_eq!(empty.runs(), []);
    let told = page_cache(&empty.path).unwrap();
    assert_eq!((told.size_bytes, told.cached_bytes, told.dirty_bytes), (0, Some(0), Some(0)));
    let dropped = drop_page_cache(&empty.path).unwrap();
    assert_eq!((dropped.dropped_bytes, dropped.cached_bytes), (Some(0), Some(0)));
    let disk = on_disk(page_bytes()).unwrap();
    disk.read_page(0);
    #[allow(clippy::reversed_empty_ranges)] // As a caller may have got it wrong.
    for range in [0..0, 5..3, page_bytes()..u64::MAX, u64::MAX..u64::MAX] {
        assert_eq!(cached_runs(&disk.file, range.clone()).unwrap(), [], "{range:?}");
        drop_range(&disk.file, range.clone()).unwrap();
        assert_eq!(disk.runs(), [0..page_bytes()], "{range:?}");
    }
}

#[test]
fn a_file_that_was_cut_off_is_told_as_far_as_it_is_there() {
    let Some(disk) = on_disk(64 * page_bytes()) else { return };
    for page in [1, 40] {
        disk.read_page(page);
    }
    fs::OpenOptions::new().write(true).open(&disk.path).unwrap().set_len(page_bytes() + 10).unwrap();
    assert_eq!(disk.runs(), [page_bytes()..page_bytes() + 10]);
    // As for one that is cut off between looking at its size and at its pages.
    assert_eq!(runs_by_pages(&disk.file, &(0..64 * page_bytes())).unwrap(), [page_bytes()..2 * page_bytes()]);
    drop_range(&disk.file, 0..64 * page_bytes()).unwrap();
}

#[test]
fn only_pages_that_lie_wholly_in_the_range_are_dropped_and_the_last_of_the_file() {
    let size = 16 * page_bytes() + 100;
    let Some(disk) = on_disk(size) else { return };
    (0..=16).for_each(|page| disk.read_page(page));
    assert_eq!(disk.runs(), [0..size]);
    drop_range(&disk.file, page_bytes() + 1..4 * page_bytes() - 1).unwrap();
    assert_eq!(disk.runs(), [pages(0..2), 3 * page_bytes()..size]);
    drop_range(&disk.file, 15 * page_bytes()..size).unwrap();
    assert_eq!(disk.runs(), [pages(0..2), pages(3..15)]);
}

#[test]
fn all_that_nobody_has_mapped_comes_back_also_of_what_was_just_written() {
    let Some(disk) = on_disk(8 * MIB) else { return };
    fs::write(&disk.path, vec![9; 8 << 20]).unwrap();
    let dropped = drop_page_cache(&disk.path).unwrap();
    assert_eq!(dropped.cached_before_bytes, Some(8 * MIB));
    let back = dropped.dropped_bytes.unwrap();
    assert!(back * 100 >= 95 * 8 * MIB, "{dropped:?}");
    assert_eq!(back + dropped.cached_bytes.unwrap(), 8 * MIB);
    assert!(fs::read(&disk.path).unwrap().iter().all(|byte| *byte == 9), "the data is untouched");
}

#[test]
fn what_somebody_has_mapped_stays() {
    let Some(disk) = on_disk(4 * MIB) else { return };
    let map = disk.map();
    if disk.runs().is_empty() {
        return eprintln!("skipped: an emulator does not fill maps");
    }
    let dropped = drop_page_cache(&disk.path).unwrap();
    assert_eq!((dropped.dropped_bytes, dropped.cached_bytes), (Some(0), Some(4 * MIB)));
    drop(map);
    let dropped = drop_page_cache(&disk.path).unwrap();
    assert_eq!((dropped.dropped_bytes, dropped.cached_bytes), (Some(4 * MIB), Some(0)));
}

#[test]
fn a_file_in_memory_is_no_cache_and_stays() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
    let path = folder.path().join("model.gguf");
    fs::write(&path, vec![7; 1 << 20]).unwrap();
    let told = page_cache(&path).unwrap();
    if !told.in_memory {
        return; // No tmpfs is mounted there.
    }
    assert_eq!(told.cached_bytes, Some(MIB));
    let dropped = drop_page_cache(&path).unwrap();
    assert_eq!((dropped.dropped_bytes, dropped.cached_bytes, dropped.in_memory), (Some(0), Some(MIB), true));
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
    for path in [fifo.as_path(), folder.path(), "/dev/null".as_ref(), &folder.path().join("missing")] {
        for error in [page_cache(path).unwrap_err(), drop_page_cache(path).unwrap_err()] {
            let Error::Io { call, path: named, .. } = &error else { panic!("{error}") };
            assert_eq!((*call, named.as_path()), ("open", path));
        }
    }
    assert!(page_cache(&fifo).unwrap_err().to_string().contains("a named pipe"));
}

#[test]
fn pages_are_counted_as_a_range_touches_them() {
    let page = page_bytes();
    for (range, count) in [(0..1, 1), (0..page, 1), (page - 1..page + 1, 2), (1..3 * page, 3)] {
        assert_eq!(page_count(&range), count, "{range:?}");
    }
}

#[test]
fn a_pipe_has_no_pages_to_tell_of() {
    let (reader, _writer) = io::pipe().unwrap();
    let file = File::from(std::os::fd::OwnedFd::from(reader));
    assert_eq!(cached_runs(&file, 0..u64::MAX).unwrap(), []);
}
