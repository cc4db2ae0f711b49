//! The guard over a part of a budget.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    books::Books,
    record::{EventKind, Origin},
};

/// Bytes taken off a budget; dropping the guard gives them back.
///
/// It outlives the [`MemoryBudget`](super::MemoryBudget) it came from, and may be dropped on any thread.
#[derive(Debug)]
#[must_use = "dropping the guard gives the bytes back at once"]
pub struct Allocation {
    books: Arc<Books>,
    key: usize,
    bytes: u64,
}

impl Allocation {
    /// Enters bytes that the counter has already granted.
    #[allow(clippy::inline_always)] // Measured.
    #[inline(always)]
    pub(super) fn enter(
        books: &Arc<Books>,
        bytes: u64,
        label: Cow<'static, str>,
        stack: Option<&str>,
        since: Instant,
    ) -> Self {
        let key = books.enter(label, bytes, stack, since);
        Self { books: Arc::clone(books), key, bytes }
    }

    /// The size of the allocation, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Says that `bytes` of it, in all, have really been taken: that much is no longer pending. It only rises, and
    /// never above the allocation's size.
    ///
    /// Headroom leaves room for what was granted and not yet taken. A holder that never says so is credited with
    /// what the whole process has grown by, which is right for one holder at a time and a guess for several.
    pub fn commit(&self, bytes: u64) {
        self.books.commit(self.key, bytes);
    }

    /// Says that the memory, all of which was [taken](Self::commit), is about to be given back, for holders whose memory is
    /// that of this process: it is no growth of others that is missing then. The guard is dropped once it has gone.
    pub(crate) fn leave(&self) {
        self.books.leave(self.key);
    }

    /// Records what its holder does with it, if anybody records.
    pub(crate) fn note(&self, kind: EventKind) {
        self.books.note(self.key, kind);
    }

    /// The label it was taken under.
    #[must_use]
    pub fn label(&self) -> String {
        self.books.label(self.key)
    }

    /// The time since it was granted.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.books.age(self.key)
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.books.strike(self.key);
    }
}

/// One line of the list of live allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationInfo {
    /// Its number, by which recordings know it; the highest there is for what another copy of this crate holds.
    pub id: u64,
    /// The label it was taken under.
    pub label: Cow<'static, str>,
    /// Its size, in bytes.
    pub bytes: u64,
    /// How much of it has really been taken, as its holder said, in bytes; `None` when it never did.
    pub committed_bytes: Option<u64>,
    /// The time since it was granted.
    pub age: Duration,
    /// Where it came from, if it was granted while a [`Recording`](super::Recording) ran and one has run ever since.
    pub origin: Option<Origin>,
}
