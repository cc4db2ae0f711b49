//! A buffer of another driver that the NPU sees.

use std::sync::Arc;

use super::{
    npu::{Allocated, Npu},
    owner::Owner,
};

/// A dma-buf with an address of the NPU, as long as this lives. Its bytes are reached through the one that gave it.
#[derive(Debug)]
#[must_use = "dropping it takes the buffer's address away"]
pub struct RknpuImport {
    owner: Arc<Owner<Npu>>,
    taken: Allocated,
}

impl RknpuImport {
    pub(super) fn new(owner: Arc<Owner<Npu>>, taken: Allocated) -> Self {
        Self { owner, taken }
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.taken.size_bytes
    }

    /// Where the NPU sees it, while domain 0 is live. It never reaches JavaScript.
    #[must_use]
    pub fn device_address(&self) -> u64 {
        self.taken.address
    }
}

impl Drop for RknpuImport {
    fn drop(&mut self) {
        let handle = self.taken.handle;
        // It fails only when the thread is no more; the device was closed with it.
        let _ = self.owner.call(move |npu| npu.free(handle));
    }
}
