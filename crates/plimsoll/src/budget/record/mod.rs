//! Records of what happens to a budget: who took what when, for how long, and who was refused.
//!
//! The journal is part of what the account's lock guards. So its events stand in the order in which they happened, its
//! sums are those of the list at every one of them, there is no second lock to take in the wrong order, and a grant
//! that nobody records pays for one test.

mod alarm;
mod event;
mod journal;
mod latest;
mod note;
mod options;
mod origin;
mod recorder;
mod stacks;
mod text;
mod threads;
mod totals;

pub use alarm::RecordAlarm;
pub use event::{Event, EventKind, LabelTotals, Record, Refused};
pub(super) use journal::Journal;
pub use latest::Latest;
pub(super) use note::Note;
pub use options::{MAX_CAPACITY, RecordOptions};
pub use origin::Origin;
pub(super) use recorder::{Copied, Recorder};

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
