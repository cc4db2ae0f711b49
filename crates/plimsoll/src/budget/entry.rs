//! The list of live allocations, and what each of its entries says.

use crate::sorting::sort_by_key;
use std::{
    borrow::Cow,
    mem,
    time::{Duration, Instant},
};

use slab::Slab as Slots;

use super::{
    allocation_info::AllocationInfo,
    record::{Copied, EventKind, Journal, Latest, Note, RecordAlarm, RecordOptions, Recorder},
    resident::Leaving,
};

/// The entries of an account, and the journal of what happens to them.
#[derive(Debug, Default)]
pub(super) struct Entries {
    slots: Slots<Entry>,
    /// There while anybody records.
    journal: Option<Box<Journal>>,
    next_serial: u64,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    label: Cow<'static, str>,
    bytes: u64,
    since: Instant,
    committed: Committed,
}

/// How much of an entry is memory that has really been taken.
#[derive(Debug)]
pub(super) enum Committed {
    /// Its holder never said.
    Unsaid,
    /// So many bytes, as its holder said.
    Said(u64),
    /// All of it, and it is being released.
    Leaving(Box<Leaving>),
}

/// What a holder had said, and says now.
pub(super) struct Change {
    /// The size of its entry.
    pub(super) bytes: u64,
    pub(super) before: Option<u64>,
    pub(super) after: u64,
}

impl Entries {
    /// Writes an entry and returns its key. Inlined, it is written where it stays: a copy by wide loads waits for the narrow
    /// stores just before it, for a third of what a guard costs.
    #[allow(clippy::inline_always)] // Measured.
    #[inline(always)]
    pub(super) fn insert(
        &mut self,
        label: Cow<'static, str>,
        bytes: u64,
        stack: Option<&str>,
        since: Instant,
    ) -> usize {
        let serial = self.take_serial();
        let entry = Entry { serial, label, bytes, since, committed: Committed::Unsaid };
        let key = self.slots.insert(entry);
        if self.journal.is_some() {
            self.record_grant(key, stack);
        }
        key
    }

    /// Removes an entry; returns what is left to do something about. The whole of it would be copied, see
    /// [`insert`](Self::insert).
    #[allow(clippy::inline_always)] // Measured.
    #[inline(always)]
    pub(super) fn remove(&mut self, key: usize) -> Option<(u64, Committed, Cow<'static, str>)> {
        if self.journal.is_some() {
            self.record(key, EventKind::Release);
        }
        let entry = self.slots.get_mut(key)?;
        let label = mem::take(&mut entry.label);
        let committed = mem::replace(&mut entry.committed, Committed::Unsaid);
        let bytes = entry.bytes;
        drop(self.slots.try_remove(key));
        Some((bytes, committed, label))
    }

    /// Notes that `bytes` of an entry have really been taken; none where there is no such entry, or it is being released.
    pub(super) fn commit(&mut self, key: usize, bytes: u64) -> Option<Change> {
        let entry = self.slots.get_mut(key)?;
        let before = match entry.committed {
            Committed::Unsaid => None,
            Committed::Said(bytes) => Some(bytes),
            Committed::Leaving(_) => return None,
        };
        let after = bytes.min(entry.bytes).max(before.unwrap_or(0));
        entry.committed = Committed::Said(after);
        Some(Change { bytes: entry.bytes, before, after })
    }

    /// Makes an entry of its own of bytes that the holder of `key` has not taken, and says so; none where there are not so
    /// many. Who records sees the whole released, and both parts granted.
    pub(super) fn split(
        &mut self,
        key: usize,
        bytes: u64,
        label: Cow<'static, str>,
        since: Instant,
    ) -> Option<usize> {
        let entry = self.slots.get(key)?;
        let Committed::Said(committed) = entry.committed else { return None };
        if bytes > entry.bytes - committed {
            return None;
        }
        let is_recorded = self.journal.is_some();
        if is_recorded {
            self.record(key, EventKind::Release);
        }
        let (rest, part) = (self.take_serial(), self.take_serial());
        let entry = self.slots.get_mut(key)?;
        entry.serial = rest;
        entry.bytes -= bytes;
        let committed = Committed::Said(0);
        let part = self.slots.insert(Entry { serial: part, label, bytes, since, committed });
        if is_recorded {
            self.record_grant(key, None);
            self.record_grant(part, None);
        }
        Some(part)
    }

