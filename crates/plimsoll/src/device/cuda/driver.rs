//! A device with its primary context: made current around each call, left alone in forked children, and given up for
//! good once lost.

use std::{
    fmt,
    marker::PhantomData,
    process,
    sync::atomic::{AtomicI32, Ordering},
};

use super::{
    codes::{CuResult, SUCCESS, loses_device},
    table::{CudaHandle, CudaTable},
};
use crate::error::{Error, Result};

/// One device, and the context that this process shares with whoever else uses the device's runtime.
pub(super) struct Driver {
    pub table: CudaTable,
    /// As errors call it.
    pub name: String,
    pub device: i32,
    context: CudaHandle,
    /// The process that owns the context. A forked child has the handle and no right to it.
    pid: u32,
    /// The code with which the context was lost; 0 while it lives.
    lost: AtomicI32,
}

impl Driver {
    /// Retains the primary context of the device with that number.
    pub fn retain(table: CudaTable, name: String, device: i32) -> Result<Self> {
        let mut context = 0;
        // SAFETY: `context` is a live place for a handle, and the device was found by this driver.
        let code = unsafe { (table.core.context_retain)(&raw mut context, device) };
        table.check(&name, "cuDevicePrimaryCtxRetain", code)?;
        Ok(Self { table, name, device, context, pid: process::id(), lost: AtomicI32::new(SUCCESS) })
    }

    /// Refuses processes that were forked from the one that opened the device.
    pub fn check_process(&self) -> Result<()> {
        if self.pid == process::id() {
            return Ok(());
        }
        let meaning = "this process was forked from the one that opened the device, and CUDA does not work in it: \
                       start a new program, or open the device only after the fork";
        Err(Error::device(&self.name, None, "fork", meaning))
    }

    /// Makes the context current on this thread until the result is dropped.
    pub fn enter(&self) -> Result<Current<'_>> {
        self.check_process()?;
        let lost = self.lost.load(Ordering::Relaxed);
        self.table.check(&self.name, "an earlier call", lost)?;
        // SAFETY: the context is retained as long as this driver lives.
        let code = unsafe { (self.table.core.context_push)(self.context) };
        if code != SUCCESS {
            // A retained context is refused only when it is no more: somebody has reset the device.
            self.lost.store(code, Ordering::Relaxed);
        }
        self.table.check(&self.name, "cuCtxPushCurrent", code)?;
        Ok(Current { driver: self, _on_this_thread: PhantomData })
    }

    /// As [`enter`](Self::enter), for destructors: nothing is to be freed in a forked child, to a context that is
    /// lost, or to a driver that has shut down with the process.
    pub fn enter_to_free(&self) -> Option<Current<'_>> {
        self.enter().ok()
    }

    /// An error unless the call succeeded; the device is lost from now on if the code says so.
    pub fn check(&self, call: &'static str, code: CuResult) -> Result<()> {
        if loses_device(code) {
            self.lost.store(code, Ordering::Relaxed);
        }
        self.table.check(&self.name, call, code)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.check_process().is_ok() {
            // SAFETY: undoes the retaining, once. The code is not looked at: at the end of a process the driver may be
            // gone.
            unsafe { (self.table.core.context_release)(self.device) };
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("name", &self.name)
            .field("library", &self.table.library)
            .finish_non_exhaustive()
    }
}

/// The time in which the context is current on this thread.
pub(super) struct Current<'a> {
    pub driver: &'a Driver,
    _on_this_thread: PhantomData<*const ()>,
}

impl Current<'_> {
    /// The functions that may be called now.
    pub fn table(&self) -> &CudaTable {
        &self.driver.table
    }

    /// As [`Driver::check`].
    pub fn check(&self, call: &'static str, code: CuResult) -> Result<()> {
        self.driver.check(call, code)
    }

    /// For destructors: nobody is there to hear of a failure, but a loss is kept in mind.
    pub fn forgive(&self, call: &'static str, code: CuResult) {
        self.check(call, code).unwrap_or_default();
    }

    /// Waits for the default stream, on which the calls without a stream work after they have returned.
    pub fn wait(&self) -> Result<()> {
        self.wait_for(0)
    }

    /// Waits for a stream.
    pub fn wait_for(&self, stream: CudaHandle) -> Result<()> {
        // SAFETY: the default stream, or one of the caller's that it has not destroyed.
        self.check("cuStreamSynchronize", unsafe { (self.table().core.stream_synchronize)(stream) })
    }

    /// What the device has free and has at all, in bytes.
    pub fn memory_info(&self) -> Result<(u64, u64)> {
        let (mut free, mut total) = (0_usize, 0_usize);
        // SAFETY: both are live places for a size.
        let code = unsafe { (self.table().core.memory_info)(&raw mut free, &raw mut total) };
        self.check("cuMemGetInfo", code)?;
        Ok((free as u64, total as u64))
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        let mut popped = 0;
        // SAFETY: undoes the push of `enter` on the same thread: this type does not leave it. Asked for by null, some
        // drivers would not say what they popped, so it has a place.
        let code = unsafe { (self.table().core.context_pop)(&raw mut popped) };
        self.forgive("cuCtxPopCurrent", code);
    }
}
