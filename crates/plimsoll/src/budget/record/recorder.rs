//! One recording's own list: a ring of events, and the totals of all there ever were.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    alarm::RecordAlarm,
    event::{Event, EventKind, Record},
    latest::Latest,
    note::Note,
    options::RecordOptions,
    threads::Threads,
    totals::Totals,
};
use crate::budget::allocation_info::AllocationInfo;

#[derive(Debug)]
pub(in crate::budget) struct Recorder {
    ring: VecDeque<Event>,
    options: RecordOptions,
    alarm: Option<RecordAlarm>,
    tally: Tally,
}

/// What is kept of all events, those that left the ring too.
#[derive(Debug, Clone)]
struct Tally {
    began: Instant,
    started: SystemTime,
    totals: Totals,
    threads: Threads,
    event_count: u64,
    dropped_count: u64,
    allocated_bytes: u64,
    peak_bytes: u64,
}

impl Recorder {
    pub(super) fn new(options: RecordOptions, alarm: Option<RecordAlarm>) -> Self {
        let tally = Tally {
            began: Instant::now(),
            started: SystemTime::now(),
            totals: Totals::default(),
            threads: Threads::default(),
            event_count: 0,
            dropped_count: 0,
            allocated_bytes: 0,
            peak_bytes: 0,
        };
        Self { ring: VecDeque::new(), options, alarm, tally }
    }

    pub(super) fn options(&self) -> &RecordOptions {
        &self.options
    }

    pub(super) fn write(&mut self, note: &Note<'_>, thread: u32, stack: Option<&Arc<str>>) {
        let event = self.tally.count(note, thread, stack);
        if self.ring.len() >= self.options.capacity {
            self.ring.pop_front();
            self.tally.dropped_count += 1;
        }
        self.ring.push_back(event);
        if let Some(alarm) = &self.alarm {
            alarm.hear(note.kind, note.bytes);
        }
    }

    /// What there is since `seen` events, without the totals of all labels: to copy those would hold grants up.
    pub(super) fn latest(&self, seen: u64, most_labels: usize) -> Latest {
        let event_count = self.tally.event_count;
        let new_count = usize::try_from(event_count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let events = self.ring.iter().skip(self.ring.len().saturating_sub(new_count)).cloned().collect();
        let (labels, other_label_count) = self.tally.totals.largest(most_labels);
        Latest { events, event_count, labels, other_label_count }
    }

    /// What has been recorded so far, to be made a [`Record`] of without the lock.
    pub(in crate::budget) fn copy(&self, with_events: bool) -> Copied {
        let events = if with_events { self.ring.clone() } else { VecDeque::new() };
        Copied { tally: self.tally.clone(), events }
    }
}

/// A copy of what a recorder holds.
pub(in crate::budget) struct Copied {
    tally: Tally,
    events: VecDeque<Event>,
}

impl Copied {
    /// What a recording holds that there is none of.
    pub(in crate::budget) fn empty() -> Self {
        Recorder::new(RecordOptions::default(), None).copy(false)
    }

    /// The record, with what was live when the copy was made.
    pub(in crate::budget) fn into_record(self, live: Vec<AllocationInfo>) -> Record {
        let tally = self.tally;
        Record {
            started: tally.started,
            duration: tally.began.elapsed(),
            events: self.events.into(),
            event_count: tally.event_count,
            dropped_count: tally.dropped_count,
            labels: tally.totals.into_list(),
            live,
            allocated_bytes: tally.allocated_bytes,
            peak_bytes: tally.peak_bytes,
            threads: tally.threads.into_names(),
        }
    }
}

impl Tally {
    fn count(&mut self, note: &Note<'_>, thread: u32, stack: Option<&Arc<str>>) -> Event {
        let Note { kind, id, label, bytes, refused } = *note;
        match kind {
            EventKind::Held | EventKind::Grant => self.allocated_bytes += bytes,
            EventKind::Release => self.allocated_bytes -= bytes,
            _ => {}
        }
        self.peak_bytes = self.peak_bytes.max(self.allocated_bytes);
        self.event_count += 1;
        self.threads.meet(thread);
        Event {
            at: self.began.elapsed(),
            kind,
            id,
            label: self.totals.count(kind, label, bytes),
            bytes,
            allocated_bytes: self.allocated_bytes,
            thread,
            stack: stack.map(Arc::clone),
            refused: refused.cloned().map(Arc::new),
        }
    }
}
