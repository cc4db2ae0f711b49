//! What budgets over the same memory share: the counter, and who holds what.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32},
    },
    time::{Duration, Instant},
};

use super::{
    allocation_info::AllocationInfo,
    counter::Counter,
    entry::{Committed, Entries},
    part::Part,
    pending::Pending,
    promised::Promised,
    record::{EventKind, Journal, Latest, Note, Record, RecordAlarm, RecordOptions, Refused},
    refused_requests::{RefusalLog, RefusedRequest, RefusedRequests},
    resident::{Leaving, Resident},
    shared_queue::SharedQueue,
    sharing::{Sharers, Unsettled},
    waiting::Waiting,
};
use crate::sync::{Mutex, MutexGuard, Ordering, lock, lock_modelled};

/// The counter with the list of live allocations.
///
/// The counter decides, the list tells: an entry is inserted after its bytes are taken and removed before they are
/// released, so the listed sum never exceeds the counted one.
#[derive(Debug)]
pub(crate) struct Account {
    pub(super) counter: Part<Counter>,
    /// Of the counter, what is in this account; none where that is all of it.
    pub(super) own: Option<Counter>,
    pending: Part<Pending>,
    /// Whether what is pending is counted as it changes. Where nobody weighs grants by it nor is credited with growth, it is
    /// summed up from the list when it is asked for.
    counts_pending: bool,
    entries: Mutex<Entries>,
    recorded: Recorded,
    /// Who else grants memory of the same machine.
    sharing: Option<Arc<dyn Sharers>>,
    /// Who holds it tells the others: what is told last was read last.
    telling: std::sync::Mutex<()>,
    /// What this process has resident; only accounts over its own machine's memory know.
    resident: Resident,
    /// Who waits for bytes of it.
    pub(super) waiting: Waiting,
    refused: std::sync::Mutex<RefusalLog>,
}

/// What recordings want to be told, for those who would otherwise not take the lock. Relaxed order suffices: what
/// slips past as a recording begins was asked for before.
#[derive(Debug, Default)]
struct Recorded {
    is_on: AtomicBool,
    stack_depth: AtomicU32,
}

// Derived `Default` is not there under loom.
impl Default for Account {
    /// An account of numbers alone.
    fn default() -> Self {
        Self { counts_pending: false, ..Self::weighed() }
    }
}

impl Account {
    /// An account over memory that is measured, and that nothing of this process is part of.
    pub(super) fn weighed() -> Self {
        Self::of(Part::Own(Counter::default()), Part::Own(Pending::new()), Resident::unknown())
    }

