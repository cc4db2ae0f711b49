//! Others who grant memory of the same machine: what a budget asks of whoever knows them.

use super::shared_queue::SharedQueue;
use crate::error::Error;

/// What was granted and has not been taken, so that another process can tell how much of it is still to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Of holders who say what they have taken, the rest; in bytes.
    pub reported_bytes: u64,
    /// What was granted to holders who say nothing, in bytes.
    pub silent_bytes: u64,
    /// What the process had resident before them, with what the others have taken since; in bytes. What it has beyond that
    /// has been taken by the silent ones. `None` where nobody knows: then they have taken nothing.
    pub base_bytes: Option<u64>,
}

impl Unsettled {
    /// What is still to come where the process has `resident_bytes` resident, in bytes.
    ///
    /// ```
    /// use plimsoll::budget::Unsettled;
    /// let unsettled = Unsettled { reported_bytes: 10, silent_bytes: 100, base_bytes: Some(1000) };
    /// assert_eq!((unsettled.pending_bytes(None), unsettled.pending_bytes(Some(1040))), (110, 70));
    /// ```
    #[must_use]
    pub fn pending_bytes(&self, resident_bytes: Option<u64>) -> u64 {
        let grown = match (resident_bytes, self.base_bytes) {
            (Some(resident), Some(base)) => resident.saturating_sub(base),
            _ => 0,
        };
        self.reported_bytes.saturating_add(self.silent_bytes.saturating_sub(grown))
    }
}

/// Why nothing was taken.
#[derive(Debug)]
pub enum Unshared {
    /// The others leave no room.
    Crowded(Crowded),
    /// Nobody can tell what the others hold.
    Broken(Error),
}

/// Why the others leave no room.
#[derive(Debug)]
pub struct Crowded {
    /// What could still be taken, in bytes.
    pub available_bytes: u64,
    /// Who holds the rest, in words.
    pub constraint: String,
    /// What to do about it.
    pub suggestion: String,
}

/// Who else grants memory of the machine, and knows what all hold together.
///
/// ```text
///   take -> settle     granted: from `take` on the others see it, and count it as not yet taken
///   take -> cancel     refused after all, by the machine or this budget's own line
///   release            no longer held
///   update             what has not been taken has changed
/// ```
pub trait Sharers: SharedQueue {
    /// Takes `bytes` of a line that all share; nothing where they do not fit below it beside what all others hold.
    ///
    /// # Errors
    ///
    /// [`Unshared`] where they do not, or nobody can tell what the others hold.
    fn take(&self, bytes: u64, line_bytes: u64) -> Result<(), Unshared>;

    /// What was taken is granted, and what this process has not taken of its grants is now `unsettled`.
    fn settle(&self, bytes: u64, unsettled: Unsettled);

    /// What was taken was not granted.
    fn cancel(&self, bytes: u64);

    /// What was granted is no longer held.
    fn release(&self, bytes: u64, unsettled: Unsettled);

    /// What this process has not taken of its grants has changed.
    fn update(&self, unsettled: Unsettled);

    /// What could be taken of a line that all share, in bytes.
    fn available_bytes(&self, line_bytes: u64) -> u64;

    /// The sum of all that others were ever granted; it begins anew beyond 2^64.
    fn granted_bytes(&self) -> u64;

    /// What others were granted and have not taken, in bytes.
    fn pending_bytes(&self) -> u64;
}
