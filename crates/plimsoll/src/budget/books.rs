//! What budgets over the same memory share: the counter, and who holds what.

use std::{
    borrow::Cow,
    mem,
    sync::atomic::{AtomicBool, AtomicU32},
    time::{Duration, Instant},
};

use slab::Slab;

use super::{
    allocation::AllocationInfo,
    counter::Counter,
    other_copies::Part,
    pending::Pending,
    record::{Copied, EventKind, Journal, Note, Record, RecordOptions, Recorder},
    resident::{Leaving, Resident},
};
use crate::sync::{Mutex, MutexGuard, Ordering, lock};

/// The counter with the list of live allocations.
///
/// The counter decides, the list tells: an entry is written after its bytes are taken and struck before they are
/// given, so the listed sum never exceeds the counted one.
#[derive(Debug)]
pub(crate) struct Books {
    pub(super) counter: Part<Counter>,
    /// Of the counter, what is in these books; none where that is all of it.
    pub(super) own: Option<Counter>,
    pending: Part<Pending>,
    /// Whether what is pending is counted as it changes. Where nobody weighs grants by it nor is credited with growth, it is
    /// summed up from the list when it is asked for.
    counts_pending: bool,
    live: Mutex<Live>,
    recorded: Recorded,
    /// What this process has resident; only books over its own machine's memory know.
    resident: Resident,
}

/// What recordings want to be told, for those who would otherwise not take the lock. Relaxed order suffices: what
/// slips past as a recording begins was asked for before.
#[derive(Debug, Default)]
struct Recorded {
    is_on: AtomicBool,
    stack_depth: AtomicU32,
}

#[derive(Debug, Default)]
struct Live {
    entries: Slab<Entry>,
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
    taken: Taken,
}

/// How much of an entry is memory that has really been taken.
#[derive(Debug)]
enum Taken {
    /// Its holder never said.
    Unsaid,
    /// So many bytes, as its holder said.
    Said(u64),
    /// All of it, and it is being given back.
    Leaving(Box<Leaving>),
}

// Derived `Default` is not there under loom.
impl Default for Books {
    /// Books of numbers alone.
    fn default() -> Self {
        Self { counts_pending: false, ..Self::weighed() }
    }
}

impl Books {
    /// Books over memory that is measured, and that nothing of this process is part of.
    pub(super) fn weighed() -> Self {
        Self::of(Part::Own(Counter::default()), Part::Own(Pending::new()), Resident::unknown())
    }

    /// Books that credit silent holders with the growth of what the process has resident.
    pub(super) fn measured_by(resident_bytes: fn() -> Option<u64>) -> Self {
        Self::of(
            Part::Own(Counter::default()),
            Part::Own(Pending::new()),
            Resident::measured_by(resident_bytes),
        )
    }

    pub(super) fn of(counter: Part<Counter>, pending: Part<Pending>, resident: Resident) -> Self {
        counter.begin();
        let own = matches!(counter, Part::Process(_)).then(Counter::default);
        Self {
            counter,
            own,
            pending,
            counts_pending: true,
            live: Mutex::new(Live::default()),
            recorded: Recorded::default(),
            resident,
        }
    }

    /// Takes bytes below the line; else says how many were available. [`enter`](Self::enter) lists them, or
    /// [`give`](Self::give) gives them back.
    pub(super) fn try_take(&self, bytes: u64, line_bytes: u64) -> Result<(), u64> {
        // First here, so that nobody takes for another copy's what is these books' own.
        if let Some(own) = &self.own {
            own.take(bytes);
        }
        self.counter.try_take(bytes, line_bytes).inspect_err(|_| {
            if let Some(own) = &self.own {
                own.give(bytes);
            }
        })
    }

    fn give(&self, bytes: u64) {
        self.counter.give(bytes);
        if let Some(own) = &self.own {
            own.give(bytes);
        }
    }

    /// Whether what is pending here is pending for the whole process.
    pub(super) fn is_of_this_process(&self) -> bool {
        matches!(self.pending, Part::Process(_))
    }