    /// An account that credits silent holders with the growth of what the process has resident.
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
            entries: Mutex::new(Entries::default()),
            recorded: Recorded::default(),
            sharing: None,
            telling: std::sync::Mutex::default(),
            resident,
            waiting: Waiting::new(),
            refused: std::sync::Mutex::default(),
        }
    }

    /// The same beside others who grant memory of the same machine.
    pub(super) fn shared_by(self, sharing: Option<Arc<dyn Sharers>>) -> Self {
        Self { sharing, ..self }
    }

    /// Who else grants memory of the same machine, if anybody does.
    pub(super) fn sharing(&self) -> Option<&dyn Sharers> {
        self.sharing.as_deref()
    }

    /// What was granted and has not been taken, for other processes.
    fn unsettled(&self) -> Unsettled {
        self.pending.unsettled()
    }

    /// Tells those who share the machine's memory, if any do, what has changed and what has not been taken.
    pub(super) fn tell(&self, tell: impl FnOnce(&dyn Sharers, Unsettled)) {
        if let Some(sharing) = self.sharing() {
            let telling = lock(&self.telling);
            tell(sharing, self.unsettled());
            drop(telling);
        }
    }

    /// What of the free bytes is not for those who ask out of turn: it is kept for who waits, here or in another process.
    #[inline]
    pub(super) fn kept_bytes(&self) -> u64 {
        let elsewhere = self.sharing().map_or(0, SharedQueue::kept_bytes);
        self.waiting.kept_bytes().max(elsewhere)
    }

    /// Whom it is kept for, in words.
    pub(super) fn kept_for(&self) -> String {
        if self.waiting.kept_bytes() > 0 {
            return self.waiting.kept_for();
        }
        "a request of another process, which waits for its turn".to_owned()
    }

    /// Takes bytes below the line; else says how many were available. [`insert`](Self::insert) lists them.
    pub(super) fn try_take(&self, bytes: u64, line_bytes: u64) -> Result<(), u64> {
        // First here, so that nobody takes for another copy's what is this account's own.
        if let Some(own) = &self.own {
            own.take(bytes);
        }
        self.counter.try_take(bytes, line_bytes).inspect_err(|_| {
            if let Some(own) = &self.own {
                own.release(bytes);
            }
        })
    }

    fn release(&self, bytes: u64) {
        self.counter.release(bytes);
        if let Some(own) = &self.own {
            own.release(bytes);
        }
        self.waiting.freed();
    }

    /// Takes back bytes that were taken and granted, and never listed.
    pub(super) fn cancel_grant(&self, bytes: u64) {
        if self.counts_pending {
            self.ungrant(bytes);
        }
        self.release(bytes);
        self.tell(|sharing, unsettled| sharing.release(bytes, unsettled));
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
        // Nobody weighs grants by what this account alone has granted.
        if let Part::Process(pending) = &self.pending {
            pending.grant(bytes);
        }
    }

    /// Ends the pending of bytes that were not taken after all.
    pub(super) fn ungrant(&self, bytes: u64) {
        self.pending.end(bytes, None);
    }

    pub(crate) fn allocated_bytes(&self) -> u64 {
        self.counter.allocated_bytes()
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.counter.peak_bytes()
    }

    /// Lists bytes already taken and pending; the key removes them again.
    #[allow(clippy::inline_always)] // Measured, see `Entries::insert`.
    #[inline(always)]
    pub(super) fn insert(
        &self,
        label: Cow<'static, str>,
        bytes: u64,
        stack: Option<&str>,
        since: Instant,
    ) -> usize {
        lock_modelled(&self.entries).insert(label, bytes, stack, since)
    }

    /// Removes the entry, then releases its bytes.
    pub(super) fn remove(&self, key: usize) {
        // The label is freed after the lock is.
        let removed = lock_modelled(&self.entries).remove(key);
        if let Some((bytes, committed, _label)) = removed {
            if self.counts_pending {
                self.end_pending(bytes, &committed);
            }
            self.release(bytes);
            self.tell(|sharing, unsettled| sharing.release(bytes, unsettled));
        }
    }

    fn end_pending(&self, bytes: u64, committed: &Committed) {
        match committed {
            Committed::Unsaid => self.pending.end(bytes, None),
            Committed::Said(committed) => self.pending.end(bytes, Some(*committed)),
            Committed::Leaving(leaving) => leaving.end(bytes, &self.pending, self.resident.now()),
        }
    }

    /// Notes that `bytes` of an entry have really been taken. It only rises, and never above the entry.
    pub(super) fn commit(&self, key: usize, bytes: u64) {
        let mut entries = lock_modelled(&self.entries);
        let Some(change) = entries.commit(key, bytes) else { return };
        if self.counts_pending {
            self.pending.commit(change.bytes, change.before, change.after);
        }
        if change.before != Some(change.after) {
            entries.record(key, EventKind::Commit);
        }
        drop(entries);
        self.tell(|sharing, unsettled| sharing.update(unsettled));
    }

    /// Makes an entry of its own of bytes of another that have not been taken; none where there are not so many. What is
    /// allocated and pending stays as it is.
    pub(super) fn split(&self, key: usize, bytes: u64, label: Cow<'static, str>) -> Option<usize> {
        // From here on its holder says what was taken: pending is then the sum of what both parts have not.
        self.commit(key, 0);
        lock_modelled(&self.entries).split(key, bytes, label, Instant::now())
    }

    /// The opposite of [`split`](Self::split). Returns how many bytes the entry has more.
    pub(super) fn join(&self, key: usize, part: usize) -> Option<u64> {
        self.commit(key, 0);
        // The label is freed after the lock is.
        let joined = lock_modelled(&self.entries).join(key, part);
        joined.map(|(bytes, _label)| bytes)
    }

    /// Adds bytes that are taken, and pending as those of one who said nothing, to an entry. Whether it is there.
    pub(super) fn grow(&self, key: usize, bytes: u64) -> bool {
        let Some(is_reported) = lock_modelled(&self.entries).grow(key, bytes) else { return false };
        if is_reported && self.counts_pending {
            self.pending.commit(bytes, None, 0);
        }
        self.tell(|sharing, unsettled| sharing.update(unsettled));
        true
    }

    /// Releases bytes of an entry, those that were not taken first. Returns how many: no more than it has.
    pub(super) fn shrink(&self, key: usize, bytes: u64) -> u64 {
        let Some((bytes, committed)) = lock_modelled(&self.entries).shrink(key, bytes) else { return 0 };
        if self.counts_pending {
            self.pending.end(bytes, committed);
        }
        self.release(bytes);
        self.tell(|sharing, unsettled| sharing.release(bytes, unsettled));
        bytes
    }

    /// Notes that the memory of an entry, all of which was taken, is about to be released.
    pub(super) fn leave(&self, key: usize) {
        if self.counts_pending {
            let begin = |bytes| Leaving::begin(bytes, &self.pending, self.resident.now());
            lock_modelled(&self.entries).leave(key, begin);
            self.tell(|sharing, unsettled| sharing.update(unsettled));
        }
    }

    /// Whether anybody records: one relaxed load.
    pub(super) fn is_recorded(&self) -> bool {
        self.recorded.is_on.load(Ordering::Relaxed)
    }

    /// How many frames of a caller's stack recordings want: one relaxed load.
    pub(super) fn stack_depth(&self) -> u32 {
        self.recorded.stack_depth.load(Ordering::Relaxed)
    }

    /// Records a request that was refused.
    pub(super) fn note_refusal(
        &self,
        label: &str,
        bytes: u64,
        stack: Option<&str>,
        refused: Option<&Refused>,
    ) {
        let mut entries = lock_modelled(&self.entries);
        let id = entries.take_serial();
        if let Some(journal) = entries.journal_mut() {
            journal.refuse(&Note { kind: EventKind::Refusal, id, label, bytes, refused }, stack);
        }
    }

    /// Counts and keeps a request that was refused in the end.
    pub(super) fn add_refused(&self, request: RefusedRequest) {
        lock(&self.refused).add(request);
    }

    pub(super) fn refused_requests(&self) -> RefusedRequests {
        lock(&self.refused).read()
    }

    /// Records what happened to an entry without changing it.
    pub(super) fn note(&self, key: usize, kind: EventKind) {
        if self.is_recorded() {
            lock_modelled(&self.entries).record(key, kind);
        }
    }

    /// The number of a load that begins.
    pub(super) fn take_serial(&self) -> u64 {
        lock_modelled(&self.entries).take_serial()
    }

    /// Records what happened to a load.
    pub(super) fn note_load(&self, kind: EventKind, id: u64, label: &str, bytes: u64) {
        if !self.is_recorded() {
            return;
        }
        if let Some(journal) = lock_modelled(&self.entries).journal_mut() {
            journal.write(&Note { kind, id, label, bytes, refused: None });
        }
    }

    /// Begins a recording; the key reads and ends it.
    pub(super) fn start_recording(&self, options: RecordOptions, alarm: Option<RecordAlarm>) -> usize {
        let mut entries = lock_modelled(&self.entries);
        let key = entries.start_recording(options, alarm);
        self.update_recorded(&entries);
        key
    }

    /// What has been recorded, and what is live.
    pub(super) fn read_recording(&self, key: usize, with_events: bool) -> Record {
        let entries = lock_modelled(&self.entries);
        let (copied, list) = (entries.copy_recording(key, with_events), entries.list());
        drop(entries);
        copied.into_record(list)
    }

    /// What a recording holds since it had seen `seen` events, and its largest labels.
    pub(super) fn latest_of_recording(&self, key: usize, seen: u64, most_labels: usize) -> Latest {
        lock_modelled(&self.entries).latest_of_recording(key, seen, most_labels)
    }

    pub(super) fn end_recording(&self, key: usize) {
        let mut entries = lock_modelled(&self.entries);
        let ended = entries.end_recording(key);
        self.update_recorded(&entries);
        drop(entries);
        drop(ended);
    }

    fn update_recorded(&self, entries: &MutexGuard<'_, Entries>) {
        let stack_depth = entries.journal().map_or(0, Journal::stack_depth);
        self.recorded.is_on.store(entries.journal().is_some(), Ordering::Relaxed);
        self.recorded.stack_depth.store(stack_depth, Ordering::Relaxed);
    }

    /// What is granted and not yet taken, see [`Pending::bytes`].
    pub(super) fn promised(&self) -> Promised {
        Promised::granted(if self.counts_pending {
            self.pending.bytes(|| self.resident.now())
        } else {
            lock_modelled(&self.entries).pending_bytes()
        })
        .with_elsewhere(self.sharing().map_or(0, Sharers::pending_bytes))
    }

    pub(super) fn label(&self, key: usize) -> String {
        lock_modelled(&self.entries).label(key)
    }

    pub(super) fn age(&self, key: usize) -> Duration {
        lock_modelled(&self.entries).age(key)
    }

    pub(super) fn list(&self) -> Vec<AllocationInfo> {
        lock_modelled(&self.entries).list()
    }
}

#[cfg(all(test, loom))]
mod model;
