//! The few keys the container itself depends on.

use crate::{
    Error, Limits, Metadata, Split, Value,
    metadata::{ARCHITECTURE_KEY, FILE_TYPE_KEY, SPLIT_COUNT_KEY, SPLIT_NUMBER_KEY, SPLIT_TENSOR_COUNT_KEY},
};

const ALIGNMENT_KEY: &str = "general.alignment";

const DEFAULT_ALIGNMENT: u32 = 32;
/// Far above any that occurs (32, seldom 64 to 4096); it keeps padding small next to the data.
const LARGEST_ALIGNMENT: u32 = 1 << 20;

pub(super) struct Known {
    pub(super) alignment: u64,
    pub(super) split: Option<Split>,
    /// Whether it is a model of the `BitNet` family, whose own tools give a removed type's id to another.
    pub(super) bitnet: bool,
}

pub(super) fn read(metadata: &Metadata<'_>, tensors: usize, limits: &Limits) -> Result<Known, Error> {
    let architecture = present(metadata.str_of(ARCHITECTURE_KEY))?;
    present(metadata.u64_of(FILE_TYPE_KEY))?;
    Ok(Known {
        alignment: alignment(metadata)?.into(),
        split: split(metadata, tensors as u64, limits)?,
        bitnet: architecture.is_some_and(|name| name.starts_with("bitnet")),
    })
}

/// A key that is missing is no fault; one that holds something else than it must is.
fn present<T>(value: Result<T, Error>) -> Result<Option<T>, Error> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(Error::MissingKey { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn alignment(metadata: &Metadata<'_>) -> Result<u32, Error> {
    let Some(value) = metadata.get(ALIGNMENT_KEY) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    let offset = metadata.offset_of(ALIGNMENT_KEY);
    match value {
        Value::U32(alignment) if !alignment.is_power_of_two() => {
            Err(Error::AlignmentNotPowerOfTwo { offset, alignment })
        }
        Value::U32(alignment) if alignment > LARGEST_ALIGNMENT => {
            Err(Error::AlignmentTooLarge { offset, alignment, limit: LARGEST_ALIGNMENT })
        }
        Value::U32(alignment) => Ok(alignment),
        other => Err(Error::AlignmentType { offset, found: other.value_type() }),
    }
}

/// The rules a single file of a split model can be held to.
///
/// llama.cpp's tool that merges such files sets `split.count` to 0 and leaves the other two keys as they
/// were, so then they mean nothing.
fn split(metadata: &Metadata<'_>, present_tensors: u64, limits: &Limits) -> Result<Option<Split>, Error> {
    let count = present(metadata.u64_of(SPLIT_COUNT_KEY))?.unwrap_or(0);
    if count == 0 {
        return Ok(None);
    }
    let limit = u64::from(limits.split_count);
    if count > limit {
        return Err(Error::SplitCountLimit { offset: metadata.offset_of(SPLIT_COUNT_KEY), count, limit });
    }
    let number = present(metadata.u64_of(SPLIT_NUMBER_KEY))?.unwrap_or(0);
    if number >= count {
        return Err(Error::SplitNumber { offset: metadata.offset_of(SPLIT_NUMBER_KEY), number, count });
    }
    let tensor_count = present(metadata.u64_of(SPLIT_TENSOR_COUNT_KEY))?;
    match tensor_count {
        Some(declared) if declared < present_tensors || (count == 1 && declared != present_tensors) => {
            let offset = metadata.offset_of(SPLIT_TENSOR_COUNT_KEY);
            Err(Error::SplitTensorCount { offset, declared, present: present_tensors })
        }
        _ => Ok(Some(Split { number, count, tensor_count })),
    }
}
