//! Where a ledger lies, and whether that is a place to trust.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        Access, AtFlags, CWD, Gid, Mode, OFlags, Stat, StatFs, access, chownat, fstat, fstatfs, mkdirat,
        openat, statfs,
    },
    process::geteuid,
};

use super::options::LedgerOptions;
use crate::error::{Error, Result};

/// Where an administrator makes one for all users: as root `mkdir -m 2770 /run/plimsoll` and `chgrp` to their group.
const SHARED_FOLDER: &str = "/run/plimsoll";

/// Source: `TMPFS_MAGIC` and `RAMFS_MAGIC` of `statfs(2)`.
const IN_RAM: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// An open folder that nobody else can change what lies in, and the name of the ledger there.
#[derive(Debug)]
pub(super) struct LedgerPlace {
    pub(super) folder: OwnedFd,
    /// The name of the file in it.
    pub(super) file_name: String,
    /// Where it is, for messages.
    pub(super) path: PathBuf,
    group: Option<Gid>,
    /// Whether everybody may make files in the folder, and the members of no group are therefore to be trusted with one.
    is_open: bool,
}

impl LedgerPlace {
    /// The place of that ledger. The folder is made where it is missing and `is_made` says so; else there is none then.
    pub(super) fn of(options: &LedgerOptions, is_made: bool) -> Result<Option<Self>> {
        check_name(&options.name)?;
        // Without a slash at its end, with which a symbolic link would be followed.
        let path: PathBuf = options.directory.clone().unwrap_or_else(default_folder).components().collect();
        let failed = |call: &str, error: io::Error| ledger_error(&path, format!("{call}: {error}"));
        if is_made {
            make_folder(&path, options.group.map(Gid::from_raw)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => ledger_error(
                    &path,
                    "the folder above it is missing: name a folder on a tmpfs (`directory`), or mount one there",
                ),
                _ => failed("mkdir", error),
            })?;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = match openat(CWD, &path, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(rustix::io::Errno::NOENT) if !is_made => return Ok(None),
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                return Err(ledger_error(
                    &path,
                    "expected a folder, got a symbolic link or a file: who made it could lead everybody to another ledger. \
                     Remove it, or name another folder",
                ));
            }
            Err(error) => return Err(failed("open", error.into())),
        };
        let stat = fstat(&folder).map_err(|error| failed("fstat", error.into()))?;
        check_folder(&path, &stat)?;
        if !options.force {
            check_file_system(&path, &folder)?;
        }
        let file_name = format!("{}.ledger", options.name);
        let group = options.group.map(Gid::from_raw);
        Ok(Some(Self {
            path: path.join(&file_name),
            folder,
            file_name,
            group,
            is_open: stat.st_mode & 0o002 != 0,
        }))
    }

    /// Who may share a ledger made here.
    pub(super) fn mode(&self) -> Mode {
        let owner = Mode::RUSR | Mode::WUSR;
        if self.group.is_some() { owner | Mode::RGRP | Mode::WGRP } else { owner }
    }

    /// Gives a file that was just made to the group that shares it, whatever the process's umask is.
    pub(super) fn hand_over(&self, file: &File) -> io::Result<()> {
        if self.group.is_some() {
            rustix::fs::fchown(file, None, self.group)?;
        }
        rustix::fs::fchmod(file, self.mode()).map_err(io::Error::from)
    }

    /// Refuses a file that somebody else could have put there, or can write.
    pub(super) fn check_file(&self, stat: &Stat) -> Result<()> {
        let refused = |reason: String| Err(ledger_error(&self.path, reason));
        if !is_regular(stat) {
            return refused("expected a file, got something else: remove it".to_owned());
        }
        let own = geteuid().as_raw();
        let is_of_group = !self.is_open && (self.group.is_some() || stat.st_mode & 0o060 == 0o060);
        if stat.st_uid != own && stat.st_uid != 0 && !is_of_group {
            return refused(format!(
                "expected it to belong to user {own} or to root, it belongs to user {}: name another ledger, or share one by \
                 a group",
                stat.st_uid
            ));
        }
        if stat.st_mode & 0o007 != 0 {
            return refused(format!(
                "expected a file that others cannot touch (mode 0600 or 0660), got mode {:04o}: chmod it",
                stat.st_mode & 0o7777
            ));
        }
        Ok(())
    }
}

pub(super) fn ledger_error(path: &Path, reason: impl Into<String>) -> Error {
    Error::Ledger { path: path.to_owned(), reason: reason.into() }
}

/// Device and inode of a file.
#[allow(clippy::unnecessary_cast, clippy::cast_lossless)] // Their types differ by platform.
pub(super) fn id_of(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn is_regular(stat: &Stat) -> bool {
    stat.st_mode & 0o170_000 == 0o100_000
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Error::invalid_argument("name", "1 to 64 letters, digits, - and _", format!("{shown:?}")))
}

fn default_folder() -> PathBuf {
    let shared = Path::new(SHARED_FOLDER);
    let is_open = geteuid().is_root() || access(shared, Access::WRITE_OK).is_ok();
    // In many containers /run is part of the image.
    if is_open && statfs("/run").is_ok_and(|system| is_in_ram(&system)) {
        return shared.to_owned();
    }
    PathBuf::from(format!("/dev/shm/plimsoll-{}", geteuid().as_raw()))
}

/// Makes the folder, not those above it: open to its owner, or to that group.
fn make_folder(path: &Path, group: Option<Gid>) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    let mode = if group.is_some() { Mode::from(0o2770) } else { Mode::from(0o700) };
    match mkdirat(CWD, path, mode) {
        Err(rustix::io::Errno::EXIST) => return Ok(()), // Another process was faster.
        outcome => outcome?,
    }
    if group.is_some() {
        chownat(CWD, path, None, group, AtFlags::SYMLINK_NOFOLLOW)?;
        rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())?;
    }
    Ok(())
}

/// Refuses a folder in which somebody else could put another file in the ledger's place.
fn check_folder(path: &Path, stat: &Stat) -> Result<()> {
    let own = geteuid().as_raw();
    if stat.st_uid != own && stat.st_uid != 0 {
        return Err(ledger_error(
            path,
            format!(
                "expected a folder of user {own} or of root, it is user {}'s: name another one",
                stat.st_uid
            ),
        ));
    }
    let is_sticky = stat.st_mode & 0o1000 != 0;
    if stat.st_mode & 0o002 != 0 && !is_sticky {
        return Err(ledger_error(
            path,
            format!(
                "expected a folder that not everybody can write to, got mode {:04o}: chmod it, or name another one",
                stat.st_mode & 0o7777
            ),
        ));
    }
    Ok(())
}

fn check_file_system(path: &Path, folder: &OwnedFd) -> Result<()> {
    let system = fstatfs(folder).map_err(|error| ledger_error(path, format!("statfs: {error}")))?;
    if is_in_ram(&system) {
        return Ok(());
    }
    Err(ledger_error(
        path,
        format!(
            "expected a file system in RAM (tmpfs), got one of type {:#x}: name a folder on tmpfs, or force it (that of a \
             network may lose locks)",
            system.f_type
        ),
    ))
}

fn is_in_ram(system: &StatFs) -> bool {
    #[allow(clippy::cast_sign_loss, clippy::cast_lossless, clippy::unnecessary_cast)]
    // Its type differs by platform.
    let kind = system.f_type as u64;
    IN_RAM.contains(&(kind & 0xffff_ffff))
}
