//! The native half of a stream: units by promise, chunks as array buffers.

use std::{ops::Range, sync::Mutex};

use napi::{
    Env, JsValue, Unknown,
    bindgen_prelude::{ArrayBuffer, Object},
};
use napi_derive::napi;
use plimsoll::{
    Result as CoreResult,
    loader::{Chunk, Reading, StreamedUnit, TensorDigest, UnitStream},
};

use crate::{
    error::to_js,
    js_memory::{FreshBuffer, deliver, owned_buffer},
    lease::{Held, LeaseHolder},
    mirror::mirror,
    sync::lock,
};

/// Numbers that describe a chunk, in the order of [`describe`].
const NUMBERS_PER_CHUNK: usize = 5;

mirror! {
    /// How a load reads its file in fact.
    pub struct LoadReading of Reading {
        /// The calls that it reads by: `'read'`, `'mmap'` or `'direct'`.
        pub io: String,
        /// Why these are not those that were asked for.
        pub reason: Option<String>,
    }
}

/// The digest of a tensor that was read to its end.
#[napi(object, object_from_js = false)]
pub struct NativeDigest {
    pub tensor: f64,
    pub sha256: String,
}

#[napi]
pub struct NativeStream {
    /// Dropped first: it waits for its reader, which may be writing to `fresh`.
    stream: UnitStream,
    /// The new memory that the stream fills.
    fresh: Mutex<Vec<FreshBuffer>>,
}

#[napi]
impl NativeStream {
    pub(crate) fn new(stream: UnitStream) -> Self {
        Self::filling(stream, Vec::new())
    }

    /// A stream that fills memory which JavaScript gets when it is over.
    pub(crate) fn filling(stream: UnitStream, fresh: Vec<FreshBuffer>) -> Self {
        Self { stream, fresh: Mutex::new(fresh) }
    }

    /// The new memory that was filled; none before the stream is over, and when it was taken.
    #[napi(catch_unwind)]
    pub fn take_filled(&self) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        if !self.stream.is_over() {
            return Ok(Vec::new());
        }
        let filled = std::mem::take(&mut *lock(&self.fresh));
        filled.into_iter().map(FreshBuffer::into_buffer).collect()
    }

    /// By which calls the file is read, as far as is known yet.
    #[napi(catch_unwind)]
    pub fn reading(&self) -> LoadReading {
        self.stream.reading().into()
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
        self.stream.request(deliver);
        // The promise goes straight back to JavaScript; its lifetime only ties it to `env`.
        Ok(Object::from_raw(env.raw(), promise.raw()))
    }

    /// Ends the stream within one unit; whoever waits is told.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.stream.cancel();
    }
}

/// One unit in JavaScript's hands.
#[napi]
pub struct NativeUnit {
    lease: LeaseHolder,
    chunks: Vec<Chunk>,
    digests: Vec<TensorDigest>,
}

fn describe(chunk: &Chunk) -> [f64; NUMBERS_PER_CHUNK] {
    [chunk.tensor as u64, chunk.elements.start, chunk.elements.end, chunk.bytes.start, chunk.bytes.end]
        .map(|number| number as f64)
}

/// Where a chunk's data lies in its unit.
fn data_of(chunk: &Chunk) -> Range<usize> {
    chunk.data.start as usize..chunk.data.end as usize
}

#[napi]
impl NativeUnit {
    fn new(mut unit: StreamedUnit) -> Self {
        let chunks = std::mem::take(&mut unit.unit_mut().chunks);
        let digests = std::mem::take(&mut unit.unit_mut().digests);
        Self { lease: LeaseHolder::new(Held::Unit(unit)), chunks, digests }
    }

    /// The digests of the tensors that end with the unit, where they were asked for.
    #[napi(catch_unwind)]
    pub fn digests(&self) -> Vec<NativeDigest> {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        let hex = |bytes: &[u8]| bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        let digest = |of: &TensorDigest| NativeDigest { tensor: of.tensor as f64, sha256: hex(&of.sha256) };
        self.digests.iter().map(digest).collect()
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

    /// An array buffer for each chunk, lent; to be called once. All in one call, so that a chunk costs none.
    #[napi(catch_unwind)]
    pub fn array_buffers(&self, env: Env) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        self.lease.take()?.array_buffers(env, self.chunks.iter().map(data_of))
    }

    /// An array buffer for each chunk, the engine's own. The unit's memory goes back at once; to be called once.
    #[napi(catch_unwind)]
    pub fn copies(&self, env: Env) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        let copies = self.with_chunks(|parts| parts.map(|part| owned_buffer(env, part)).collect());
        self.discard();
        copies
    }

    /// Copies the chunks into an array, one after the other from `start` on; how many bytes that were. `len` is how many the
    /// array has to have.
    #[napi(catch_unwind)]
    pub fn copy_into(
        &self,
        env: Env,
        #[napi(ts_arg_type = "Uint8Array")] into: Unknown<'_>,
        len: f64,
        start: f64,
    ) -> napi::Result<f64> {
        let mut at = start as usize;
        self.with_chunks(|parts| {
            for part in parts {
                deliver(env, &into, len as usize, at, part)?;
                at += part.len();
            }
            Ok(())
        })?;
        Ok((at - start as usize) as f64)
    }

    /// Lets `use_parts` see the chunks' bytes, before they are wrapped.
    fn with_chunks<T>(
        &self,
        use_parts: impl FnOnce(&mut dyn Iterator<Item = &[u8]>) -> napi::Result<T>,
    ) -> napi::Result<T> {
        self.lease.with_bytes(|bytes| {
            use_parts(&mut self.chunks.iter().map(|chunk| bytes.get(data_of(chunk)).unwrap_or_default()))
        })
    }

    /// Releases a unit that will not be wrapped, without waiting for this object to be collected.
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
