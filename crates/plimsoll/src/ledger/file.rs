//! The file: found, made, checked, and replaced where it is of no use and nobody has a share in it.

// A descriptor that was closed behind its owner's back must not be closed again.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    mem::ManuallyDrop,
    os::{fd::AsFd, unix::fs::FileExt},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fd::AsRawFd,
    fs::{
        AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, Stat, fallocate, flock, fstat, linkat,
        openat, statat, unlinkat,
    },
    io::Errno,
};

use super::{
    header::{Kind, header_bytes, kind},
    layout::{CLAIM_LOCK_AT, FILE_BYTES, MAGIC, SLOT_COUNT, SLOT_LOCKS_AT, STATES_AT},
    locks::{Lock, is_locked, try_lock, unlock},
    low_descriptor::lowered,
    map::Words,
    orphans,
    place::{LedgerPlace, id_of, ledger_error},
    state::{SlotState, Tenure},
};
use crate::error::{Error, Result};

/// How long a lock is waited for that nobody holds longer than some system calls take.
const MOST_WAIT: Duration = Duration::from_secs(1);

/// How often a ledger is opened again because another process has replaced it meanwhile.
const MOST_OPENINGS: usize = 16;

/// An open ledger.
#[derive(Debug)]
pub(super) struct LedgerFile {
    pub(super) file: ManuallyDrop<File>,
    /// Device and inode: under the same number another file may be open meanwhile.
    id: Option<(u64, u64)>,
    pub(super) words: Words,
    pub(super) place: LedgerPlace,
}

/// What has become of an open ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Good,
    /// It was cut short, or something else was written over it.
    Spoilt,
    /// It was removed, or the descriptor was closed.
    Gone,
}

impl LedgerFile {
    /// Opens the ledger there, or makes it.
    pub(super) fn open(place: LedgerPlace) -> Result<Self> {
        for _ in 0..MOST_OPENINGS {
            let Some(file) = existing(&place)? else {
                make(&place)?;
                continue;
            };
            match kind(&file).map_err(|error| unread(&place, &error))? {
                Kind::Good => return Self::of(place, lowered(file)),
                Kind::Stale => remove(&place, &file, "it is of an earlier start of this board")?,
                Kind::Useless(why) => remove(&place, &file, &why)?,
            }
        }
        Err(ledger_error(&place.path, "other processes replace it again and again: see who does that"))
    }

    /// The ledger there, if there is a good one.
    pub(super) fn find(place: LedgerPlace) -> Result<Option<Self>> {
        let Some(file) = existing(&place)? else { return Ok(None) };
        match kind(&file).map_err(|error| unread(&place, &error))? {
            Kind::Good => Self::of(place, file).map(Some),
            Kind::Stale => Ok(None),
            Kind::Useless(why) => Err(ledger_error(&place.path, why)),
        }
    }

    fn of(place: LedgerPlace, file: File) -> Result<Self> {
        let words = Words::of(&file).map_err(|error| ledger_error(&place.path, format!("mmap: {error}")))?;
        let id = fstat(&file).ok().map(|stat| id_of(&stat));
        Ok(Self { file: ManuallyDrop::new(file), id, words, place })
    }

    /// Whether the file is still the one that others open, and whole. Before each touch of its words.
    pub(super) fn condition(&self) -> Condition {
        match fstat(&*self.file) {
            Ok(stat) if Some(id_of(&stat)) != self.id || stat.st_nlink == 0 => Condition::Gone,
            Ok(stat) if stat.st_size.cast_unsigned() < FILE_BYTES as u64 => Condition::Spoilt,
            Ok(_) if self.words.magic() != MAGIC => Condition::Spoilt,
            Ok(_) => Condition::Good,
            Err(_) => Condition::Gone,
        }
    }