    /// Adds the bytes of `part`, of which its holder said that none were taken, to another entry of such a holder, and forgets
    /// it. Returns its bytes, and its label.
    pub(super) fn join(&mut self, key: usize, part: usize) -> Option<(u64, Cow<'static, str>)> {
        let said =
            |entry: Option<&Entry>| entry.is_some_and(|entry| matches!(entry.committed, Committed::Said(_)));
        let untaken = self.slots.get(part).is_some_and(|entry| matches!(entry.committed, Committed::Said(0)));
        if key == part || !untaken || !said(self.slots.get(key)) {
            return None;
        }
        let is_recorded = self.journal.is_some();
        if is_recorded {
            self.record(part, EventKind::Release);
            self.record(key, EventKind::Release);
        }
        let part = self.slots.try_remove(part)?;
        let serial = self.take_serial();
        let entry = self.slots.get_mut(key)?;
        entry.bytes += part.bytes;
        entry.serial = serial;
        if is_recorded {
            self.record_grant(key, None);
        }
        Some((part.bytes, part.label))
    }

    /// Adds bytes to an entry; none where there is none, or it is being released. Whether its holder says what was taken.
    pub(super) fn grow(&mut self, key: usize, bytes: u64) -> Option<bool> {
        let entry = self.slots.get(key)?;
        let is_reported = match entry.committed {
            Committed::Unsaid => false,
            Committed::Said(_) => true,
            Committed::Leaving(_) => return None,
        };
        self.resize(key, entry.bytes.checked_add(bytes)?);
        Some(is_reported)
    }

    /// Takes bytes off an entry, no more than it has. Returns how many, and how many of those its holder had said were taken:
    /// only what it cannot keep.
    pub(super) fn shrink(&mut self, key: usize, bytes: u64) -> Option<(u64, Option<u64>)> {
        let entry = self.slots.get_mut(key)?;
        let bytes = bytes.min(entry.bytes);
        let left = entry.bytes - bytes;
        let committed = match &mut entry.committed {
            Committed::Unsaid => None,
            Committed::Said(committed) => {
                let gone = committed.saturating_sub(left);
                *committed -= gone;
                Some(gone)
            }
            Committed::Leaving(_) => return None,
        };
        self.resize(key, left);
        Some((bytes, committed))
    }

    /// Who records sees the entry released, and one of its new size granted.
    fn resize(&mut self, key: usize, bytes: u64) {
        let is_recorded = self.journal.is_some();
        if is_recorded {
            self.record(key, EventKind::Release);
        }
        let serial = is_recorded.then(|| self.take_serial());
        if let Some(entry) = self.slots.get_mut(key) {
            entry.bytes = bytes;
            entry.serial = serial.unwrap_or(entry.serial);
        }
        if is_recorded {
            self.record_grant(key, None);
        }
    }

    /// Notes that an entry, all of which was taken, is being released.
    pub(super) fn leave(&mut self, key: usize, begin: impl FnOnce(u64) -> Leaving) {
        let Some(entry) = self.slots.get_mut(key) else { return };
        if matches!(entry.committed, Committed::Said(bytes) if bytes == entry.bytes) {
            entry.committed = Committed::Leaving(Box::new(begin(entry.bytes)));
        }
    }

    /// What holders have not taken of their entries, as far as they said, in bytes.
    pub(super) fn pending_bytes(&self) -> u64 {
        let rest = |entry: &Entry| entry.bytes - entry.committed_bytes().unwrap_or(0);
        self.slots.iter().map(|(_, entry)| rest(entry)).fold(0, u64::saturating_add)
    }

