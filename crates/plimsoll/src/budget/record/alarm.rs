//! Who is woken when something happens that cannot wait.

use std::thread::Thread;

use super::event::EventKind;

/// A thread that a recording wakes ([`Thread::unpark`], which waits for nobody) at a refusal, a large grant, and a load that
/// begins or fails.
#[derive(Debug, Clone)]
pub struct RecordAlarm {
    /// The thread that is woken.
    pub thread: Thread,
    /// The least grant that counts as large, in bytes.
    pub grant_bytes: u64,
}

impl RecordAlarm {
    pub(super) fn hear(&self, kind: EventKind, bytes: u64) {
        let cannot_wait = match kind {
            EventKind::Grant => bytes >= self.grant_bytes,
            EventKind::Refusal | EventKind::LoadStart | EventKind::LoadFailed => true,
            _ => false,
        };
        if cannot_wait {
            self.thread.unpark();
        }
    }
}
