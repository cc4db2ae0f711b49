//! How a black box is made.

use std::{fmt, path::PathBuf, time::Duration};

use crate::{error::Error, ledger::LedgerHolder};

/// Tells who holds what of the board, for the black box of one who shares it: all of them, the writer among them. Where it
/// tells of nobody, the writer is told of by its budget.
pub type HolderSource = Box<dyn Fn() -> Vec<LedgerHolder> + Send + Sync>;

/// Is told once when a block cannot be written, and once more after one could be written again. It is called on the thread of
/// the black box and must not wait.
pub type TroubleObserver = Box<dyn Fn(&Error) + Send + Sync>;

/// How a black box is made.
pub struct BlackBoxOptions {
    /// Its file. By default the one of that [name](Self::name) in [`default_black_box_path`](super::default_black_box_path).
    pub path: Option<PathBuf>,
    /// The name of the ledger that it is about: letters, digits, `-` and `_`, at most 64. `"board"` by default.
    pub name: String,
    /// What the process is called. The name of its program by default.
    pub process_name: Option<String>,
    /// The longest time between two blocks, 250 ms to a minute; a second by default.
    pub interval: Duration,
    /// Who holds what of the board: by default this process alone is told.
    pub holders: Option<HolderSource>,
    /// Who is told that a block could not be written. Nobody by default; [`BlackBox::stats`](super::BlackBox::stats) counts.
    pub on_trouble: Option<TroubleObserver>,
}

impl Default for BlackBoxOptions {
    fn default() -> Self {
        Self {
            path: None,
            name: "board".to_owned(),
            process_name: None,
            interval: Duration::from_secs(1),
            holders: None,
            on_trouble: None,
        }
    }
}

impl fmt::Debug for BlackBoxOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlackBoxOptions")
            .field("path", &self.path)
            .field("name", &self.name)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
