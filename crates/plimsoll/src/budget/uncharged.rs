//! Memory of this machine that this process takes and that no budget or no resident memory shows. Devices tell of it.

#[cfg(not(loom))]
use super::registry::process_accounts;

/// Bytes that a driver is taking for somebody who has no budget: promised to nobody else until this is dropped.
#[derive(Debug)]
pub(crate) struct Uncharged {
    bytes: u64,
}

impl Uncharged {
    pub(crate) fn coming(bytes: u64) -> Self {
        #[cfg(not(loom))]
        process_accounts().pending.coming(bytes);
        Self { bytes }
    }
}

impl Drop for Uncharged {
    fn drop(&mut self) {
        #[cfg(not(loom))]
        process_accounts().pending.arrived(self.bytes);
        #[cfg(loom)]
        let _ = self.bytes;
    }
}

/// Bytes taken of the machine's RAM that the resident memory of this process does not show, until this is dropped.
#[derive(Debug)]
pub(crate) struct Unseen {
    bytes: u64,
}

impl Unseen {
    pub(crate) fn taken(bytes: u64) -> Self {
        #[cfg(not(loom))]
        process_accounts().pending.add_unseen(bytes);
        Self { bytes }
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        #[cfg(not(loom))]
        process_accounts().pending.remove_unseen(self.bytes);
        #[cfg(loom)]
        let _ = self.bytes;
    }
}

/// What this process has taken of the machine's RAM and what its resident memory does not show, in bytes.
pub(crate) fn unseen_bytes() -> u64 {
    #[cfg(not(loom))]
    return process_accounts().pending.unseen_bytes();
    #[cfg(loom)]
    0
}
