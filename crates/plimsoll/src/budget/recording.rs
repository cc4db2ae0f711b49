//! The handle of a recording.

use std::sync::Arc;

use super::{
    account::Account,
    record::{Latest, MAX_CAPACITY, Record, RecordAlarm, RecordOptions},
};
use crate::error::{Error, Result};

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
    account: Arc<Account>,
    key: usize,
}

impl Recording {
    pub(super) fn start(
        account: &Arc<Account>,
        options: RecordOptions,
        alarm: Option<RecordAlarm>,
    ) -> Result<Self> {
        if !(1..=MAX_CAPACITY).contains(&options.capacity) {
            let expected = format!("from 1 to {MAX_CAPACITY} events");
            return Err(Error::invalid_argument("capacity", expected, options.capacity.to_string()));
        }
        Ok(Self { account: Arc::clone(account), key: account.start_recording(options, alarm) })
    }

    /// What has been recorded so far. Grants wait while it is copied: about a millisecond for 65,536 events, and next
    /// to nothing for a record without them.
    #[must_use]
    pub fn read(&self, with_events: bool) -> Record {
        self.account.read_recording(self.key, with_events)
    }

    /// What it holds since `seen` events, at most `most_labels` labels with the most bytes live. Cheap enough for many times a
    /// second: grants wait while no more than that is copied.
    #[must_use]
    pub fn latest(&self, seen: u64, most_labels: usize) -> Latest {
        self.account.latest_of_recording(self.key, seen, most_labels)
    }

    /// Ends the recording and returns all of it.
    #[must_use]
    pub fn stop(self) -> Record {
        self.read(true)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.account.end_recording(self.key);
    }
}
