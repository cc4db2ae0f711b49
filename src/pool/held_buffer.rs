//! Writing to a buffer of a pool.

use std::sync::{Mutex, MutexGuard};

use napi::{Env, Unknown, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    pool::{Pin, PoolBuffer},
};

use crate::{js_memory::Source, sync::lock, work::Work};

/// A buffer that is written in pieces.
#[napi]
pub struct NativeHeldBuffer(Mutex<Option<PoolBuffer>>);

impl NativeHeldBuffer {
    pub fn new(buffer: PoolBuffer) -> Self {
        Self(Mutex::new(Some(buffer)))
    }

    fn held(&self) -> MutexGuard<'_, Option<PoolBuffer>> {
        lock(&self.0)
    }
}

#[napi]
impl NativeHeldBuffer {
    /// As `NativePool.write`.
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn write(
        &self,
        env: Env,
        offset_bytes: f64,
        #[napi(ts_arg_type = "Uint8Array")] from: Unknown<'_>,
        len: f64,
        start: f64,
    ) -> napi::Result<AsyncTask<Work<usize, f64>>> {
        let source = Source::of(env, &from, start as usize, len as usize)?;
        let buffer = self.held().clone().ok_or(CoreError::Released { what: "the buffer" });
        let buffer = buffer.and_then(|buffer| buffer.try_pin().map(|pin| (buffer, pin)));
        Ok(write(buffer, offset_bytes, source))
    }

    /// Lets go of it. Where it was released meanwhile its memory goes back now, which may take its time.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn finish(&self) -> AsyncTask<Work<(), ()>> {
        let buffer = self.held().take();
        Work::promise(
            move || {
                drop(buffer);
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }
}

impl Drop for NativeHeldBuffer {
    fn drop(&mut self) {
        // Only of a thread that ended in the middle of a write.
        if let Some(buffer) = self.held().take() {
            buffer.free_without_waiting();
        }
    }
}

/// Copies bytes in, from `offset_bytes` on. A promise of how many.
pub fn write(
    buffer: CoreResult<(PoolBuffer, Option<Pin>)>,
    offset_bytes: f64,
    source: Source,
) -> AsyncTask<Work<usize, f64>> {
    let write = move || {
        let (buffer, _pin) = buffer?;
        buffer.write(offset_bytes as u64, source.bytes())?;
        Ok(source.bytes().len())
    };
    Work::promise(write, |_, written| Ok(written as f64))
}
