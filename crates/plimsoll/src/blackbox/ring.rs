//! The file of a black box: parts of one run each, and each part a ring of blocks.
//!
//! A run takes the part of one that ended cleanly, else a new one, else the oldest, of those that nobody writes to. So what was
//! written before a crash is still there after the next start, and several processes have their part each in one file. Who
//! writes holds a lock on a byte behind all parts, which the kernel drops with the process.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::OFlags;

use super::{
    block::{BLOCK_BYTES, BlockStamp, MomentKind, decoded, encoded},
    place::io_error,
};
use crate::{
    error::{Error, Result},
    ledger::{Lock, is_locked, try_lock, unlock},
};

/// Blocks of a part: a minute of one a second, and room for what cannot wait.
pub const PART_BLOCK_COUNT: usize = 96;

/// Parts of a file: so many runs are kept, and so many processes may write at the same time.
pub const PART_COUNT: usize = 8;

pub(super) const PART_BYTES: usize = PART_BLOCK_COUNT * BLOCK_BYTES;

/// Behind everything that is ever written, the locks of the parts.
const LOCKS_AT: u64 = 1 << 40;

/// The part of a file that this process writes to.
#[derive(Debug)]
pub(super) struct Ring {
    file: File,
    path: PathBuf,
    part: usize,
    next_sequence: u64,
}

