//! What a recording holds: events, totals by label, and the whole of it as it is read.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{budget::allocation_info::AllocationInfo, error::Error};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// An allocation was live when the recording began.
    Held,
    /// Bytes were granted.
    Grant,
    /// Bytes were released.
    Release,
    /// Bytes were asked for and refused.
    Refusal,
    /// The holder said how much it has really taken; the event's bytes are all it has taken so far.
    Commit,
    /// A pool handed memory out again that it held idle.
    Reuse,
    /// A pool got memory back from its user.
    Return,
    /// A load began; its bytes are those it has to read.
    LoadStart,
    /// A load came to its end; its bytes, as those of the next two, are those it has read.
    LoadEnd,
    /// A load ended with an error.
    LoadFailed,
    /// A load was ended by its consumer.
    LoadCancelled,
}

names!(EventKind {
    Held => "held",
    Grant => "grant",
    Release => "release",
    Refusal => "refusal",
    Commit => "commit",
    Reuse => "reuse",
    Return => "return",
    LoadStart => "load-start",
    LoadEnd => "load-end",
    LoadFailed => "load-failed",
    LoadCancelled => "load-cancelled",
});

/// One event of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened, since the recording began. Never less than that of the event before.
    pub at: Duration,
    /// What happened.
    pub kind: EventKind,
    /// The number of the allocation, of the request that was refused, or of the load.
    pub id: u64,
    /// Its label; of a load, the path of its file. At most 1024 bytes of it are kept.
    pub label: Arc<str>,
    /// The bytes it is about.
    pub bytes: u64,
    /// Bytes of all live allocations after it: what was held and granted so far, less what was released.
    pub allocated_bytes: u64,
    /// The kernel's number of the thread it happened on.
    pub thread: u32,
    /// Who asked, where the caller told.
    pub stack: Option<Arc<str>>,
    /// Of a request that was refused for want of memory: what there was, and why not more.
    pub refused: Option<Arc<Refused>>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What there was, in bytes.
    pub available_bytes: u64,
    /// The bound that left no more, in words.
    pub constraint: String,
}

impl Refused {
    /// What an error says of that; none where it is not for want of memory.
    #[must_use]
    pub fn by(error: &Error) -> Option<Self> {
        let Error::InsufficientMemory { available_bytes, binding_constraint, .. } = error else {
            return None;
        };
        Some(Self { available_bytes: *available_bytes, constraint: binding_constraint.clone() })
    }
}

/// What the allocations under one label came to. Sums saturate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelTotals {
    /// The label.
    pub label: Arc<str>,
    /// Bytes live at last.
    pub live_bytes: u64,
    /// Allocations live at last.
    pub live_count: u64,
    /// The most bytes that were live at once.
    pub peak_bytes: u64,
    /// Bytes granted in all, those live at the beginning among them.
    pub granted_bytes: u64,
    /// Allocations granted in all, those live at the beginning among them.
    pub granted_count: u64,
    /// Bytes refused.
    pub refused_bytes: u64,
    /// Requests refused.
    pub refused_count: u64,
}

/// A recording as it was read.
#[derive(Debug, Clone)]
pub struct Record {
    /// When the recording began.
    pub started: SystemTime,
    /// How long it has run.
    pub duration: Duration,
    /// The events that are kept, oldest first; none if they were not asked for.
    pub events: Vec<Event>,
    /// Events written in all.
    pub event_count: u64,
    /// Events that made room for newer ones.
    pub dropped_count: u64,
    /// The totals by label, most granted first. They cover the events that were dropped too.
    pub labels: Vec<LabelTotals>,
    /// What is live, oldest first.
    pub live: Vec<AllocationInfo>,
    /// Bytes of what is live.
    pub allocated_bytes: u64,
    /// The most bytes that were live at once since the beginning.
    pub peak_bytes: u64,
    /// The names of the threads that appear in it, by their number.
    pub threads: BTreeMap<u32, String>,
}
