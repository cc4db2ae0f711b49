//! Filling device memory from the processor without waiting for each copy.

use std::sync::Arc;

use super::{
    block::{CudaBlock, Storage},
    memory::CudaMemory,
    shared::CudaShared,
    table::CudaHandle,
};
use crate::{
    device::{DeviceMemory, Request, Staging},
    error::{Error, Result},
};

/// A stream that does not wait for the default one, nor is waited for.
const STREAM_NON_BLOCKING: u32 = 1;

/// Two windows of pinned memory: while one is copied to the device, the other is filled.
///
/// Its pinned memory is admitted like any other RAM, and belongs to no slab's count.
///
/// ```no_run
/// # use plimsoll::device::{Backend, CudaBackend, CudaOptions, CudaStaging, Request};
/// # let gpu = CudaBackend::open(CudaOptions::default())?;
/// let slab = gpu.take(&Request::new(64 << 20, "weights"))?;
/// let mut staging = CudaStaging::new(&gpu, 4 << 20)?;
/// for offset in (0..slab.size_bytes()).step_by(4 << 20) {
///     staging.window(4 << 20)?.fill(1);
///     staging.flush(&*slab, offset)?;
/// }
/// staging.finish()?;
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug)]
pub struct CudaStaging {
    filling: StagingSlot,
    copying: StagingSlot,
    /// Bytes of the window last lent.
    lent: usize,
}

/// One window with a stream of its own, so that waiting for it waits for nothing else.
#[derive(Debug)]
struct StagingSlot {
    host: CudaBlock,
    stream: CudaHandle,
    /// What is being copied into: it stays until that is done.
    target: Option<Arc<CudaBlock>>,
}

impl CudaStaging {
    /// Staging of two windows of `window_bytes` each.
    pub(super) fn over(shared: &Arc<CudaShared>, window_bytes: u64) -> Result<Self> {
        let slot = || StagingSlot::new(shared, window_bytes);
        Ok(Self { filling: slot()?, copying: slot()?, lent: 0 })
    }

    /// Bytes that fit into a window.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        self.filling.host.bytes
    }

    /// Lends `len` bytes to fill, as soon as the copy before the last is done. What they hold is unspecified.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for more than a window; [`Error::Device`] when the copy failed.
    pub fn window(&mut self, len: usize) -> Result<&mut [u8]> {
        if len as u64 > self.window_bytes() {
            let expected = format!("at most the window's {} bytes", self.window_bytes());
            return Err(Error::invalid_argument("len", expected, len.to_string()));
        }
        self.lent = 0;
        self.filling.wait()?;
        self.lent = len;
        Ok(self.filling.bytes(len))
    }

    /// Starts to copy what was lent last to `to`, from `offset_bytes` on. Memory of another back end is written at
    /// once.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a range beyond `to`; [`Error::Device`] with the driver's code. The bytes are lost
    /// then.
    pub fn flush(&mut self, to: &dyn DeviceMemory, offset_bytes: u64) -> Result<()> {
        let len = std::mem::take(&mut self.lent);
        crate::device::memory::checked_range(to.size_bytes(), offset_bytes, len as u64)?;
        match self.filling.reachable(to) {
            Some(target) if len > 0 => self.filling.start_copy(target, offset_bytes, len)?,
            _ => return to.write(offset_bytes, self.filling.bytes(len)),
        }
        std::mem::swap(&mut self.filling, &mut self.copying);
        Ok(())
    }

    /// Waits until all is copied.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when a copy failed.
    pub fn finish(&mut self) -> Result<()> {
        let first = self.copying.wait();
        self.filling.wait().and(first)
    }
}

impl Staging for CudaStaging {
    fn window_bytes(&self) -> u64 {
        self.window_bytes()
    }

    fn window(&mut self, len: usize) -> Result<&mut [u8]> {
        self.window(len)
    }

    fn flush(&mut self, to: &dyn DeviceMemory, offset_bytes: u64) -> Result<()> {
        self.flush(to, offset_bytes)
    }

    fn finish(&mut self) -> Result<()> {
        self.finish()
    }
}

impl StagingSlot {
    fn new(shared: &Arc<CudaShared>, bytes: u64) -> Result<Self> {
        let host = CudaBlock::take_pinned(shared, &Request::new(bytes, "staging"))?;
        let current = shared.driver.enter()?;
        let mut stream = 0;
        // SAFETY: `stream` is a live place for a handle.
        let code = unsafe { (current.table().core.stream_create)(&raw mut stream, STREAM_NON_BLOCKING) };
        current.check("cuStreamCreate", code)?;
        Ok(Self { host, stream, target: None })
    }

    fn wait(&mut self) -> Result<()> {
        let current = self.host.shared.driver.enter()?;
        if self.target.is_some() {
            current.wait_for(self.stream)?;
            drop(current);
            self.target = None;
        }
        Ok(())
    }

    /// The window. No copy of it is under way: one that is has a target, and is waited for before.
    fn bytes(&mut self, len: usize) -> &mut [u8] {
        let Storage::Pinned { host, .. } = &self.host.storage else { return &mut [] };
        // SAFETY: pinned memory of at least that many bytes, which the driver has written or zeroed; nobody else has
        // its address but copies, which are over, and it is borrowed with the slot.
        unsafe { std::slice::from_raw_parts_mut(host.as_ptr().cast(), len) }
    }

    /// The memory behind a slab of the same device that is not pinned itself: that is written faster than copied.
    fn reachable(&self, to: &dyn DeviceMemory) -> Option<Arc<CudaBlock>> {
        let memory = to.as_any().downcast_ref::<CudaMemory>()?;
        let ours = memory.block.shared.is_device_of(&self.host.shared);
        let pinned = matches!(memory.block.storage, Storage::Pinned { .. });
        (ours && !pinned).then(|| Arc::clone(&memory.block))
    }

    fn start_copy(&mut self, target: Arc<CudaBlock>, offset_bytes: u64, len: usize) -> Result<()> {
        let Storage::Pinned { host, .. } = self.host.storage else { return Ok(()) };
        let current = self.host.shared.driver.enter()?;
        let to = target.storage.address() + offset_bytes;
        // SAFETY: the range lies within the target, which is kept until the stream has been waited for; the window is
        // not lent before that.
        let code =
            unsafe { (current.table().core.copy_to_device_async)(to, host.as_ptr(), len, self.stream) };
        current.check("cuMemcpyHtoDAsync", code)?;
        drop(current);
        self.target = Some(target);
        Ok(())
    }
}

impl Drop for StagingSlot {
    fn drop(&mut self) {
        if let Some(current) = self.host.shared.driver.enter_to_free() {
            // SAFETY: created with the slot and destroyed once. The copy under way is waited for first: what it works
            // on goes right after this.
            unsafe {
                let core = &current.table().core;
                current.forgive("cuStreamSynchronize", (core.stream_synchronize)(self.stream));
                current.forgive("cuStreamDestroy", (core.stream_destroy)(self.stream));
            }
        }
    }
}
