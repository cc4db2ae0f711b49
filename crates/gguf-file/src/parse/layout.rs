//! The layout of the data section: what the tensor infos amount to together.

use crate::{
    Error, GgufFile, MAX_EXACT,
    tensor::{TensorRecord, TensorTable},
};

/// Where the data section begins. A file without tensors has none, and need not be padded.
pub(super) fn data_section_offset(header_bytes: u64, tensors: &TensorTable, alignment: u64) -> u64 {
    if tensors.list.is_empty() { header_bytes } else { align_up(header_bytes, alignment) }
}

pub(super) fn check(file: &GgufFile, strict: bool) -> Result<(), Error> {
    refuse_inexact_ends(file)?;
    if strict {
        expect_contiguous(file)?;
    } else {
        refuse_overlaps(file)?;
    }
    if !file.header_only {
        expect_data_inside_file(file)?;
    }
    Ok(())
}

/// From here on offsets may be added to sizes and to the start of the data section without a check.
fn refuse_inexact_ends(file: &GgufFile) -> Result<(), Error> {
    for record in &file.tensors.list {
        let end = record
            .data_offset
            .checked_add(record.size_bytes)
            .and_then(|end| end.checked_add(file.data_section_offset));
        if end.is_none_or(|end| end > MAX_EXACT) {
            return Err(Error::TensorEndTooLarge {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                data_offset: record.data_offset,
                size_bytes: record.size_bytes,
                limit: MAX_EXACT,
            });
        }
    }
    Ok(())
}

fn expect_contiguous(file: &GgufFile) -> Result<(), Error> {
    let mut expected = 0;
    for record in &file.tensors.list {
        if record.data_offset != expected {
            return Err(Error::TensorsNotContiguous {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                data_offset: record.data_offset,
                expected,
            });
        }
        expected = align_up(record.data_end(), file.alignment);
    }
    Ok(())
}

fn refuse_overlaps(file: &GgufFile) -> Result<(), Error> {
    let list = &file.tensors.list;
    if list.is_sorted_by_key(|record| record.data_offset) {
        return refuse_overlaps_in_order(file, list.iter());
    }
    let mut in_order: Vec<&TensorRecord> = list.iter().collect();
    in_order.sort_unstable_by_key(|record| record.data_offset);
    refuse_overlaps_in_order(file, in_order.into_iter())
}

/// A tensor without data shares bytes with none, wherever it lies.
fn refuse_overlaps_in_order<'a>(
    file: &GgufFile,
    in_order: impl Iterator<Item = &'a TensorRecord>,
) -> Result<(), Error> {
    let mut before: Option<&TensorRecord> = None;
    for record in in_order.filter(|record| record.size_bytes > 0) {
        if let Some(other) = before.filter(|before| record.data_offset < before.data_end()) {
            return Err(Error::TensorsOverlap {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                data_offset: record.data_offset,
                other: name(file, other),
                other_end: other.data_end(),
            });
        }
        before = Some(record);
    }
    Ok(())
}

fn expect_data_inside_file(file: &GgufFile) -> Result<(), Error> {
    let file_bytes = file.file_bytes;
    if !file.tensors.list.is_empty() && file.data_section_offset > file_bytes {
        return Err(Error::DataSectionMissing { offset: file.data_section_offset, file_bytes });
    }
    for record in &file.tensors.list {
        let start = file.data_section_offset + record.data_offset;
        let end = start + record.size_bytes;
        if end > last_end(file, record) {
            return Err(Error::TensorPastEnd {
                offset: record.data_offset_field(),
                tensor: name(file, record),
                start,
                end,
                file_bytes,
            });
        }
    }
    Ok(())
}

/// The padding after the last tensor may be missing, and a tensor without data may stand right behind it.
fn last_end(file: &GgufFile, record: &TensorRecord) -> u64 {
    if record.size_bytes == 0 { align_up(file.file_bytes, file.alignment) } else { file.file_bytes }
}

/// Saturates for the sizes of sources near 2^64, which no offset reaches.
fn align_up(bytes: u64, alignment: u64) -> u64 {
    bytes.checked_next_multiple_of(alignment).unwrap_or(u64::MAX)
}

fn name(file: &GgufFile, record: &TensorRecord) -> String {
    String::from_utf8_lossy(record.name.of(&file.header)).into_owned()
}