    /// Whether it was removed, and can still be written.
    pub(super) fn is_removed(&self) -> bool {
        let is_whole = |stat: Stat| stat.st_nlink == 0 && stat.st_size.cast_unsigned() >= FILE_BYTES as u64;
        self.condition() == Condition::Gone
            && fstat(&*self.file).is_ok_and(|stat| Some(id_of(&stat)) == self.id && is_whole(stat))
    }

    /// Makes a file whole again that was cut short or overwritten, for those who have a share in it. What can be read stays.
    /// Until each of the others has written its own again, nobody is granted anything.
    pub(super) fn repair(&self) -> Result<()> {
        let refused =
            |call: &str, error: io::Error| ledger_error(&self.place.path, format!("{call}: {error}"));
        wait_for_lock(&self.place, &self.file, "it was overwritten")?;
        let outcome = if self.condition() == Condition::Spoilt { self.make_whole() } else { Ok(()) };
        unlock(self.file.as_fd(), CLAIM_LOCK_AT).map_err(|error| refused("fcntl", error))?;
        outcome.map_err(|(call, error)| refused(call, error))
    }

    fn make_whole(&self) -> std::result::Result<(), (&'static str, io::Error)> {
        lengthen(&self.file)?;
        for (slot, word) in self.words.states().iter().enumerate() {
            let state = SlotState::of(word);
            let has_notice = || self.words.notice(slot).is_some_and(|notice| notice.read().is_ok());
            let is_readable = match state.tenure() {
                Tenure::Free | Tenure::Draining => true,
                Tenure::Live | Tenure::Elsewhere => has_notice(),
                Tenure::Damaged => false,
            };
            if is_readable {
                continue;
            }
            let at_byte = SLOT_LOCKS_AT + slot as u64;
            // What its holder has it alone knows.
            let is_held = is_locked(self.file.as_fd(), at_byte, 1).map_err(|error| ("fcntl", error))?;
            if is_held { SlotState::DAMAGED } else { SlotState::FREE }.write_to(word);
        }
        // Last, for it says that the file is whole.
        self.file.write_all_at(&header_bytes()?, 0).map_err(|error| ("write", error))
    }

    /// Does something while nobody replaces the file: in the file that others open, or not at all.
    pub(super) fn claiming<T>(&self, claim: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let refused =
            |call: &str, error: io::Error| ledger_error(&self.place.path, format!("{call}: {error}"));
        let late = "another process has been replacing it for a second: if one that uses it is stopped, let it go on or end it";
        wait_until(&self.place, late, || {
            try_lock(self.file.as_fd(), CLAIM_LOCK_AT, Lock::Shared).map_err(|error| refused("fcntl", error))
        })?;
        let outcome = if self.condition() == Condition::Good { claim().map(Some) } else { Ok(None) };
        unlock(self.file.as_fd(), CLAIM_LOCK_AT).map_err(|error| refused("fcntl", error))?;
        outcome
    }
}