    pub(super) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// What the process has resident, as exactly as a holder of `bytes` needs it: the first of the silent ones in any case,
    /// another only if it is measured now.
    pub(super) fn resident_bytes(&self, bytes: u64, is_first: bool, now: Instant) -> Option<u64> {
        if is_first { self.resident.before(bytes, now) } else { self.resident.anew(bytes, now) }
    }

    /// Counts bytes as granted and pending that nobody weighs.
    pub(super) fn grant_unweighed(&self, bytes: u64, now: Instant) {
        if !self.counts_pending {
            return;
        }
        self.pending.begin(bytes, |is_first| self.resident_bytes(bytes, is_first, now));
        // Nobody weighs grants by what these books alone have granted.
        if let Part::Process(pending) = &self.pending {
            pending.grant(bytes);
        }
    }

    /// Takes back that bytes are pending which were not taken after all.
    pub(super) fn ungrant(&self, bytes: u64) {
        self.pending.end(bytes, None);
    }

    pub(crate) fn allocated_bytes(&self) -> u64 {
        self.counter.allocated_bytes()
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.counter.peak_bytes()
    }

    /// Writes an entry for bytes already taken and pending; the key strikes it again. Inlined, it is written where it
    /// stays: a copy by wide loads waits for the narrow stores just before it, for a third of what a guard costs.
    #[allow(clippy::inline_always)] // Measured.
    #[inline(always)]
    pub(super) fn enter(
        &self,
        label: Cow<'static, str>,
        bytes: u64,
        stack: Option<&str>,
        since: Instant,
    ) -> usize {
        let mut live = lock(&self.live);
        let serial = live.take_serial();
        let entry = Entry { serial, label, bytes, since, taken: Taken::Unsaid };
        let key = live.entries.insert(entry);
        if live.journal.is_some() {
            live.record_grant(key, stack);
        }
        key
    }

    /// Strikes the entry, then gives its bytes back.
    pub(super) fn strike(&self, key: usize) {
        // The label is freed after the lock is.
        let removed = lock(&self.live).remove(key);
        if let Some((bytes, taken, _label)) = removed {
            if self.counts_pending {
                self.end_pending(bytes, &taken);
            }
            self.give(bytes);
        }
    }

    fn end_pending(&self, bytes: u64, taken: &Taken) {
        match taken {
            Taken::Unsaid => self.pending.end(bytes, None),
            Taken::Said(committed) => self.pending.end(bytes, Some(*committed)),
            Taken::Leaving(leaving) => leaving.end(bytes, &self.pending, self.resident.now()),
        }
    }

    /// Notes that `bytes` of an entry have really been taken. It only rises, and never above the entry.
    pub(super) fn commit(&self, key: usize, bytes: u64) {
        let mut live = lock(&self.live);
        let Some(entry) = live.entries.get_mut(key) else { return };
        let before = match entry.taken {
            Taken::Unsaid => None,
            Taken::Said(bytes) => Some(bytes),
            Taken::Leaving(_) => return,
        };
        let committed = bytes.min(entry.bytes).max(before.unwrap_or(0));
        entry.taken = Taken::Said(committed);
        if self.counts_pending {
            self.pending.commit(entry.bytes, before, committed);
        }
        if before != Some(committed) {
            live.record(key, EventKind::Commit);
        }
    }

    /// Notes that the memory of an entry, all of which was taken, is about to be given back.
    pub(super) fn leave(&self, key: usize) {
        if !self.counts_pending {
            return;
        }
        let mut live = lock(&self.live);
        let Some(entry) = live.entries.get_mut(key) else { return };
        if matches!(entry.taken, Taken::Said(bytes) if bytes == entry.bytes) {
            let leaving = Leaving::begin(entry.bytes, &self.pending, self.resident.now());
            entry.taken = Taken::Leaving(Box::new(leaving));
        }
    }

    /// Whether anybody records: one relaxed load.
    fn is_recorded(&self) -> bool {
        self.recorded.is_on.load(Ordering::Relaxed)
    }

    /// How many frames of a caller's stack recordings want: one relaxed load.
    pub(super) fn stack_depth(&self) -> u32 {
        self.recorded.stack_depth.load(Ordering::Relaxed)
    }

