//! The native half of a stream: units by promise, chunks as array buffers.

// A destination in JavaScript's memory is raw memory here; the block says what keeps it alive.
#![allow(unsafe_code)]

use std::sync::{Mutex, PoisonError};

use napi::{
    Env, JsValue,
    bindgen_prelude::{ArrayBuffer, Object, Uint8Array},
};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    loader::{Chunk, Destination, StreamedUnit, UnitStream},
};

use crate::{
    error::to_js,
    lease::{Held, LeaseHolder},
};

/// Numbers that describe a chunk, in the order of [`describe`].
const NUMBERS_PER_CHUNK: usize = 5;

#[napi]
pub struct NativeStream {
    stream: Mutex<Option<UnitStream>>,
}

#[napi]
impl NativeStream {
    pub(crate) fn new(stream: UnitStream) -> Self {
        Self { stream: Mutex::new(Some(stream)) }
    }

    /// The next unit, `null` at the end.
    #[napi(ts_return_type = "Promise<NativeUnit | null>", catch_unwind)]
    pub fn next(&self, env: Env) -> napi::Result<Object<'static>> {
        let (deferred, promise) = env.create_deferred()?;
        let deliver = move |outcome: CoreResult<Option<StreamedUnit>>| {
            deferred.resolve(move |env: Env| match outcome {
                Ok(unit) => Ok(unit.map(NativeUnit::new)),
                Err(error) => Err(to_js(env, &error)),
            });
        };
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match stream.as_ref() {
            Some(stream) => stream.request(deliver),
            None => deliver(Err(CoreError::Cancelled)),
        }
        // The promise goes straight back to JavaScript; its lifetime only ties it to `env`.
        Ok(Object::from_raw(env.raw(), promise.raw()))
    }

    /// Ends the stream within one unit; whoever waits is told.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        if let Some(stream) = self.stream.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            stream.cancel();
        }
    }
}

/// One unit in JavaScript's hands.
#[napi]
pub struct NativeUnit {
    lease: LeaseHolder,
    chunks: Vec<Chunk>,
}

fn describe(chunk: &Chunk) -> [f64; NUMBERS_PER_CHUNK] {
    [chunk.tensor as u64, chunk.elements.start, chunk.elements.end, chunk.bytes.start, chunk.bytes.end]
        .map(|number| number as f64)
}

#[napi]
impl NativeUnit {
    fn new(mut unit: StreamedUnit) -> Self {
        let chunks = std::mem::take(&mut unit.unit_mut().chunks);
        Self { lease: LeaseHolder::new(Held::Unit(unit)), chunks }
    }

    /// Bytes of memory the unit holds.
    #[napi(getter, catch_unwind)]
    pub fn size_bytes(&self) -> f64 {
        self.lease.size_bytes() as f64
    }

    /// Five numbers a chunk: index of the tensor, first element, end element, first byte, end byte as stored.
    #[napi(catch_unwind)]
    pub fn describe_chunks(&self) -> Vec<f64> {
        self.chunks.iter().flat_map(describe).collect()
    }

    /// An array buffer for each chunk; to be called once. All in one call, so that a chunk costs none.
    #[napi(catch_unwind)]
    pub fn array_buffers(&self, env: Env) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        let data = |chunk: &Chunk| chunk.data.start as usize..chunk.data.end as usize;
        self.lease.take()?.array_buffers(env, self.chunks.iter().map(data))
    }

    /// Gives a unit back that will not be wrapped, without waiting for this object to be collected.
    #[napi(catch_unwind)]
    pub fn discard(&self) {
        drop(self.lease.take());
    }

    /// Takes the unit's memory out of its pool for good.
    #[napi(catch_unwind)]
    pub fn keep(&self) {
        self.lease.keep();
    }
}

/// Detaches an array buffer: every view of it has length 0 from then on.
#[napi(catch_unwind)]
pub fn detach(buffer: ArrayBuffer<'_>) -> napi::Result<()> {
    buffer.detach()
}

/// A typed array of JavaScript's as destination.
///
/// `lib/` promises that the array is not transferred away while the load runs, as Node.js demands of the buffers
/// given to `fs.read`; the reference in `array` keeps it from being collected.
pub struct JsDestination {
    array: Uint8Array,
}

impl JsDestination {
    pub fn new(array: Uint8Array) -> Self {
        Self { array }
    }

    /// All of it.
    pub fn whole(&mut self) -> &mut [u8] {
        // SAFETY: as in `window`.
        unsafe { self.array.as_mut() }
    }
}

impl Destination for JsDestination {
    fn capacity_bytes(&self) -> u64 {
        self.array.len() as u64
    }

    fn window(&mut self, offset_bytes: u64, len: usize) -> CoreResult<&mut [u8]> {
        let capacity = self.capacity_bytes();
        // SAFETY: the array is referenced, so its memory lives; JavaScript may read it meanwhile and see old or
        // new bytes, as with any asynchronous read into a buffer.
        let bytes = unsafe { self.array.as_mut() };
        let start = offset_bytes as usize;
        start.checked_add(len).and_then(|end| bytes.get_mut(start..end)).ok_or_else(|| {
            let expected = format!("large enough for {len} bytes at {offset_bytes}");
            CoreError::invalid_argument("into", expected, format!("{capacity} bytes"))
        })
    }
}
