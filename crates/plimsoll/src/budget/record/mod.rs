//! Records of what happens to a budget: who took what when, for how long, and who was refused.
//!
//! The journal is part of what the books' lock guards. So its events stand in the order in which they happened, its
//! sums are those of the list at every one of them, there is no second lock to take in the wrong order, and a grant
//! that nobody records pays for one test.

mod event;
mod journal;
mod load;
mod recorder;
mod stacks;
mod text;
mod threads;
mod totals;

pub use event::{Event, EventKind, LabelTotals, Record};
pub(super) use journal::Journal;
pub(crate) use load::LoadNote;
pub(super) use recorder::{Copied, Recorder};
pub(super) use std::sync::Arc;

use super::books::Books;
use crate::error::{Error, Result};

/// The most events that a recording keeps.
pub const MAX_CAPACITY: usize = 1 << 20;

/// How a recording is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOptions {
    /// Events kept; newer ones take the place of older ones. 65,536 by default, at most [`MAX_CAPACITY`]. Each takes
    /// about 80 bytes.
    pub capacity: usize,
    /// How many frames of the caller's stack are wanted with each request. 0 by default, for none. It is a wish that
    /// [`MemoryBudget::stack_depth`](super::MemoryBudget::stack_depth) passes on: callers tell their stacks themselves.
    pub stack_depth: u32,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self { capacity: 65_536, stack_depth: 0 }
    }
}

/// Records what happens to a budget, and to all that share what is allocated with it, until it is stopped or dropped.
///
/// What is live when it begins is in it. Any number of recordings may run at once; none sees the others.
///
/// ```
/// use plimsoll::{MemoryBudget, budget::RecordOptions};
///
/// let budget = MemoryBudget::new(1000, 0)?;
/// let recording = budget.record(RecordOptions::default())?;
/// let cache = budget.allocate(600, "cache")?;
/// drop(budget.allocate(300, "scratch")?);
/// let record = recording.stop();
/// assert_eq!(record.peak_bytes, 900);
/// assert_eq!(record.events.len(), 3);
/// assert_eq!(record.live[0].label, "cache");
/// # drop(cache);
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug)]
pub struct Recording {
    books: Arc<Books>,
    key: usize,
}

impl Recording {
    pub(super) fn start(books: &Arc<Books>, options: RecordOptions) -> Result<Self> {
        if !(1..=MAX_CAPACITY).contains(&options.capacity) {
            let expected = format!("from 1 to {MAX_CAPACITY} events");
            return Err(Error::invalid_argument("capacity", expected, options.capacity.to_string()));
        }
        Ok(Self { books: Arc::clone(books), key: books.start_recording(options) })
    }

    /// What has been recorded so far. Grants wait while it is copied: about a millisecond for 65,536 events, and next
    /// to nothing for a record without them.
    #[must_use]
    pub fn read(&self, with_events: bool) -> Record {
        self.books.read_recording(self.key, with_events)
    }

    /// Ends the recording and returns all of it.
    #[must_use]
    pub fn stop(self) -> Record {
        self.read(true)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.books.end_recording(self.key);
    }
}

/// One happening, as it is written into every recording.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note<'a> {
    pub(super) kind: EventKind,
    pub(super) id: u64,
    pub(super) label: &'a str,
    pub(super) bytes: u64,
}

/// Where an allocation came from, as far as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The kernel's number of the thread that it was granted on.
    pub thread: u32,
    /// Who asked, where the caller told.
    pub stack: Option<Arc<str>>,
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
