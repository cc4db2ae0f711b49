//! Metadata values on their way to JavaScript: scalars at once, arrays when their elements are asked for.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex},
};

use gguf_file::{ArrayIndex, ArrayPlace, ArrayRef, MAX_EXACT, Metadata, Value, ValueType};
use napi::{
    Env, Unknown,
    bindgen_prelude::{BigInt, ToNapiValue},
};
use napi_derive::napi;

use crate::{
    js_memory::owned_array,
    mirror::{Cross, mirror},
    sync::lock,
};

/// Arrays of no more bytes are walked over at every access; larger ones are worth an index.
const SMALL_BYTES: u64 = 4096;

mirror! {
    /// Describes an array without its elements: by where it stands it is found again without a walk.
    pub struct NativeArrayPlace of ArrayPlace {
        /// The id of the type that all elements have: its place in `valueTypes()`.
        pub element_type_id: u32 = element_type.id(),
        pub length: f64 = len.cross(),
        pub offset: f64,
        pub size_bytes: f64,
    }
    reading { element_type, len }
}

/// The place that four numbers of JavaScript's say: each time as an object would take longer than what is found there.
pub fn place_of([element_type_id, len, offset, size_bytes]: [f64; 4]) -> Option<ArrayPlace> {
    Some(ArrayPlace {
        element_type: ValueType::from_id(element_type_id as u32)?,
        len: len as usize,
        offset: offset as u64,
        size_bytes: size_bytes as u64,
    })
}

/// The names of the types that metadata values have, in the order of their ids.
#[napi(catch_unwind)]
pub fn value_types() -> Vec<&'static str> {
    ValueType::ALL.iter().map(|value_type| value_type.name()).collect()
}

/// The indexes of the arrays that were asked for, by where their elements begin. No two arrays that have elements begin at
/// one place, so all of them together are a small part of the header.
#[derive(Default)]
pub struct ArrayIndexes(Mutex<HashMap<u64, Arc<ArrayIndex>>>);

impl ArrayIndexes {
    fn of(&self, place: ArrayPlace, array: ArrayRef<'_>) -> Arc<ArrayIndex> {
        if place.size_bytes <= SMALL_BYTES || place.element_type.fixed_bytes().is_some() {
            return Arc::default();
        }
        let mut known = lock(&self.0);
        Arc::clone(known.entry(place.offset).or_insert_with(|| Arc::new(ArrayIndex::of(array))))
    }
}

/// A scalar as number, bigint, boolean or string; an array as its place.
pub fn to_js<'env>(env: &'env Env, metadata: Metadata<'_>, value: &Value<'_>) -> napi::Result<Unknown<'env>> {
    match value {
        Value::Bool(boolean) => unknown(env, *boolean),
        Value::String(text) => unknown(env, text.to_string_lossy().as_ref()),
        Value::Array(array) => unknown(env, metadata.place_of(*array).map(NativeArrayPlace::from)),
        Value::U64(number) => match i64::try_from(*number) {
            Ok(number) => integer(env, number),
            Err(_) => unknown(env, BigInt::from(*number)),
        },
        Value::U8(number) => integer(env, (*number).into()),
        Value::I8(number) => integer(env, (*number).into()),
        Value::U16(number) => integer(env, (*number).into()),
        Value::I16(number) => integer(env, (*number).into()),
        Value::U32(number) => integer(env, (*number).into()),
        Value::I32(number) => integer(env, (*number).into()),
        Value::I64(number) => integer(env, *number),
        Value::F32(number) => unknown(env, f64::from(*number)),
        Value::F64(number) => unknown(env, *number),
    }
}

/// Keys and values in turn, of the entries of `range`.
pub fn entries_to_js<'env>(
    env: &'env Env,
    metadata: Metadata<'_>,
    range: Range<usize>,
) -> napi::Result<Vec<Unknown<'env>>> {
    let entries = metadata.iter().skip(range.start).take(range.len());
    entries.flat_map(|(key, value)| [unknown(env, key), to_js(env, metadata, &value)]).collect()
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

/// Elements of an array: little-endian bytes for fixed sizes, strings, or for each nested array the bytes of four doubles, in
/// the order of [`NativeArrayPlace`].
pub fn elements_to_js<'env>(
    env: &'env Env,
    metadata: Metadata<'_>,
    indexes: &ArrayIndexes,
    place: ArrayPlace,
    range: Range<usize>,
) -> napi::Result<Unknown<'env>> {
    let Some(array) = metadata.array_at(place) else { return undefined(env) };
    if let (Some(bytes), Some(fixed)) = (array.as_le_bytes(), array.element_type().fixed_bytes()) {
        let fixed = fixed as usize;
        let range = range.start.saturating_mul(fixed)..range.end.saturating_mul(fixed);
        return owned_array(*env, bytes.get(range).unwrap_or_default())?.into_unknown(env);
    }
    let index = indexes.of(place, array);
    let elements = index.elements(array, range);
    if place.element_type == ValueType::Array {
        let places = elements.filter_map(|element| metadata.place_of(element.as_array()?));
        let bytes: Vec<u8> = places.flat_map(numbers_of).flat_map(f64::to_le_bytes).collect();
        return owned_array(*env, &bytes)?.into_unknown(env);
    }
    unknown(env, elements.map(|element| to_js(env, metadata, &element)).collect::<napi::Result<Vec<_>>>()?)
}

fn numbers_of(place: ArrayPlace) -> [f64; 4] {
    [place.element_type.id().into(), place.len as f64, place.offset as f64, place.size_bytes as f64]
}

pub fn undefined(env: &Env) -> napi::Result<Unknown<'_>> {
    unknown(env, ())
}
