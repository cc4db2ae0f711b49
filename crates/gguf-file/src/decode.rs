//! From checked bytes to values.
//!
//! All bytes here passed the parser, so `None` never occurs; it stands where the code could otherwise panic.

use crate::{ArrayRef, GgufStr, Value, ValueType};

/// Bytes before the elements of an array: element type (u32), element count (u64).
const ARRAY_HEAD_BYTES: usize = 12;

/// The value that `bytes` hold from first to last.
pub(crate) fn whole_value(value_type: ValueType, bytes: &[u8]) -> Option<Value<'_>> {
    Some(match value_type {
        ValueType::U8 => Value::U8(u8::from_le_bytes(word(bytes)?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(word(bytes)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(word(bytes)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(word(bytes)?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(word(bytes)?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(word(bytes)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(word(bytes)?)),
        ValueType::Bool => Value::Bool(u8::from_le_bytes(word(bytes)?) != 0),
        ValueType::String => Value::String(GgufStr::new(bytes.get(size_of::<u64>()..)?)),
        ValueType::Array => {
            let (element_type, count) = array_head(bytes)?;
            Value::Array(ArrayRef::new(element_type, count, bytes.get(ARRAY_HEAD_BYTES..)?))
        }
        ValueType::U64 => Value::U64(u64::from_le_bytes(word(bytes)?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(word(bytes)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(word(bytes)?)),
    })
}

#[cfg(test)]
thread_local! {
    /// How many values were measured on this thread, for tests of how much work something takes.
    pub(crate) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How many of `bytes` the value at their start takes.
///
/// Recursion is bounded: the parser admits no deeper nesting than [`Limits::MAX_ARRAY_DEPTH`](crate::Limits).
pub(crate) fn extent_bytes(value_type: ValueType, bytes: &[u8]) -> Option<usize> {
    #[cfg(test)]
    STEPS.set(STEPS.get() + 1);
    match value_type {
        ValueType::String => size_of::<u64>().checked_add(u64::from_le_bytes(word(bytes)?) as usize),
        ValueType::Array => {
            let (element_type, count) = array_head(bytes)?;
            let elements = bytes.get(ARRAY_HEAD_BYTES..)?;
            ARRAY_HEAD_BYTES.checked_add(elements_extent_bytes(element_type, count, elements)?)
        }
        _ => Some(value_type.minimum_bytes() as usize),
    }
}

fn elements_extent_bytes(element_type: ValueType, count: usize, bytes: &[u8]) -> Option<usize> {
    if let Some(fixed) = element_type.fixed_bytes() {
        return count.checked_mul(fixed as usize);
    }
    let mut rest = bytes;
    for _ in 0..count {
        rest = rest.get(extent_bytes(element_type, rest)?..)?;
    }
    bytes.len().checked_sub(rest.len())
}

fn array_head(bytes: &[u8]) -> Option<(ValueType, usize)> {
    let element_type = ValueType::from_id(u32::from_le_bytes(word(bytes)?))?;
    let count = u64::from_le_bytes(word(bytes.get(size_of::<u32>()..)?)?);
    Some((element_type, count as usize))
}

fn word<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}