impl Ring {
    /// Opens the file, or makes it, and takes a part of it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = opened(path, OpenOptions::new().read(true).write(true).create(true).mode(0o600))?;
        // What is found there, and made, is made by one at a time; the lock goes with the part's, or with the file.
        alone(path, &file)?;
        let bytes = contents(path, &file)?;
        if stamps_of(&bytes).next().is_none() && !has_no_block_yet(&bytes) {
            return Err(Error::invalid_argument(
                "path",
                "a black box, or no file yet",
                format!("{}, which has something else in it: name another one, or remove it", path.display()),
            ));
        }
        let part = free_part(path, &file, &bytes)?;
        // Above all that other runs had: the order of two boots is told by it, whatever their clocks said.
        let next_sequence = stamps_of(&bytes).map(|(stamp, _)| stamp.sequence + 1).max().unwrap_or(0);
        let ring = Self { file, path: path.to_owned(), part, next_sequence };
        ring.make_room(bytes.len())?;
        unlock(ring.file.as_fd(), ALONE_AT).map_err(|error| io_error(path, "fcntl", error))?;
        Ok(ring)
    }

    /// Writes a block and waits until it is on the disk.
    pub(super) fn write(&mut self, stamp: BlockStamp, payload: &[u8]) -> Result<()> {
        let block = encoded(&BlockStamp { sequence: self.next_sequence, ..stamp }, payload);
        let slot = self.next_sequence % PART_BLOCK_COUNT as u64;
        let at = (self.part * PART_BYTES) as u64 + slot * BLOCK_BYTES as u64;
        self.file.write_all_at(&block, at).map_err(|error| io_error(&self.path, "write", error))?;
        // The blocks were written to before: no change of the file's shape has to go to the disk with them.
        self.file.sync_data().map_err(|error| io_error(&self.path, "fdatasync", error))?;
        self.next_sequence += 1;
        Ok(())
    }

    /// Whether the file is no longer where it was opened.
    pub(super) fn is_gone(&self) -> bool {
        let place = |file: &std::fs::Metadata| (file.dev(), file.ino());
        let own = self.file.metadata().map(|file| place(&file));
        let there = std::fs::symlink_metadata(&self.path).map(|file| place(&file));
        !matches!((own, there), (Ok(own), Ok(there)) if own == there)
    }

    /// Writes zeros to what the file lacks, so that the disk has room for every block from the start. A file that was only
    /// promised the room (`fallocate`) would change its shape with each block of the first round.
    fn make_room(&self, length: usize) -> Result<()> {
        let end = (self.part + 1) * PART_BYTES;
        if length >= end {
            return Ok(());
        }
        let zeros = vec![0; end - length];
        let made = self.file.write_all_at(&zeros, length as u64).and_then(|()| self.file.sync_all());
        made.map_err(|error| {
            // What little it got is of no use.
            let _ = self.file.set_len(length as u64);
            io_error(&self.path, "write", error)
        })?;
        // That the file is there has to be on the disk, too.
        if let Some(folder) = self.path.parent().and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// Whether no block was ever written there to its end: there are only zeros, or the parts of a black box with one block in them,
/// which the cut spoilt.
fn has_no_block_yet(bytes: &[u8]) -> bool {
    let is_written = |block: &&[u8]| block.iter().any(|byte| *byte != 0);
    match bytes.chunks(BLOCK_BYTES).filter(is_written).take(2).count() {
        0 => true,
        count => count == 1 && bytes.len().is_multiple_of(PART_BYTES),
    }
}

/// Who opens the file holds this lock meanwhile.
const ALONE_AT: u64 = LOCKS_AT + PART_COUNT as u64;

/// Waits until nobody else is opening the file.
fn alone(path: &Path, file: &File) -> Result<()> {
    const MOST_TRIES: u32 = 5000;
    for _ in 0..MOST_TRIES {
        let taken = try_lock(file.as_fd(), ALONE_AT, Lock::Exclusive);
        if taken.map_err(|error| io_error(path, "fcntl", error))? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let reason = format!("another process has been opening {} for seconds: end it", path.display());
    Err(Error::busy("the black box", reason))
}

/// Opens a file; what is none, as a pipe that nobody writes to, holds nobody up.
pub(super) fn opened(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = options.custom_flags(flags).open(path).map_err(|error| io_error(path, "open", error))?;
    let kind = file.metadata().map_err(|error| io_error(path, "fstat", error))?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let error = io::Error::other("expected a file, got something else: name another one");
    Err(io_error(path, "open", error))
}

/// All of a file that can belong to a black box, whatever its length.
pub(super) fn contents(path: &Path, file: &File) -> Result<Vec<u8>> {
    let mut bytes = vec![0; PART_COUNT * PART_BYTES];
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error(path, "read", error)),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Whether somebody writes to a part.
pub(super) fn is_written(file: &File, part: usize) -> bool {
    is_locked(file.as_fd(), LOCKS_AT + part as u64, 1).unwrap_or(false)
}

/// The whole blocks of a file, with their payloads.
pub(super) fn stamps_of(bytes: &[u8]) -> impl Iterator<Item = (BlockStamp, &[u8])> {
    bytes.chunks(BLOCK_BYTES).filter_map(decoded).filter(|(stamp, _)| stamp.sequence < u64::MAX / 2)
}

/// The last block of a part.
fn last_of(bytes: &[u8], part: usize) -> Option<BlockStamp> {
    let part = bytes.chunks(PART_BYTES).nth(part)?;
    stamps_of(part).map(|(stamp, _)| stamp).max_by_key(|stamp| stamp.sequence)
}

/// Takes the part that can best be spared of those that nobody writes to.
fn free_part(path: &Path, file: &File, bytes: &[u8]) -> Result<usize> {
    let spared_first = |part: &usize| match last_of(bytes, *part) {
        Some(stamp) if stamp.kind == MomentKind::End => (0, stamp.time_ms),
        None => (1, *part as u64),
        Some(stamp) => (2, stamp.time_ms),
    };
    let mut parts: Vec<usize> = (0..PART_COUNT).collect();
    parts.sort_by_cached_key(spared_first);
    for part in parts {
        let taken = try_lock(file.as_fd(), LOCKS_AT + part as u64, Lock::Exclusive);
        if taken.map_err(|error| io_error(path, "fcntl", error))? {
            return Ok(part);
        }
    }
    let reason = format!("{PART_COUNT} processes write to {}: name another file", path.display());
    Err(Error::busy("the black box", reason))
}