    /// Records a request that was refused.
    pub(super) fn refuse(&self, label: &str, bytes: u64, stack: Option<&str>) {
        if !self.is_recorded() {
            return;
        }
        let mut live = lock(&self.live);
        let id = live.take_serial();
        if let Some(journal) = &mut live.journal {
            journal.refuse(&Note { kind: EventKind::Refusal, id, label, bytes }, stack);
        }
    }

    /// Records what happened to an entry without changing it.
    pub(super) fn note(&self, key: usize, kind: EventKind) {
        if !self.is_recorded() {
            return;
        }
        lock(&self.live).record(key, kind);
    }

    /// The number of a load that begins.
    pub(super) fn take_serial(&self) -> u64 {
        lock(&self.live).take_serial()
    }

    /// Records what happened to a load.
    pub(super) fn note_load(&self, kind: EventKind, id: u64, label: &str, bytes: u64) {
        if !self.is_recorded() {
            return;
        }
        if let Some(journal) = &mut lock(&self.live).journal {
            journal.write(&Note { kind, id, label, bytes });
        }
    }

    /// Begins a recording; the key reads and ends it.
    pub(super) fn start_recording(&self, options: RecordOptions) -> usize {
        let mut live = lock(&self.live);
        let key = live.start_recording(options);
        self.tell_recorded(&live);
        key
    }

    /// What has been recorded, and what is live.
    pub(super) fn read_recording(&self, key: usize, with_events: bool) -> Record {
        let live = lock(&self.live);
        let copied =
            live.journal.as_deref().map_or_else(Copied::empty, |journal| journal.copy(key, with_events));
        let list = live.list();
        drop(live);
        copied.into_record(list)
    }

    pub(super) fn end_recording(&self, key: usize) {
        let mut live = lock(&self.live);
        let ended = live.end_recording(key);
        self.tell_recorded(&live);
        drop(live);
        drop(ended);
    }

    fn tell_recorded(&self, live: &MutexGuard<'_, Live>) {
        let stack_depth = live.journal.as_deref().map_or(0, Journal::stack_depth);
        self.recorded.is_on.store(live.journal.is_some(), Ordering::Relaxed);
        self.recorded.stack_depth.store(stack_depth, Ordering::Relaxed);
    }

    /// Bytes granted and not yet taken, see [`Pending::bytes`].
    pub(super) fn pending_bytes(&self) -> u64 {
        if !self.counts_pending {
            let rest = |entry: &Entry| entry.bytes - entry.committed_bytes().unwrap_or(0);
            return lock(&self.live)
                .entries
                .iter()
                .map(|(_, entry)| rest(entry))
                .fold(0, u64::saturating_add);
        }
        self.pending.bytes(|| self.resident.now())
    }

    pub(super) fn label(&self, key: usize) -> String {
        let live = lock(&self.live);
        live.entries.get(key).map_or_else(String::new, |entry| entry.label.clone().into_owned())
    }

    pub(super) fn age(&self, key: usize) -> Duration {
        let live = lock(&self.live);
        live.entries.get(key).map_or(Duration::ZERO, |entry| entry.since.elapsed())
    }

    pub(super) fn list(&self) -> Vec<AllocationInfo> {
        lock(&self.live).list()
    }
}

impl Live {
    /// Removes an entry; returns what is left to do something about. The whole of it would be copied, see
    /// [`enter`](Books::enter).
    #[allow(clippy::inline_always)] // Measured.
    #[inline(always)]
    fn remove(&mut self, key: usize) -> Option<(u64, Taken, Cow<'static, str>)> {
        if self.journal.is_some() {
            self.record(key, EventKind::Release);
        }
        let entry = self.entries.get_mut(key)?;
        let label = mem::take(&mut entry.label);
        let taken = mem::replace(&mut entry.taken, Taken::Unsaid);
        let bytes = entry.bytes;
        drop(self.entries.try_remove(key));
        Some((bytes, taken, label))
    }

