//! Metadata values on their way to JavaScript: scalars at once, arrays when their elements are asked for.

use gguf_file::{ArrayRef, MAX_EXACT, Value};
use napi::{
    Env, Unknown,
    bindgen_prelude::{BigInt, ToNapiValue},
};
use napi_derive::napi;

use crate::js_memory::owned_array;

/// Describes an array without its elements.
#[napi(object, object_from_js = false)]
pub struct NativeArrayInfo {
    pub element_type: String,
    pub length: f64,
}

impl From<ArrayRef<'_>> for NativeArrayInfo {
    fn from(array: ArrayRef<'_>) -> Self {
        Self { element_type: array.element_type().name().to_owned(), length: array.len() as f64 }
    }
}

/// A scalar as number, bigint, boolean or string; an array as its description.
pub fn to_js<'env>(env: &'env Env, value: &Value<'_>) -> napi::Result<Unknown<'env>> {
    match value {
        Value::Bool(boolean) => unknown(env, *boolean),
        Value::String(text) => unknown(env, text.to_string_lossy().as_ref()),
        Value::Array(array) => unknown(env, NativeArrayInfo::from(*array)),
        Value::U64(number) => match i64::try_from(*number) {
            Ok(number) => integer(env, number),
            Err(_) => unknown(env, BigInt::from(*number)),
        },
        _ => match (value.as_i64(), value.as_f64()) {
            (Some(number), _) => integer(env, number),
            (None, number) => unknown(env, number),
        },
    }
}

fn integer(env: &Env, number: i64) -> napi::Result<Unknown<'_>> {
    if number.unsigned_abs() <= MAX_EXACT {
        unknown(env, number as f64)
    } else {
        unknown(env, BigInt::from(number))
    }
}

fn unknown<T: ToNapiValue>(env: &Env, value: T) -> napi::Result<Unknown<'_>> {
    value.into_unknown(env)
}

/// Elements of an array: little-endian bytes for fixed sizes, strings, or descriptions of nested arrays.
pub fn elements_to_js<'env>(
    env: &'env Env,
    array: ArrayRef<'_>,
    start: usize,
    end: usize,
) -> napi::Result<Unknown<'env>> {
    if let (Some(bytes), Some(fixed)) = (array.as_le_bytes(), array.element_type().fixed_bytes()) {
        let fixed = fixed as usize;
        let range = start.saturating_mul(fixed)..end.saturating_mul(fixed);
        return owned_array(*env, bytes.get(range).unwrap_or_default())?.into_unknown(env);
    }
    let values = array.iter().skip(start).take(end.saturating_sub(start));
    unknown(env, values.map(|value| to_js(env, &value)).collect::<napi::Result<Vec<_>>>()?)
}

pub fn undefined(env: &Env) -> napi::Result<Unknown<'_>> {
    unknown(env, ())
}
