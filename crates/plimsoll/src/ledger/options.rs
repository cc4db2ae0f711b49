//! How a ledger is found and made.

use std::{path::PathBuf, time::Duration};

/// Which ledger, where it lies, and who may share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Its name: letters, digits, `-` and `_`, at most 64. `"board"` by default. Servers that share RAM share one name.
    pub name: String,
    /// The folder that it lies in. By default `/run/plimsoll` where that exists and may be written to, or root asks; else
    /// `/dev/shm/plimsoll-UID`, which is each user's own.
    pub directory: Option<PathBuf>,
    /// A group whose members share it, by number. By default its owner alone does (mode 0600).
    pub group: Option<u32>,
    /// Whether a file system that is not kept in RAM will do. On one that outlives the board's power a ledger is made anew
    /// at each start; on one of a network its locks may not hold.
    pub force: bool,
    /// How long the memory of a process that died may take to come back; 2 seconds by default.
    pub drain: Duration,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            name: "board".to_owned(),
            directory: None,
            group: None,
            force: false,
            drain: Duration::from_secs(2),
        }
    }
}
