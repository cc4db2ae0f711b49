//! How the bytes of a file are fetched.

use std::sync::{Arc, OnceLock};

/// By which calls a stream reads its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoMode {
    /// Positioned reads through the page cache.
    #[default]
    Read,
    /// Copies out of a map of the file. A file that is cut off meanwhile is an error, as with reads, and no signal.
    Mmap,
    /// Reads past the page cache (`O_DIRECT`).
    Direct,
}

names!(IoMode {
    Read => "read",
    Mmap => "mmap",
    Direct => "direct",
});

/// How a stream reads in fact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The calls that it reads by.
    pub io: IoMode,
    /// Why these are not those that were asked for.
    pub reason: Option<String>,
}

/// What was asked for, and why it is not what is done, once that is known.
#[derive(Debug, Clone)]
pub(super) struct AskedIo {
    pub io: IoMode,
    refusal: Arc<OnceLock<String>>,
}

impl AskedIo {
    pub fn new(io: IoMode, refusal: Option<String>) -> Self {
        let refusal = refusal.filter(|_| io != IoMode::Read);
        Self { io, refusal: Arc::new(refusal.map_or_else(OnceLock::new, OnceLock::from)) }
    }

    /// From now on the file is read by plain reads.
    pub fn refuse(&self, reason: String) {
        if self.io != IoMode::Read {
            let _ = self.refusal.set(reason); // The first reason is the one.
        }
    }

    pub fn is_refused(&self) -> bool {
        self.refusal.get().is_some()
    }

    pub fn reading(&self) -> Reading {
        match self.refusal.get() {
            None => Reading { io: self.io, reason: None },
            Some(reason) => Reading { io: IoMode::Read, reason: Some(reason.clone()) },
        }
    }
}
