//! The guard over a part of a budget.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{account::Account, record::EventKind};

/// Bytes taken off a budget; dropping the guard releases them.
///
/// It outlives the [`MemoryBudget`](super::MemoryBudget) it came from, and may be dropped on any thread.
#[derive(Debug)]
#[must_use = "dropping the guard releases the bytes at once"]
pub struct Allocation {
    account: Arc<Account>,
    key: usize,
    bytes: u64,
}

impl Allocation {
    /// Lists bytes that the counter has already granted.
    #[allow(clippy::inline_always)] // Measured.
    #[inline(always)]
    pub(super) fn insert(
        account: &Arc<Account>,
        bytes: u64,
        label: Cow<'static, str>,
        stack: Option<&str>,
        since: Instant,
    ) -> Self {
        let key = account.insert(label, bytes, stack, since);
        Self { account: Arc::clone(account), key, bytes }
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
        self.account.commit(self.key, bytes);
    }

    /// Says that the memory, all of which was [taken](Self::commit), is about to be released, for holders whose memory is
    /// that of this process: it is no growth of others that is missing then. The guard is dropped once it has gone.
    pub(crate) fn leave(&self) {
        self.account.leave(self.key);
    }

    /// Records what its holder does with it, if anybody records.
    pub(crate) fn note(&self, kind: EventKind) {
        self.account.note(self.key, kind);
    }

    /// The label it was taken under.
    #[must_use]
    pub fn label(&self) -> String {
        self.account.label(self.key)
    }

    /// The time since it was granted.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.account.age(self.key)
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.account.remove(self.key);
    }
}
