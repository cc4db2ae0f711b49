//! Memory of JavaScript's own, as native work may use it.
//!
//! A script can take the memory of an ordinary array buffer back at any moment: transfer it, detach it, shrink it. So no
//! other thread ever sees it, with one exception. Bytes come and go piece by piece on JavaScript's own thread, where nothing
//! moves while a native call runs, and each time it is asked anew where they are. Work on another thread gets memory that it
//! holds: of a lease ([`LeasedWork`]), of its own, or, the exception, a [`FreshBuffer`] that no script has seen yet.

// Where an array's bytes lie is asked of the engine; each block says what keeps them there.
#![allow(unsafe_code)]

use std::{
    ffi::c_void,
    ptr,
    thread::{self, ThreadId},
};

use napi::{
    Env, JsValue, Unknown,
    bindgen_prelude::{ArrayBuffer, FromNapiValue, ToNapiValue, Uint8Array},
    check_status, sys,
};
use plimsoll::{Error as CoreError, Result as CoreResult, error::Left};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::{error::to_js, lease::LeasedWork};

/// The most bytes that are copied in one call, in a few hundred microseconds.
pub const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// The bytes of a `Uint8Array` where they lie now. Valid until JavaScript runs again.
struct Bytes {
    start: *mut u8,
    len: usize,
}

impl Bytes {
    fn of(array: &Unknown<'_>) -> napi::Result<Self> {
        let raw = array.value();
        let (mut kind, mut len, mut start) = (0, 0, ptr::null_mut());
        let (mut buffer, mut offset) = (ptr::null_mut(), 0);
        // SAFETY: the value and its environment are those of this call. The engine refuses what is no typed array.
        check_status!(unsafe {
            sys::napi_get_typedarray_info(
                raw.env,
                raw.value,
                &raw mut kind,
                &raw mut len,
                &raw mut start,
                &raw mut buffer,
                &raw mut offset,
            )
        })?;
        if kind != sys::TypedarrayType::uint8_array {
            return Err(napi::Error::from_reason("expected a Uint8Array"));
        }
        // One whose memory was moved away has none.
        let len = if start.is_null() { 0 } else { len };
        Ok(Self { start: start.cast(), len })
    }

    fn part(&self, start: usize, len: usize) -> Option<*mut u8> {
        (start.checked_add(len)? <= self.len).then(|| self.start.wrapping_add(start))
    }
}

fn moved_away(name: &'static str) -> CoreError {
    CoreError::invalid_argument(name, "left in place until the work on it has ended", "memory moved away")
}

/// Bytes of an array for work on another thread: memory that the work holds.
pub enum Source {
    Leased(LeasedWork),
    Copied(Vec<u8>),
}

impl Source {
    /// The bytes from `start` on: all of them where the memory is leased, else a copy of as many as one call may copy.
    /// `len` is how many the array has to have.
    pub fn of(env: Env, array: &Unknown<'_>, start: usize, len: usize) -> napi::Result<Self> {
        let bytes = Bytes::of(array)?;
        let rest = len.checked_sub(start).filter(|_| bytes.len == len);
        let part = rest.and_then(|rest| Some((bytes.part(start, rest)?, rest)));
        let (first, rest) = part.ok_or_else(|| to_js(env, &moved_away("data")))?;
        if rest == 0 {
            return Ok(Self::Copied(Vec::new()));
        }
        if let Some(leased) = LeasedWork::on(first, rest) {
            return Ok(Self::Leased(leased));
        }
        // SAFETY: the range lies within the array, whose memory stays where it is until JavaScript runs again.
        let piece = unsafe { std::slice::from_raw_parts(first, rest.min(PIECE_BYTES)) };
        copied(piece).map(Self::Copied).map_err(|error| to_js(env, &error))
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Leased(work) => work.bytes(),
            Self::Copied(bytes) => bytes,
        }
    }
}

