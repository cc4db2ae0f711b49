//! The native half of a map of a buffer.

use napi::{
    Env,
    bindgen_prelude::{ArrayBuffer, AsyncTask},
};
use napi_derive::napi;

use crate::{lease::LeaseHolder, work::Work};

/// A part of a buffer that JavaScript sees.
#[napi]
pub struct NativeMapping {
    pub(crate) lease: LeaseHolder,
}

#[napi]
impl NativeMapping {
    /// The part as an array buffer; to be called once.
    #[napi(catch_unwind)]
    pub fn array_buffer(&self, env: Env) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        self.lease.take()?.array_buffers(env, std::iter::once(0..self.lease.size_bytes()))
    }

    /// Ends it. `detached` says that no view of it is left; else the memory stays until the last is collected.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn finish(&self, detached: bool) -> AsyncTask<Work<(), ()>> {
        let lease = self.lease.ending();
        Work::promise(move || lease.map_or(Ok(()), |lease| lease.finish_map(detached)), |_, ()| Ok(()))
    }
}
