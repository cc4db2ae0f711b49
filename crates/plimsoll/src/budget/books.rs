//! What budgets over the same memory share: the counter, and who holds what.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use slab::Slab;

use super::{allocation::AllocationInfo, counter::Counter};
use crate::sync::{Mutex, lock};

/// The counter with the list of live allocations.
///
/// The counter decides, the list tells: an entry is written after its bytes are taken and struck before they are
/// given, so the listed sum never exceeds the counted one.
#[derive(Debug)]
pub(crate) struct Books {
    counter: Counter,
    live: Mutex<Live>,
    /// Tells what this process has resident, in bytes; only books over this machine's memory ask.
    resident_bytes: fn() -> Option<u64>,
}

#[derive(Debug, Default)]
struct Live {
    entries: Slab<Entry>,
    next_serial: u64,
    /// Entries that never said what they committed.
    silent_count: usize,
    /// What was resident when the first of them was entered, in bytes.
    resident_before_bytes: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    label: Cow<'static, str>,
    bytes: u64,
    since: Instant,
    /// How much of it is memory that has really been taken, as its holder said; `None` when it never did.
    committed_bytes: Option<u64>,
}

// Derived `Default` is not there under loom.
impl Default for Books {
    fn default() -> Self {
        Self::measured_by(|| None)
    }
}

impl Books {
    /// Books that credit silent holders with the growth of what the process has resident.
    pub(super) fn measured_by(resident_bytes: fn() -> Option<u64>) -> Self {
        Self { counter: Counter::default(), live: Mutex::new(Live::default()), resident_bytes }
    }

    pub(crate) fn counter(&self) -> &Counter {
        &self.counter
    }

    pub(crate) fn allocated_bytes(&self) -> u64 {
        self.counter.allocated_bytes()
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.counter.peak_bytes()
    }

    /// Writes an entry for bytes already taken; the key strikes it again.
    pub(super) fn enter(&self, label: Cow<'static, str>, bytes: u64) -> usize {
        let since = Instant::now();
        let mut live = lock(&self.live);
        let serial = live.next_serial;
        live.next_serial += 1;
        if live.silent_count == 0 {
            live.resident_before_bytes = (self.resident_bytes)();
        }
        live.silent_count += 1;
        live.entries.insert(Entry { serial, label, bytes, since, committed_bytes: None })
    }

    /// Strikes the entry, then gives its bytes back.
    pub(super) fn strike(&self, key: usize) {
        // The label is freed after the lock is.
        let entry = lock(&self.live).remove(key);
        if let Some(entry) = entry {
            self.counter.give(entry.bytes);
        }
    }

    /// Notes that `bytes` of an entry have really been taken. It only rises, and never above the entry.
    pub(super) fn commit(&self, key: usize, bytes: u64) {
        let mut live = lock(&self.live);
        let Some(entry) = live.entries.get_mut(key) else { return };
        let was_silent = entry.committed_bytes.is_none();
        entry.committed_bytes = Some(bytes.min(entry.bytes).max(entry.committed_bytes.unwrap_or(0)));
        live.silent_count -= usize::from(was_silent);
    }

    /// Bytes granted and not yet taken: of each holder that says what it took, the rest; of the silent ones together,
    /// what they were granted less what the process has grown by since the first of them, the others' share aside.
    pub(super) fn pending_bytes(&self) -> u64 {
        let (mut pending, mut committed, mut silent) = (0_u64, 0_u64, 0_u64);
        let live = lock(&self.live);
        for (_, entry) in &live.entries {
            match entry.committed_bytes {
                Some(taken) => {
                    committed = committed.saturating_add(taken);
                    pending = pending.saturating_add(entry.bytes - taken);
                }
                None => silent = silent.saturating_add(entry.bytes),
            }
        }
        if silent == 0 {
            return pending;
        }
        let grown = (self.resident_bytes)().zip(live.resident_before_bytes);
        let grown = grown.map_or(0, |(now, before)| now.saturating_sub(before));
        pending.saturating_add(silent.saturating_sub(grown.saturating_sub(committed)))
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
        let live = lock(&self.live);
        // One clock reading for all, or a younger allocation could show the greater age.
        let now = Instant::now();
        let mut entries: Vec<_> = live.entries.iter().map(|(_, entry)| entry).collect();
        entries.sort_unstable_by_key(|entry| entry.serial);
        entries
            .into_iter()
            .map(|entry| AllocationInfo {
                label: entry.label.clone(),
                bytes: entry.bytes,
                age: now.saturating_duration_since(entry.since),
            })
            .collect()
    }
}

