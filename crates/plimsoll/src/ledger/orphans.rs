//! Shares in a ledger that was removed while processes had them.
//!
//! Whoever does something takes its place in the new file. One that is idle knows of nothing, and what it holds must count
//! meanwhile: who makes the new file looks for the removed one among the open files of all processes (`/proc/PID/fd`), and
//! keeps a slot for each share in it that lives. The slot goes when its process comes over, or ends.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{CWD, Mode, OFlags, fstat, openat, stat},
    io::Errno,
};

use super::{
    drain::Drain,
    header::{Kind, kind},
    identity::{Identity, nanoseconds, now_ns},
    layout::{SLOT_COUNT, SLOT_LOCKS_AT},
    locks::is_locked,
    map::Words,
    notice::SlotNotice,
    place::{LedgerPlace, id_of},
    share::SlotShare,
    state::{SlotState, Tenure},
};

/// What the kernel puts after the path of an open file that was removed. Source: `proc_pid_fd(5)`.
const REMOVED: &[u8] = b" (deleted)";

/// How long a slot is kept for a process of another PID namespace, whose end nobody here can see.
const KEPT_UNSEEN: Duration = Duration::from_mins(10);

type Orphan = (SlotShare, SlotNotice);

/// Device and inode.
type LedgerFileId = (u64, u64);

/// A process that has the lock of a slot.
#[derive(Debug, Clone, Copy)]
struct SlotKeeper {
    slot: usize,
    pid: u32,
}

/// Keeps slots of a file that nobody has opened yet for those whose ledger was removed from this place.
pub(super) fn adopt(place: &LedgerPlace, file: &File) -> Result<(), (&'static str, io::Error)> {
    let orphans = orphans(place).map_err(|error| ("look for holders of a ledger that was removed", error))?;
    if orphans.is_empty() {
        return Ok(());
    }
    if orphans.len() > SLOT_COUNT {
        return Err((
            "take over what those hold whose ledger was removed",
            io::ErrorKind::StorageFull.into(),
        ));
    }
    let words = Words::of(file).map_err(|error| ("mmap", error))?;
    let since_ns = now_ns();
    let until_ns = since_ns.saturating_add(nanoseconds(KEPT_UNSEEN));
    let kept = Drain { until_ns, since_ns, ..Drain::default() };
    for (slot, (share, notice)) in orphans.into_iter().enumerate() {
        let cells = words.share(slot).zip(words.notice(slot)).zip(words.drain(slot));
        if let (Some(((figures, text), drain)), Some(state)) = (cells, words.states().get(slot)) {
            figures.write(&share.to_words());
            text.write(&notice.to_words());
            drain.write(&kept.to_words());
            SlotState::FREE.elsewhere().write_to(state);
        }
    }
    Ok(())
}

