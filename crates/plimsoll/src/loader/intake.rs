//! How a stream gets the bytes of its model's files.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSliceMut},
    ops::Range,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use gguf_file::ReadAt;
use rustix::{
    fs::{Advice, OFlags, fadvise},
    io::{ReadWriteFlags, preadv2},
};

use super::{
    drop_behind::DropBehind,
    file_map::FileMap,
    io_mode::{AskedIo, IoMode},
    model::ModelFile,
    plan::UnitPlan,
    selection::{DIRECT_ALIGN_BYTES, Selection},
    source::Source,
};
use crate::{
    error::{Error, Result},
    units::MIB,
};

/// How far the kernel is asked to read ahead of a read that found nothing cached.
const AHEAD_BYTES: u64 = 8 * MIB;

/// What it is asked for at a time: on many disks more is cut off.
const HINT_BYTES: u64 = 128 * 1024;

/// The files of a model as one stream reads them.
#[derive(Debug)]
pub(super) struct Intake {
    model: Arc<ModelFile>,
    /// Once that is refused, files are read by plain reads.
    pub(super) asked: AskedIo,
    files: Vec<FileIntake>,
    drops_behind: bool,
}

#[derive(Debug, Default)]
struct FileIntake {
    way: OnceLock<FileWay>,
    drop_behind: OnceLock<DropBehind>,
    /// The same file once more, of which the kernel reads no more ahead than it is asked to: what else it fetched would look
    /// as if somebody had had it cached.
    quiet: OnceLock<Option<File>>,
    /// As far as the kernel was asked to read.
    hinted_bytes: AtomicU64,
}

/// What a file is read by, beside plain reads.
#[derive(Debug)]
enum FileWay {
    Plain,
    Mapped(FileMap),
    Direct(File),
}

impl Intake {
    /// Files are read as `selection` says, unless `refusal` tells why they cannot be.
    pub fn new(model: Arc<ModelFile>, selection: &Selection, refusal: Option<String>) -> Self {
        let options = selection.options();
        let files = model.sources().map(|_| FileIntake::default()).collect();
        Self { model, asked: AskedIo::new(options.io, refusal), files, drops_behind: options.drop_behind }
    }

    /// Bytes of a buffer that come before those that were asked for, so that the read begins where the disk has it begin.
    pub fn lead_bytes(&self, plan: &UnitPlan) -> usize {
        let base = self.model.source(plan.file_index).map_or(0, Source::base_bytes);
        match self.asked.io {
            IoMode::Direct => ((base + plan.span.start) % DIRECT_ALIGN_BYTES) as usize,
            IoMode::Read | IoMode::Mmap => 0,
        }
    }

    /// What a buffer needs beside the bytes of a unit.
    pub fn slack_bytes(&self) -> u64 {
        match self.asked.io {
            IoMode::Direct => 2 * DIRECT_ALIGN_BYTES,
            IoMode::Read | IoMode::Mmap => 0,
        }
    }

    /// Reads what a unit spans to the place `lead_bytes` after the beginning of `buf`. A buffer that is as much longer as
    /// `slack_bytes` says, and begins on a page, can be read past the page cache.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read or was changed; `tensor` is named in it.
    pub fn read(&self, plan: &UnitPlan, buf: &mut [u8], tensor: &str) -> Result<()> {
        let lost = || Error::internal("a unit was planned of a file that there is none of");
        let source = self.model.source(plan.file_index).ok_or_else(lost)?;
        let intake = self.files.get(plan.file_index).ok_or_else(lost)?;
        let Some(file) = source.file() else {
            self.asked.refuse("the model came as bytes".to_owned());
            return self.read_plainly(source, None, plan, buf, tensor);
        };
        let absolute = source.base_bytes() + plan.span.start..source.base_bytes() + plan.span.end;
        if self.drops_behind {
            intake.drop_behind(file).begin(file, &absolute);
        }
        let outcome = self.read_somehow((source, file), intake, plan, buf, tensor);
        if self.drops_behind {
            intake.drop_behind(file).end(file, &absolute);
        }
        outcome
    }

    fn read_somehow(
        &self,
        (source, file): (&Source, &File),
        intake: &FileIntake,
        plan: &UnitPlan,
        buf: &mut [u8],
        tensor: &str,
    ) -> Result<()> {
        let (start, len) = (plan.span.start, (plan.span.end - plan.span.start) as usize);
        let lead = self.lead_bytes(plan);
        let absolute = source.base_bytes() + start;
        let run_end = source.base_bytes() + plan.run_end_bytes;
        let (outcome, what) = match self.way(intake, source, file) {
            FileWay::Plain => return self.read_plainly(source, Some((file, intake)), plan, buf, tensor),
            FileWay::Mapped(map) => {
                // To fault pages in waits for the disk a little at a time.
                let is_cached = || read_cached(file, &mut [0], absolute + len as u64 - 1) > 0;
                if !is_cached() {
                    intake.read_ahead(file, absolute..run_end);
                }
                let out = buf.get_mut(lead..lead + len);
                (
                    out.map_or_else(
                        || Err(io::ErrorKind::InvalidInput.into()),
                        |out| map.read(out, absolute),
                    ),
                    "a copy out of the map",
                )
            }
            FileWay::Direct(file) => {
                (read_direct(file, buf, absolute - lead as u64, lead + len), "a read past the page cache")
            }
        };
        match outcome {
            Ok(()) => source.read_by(start, len, tensor, || Ok(())),
            Err(error) => {
                // Whatever is the matter with the file itself, a plain read tells it.
                self.asked.refuse(format!("{what} failed: {error}"));
                self.read_plainly(source, Some((file, intake)), plan, buf, tensor)
            }
        }
    }