/// A copy, or why there is no memory for one.
pub fn copied(bytes: &[u8]) -> CoreResult<Vec<u8>> {
    let mut copy = room_for(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// So many bytes, zeroed.
pub fn zeroed(len: usize) -> CoreResult<Vec<u8>> {
    let mut bytes = room_for(len)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

fn room_for(len: usize) -> CoreResult<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| no_room_for(len))?;
    Ok(bytes)
}

fn no_room_for(len: usize) -> CoreError {
    CoreError::insufficient_memory(
        "a copy of the bytes",
        len as u64,
        Left::whole(0),
        "the system has no memory for it",
        "Use less at once, or free memory",
    )
}

/// The bytes of an array, copied here and now. They may be anything's, of shared memory too.
pub fn copy_of(env: Env, array: &Unknown<'_>) -> napi::Result<Vec<u8>> {
    let bytes = Bytes::of(array)?;
    if bytes.len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the engine says that the array's bytes lie there, where they stay until JavaScript runs again.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.start, bytes.len) };
    copied(bytes).map_err(|error| to_js(env, &error))
}

/// Copies `bytes` into an array from `start` on, here and now. `len` is how many the array has to have.
pub fn deliver(env: Env, array: &Unknown<'_>, len: usize, start: usize, bytes: &[u8]) -> napi::Result<()> {
    let target = Bytes::of(array)?;
    let part = target.part(start, bytes.len()).filter(|_| target.len == len);
    let first = part.ok_or_else(|| to_js(env, &moved_away("into")))?;
    if !bytes.is_empty() {
        // SAFETY: the range lies within the array, whose memory stays where it is until JavaScript runs again. It may be
        // memory of a lease, but not the one of `bytes`, which was not wrapped yet.
        unsafe { ptr::copy(bytes.as_ptr(), first, bytes.len()) };
    }
    Ok(())
}

/// The lease that all of an array's bytes are of, for work that writes them.
pub fn leased(array: &Unknown<'_>) -> napi::Result<Option<LeasedWork>> {
    let bytes = Bytes::of(array)?;
    Ok(if bytes.len == 0 { None } else { LeasedWork::on(bytes.start, bytes.len) })
}

/// An array for JavaScript with a copy of `bytes`, in memory of the engine's own. Memory of ours would be gone with the
/// thread, wherever the array was moved.
pub fn owned_array(env: Env, bytes: &[u8]) -> napi::Result<Uint8Array> {
    let (buffer, start) = new_buffer(env, bytes.len())?;
    let mut array = ptr::null_mut();
    // SAFETY: the buffer is new, as large as `bytes`, and nobody else's yet.
    unsafe {
        if !bytes.is_empty() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
        let kind = sys::TypedarrayType::uint8_array;
        check_status!(sys::napi_create_typedarray(env.raw(), kind, bytes.len(), buffer, 0, &raw mut array))?;
        Uint8Array::from_napi_value(env.raw(), array)
    }
}

/// An array buffer with a copy of `bytes`, in memory of the engine's own.
pub fn owned_buffer(env: Env, bytes: &[u8]) -> napi::Result<ArrayBuffer<'static>> {
    /// From here on, zeroing memory that is overwritten costs more than the `Buffer` whose memory is not zeroed.
    const LEAST_UNZEROED: usize = 4096;
    let (buffer, start) = match bytes.len() {
        LEAST_UNZEROED.. => unzeroed_buffer(env, bytes.len())?,
        len => new_buffer(env, len)?,
    };
    // SAFETY: as in `owned_array`.
    unsafe {
        if !bytes.is_empty() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
        ArrayBuffer::from_napi_value(env.raw(), buffer)
    }
}

/// Numbers for JavaScript as a `Float64Array` over the memory of `self`, which goes with the array, or at once where none can
/// be made: as a thread ends, or in an engine that takes no memory of others.
pub struct Numbers(pub Vec<f64>);

impl ToNapiValue for Numbers {
    unsafe fn to_napi_value(env: sys::napi_env, Self(numbers): Self) -> napi::Result<sys::napi_value> {
        unsafe extern "C" fn drop_numbers(_: sys::napi_env, _: *mut c_void, numbers: *mut c_void) {
            // SAFETY: the box that the buffer was made with, once.
            drop(unsafe { Box::from_raw(numbers.cast::<Vec<f64>>()) });
        }
        let len = numbers.len();
        let (mut buffer, mut array) = (ptr::null_mut(), ptr::null_mut());
        if len == 0 {
            (buffer, _) = new_buffer(Env::from_raw(env), 0)?;
        } else {
            let numbers = Box::into_raw(Box::new(numbers));
            // SAFETY: the vector is the box's, which lives until the finalizer, and nobody else uses it meanwhile.
            unsafe {
                let (start, bytes) = ((*numbers).as_mut_ptr().cast(), len * size_of::<f64>());
                let status = sys::napi_create_external_arraybuffer(
                    env,
                    start,
                    bytes,
                    Some(drop_numbers),
                    numbers.cast(),
                    &raw mut buffer,
                );
                if status != sys::Status::napi_ok {
                    // No buffer was made, so none will drop the box.
                    drop(Box::from_raw(numbers));
                    check_status!(status, "expected an engine that takes memory of others in array buffers")?;
                }
            }
        }
        let kind = sys::TypedarrayType::float64_array;
        // SAFETY: the buffer is the one just made, and as long.
        check_status!(unsafe { sys::napi_create_typedarray(env, kind, len, buffer, 0, &raw mut array) })?;
        Ok(array)
    }
}

/// Memory of the engine's own that may hold anything, to be written before a script sees it.
fn unzeroed_buffer(env: Env, len: usize) -> napi::Result<(sys::napi_value, *mut u8)> {
    expect_room(env, len)?;
    let (mut array, mut start, mut buffer) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let (mut first, mut buffer_len) = (ptr::null_mut(), 0);
    // SAFETY: the environment is that of this call, and the array the one just made; what is not asked for may be null.
    unsafe {
        check_status!(sys::napi_create_buffer(env.raw(), len, &raw mut start, &raw mut array))?;
        check_status!(sys::napi_get_typedarray_info(
            env.raw(),
            array,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut buffer,
            ptr::null_mut(),
        ))?;
        check_status!(sys::napi_get_arraybuffer_info(
            env.raw(),
            buffer,
            &raw mut first,
            &raw mut buffer_len
        ))?;
    }
    // Memory that an engine shares out to several is no chunk's own.
    if first == start && buffer_len == len { Ok((buffer, start.cast())) } else { new_buffer(env, len) }
}

