//! Which thread it is.

use std::collections::BTreeMap;

/// Names kept at most: a process that starts a thread for each request would have no end of them.
const MAX_NAMES: usize = 4096;

thread_local! {
    static ID: u32 = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
}

/// The kernel's number of this thread. 0 while the thread ends, when nothing of it is left to ask.
pub(super) fn current() -> u32 {
    ID.try_with(|id| *id).unwrap_or(0)
}

/// The names of threads, taken down when each is first met: later it may be gone.
#[derive(Debug, Clone, Default)]
pub(super) struct Threads {
    names: BTreeMap<u32, String>,
}

impl Threads {
    /// Notes the name of this thread, whose number is `id`.
    pub(super) fn meet(&mut self, id: u32) {
        if self.names.contains_key(&id) || self.names.len() >= MAX_NAMES {
            return;
        }
        if let Ok(name) = rustix::thread::name() {
            self.names.insert(id, name.to_string_lossy().into_owned());
        }
    }

    pub(super) fn into_names(self) -> BTreeMap<u32, String> {
        self.names
    }
}
