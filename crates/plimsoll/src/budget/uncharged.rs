//! Memory of this machine that this process takes and that no budget or no resident memory shows. Devices tell of it.

#[cfg(not(loom))]
use super::registry::process_accounts;
use super::{pending::Pending, resident::Leaving};
use crate::system::resident_bytes;

/// Memory of this machine that somebody takes without a budget over it: promised to nobody else until it is there, and no
/// growth of others from then on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Uncharged {
    bytes: u64,
    state: UnchargedState,
}

#[derive(Debug)]
enum UnchargedState {
    Coming,
    Allocated,
    Leaving(Leaving),
}

impl Uncharged {
    /// Before it is taken.
    pub(crate) fn coming(bytes: u64) -> Self {
        let pending = process_pending();
        pending.begin(bytes, |_| resident_bytes());
        pending.grant(bytes);
        Self { bytes, state: UnchargedState::Coming }
    }

    /// Once all of it is there.
    pub(crate) fn arrived(&mut self) {
        if matches!(self.state, UnchargedState::Coming) {
            process_pending().commit(self.bytes, None, self.bytes);
            self.state = UnchargedState::Allocated;
        }
    }

    /// Before it is released; this is dropped once it has gone.
    pub(crate) fn leave(&mut self) {
        if matches!(self.state, UnchargedState::Allocated) {
            self.state =
                UnchargedState::Leaving(Leaving::begin(self.bytes, process_pending(), resident_bytes()));
        }
    }
}

impl Drop for Uncharged {
    fn drop(&mut self) {
        let pending = process_pending();
        match &self.state {
            UnchargedState::Coming => pending.end(self.bytes, None),
            UnchargedState::Allocated => pending.end(self.bytes, Some(self.bytes)),
            UnchargedState::Leaving(leaving) => leaving.end(self.bytes, pending, resident_bytes()),
        }
    }
}

/// What is promised of this machine's memory and has not yet been taken, by whichever budget of this process, in bytes.
pub(crate) fn process_pending_bytes() -> u64 {
    process_pending().bytes(resident_bytes)
}

/// Bytes taken of the machine's RAM that the resident memory of this process does not show, until this is dropped.
#[derive(Debug)]
pub(crate) struct Unseen {
    bytes: u64,
}

impl Unseen {
    pub(crate) fn taken(bytes: u64) -> Self {
        process_pending().add_unseen(bytes);
        Self { bytes }
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        process_pending().remove_unseen(self.bytes);
    }
}

/// What this process has taken of the machine's RAM and what its resident memory does not show, in bytes.
pub(crate) fn unseen_bytes() -> u64 {
    process_pending().unseen_bytes()
}

#[cfg(not(loom))]
fn process_pending() -> &'static Pending {
    &process_accounts().pending
}

/// Loom's atomics cannot be static: no model takes memory of devices.
#[cfg(loom)]
fn process_pending() -> &'static Pending {
    unreachable!("no model takes memory of devices")
}