/// The shares that live in files which were removed from this place, each once.
fn orphans(place: &LedgerPlace) -> io::Result<Vec<Orphan>> {
    // As the kernel names it, without symbolic links.
    let folder = fs::read_link(format!("/proc/self/fd/{}", place.folder.as_fd().as_raw_fd()));
    let Some(path) = seen(folder)?.map(|folder| folder.join(&place.file_name)) else { return Ok(Vec::new()) };
    let folder_device = fstat(&place.folder)?.st_dev;
    let mut files: Vec<(LedgerFileId, File)> = Vec::new();
    let mut keepers: Vec<(LedgerFileId, SlotKeeper)> = Vec::new();
    for open_file in open_files_of_all()?.into_iter().filter(|open_file| is_removed(open_file, &path)) {
        // Before it is opened: in a namespace of their own anybody can give anything that path.
        let Some(stat) = seen(stat(&open_file).map_err(io::Error::from))? else { continue };
        if stat.st_dev != folder_device || stat.st_nlink > 0 || place.check_file(&stat).is_err() {
            continue;
        }
        let id = id_of(&stat);
        keepers.extend(keepers_by(&open_file)?.into_iter().map(|keeper| (id, keeper)));
        if files.iter().any(|(known, _)| *known == id) {
            continue;
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = openat(CWD, &open_file, flags, Mode::empty()).map_err(io::Error::from);
        if let Some(file) = seen(opened)?.map(File::from)
            && matches!(kind(&file)?, Kind::Good)
        {
            files.push((id, file));
        }
    }
    let mut orphans: Vec<Orphan> = Vec::new();
    for (id, file) in &files {
        let here = keepers.iter().filter(|(of, _)| of == id).map(|(_, keeper)| *keeper);
        for orphan in shares_of(file, &here.collect::<Vec<_>>())? {
            // One that was just coming over stands in two: it holds no more than the larger.
            match orphans.iter_mut().find(|(_, notice)| notice.is_of_share(&orphan.1)) {
                Some(known) if known.0.held_bytes < orphan.0.held_bytes => *known = orphan,
                Some(_) => {}
                None => orphans.push(orphan),
            }
        }
    }
    Ok(orphans)
}

/// Which slots a process keeps by an open file. Source: the locks in `/proc/PID/fdinfo/FD`, `proc_pid_fdinfo(5)`.
fn keepers_by(open_file: &Path) -> io::Result<Vec<SlotKeeper>> {
    let parts: Vec<_> = open_file.iter().filter_map(|part| part.to_str()).collect();
    let [.., pid, "fd", number] = parts.as_slice() else { return Ok(Vec::new()) };
    let Ok(pid) = pid.parse() else { return Ok(Vec::new()) };
    let text = seen(fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")))?.unwrap_or_default();
    let slot_of = |line: &str| {
        let begins: u64 = line.strip_prefix("lock:")?.split_ascii_whitespace().nth(6)?.parse().ok()?;
        usize::try_from(begins.checked_sub(SLOT_LOCKS_AT)?).ok().filter(|slot| *slot < SLOT_COUNT)
    };
    Ok(text.lines().filter_map(slot_of).map(|slot| SlotKeeper { slot, pid }).collect())
}

/// What was read of a process; none where it has ended, or may not be looked at. Any other error, such as a lack of descriptors,
/// would make a ledger that knows nobody.
fn seen<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    let is_hidden = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
            || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
    };
    match outcome {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_hidden(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The open files of all processes that may be looked at, by their paths in `/proc`.
fn open_files_of_all() -> io::Result<Vec<PathBuf>> {
    let mut open_files = Vec::new();
    for process in seen(fs::read_dir("/proc"))?.into_iter().flatten() {
        let process = process?;
        if !process.file_name().as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        for file in seen(fs::read_dir(process.path().join("fd")))?.into_iter().flatten() {
            open_files.extend(seen(file)?.map(|file| file.path()));
        }
    }
    Ok(open_files)
}

fn is_removed(open_file: &Path, path: &Path) -> bool {
    fs::read_link(open_file).is_ok_and(|target| {
        target.as_os_str().as_bytes().strip_suffix(REMOVED) == Some(path.as_os_str().as_bytes())
    })
}

/// What stands in a removed ledger of those who live, each by the name of a process that keeps it.
fn shares_of(file: &File, keepers: &[SlotKeeper]) -> io::Result<Vec<Orphan>> {
    let words = Words::of(file)?;
    let live = |(slot, state): (usize, SlotState)| {
        let share = SlotShare::from_words(&words.share(slot)?.read().ok()?);
        let mut notice = SlotNotice::from_words(&words.notice(slot)?.read().ok()?);
        let lives = match state.tenure() {
            Tenure::Live => is_locked(file.as_fd(), SLOT_LOCKS_AT + slot as u64, 1).unwrap_or(true),
            Tenure::Elsewhere => notice.identity().is_alive().unwrap_or(false),
            Tenure::Free | Tenure::Draining | Tenure::Damaged => false,
        };
        if !lives || share.held_bytes == 0 {
            return None;
        }
        if state.tenure() == Tenure::Live {
            let pids = || keepers.iter().filter(|keeper| keeper.slot == slot).map(|keeper| keeper.pid);
            // Whoever inherited the share keeps it when the one that it is named by has ended.
            if let Some(pid) = pids().find(|pid| *pid == notice.pid).or_else(|| pids().next()) {
                let Identity { pid, started_ticks, pid_namespace, uid: _ } = Identity::of(pid);
                notice = SlotNotice { pid, started_ticks, pid_namespace, ..notice };
            }
        }
        let share = SlotShare { asked_bytes: 0, revocable_bytes: 0, waiting: None, ..share };
        Some((share, notice))
    };
    Ok(words.states().iter().map(SlotState::of).enumerate().filter_map(live).collect())
}
