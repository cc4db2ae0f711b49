//! The handle of a black box.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread::{self, Thread},
    time::Duration,
};

use super::{
    composer::{Composer, MOST_EVENTS, Notes, Writer},
    happening::{HappeningKind, URGENT_GRANT_BYTES},
    options::BlackBoxOptions,
    place::{default_black_box_path, io_error, make_folder_of},
    ring::Ring,
    thread::{LEAST_INTERVAL, Progress, Task},
};
use crate::{
    budget::{HeadroomOptions, MemoryBudget, RecordAlarm, RecordOptions},
    error::{Error, Result},
    sync::lock,
    system::SystemRoot,
};

/// The longest time between two blocks that may be asked for.
const MOST_INTERVAL: Duration = Duration::from_mins(1);

/// How long the first block is waited for: a disk that hangs must not hold up who starts.
pub(super) const FIRST_BLOCK_WAIT: Duration = Duration::from_secs(10);

/// How long the last block is waited for.
const LAST_BLOCK_WAIT: Duration = Duration::from_secs(2);

/// A black box that writes. [Closing](Self::close) or dropping it writes a last block, by which a reader knows that it ended
/// cleanly.
#[derive(Debug)]
pub struct BlackBox {
    path: PathBuf,
    progress: Arc<Progress>,
    notes: Arc<Notes>,
    thread: Thread,
    /// Its sender goes when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// What a black box has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlackBoxStats {
    /// Blocks on the disk.
    pub block_count: u64,
    /// Their bytes.
    pub written_bytes: u64,
    /// Blocks that could not be written.
    pub failed_count: u64,
    /// Why the last one could not; none where it could.
    pub trouble: Option<String>,
}

impl BlackBox {
    /// Starts to write what happens to a budget; the first block is on the disk when it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be made or written, as on a full disk or one that hangs for 10 seconds, or no thread be
    /// started;
    /// [`Error::InvalidArgument`] for an option that is none, and a file that is something else; [`Error::Busy`] where as many
    /// processes write to it as [may](super::PART_COUNT).
    pub fn start(budget: MemoryBudget, options: BlackBoxOptions) -> Result<Self> {
        Self::start_within(FIRST_BLOCK_WAIT, budget, options)
    }

    pub(super) fn start_within(
        first_block_wait: Duration,
        budget: MemoryBudget,
        options: BlackBoxOptions,
    ) -> Result<Self> {
        let BlackBoxOptions { path, name, process_name, interval, holders, on_trouble } = options;
        if !(LEAST_INTERVAL..=MOST_INTERVAL).contains(&interval) {
            let expected = "from 250 ms to 60000 ms";
            return Err(Error::invalid_argument(
                "interval",
                expected,
                format!("{} ms", interval.as_millis()),
            ));
        }
        let path = if let Some(path) = path {
            path
        } else {
            let path = default_black_box_path(&name)?;
            make_folder_of(&path)?;
            path
        };
        let headroom = HeadroomOptions::at(&SystemRoot::default(), None)?;
        let ring = Ring::open(&path)?;
        let writer = Writer { pid: process::id(), name: process_name.unwrap_or_else(own_name) };
        let (progress, notes) = <(Arc<Progress>, Arc<Notes>)>::default();
        let (tell_started, started) = sync_channel(1);
        let (ending, ended) = sync_channel(1);
        let (task_path, task_progress, task_notes) =
            (path.clone(), Arc::clone(&progress), Arc::clone(&notes));
        let run = move || {
            let alarm = RecordAlarm { thread: thread::current(), grant_bytes: URGENT_GRANT_BYTES };
            let recording = RecordOptions { capacity: MOST_EVENTS, stack_depth: 0 };
            match budget.record_with_alarm(recording, alarm) {
                Ok(recording) => {
                    let composer = Composer::new(budget, writer, holders, recording, task_notes, headroom);
                    let task = Task::new(task_path, ring, composer, interval, on_trouble, task_progress);
                    task.run(&tell_started, ending);
                }
                Err(error) => drop(tell_started.send(Err(error))),
            }
        };
        let spawned =
            thread::Builder::new().name("plimsoll-black".to_owned()).stack_size(256 << 10).spawn(run);
        let spawned =
            spawned.map_err(|error| io_error(Path::new("the black box's thread"), "clone", error))?;
        let thread = spawned.thread().clone();
        started.recv_timeout(first_block_wait).unwrap_or_else(|why| {
            // It writes nothing more when the disk goes on.
            progress.is_closed.store(true, Ordering::Release);
            Err(match why {
                RecvTimeoutError::Timeout => {
                    let waited = format!("the disk has not taken the first block in {first_block_wait:?}");
                    io_error(&path, "fdatasync", io::Error::new(io::ErrorKind::TimedOut, waited))
                }
                RecvTimeoutError::Disconnected => {
                    Error::internal("the thread of a black box ended before its first block")
                }
            })
        })?;
        Ok(Self { path, progress, notes, thread, ended: Mutex::new(ended) })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it has written.
    #[must_use]
    pub fn stats(&self) -> BlackBoxStats {
        BlackBoxStats {
            block_count: self.progress.block_count.load(Ordering::Relaxed),
            written_bytes: self.progress.written_bytes(),
            failed_count: self.progress.failed_count.load(Ordering::Relaxed),
            trouble: lock(&self.progress.trouble).clone(),
        }
    }

    /// Notes what happened outside of the budget: a wait that began or ended, a command.
    pub fn note(&self, kind: HappeningKind, label: &str, bytes: u64) {
        self.notes.push(kind, label, bytes);
        if kind.is_urgent(bytes) {
            self.thread.unpark();
        }
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.progress.is_closed.load(Ordering::Acquire)
    }

    /// Writes the last block and ends. It waits for the disk, 2 seconds at most. A second call does nothing.
    pub fn close(&self) {
        if self.progress.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.thread.unpark();
        // Nothing is ever sent: it returns when the thread has ended, or the disk hangs.
        let _ = lock(&self.ended).recv_timeout(LAST_BLOCK_WAIT);
    }
}

impl Drop for BlackBox {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the kernel calls this process.
fn own_name() -> String {
    let name = fs::read_to_string("/proc/self/comm").unwrap_or_default();
    let name = name.trim_end();
    if name.is_empty() { "process".to_owned() } else { name.to_owned() }
}