    /// Apart from those who call it, so that nobody who is not recorded pays for it.
    #[cold]
    fn record(&mut self, key: usize, kind: EventKind) {
        if let (Some(journal), Some(entry)) = (&mut self.journal, self.entries.get(key)) {
            journal.write(&entry.note(kind));
        }
    }

    #[cold]
    fn record_grant(&mut self, key: usize, stack: Option<&str>) {
        if let (Some(journal), Some(entry)) = (&mut self.journal, self.entries.get(key)) {
            journal.grant(&entry.note(EventKind::Grant), stack);
        }
    }

    fn take_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    fn list(&self) -> Vec<AllocationInfo> {
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
        oldest_first(&self.entries).map(info).collect()
    }

    fn start_recording(&mut self, options: RecordOptions) -> usize {
        let held = oldest_first(&self.entries).map(|entry| entry.note(EventKind::Held));
        self.journal.get_or_insert_default().start(options, held)
    }

    /// Takes a recording out, and the journal with the last of them. They are freed by the caller, without the lock.
    fn end_recording(&mut self, key: usize) -> (Option<Recorder>, Option<Box<Journal>>) {
        let ended = self.journal.as_mut().and_then(|journal| journal.end(key));
        (ended, self.journal.take_if(|journal| journal.is_empty()))
    }
}

fn oldest_first(entries: &Slab<Entry>) -> impl Iterator<Item = &Entry> {
    let mut entries: Vec<_> = entries.iter().map(|(_, entry)| entry).collect();
    entries.sort_unstable_by_key(|entry| entry.serial);
    entries.into_iter()
}

impl Entry {
    /// How much of it has really been taken, as its holder said.
    fn committed_bytes(&self) -> Option<u64> {
        match self.taken {
            Taken::Unsaid => None,
            Taken::Said(bytes) => Some(bytes),
            Taken::Leaving(_) => Some(self.bytes),
        }
    }

    fn note(&self, kind: EventKind) -> Note<'_> {
        let bytes = match kind {
            EventKind::Commit => self.committed_bytes().unwrap_or(0),
            _ => self.bytes,
        };
        Note { kind, id: self.serial, label: &self.label, bytes }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::{Books, EventKind, Instant, RecordOptions};
    use loom::{sync::Arc, thread};

    /// A guard taken and given on one thread while another looks: the list never tells of more than the counter
    /// holds, and both end empty.
    #[test]
    fn the_list_never_exceeds_the_counter() {
        loom::model(|| {
            let books = Arc::new(Books::default());
            let other = Arc::clone(&books);
            let guard = thread::spawn(move || {
                other.try_take(40, 80).unwrap();
                other.grant_unweighed(40, Instant::now());
                let key = other.enter("guard".into(), 40, None, Instant::now());
                other.strike(key);
            });
            let listed: u64 = books.list().iter().map(|info| info.bytes).sum();
            assert!(listed <= books.peak_bytes() && books.allocated_bytes() <= 80);
            guard.join().unwrap();
            assert_eq!(books.allocated_bytes(), 0);
            assert!(books.list().is_empty());
        });
    }

    /// A recording that begins while a guard is taken and given on another thread: whenever it is read, its sum is that
    /// of the list, and in the end it has seen a release for every allocation it knows of.
    #[test]
    fn a_recording_agrees_with_the_list_whenever_it_begins() {
        loom::model(|| {
            let books = Arc::new(Books::default());
            let other = Arc::clone(&books);
            let guard = thread::spawn(move || {
                other.try_take(40, 80).unwrap();
                other.grant_unweighed(40, Instant::now());
                let key = other.enter("guard".into(), 40, None, Instant::now());
                other.strike(key);
            });
            let recording = books.start_recording(RecordOptions::default());
            let early = books.read_recording(recording, true);
            assert_eq!(early.live.iter().map(|info| info.bytes).sum::<u64>(), early.allocated_bytes);
            guard.join().unwrap();
            let late = books.read_recording(recording, true);
            assert_eq!(late.allocated_bytes, 0);
            let releases = late.events.iter().filter(|event| event.kind == EventKind::Release).count();
            assert_eq!(releases * 2, late.events.len());
            books.end_recording(recording);
        });
    }
}
