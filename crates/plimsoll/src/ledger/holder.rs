//! A process that has a share, for those who look.

use std::fmt;

use super::share::LedgerWaiting;
use crate::units::format_bytes;

/// A process that has a share in a ledger, or had one when it died. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerHolder {
    /// Its slot.
    pub slot: usize,
    /// What it calls itself.
    pub name: String,
    /// Its number, in its own PID namespace.
    pub pid: u32,
    /// Whether that number is meant here.
    pub is_seen: bool,
    /// Its user.
    pub uid: u32,
    /// How long it has had its share, in milliseconds.
    pub age_ms: u64,
    /// Granted to it.
    pub held_bytes: u64,
    /// Of that, what it has not taken.
    pub pending_bytes: u64,
    /// Of that, what it can be asked to give back.
    pub revocable_bytes: u64,
    /// How important it is; higher is more.
    pub priority: i32,
    /// Whether it has died, and its memory is not back yet.
    pub is_draining: bool,
    /// How much longer that is waited for at most, in milliseconds; 0 where it has not died.
    pub drains_for_ms: u64,
    /// The request of it that is next, if any waits.
    pub waiting: Option<LedgerWaiting>,
    /// Its label.
    pub waiting_label: String,
    /// How long that has waited, in milliseconds.
    pub waiting_ms: u64,
}

impl fmt::Display for LedgerHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}) {}", self.name, self.pid, format_bytes(self.held_bytes))?;
        if self.is_draining {
            f.write_str(", which has died and whose memory is not back yet")
        } else {
            Ok(())
        }
    }
}
