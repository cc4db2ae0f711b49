//! Where a later room, in which callers wait for their turn, hooks into an account: it is told of what becomes free, and
//! says what is kept for whom.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex as StdMutex, OnceLock},
};

use crate::sync::{AtomicU64, Ordering, lock};

/// Is told that bytes may have become free. It is called by whoever released them, and must neither wait nor call back.
pub(crate) trait Wake: Any + fmt::Debug + Send + Sync {
    fn wake(&self);
}

/// Who waits for bytes of an account, and what is kept for them. While nobody does, a grant costs one relaxed load more, and
/// a release another.
#[derive(Debug)]
pub(crate) struct Waiting {
    count: AtomicU64,
    kept_bytes: AtomicU64,
    /// Whom they are kept for, in words.
    kept_for: StdMutex<String>,
    hook: OnceLock<Arc<dyn Wake>>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            kept_bytes: AtomicU64::new(0),
            kept_for: StdMutex::default(),
            hook: OnceLock::new(),
        }
    }

    /// Bytes may have become free: one relaxed load where nobody waits for them.
    #[inline]
    pub(super) fn freed(&self) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if let Some(hook) = self.hook.get() {
            hook.wake();
        }
    }

    /// What of the free bytes is not for those who ask out of turn. Relaxed order suffices: who slips past as it changes asked
    /// before.
    #[inline]
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn kept_for(&self) -> String {
        lock(&self.kept_for).clone()
    }

    pub(super) fn keep(&self, bytes: u64, whom: impl FnOnce() -> String) {
        if bytes > 0 {
            *lock(&self.kept_for) = whom();
        }
        self.kept_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn set_count(&self, count: usize) {
        self.count.store(count as u64, Ordering::Relaxed);
    }

    /// What a later room keeps here: one for all who share the account.
    pub(super) fn hook<T: Wake>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        let hook = Arc::clone(self.hook.get_or_init(|| Arc::new(make())));
        let any: Arc<dyn Any + Send + Sync> = hook;
        any.downcast().ok()
    }
}
