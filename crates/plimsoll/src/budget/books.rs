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
}

#[derive(Debug, Default)]
struct Live {
    entries: Slab<Entry>,
    next_serial: u64,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    label: Cow<'static, str>,
    bytes: u64,
    since: Instant,
}

// Derived `Default` is not there under loom.
impl Default for Books {
    fn default() -> Self {
        Self { counter: Counter::default(), live: Mutex::new(Live::default()) }
    }
}

impl Books {
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
        live.entries.insert(Entry { serial, label, bytes, since })
    }

    /// Strikes the entry, then gives its bytes back.
    pub(super) fn strike(&self, key: usize) {
        // The label is freed after the lock is.
        let entry = lock(&self.live).entries.try_remove(key);
        if let Some(entry) = entry {
            self.counter.give(entry.bytes);
        }
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