    /// By positioned reads, with the kernel reading ahead where nothing is cached.
    fn read_plainly(
        &self,
        source: &Source,
        hint: Option<(&File, &FileIntake)>,
        plan: &UnitPlan,
        buf: &mut [u8],
        tensor: &str,
    ) -> Result<()> {
        let (start, len) = (plan.span.start, (plan.span.end - plan.span.start) as usize);
        let lead = self.lead_bytes(plan);
        let out = buf.get_mut(lead..lead + len);
        let out = out.ok_or_else(|| Error::internal("a unit was planned that its buffer has no room for"))?;
        source.read_by(start, len, tensor, || {
            let Some((file, intake)) = hint else { return source.read_exact_at(out, start) };
            let file = intake.quiet(file, self.drops_behind);
            let (absolute, run_end) = (source.base_bytes() + start, source.base_bytes() + plan.run_end_bytes);
            let cached = read_cached(file, out, absolute);
            let rest = absolute + cached as u64;
            if cached < len {
                intake.read_ahead(file, rest..run_end);
            }
            file.read_exact_at(out.get_mut(cached..).unwrap_or_default(), rest)
        })
    }

    /// What a file is read by; opened when it is first asked for.
    fn way<'a>(&self, intake: &'a FileIntake, source: &Source, file: &File) -> &'a FileWay {
        const PLAIN: &FileWay = &FileWay::Plain;
        if self.asked.is_refused() {
            return PLAIN;
        }
        intake.way.get_or_init(|| {
            let opened = match self.asked.io {
                IoMode::Read => Ok(FileWay::Plain),
                IoMode::Mmap => {
                    let size_bytes = source.base_bytes() + source.size_bytes();
                    FileMap::new(file, size_bytes).map(FileWay::Mapped)
                }
                IoMode::Direct => reopen(file, OFlags::DIRECT).map(FileWay::Direct),
            };
            opened.unwrap_or_else(|error| {
                let what =
                    if self.asked.io == IoMode::Mmap { "mapped" } else { "opened past the page cache" };
                self.asked.refuse(format!("the file cannot be {what}: {error}"));
                FileWay::Plain
            })
        })
    }
}

/// What is left of the windows goes with the stream.
impl Drop for Intake {
    fn drop(&mut self) {
        if !self.drops_behind {
            return;
        }
        for (source, intake) in self.model.sources().zip(&self.files) {
            if let (Some(file), Some(drop_behind)) = (source.file(), intake.drop_behind.get()) {
                drop_behind.finish(file);
            }
        }
    }
}

impl FileIntake {
    fn drop_behind(&self, file: &File) -> &DropBehind {
        self.drop_behind.get_or_init(|| DropBehind::of(file))
    }

    /// The file to read by plain reads.
    fn quiet<'a>(&'a self, file: &'a File, is_wanted: bool) -> &'a File {
        let reopened = self.quiet.get_or_init(|| {
            let quiet = if is_wanted { reopen(file, OFlags::empty()).ok()? } else { return None };
            fadvise(&quiet, 0, None, Advice::Random).ok()?;
            Some(quiet)
        });
        reopened.as_ref().unwrap_or(file)
    }

    /// Has the kernel fetch what follows in a run of reads, beyond what it was asked for before.
    fn read_ahead(&self, file: &File, run: Range<u64>) {
        let furthest = run.start + AHEAD_BYTES;
        let until = run.end.min(furthest);
        let hinted = self.hinted_bytes.swap(until, Ordering::Relaxed);
        // What was asked for elsewhere in the file belongs to another run.
        let mut at = if (run.start..=furthest).contains(&hinted) { hinted } else { run.start };
        while at < until {
            // A hint that is refused leaves the reads as they are.
            let len = HINT_BYTES.min(until - at);
            let _ = fadvise(file, at, std::num::NonZeroU64::new(len), Advice::WillNeed);
            at += HINT_BYTES;
        }
    }
}

/// Bytes that the page cache has at once, read without waiting for the disk: how many there were from the start on. Where the
/// file system cannot tell, none.
fn read_cached(file: &File, out: &mut [u8], offset_bytes: u64) -> usize {
    preadv2(file, &mut [IoSliceMut::new(out)], offset_bytes, ReadWriteFlags::NOWAIT).unwrap_or(0)
}

/// The same file once more, whatever its name leads to by now, so that its flags are another's own.
fn reopen(file: &File, flags: OFlags) -> io::Result<File> {
    let flags = (flags | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Reads at least `wanted` bytes to the start of `buf`, by reads that begin and end where the disk has them.
fn read_direct(file: &File, buf: &mut [u8], offset_bytes: u64, wanted: usize) -> io::Result<()> {
    let align = DIRECT_ALIGN_BYTES as usize;
    let out = buf.get_mut(..wanted.next_multiple_of(align)).ok_or(io::ErrorKind::InvalidInput)?;
    let mut done = 0;
    while done < wanted {
        match file.read_at(out.get_mut(done..).unwrap_or_default(), offset_bytes + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // Only the end of a file ends a read elsewhere.
        if done < wanted && done % align != 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