impl Drop for LedgerFile {
    fn drop(&mut self) {
        if fstat(&*self.file).is_ok_and(|stat| Some(id_of(&stat)) == self.id) {
            // SAFETY: it is not used again, and its descriptor is the one that it was made with.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

fn unread(place: &LedgerPlace, error: &io::Error) -> Error {
    ledger_error(&place.path, format!("/proc/sys/kernel/random/boot_id: {error}"))
}

/// Opens what has the ledger's name.
fn existing(place: &LedgerPlace) -> Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat(&place.folder, &place.file_name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {
            return Err(ledger_error(&place.path, "expected a file, got a symbolic link: remove it"));
        }
        Err(error) => return Err(ledger_error(&place.path, format!("open: {}", io::Error::from(error)))),
    };
    let stat = fstat(&file).map_err(|error| ledger_error(&place.path, format!("fstat: {error}")))?;
    place.check_file(&stat)?;
    Ok(Some(file))
}

/// Makes a ledger whole and then gives it its name, so that nobody ever opens half of one. Another process may be faster.
fn make(place: &LedgerPlace) -> Result<()> {
    let refused = |call: &str, error: io::Error| ledger_error(&place.path, format!("{call}: {error}"));
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(&place.folder, ".", flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| refused("open", error.into()))?;
    let file = File::from(file);
    write_whole(&file).map_err(|(call, error)| refused(call, error))?;
    place.hand_over(&file).map_err(|error| refused("chmod", error))?;
    // One at a time: from the look for those whose ledger was removed until this one has its name, there is no other that is
    // used and removed meanwhile.
    wait_until(
        place,
        "another process has been making it for a second: if one that uses it is stopped, let it go on or end it",
        || match flock(&place.folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(false),
            outcome => outcome.map(|()| true).map_err(|error| refused("flock", error.into())),
        },
    )?;
    let outcome = if is_there(place) { Ok(()) } else { name(place, &file) };
    flock(&place.folder, FlockOperation::Unlock).map_err(|error| refused("flock", error.into()))?;
    outcome
}

/// Gives a ledger its name, with slots for those who hold something in one that was removed.
fn name(place: &LedgerPlace, file: &File) -> Result<()> {
    let refused = |call: &str, error: io::Error| ledger_error(&place.path, format!("{call}: {error}"));
    orphans::adopt(place, file).map_err(|(call, error)| refused(call, error))?;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, &own, &place.folder, &place.file_name, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(refused("link", error.into())),
    }
}

fn is_there(place: &LedgerPlace) -> bool {
    statat(&place.folder, &place.file_name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Gives a file its length, its header, and slots that are nobody's; or the call that failed.
fn write_whole(file: &File) -> std::result::Result<(), (&'static str, io::Error)> {
    lengthen(file)?;
    let mut bytes = header_bytes()?;
    bytes.resize(STATES_AT, 0);
    bytes.extend((0..SLOT_COUNT).flat_map(|_| SlotState::FREE.to_bytes()));
    bytes.resize(FILE_BYTES, 0);
    file.write_all_at(&bytes, 0).map_err(|error| ("write", error))
}

/// All of it now: a full file system must not end a process that touches a page of it later.
fn lengthen(file: &File) -> std::result::Result<(), (&'static str, io::Error)> {
    fallocate(file, FallocateFlags::empty(), 0, FILE_BYTES as u64)
        .map_err(|error| ("fallocate", error.into()))
}

/// Takes the lock under which a file is replaced or made whole.
fn wait_for_lock(place: &LedgerPlace, file: &File, why: &str) -> Result<()> {
    let late = format!("{why}, and a process that is just taking a share in it does not go on: end it");
    wait_until(place, &late, || {
        try_lock(file.as_fd(), CLAIM_LOCK_AT, Lock::Exclusive)
            .map_err(|error| ledger_error(&place.path, format!("fcntl: {error}")))
    })
}

/// Tries again and again to take a lock, for no longer than it can be held by one who goes on.
fn wait_until(place: &LedgerPlace, late: &str, mut try_it: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !try_it()? {
        if start.elapsed() > MOST_WAIT {
            return Err(ledger_error(&place.path, late));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Removes a file that is of no use, unless somebody has a share in it.
fn remove(place: &LedgerPlace, file: &File, why: &str) -> Result<()> {
    let refused = |call: &str, error: io::Error| ledger_error(&place.path, format!("{call}: {error}"));
    wait_for_lock(place, file, why)?;
    // The lock goes with the descriptor.
    if fstat(file).is_ok_and(|stat| stat.st_nlink == 0) {
        return Ok(()); // Another process has done it.
    }
    let is_held = is_locked(file.as_fd(), SLOT_LOCKS_AT, SLOT_COUNT as u64);
    if is_held.map_err(|error| refused("fcntl", error))? {
        return Err(ledger_error(
            &place.path,
            format!("{why}, and there are processes that have a share in it: end them first"),
        ));
    }
    match unlinkat(&place.folder, &place.file_name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(refused("unlink", error.into())),
    }
}
