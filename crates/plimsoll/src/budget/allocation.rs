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

    /// Makes an allocation of its own of `bytes` that have not been [taken](Self::commit), under another label; this one is so
    /// much smaller then. Nothing is granted or released: the budget counts both together as it did before. `None` where
    /// there are not so many.
    ///
    /// ```
    /// use plimsoll::MemoryBudget;
    ///
    /// let budget = MemoryBudget::new(100, 0)?;
    /// let mut model = budget.allocate(100, "model")?;
    /// let weights = model.split(60, "weights").expect("it has 100");
    /// assert_eq!((model.bytes(), weights.bytes(), budget.allocated_bytes()), (40, 60, 100));
    /// assert!(model.split(50, "more").is_none());
    /// # Ok::<(), plimsoll::Error>(())
    /// ```
    #[must_use]
    pub fn split(&mut self, bytes: u64, label: impl Into<Cow<'static, str>>) -> Option<Self> {
        let key = self.account.split(self.key, bytes, label.into())?;
        self.bytes -= bytes;
        Some(Self { account: Arc::clone(&self.account), key, bytes })
    }

    /// The opposite of [`split`](Self::split): this allocation has the other's bytes too, none of which may have been
    /// [taken](Self::commit). One of another budget, or of which some was, is released as if it were dropped.
    pub fn join(&mut self, mut part: Self) {
        if Arc::ptr_eq(&self.account, &part.account)
            && let Some(bytes) = self.account.join(self.key, part.key)
        {
            self.bytes += bytes;
            // There is nothing left that dropping it could release.
            part.key = usize::MAX;
        }
    }

    /// Makes it larger by bytes that the counter has already granted. Whether they are part of it now.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let grown = self.account.grow(self.key, bytes);
        self.bytes += if grown { bytes } else { 0 };
        grown
    }

    /// Releases `bytes` of it, those that were not [taken](Self::commit) first; no more than it has. Returns how many.
    pub fn shrink(&mut self, bytes: u64) -> u64 {
        let released = self.account.shrink(self.key, bytes);
        self.bytes -= released;
        released
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