/// Asks the system for address space, and no more than that: the engine ends the process where it refuses. By a map of
/// its own: what `free` releases would have the C library trim its heap, and the next array fault every page anew.
fn expect_room(env: Env, len: usize) -> napi::Result<()> {
    /// Below, the system is not asked.
    const LARGE: usize = 1024 * 1024;
    if len < LARGE {
        return Ok(());
    }
    // SAFETY: the map is a new one of nobody else's, and is unmapped before anybody could use it.
    let asked = unsafe {
        mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
            .and_then(|map| munmap(map, len))
    };
    asked.map_err(|_| to_js(env, &no_room_for(len)))
}

/// Memory of the engine's own that reads zero.
fn new_buffer(env: Env, len: usize) -> napi::Result<(sys::napi_value, *mut u8)> {
    expect_room(env, len)?;
    let (mut buffer, mut start) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the environment is that of this call.
    check_status!(unsafe { sys::napi_create_arraybuffer(env.raw(), len, &raw mut start, &raw mut buffer) })?;
    Ok((buffer, start.cast()))
}

/// A value that JavaScript must not collect. It belongs to the thread that made it.
pub struct HeldValue {
    env: sys::napi_env,
    reference: sys::napi_ref,
    thread: ThreadId,
}

// SAFETY: other threads carry it at most: its value is asked for, and it is deleted, on the thread that made it.
unsafe impl Send for HeldValue {}
// SAFETY: as above.
unsafe impl Sync for HeldValue {}

impl HeldValue {
    pub fn new(value: &Unknown<'_>) -> napi::Result<Self> {
        let raw = value.value();
        Self::raw(raw.env, raw.value)
    }

    fn raw(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        let mut reference = ptr::null_mut();
        // SAFETY: the value and its environment are those of this call.
        check_status!(unsafe { sys::napi_create_reference(env, value, 1, &raw mut reference) })?;
        Ok(Self { env, reference, thread: thread::current().id() })
    }

    /// The value, in a call on its thread.
    pub fn value(&self) -> napi::Result<Unknown<'static>> {
        let mut value = ptr::null_mut();
        if self.thread != thread::current().id() {
            return Err(napi::Error::from_reason("expected the thread that holds the value"));
        }
        // SAFETY: the reference is this environment's, which lives: it is its thread that runs, in one of its calls.
        check_status!(unsafe { sys::napi_get_reference_value(self.env, self.reference, &raw mut value) })?;
        // SAFETY: as above; the value is used within the call.
        unsafe { Unknown::from_napi_value(self.env, value) }
    }
}

impl Drop for HeldValue {
    fn drop(&mut self) {
        if self.thread == thread::current().id() {
            // SAFETY: as in `value`: objects of an environment are dropped by it, at the latest as it ends. It could only fail
            // for a reference that is no more.
            let _ = unsafe { sys::napi_delete_reference(self.env, self.reference) };
        }
    }
}

/// An array buffer that no script has seen yet: its memory cannot be moved away, so that another thread may fill it.
///
/// Whoever holds it must outlast every [`FreshWindow`] of it: an environment that ends frees its array buffers, after
/// it has waited for its work and finalized its objects.
pub struct FreshBuffer {
    held: HeldValue,
    start: *mut u8,
    len: usize,
}

// SAFETY: the memory is raw here, and `HeldValue` may move.
unsafe impl Send for FreshBuffer {}
// SAFETY: as above.
unsafe impl Sync for FreshBuffer {}

impl FreshBuffer {
    pub fn new(env: Env, len: usize) -> napi::Result<Self> {
        let (buffer, start) = new_buffer(env, len)?;
        Ok(Self { held: HeldValue::raw(env.raw(), buffer)?, start, len })
    }

    /// Its bytes, for the one that fills them.
    pub fn window(&self) -> FreshWindow {
        FreshWindow { start: self.start, len: self.len }
    }

    /// Its bytes, for work that holds it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.window().into_bytes()
    }

    /// Hands it to JavaScript. Nothing writes to it any more.
    pub fn into_buffer(self) -> napi::Result<ArrayBuffer<'static>> {
        ArrayBuffer::from_unknown(self.held.value()?)
    }
}

/// The memory of a [`FreshBuffer`].
pub struct FreshWindow {
    start: *mut u8,
    len: usize,
}

// SAFETY: the memory is no thread's own.
unsafe impl Send for FreshWindow {}

impl FreshWindow {
    fn into_bytes<'a>(self) -> &'a mut [u8] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: `FreshBuffer` says that the memory outlasts the window; no script and no other window sees it.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        Self { start: self.start, len: self.len }.into_bytes()
    }

    /// Where they are, and how many.
    pub const fn memory(&self) -> (*mut u8, usize) {
        (self.start, self.len)
    }
}