    pub(super) fn label(&self, key: usize) -> String {
        self.slots.get(key).map_or_else(String::new, |entry| entry.label.clone().into_owned())
    }

    pub(super) fn age(&self, key: usize) -> Duration {
        self.slots.get(key).map_or(Duration::ZERO, |entry| entry.since.elapsed())
    }

    /// The entries, oldest first.
    pub(super) fn list(&self) -> Vec<AllocationInfo> {
        // One clock reading for all, or a younger allocation could show the greater age.
        let now = Instant::now();
        let info = |entry: &Entry| AllocationInfo {
            id: entry.serial,
            label: entry.label.clone(),
            bytes: entry.bytes,
            committed_bytes: entry.committed_bytes(),
            age: now.saturating_duration_since(entry.since),
            origin: self.journal.as_ref().and_then(|journal| journal.origin(entry.serial)).cloned(),
        };
        oldest_first(&self.slots).map(info).collect()
    }

    /// The next number of an allocation, a refusal or a load.
    pub(super) fn take_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    pub(super) fn journal(&self) -> Option<&Journal> {
        self.journal.as_deref()
    }

    pub(super) fn journal_mut(&mut self) -> Option<&mut Journal> {
        self.journal.as_deref_mut()
    }

    /// Apart from those who call it, so that nobody who is not recorded pays for it.
    #[cold]
    pub(super) fn record(&mut self, key: usize, kind: EventKind) {
        if let (Some(journal), Some(entry)) = (&mut self.journal, self.slots.get(key)) {
            journal.write(&entry.note(kind));
        }
    }

    #[cold]
    fn record_grant(&mut self, key: usize, stack: Option<&str>) {
        if let (Some(journal), Some(entry)) = (&mut self.journal, self.slots.get(key)) {
            journal.grant(&entry.note(EventKind::Grant), stack);
        }
    }

    pub(super) fn start_recording(&mut self, options: RecordOptions, alarm: Option<RecordAlarm>) -> usize {
        let held = oldest_first(&self.slots).map(|entry| entry.note(EventKind::Held));
        self.journal.get_or_insert_default().start(options, alarm, held)
    }

    /// What a recording holds since it had seen `seen` events.
    pub(super) fn latest_of_recording(&self, key: usize, seen: u64, most_labels: usize) -> Latest {
        self.journal().map_or_else(Latest::default, |journal| journal.latest(key, seen, most_labels))
    }

    /// What a recording holds.
    pub(super) fn copy_recording(&self, key: usize, with_events: bool) -> Copied {
        self.journal().map_or_else(Copied::empty, |journal| journal.copy(key, with_events))
    }

    /// Takes a recording out, and the journal with the last of them. They are freed by the caller, without the lock.
    pub(super) fn end_recording(&mut self, key: usize) -> (Option<Recorder>, Option<Box<Journal>>) {
        let ended = self.journal.as_mut().and_then(|journal| journal.end(key));
        (ended, self.journal.take_if(|journal| journal.is_empty()))
    }
}

fn oldest_first(slots: &Slots<Entry>) -> impl Iterator<Item = &Entry> {
    let mut entries: Vec<_> = slots.iter().map(|(_, entry)| entry).collect();
    sort_by_key(&mut entries, |entry| entry.serial);
    entries.into_iter()
}

impl Entry {
    /// How much of it has really been taken, as its holder said.
    fn committed_bytes(&self) -> Option<u64> {
        match self.committed {
            Committed::Unsaid => None,
            Committed::Said(bytes) => Some(bytes),
            Committed::Leaving(_) => Some(self.bytes),
        }
    }

    fn note(&self, kind: EventKind) -> Note<'_> {
        let bytes = match kind {
            EventKind::Commit => self.committed_bytes().unwrap_or(0),
            _ => self.bytes,
        };
        Note { kind, id: self.serial, label: &self.label, bytes, refused: None }
    }
}
