//! Where the tensors of a load go, one by one.

use std::{ops::Range, sync::Mutex};

use napi::{Env, Unknown};
use napi_derive::napi;
use plimsoll::{
    Error,
    loader::{BufferDestination, Destination, expect_room},
};

use super::target::LoadTarget;
use crate::{
    error::to_js,
    js_memory::{FreshBuffer, leased},
    pool::NativePool,
    sync::lock,
};

type Piece = (u64, Box<dyn Destination>);

/// Places for tensors, in their order, until a stream takes them.
#[napi]
pub struct NativePlaces {
    taken: Mutex<(Vec<Piece>, Vec<FreshBuffer>)>,
    /// Where leased places lie.
    leased: Mutex<Vec<Range<usize>>>,
}

#[napi]
impl NativePlaces {
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::new_without_default, reason = "it is JavaScript that makes it")]
    pub fn new() -> Self {
        Self { taken: Mutex::default(), leased: Mutex::default() }
    }

    /// New memory of `bytes` bytes, see `takeFilled`.
    #[napi(catch_unwind)]
    pub fn add_new(&self, env: Env, bytes: f64) -> napi::Result<()> {
        let fresh = FreshBuffer::new(env, bytes as usize)?;
        let target = LoadTarget::Fresh(fresh.window());
        lock(&self.taken).1.push(fresh);
        self.add(bytes, target);
        Ok(())
    }

    /// Memory that is leased: the stream holds it. Other memory is no place, for a script could move it away; nor is memory that
    /// begins where its elements of `element_bytes` cannot.
    #[napi(catch_unwind)]
    pub fn add_leased(
        &self,
        env: Env,
        #[napi(ts_arg_type = "Uint8Array")] into: Unknown<'_>,
        bytes: f64,
        element_bytes: f64,
    ) -> napi::Result<bool> {
        let Some(work) = leased(&into)? else { return Ok(false) };
        let (start, len) = work.memory();
        if !start.addr().is_multiple_of(element_bytes as usize) {
            return Ok(false);
        }
        // Several maps may show the same memory, each in an array buffer of its own.
        let range = start.addr()..start.addr() + len;
        let mut leases = lock(&self.leased);
        if leases.iter().any(|other| other.start < range.end && range.start < other.end) {
            let error =
                Error::invalid_argument("into", "a place for each tensor", "memory that two of them share");
            return Err(to_js(env, &error));
        }
        leases.push(range);
        drop(leases);
        self.add(bytes, LoadTarget::Leased(work));
        Ok(true)
    }

    /// A buffer of a device, from `offset_bytes` on.
    #[napi(catch_unwind)]
    pub fn add_buffer(
        &self,
        env: Env,
        pool: &NativePool,
        key: f64,
        offset_bytes: f64,
        bytes: f64,
    ) -> napi::Result<()> {
        let destination =
            pool.buffer(key).and_then(|buffer| BufferDestination::new(&buffer, offset_bytes as u64));
        self.add(bytes, destination.map_err(|error| to_js(env, &error))?);
        Ok(())
    }

    /// Lets go of all of them.
    #[napi(catch_unwind)]
    pub fn clear(&self) {
        drop(self.take());
    }

    fn add(&self, bytes: f64, destination: impl Destination + 'static) {
        lock(&self.taken).0.push((bytes as u64, Box::new(destination)));
    }

    pub(super) fn take(&self) -> (Vec<Piece>, Vec<FreshBuffer>) {
        std::mem::take(&mut *lock(&self.taken))
    }
}

/// Refuses so much new memory where the machine has not got it.
#[napi(catch_unwind)]
pub fn expect_room_for(env: Env, bytes: f64) -> napi::Result<()> {
    expect_room(bytes as u64).map_err(|error| to_js(env, &error))
}
