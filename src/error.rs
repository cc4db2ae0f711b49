//! Errors of the core as JavaScript errors with `code` and their numbers; `lib/support/errors.ts` gives them their class.

use napi::{
    Env, Error,
    bindgen_prelude::{Object, ToNapiValue},
};
use napi_derive::napi;
use plimsoll::Error as CoreError;

use crate::mirror::array_of;

/// The JavaScript error for `error`. Falls back to a bare message if the engine refuses to build one.
pub fn to_js(env: Env, error: &CoreError) -> Error {
    build(env, error).unwrap_or_else(|_| Error::from_reason(error.to_string()))
}

fn build(env: Env, error: &CoreError) -> napi::Result<Error> {
    let mut object = env.create_error(Error::from_reason(error.to_string()))?;
    object.set("code", error.code())?;
    set_details(&mut object, error)?;
    Ok(Error::from(object.into_unknown(&env)?))
}

// Takes every kind apart without `..`: what an error gains does not compile until JavaScript gets it, or is said not to.
fn set_details(object: &mut Object<'_>, error: &CoreError) -> napi::Result<()> {
    match error {
        CoreError::InsufficientMemory {
            label,
            requested_bytes,
            available_bytes,
            largest_free_bytes,
            binding_constraint,
            suggestion,
        } => {
            object.set("label", label.as_str())?;
            object.set("requestedBytes", *requested_bytes as f64)?;
            object.set("availableBytes", *available_bytes as f64)?;
            object.set("largestFreeBytes", *largest_free_bytes as f64)?;
            object.set("bindingConstraint", binding_constraint.as_str())?;
            object.set("suggestion", suggestion.as_str())
        }
        CoreError::InvalidArgument { name, expected, received } => {
            object.set("argument", *name)?;
            object.set("expected", expected.as_str())?;
            object.set("received", received.as_str())
        }
        CoreError::InvalidGguf { path, source } => {
            object.set("path", path.to_string_lossy().as_ref())?;
            object.set("rule", source.rule())?;
            set_some(object, "offset", source.offset_bytes().map(|offset| offset as f64))
        }
        CoreError::InvalidModel { key, expected, received } => {
            object.set("key", key.as_str())?;
            object.set("expected", expected.as_str())?;
            object.set("received", received.as_str())
        }
        CoreError::UnsupportedType { tensor, type_id, type_name, wanted: _ } => {
            object.set("tensor", tensor.as_str())?;
            object.set("typeId", *type_id)?;
            object.set("typeName", *type_name)
        }
        CoreError::InvalidTensor { path, tensor, block, block_elements } => {
            object.set("path", path.to_string_lossy().as_ref())?;
            object.set("tensor", tensor.as_str())?;
            object.set("block", *block as f64)?;
            object.set("blockElements", *block_elements as f64)
        }
        CoreError::Io { path, tensor, offset_bytes, call, source } => {
            object.set("path", path.to_string_lossy().as_ref())?;
            set_some(object, "tensor", tensor.as_deref())?;
            set_some(object, "offset", offset_bytes.map(|offset| offset as f64))?;
            set_some(object, "status", error.http_status())?;
            // What is no error of the system has none of its names.
            if let Some(errno) = source.raw_os_error() {
                object.set("errno", errno)?;
                object.set("syscall", *call)?;
            }
            Ok(())
        }
        CoreError::Released { what } | CoreError::Busy { what, reason: _ } => object.set("what", *what),
        CoreError::QueueFull { label, requested_bytes, available_bytes, waiting_count, most_waiting: _ } => {
            object.set("what", "the queue")?;
            object.set("label", label.as_str())?;
            object.set("requestedBytes", *requested_bytes as f64)?;
            object.set("availableBytes", *available_bytes as f64)?;
            object.set("waitingCount", *waiting_count as f64)
        }
        CoreError::NeverFits { label, requested_bytes, available_bytes, line_bytes, binding_constraint } => {
            object.set("label", label.as_str())?;
            object.set("requestedBytes", *requested_bytes as f64)?;
            object.set("availableBytes", *available_bytes as f64)?;
            object.set("lineBytes", *line_bytes as f64)?;
            object.set("bindingConstraint", binding_constraint.as_str())
        }
        CoreError::Timeout { label, timeout_ms, requested_bytes, available_bytes, reason } => {
            set_some(object, "what", error.waited_for())?;
            object.set("label", label.as_str())?;
            object.set("timeoutMs", *timeout_ms as f64)?;
            object.set("requestedBytes", *requested_bytes as f64)?;
            object.set("availableBytes", *available_bytes as f64)?;
            object.set("reason", reason.as_str())
        }
        CoreError::Internal { what } => object.set("what", what.as_str()),
        CoreError::Device { device, errno, call, meaning } => {
            object.set("device", device.as_str())?;
            object.set("call", *call)?;
            object.set("meaning", meaning.as_str())?;
            set_some(object, "errno", *errno)
        }
        CoreError::DeviceUnavailable { device, reason } => {
            object.set("device", device.as_str())?;
            object.set("reason", reason.as_str())
        }
        CoreError::Ledger { path, reason } => {
            object.set("path", path.to_string_lossy().as_ref())?;
            object.set("reason", reason.as_str())
        }
        CoreError::Cancelled => Ok(()),
    }
}

fn set_some<T: ToNapiValue>(object: &mut Object<'_>, name: &str, value: Option<T>) -> napi::Result<()> {
    value.map_or(Ok(()), |value| object.set(name, value))
}

array_of! {
    /// The codes that errors of the addon have. `lib/support/errors.ts` has a class for each, or does not compile.
    pub fn error_codes() -> CoreError::CODES =>
        "Array<'ERR_INSUFFICIENT_MEMORY' | 'ERR_INVALID_ARGUMENT' | 'ERR_INVALID_GGUF' | 'ERR_INVALID_MODEL' | 'ERR_UNSUPPORTED_TYPE' | \
        'ERR_INVALID_TENSOR' | 'ERR_IO' | 'ERR_RELEASED' | 'ERR_DEVICE' | 'ERR_DEVICE_UNAVAILABLE' | 'ERR_LEDGER' | 'ERR_BUSY' | \
        'ERR_NEVER_FITS' | 'ERR_TIMEOUT' | 'ERR_INTERNAL' | 'ABORT_ERR'>"
}
