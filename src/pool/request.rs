//! The native half of a request for a buffer: its steps, which `lib/` makes and waits for.

use std::sync::{Arc, Mutex};

use napi::{Env, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use plimsoll::{
    Result as CoreResult,
    pool::{BufferOptions, BufferRequest, Step},
};

use super::table::PoolTable;
use crate::{error::to_js, sync::lock, work::Work};

/// A request for a buffer.
#[napi]
pub struct NativeRequest {
    table: PoolTable,
    request: Arc<Mutex<BufferRequest>>,
}

/// What a request wants next.
#[napi(discriminant = "kind", discriminant_case = "camelCase", object_from_js = false)]
pub enum NativeStep {
    Take,
    Release,
    Reclaim { missing_bytes: f64 },
    Defragment { enough_bytes: f64 },
    Granted { key: f64 },
}

#[napi]
impl NativeRequest {
    pub(crate) fn new(table: PoolTable, bytes: u64, options: &BufferOptions) -> CoreResult<Self> {
        let request = Arc::new(Mutex::new(table.pool.request(bytes, options)?));
        Ok(Self { table, request })
    }

    /// What it wants next. Throws why there is no buffer once nothing is left to be done.
    #[napi(catch_unwind)]
    pub fn step(&self, env: Env) -> napi::Result<NativeStep> {
        let step = lock(&self.request).step();
        Ok(match step {
            Step::Take => NativeStep::Take,
            Step::Release => NativeStep::Release,
            Step::Reclaim { missing_bytes } => NativeStep::Reclaim { missing_bytes: missing_bytes as f64 },
            Step::Defragment { enough_bytes } => NativeStep::Defragment { enough_bytes: enough_bytes as f64 },
            Step::Granted(buffer) => NativeStep::Granted { key: self.table.keep(env, buffer) },
            Step::Refused(error) => return Err(to_js(env, &error)),
        })
    }

    /// Takes a place in a slab that is held, or in a new one.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn take(&self) -> AsyncTask<Work<(), ()>> {
        let request = Arc::clone(&self.request);
        Work::promise(
            move || {
                lock(&request).take();
                Ok(())
            },
            |_, ()| Ok(()),
        )
    }

    /// Releases the pool's own empty slabs for a larger one, and waits for what is on its way back. A promise of the bytes
    /// that it released.
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn release(&self) -> AsyncTask<Work<u64, f64>> {
        let request = Arc::clone(&self.request);
        Work::promise(move || Ok(lock(&request).release()), |_, bytes| Ok(bytes as f64))
    }

    /// Others were asked, and have released memory or not.
    #[napi(catch_unwind)]
    pub fn reclaimed(&self, came_back: bool) {
        lock(&self.request).reclaimed(came_back);
    }

    /// Buffers were moved together as far as it went.
    #[napi(catch_unwind)]
    pub fn defragmented(&self) {
        lock(&self.request).defragmented();
    }
}