impl Live {
    fn remove(&mut self, key: usize) -> Option<Entry> {
        let entry = self.entries.try_remove(key)?;
        self.silent_count -= usize::from(entry.committed_bytes.is_none());
        Some(entry)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Books;
    use std::sync::atomic::{AtomicU64, Ordering};

    static RESIDENT: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn silent_holders_are_credited_with_growth_and_never_above_their_grants() {
        let books = Books::measured_by(|| Some(RESIDENT.load(Ordering::Relaxed)));
        RESIDENT.store(1000, Ordering::Relaxed);
        let first = books.enter("first".into(), 300);
        assert_eq!(books.pending_bytes(), 300);
        RESIDENT.store(1100, Ordering::Relaxed);
        let second = books.enter("second".into(), 50);
        assert_eq!(books.pending_bytes(), 250);
        RESIDENT.store(900, Ordering::Relaxed);
        assert_eq!(books.pending_bytes(), 350, "shrinking takes no credit");
        RESIDENT.store(9000, Ordering::Relaxed);
        assert_eq!(books.pending_bytes(), 0);
        books.strike(first);
        books.strike(second);
        // All have gone: the next one starts from what is resident then.
        let third = books.enter("third".into(), 70);
        assert_eq!(books.pending_bytes(), 70);
        books.strike(third);
        assert_eq!(books.pending_bytes(), 0);
    }

    #[test]
    fn what_a_holder_says_counts_for_it_alone() {
        let books = Books::measured_by(|| Some(5000));
        let key = books.enter("weights".into(), 400);
        books.commit(key, 100);
        assert_eq!(books.pending_bytes(), 300);
        books.commit(key, 50);
        assert_eq!(books.pending_bytes(), 300, "it only rises");
        let silent = books.enter("silent".into(), 10);
        assert_eq!(books.pending_bytes(), 310, "committed bytes are not the silent one's growth");
        books.commit(key, u64::MAX);
        assert_eq!(books.pending_bytes(), 10, "never above the grant");
        books.strike(silent);
        books.strike(key);
        books.commit(key, 1);
        assert_eq!(books.pending_bytes(), 0);
    }

    #[test]
    fn where_nothing_can_be_measured_a_grant_is_pending_until_its_holder_speaks() {
        let books = Books::default();
        let key = books.enter("x".into(), 8);
        assert_eq!(books.pending_bytes(), 8);
        books.commit(key, 8);
        assert_eq!(books.pending_bytes(), 0);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::Books;
    use loom::{sync::Arc, thread};

    /// A guard taken and given on one thread while another looks: the list never tells of more than the counter
    /// holds, and both end empty.
    #[test]
    fn the_list_never_exceeds_the_counter() {
        loom::model(|| {
            let books = Arc::new(Books::default());
            let other = Arc::clone(&books);
            let guard = thread::spawn(move || {
                other.counter().try_take(40, 80).unwrap();
                let key = other.enter("guard".into(), 40);
                other.strike(key);
            });
            let listed: u64 = books.list().iter().map(|info| info.bytes).sum();
            assert!(listed <= books.peak_bytes() && books.allocated_bytes() <= 80);
            guard.join().unwrap();
            assert_eq!(books.allocated_bytes(), 0);
            assert!(books.list().is_empty());
        });
    }
}
